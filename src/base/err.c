/* The error catalogue as a table, and the one way to fill a struct fail. Texts that do not fit are
 * cut between characters, so that a detail is always valid UTF-8. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

struct row {
    int number, http;
    const char *name, *code, *title;
};

static const struct row rows[] = {
#define ERR(name, number, http, code, title) {number, http, #name, code, title},
#include "base/err.def"
#undef ERR
};

static const struct row *row_of(int err)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].number == err)
            return &rows[i];
    cs_bug(__FILE__, __LINE__, "an error number that err.def does not have");
}

int err_http(int err)
{
    int http = row_of(err)->http;
    return http ? http : err_http(ERR_UNAVAILABLE);
}

const char *err_code(int err)
{
    const struct row *row = row_of(err);
    return row->http ? row->code : err_code(ERR_UNAVAILABLE);
}

const char *err_name(int err)
{
    return row_of(err)->code;
}

const char *err_title(int err)
{
    return row_of(err)->title;
}

/* Makes a text that vsnprintf may have cut, or that quotes hostile bytes, valid UTF-8. */
static void mend(char *text)
{
    size_t n = strlen(text), w = 0;
    for (size_t r = 0, k; r < n; r += k) {
        k = utf8_step((struct str){text, n}, r);
        if (k) {
            memmove(text + w, text + r, k);
            w += k;
        } else {
            k = 1;
        }
    }
    text[w] = 0;
}

static int fill(struct fail *f, int err, long position, const char *field, const char *fmt,
                va_list ap)
{
    CS_ASSERT(err != ERR_OK);
    if (!f)
        return err;
    *f = (struct fail){.err = err, .position = position};
    snprintf(f->field, sizeof f->field, "%s", field);
    mend(f->field);
    if (vsnprintf(f->detail, sizeof f->detail, fmt, ap) < 0)
        f->detail[0] = 0;
    mend(f->detail);
    return err;
}

int fail_set(struct fail *f, int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(f, err, -1, "", fmt, ap);
    va_end(ap);
    return err;
}

int fail_field(struct fail *f, int err, const char *field, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(f, err, -1, field, fmt, ap);
    va_end(ap);
    return err;
}

int fail_at(struct fail *f, int err, long position, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fill(f, err, position, "", fmt, ap);
    va_end(ap);
    return err;
}

/* Uses nothing of ours: whatever is broken may be what would be called. */
_Noreturn void cs_bug(const char *file, int line, const char *what)
{
    dprintf(STDERR_FILENO, "countersign: bug at %s:%d: %s\n", file, line, what);
    abort();
}
