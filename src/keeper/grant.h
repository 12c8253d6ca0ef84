/* Votes and grants. Every vote of an order is verified again from its MAC and against the roster of
 * this moment; a grant is the signed note that this was done, for one attempt, for a few minutes.
 */
#ifndef CS_KEEPER_GRANT_H
#define CS_KEEPER_GRANT_H

#include "base/secret.h"
#include "keeper/ledger.h"
#include "policy/quorum.h"

#define GRANT_LIFE ((int64_t)15 * 60 * 1000)

/* The votes that are valid now, of distinct people. */
struct counted {
    const struct person *person[64];
    size_t n;
};
struct vote_rules {
    const struct keyring *kek;
    const struct ledger *ledger;
    const struct roster *roster;
    const struct agent *agent;
    const json_t *quorum; /* as bound */
    int64_t now, session_absolute;
};
/* A forged vote, one about something else, a second one of the same person or a rejection refuses
 * the order (ERR_K_QUORUM); one that has lapsed (person disabled, session old or ended, cast before
 * this epoch or after decide_by) just does not count. */
CS_CHECK int grant_count_votes(const struct vote_rules *rules, const struct exec_order *o,
                               struct counted *ret, struct fail *f);

/* "csg1.<base64url of canonical JSON>.<base64url Ed25519 signature>" */
CS_CHECK int grant_issue(const struct vote_rules *rules, const struct exec_order *o,
                         struct buf *ret);
CS_CHECK int grant_check(const struct vote_rules *rules, const struct exec_order *o,
                         struct fail *f);

#endif
