/* The growing buffer. Once bad it takes no more: what follows a gap would be a different text. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SIZE = 256 };

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->bad = b->no_memory = false;
    if (b->p)
        b->p[0] = 0;
}

/* Makes room for n more bytes and a NUL. Not realloc: it would leave an unwiped copy of what may
 * be a secret behind. */
static bool room(struct buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX_DEFAULT, cap = b->cap ? b->cap : FIRST_SIZE;
    if (b->bad)
        return false;
    if (n > max || b->n > max - n) {
        b->bad = true;
        return false;
    }
    if (b->p && b->cap - b->n > n)
        return true;
    while (cap - b->n <= n)
        cap *= 2;
    char *p = malloc(cap);
    if (!p) {
        b->bad = b->no_memory = true;
        return false;
    }
    if (b->p) {
        memcpy(p, b->p, b->n);
        explicit_bzero(b->p, b->cap);
        free(b->p);
    }
    b->p = p;
    b->cap = cap;
    b->p[b->n] = 0;
    return true;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (!room(b, n))
        return;
    if (n > 0)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void buf_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}

void buf_c(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_ch(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        b->bad = true;
    else if (room(b, (size_t)n))
        b->n += (size_t)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
}

int buf_err(const struct buf *b)
{
    if (!b->bad)
        return 0;
    return b->no_memory ? ERR_NOMEM : ERR_TOO_LARGE;
}
