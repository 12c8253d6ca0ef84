/* Record: what became of a call, as keeper reports it, becomes a state: succeeded means exactly one
 * effect, failed means none, anything else is unknown. keeper keeps the result until it is told
 * that this is committed. */
#include "life/inside.h"

#include <stdlib.h>

/* What a result means for the action. Zero is the one that promises nothing. */
enum fate {
    FATE_LOST = 0, /* may have had its effect: nobody can say */
    FATE_SUCCEEDED,
    FATE_FAILED, /* no effect */
    FATE_DECLINED,
    FATE_BLOCKED,  /* no effect; the credential or the end user needs to act */
    FATE_UNSENT,   /* no byte left: may be sent again */
    FATE_AGAIN,    /* may have had its effect, and the same call again cannot have another */
    FATE_STRICTER, /* keeper asks for more than was bound: back to people */
};

struct record {
    struct work work; /* first */
    struct keeper_result *r;
    struct flight *flight;
    struct arena *arena;
    struct action action;
    struct rules *rules;
    const struct operation *op;
    bool hold_on_limit;
    int64_t first_sent;
    bool in_doubt; /* an earlier attempt may have had its effect */
    struct buf packed, sealed, request, sealed_request, sealed_extra;
    struct judged judged;
    bool gone; /* nothing to record: not sending, or another attempt */
};

/* --- fate ------------------------------------------------------------------------------------ */

#define AGAIN_MAX 5 /* attempts of one idempotent call before a person is asked */

static bool may_repeat(const struct record *rec)
{
    const struct operation *op = rec->op;
    int64_t now = life_now(rec->work.l);
    return op != NULL && op->idem != IDEM_NONE && rec->action.tier >= 2 &&
           rec->r->attempt < AGAIN_MAX && rec->first_sent > 0 &&
           now < rec->first_sent + op->idem_window / 10 * 9;
}

static enum fate unclear(const struct record *rec)
{
    if (operation_is_read(rec->op))
        return FATE_FAILED; /* a read has no effect */
    return may_repeat(rec) ? FATE_AGAIN : FATE_LOST;
}

static enum fate answered(const struct record *rec)
{
    switch (rec->r->answer.class) {
    case ANSWER_SUCCEEDED:
        return FATE_SUCCEEDED;
    case ANSWER_DECLINED:
        return FATE_DECLINED;
    case ANSWER_REAUTH:
        return FATE_BLOCKED;
    case ANSWER_RATE_LIMITED:
        return rec->hold_on_limit && rec->action.tier >= 2 ? FATE_UNSENT : FATE_FAILED;
    case ANSWER_FAILED:
        return FATE_FAILED;
    case ANSWER_UNCLEAR:
        break;
    }
    return unclear(rec);
}

static enum fate refused(const struct record *rec)
{
    bool held = rec->action.tier >= 2;
    switch (rec->r->refusal) {
    case ERR_K_USED: /* keeper has sent it before: the database is older than keeper's journal */
        return FATE_LOST;
    case ERR_K_STRICTER:
    case ERR_K_QUORUM:
    case ERR_K_GRANT:
        return held ? FATE_STRICTER : FATE_FAILED;
    case ERR_K_REVOKED:
    case ERR_K_EXPIRED:
    case ERR_UNAVAILABLE:
        return held ? FATE_UNSENT : FATE_FAILED;
    default:
        return FATE_FAILED;
    }
}

static enum fate fate_alone(const struct record *rec)
{
    switch (rec->r->kind) {
    case RESULT_ANSWERED:
        return answered(rec);
    case RESULT_NOT_SENT:
        /* A destination that is not allowed does not become allowed by trying again. */
        return rec->action.tier >= 2 && rec->r->refusal != ERR_K_DESTINATION ? FATE_UNSENT
                                                                             : FATE_FAILED;
    case RESULT_REFUSED:
        return refused(rec);
    case RESULT_UNKNOWN:
        break;
    }
    return unclear(rec);
}

