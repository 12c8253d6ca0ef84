/* Names to numbers: open addressing, linear probing; see map.h. */
#include "map.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(struct text key)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < key.n; i++)
        h = (h ^ (unsigned char)key.s[i]) * 1099511628211u;
    return h ? h : 1;
}

static struct map_entry *find(const struct map *m, struct text key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);

    for (;; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->entries[i];
        if (e->key == NULL || (e->hash == hash && text_is(key, e->key)))
            return e;
    }
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->cap = old.cap ? old.cap * 2 : 64;
    m->entries = take_zeroed(m->cap * sizeof *m->entries);
    for (size_t i = 0; i < old.cap; i++) {
        struct map_entry *e = &old.entries[i];
        if (e->key != NULL)
            *find(m, text_of(e->key), e->hash) = *e;
    }
    free(old.entries);
}

uint64_t *map_at(struct map *m, struct text key)
{
    uint64_t hash = hash_of(key);
    struct map_entry *e;

    if (m->n * 3 >= m->cap * 2)
        grow(m);
    e = find(m, key, hash);
    if (e->key == NULL) {
        *e = (struct map_entry){.key = take_copy(key), .hash = hash};
        m->n++;
    }
    return &e->value;
}

uint64_t map_get(const struct map *m, struct text key)
{
    const struct map_entry *e;

    if (m->cap == 0)
        return 0;
    e = find(m, key, hash_of(key));
    return e->key ? e->value : 0;
}

void map_free(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->entries[i].key);
    free(m->entries);
    *m = (struct map){0};
}
