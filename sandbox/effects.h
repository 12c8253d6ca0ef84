/* Counts what really happened, so that a test can tell once from twice. */
#ifndef SANDBOX_EFFECTS_H
#define SANDBOX_EFFECTS_H

#include "map.h"

#include <jansson.h>

struct effects {
    uint64_t total;
    struct map by_key;  /* "transfer:<authorization id>" and the like */
    struct map by_path; /* the request's path */
};

void effects_count(struct effects *e, const char *kind, const char *key, struct text path);
/* {"total","by_key","by_path"}; without by_key on request, since that may be long. */
json_t *effects_json(const struct effects *e, bool with_keys);
void effects_free(struct effects *e);

#endif