/* What this attempt says, seen with the ones before: after an attempt whose fate is not known, a
 * refusal or a call that never left proves nothing about the first. */
static enum fate fate_of(const struct record *rec)
{
    enum fate fate = fate_alone(rec);
    bool proves = fate == FATE_SUCCEEDED || fate == FATE_DECLINED || fate == FATE_AGAIN;
    if (!rec->in_doubt || proves || operation_is_read(rec->op))
        return fate;
    bool refused_for_good = fate == FATE_FAILED || fate == FATE_STRICTER;
    return !refused_for_good && may_repeat(rec) ? FATE_AGAIN : FATE_LOST;
}

static const char *error_code_for(const struct record *rec, enum fate fate)
{
    const struct keeper_result *r = rec->r;
    if (fate == FATE_SUCCEEDED)
        return "";
    if (r->kind == RESULT_ANSWERED && r->answer.class == ANSWER_RATE_LIMITED)
        return "rate_limited";
    if (r->kind == RESULT_ANSWERED && r->answer.error_code[0] != '\0')
        return r->answer.error_code;
    if (r->kind == RESULT_ANSWERED)
        return fate == FATE_FAILED || fate == FATE_LOST ? "provider_error" : "";
    if (r->kind == RESULT_REFUSED || r->refusal == ERR_K_DESTINATION)
        return err_name(r->refusal);
    return r->kind == RESULT_UNKNOWN && fate != FATE_FAILED ? "reply_lost" : "upstream_unreachable";
}

/* --- the result as it is stored -------------------------------------------------------------- */

/* [[name, value]] into an object; a name that came twice is joined as RFC 9110 5.3 allows. */
static json_t *header_object(const json_t *pairs)
{
    json_t *o = json_object();
    size_t i;
    const json_t *pair;
    json_array_foreach(pairs, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        const char *value = json_string_value(json_array_get(pair, 1));
        if (name == NULL || value == NULL)
            continue;
        const char *before = json_string_value(json_object_get(o, name));
        json_object_set_new(
            o, name, before != NULL ? json_sprintf("%s, %s", before, value) : json_string(value));
    }
    return o;
}

static int pack_result(struct record *rec)
{
    struct life *l = rec->work.l;
    const struct keeper_result *r = rec->r;
    const struct action *a = &rec->action;
    if (r->kind != RESULT_ANSWERED)
        return 0;
    json_t *meta =
        json_pack("{s:i, s:o}", "status", r->status, "headers", header_object(r->headers));
    if (meta == NULL)
        return ERR_NOMEM;
    if (r->body_omitted) {
        json_object_set_new(meta, "body_omitted", json_true());
        json_object_set_new(meta, "body_bytes", json_integer(r->body_bytes));
    }
    int err = result_pack(meta, r->body_omitted ? STR("") : buf_view(&r->body), &rec->packed);
    json_decref(meta);
    if (err == 0)
        err = vault_seal(l->o.vault, a->epoch, a->workspace, a->id, "result",
                         buf_view(&rec->packed), &rec->sealed);
    return err;
}

/* A provider's object that later deadlines count from. */
static int remember(struct store_tx *tx, struct record *rec)
{
    const struct operation *op = rec->op;
    json_t *body = NULL;
    if (op == NULL || op->remember_kind == NULL ||
        json_read(buf_view(&rec->r->body), &body, NULL) != 0)
        return 0;
    struct str key = json_text(json_at(body, str_c(op->remember_key)));
    int64_t at = 0;
    if (op->remember_at == NULL ||
        time_parse(json_text(json_at(body, str_c(op->remember_at))), &at) != 0)
        at = rec->r->started_at;
    int r = 0;
    if (key.n > 0 && key.n <= 200)
        r = STORE_EXEC(tx, Q_REMEMBER, NULL, V_TEXT(rec->action.workspace),
                       V_TEXT(rec->action.connection), V_C(op->remember_kind), V_TEXT(key),
                       V_INT(at));
    json_decref(body);
    return r;
}

