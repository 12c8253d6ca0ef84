/* Secrets that come back in an answer are blanked, also where they lie across two pieces of it. */
#ifndef CS_KEEPER_BLANK_H
#define CS_KEEPER_BLANK_H

#include "base/json.h"

#define BLANK_LEAST 8 /* shorter values would blank innocent text */
#define BLANK_MOST 32

struct blank {
    size_t n, longest;
    char *secret[BLANK_MOST]; /* owned */
    size_t length[BLANK_MOST];
    struct buf carry; /* not yet given out: may be the start of a secret */
};

CS_CHECK int blank_init(struct blank *b, const json_t *secrets); /* object of strings, or NULL */
/* Appends to out all that is certain; `last` gives out the rest. */
void blank_feed(struct blank *b, struct str piece, bool last, struct buf *out);
void blank_free(struct blank *b);

#endif
