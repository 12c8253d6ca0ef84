/* Propose: an agent asks for a call. Judged first (2_classify.c); then one transaction joins an
 * action that is there already, or writes a new one down: denied, held for people (3_hold.c), or
 * about to be sent. A read at tier 0 whose caller waits is written down once, with its answer
 * (6_record.c). */
#include "life/inside.h"
#include "life/join.h"

#include <stdio.h>
#include <stdlib.h>

struct propose {
    struct work work; /* first */
    const struct proposal *p;
    struct judged judged;
    struct join join;
    struct action action; /* the row to be */
    struct arena *arena;
    char id[ID_SIZE], join_hash[HASH_TEXT], account[16];
    struct buf sealed_request, sealed_extra, extra;
    struct fail *fail;
};

static struct str channel_of(const struct proposal *p)
{
    return p->from_proxy ? STR("proxy") : STR("api");
}

static char *json_text_of(struct arena *a, const json_t *v)
{
    struct buf b;
    buf_init(&b, 0);
    char *text = canon_write(v, &b) == 0 ? arena_cstr(a, buf_view(&b)) : NULL;
    buf_free(&b);
    return text;
}

/* {"note","state"} as one sealed text; absent where there is neither. */
static int make_extra(struct propose *w)
{
    const struct proposal *p = w->p;
    if (p->note.n == 0 && p->state == NULL && !p->hold_on_limit)
        return 0;
    json_t *o = json_object();
    if (o == NULL)
        return ERR_NOMEM;
    if (p->note.n > 0)
        json_object_set_new(o, "note", json_stringn(p->note.p, p->note.n));
    if (p->state != NULL)
        json_object_set_new(o, "state", json_deep_copy(p->state));
    if (p->hold_on_limit)
        json_object_set_new(o, "hold_on_limit", json_true());
    int r = json_write(o, &w->extra);
    json_decref(o);
    return r;
}

static int seal_parts(struct life *l, struct propose *w)
{
    struct action *a = &w->action;
    int r = vault_seal(l->o.vault, a->epoch, a->workspace, a->id, "request",
                       buf_view(&w->judged.request.bytes), &w->sealed_request);
    if (r == 0 && w->extra.n > 0)
        r = vault_seal(l->o.vault, a->epoch, a->workspace, a->id, "extra", buf_view(&w->extra),
                       &w->sealed_extra);
    a->sealed_request = buf_view(&w->sealed_request);
    a->sealed_extra = w->extra.n > 0 ? buf_view(&w->sealed_extra) : STR("");
    return r;
}

/* The row to be, as far as it is known before the transaction. */
static int draft(struct life *l, struct propose *w)
{
    const struct proposal *p = w->p;
    const struct judged *j = &w->judged;
    const struct operation *op = j->request.op;
    int64_t now = life_now(l);
    id_new(l->o.env, "act", w->id);
    join_hash(str_c(p->agent->id), str_c(p->connection->id), str_c(j->request.hash), w->join_hash);
    connector_account(op, j->request.doc, w->account);
    char *reasons = json_text_of(w->arena, j->verdict.reasons);
    char *quorum = json_text_of(w->arena, j->verdict.quorum);
    if (reasons == NULL || quorum == NULL)
        return ERR_NOMEM;
    w->action = (struct action){
        .workspace = str_c(p->agent->workspace),
        .id = str_c(w->id),
        .agent = str_c(p->agent->id),
        .connection = str_c(p->connection->id),
        .connector = str_c(j->connector->name),
        .operation = str_c(op != NULL ? op->name : ""),
        .product = str_c(op != NULL ? op->product : ""),
        .method = str_c(request_method(&j->request)),
        .path = str_c(request_path(&j->request)),
        .account = str_c(w->account),
        .state = STATE_NEW,
        .tier = j->verdict.tier,
        .revision = 1,
        .payload_hash = str_c(j->request.hash),
        .join_hash = str_c(w->join_hash),
        .quorum = str_c(quorum),
        .reasons = str_c(reasons),
        .policy_digest = str_c(policy_digest(j->rules->policy)),
        .idempotency_key = p->key,
        .thread = p->thread,
        .proposed_at = now,
        .epoch = vault_epoch(now),
    };
    w->join = (struct join){
        .workspace = w->action.workspace,
        .agent = w->action.agent,
        .connection = w->action.connection,
        .key = p->key,
        .payload_hash = w->action.payload_hash,
        .join_hash = w->action.join_hash,
        .soft_key = p->soft_key,
        .tier = w->action.tier,
        .now = now,
    };
    return make_extra(w);
}

