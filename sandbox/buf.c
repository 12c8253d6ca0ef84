/* Bytes, borrowed and growing; see buf.h. */
#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *checked(void *p)
{
    if (p == NULL) {
        fputs("sandbox: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *take(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *take_zeroed(size_t n)
{
    return checked(calloc(1, n ? n : 1));
}

void *take_again(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1));
}

char *take_copy(struct text t)
{
    char *p = take(t.n + 1);

    memcpy(p, t.n ? t.s : "", t.n);
    p[t.n] = '\0';
    return p;
}

char *buf_room(struct buf *b, size_t n)
{
    size_t want = b->n + n + 1;

    if (want > b->cap) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap < want)
            cap *= 2;
        b->s = take_again(b->s, cap);
        b->cap = cap;
    }
    return b->s + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    char *to = buf_room(b, n);

    if (n > 0)
        memcpy(to, p, n);
    b->n += n;
    b->s[b->n] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        char *to = buf_room(b, (size_t)n);
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buf_cut(struct buf *b, size_t n)
{
    if (n < b->n)
        memmove(b->s, b->s + n, b->n - n);
    b->n -= n;
}

void buf_free(struct buf *b)
{
    free(b->s);
    *b = (struct buf){0};
}

struct text text_of(const char *s)
{
    return (struct text){s, strlen(s)};
}

bool text_is(struct text t, const char *s)
{
    return t.n == strlen(s) && memcmp(t.s, s, t.n) == 0;
}

bool text_is_nocase(struct text t, const char *s)
{
    return t.n == strlen(s) && strncasecmp(t.s, s, t.n) == 0;
}

bool text_starts(struct text t, const char *s)
{
    size_t n = strlen(s);

    return t.n >= n && memcmp(t.s, s, n) == 0;
}

struct text text_until(struct text t, char c, struct text *rest)
{
    const char *at = t.n ? memchr(t.s, c, t.n) : NULL;
    struct text piece = t;

    if (at == NULL) {
        *rest = (struct text){t.s + t.n, 0};
        return piece;
    }
    piece.n = (size_t)(at - t.s);
    *rest = (struct text){at + 1, t.n - piece.n - 1};
    return piece;
}

struct text text_trim(struct text t)
{
    while (t.n > 0 && (t.s[0] == ' ' || t.s[0] == '\t')) {
        t.s++;
        t.n--;
    }
    while (t.n > 0 && (t.s[t.n - 1] == ' ' || t.s[t.n - 1] == '\t' || t.s[t.n - 1] == '\r'))
        t.n--;
    return t;
}
