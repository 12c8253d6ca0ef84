/* Execute: an approved action is checked once more, keeper is asked for a grant, the intent to send
 * is committed, and only then is the order handed over. Nothing here knows a credential. */
#include "life/inside.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* The key that the provider sees, the same for every attempt: derived from the action's id, which
 * was there before anybody was asked. "" where the operation takes none. */
void idem_key(const struct action *a, const struct operation *op, char out[IDEM_KEY_SIZE])
{
    out[0] = '\0';
    if (op == NULL || (op->idem != IDEM_BODY && op->idem != IDEM_HEADER))
        return;
    unsigned char h[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state st;
    crypto_hash_sha256_init(&st);
    crypto_hash_sha256_update(&st, (const unsigned char *)"cs-idem-v1", 10);
    crypto_hash_sha256_update(&st, (const unsigned char *)a->id.p, a->id.n);
    crypto_hash_sha256_final(&st, h);
    sodium_bin2base64(out, IDEM_KEY_SIZE, h, sizeof h, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

int send_row(struct store_tx *tx, struct life *l, const struct action *a, struct str key,
             struct str grant)
{
    char epoch[33];
    identity_epoch(l, epoch);
    return STORE_EXEC(tx, Q_SEND_INSERT, NULL, V_TEXT(a->workspace), V_TEXT(a->id),
                      V_INT(a->attempt), V_INT(a->revision), V_C(epoch), V_OPT(key), V_OPT(grant),
                      V_INT(life_now(l)));
}

/* --- the order ------------------------------------------------------------------------------- */

struct credential {
    struct str workspace, connection;
    int64_t version;
    struct buf box;
};

static int read_credential(struct store_tx *tx, void *arg)
{
    struct credential *c = arg;
    buf_clear(&c->box);
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_CREDENTIAL_GET, &rows, V_TEXT(c->workspace), V_TEXT(c->connection),
                         V_INT(c->version));
    if (r == 0)
        r = store_next(rows);
    if (r == 0)
        buf_str(&c->box, store_text(rows, 0));
    store_end(rows);
    return r == ERR_DONE ? ERR_K_CREDENTIAL : r;
}

struct order {
    struct exec_order o;
    struct credential credential;
    char key[IDEM_KEY_SIZE], epoch[33];
};

static void fill_votes(struct arena *ar, struct exec_order *o, const struct action *a,
                       const struct action_vote *v, size_t n)
{
    struct vote *out = arena_alloc(ar, (n + 1) * sizeof *out);
    for (size_t i = 0; out != NULL && i < n; i++)
        out[i] = (struct vote){.binding = v[i].binding.n > 0 ? v[i].binding : a->binding,
                               .person = v[i].person,
                               .decision = v[i].decision,
                               .at = v[i].at,
                               .auth_time = v[i].auth_time,
                               .session = v[i].session,
                               .evidence = v[i].evidence,
                               .mac = v[i].mac};
    o->vote = out;
    o->n_votes = out != NULL ? n : 0;
}

static const struct operation *operation_of(struct rules *rules, const struct action *a)
{
    const struct connector *c = connectors_find(rules->connectors, a->connector);
    return c != NULL ? connector_operation(c, a->operation) : NULL;
}

static int make_order(struct life *l, struct arena *ar, const struct action *a, struct str request,
                      const struct action_vote *v, size_t n, struct order *ret)
{
    struct roster *roster = life_roster(l);
    struct rules *rules = life_rules(l);
    const struct connection *con = life_connection(roster, a);
    *ret = (struct order){.credential = {.workspace = a->workspace, .connection = a->connection}};
    identity_epoch(l, ret->epoch);
    idem_key(a, operation_of(rules, a), ret->key);
    int r = con != NULL ? 0 : ERR_K_ROSTER;
    if (r == 0) {
        ret->credential.version = con->credential;
        r = store_read(l->o.store, read_credential, &ret->credential);
    }
    ret->o = (struct exec_order){
        .about = action_binding(a),
        .attempt = a->attempt,
        .request = request,
        .credential = buf_view(&ret->credential.box),
        .idem_key = str_c(ret->key),
        .epoch = str_c(ret->epoch),
        .may_stream = a->tier <= 1,
    };
    fill_votes(ar, &ret->o, a, v, n);
    rules_unref(rules);
    roster_unref(roster);
    if (r != 0)
        buf_free(&ret->credential.box);
    return r;
}

int hand_over(struct life *l, struct arena *ar, const struct action *a, struct str request,
              struct str grant, const struct action_vote *v, size_t n)
{
    struct order order;
    int r = make_order(l, ar, a, request, v, n, &order);
    if (r != 0)
        return r;
    order.o.grant = grant;
    r = keeper_execute(l->keeper, &order.o);
    buf_free(&order.credential.box);
    return r;
}

/* --- from approved to sending ---------------------------------------------------------------- */

struct execute {
    struct work work; /* first */
    struct arena *arena;
    struct roster *roster;
    struct action action;
    struct action_vote *vote;
    const char **why;
    size_t n;
    struct buf request, grant;
    struct judged judged;
    bool judged_ok;
    enum life_event event; /* send, unblock or again */
    char key[IDEM_KEY_SIZE];
    struct str workspace, id;
};

static int load_execute(struct store_tx *tx, void *arg)
{
    struct execute *e = arg;
    e->vote = arena_alloc(e->arena, VOTES_MAX * sizeof *e->vote);
    e->why = arena_alloc(e->arena, (VOTES_MAX + 1) * sizeof *e->why);
    if (e->vote == NULL || e->why == NULL)
        return ERR_NOMEM;
    int r = action_load(tx, e->arena, e->workspace, e->id, &e->action);
    return r != 0 ? r : action_votes(tx, e->arena, &e->action, e->vote, VOTES_MAX, &e->n);
}

static int write_sending(struct store_tx *tx, void *arg)
{
    struct execute *e = arg;
    struct action a = e->action;
    a.attempt++;
    a.error_code = STR("");
    int r = life_advance(tx, &e->work, &a, e->event, &(struct advance){.channel = STR("system")});
    if (r == 0)
        r = send_row(tx, e->work.l, &a, str_c(e->key), buf_view(&e->grant));
    if (r == 0)
        r = job_drop(tx, a.workspace, JOB_SEND, a.id);
    if (r == 0)
        e->action = a;
    return r;
}

static int write_stricter(struct store_tx *tx, void *arg)
{
    struct execute *e = arg;
    struct action a = e->action;
    if (!e->judged_ok || e->judged.verdict.decision != DECISION_HOLD) {
        /* Policy now never allows it, or what it was for is gone: nobody is to be asked again. */
        a.error_code = STR("denied-by-policy");
        return life_advance(tx, &e->work, &a, EVENT_cancel_approved,
                            &(struct advance){.channel = STR("policy")});
    }
    return hold_again(tx, &e->work, &a, e->arena, &e->judged);
}

/* Do gate's own checks still hold? keeper makes them all again; these keep a hopeless order from
 * it. */
static bool still_good(struct life *l, struct execute *e)
{
    struct quorum_state q;
    life_count(l, e->roster, &e->action, e->vote, e->n, e->why, &q);
    if (!q.met || !e->judged_ok || e->judged.verdict.decision == DECISION_DENY)
        return false;
    return e->judged.verdict.tier <= e->action.tier;
}

static int ask_grant(struct life *l, struct execute *e, struct fail *f)
{
    struct order order;
    struct action next = e->action;
    next.attempt++;
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) /* only what counts goes to keeper */
        if (e->why[i] == NULL)
            e->vote[n++] = e->vote[i];
    e->n = n;
    int r = make_order(l, e->arena, &next, buf_view(&e->request), e->vote, n, &order);
    if (r == 0) {
        r = keeper_grant(l->keeper, &order.o, &e->grant, f);
        buf_free(&order.credential.box);
    }
    return r;
}

/* A further attempt that may not be made: what the last one did stays unknown. */
static int write_lost(struct store_tx *tx, void *arg)
{
    struct execute *e = arg;
    struct action a = e->action;
    return life_advance(tx, &e->work, &a, EVENT_lose, &(struct advance){.channel = STR("system")});
}

static void give_up(struct life *l, struct execute *e)
{
    if (e->event == EVENT_again && life_work(l, write_lost, &e->work) != 0)
        log_event(LOG_ERROR, "life.not_given_up", KV_S("action", e->id));
}

static void go_back(struct life *l, struct execute *e, int why)
{
    if (e->action.state != STATE_APPROVED) {
        give_up(l, e); /* blocked: its deadline decides */
        return;
    }
    log_event(LOG_WARN, "life.back_to_people", KV_S("action", e->id), KV_C("why", err_name(why)));
    if (life_work(l, write_stricter, &e->work) != 0)
        log_event(LOG_ERROR, "life.not_put_back", KV_S("action", e->id));
}

static void send_granted(struct life *l, struct execute *e)
{
    idem_key(&e->action, e->judged.request.op, e->key);
    int r = life_work(l, write_sending, &e->work);
    if (r != 0)
        return; /* somebody else was quicker, or the store is down: the sweep comes by */
    r = hand_over(l, e->arena, &e->action, buf_view(&e->request), buf_view(&e->grant), e->vote,
                  e->n);
    if (r != 0)
        log_event(LOG_WARN, "life.not_handed_over", KV_S("action", e->id),
                  KV_C("why", err_name(r)));
}

static bool event_for(enum state s, enum life_event *ret)
{
    *ret = s == STATE_BLOCKED ? EVENT_unblock : s == STATE_SENDING ? EVENT_again : EVENT_send;
    return s == STATE_APPROVED || s == STATE_BLOCKED || s == STATE_SENDING;
}

static void execute_loaded(struct life *l, struct execute *e)
{
    struct action *a = &e->action;
    char op[200];
    snprintf(op, sizeof op, "%.*s/%.*s", STR_FMT(a->connector), STR_FMT(a->operation));
    if (!event_for(a->state, &e->event) ||
        life_frozen(l, a->workspace, a->agent, a->connection, str_c(op)))
        return;
    if (a->execute_by > 0 && a->execute_by <= life_now(l)) {
        give_up(l, e);
        return;
    }
    int r = action_request(l->o.vault, a, &e->request);
    if (r != 0) {
        log_event(LOG_ERROR, "life.payload_unreadable", KV_S("action", e->id),
                  KV_C("why", err_name(r)));
        return;
    }
    e->judged_ok = judge_again(l, e->roster, a, buf_view(&e->request), &e->judged, NULL) == 0;
    if (!still_good(l, e)) {
        go_back(l, e, ERR_K_STRICTER);
        return;
    }
    struct fail f = {0};
    r = ask_grant(l, e, &f);
    if (r == 0)
        send_granted(l, e);
    else if (r >= ERR_K_HASH && r <= ERR_K_CREDENTIAL && r != ERR_K_EXPIRED && r != ERR_K_REVOKED)
        go_back(l, e, r);
    else
        log_event(LOG_WARN, "life.no_grant", KV_S("action", e->id), KV_C("why", err_name(r)));
}

void life_execute(struct life *l, struct str workspace, struct str id)
{
    if (l->stopping || l->lost)
        return;
    struct execute *e = calloc(1, sizeof *e);
    if (e == NULL)
        return;
    e->arena = arena_new(ARENA_MAX);
    e->roster = life_roster(l);
    e->workspace = workspace;
    e->id = id;
    pthread_rwlock_rdlock(&l->egress);
    if (e->arena != NULL && store_read(l->o.store, load_execute, e) == 0)
        execute_loaded(l, e);
    pthread_rwlock_unlock(&l->egress);
    judged_free(&e->judged);
    buf_wipe(&e->request);
    buf_free(&e->grant);
    roster_unref(e->roster);
    arena_free(e->arena);
    free(e);
}
