/* Memory that lives as long as one request: allocate freely, free once.
 * What must outlive the request is a row in the store, not a pointer. */
#ifndef CS_BASE_ARENA_H
#define CS_BASE_ARENA_H

#include "base/buf.h"

struct arena;

/* An arena that refuses to grow beyond max bytes. NULL without memory. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *a);
/* Zeroed, aligned for any type. NULL once the cap is met or memory is out; the arena then stays
 * overflowed, so that one check at the end suffices. */
void *arena_alloc(struct arena *a, size_t n);
struct str arena_str(struct arena *a, struct str s); /* a copy with NUL behind it */
char *arena_cstr(struct arena *a, struct str s);     /* the same; "" on overflow */
char *arena_printf(struct arena *a, const char *fmt, ...) CS_PRINTF(2, 3);
bool arena_overflowed(const struct arena *a);

#endif
