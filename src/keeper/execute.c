/* An order's way through keeper. SENT is journalled and synced between check and launch; DONE
 * before the result leaves. Refuses an attempt that is still under way, and orders beyond the
 * bounds. */
#include "keeper/execute.h"

#include <search.h>
#include <stdlib.h>

#include "base/crash.h"
#include "base/log.h"
#include "keeper/answer.h"
#include "keeper/check.h"
#include "keeper/messages.h"

enum { EXECUTIONS_MOST = 8192, KEPT_BYTES_MOST = 256 << 20 };

enum state { WAITING = 0, STAGED, SENDING, ENDED };
struct execution {
    struct keeper_result r; /* action, workspace and attempt are the key */
    struct keeper *k;
    struct execution *next; /* in the waiting or the staged list */
    enum state state;
    uint64_t id;        /* of the EXECUTE */
    struct frame frame; /* until it is checked */
    struct exec_order order;
    struct vote *votes;
    bool may_stream;
    struct checked checked; /* from check to end */
    size_t kept;            /* counted in k->kept_bytes */
};

static int compare(const void *va, const void *vb)
{
    const struct keeper_result *a = va, *b = vb;
    int r = strcmp(a->action, b->action);
    if (r == 0)
        r = strcmp(a->workspace, b->workspace);
    return r ? r : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

static bool key(struct keeper_result *r, struct str workspace, struct str action, int64_t attempt)
{
    r->attempt = attempt;
    return action.n > 0 && str_copy(r->workspace, sizeof r->workspace, workspace) &&
           str_copy(r->action, sizeof r->action, action);
}

static struct execution *find(struct keeper *k, struct str workspace, struct str action,
                              int64_t attempt)
{
    struct keeper_result wanted = {0};
    if (!key(&wanted, workspace, action, attempt))
        return NULL;
    struct execution *const *at = tfind(&wanted, &k->executions, compare);
    return at ? *at : NULL;
}

static void count_kept(struct execution *e, size_t n)
{
    e->k->kept_bytes += n - e->kept;
    e->kept = n;
}

/* The order's own memory, not needed once it was checked. */
static void drop_order(struct execution *e)
{
    frame_free(&e->frame);
    free(e->votes);
    e->votes = NULL;
    e->order = (struct exec_order){0};
}

static void execution_free(struct execution *e)
{
    count_kept(e, 0);
    drop_order(e);
    checked_free(&e->checked);
    keeper_result_free(&e->r);
    free(e);
}

static void forget(struct execution *e)
{
    tdelete(e, &e->k->executions, compare);
    e->k->n_executions--;
    execution_free(e);
}

static void say_result(struct execution *e)
{
    struct buf fields = {0};
    messages_put_result(&fields, &e->r);
    keeper_say(e->k, VERB_RESULT, e->id, &fields, -1);
}

/* Nothing was sent and nothing is journalled: gate is told, and that is all. */
static void refuse(struct execution *e, int err, const struct fail *f)
{
    e->r.kind = RESULT_REFUSED;
    e->r.refusal = err;
    struct str text = str_sub(str_c(f->detail), 0, sizeof e->r.detail - 1);
    (void)str_copy(e->r.detail, sizeof e->r.detail, text);
    e->r.ended_at = journal_now(e->k->journal);
    log_event(LOG_INFO, "refused", KV_C("action", e->r.action), KV_N("attempt", e->r.attempt),
              KV_C("why", err_name(err)));
    say_result(e);
}

static void finish(struct execution *e)
{
    e->r.ended_at = journal_now(e->k->journal);
    if (e->checked.journalled)
        journal_done(e->k->journal, &e->r);
    e->state = ENDED;
    checked_free(&e->checked);
    count_kept(e, e->r.body.n + sizeof *e);
    say_result(e);
    log_event(LOG_DEBUG, "ended", KV_C("action", e->r.action), KV_N("attempt", e->r.attempt),
              KV_N("kind", e->r.kind), KV_N("status", e->r.status));
}

/* --- the exchange ----------------------------------------------------------------------------- */

static void on_end(void *arg, struct exchange *x)
{
    struct execution *e = arg;
    if (answer_take(e->checked.connector, e->checked.request.op, x, journal_now(e->k->journal),
                    &e->r))
        e->r.kind = RESULT_UNKNOWN; /* no memory to say more */
    finish(e);
}

static bool on_stream(void *arg, struct exchange *x, int fd)
{
    struct execution *e = arg;
    struct buf fields = {0};
    struct exchange head = {.status = x->status, .headers = x->headers, .body_omitted = true};
    if (answer_take(e->checked.connector, e->checked.request.op, &head, journal_now(e->k->journal),
                    &e->r))
        return false;
    messages_put_result(&fields, &e->r);
    return keeper_say(e->k, VERB_HEAD, e->id, &fields, fd);
}

static void launch(struct execution *e)
{
    struct checked *c = &e->checked;
    const struct connection *con = c->connection;
    struct buf url = {0};
    buf_c(&url, con->base_url);
    buf_str(&url, buf_view(&c->wire.url_path));
    struct send_order o = {.method = request_method(&c->request),
                           .url = buf_view(&url),
                           .headers = buf_view(&c->wire.headers),
                           .body = buf_view(&c->wire.body),
                           .has_body = c->wire.has_body,
                           .allow_private = con->allow_private,
                           .allow_plain = con->allow_private,
                           .repeatable = operation_is_read(c->request.op),
                           .keep = (size_t)e->k->cfg->limit_answer,
                           .blank = c->secrets,
                           .on_stream = e->may_stream ? on_stream : NULL,
                           .on_end = on_end,
                           .arg = e};
    e->state = SENDING;
    int r = buf_err(&url) ? ERR_NOMEM : sender_start(e->k->sender, &o);
    buf_free(&url);
    c->connection = NULL; /* the roster may change from here on */
    c->agent = NULL;
    wire_free(&c->wire);
    json_decref(c->secrets);
    c->secrets = NULL;
    if (r) {
        e->r.kind = RESULT_NOT_SENT;
        e->r.refusal = r;
        finish(e);
    }
}

/* --- from the socket to the exchange ------------------------------------------------------------
 */

int execute_take(struct keeper *k, struct frame *f)
{
    struct wire_in in = wire_fields(f);
    struct execution *e = calloc(1, sizeof *e);
    struct fail fail = {0};
    if (!e)
        return ERR_NOMEM;
    e->k = k;
    e->id = f->id;
    e->frame.stream_fd = -1;
    int r = messages_get_order(&in, &e->order, &e->votes);
    if (!r && !key(&e->r, e->order.about.workspace, e->order.about.action, e->order.attempt))
        r = ERR_MALFORMED;
    if (r) {
        execution_free(e);
        return r;
    }
    e->r.revision = e->order.about.revision;
    e->may_stream = e->order.may_stream;
    if (find(k, e->order.about.workspace, e->order.about.action, e->order.attempt))
        r = fail_set(&fail, ERR_K_USED, "this attempt is under way or has ended");
    else if (k->n_executions >= EXECUTIONS_MOST || k->kept_bytes + f->fields.n > KEPT_BYTES_MOST ||
             !tsearch(e, &k->executions, compare))
        r = fail_set(&fail, ERR_UNAVAILABLE,
                     "keeper has too many orders and unacknowledged results");
    if (r) {
        refuse(e, r, &fail);
        execution_free(e);
        return 0;
    }
    k->n_executions++;
    e->frame = *f; /* the order's texts point into it */
    *f = (struct frame){.stream_fd = -1};
    count_kept(e, e->frame.fields.n + sizeof *e);
    *(k->waiting_last ? &k->waiting_last->next : &k->waiting_first) = e;
    k->waiting_last = e;
    return 0;
}

/* An idempotent call may be repeated after one that nobody knows of, but not beside it. */
static bool sibling_under_way(struct execution *e)
{
    struct str workspace = e->order.about.workspace, action = e->order.about.action;
    const struct attempt *a = ledger_attempts(journal_ledger(e->k->journal), workspace, action);
    for (; a; a = a->older)
        if (!a->done && find(e->k, workspace, action, a->number))
            return true;
    return false;
}

static void check_one(struct execution *e)
{
    struct keeper *k = e->k;
    struct fail f = {0};
    int r = sibling_under_way(e) ? fail_set(&f, ERR_K_USED, "an earlier attempt is under way")
                                 : check_execute(k, &e->order, &e->checked, &f);
    if (r) {
        refuse(e, r, &f);
        forget(e);
        return;
    }
    e->r.started_at = e->checked.now;
    memcpy(e->r.executed_hash, e->checked.request.hash, sizeof e->r.executed_hash);
    if (e->checked.journalled) {
        struct attempt a = {.revision = e->r.revision,
                            .number = e->r.attempt,
                            .sent_at = e->checked.now,
                            .execute_by = e->order.about.execute_by};
        memcpy(a.same, e->checked.same, sizeof a.same);
        journal_sent(k->journal, e->order.about.workspace, e->order.about.action, &a);
        e->state = STAGED;
        e->next = k->staged;
        k->staged = e;
    }
    drop_order(e);
    count_kept(e, sizeof *e);
    if (e->state != STAGED)
        launch(e);
}

void execute_start(struct keeper *k)
{
    size_t staged = 0;
    for (struct execution *e = k->staged; e; e = e->next)
        staged++;
    while (k->waiting_first && sender_load(k->sender) + staged < (size_t)k->cfg->limit_calls) {
        struct execution *e = k->waiting_first;
        k->waiting_first = e->next;
        if (!k->waiting_first)
            k->waiting_last = NULL;
        e->next = NULL;
        check_one(e);
        staged += k->staged == e;
    }
}

void execute_launch(struct keeper *k)
{
    while (k->staged) {
        struct execution *e = k->staged;
        k->staged = e->next;
        e->next = NULL;
        launch(e);
    }
}

/* --- afterwards ------------------------------------------------------------------------------- */

static int copy_result(const struct keeper_result *from, struct keeper_result *ret)
{
    struct keeper_result r = *from;
    r.headers = json_incref(from->headers);
    r.body = (struct buf){0};
    buf_str(&r.body, buf_view(&from->body));
    int err = buf_err(&r.body);
    if (err)
        keeper_result_free(&r);
    else
        *ret = r;
    return err;
}

int execute_query(struct keeper *k, struct str workspace, struct str action, int64_t attempt,
                  struct str epoch, enum attempt_state *ret_state, struct keeper_result *ret)
{
    const struct ledger *l = journal_ledger(k->journal);
    const struct execution *e = find(k, workspace, action, attempt);
    const struct attempt *a = ledger_attempt(l, workspace, action, attempt);
    int r = 0;
    enum attempt_state state = ATTEMPT_NONE;
    if (!str_eq_c(epoch, l->epoch)) {
        state = ATTEMPT_SENT_UNKNOWN;
    } else if (e) {
        state = e->state == ENDED ? ATTEMPT_DONE : ATTEMPT_IN_FLIGHT;
        r = e->state == ENDED ? copy_result(&e->r, ret) : 0;
    } else if (a && a->done) {
        state = ATTEMPT_DONE;
        r = journal_ending(k->journal, a, ret);
        ret->body_omitted = ret->body_omitted || ret->body_bytes > 0;
    } else if (a) {
        state = ATTEMPT_SENT_UNKNOWN;
    }
    if (!r)
        *ret_state = state;
    return r;
}

void execute_ack(struct keeper *k, struct str workspace, struct str action, int64_t attempt)
{
    struct execution *e = find(k, workspace, action, attempt);
    if (e && e->state == ENDED)
        forget(e);
}

static void free_node(void *v)
{
    execution_free(v);
}

void execute_free(struct keeper *k)
{
    sender_free(k->sender); /* its exchanges point here */
    k->sender = NULL;
    tdestroy(k->executions, free_node);
    k->executions = NULL;
}
