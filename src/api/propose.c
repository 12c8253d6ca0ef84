/* POST /v1/actions and /v1/classify: an agent's proposal as JSON. It is read by a table, so a field
 * that is not in API.md is refused by name; what the fields mean is life_propose()'s business. */
#include <stdio.h>

#include "api/action_view.h"
#include "api/idem_key.h"
#include "api/shape.h"
#include "api/waiting.h"

#define NOTE_MAX ((size_t)8 << 10)
#define STATE_MAX ((size_t)64 << 10)
#define THREAD_MAX 255
#define FLIGHT_MS 10000 /* how long a tier 0 or 1 call is waited for at least */

/* A proposal being read. What it owns is released by form_free(). */
struct form {
    struct proposal p;
    struct str connection, on_wait;
    json_t *query, *headers, *body, *state, *resume; /* borrowed from the request */
    json_t *pairs;                                   /* owned */
    int64_t wait;
};

static void form_free(struct form *m)
{
    json_decref(m->pairs);
}

static int read_fields(const struct exchange *x, struct form *m, struct fail *f)
{
    struct proposal *p = &m->p;
    const struct json_field t[] = {
        {"connection", JSON_WANT_STR, &m->connection, true, 64},
        {"method", JSON_WANT_STR, &p->in.method, true, 16},
        {"path", JSON_WANT_STR, &p->in.path, true, 8192},
        {"query", JSON_WANT_OBJ, &m->query, false, 0},
        {"headers", JSON_WANT_OBJ, &m->headers, false, 0},
        {"body", JSON_WANT_ANY, &m->body, false, 0},
        {"operation", JSON_WANT_STR, &p->operation, false, 96},
        {"idempotency_key", JSON_WANT_STR, &p->key, false, IDEM_KEY_MAX},
        {"thread_id", JSON_WANT_STR, &p->thread, false, THREAD_MAX},
        {"note", JSON_WANT_STR, &p->note, false, NOTE_MAX},
        {"state", JSON_WANT_ANY, &m->state, false, 0},
        {"resume", JSON_WANT_ARR, &m->resume, false, 0},
        {"wait", JSON_WANT_INT, &m->wait, false, WAITING_MAX},
        {"on_wait", JSON_WANT_STR, &m->on_wait, false, 16},
    };
    return json_fields(x->json, t, sizeof t / sizeof t[0], f);
}

static int take_key(struct exchange *x, struct form *m, struct fail *f)
{
    struct str header;
    bool in_body = json_is_string(json_object_get(x->json, "idempotency_key"));
    int r = idem_key_header(x, &header, f);
    if (r != ERR_OK)
        return r;
    if (in_body && m->p.key.n == 0)
        return fail_field(f, ERR_MALFORMED, "idempotency_key", "expected 1 to 255 bytes");
    if (in_body && header.n > 0 && !str_eq(header, m->p.key))
        return fail_field(f, ERR_KEY_MISMATCH, "idempotency_key",
                          "the header Idempotency-Key names another key");
    if (!in_body)
        m->p.key = header;
    return ERR_OK;
}

static int take_state(struct form *m, struct fail *f)
{
    struct buf b;
    if (m->state == NULL || json_is_null(m->state))
        return ERR_OK;
    buf_init(&b, STATE_MAX);
    int r = json_write(m->state, &b);
    if (r == ERR_OK)
        r = buf_err(&b);
    buf_free(&b);
    if (r == ERR_TOO_LARGE)
        return fail_field(f, r, "state", "longer than 64 KiB");
    m->p.state = m->state;
    return r;
}

static int take_on_wait(struct form *m, struct fail *f)
{
    m->p.hold_on_limit = str_eq_c(m->on_wait, "hold");
    if (m->on_wait.n > 0 && !m->p.hold_on_limit && !str_eq_c(m->on_wait, "fail"))
        return fail_field(f, ERR_MALFORMED, "on_wait", "expected hold or fail");
    return ERR_OK;
}

/* The console asks in the place of an agent: the first that was given the connection. */
static const struct agent *any_user(const struct roster *r, const struct connection *c)
{
    const struct agent *a;
    for (size_t i = 0; (a = roster_agent_at(r, i)) != NULL; i++)
        if (agent_may_use(a, c))
            return a;
    return NULL;
}