static int end_send_row(struct store_tx *tx, const struct record *rec, enum fate fate)
{
    static const char *const word[] = {
        [FATE_LOST] = "unknown",      [FATE_SUCCEEDED] = "succeeded", [FATE_FAILED] = "failed",
        [FATE_DECLINED] = "declined", [FATE_BLOCKED] = "blocked",     [FATE_UNSENT] = "not_sent",
        [FATE_AGAIN] = "unknown",     [FATE_STRICTER] = "not_sent",
    };
    return STORE_EXEC(tx, Q_SEND_END, NULL, V_TEXT(rec->action.workspace), V_TEXT(rec->action.id),
                      V_INT(rec->r->attempt), V_C(word[fate]), V_INT(life_now(rec->work.l)),
                      V_OPT_INT(rec->r->status), V_OPT(str_c(error_code_for(rec, fate))),
                      V_OPT(str_c(rec->r->answer.provider_request_id)));
}

/* --- an action that has a row ---------------------------------------------------------------- */

static int64_t delay_after(int64_t attempt, int64_t least, int64_t most)
{
    int64_t d = least << (attempt < 10 ? attempt - 1 : 9);
    return d < most ? d : most;
}

static int try_later(struct store_tx *tx, const struct record *rec, int64_t delay)
{
    return job_set(tx, rec->action.workspace, JOB_SEND, rec->action.id,
                   life_now(rec->work.l) + delay, 0);
}

static int go_back(struct store_tx *tx, struct record *rec, const struct advance *how)
{
    struct action *a = &rec->action;
    int r = life_advance(tx, &rec->work, a, EVENT_unsent, how);
    if (r == 0 && (rec->judged.rules == NULL || rec->judged.verdict.decision != DECISION_HOLD)) {
        a->error_code = STR("denied-by-policy");
        return life_advance(tx, &rec->work, a, EVENT_cancel_approved, how);
    }
    return r == 0 ? hold_again(tx, &rec->work, a, rec->arena, &rec->judged) : r;
}

static int block(struct store_tx *tx, struct record *rec, const struct advance *how)
{
    struct action *a = &rec->action;
    a->reauth_reason = a->error_code;
    if (a->execute_by == 0)
        a->execute_by = life_now(rec->work.l) + (int64_t)86400000;
    int r = life_advance(tx, &rec->work, a, EVENT_block, how);
    if (r == 0 && a->tier >= 2)
        r = try_later(tx, rec, delay_after(rec->r->attempt, 60000, 600000));
    return r;
}

static int apply(struct store_tx *tx, struct record *rec, enum fate fate, const struct advance *how)
{
    struct action *a = &rec->action;
    int r;
    switch (fate) {
    case FATE_SUCCEEDED:
        r = remember(tx, rec);
        return r == 0 ? life_advance(tx, &rec->work, a, EVENT_succeed, how) : r;
    case FATE_FAILED:
        return life_advance(tx, &rec->work, a, EVENT_fail, how);
    case FATE_DECLINED:
        return life_advance(tx, &rec->work, a, EVENT_decline, how);
    case FATE_BLOCKED:
        return block(tx, rec, how);
    case FATE_UNSENT:
        r = life_advance(tx, &rec->work, a, EVENT_unsent, how);
        return r == 0 ? try_later(tx, rec, delay_after(rec->r->attempt, 1000, 300000)) : r;
    case FATE_AGAIN: /* stays `sending`; the job makes the next attempt */
        return try_later(tx, rec, delay_after(rec->r->attempt, 1000, 60000));
    case FATE_STRICTER:
        return go_back(tx, rec, how);
    case FATE_LOST:
        break;
    }
    return life_advance(tx, &rec->work, a, EVENT_lose, how);
}

