/* Which votes are enough. All factors must be met, by distinct people: nobody counts for two.
 * An empty list of factors, a count under 1, a named list without names: never met. */
#ifndef CS_POLICY_QUORUM_H
#define CS_POLICY_QUORUM_H

#include "policy/roster.h"

/* Why somebody may not decide, or ERR_OK. ERR_OWN_ACTION for the agent's owner,
 * ERR_NOT_AN_APPROVER for anybody disabled, of another workspace, without the approver role, or in
 * no factor. */
CS_CHECK int quorum_may_vote(const json_t *quorum, const struct roster *r,
                             const struct agent *agent, const struct person *p);

struct quorum_state {
    int required, given; /* people */
    bool met;
};
/* `approver` lists the people whose votes are valid; the assignment of people to factors is exact
 * (augmenting paths), not greedy, so overlapping groups neither block nor double count. */
void quorum_count(const json_t *quorum, const struct roster *r, const struct agent *agent,
                  const struct person *const *approver, size_t n, struct quorum_state *ret);
/* Could the roster's people meet it at all? */
bool quorum_possible(const json_t *quorum, const struct roster *r, const struct agent *agent);

#endif
