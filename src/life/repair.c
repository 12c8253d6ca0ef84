/* Repair: when the provider wants its end user to sign in again, Countersign asks it for a link by
 * which that is done, and puts it on the blocked action. The call is the connector's own, never the
 * agent's; it is tier 0 or 1, and keeper judges it like any other. Without a link the action is
 * blocked all the same: people then mend the connection at the provider's. */
#include "life/inside.h"

#include <stdlib.h>

#define STILL_GOOD_MS (5 * 60 * 1000) /* a link that lives this long yet is not asked for again */

struct repair {
    struct work work; /* first */
    struct arena *arena;
    struct str workspace, id;
    struct action blocked, call; /* what it is for; the call as keeper is told of it */
    struct request request;
    char call_id[ID_SIZE];
    struct str url;
    int64_t expires;
};

static int load_blocked(struct store_tx *tx, void *arg)
{
    struct repair *p = arg;
    return action_load(tx, p->arena, p->workspace, p->id, &p->blocked);
}

static int build(struct repair *p, const struct connector *c, const struct operation *op)
{
    json_t *body = NULL;
    int r = json_read(str_c(c->repair.body), &body, NULL);
    struct request_input in = {.method = str_c(op->method), .path = str_c(op->path), .body = body};
    if (r == 0)
        r = request_build(c, &in, &p->request, NULL);
    json_decref(body);
    return r;
}

static void describe(struct life *l, struct repair *p, const struct operation *op)
{
    id_new(l->o.env, "act", p->call_id);
    p->call = (struct action){
        .workspace = p->blocked.workspace,
        .id = str_c(p->call_id),
        .agent = p->blocked.agent,
        .connection = p->blocked.connection,
        .connector = p->blocked.connector,
        .operation = str_c(op->name),
        .product = str_c(op->product),
        .method = str_c(op->method),
        .path = str_c(op->path),
        .tier = op->tier,
        .revision = 1,
        .attempt = 1,
        .payload_hash = str_c(p->request.hash),
    };
}

/* In the log as part of the blocked action's story, before anything is sent. */
static int write_intent(struct store_tx *tx, void *arg)
{
    struct repair *p = arg;
    struct action shown = p->call;
    shown.id = p->blocked.id;
    return life_audit(tx, p->work.l, &shown, AUDIT_ACTION_SENDING,
                      &(struct advance){.channel = STR("repair")}, NULL);
}

static int send_call(struct life *l, struct repair *p)
{
    struct flight *fl = flight_new(l, p->workspace, p->call_id);
    if (fl == NULL)
        return ERR_NOMEM;
    CS_ASSERT(str_copy(fl->repair_for, sizeof fl->repair_for, p->id));
    pthread_rwlock_rdlock(&l->egress);
    int r = life_work(l, write_intent, &p->work);
    if (r == 0)
        r = hand_over(l, p->arena, &p->call, buf_view(&p->request.bytes), STR(""), NULL, 0);
    pthread_rwlock_unlock(&l->egress);
    if (r != 0)
        flight_land(l, fl);
    flight_unref(fl);
    return r;
}

static int ask_for_link(struct life *l, struct repair *p)
{
    struct rules *rules = life_rules(l);
    const struct connector *c = connectors_find(rules->connectors, p->blocked.connector);
    const struct operation *op = c != NULL && c->repair.operation != NULL
                                     ? connector_operation(c, str_c(c->repair.operation))
                                     : NULL;
    bool needed = p->blocked.state == STATE_BLOCKED &&
                  p->blocked.reauth_expires_at < life_now(l) + STILL_GOOD_MS;
    int r = 0;
    if (op != NULL && needed) {
        r = build(p, c, op);
        if (r == 0) {
            describe(l, p, op);
            r = send_call(l, p);
        }
    }
    rules_unref(rules);
    return r;
}

void repair_start(struct life *l, struct str workspace, struct str id)
{
    struct repair *p = calloc(1, sizeof *p);
    if (p == NULL)
        return;
    p->arena = arena_new(ARENA_MAX);
    p->workspace = workspace;
    p->id = id;
    int r = p->arena != NULL ? store_read(l->o.store, load_blocked, p) : ERR_NOMEM;
    if (r == 0)
        r = ask_for_link(l, p);
    if (r != 0)
        log_event(LOG_WARN, "repair.no_link", KV_S("action", id), KV_C("why", err_name(r)));
    request_free(&p->request);
    arena_free(p->arena);
    free(p);
}

/* --- the answer ------------------------------------------------------------------------------ */

static int write_link(struct store_tx *tx, void *arg)
{
    struct repair *p = arg;
    int64_t changed = 0;
    int r = action_load(tx, p->arena, p->workspace, p->id, &p->blocked);
    if (r == 0)
        r = STORE_EXEC(tx, Q_ACTION_REPAIR, &changed, V_TEXT(p->workspace), V_TEXT(p->id),
                       V_TEXT(p->url), V_INT(p->expires));
    if (r == 0 && changed == 1)
        work_changed(&p->work, &p->blocked, p->blocked.changed_seq, false, -1);
    return r == ERR_NOT_FOUND ? 0 : r;
}

/* People will click on it: only a web address will do. */
static bool is_web_address(struct str url)
{
    if (url.n > 2000 || !(str_starts(url, STR("https://")) || str_starts(url, STR("http://"))))
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] >= 127 || url.p[i] == '"' || url.p[i] == '<' ||
            url.p[i] == '>')
            return false;
    return true;
}

static int read_link(struct life *l, struct repair *p, const struct keeper_result *r,
                     json_t **ret_body)
{
    struct rules *rules = life_rules(l);
    const struct connector *c = connectors_find(rules->connectors, p->blocked.connector);
    int err = c != NULL && c->repair.url != NULL ? json_read(buf_view(&r->body), ret_body, NULL)
                                                 : ERR_NOT_FOUND;
    if (err == 0) {
        p->url = json_text(json_at(*ret_body, str_c(c->repair.url)));
        const json_t *expires =
            c->repair.expires != NULL ? json_at(*ret_body, str_c(c->repair.expires)) : NULL;
        if (time_parse(json_text(expires), &p->expires) != 0)
            p->expires = life_now(l) + STILL_GOOD_MS;
        err = is_web_address(p->url) ? 0 : ERR_MALFORMED;
    }
    rules_unref(rules);
    return err;
}

int repair_record(struct life *l, const struct flight *fl, const struct keeper_result *r)
{
    struct repair *p = calloc(1, sizeof *p);
    json_t *body = NULL;
    if (p == NULL)
        return ERR_NOMEM;
    p->arena = arena_new(ARENA_MAX);
    p->workspace = str_c(fl->workspace);
    p->id = str_c(fl->repair_for);
    int err = p->arena != NULL ? store_read(l->o.store, load_blocked, p) : ERR_NOMEM;
    bool linked = r->kind == RESULT_ANSWERED && r->answer.class == ANSWER_SUCCEEDED;
    if (err == 0 && linked && read_link(l, p, r, &body) == 0)
        err = life_work(l, write_link, &p->work);
    else
        log_event(LOG_WARN, "repair.no_link", KV_S("action", p->id), KV_N("status", r->status));
    json_decref(body);
    arena_free(p->arena);
    free(p);
    return err == ERR_NOT_FOUND ? 0 : err;
}
