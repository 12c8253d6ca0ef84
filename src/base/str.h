/* Strings that carry their length: from the parser to the store nothing is measured again.
 * A struct str never owns its bytes and need not end in NUL. */
#ifndef CS_BASE_STR_H
#define CS_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit) ((struct str){("" lit), sizeof(lit) - 1})
#define STR_FMT(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_c(const char *s)
{
    return (struct str){s ? s : "", s ? strlen(s) : 0};
}

bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_sub(struct str s, size_t from, size_t to); /* clamped */
/* Index of c at or after `from`, or s.n. */
size_t str_find(struct str s, char c, size_t from);
struct str str_trim(struct str s); /* spaces and tabs at both ends */

/* Copies into a fixed buffer with NUL; false (and an empty string) if it does not fit or holds a
 * NUL: an identity is never cut. */
bool str_copy(char *dst, size_t size, struct str s);

/* Whole string as a decimal number without sign or leading zeros; false on anything else. */
bool str_u64(struct str s, uint64_t *ret);

/* Equal in time that depends on the lengths alone. */
bool str_eq_secret(struct str a, struct str b);

/* Hex, lower case. `out` holds 2*n+1. */
void hex_encode(char *out, const void *bytes, size_t n);
bool hex_decode(void *out, size_t n, struct str hex); /* exactly n bytes */
int hex_pair(struct str s,
             size_t at); /* value of the two digits at `at`; -1 if they are not there */

/* Is the text valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF)? */
bool utf8_valid(struct str s);
size_t utf8_step(struct str s,
                 size_t at); /* length of the character at `at`; 0 if it is not valid */

/* Simple glob for policy and connector names: '*' any run, '?' one byte; the rest literal. */
bool str_glob(struct str pattern, struct str s);

#endif