static int first_sent(struct store_tx *tx, struct record *rec)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_SEND_FIRST, &rows, V_TEXT(rec->action.workspace),
                         V_TEXT(rec->action.id));
    if (r == 0)
        r = store_next(rows);
    rec->first_sent = r == 0 ? store_int(rows, 0) : 0;
    rec->in_doubt = r == 0 && store_int(rows, 1) < rec->r->attempt;
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static void fill_result(struct record *rec, enum fate fate)
{
    struct action *a = &rec->action;
    const struct keeper_result *r = rec->r;
    a->error_code = arena_str(rec->arena, str_c(error_code_for(rec, fate)));
    a->executed_payload_hash = arena_str(rec->arena, str_c(r->executed_hash));
    if (r->answer.provider_request_id[0] != '\0')
        a->provider_request_id = arena_str(rec->arena, str_c(r->answer.provider_request_id));
}

static int write_record(struct store_tx *tx, void *arg)
{
    struct record *rec = arg;
    struct action fresh;
    int r = action_load(tx, rec->arena, rec->action.workspace, rec->action.id, &fresh);
    if (r != 0)
        return r;
    rec->gone = fresh.state != STATE_SENDING || fresh.attempt != rec->r->attempt;
    if (rec->gone)
        return 0;
    rec->action = fresh;
    r = first_sent(tx, rec);
    if (r != 0)
        return r;
    enum fate fate = fate_of(rec);
    fill_result(rec, fate);
    struct advance how = {.result = buf_view(&rec->sealed), .channel = STR("keeper")};
    r = end_send_row(tx, rec, fate);
    return r == 0 ? apply(tx, rec, fate, &how) : r;
}

/* --- a read that is written down once -------------------------------------------------------- */

static int write_read(struct store_tx *tx, void *arg)
{
    struct record *rec = arg;
    static const enum life_event event[] = {
        [FATE_SUCCEEDED] = EVENT_read_succeeded,
        [FATE_DECLINED] = EVENT_read_declined,
        [FATE_BLOCKED] = EVENT_read_blocked,
        [FATE_FAILED] = EVENT_read_failed,
    };
    struct action a = rec->flight->pending_row;
    rec->action = a;
    enum fate fate = fate_of(rec);
    if (fate != FATE_SUCCEEDED && fate != FATE_DECLINED && fate != FATE_BLOCKED)
        fate = FATE_FAILED;
    fill_result(rec, fate);
    if (fate == FATE_BLOCKED) {
        rec->action.reauth_reason = rec->action.error_code;
        rec->action.execute_by = life_now(rec->work.l) + (int64_t)86400000;
    }
    rec->action.sealed_request = buf_view(&rec->sealed_request);
    int r = life_advance(tx, &rec->work, &rec->action, event[fate],
                         &(struct advance){.result = buf_view(&rec->sealed),
                                           .extra = buf_view(&rec->sealed_extra),
                                           .channel = STR("proxy")});
    if (r == ERR_CONFLICT) /* written down before: this is a repeated report */
        r = 0;
    return r;
}

