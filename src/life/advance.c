/* The one place where an action's state changes. The table is life.def; what is not in it is
 * refused. Row, counters, deliveries and audit event are written in the caller's transaction, so
 * that they are all there or none. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>

struct move {
    enum state from, to;
    enum audit_type audit;
#ifdef CS_TESTING
    const char *before, *after;
#endif
};
#ifdef CS_TESTING
#define NAMES(event) , "life_" #event "_before", "life_" #event "_after"
#else
#define NAMES(event)
#endif
static const struct move moves[EVENT_COUNT] = {
#define STATE(name, text, ended, settled)
#define MOVE(event, from, to, by, audit) \
    [EVENT_##event] = {STATE_##from, STATE_##to, AUDIT_##audit NAMES(event)},
#include "life/life.def"
#undef STATE
#undef MOVE
};

/* --- after the commit ---------------------------------------------------------------------------
 */

void work_changed(struct work *w, const struct action *a, int64_t seq, bool notice, int event)
{
    CS_ASSERT(w->n < CHANGES_MAX);
    struct changed *c = &w->changed[w->n++];
    *c = (struct changed){.seq = seq, .notice = notice, .event = event};
    CS_ASSERT(str_copy(c->workspace, sizeof c->workspace, a->workspace));
    CS_ASSERT(str_copy(c->action, sizeof c->action, a->id));
    CS_ASSERT(str_copy(c->agent, sizeof c->agent, a->agent));
}

static void count_event(struct life *l, int event)
{
    _Atomic uint64_t *at[STATE_COUNT] = {
        [STATE_PENDING] = &l->stat.held,        [STATE_SENDING] = &l->stat.executed,
        [STATE_SUCCEEDED] = &l->stat.succeeded, [STATE_FAILED] = &l->stat.failed,
        [STATE_DECLINED] = &l->stat.declined,   [STATE_UNKNOWN] = &l->stat.unknown,
        [STATE_REJECTED] = &l->stat.rejected,   [STATE_EXPIRED] = &l->stat.expired,
        [STATE_CANCELLED] = &l->stat.cancelled, [STATE_DENIED] = &l->stat.denied,
    };
    _Atomic uint64_t *counter = at[moves[event].to];
    if (counter != NULL)
        atomic_fetch_add(counter, 1);
}

struct run {
    store_fn *fn;
    struct work *w;
};

static int run_emptied(struct store_tx *tx, void *arg)
{
    struct run *run = arg;
    run->w->n = 0;
    return run->fn(tx, run->w);
}

int life_work(struct life *l, store_fn *fn, struct work *w)
{
    w->l = l;
    struct run run = {fn, w};
    int r = store_tx(l->o.store, run_emptied, &run);
    if (r != 0)
        return r;
    if (w->committed != NULL)
        w->committed(w);
    for (size_t i = 0; i < w->n; i++) {
        const struct changed *c = &w->changed[i];
        if (c->event >= 0) {
#ifdef CS_TESTING
            crash_point(moves[c->event].after);
#endif
            count_event(l, c->event);
        }
        if (l->o.changed != NULL)
            l->o.changed(l->o.arg, &(struct life_change){str_c(c->workspace), str_c(c->action),
                                                         str_c(c->agent), c->seq, c->notice});
    }
    return 0;
}

/* --- the audit event ----------------------------------------------------------------------------
 */

static struct str action_type(const struct operation *op)
{
    if (op == NULL)
        return STR("write");
    switch (op->kind) {
    case OP_READ:
        return STR("read");
    case OP_AUTHORIZATION:
        return STR("authorization");
    case OP_WRITE:
        break;
    }
    return STR("write");
}

