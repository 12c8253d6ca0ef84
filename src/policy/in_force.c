/* Reads connectors, then the policy that names their operations. Nothing half read is handed out.
 */
#include "policy/in_force.h"

#include <stdatomic.h>
#include <stdlib.h>

int rules_read(const struct config *cfg, struct rules **ret, struct complaints *c)
{
    struct rules *r = calloc(1, sizeof *r);
    if (r == NULL)
        return ERR_NOMEM;
    r->refs = 1;
    int err = connectors_load(cfg->connectors_dir, &r->connectors, c);
    if (err == 0)
        err = policy_load(cfg->policy, r->connectors, &r->policy, c);
    if (err != 0) {
        rules_unref(r);
        return err;
    }
    *ret = r;
    return 0;
}

struct rules *rules_ref(struct rules *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void rules_unref(struct rules *r)
{
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    policy_free(r->policy);
    connectors_free(r->connectors);
    free(r);
}