static int take_connection(const struct exchange *x, struct form *m, struct fail *f)
{
    m->p.roster = x->who.roster;
    m->p.connection = roster_connection_name(x->who.roster, x->who.workspace, m->connection);
    if (m->p.connection == NULL)
        return fail_field(f, ERR_NOT_FOUND, "connection", "there is no such connection");
    m->p.agent = x->who.who == WHO_AGENT ? x->who.agent : any_user(x->who.roster, m->p.connection);
    if (m->p.agent == NULL)
        return fail_field(f, ERR_NOT_FOUND, "connection", "no agent was given this connection yet");
    if (!agent_may_use(m->p.agent, m->p.connection))
        return fail_field(f, ERR_CONNECTION_NOT_ALLOWED, "connection",
                          "this agent was not given the connection");
    return ERR_OK;
}

/* Fills *m from the body; the caller frees it whatever comes back. */
static int read_form(struct exchange *x, struct form *m, struct fail *f)
{
    int r = read_fields(x, m, f);
    if (r == ERR_OK)
        r = take_key(x, m, f);
    if (r == ERR_OK)
        r = take_state(m, f);
    if (r == ERR_OK)
        r = take_on_wait(m, f);
    if (r == ERR_OK && m->query != NULL)
        r = request_query(m->query, &m->pairs, f);
    if (r == ERR_OK)
        r = take_connection(x, m, f);
    m->p.in.query = m->pairs;
    m->p.in.headers = m->headers;
    m->p.in.body = json_is_null(m->body) ? NULL : m->body;
    m->p.resume = m->resume;
    return r;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void add_pending_headers(struct exchange *x, enum state state)
{
    char at[64];
    (void)snprintf(at, sizeof at, "/v1/actions/%s", x->action_id);
    exchange_add_header(x, "Location", str_c(at));
    exchange_add_header(x, "Retry-After", state == STATE_PENDING ? STR("5") : STR("1"));
}

/* 200 when it has ended or is unknown, 202 while it has not. */
static int answer_proposal(struct app *app, struct exchange *x, struct fail *f)
{
    const struct waiting *w = x->memo;
    json_t *v = NULL;
    enum state state = STATE_NEW;
    bool landed = waiting_landed(x);
    int r = view_for(app, &x->who, str_c(x->action_id), &v, &state);
    if (r != ERR_OK)
        return fail_set(f, r, "the action could not be read back");
    bool settled = state_settled(state);
    if (waiting_park(app, x, w, settled, landed, answer_proposal)) {
        json_decref(v);
        return ERR_OK;
    }
    if (!settled)
        add_pending_headers(x, state);
    return exchange_json(x, settled ? 200 : 202, v);
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int api_propose(struct app *app, struct exchange *x, struct fail *f)
{
    struct form m = {.wait = 0};
    struct proposed made;
    struct waiting *w = arena_alloc(x->arena, sizeof *w);
    int r = w != NULL ? read_form(x, &m, f) : fail_set(f, ERR_NOMEM, "out of memory");
    if (r == ERR_OK)
        r = life_propose(app->life, &m.p, &made, f);
    form_free(&m);
    if (r == ERR_TOO_MANY_PENDING)
        exchange_add_header(x, "Retry-After", STR("30"));
    if (r != ERR_OK)
        return r;
    int64_t now = env_mono(app->env), wait_ms = m.wait * 1000;
    *w = (struct waiting){.flight_until = now + longer(FLIGHT_MS, wait_ms), .until = now + wait_ms};
    x->memo = w;
    x->flight = made.flight;
    (void)str_copy(x->action_id, sizeof x->action_id, str_c(made.id));
    return answer_proposal(app, x, f);
}

int api_classify(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const word[] = {
        [DECISION_DENY] = "deny", [DECISION_HOLD] = "hold", [DECISION_EXECUTE] = "execute"};
    struct form m = {.wait = 0};
    struct classified c = {0};
    int r = read_form(x, &m, f);
    if (r == ERR_OK)
        r = life_classify(app->life, &m.p, &c, f);
    form_free(&m);
    if (r != ERR_OK)
        return r;
    json_t *v = json_pack("{s:i, s:s, s:O, s:o, s:o, s:o}", "tier", c.verdict.tier, "decision",
                          word[c.verdict.decision], "reasons", c.verdict.reasons, "approvals",
                          shape_approvals(c.verdict.quorum, 0), "decide_within",
                          c.verdict.decide_within > 0 ? json_integer(c.verdict.decide_within / 1000)
                                                      : json_null(),
                          "operation", shape_operation(str_c(c.operation)));
    verdict_free(&c.verdict);
    return exchange_json(x, 200, v);
}
