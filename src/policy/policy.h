/* Policy: rules into a verdict with its reasons. Pure and deterministic; the same code and file
 * serve gate (before anything is asked) and keeper (before anything is sent). Zero denies. */
#ifndef CS_POLICY_POLICY_H
#define CS_POLICY_POLICY_H

#include "connector/connector.h"
#include "policy/roster.h"

enum decision { DECISION_DENY = 0, DECISION_HOLD, DECISION_EXECUTE };

/* What proof of a person a vote must carry. Zero is one that nothing satisfies. */
enum evidence { EVIDENCE_IMPOSSIBLE = 0, EVIDENCE_SESSION, EVIDENCE_PASSKEY };

struct policy_facts {
    struct str workspace, agent, agent_name, connection; /* connection by name */
    const struct connector *connector;
    const struct operation *op; /* NULL: unknown */
    struct str method, path;
};

struct verdict {
    enum decision decision;
    int tier;                              /* 0 to 3; 3 when in doubt */
    int64_t decide_within, execute_within; /* ms */
    enum evidence evidence;
    json_t *quorum;  /* owned: [{"count":2,"group":"finance"}] or with "people":["apr_.."|email]; []
                        for tiers 0, 1 */
    json_t *reasons; /* owned: [{"rule","effect","text"}] in the order applied */
};

struct policy; /* immutable */

/* Loads policy.yaml; names of connectors and operations in rules must exist. ERR_CONFIG with
 * complaints otherwise: the caller keeps the old one. */
CS_CHECK int policy_load(const char *path, const struct connectors *set, struct policy **ret,
                         struct complaints *c);
CS_CHECK int policy_read(const char *name, struct str text, const struct connectors *set,
                         struct policy **ret, struct complaints *c);
void policy_free(struct policy *p);
const char *policy_digest(const struct policy *p);
/* Never fails: out of memory or any doubt gives DECISION_DENY with a reason. */
void policy_verdict(const struct policy *p, const struct policy_facts *facts, struct verdict *ret);
void verdict_free(struct verdict *v);

#endif
