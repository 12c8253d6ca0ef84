/* What keeper demands before it sends. Each step stands for itself and refuses with its own error;
 * their order is the order of `steps`. Nothing here believes gate: what an order says is compared
 * with keeper's own roster, policy, connectors and journal, or with a MAC. */
#include "keeper/check.h"

#include <sodium.h>

#include "keeper/grant.h"
#include "keeper/seal.h"

struct checking {
    struct keeper *k;
    const struct exec_order *o;
    const struct ledger *ledger;
    struct checked *c;
    struct fail *f;
    json_t *quorum; /* as bound */
};

static int epoch_is_ours(struct checking *x)
{
    if (!str_eq_c(x->o->epoch, x->ledger->epoch))
        return fail_set(x->f, ERR_K_GRANT,
                        "the order was made for another epoch of keeper's journal");
    return 0;
}

static int roster_knows(struct checking *x)
{
    const struct binding *b = &x->o->about;
    const struct roster *r = x->k->roster.now;
    struct checked *c = x->c;
    c->agent = r ? roster_agent(r, b->agent) : NULL;
    c->connection = r ? roster_connection(r, b->connection) : NULL;
    if (!c->agent || !c->connection || !str_eq_c(b->workspace, c->agent->workspace) ||
        !agent_may_use(c->agent, c->connection))
        return fail_set(x->f, ERR_K_ROSTER, "the agent may not use this connection");
    c->connector = connectors_find(c->rules->connectors, str_c(c->connection->connector));
    if (!c->connector)
        return fail_set(x->f, ERR_K_ROSTER, "the connection's connector is not known");
    return 0;
}

static int payload_is_approved(struct checking *x)
{
    int r = request_read(x->c->connector, x->o->request, &x->c->request, x->f);
    if (r)
        return r;
    if (!str_eq_c(x->o->about.payload_hash, x->c->request.hash))
        return fail_set(x->f, ERR_K_HASH, "the payload's hash is not the one given");
    return 0;
}

static int policy_allows(struct checking *x)
{
    struct checked *c = x->c;
    struct policy_facts facts = {.workspace = x->o->about.workspace,
                                 .agent = x->o->about.agent,
                                 .agent_name = str_c(c->agent->name),
                                 .connection = str_c(c->connection->name),
                                 .connector = c->connector,
                                 .op = c->request.op,
                                 .method = str_c(request_method(&c->request)),
                                 .path = str_c(request_path(&c->request))};
    policy_verdict(c->rules->policy, &facts, &c->verdict);
    if (c->verdict.decision == DECISION_DENY)
        return fail_set(x->f, ERR_K_DENIED, "policy never allows this");
    c->voted =
        c->verdict.tier >= 2 || x->o->about.tier >= 2 || c->verdict.decision != DECISION_EXECUTE;
    c->journalled = c->voted || !operation_is_read(c->request.op);
    return 0;
}

static int nothing_revoked(struct checking *x)
{
    const struct binding *b = &x->o->about;
    const struct revoke_set *set = &x->ledger->revoked;
    const char *op = x->c->request.op ? x->c->request.op->name : "";
    struct buf operation = {0};
    buf_printf(&operation, "%s/%s", x->c->connector->name, op);
    if (buf_err(&operation))
        return ERR_NOMEM;
    const struct {
        enum revoke_kind kind;
        struct str id;
        const char *text;
    } asks[] = {
        {REVOKE_ACTION, b->action, "the action was revoked"},
        {FREEZE_WORKSPACE, STR(""), "the workspace is frozen"},
        {FREEZE_AGENT, b->agent, "the agent is frozen"},
        {FREEZE_CONNECTION, b->connection, "the connection is frozen"},
        {FREEZE_OPERATION, buf_view(&operation), "the operation is frozen"},
    };
    int r = 0;
    for (size_t i = 0; i < sizeof asks / sizeof *asks && !r; i++)
        if (revoke_holds(set, asks[i].kind, b->workspace, asks[i].id, x->c->now))
            r = fail_set(x->f, ERR_K_REVOKED, "%s", asks[i].text);
    buf_free(&operation);
    return r;
}

