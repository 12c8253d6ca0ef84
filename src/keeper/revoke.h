/* What may not be executed any more: cancelled and rejected actions, disabled people, ended
 * sessions, frozen scopes. Kept in memory; the journal writes every entry down first. */
#ifndef CS_KEEPER_REVOKE_H
#define CS_KEEPER_REVOKE_H

#include "keeper/order.h"

struct revoke_set {
    void *root; /* tsearch tree */
};

/* Zero kinds, a release of anything but a freeze, over-long ids. */
bool revoke_valid(const struct revocation *r);
/* Adds, prolongs or releases. */
CS_CHECK int revoke_take(struct revoke_set *set, const struct revocation *r);
bool revoke_holds(const struct revoke_set *set, enum revoke_kind kind, struct str workspace,
                  struct str id, int64_t now);
/* Calls fn for all that still hold. */
void revoke_each(const struct revoke_set *set, int64_t now,
                 void (*fn)(void *arg, const struct revocation *r), void *arg);
void revoke_free(struct revoke_set *set);

#endif
