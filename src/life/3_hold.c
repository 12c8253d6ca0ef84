/* Hold: what a paused action is bound to, until when, and who may let it go on. The binding names
 * all that must not change between a person's click and the send; changing any of it is a new
 * revision. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>

static const json_t *at_pointer(const struct judged *j, const char *pointer)
{
    const json_t *body = request_body(&j->request);
    return pointer != NULL && body != NULL ? json_at(body, str_c(pointer)) : NULL;
}

/* When the provider made what this call depends on, if it was made through us. 0: not known. */
static int made_at(struct store_tx *tx, const struct action *a, const struct judged *j,
                   int64_t *ret)
{
    *ret = 0;
    const struct operation *op = j->request.op;
    if (op == NULL || op->decide_kind == NULL)
        return 0;
    struct str key = json_text(at_pointer(j, op->decide_key));
    if (key.n == 0)
        return 0;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_REMEMBERED, &rows, V_TEXT(a->workspace), V_TEXT(a->connection),
                         V_C(op->decide_kind), V_TEXT(key));
    if (r == 0)
        r = store_next(rows);
    if (r == 0)
        *ret = store_int(rows, 0);
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static int deadlines(struct store_tx *tx, struct life *l, struct action *a, const struct judged *j)
{
    int64_t now = life_now(l), made = 0;
    int r = made_at(tx, a, j, &made);
    if (r != 0)
        return r;
    a->decide_by = now + j->verdict.decide_within;
    const struct operation *op = j->request.op;
    if (made > 0 && op->decide_within > 0 && made + op->decide_within < a->decide_by)
        a->decide_by = made + op->decide_within;
    a->execute_by = a->decide_by + j->verdict.execute_within;
    return 0;
}

static char *canonical(struct arena *ar, const json_t *v)
{
    struct buf b;
    buf_init(&b, 0);
    char *text = canon_write(v, &b) == 0 ? arena_cstr(ar, buf_view(&b)) : NULL;
    buf_free(&b);
    return text;
}

static const char *evidence_text(enum evidence e)
{
    switch (e) {
    case EVIDENCE_SESSION:
        return "session";
    case EVIDENCE_PASSKEY:
        return "passkey";
    case EVIDENCE_IMPOSSIBLE:
        break;
    }
    return "impossible";
}

int hold_bind(struct store_tx *tx, struct life *l, struct action *a, struct arena *ar,
              const struct judged *j)
{
    int r = deadlines(tx, l, a, j);
    if (r != 0)
        return r;
    unsigned char random[16];
    l->o.env->random(l->o.env->arg, random, sizeof random);
    char *nonce = arena_alloc(ar, sizeof random * 2 + 1);
    char *hash = arena_alloc(ar, HASH_TEXT);
    char *quorum = canonical(ar, j->verdict.quorum);
    char *reasons = canonical(ar, j->verdict.reasons);
    if (nonce == NULL || hash == NULL || quorum == NULL || reasons == NULL)
        return ERR_NOMEM;
    hex_encode(nonce, random, sizeof random);
    a->tier = j->verdict.tier;
    a->nonce = str_c(nonce);
    a->quorum = str_c(quorum);
    a->reasons = str_c(reasons);
    a->evidence = str_c(evidence_text(j->verdict.evidence));
    a->policy_digest = arena_str(ar, str_c(policy_digest(j->rules->policy)));
    a->given = 0;
    struct binding b = action_binding(a);
    r = binding_hash(&b, hash);
    a->binding = str_c(hash);
    return r;
}

int hold_again(struct store_tx *tx, struct work *w, struct action *a, struct arena *ar,
               const struct judged *j)
{
    a->revision++;
    a->decided_at = 0;
    a->approvers = STR("");
    int r = hold_bind(tx, w->l, a, ar, j);
    return r != 0 ? r
                  : life_advance(tx, w, a, EVENT_stricter,
                                 &(struct advance){.channel = STR("policy")});
}

/* --- withdrawing ---------------------------------------------------------------------------------
 */

struct cancel {
    struct work work; /* first */
    struct arena *arena;
    struct str workspace, id, agent;
    struct fail *fail;
    bool revoke;
    int64_t until;
};

static int cancel_event(enum state s, enum life_event *ret)
{
    static const struct {
        enum state from;
        enum life_event event;
    } by[] = {{STATE_PENDING, EVENT_cancel_pending},
              {STATE_APPROVED, EVENT_cancel_approved},
              {STATE_BLOCKED, EVENT_cancel_blocked}};
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++)
        if (by[i].from == s) {
            *ret = by[i].event;
            return 0;
        }
    return ERR_NOT_CANCELLABLE;
}

static int write_cancel(struct store_tx *tx, void *arg)
{
    struct cancel *c = arg;
    c->revoke = false;
    struct action a;
    int r = action_load(tx, c->arena, c->workspace, c->id, &a);
    if (r == 0 && !str_eq(a.agent, c->agent))
        r = ERR_NOT_FOUND;
    if (r != 0)
        return fail_set(c->fail, r, "there is no such action");
    if (a.state == STATE_CANCELLED)
        return 0;
    enum life_event ev;
    if (cancel_event(a.state, &ev) != 0)
        return fail_set(c->fail, ERR_NOT_CANCELLABLE, "the action is %s", state_text(a.state));
    c->revoke = true;
    c->until = a.execute_by;
    return life_advance(tx, &c->work, &a, ev,
                        &(struct advance){.by = c->agent, .channel = STR("api")});
}

/* keeper remembers what must never be executed, in case the database is put back to an older state.
 */
static void tell_keeper(struct life *l, struct str workspace, struct str id, int64_t until)
{
    struct revocation rev = {REVOKE_ACTION, workspace, id, until, true};
    if (keeper_revoke(l->keeper, &rev) != 0)
        log_event(LOG_WARN, "life.revoke_not_heard", KV_S("action", id));
}

int life_cancel(struct life *l, struct str workspace, struct str id, const struct agent *agent,
                struct fail *f)
{
    struct cancel *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    c->arena = arena_new(ARENA_MAX);
    c->workspace = workspace;
    c->id = id;
    c->agent = str_c(agent->id);
    c->fail = f;
    int r = c->arena != NULL ? life_work(l, write_cancel, &c->work) : ERR_NOMEM;
    if (r == 0 && c->revoke)
        tell_keeper(l, workspace, id, c->until);
    arena_free(c->arena);
    free(c);
    return r;
}
