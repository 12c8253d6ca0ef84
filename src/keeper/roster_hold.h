/* Which roster is in force. The journal keeps version and hash of the newest; an older one, another
 * one of the same version, or one that keeper did not seal is refused. */
#ifndef CS_KEEPER_ROSTER_HOLD_H
#define CS_KEEPER_ROSTER_HOLD_H

#include "keeper/journal.h"
#include "policy/roster.h"

struct roster_hold {
    const struct keyring *kek;
    struct journal *journal;
    struct roster *now; /* NULL: none yet, and nothing may be sent */
};

/* Takes a sealed roster (empty: only where there never was one) and gives its clear text. */
CS_CHECK int roster_hold_load(struct roster_hold *h, struct str sealed, struct buf *ret_doc,
                              struct fail *f);
/* Checks, numbers and seals the next roster; it is not in force before it is loaded. */
CS_CHECK int roster_hold_put(struct roster_hold *h, struct str doc, int64_t *ret_version,
                             struct buf *ret_sealed, struct fail *f);
void roster_hold_free(struct roster_hold *h);

#endif
