/* A growing byte buffer with a cap and a sticky error: write many times, check once. */
#ifndef CS_BASE_BUF_H
#define CS_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p;        /* owned; NUL follows the last byte whenever p is not NULL */
    size_t n;       /* bytes used */
    size_t cap;     /* bytes allocated */
    size_t max;     /* most bytes allowed; 0 is BUF_MAX_DEFAULT */
    bool bad;       /* out of memory or over max: contents are then not to be used */
    bool no_memory; /* bad for want of memory */
};

#define BUF_MAX_DEFAULT ((size_t)64 << 20)

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* safe on zeroed and freed buffers */
void buf_wipe(struct buf *b);  /* overwrites, then frees: for secrets */
void buf_clear(struct buf *b); /* keeps the memory */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *s);
void buf_ch(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) CS_PRINTF(2, 3);
/* ERR_NOMEM or ERR_TOO_LARGE if anything went wrong since buf_init. */
CS_CHECK int buf_err(const struct buf *b);

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}

#endif
