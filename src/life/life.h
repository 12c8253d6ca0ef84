/* The life of an action: propose, classify, hold, review, execute, record, resume. `ls src/life` is
 * the story; life.def is the table of states; life_advance() is the only code that changes one.
 * Every change is one transaction (state, jobs, audit event) and no network call happens inside
 * one. Everything here may be called from any thread. */
#ifndef CS_LIFE_LIFE_H
#define CS_LIFE_LIFE_H

#include "base/config.h"
#include "connector/request.h"
#include "keeper/keeper_client.h"
#include "life/action.h"
#include "policy/quorum.h"
#include "policy/in_force.h"

struct life;

/* Something that people or agents watch has changed. Texts are valid during the call only. */
struct life_change {
    struct str workspace, action, agent;
    int64_t seq; /* audit number */
    bool notice; /* a tier 1 action that people are told of */
};

struct life_options {
    const struct config *cfg;
    const struct env *env;
    struct store *store;
    struct vault *vault;
    struct rules *rules; /* reference taken over */
    /* Called after commit, from any thread; must not block. */
    void (*changed)(void *arg, const struct life_change *c);
    /* Writes the action object as its agent sees it: the body of a webhook. */
    int (*render)(void *arg, const struct action *a, struct buf *out);
    /* Has the parent open policy and connectors anew for keeper, whose account may not; may be
     * NULL. */
    int (*refresh_files)(void *arg);
    void *arg;
};
CS_CHECK int life_new(const struct life_options *o, struct life **ret);
/* Connects to keeper over fd (owned), loads the roster, asks after every `sending` row, starts the
 * jobs thread on first use. Called again with a fresh socket when keeper was restarted. */
CS_CHECK int life_bind(struct life *l, int fd, struct fail *f);
/* Stops taking on work; returns when what was in hand is done or ms have passed. */
void life_drain(struct life *l, int64_t ms);
void life_free(struct life *l);
bool life_ready(const struct life *l); /* keeper bound, recovery done */

/* --- what is in force ------------------------------------------------------------------------- */
struct roster *life_roster(struct life *l); /* a reference: roster_unref it */
struct rules *life_rules(struct life *l);   /* a reference: rules_unref it */
struct store *life_store(struct life *l);
struct vault *life_vault(struct life *l);
struct keeper_client *life_keeper(struct life *l);
const struct env *life_env(struct life *l);
int64_t life_now(struct life *l); /* never goes back, not even over a restart */
const unsigned char *life_mac_key(struct life *l, uint32_t version); /* NULL if there is none */
uint32_t life_mac_newest(struct life *l);
/* Reads policy and connectors again; both processes must agree, or nothing changes. */
CS_CHECK int life_reload(struct life *l, struct complaints *c, struct fail *f);
/* Puts the next roster in force: seal, store with its audit event, commit. `by` is a person's id or
 * "console". `extra` may write further rows in the same transaction (NULL for none). */
CS_CHECK int life_roster_change(struct life *l, json_t *doc, struct str workspace, struct str by,
                                const char *what, store_fn *extra, void *extra_arg, struct fail *f);

/* --- agents ----------------------------------------------------------------------------------- */
struct proposal {
    const struct roster *roster;
    const struct agent *agent;
    const struct connection *connection;
    struct request_input in;
    struct str operation; /* "" or what the agent says it is */
    struct str key;       /* idempotency key, "" for none */
    bool soft_key;        /* made up by an SDK (proxy): never prevents joining the same payload */
    struct str thread, note;
    const json_t *state;  /* NULL for none */
    const json_t *resume; /* array of targets, NULL for none; checked here */
    bool hold_on_limit;   /* "on_wait":"hold" */
    bool from_proxy;      /* the caller waits for the answer: tier 0 reads are written down once */
};

/* A call in flight whose caller waits. Reference counted; NULL where nothing is in flight. */
struct flight;
void flight_unref(struct flight *fl);
/* The result once it is recorded (borrowed), NULL before. */
const struct keeper_result *flight_result(const struct flight *fl);
/* The head of a streamed answer (borrowed) and its descriptor (given away once, then -1). */
const struct keeper_result *flight_head(struct flight *fl, int *ret_fd);

struct proposed {
    char id[ID_SIZE];
    bool joined; /* an action that was there already */
    int tier;
    enum state state;      /* when it was proposed; NEW for a tier 0 read in flight */
    struct flight *flight; /* owned by the caller; NULL if nothing was sent by this call */
};
CS_CHECK int life_propose(struct life *l, const struct proposal *p, struct proposed *ret,
                          struct fail *f);

/* The same judgement without storing anything. decide_within in ms (0 for tiers 0, 1). */
struct classified {
    struct verdict verdict; /* verdict_free */
    char operation[96];
};
CS_CHECK int life_classify(struct life *l, const struct proposal *p, struct classified *ret,
                           struct fail *f);

CS_CHECK int life_cancel(struct life *l, struct str workspace, struct str id,
                         const struct agent *agent, struct fail *f);
/* Notes that the outcome of an ended action was written to its agent (first time counts). */
CS_CHECK int life_told(struct life *l, const struct action *a);

/* --- people ----------------------------------------------------------------------------------- */
struct ballot {
    const struct roster *roster;
    const struct person *person;
    struct str workspace, action;
    enum vote_decision decision;
    int64_t revision;
    struct str binding, reason, option;
    struct str session; /* session id */
    int64_t auth_time;
    struct str evidence; /* "session" */
};
/* In the contract's order: ended, expired, stale, own action, not an approver, step-up. */
CS_CHECK int life_vote(struct life *l, const struct ballot *b, struct fail *f);
/* May this person decide so on it now? ERR_OK, or the reason as life_vote would give it. Refusing
 * is the easy path: it never needs stronger proof than the session. */
CS_CHECK int life_may_vote(struct life *l, const struct roster *r, const struct action *a,
                           const struct person *p, enum vote_decision decision, struct fail *f);
/* Which of the votes count just now, and what that amounts to. why[i] is NULL where vote i counts.
 */
void life_count(struct life *l, const struct roster *r, const struct action *a,
                const struct action_vote *v, size_t n, const char **why, struct quorum_state *ret);
CS_CHECK int life_reconcile(struct life *l, const struct person *p, struct str workspace,
                            struct str id, bool succeeded, struct str evidence, struct fail *f);

struct freeze_scope {
    struct str scope;  /* "workspace", "agent", "connection", "operation" */
    struct str target; /* id; "connector/operation"; "" for the workspace */
};
CS_CHECK int life_freeze(struct life *l, const struct person *p, const struct freeze_scope *s,
                         struct str reason, char ret_id[ID_SIZE], struct fail *f);
CS_CHECK int life_unfreeze(struct life *l, const struct person *p, struct str workspace,
                           struct str id, struct fail *f);
/* Is anything of this scope frozen? From memory. */
bool life_frozen(struct life *l, struct str workspace, struct str agent, struct str connection,
                 struct str operation);
/* A session was ended by somebody else than its person's own sign-out. */
CS_CHECK int life_revoke_session(struct life *l, struct str workspace, struct str session);
/* Puts an action's webhook deliveries that have not arrived back to work, now. */
CS_CHECK int life_redeliver(struct life *l, struct str workspace, struct str action,
                            struct fail *f);

/* --- figures for /metrics --------------------------------------------------------------------- */
struct life_stats {
    uint64_t proposed, joined, held, denied, executed, succeeded, failed, declined, unknown,
        rejected, expired, cancelled, votes, votes_refused, deliveries, delivery_failures,
        in_flight;
};
void life_stats(struct life *l, struct life_stats *ret);

#endif