static int seal_read(struct life *l, struct record *rec)
{
    struct flight *fl = rec->flight;
    const struct action *a = &fl->pending_row;
    int r = vault_seal(l->o.vault, a->epoch, a->workspace, a->id, "request", fl->clear_request,
                       &rec->sealed_request);
    if (r == 0 && fl->clear_extra.n > 0)
        r = vault_seal(l->o.vault, a->epoch, a->workspace, a->id, "extra", fl->clear_extra,
                       &rec->sealed_extra);
    return r;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* The waiting request gets the very result: after the commit and before it is woken. */
static void give_to_flight(struct work *w)
{
    struct record *rec = (struct record *)w;
    struct flight *fl = rec->flight;
    if (fl == NULL)
        return;
    pthread_mutex_lock(&fl->lock);
    if (!fl->has_result) {
        fl->result = *rec->r;
        *rec->r = (struct keeper_result){0};
        fl->has_result = true;
    }
    pthread_mutex_unlock(&fl->lock);
    flight_land(w->l, fl);
}

static int load_record(struct store_tx *tx, void *arg)
{
    struct record *rec = arg;
    return action_load(tx, rec->arena, str_c(rec->r->workspace), str_c(rec->r->action),
                       &rec->action);
}

static bool held_on_limit(struct life *l, const struct action *a)
{
    json_t *extra = NULL;
    if (action_extra(l->o.vault, a, &extra) != 0)
        return false;
    bool hold = json_is_true(json_object_get(extra, "hold_on_limit"));
    json_decref(extra);
    return hold;
}

/* What keeper's present policy asks for, in case it has become stricter than what was bound. */
static void judge_now(struct life *l, struct record *rec)
{
    if (rec->r->kind != RESULT_REFUSED ||
        action_request(l->o.vault, &rec->action, &rec->request) != 0)
        return;
    struct roster *roster = life_roster(l);
    if (judge_again(l, roster, &rec->action, buf_view(&rec->request), &rec->judged, NULL) != 0)
        rec->judged = (struct judged){0};
    roster_unref(roster);
}

static int prepare(struct life *l, struct record *rec)
{
    bool read_once = rec->flight != NULL && rec->flight->read_once;
    int r = read_once ? 0 : store_read(l->o.store, load_record, rec);
    if (r != 0)
        return r;
    if (read_once)
        rec->action = rec->flight->pending_row;
    rec->rules = life_rules(l);
    const struct connector *c = connectors_find(rec->rules->connectors, rec->action.connector);
    rec->op = c != NULL ? connector_operation(c, rec->action.operation) : NULL;
    if (!read_once) {
        rec->hold_on_limit = held_on_limit(l, &rec->action);
        judge_now(l, rec);
    }
    r = pack_result(rec);
    return r == 0 && read_once ? seal_read(l, rec) : r;
}

static void tell_loudly(const struct keeper_result *r)
{
    if (r->kind == RESULT_REFUSED)
        log_event(LOG_ERROR, "keeper.refused", KV_C("action", r->action),
                  KV_C("why", err_name(r->refusal)), KV_C("detail", r->detail));
    else if (r->kind == RESULT_UNKNOWN || r->kind == RESULT_NOT_SENT)
        log_event(LOG_WARN, r->kind == RESULT_UNKNOWN ? "send.unknown" : "send.not_sent",
                  KV_C("action", r->action), KV_C("detail", r->detail));
}

int record_result(struct life *l, struct keeper_result *r)
{
    struct record *rec = calloc(1, sizeof *rec);
    if (rec == NULL)
        return ERR_NOMEM;
    rec->r = r;
    rec->work.committed = give_to_flight;
    rec->work.l = l;
    rec->flight = flight_find(l, r->action);
    rec->arena = arena_new(ARENA_MAX);
    char workspace[33], action[ID_SIZE];
    memcpy(workspace, r->workspace, sizeof workspace);
    memcpy(action, r->action, sizeof action);
    int64_t attempt = r->attempt;
    tell_loudly(r);
    bool repair = rec->flight != NULL && rec->flight->repair_for[0] != '\0';
    bool once = rec->flight != NULL && rec->flight->read_once;
    int err = rec->arena == NULL ? ERR_NOMEM
              : repair           ? repair_record(l, rec->flight, r)
                                 : prepare(l, rec);
    if (err == 0 && repair)
        flight_land(l, rec->flight);
    else if (err == 0)
        err = life_work(l, once ? write_read : write_record, &rec->work);
    if (err == 0 || err == ERR_NOT_FOUND)
        keeper_ack(l->keeper, str_c(workspace), str_c(action), attempt);
    if (err == 0 && !repair && rec->action.state == STATE_BLOCKED)
        repair_start(l, str_c(workspace), str_c(action));
    judged_free(&rec->judged);
    rules_unref(rec->rules);
    buf_wipe(&rec->packed);
    buf_free(&rec->sealed);
    buf_wipe(&rec->request);
    buf_free(&rec->sealed_request);
    buf_free(&rec->sealed_extra);
    flight_unref(rec->flight);
    arena_free(rec->arena);
    free(rec);
    return err;
}
