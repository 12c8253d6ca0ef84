/* Bytes: a borrowed piece (text) and a growing one (buf).
 * Running out of memory ends the program: a test program has nothing better to do. */
#ifndef SANDBOX_BUF_H
#define SANDBOX_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *s; /* not NUL-terminated */
    size_t n;
};

struct buf {
    char *s; /* NUL-terminated once anything was added */
    size_t n;
    size_t cap;
};

/* malloc, calloc and strdup that never return NULL. */
void *take(size_t n) __attribute__((malloc, returns_nonnull));
void *take_zeroed(size_t n) __attribute__((malloc, returns_nonnull));
void *take_again(void *p, size_t n) __attribute__((returns_nonnull));
char *take_copy(struct text t) __attribute__((malloc, returns_nonnull));

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buf_cut(struct buf *b, size_t n);
/* Makes room for n more bytes and returns where they go; the caller then adds to b->n. */
char *buf_room(struct buf *b, size_t n);
void buf_free(struct buf *b);

struct text text_of(const char *s);
bool text_is(struct text t, const char *s);
bool text_is_nocase(struct text t, const char *s);
bool text_starts(struct text t, const char *s);
/* The piece up to the first `c` (or all of it); *rest is what follows the `c`. */
struct text text_until(struct text t, char c, struct text *rest);
struct text text_trim(struct text t);

#endif
