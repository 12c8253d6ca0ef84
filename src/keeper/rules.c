/* Reads policy and connectors. Refuses files with complaints and files that are not those gate has.
 */
#include "keeper/rules.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

int rules_load(const struct config *cfg, struct rules **ret, struct fail *f)
{
    struct complaints c;
    complaints_init(&c);
    int r = rules_read(cfg, ret, &c);
    if (r) {
        struct str all = buf_view(&c.text);
        fail_set(f, r, "%.*s", STR_FMT(str_sub(all, 0, str_find(all, '\n', 0))));
    }
    complaints_free(&c);
    return r;
}

/* The parent opened them: what lies above them, and the policy's folder itself, may be closed to
 * the account that keeper changed to. */
void rules_take_files(struct keeper *k, int policy, int connectors)
{
    for (size_t i = 0; i < 2; i++)
        if (k->files_fd[i] >= 0)
            close(k->files_fd[i]);
    k->files_fd[0] = policy;
    k->files_fd[1] = connectors;
    (void)snprintf(k->policy_at, sizeof k->policy_at, "/proc/self/fd/%d", policy);
    (void)snprintf(k->connectors_at, sizeof k->connectors_at, "/proc/self/fd/%d", connectors);
    k->files.policy = k->policy_at;
    k->files.connectors_dir = k->connectors_at;
}

static bool rules_are(const struct rules *r, struct str policy, struct str connectors)
{
    return str_eq_c(policy, policy_digest(r->policy)) &&
           str_eq_c(connectors, connectors_digest(r->connectors));
}

int rules_agree(struct keeper *k, struct str policy, struct str connectors, struct fail *f)
{
    struct rules *next = NULL;
    if (rules_are(k->rules, policy, connectors))
        return 0;
    int r = rules_load(&k->files, &next, f);
    if (r)
        return r;
    if (!rules_are(next, policy, connectors)) {
        rules_unref(next);
        return fail_set(f, ERR_CONFLICT,
                        "keeper reads another policy or other connectors than gate");
    }
    rules_unref(k->rules);
    k->rules = next;
    log_event(LOG_INFO, "rules_loaded", KV_S("policy", policy), KV_S("connectors", connectors));
    return 0;
}