/* Tiers 0 and 1 need no votes and so no bound tier; one that policy has raised to them does. */
static int tier_is_bound(struct checking *x)
{
    const struct verdict *v = &x->c->verdict;
    if (x->c->voted && v->tier > x->o->about.tier)
        return fail_set(x->f, ERR_K_STRICTER, "policy says tier %d, bound was tier %d", v->tier,
                        x->o->about.tier);
    if (x->c->voted && v->tier >= 2 && v->evidence != EVIDENCE_SESSION)
        return fail_set(x->f, ERR_K_STRICTER, "policy demands evidence that keeper cannot verify");
    return 0;
}

static int not_expired(struct checking *x)
{
    int64_t by = x->o->about.execute_by;
    if ((x->c->voted && by <= 0) || (by != 0 && x->c->now > by))
        return fail_set(x->f, ERR_K_EXPIRED, "execute_by has passed");
    return 0;
}

static struct vote_rules vote_rules(const struct checking *x)
{
    return (struct vote_rules){.kek = &x->k->kek,
                               .ledger = x->ledger,
                               .roster = x->k->roster.now,
                               .agent = x->c->agent,
                               .quorum = x->quorum,
                               .now = x->c->now,
                               .session_absolute = x->k->cfg->session_absolute};
}

static int grant_is_valid(struct checking *x)
{
    struct vote_rules rules = vote_rules(x);
    return x->c->voted ? grant_check(&rules, x->o, x->f) : 0;
}

/* The quorum that was bound, and the one that policy asks for now. */
static int votes_are_enough(struct checking *x)
{
    const struct verdict *v = &x->c->verdict;
    struct quorum_state state;
    struct counted counted;
    if (!x->c->voted)
        return 0;
    if (json_read(x->o->about.quorum, &x->quorum, NULL))
        return fail_set(x->f, ERR_K_QUORUM, "the bound quorum cannot be read");
    struct vote_rules rules = vote_rules(x);
    int r = grant_count_votes(&rules, x->o, &counted, x->f);
    if (r || v->tier < 2)
        return r;
    quorum_count(v->quorum, x->k->roster.now, x->c->agent, counted.person, counted.n, &state);
    if (!state.met)
        return fail_set(x->f, ERR_K_STRICTER, "policy now asks for other approvers");
    return 0;
}

/* --- may this attempt be made? -------------------------------------------------------------- */

static bool had_no_effect(const struct attempt *a)
{
    return a->done && (a->kind == RESULT_NOT_SENT ||
                       (a->kind == RESULT_ANSWERED &&
                        (a->class == ANSWER_REAUTH || a->class == ANSWER_RATE_LIMITED ||
                         a->class == ANSWER_FAILED)));
}

static bool was_answered(const struct attempt *a)
{
    return a->done && a->kind == RESULT_ANSWERED &&
           (a->class == ANSWER_SUCCEEDED || a->class == ANSWER_DECLINED);
}

/* May the provider get it twice? Only the very same call under the same key, inside its window. */
static bool harmless_again(const struct checking *x, const struct attempt *a)
{
    const struct operation *op = x->c->request.op;
    bool keyed =
        op && (op->idem == IDEM_PAYLOAD || (op->idem != IDEM_NONE && x->o->idem_key.n > 0));
    return operation_is_read(op) || (keyed && memcmp(a->same, x->c->same, SAME_BYTES) == 0 &&
                                     x->c->now - a->sent_at < op->idem_window / 10 * 9);
}

static void fingerprint(const struct exec_order *o, const char *hash, unsigned char out[SAME_BYTES])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, SAME_BYTES);
    crypto_generichash_update(&st, (const unsigned char *)hash, strlen(hash) + 1);
    crypto_generichash_update(&st, (const unsigned char *)o->idem_key.p, o->idem_key.n);
    crypto_generichash_final(&st, out, SAME_BYTES);
}