int life_audit(struct store_tx *tx, struct life *l, const struct action *a, enum audit_type type,
               const struct advance *how, int64_t *ret_seq)
{
    struct rules *rules = life_rules(l);
    struct roster *roster = life_roster(l);
    const struct connector *c = connectors_find(rules->connectors, a->connector);
    const struct operation *op = c != NULL ? connector_operation(c, a->operation) : NULL;
    const struct connection *con = roster_connection(roster, a->connection);
    int64_t now = life_now(l);
    bool done = state_settled(a->state) || a->state == STATE_BLOCKED;
    struct audit_event e = {
        .type = type,
        .workspace = a->workspace,
        .action = a->id,
        .agent = a->agent,
        .thread = a->thread,
        .connector = a->connector,
        .product = a->product,
        .operation = a->operation,
        .endpoint = a->path,
        .connection = a->connection,
        .provider_item = str_c(con != NULL ? con->item_id : ""),
        .account = a->account,
        .action_type = action_type(op),
        .approvers = how != NULL && how->approvers.n > 0 ? how->approvers : a->approvers,
        .payload_hash = a->payload_hash,
        .executed_payload_hash = a->executed_payload_hash,
        .provider_request_id = a->provider_request_id,
        .outcome = str_c(state_outcome(a->state)),
        .error_code = a->error_code,
        .channel = how != NULL ? how->channel : STR(""),
        .evidence = how != NULL && how->evidence.n > 0 ? how->evidence : a->evidence,
        .revision = a->revision,
        .at = now,
        .approval_at = a->decided_at,
        .tier = a->tier,
        .approval_required = a->tier >= 2,
        .ttl_seconds = done ? (now - a->proposed_at) / 1000 : -1,
    };
    int r = audit_append(tx, l->o.env, &e, ret_seq);
    roster_unref(roster);
    rules_unref(rules);
    return r;
}

/* --- the row ------------------------------------------------------------------------------------
 */

/* An outcome word is stored beside the state for people who look with SQL. */
static struct store_value outcome_value(enum state s)
{
    const char *text = state_outcome(s);
    return text != NULL ? V_C(text) : V_NULL;
}

static int insert_row(struct store_tx *tx, const struct action *a, const struct advance *how)
{
    return STORE_EXEC(
        tx, Q_ACTION_INSERT, NULL, V_TEXT(a->workspace), V_TEXT(a->id), V_TEXT(a->agent),
        V_TEXT(a->connection), V_TEXT(a->connector), V_TEXT(a->operation), V_OPT(a->product),
        V_TEXT(a->method), V_TEXT(a->path), V_OPT(a->account), V_C(state_text(a->state)),
        V_OPT(a->error_code), V_INT(a->tier), V_INT(a->revision), V_INT(a->attempt),
        V_TEXT(a->payload_hash), V_TEXT(a->join_hash), V_OPT(a->binding), V_OPT(a->nonce),
        V_OPT(a->quorum), V_OPT(a->evidence), V_TEXT(a->reasons), V_OPT(a->policy_digest),
        V_OPT(a->idempotency_key), V_OPT(a->thread), V_OPT(a->attempt_of), V_INT(a->proposed_at),
        V_OPT_INT(a->decide_by), V_OPT_INT(a->execute_by), V_OPT_INT(a->decided_at),
        V_OPT_INT(a->ended_at), V_OPT_INT(a->told_at), V_OPT(a->executed_payload_hash),
        V_OPT(a->provider_request_id), V_OPT(a->rejected_by), V_OPT(a->rejection_reason),
        V_OPT(a->rejection_option), V_OPT(a->reauth_reason), V_OPT(a->reauth_url),
        V_OPT_INT(a->reauth_expires_at), V_INT(a->given), V_INT(a->changed_seq), V_INT(a->epoch),
        V_OPT(a->approvers), outcome_value(a->state), V_BLOB(a->sealed_request),
        how->extra.n > 0 ? V_BLOB(how->extra) : V_NULL,
        how->result.n > 0 ? V_BLOB(how->result) : V_NULL);
}

