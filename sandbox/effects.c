/* Counts what really happened; see effects.h. */
#include "effects.h"

void effects_count(struct effects *e, const char *kind, const char *key, struct text path)
{
    struct buf name = {0};

    buf_fmt(&name, "%s:%s", kind, key);
    e->total++;
    ++*map_at(&e->by_key, (struct text){name.s, name.n});
    ++*map_at(&e->by_path, path);
    buf_free(&name);
}

static json_t *map_json(const struct map *m)
{
    json_t *out = json_object();

    for (size_t i = 0; i < m->cap; i++)
        if (m->entries[i].key != NULL)
            json_object_set_new(out, m->entries[i].key,
                                json_integer((json_int_t)m->entries[i].value));
    return out;
}

json_t *effects_json(const struct effects *e, bool with_keys)
{
    json_t *out = json_object();

    json_object_set_new(out, "total", json_integer((json_int_t)e->total));
    if (with_keys)
        json_object_set_new(out, "by_key", map_json(&e->by_key));
    json_object_set_new(out, "by_path", map_json(&e->by_path));
    return out;
}

void effects_free(struct effects *e)
{
    map_free(&e->by_key);
    map_free(&e->by_path);
    *e = (struct effects){0};
}
