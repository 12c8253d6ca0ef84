/* Errors: one catalogue (err.def), one carrier (struct fail).
 *
 * Every fallible function returns 0 or an ERR_ number and is marked CS_CHECK. What a client or an
 * operator should read about it travels in a struct fail that the caller owns; it may be NULL.
 * "They sent rubbish" is an error; "we have a bug" is CS_ASSERT, which stays on in every build. */
#ifndef CS_BASE_ERR_H
#define CS_BASE_ERR_H

#include <stddef.h>

#define CS_CHECK __attribute__((warn_unused_result))
#define CS_PRINTF(f, a) __attribute__((format(printf, f, a)))

enum err {
    ERR_OK = 0,
#define ERR(name, number, http, code, title) ERR_##name = number,
#include "base/err.def"
#undef ERR
};

/* What went wrong, for a reader. `position` is a byte offset into the input, -1 where there is
 * none. */
struct fail {
    int err;
    long position;
    char field[64];   /* JSON field or setting at fault, "" where there is none */
    char action[32];  /* action concerned, "" where there is none */
    char detail[256]; /* one sentence, UTF-8, never a secret, never payload text */
};

/* Fills *f (when not NULL) and returns err, so that `return fail_set(f, ERR_X, "...")` reads well.
 */
int fail_set(struct fail *f, int err, const char *fmt, ...) CS_PRINTF(3, 4);
/* The same, naming the field at fault. */
int fail_field(struct fail *f, int err, const char *field, const char *fmt, ...) CS_PRINTF(4, 5);
/* The same, with the byte offset of the offence. */
int fail_at(struct fail *f, int err, long position, const char *fmt, ...) CS_PRINTF(4, 5);

int err_http(int err);         /* HTTP status; 503 for internal errors */
const char *err_code(int err); /* "malformed"; "unavailable" where http is 0 */
const char *err_name(int err); /* the row's own code, internal ones too: for logs and error_code */
const char *err_title(int err);

/* Programming errors end the process in every build. */
_Noreturn void cs_bug(const char *file, int line, const char *what);
#define CS_ASSERT(x) ((x) ? (void)0 : cs_bug(__FILE__, __LINE__, #x))

#endif
