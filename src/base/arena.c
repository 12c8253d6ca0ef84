/* A chain of chunks that only grows. The cap counts what was asked for, so that a request is
 * refused at the same size whatever the chunks look like. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGN = _Alignof(max_align_t), FIRST_CHUNK = 4096, LARGEST_CHUNK = 1 << 18 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    struct chunk *head;
    size_t max, used, next_size;
    bool overflowed;
    char empty[1]; /* the "" that is given out on overflow */
};

struct arena *arena_new(size_t max)
{
    struct arena *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->max = max;
    a->next_size = FIRST_CHUNK;
    return a;
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    for (struct chunk *c = a->head, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

/* calloc gives zeroed memory, and an arena never hands the same bytes out twice. */
static bool add_chunk(struct arena *a, size_t least)
{
    size_t size = a->next_size > least ? a->next_size : least;
    struct chunk *c = calloc(1, sizeof *c + size);
    if (!c)
        return false;
    c->size = size;
    c->next = a->head;
    a->head = c;
    if (a->next_size < LARGEST_CHUNK)
        a->next_size *= 2;
    return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (a->overflowed || n > a->max || n > SIZE_MAX / 2)
        goto full;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n > a->max - a->used)
        goto full;
    if ((!a->head || a->head->size - a->head->used < n) && !add_chunk(a, n))
        goto full;
    void *p = a->head->bytes + a->head->used;
    a->head->used += n;
    a->used += n;
    return p;
full:
    a->overflowed = true;
    return NULL;
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
    if (!p)
        return a->empty;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_cstr(a, s);
    return p == a->empty ? STR("") : (struct str){p, s.n};
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    else
        a->overflowed = true;
    va_end(again);
    va_end(ap);
    return p ? p : a->empty;
}

bool arena_overflowed(const struct arena *a)
{
    return a->overflowed;
}
