/* Policy and connectors in force, as one immutable, counted pair: gate and keeper each read their
 * own from the same files and compare digests. A reload puts a new pair in the old one's place. */
#ifndef CS_POLICY_IN_FORCE_H
#define CS_POLICY_IN_FORCE_H

#include "base/config.h"
#include "policy/policy.h"

struct rules {
    struct connectors *connectors;
    struct policy *policy;
    _Atomic int refs;
};
/* Reads both from the configuration's places; complaints on error. Reference count 1. */
CS_CHECK int rules_read(const struct config *cfg, struct rules **ret, struct complaints *c);
struct rules *rules_ref(struct rules *r);
void rules_unref(struct rules *r); /* NULL is fine */

#endif
