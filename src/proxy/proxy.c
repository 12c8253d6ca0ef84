/* ANY /proxy/{connection}/{path...}: the same life as POST /v1/actions, for a vendor's SDK that
 * knows nothing of Countersign. Tiers 0 and 1 get the provider's answer as it is; everything else
 * the vendor's own error shape, so that the SDK raises what its user already handles. */
#include "api/action_view.h"
#include "api/waiting.h"
#include "base/log.h"
#include "proxy/proxy_answer.h"
#include "proxy/proxy_input.h"

/* keeper ends a call at the limit; its answer takes a moment to come here */
#define GRACE_MS 5000

struct call_memo {
    int64_t asked;    /* env_mono: as long as the caller is ready to wait for people */
    int64_t upstream; /* env_mono: as long as a call that needs nobody is waited for */
    bool async;
};

/* --- the answer ------------------------------------------------------------------------------- */

static void tell(struct app *app, const struct action *a)
{
    if (!state_ended(a->state) || a->tier < 2 || a->told_at != 0)
        return;
    if (life_told(app->life, a) != ERR_OK)
        log_event(LOG_WARN, "action.told_not_recorded", KV_S("action", a->id));
}

/* 202 and the action object, for whoever preferred that. */
static int answer_async(struct app *app, struct exchange *x, struct fail *f)
{
    json_t *v = NULL;
    int r = view_for(app, &x->who, str_c(x->action_id), &v, NULL);
    if (r != ERR_OK)
        return fail_set(f, r, "the action could not be read back");
    exchange_add_header(x, "Location",
                        str_c(arena_printf(x->arena, "/v1/actions/%s", x->action_id)));
    exchange_add_header(x, "Countersign-Action", str_c(x->action_id));
    exchange_add_header(x, "Preference-Applied", STR("respond-async"));
    exchange_add_header(x, "Retry-After", STR("5"));
    return exchange_json(x, 202, v);
}

/* Calls that need nobody are waited for like any provider; one that waits for people, or for
 * somebody to sign in again, only as long as was asked for. */
static struct waiting waiting_for(const struct call_memo *m, int tier, enum state state)
{
    bool people = tier >= 2 || state == STATE_BLOCKED || m->async;
    return (struct waiting){.flight_until = people ? m->asked : m->upstream,
                            .until = people ? m->asked : m->upstream};
}

static int answer_by_state(struct app *app, struct exchange *x, const struct connector *c,
                           const struct action *a, bool landed, handler_fn *then, struct fail *f)
{
    const struct call_memo *m = x->memo;
    const struct waiting w = waiting_for(m, a->tier, a->state);
    bool settled = state_settled(a->state);
    if (waiting_park(app, x, &w, settled, landed, then))
        return ERR_OK;
    if (m->async && !settled)
        return answer_async(app, x, f);
    tell(app, a);
    return proxy_answer_state(app, x, c, a);
}

/* A read that is written down with its answer has no row before it: then nothing is known, and
 * nothing had an effect. */
static int answer_without_row(struct app *app, struct exchange *x, const struct connector *c,
                              bool landed, handler_fn *then)
{
    const struct waiting w = waiting_for(x->memo, 0, STATE_NEW);
    if (!landed && waiting_park(app, x, &w, false, landed, then))
        return ERR_OK;
    return proxy_error(x, c, 502, "UPSTREAM_UNREACHABLE", "The provider gave no answer in time.");
}

static int answer_with(struct app *app, struct exchange *x, const struct connector *c,
                       handler_fn *then, struct fail *f)
{
    struct sight s = {0};
    bool landed = waiting_landed(x);
    int r = sight_read(app, x->who.workspace, str_c(x->action_id), false, &s);
    if (r == ERR_OK)
        r = answer_by_state(app, x, c, &s.act, landed, then, f);
    else if (r == ERR_NOT_FOUND && x->flight != NULL)
        r = answer_without_row(app, x, c, landed, then);
    sight_free(&s);
    return r;
}

/* What the call that this exchange started has brought, if it has. */
static bool flight_answer(struct exchange *x, int *ret)
{
    int fd = -1;
    if (x->flight == NULL)
        return false;
    const struct keeper_result *head = flight_head(x->flight, &fd);
    if (head != NULL && fd >= 0) {
        *ret = proxy_pass_stream(x, head, fd);
        return true;
    }
    const struct keeper_result *res = flight_result(x->flight);
    if (res == NULL || res->kind != RESULT_ANSWERED)
        return false;
    *ret = proxy_pass(x, res);
    return true;
}

static const struct connection *connection_of(const struct exchange *x)
{
    return roster_connection_name(x->who.roster, x->who.workspace, x->param[0]);
}

static int answer(struct app *app, struct exchange *x, struct fail *f)
{
    int r;
    if (flight_answer(x, &r))
        return r;
    struct rules *rules = life_rules(app->life);
    const struct connector *c =
        connectors_find(rules->connectors, str_c(connection_of(x)->connector));
    r = c != NULL ? answer_with(app, x, c, answer, f)
                  : fail_set(f, ERR_UNAVAILABLE, "the connector is no longer there");
    rules_unref(rules);
    return r;
}

/* --- the call --------------------------------------------------------------------------------- */

static void plan(struct app *app, struct exchange *x, struct call_memo *m,
                 const struct preference *pref)
{
    int64_t now = env_mono(app->env);
    *m = (struct call_memo){.asked = now + pref->wait * 1000,
                            .upstream = now + app->cfg->limit_upstream_time + GRACE_MS,
                            .async = pref->async};
    x->memo = m;
}

static int propose(struct app *app, struct exchange *x, const struct connection *con,
                   struct fail *f)
{
    struct proxy_input in;
    struct preference pref;
    struct proposed made;
    struct call_memo *m = arena_alloc(x->arena, sizeof *m);
    preference_read(x, &pref);
    int r = proxy_input_read(x, &in, f);
    if (r == ERR_OK && m == NULL)
        r = fail_set(f, ERR_NOMEM, "out of memory");
    in.p.roster = x->who.roster;
    in.p.agent = x->who.agent;
    in.p.connection = con;
    in.p.from_proxy = !pref.async; /* otherwise nobody may be left to take the answer */
    if (r == ERR_OK)
        r = life_propose(app->life, &in.p, &made, f);
    proxy_input_free(&in);
    if (r != ERR_OK)
        return r;
    x->flight = made.flight;
    (void)str_copy(x->action_id, sizeof x->action_id, str_c(made.id));
    plan(app, x, m, &pref);
    return ERR_OK;
}

static int call(struct app *app, struct exchange *x, const struct connection *con, struct fail *f)
{
    if (!agent_may_use(x->who.agent, con))
        return fail_set(f, ERR_CONNECTION_NOT_ALLOWED, "this agent was not given the connection");
    return propose(app, x, con, f);
}

int proxy_call(struct app *app, struct exchange *x, struct fail *f)
{
    const struct connection *con = connection_of(x);
    if (con == NULL)
        return fail_set(f, ERR_NOT_FOUND, "there is no such connection");
    struct rules *rules = life_rules(app->life);
    const struct connector *c = connectors_find(rules->connectors, str_c(con->connector));
    int r = c != NULL ? call(app, x, con, f)
                      : fail_set(f, ERR_UNAVAILABLE, "the connection's connector is not loaded");
    bool proposed = r == ERR_OK;
    if (r != ERR_OK && c != NULL)
        r = proxy_refuse(x, c, r, f);
    rules_unref(rules);
    return proposed ? answer(app, x, f) : r;
}