static int check_load(struct store_tx *tx, struct propose *w)
{
    struct store_rows *rows = NULL;
    int r =
        STORE_SELECT(tx, Q_LOAD_GET, &rows, V_TEXT(w->action.workspace), V_TEXT(w->action.agent));
    if (r == 0)
        r = store_next(rows);
    if (r == 0 && store_int(rows, 0) >= w->work.l->o.cfg->limit_pending)
        r = fail_set(w->fail, ERR_TOO_MANY_PENDING,
                     "this agent has %lld undecided actions, the most allowed",
                     (long long)store_int(rows, 0));
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static int insert_held(struct store_tx *tx, struct propose *w, struct action *a)
{
    int r = check_load(tx, w);
    if (r == 0)
        r = hold_bind(tx, w->work.l, a, w->arena, &w->judged);
    if (r == 0)
        r = life_advance(tx, &w->work, a, EVENT_hold,
                         &(struct advance){.extra = a->sealed_extra, .channel = channel_of(w->p)});
    /* What it depends on was made too long ago: said at once, not at the first vote. */
    if (r == 0 && a->decide_by <= life_now(w->work.l))
        r = life_advance(tx, &w->work, a, EVENT_expire_pending,
                         &(struct advance){.channel = STR("clock")});
    return r;
}

static int insert_sending(struct store_tx *tx, struct propose *w, struct action *a)
{
    char key[IDEM_KEY_SIZE];
    idem_key(a, w->judged.request.op, key);
    a->attempt = 1;
    int r = life_advance(tx, &w->work, a, EVENT_send_now,
                         &(struct advance){.extra = a->sealed_extra, .channel = channel_of(w->p)});
    if (r == 0)
        r = send_row(tx, w->work.l, a, str_c(key), STR(""));
    if (r == 0 && a->tier == 1)
        r = STORE_EXEC(tx, Q_NOTICE_ADD, NULL, V_TEXT(a->workspace), V_TEXT(a->id),
                       V_INT(a->proposed_at));
    return r;
}

static int insert_new(struct store_tx *tx, struct propose *w, struct action *a)
{
    switch (w->judged.verdict.decision) {
    case DECISION_HOLD:
        return insert_held(tx, w, a);
    case DECISION_EXECUTE:
        return insert_sending(tx, w, a);
    case DECISION_DENY:
        break;
    }
    return life_advance(tx, &w->work, a, EVENT_deny,
                        &(struct advance){.extra = a->sealed_extra, .channel = channel_of(w->p)});
}

static int write_proposal(struct store_tx *tx, void *arg)
{
    struct propose *w = arg;
    int r = join_find(tx, &w->join);
    if (r == ERR_IDEMPOTENCY_MISMATCH)
        return fail_field(w->fail, r, "idempotency_key",
                          "this idempotency key belongs to another payload");
    if (r != 0)
        return r;
    struct action a = w->action; /* the function may run again */
    struct str id = w->join.joined ? str_c(w->join.id) : a.id;
    if (w->p->resume != NULL) /* first, so that it hears of the hold itself */
        r = resume_add(tx, w->work.l, w->arena, a.workspace, id, w->p->resume, w->join.joined);
    if (r == 0 && !w->join.joined) {
        a.attempt_of = str_c(w->join.attempt_of);
        r = insert_new(tx, w, &a);
    }
    if (r == 0)
        r = join_remember(tx, &w->join, id);
    if (r == 0)
        w->action = a;
    return r;
}

/* --- a read that is written down once ------------------------------------------------------------
 */

static bool read_once(const struct propose *w)
{
    return w->p->from_proxy && w->p->key.n == 0 && w->p->resume == NULL && w->action.tier == 0 &&
           w->judged.verdict.decision == DECISION_EXECUTE &&
           operation_is_read(w->judged.request.op);
}

static int start_read(struct life *l, struct propose *w, struct proposed *ret)
{
    struct flight *fl = flight_new(l, w->action.workspace, w->id);
    if (fl == NULL)
        return ERR_NOMEM;
    w->action.attempt = 1;
    /* The flight keeps the row's texts: the arena moves over to it. */
    struct action *row = &fl->pending_row;
    *row = w->action;
    struct str *text[] = {
        &row->workspace,    &row->id,        &row->agent,         &row->connection, &row->connector,
        &row->operation,    &row->product,   &row->method,        &row->path,       &row->account,
        &row->payload_hash, &row->join_hash, &row->policy_digest, &row->thread};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        *text[i] = arena_str(w->arena, *text[i]);
    fl->clear_request = arena_str(w->arena, buf_view(&w->judged.request.bytes));
    fl->clear_extra = arena_str(w->arena, buf_view(&w->extra));
    bool whole = !arena_overflowed(w->arena);
    fl->arena = w->arena;
    w->arena = arena_new(ARENA_MAX);
    fl->read_once = true;
    int r = whole && w->arena != NULL ? 0 : ERR_NOMEM;
    if (r == 0)
        r = hand_over(l, w->arena, row, fl->clear_request, STR(""), NULL, 0);
    if (r != 0) {
        flight_land(l, fl);
        flight_unref(fl);
        return r == ERR_NOMEM
                   ? r
                   : fail_set(w->fail, ERR_UNAVAILABLE, "the sending process is not ready");
    }
    memcpy(ret->id, w->id, ID_SIZE);
    ret->flight = fl;
    ret->tier = 0;
    ret->state = STATE_NEW;
    return 0;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int write_and_send(struct life *l, struct propose *w, struct proposed *ret)
{
    bool sends = w->judged.verdict.decision == DECISION_EXECUTE;
    struct flight *fl = NULL;
    int r = seal_parts(l, w);
    if (r != 0)
        return r;
    if (sends) {
        fl = flight_new(l, w->action.workspace, w->id);
        if (fl == NULL)
            return ERR_NOMEM;
        pthread_rwlock_rdlock(&l->egress);
    }
    r = life_work(l, write_proposal, &w->work);
    bool joined = r == 0 && w->join.joined;
    if (sends && r == 0 && !joined &&
        hand_over(l, w->arena, &w->action, buf_view(&w->judged.request.bytes), STR(""), NULL, 0) !=
            0)
        log_event(LOG_WARN, "life.not_handed_over", KV_C("action", w->id));
    if (sends)
        pthread_rwlock_unlock(&l->egress);
    if (fl != NULL && (r != 0 || joined)) {
        flight_land(l, fl);
        flight_unref(fl);
        fl = NULL;
    }
    if (r != 0)
        return r;
    memcpy(ret->id, joined ? w->join.id : w->id, ID_SIZE);
    ret->joined = joined;
    ret->flight = fl;
    ret->tier = w->action.tier;
    ret->state = w->action.state;
    atomic_fetch_add(joined ? &l->stat.joined : &l->stat.proposed, 1);
    return 0;
}

static int check_sendable(struct life *l, const struct propose *w, struct fail *f)
{
    if (w->judged.verdict.decision != DECISION_EXECUTE)
        return 0;
    char op[160];
    snprintf(op, sizeof op, "%s/%s", w->judged.connector->name,
             w->judged.request.op != NULL ? w->judged.request.op->name : "");
    if (life_frozen(l, w->action.workspace, w->action.agent, w->action.connection, str_c(op)))
        return fail_set(f, ERR_FROZEN,
                        "an operator has stopped this kind of call for now; nothing was sent");
    return l->ready ? 0 : fail_set(f, ERR_UNAVAILABLE, "not ready to send yet; please try again");
}

int life_propose(struct life *l, const struct proposal *p, struct proposed *ret, struct fail *f)
{
    if (l->stopping)
        return fail_set(f, ERR_UNAVAILABLE, "shutting down; please try again");
    int r = resume_check(p->agent, p->resume, f);
    struct propose *w = r == 0 ? calloc(1, sizeof *w) : NULL;
    if (w == NULL)
        return r != 0 ? r : ERR_NOMEM;
    w->p = p;
    w->fail = f;
    w->arena = arena_new(ARENA_MAX);
    struct proposed out = {.state = STATE_NEW};
    r = w->arena != NULL ? judge(l, p, &w->judged, f) : ERR_NOMEM;
    if (r == 0)
        r = draft(l, w);
    if (r == 0)
        r = check_sendable(l, w, f);
    if (r == 0)
        r = read_once(w) ? start_read(l, w, &out) : write_and_send(l, w, &out);
    if (r == 0)
        *ret = out;
    judged_free(&w->judged);
    buf_free(&w->sealed_request);
    buf_free(&w->sealed_extra);
    buf_wipe(&w->extra);
    arena_free(w->arena);
    free(w);
    return r;
}
