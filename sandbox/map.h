/* Names to numbers: a hash table whose values are counts, times or positions in an array.
 * Zero means "not there"; nothing is ever taken out, only everything at once. */
#ifndef SANDBOX_MAP_H
#define SANDBOX_MAP_H

#include "buf.h"

#include <stdint.h>

struct map_entry {
    char *key; /* NULL: free */
    uint64_t hash;
    uint64_t value;
};

struct map {
    struct map_entry *entries;
    size_t cap; /* 0 or a power of two */
    size_t n;
};

/* The value's place, made with 0 where it was absent. Valid until the next map_at. */
uint64_t *map_at(struct map *m, struct text key);
uint64_t map_get(const struct map *m, struct text key);
void map_free(struct map *m);

#endif