static int attempt_is_free(struct checking *x)
{
    const struct exec_order *o = x->o;
    int64_t earlier = 0;
    fingerprint(o, x->c->request.hash, x->c->same);
    if (o->attempt < 1)
        return fail_set(x->f, ERR_K_USED, "attempts count from 1");
    for (const struct attempt *a = ledger_attempts(x->ledger, o->about.workspace, o->about.action);
         a; a = a->older) {
        if (a->number == o->attempt)
            return fail_set(x->f, ERR_K_USED, "this attempt has been sent");
        if (was_answered(a))
            return fail_set(x->f, ERR_K_USED, "an earlier attempt was carried out");
        if (!had_no_effect(a) && !harmless_again(x, a))
            return fail_set(x->f, ERR_K_USED, "nobody knows what an earlier attempt did");
        earlier += a->number < o->attempt;
    }
    /* No entry means that nothing was sent, unless the journal that knew of it is gone. */
    bool older =
        !id_valid("act", o->about.action) || id_time(o->about.action) < x->ledger->epoch_started;
    if (earlier < o->attempt - 1 && older && x->c->journalled)
        return fail_set(x->f, ERR_K_USED,
                        "the journal does not reach back to the earlier attempts");
    return 0;
}

static int credential_opens(struct checking *x)
{
    const struct connection *con = x->c->connection;
    struct credential_place place = {.workspace = str_c(con->workspace),
                                     .connection = str_c(con->id),
                                     .base_url = str_c(con->base_url),
                                     .version = con->credential};
    struct buf clear = {0};
    int r = seal_open_credential(&x->k->kek, &place, x->o->credential, &clear);
    if (!r)
        r = json_read(buf_view(&clear), &x->c->secrets, NULL);
    buf_wipe(&clear);
    if (r || !json_is_object(x->c->secrets))
        return fail_set(x->f, ERR_K_CREDENTIAL, "the credential does not open for this connection");
    return 0;
}

static int request_can_be_built(struct checking *x)
{
    return request_wire(x->c->connector, &x->c->request, x->c->secrets, x->o->idem_key, &x->c->wire,
                        x->f);
}

static const struct step {
    int (*demand)(struct checking *x);
    bool for_grant; /* demanded before a grant is given, too */
} steps[] = {
    {epoch_is_ours, true},    {roster_knows, true},      {payload_is_approved, true},
    {policy_allows, true},    {nothing_revoked, true},   {tier_is_bound, true},
    {not_expired, true},      {grant_is_valid, false},   {votes_are_enough, true},
    {attempt_is_free, false}, {credential_opens, false}, {request_can_be_built, false},
};

static int run(struct checking *x, bool for_grant)
{
    x->ledger = journal_ledger(x->k->journal);
    x->c->now = journal_now(x->k->journal);
    x->c->rules = rules_ref(x->k->rules);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int r = for_grant && !steps[i].for_grant ? 0 : steps[i].demand(x);
        if (r)
            return r;
    }
    return 0;
}

int check_execute(struct keeper *k, const struct exec_order *o, struct checked *ret, struct fail *f)
{
    struct checked c = {0};
    struct checking x = {.k = k, .o = o, .c = &c, .f = f};
    int r = run(&x, false);
    json_decref(x.quorum);
    if (r)
        checked_free(&c);
    else
        *ret = c;
    return r;
}

int check_grant(struct keeper *k, const struct exec_order *o, struct buf *ret_grant, struct fail *f)
{
    struct checked c = {0};
    struct checking x = {.k = k, .o = o, .c = &c, .f = f};
    int r = run(&x, true);
    if (!r && !c.voted)
        r = fail_set(f, ERR_K_GRANT, "this call needs no grant");
    struct vote_rules rules = vote_rules(&x);
    if (!r)
        r = grant_issue(&rules, o, ret_grant);
    json_decref(x.quorum);
    checked_free(&c);
    return r;
}

void checked_free(struct checked *c)
{
    request_free(&c->request);
    verdict_free(&c->verdict);
    json_decref(c->secrets);
    wire_free(&c->wire);
    rules_unref(c->rules);
    *c = (struct checked){0};
}