static int update_row(struct store_tx *tx, enum state from, const struct action *a,
                      const struct advance *how)
{
    int64_t changed = 0;
    int r = STORE_EXEC(
        tx, Q_ACTION_UPDATE, &changed, V_TEXT(a->workspace), V_TEXT(a->id), V_C(state_text(from)),
        V_C(state_text(a->state)), outcome_value(a->state), V_OPT(a->error_code), V_INT(a->tier),
        V_INT(a->revision), V_INT(a->attempt), V_OPT(a->binding), V_OPT(a->nonce), V_OPT(a->quorum),
        V_OPT(a->evidence), V_TEXT(a->reasons), V_OPT_INT(a->decide_by), V_OPT_INT(a->execute_by),
        V_OPT_INT(a->decided_at), V_OPT_INT(a->ended_at), V_OPT(a->executed_payload_hash),
        V_OPT(a->provider_request_id), V_OPT(a->rejected_by), V_OPT(a->rejection_reason),
        V_OPT(a->rejection_option), V_OPT(a->reauth_reason), V_OPT(a->reauth_url),
        V_OPT_INT(a->reauth_expires_at), V_INT(a->given), V_INT(a->changed_seq),
        how->result.n > 0 ? V_BLOB(how->result) : V_NULL, V_OPT(a->approvers));
    if (r == 0 && changed != 1)
        r = ERR_CONFLICT;
    return r;
}

/* The count of undecided actions per agent follows the state. */
static int follow_load(struct store_tx *tx, const struct action *a, enum state from)
{
    int by = (a->state == STATE_PENDING) - (from == STATE_PENDING);
    if (by == 0)
        return 0;
    return STORE_EXEC(tx, Q_LOAD_ADD, NULL, V_TEXT(a->workspace), V_TEXT(a->agent), V_INT(by));
}

/* The deadline's job follows the state too; `sending` has none, as what is under way must end. */
static int follow_deadline(struct store_tx *tx, const struct action *a, enum state from)
{
    if (a->state == STATE_PENDING)
        return job_set(tx, a->workspace, JOB_EXPIRE, a->id, a->decide_by, 0);
    if ((a->state == STATE_APPROVED || a->state == STATE_BLOCKED) && a->execute_by > 0)
        return job_set(tx, a->workspace, JOB_EXPIRE, a->id, a->execute_by, 0);
    if (from == STATE_NEW)
        return 0;
    int r = job_drop(tx, a->workspace, JOB_EXPIRE, a->id);
    if (r == 0 && state_settled(a->state))
        r = job_drop(tx, a->workspace, JOB_SEND, a->id);
    return r;
}

/* The highest time seen rides along with a change, at most once a second: a clock set back later
 * revives nothing that this change has ended. */
static int store_high_time(struct store_tx *tx, struct life *l)
{
    int64_t now = life_now(l);
    if (now < l->high_stored + 1000)
        return 0;
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)now);
    int r = STORE_EXEC(tx, Q_META_SET, NULL, V_C("high_time"), V_C(text));
    if (r == 0)
        l->high_stored = now;
    return r;
}

int life_advance(struct store_tx *tx, struct work *w, struct action *a, enum life_event ev,
                 const struct advance *how)
{
    static const struct advance nobody = {0};
    CS_ASSERT(ev >= 0 && ev < EVENT_COUNT);
    const struct move *m = &moves[ev];
    if (how == NULL)
        how = &nobody;
    if (a->state != m->from)
        return ERR_CONFLICT;
#ifdef CS_TESTING
    crash_point(m->before);
#endif
    struct action next = *a;
    next.state = m->to;
    if (state_ended(m->to))
        next.ended_at = life_now(w->l);
    int64_t seq = 0;
    int r = 0;
    if (m->from == STATE_NEW)
        r = life_audit(tx, w->l, a, AUDIT_ACTION_PROPOSED, how, &seq);
    if (r == 0)
        r = life_audit(tx, w->l, &next, m->audit, how, &seq);
    next.changed_seq = seq;
    if (r == 0)
        r = m->from == STATE_NEW ? insert_row(tx, &next, how) : update_row(tx, m->from, &next, how);
    if (r == 0)
        r = follow_load(tx, &next, m->from);
    if (r == 0)
        r = follow_deadline(tx, &next, m->from);
    if (r == 0)
        r = resume_enqueue(tx, w->l, &next);
    if (r == 0)
        r = store_high_time(tx, w->l);
    if (r != 0)
        return r;
    *a = next;
    work_changed(w, a, seq, next.tier == 1 && state_settled(m->to), (int)ev);
    return 0;
}
