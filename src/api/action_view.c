/* The action object. Field names and meanings are the contract (API.md); what is added for people
 * is in person_view.c. Nothing here may show a payload to somebody who may not see the action:
 * callers ask view_for(), which checks that first. */
#include <stdio.h>

#include "api/action_view.h"
#include "api/person_view.h"
#include "api/shape.h"
#include "base/log.h"

/* --- parts ------------------------------------------------------------------------------------ */

static json_t *stored_approvals(const struct action *a, int64_t given)
{
    json_t *quorum = shape_parsed(a->quorum);
    json_t *v = shape_approvals(quorum, given);
    json_decref(quorum);
    return v;
}

static json_t *rejection(const struct roster *r, const struct action *a)
{
    if (a->rejected_by.n == 0)
        return json_null();
    const struct person *p = roster_person(r, a->rejected_by);
    return json_pack("{s:o, s:o, s:o, s:o}", "by", shape_text(a->rejected_by), "reason",
                     shape_opt(a->rejection_reason), "option", shape_opt(a->rejection_option),
                     "by_email", p != NULL ? json_string(p->email) : json_null());
}

static json_t *reauth(const struct action *a)
{
    if (a->state != STATE_BLOCKED)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "url", shape_opt(a->reauth_url), "expires_at",
                     shape_time(a->reauth_expires_at), "reason", shape_opt(a->reauth_reason));
}

static json_t *links(const struct app *app, const struct action *a)
{
    char self[64], review[2304];
    (void)snprintf(self, sizeof self, "/v1/actions/%.*s", STR_FMT(a->id));
    int n =
        snprintf(review, sizeof review, "%s/#/actions/%.*s", app->cfg->public_url, STR_FMT(a->id));
    CS_ASSERT(n > 0 && (size_t)n < sizeof review);
    return json_pack("{s:s, s:s}", "self", self, "review", review);
}

static json_t *outcome(const struct action *a)
{
    const char *text = state_outcome(a->state);
    return text != NULL ? json_string(text) : json_null();
}

/* --- the object ------------------------------------------------------------------------------- */

static json_t *head(const struct roster *r, const struct action *a)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:i, s:I, s:o, s:o, s:o, s:o, s:o}", "id",
                     shape_text(a->id), "status", state_text(a->state), "outcome", outcome(a),
                     "error_code", shape_opt(a->error_code), "tier", a->tier, "revision",
                     (json_int_t)a->revision, "connection",
                     shape_text(shape_connection_name(r, a->connection)), "connector",
                     shape_text(a->connector), "operation", shape_operation(a->operation), "method",
                     shape_text(a->method), "path", shape_text(a->path));
}

static json_t *tail(const struct app *app, const struct roster *r, const struct action *a,
                    int64_t given)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "payload_hash", shape_opt(a->payload_hash), "executed_payload_hash",
                     shape_opt(a->executed_payload_hash), "binding", shape_opt(a->binding),
                     "reasons", shape_parsed(a->reasons), "proposed_at", shape_time(a->proposed_at),
                     "decide_by", shape_time(a->decide_by), "execute_by", shape_time(a->execute_by),
                     "decided_at", shape_time(a->decided_at), "ended_at", shape_time(a->ended_at),
                     "approvals", stored_approvals(a, given), "attempt_of",
                     shape_opt(a->attempt_of), "thread_id", shape_opt(a->thread), "rejection",
                     rejection(r, a), "reauth", reauth(a), "links", links(app, a));
}

static int base(const struct app *app, const struct roster *r, const struct action *a,
                int64_t given, json_t **ret)
{
    json_t *v = head(r, a), *rest = tail(app, r, a, given);
    int bad = v == NULL || rest == NULL || json_object_update(v, rest) != 0;
    json_decref(rest);
    if (bad) {
        json_decref(v);
        return ERR_NOMEM;
    }
    *ret = v;
    return ERR_OK;
}

int view_line(struct app *app, const struct roster *r, const struct action *a, json_t **ret)
{
    return base(app, r, a, a->given, ret);
}

/* What counts can change until the votes have been used; after that the number then counted stands.
 */
static int64_t given_now(struct app *app, const struct sight *s)
{
    const char *why[SIGHT_VOTES];
    struct quorum_state q = {0};
    if (s->act.state != STATE_PENDING)
        return s->act.given;
    life_count(app->life, s->roster, &s->act, s->vote, s->n_votes, why, &q);
    return q.given;
}

int view_base(struct app *app, const struct sight *s, json_t **ret)
{
    int r = base(app, s->roster, &s->act, given_now(app, s), ret);
    if (r == ERR_OK && json_object_set(*ret, "deliveries", s->deliveries) != 0)
        r = ERR_NOMEM;
    return r;
}

/* --- what is sealed --------------------------------------------------------------------------- */

/* A large body is left out, so that one object never fills a client's memory. */
static int result_json(struct vault *vault, const struct action *a, json_t **ret)
{
    struct buf body;
    json_t *v = NULL;
    buf_init(&body, 0);
    int r = action_result(vault, a, &v, &body);
    if (r == ERR_OK && body.n > VIEW_BODY_MAX) {
        int bad = json_object_set_new(v, "body_omitted", json_true());
        bad |= json_object_set_new(v, "body_bytes", json_integer((json_int_t)body.n));
        r = bad != 0 ? ERR_NOMEM : ERR_OK;
    } else if (r == ERR_OK && !json_is_true(json_object_get(v, "body_omitted"))) {
        r = result_body_into(v, buf_view(&body));
    }
    buf_wipe(&body);
    if (r == ERR_OK)
        *ret = v;
    else
        json_decref(v);
    return r;
}

/* A column that was never filled is null; one that does not open is an error, never an empty value.
 */
static int opened(int r, json_t **v)
{
    if (r == ERR_NOT_FOUND)
        *v = json_null();
    return r == ERR_NOT_FOUND ? ERR_OK : r;
}

int view_sealed(struct app *app, const struct sight *s, json_t *v, struct str *note)
{
    struct vault *vault = life_vault(app->life);
    json_t *extra = NULL, *result = NULL;
    int r = opened(action_extra(vault, &s->act, &extra), &extra);
    if (r == ERR_OK)
        r = opened(result_json(vault, &s->act, &result), &result);
    if (r != ERR_OK)
        goto out;
    json_t *state = json_object_get(extra, "state");
    if (note != NULL)
        *note = arena_str(s->arena, json_text(json_object_get(extra, "note")));
    if (json_object_set(v, "state", state != NULL ? state : json_null()) != 0 ||
        json_object_set(v, "result", result) != 0)
        r = ERR_NOMEM;
out:
    json_decref(extra);
    json_decref(result);
    return r;
}

int view_agent(struct app *app, const struct sight *s, json_t **ret)
{
    json_t *v = NULL;
    int r = view_base(app, s, &v);
    if (r == ERR_OK)
        r = view_sealed(app, s, v, NULL);
    if (r == ERR_OK)
        *ret = v;
    else
        json_decref(v);
    return r;
}

/* --- for whoever asks ------------------------------------------------------------------------- */

static void tell(struct app *app, const struct action *a)
{
    if (!state_ended(a->state) || a->tier < 2 || a->told_at != 0)
        return;
    if (life_told(app->life, a) != ERR_OK) /* the call then joins for longer: the careful side */
        log_event(LOG_WARN, "action.told_not_recorded", KV_S("action", a->id));
}

static int for_agent(struct app *app, const struct principal *who, const struct sight *s,
                     json_t **ret)
{
    if (!str_eq_c(s->act.agent, who->agent->id))
        return ERR_NOT_FOUND;
    int r = view_agent(app, s, ret);
    if (r == ERR_OK)
        tell(app, &s->act);
    return r;
}

int view_for(struct app *app, const struct principal *who, struct str id, json_t **ret,
             enum state *state)
{
    struct sight s = {0};
    int r = sight_read(app, who->workspace, id, who->who != WHO_AGENT, &s);
    if (r == ERR_OK)
        r = who->who == WHO_AGENT ? for_agent(app, who, &s, ret) : view_person(app, &s, who, ret);
    if (r == ERR_OK && state != NULL)
        *state = s.act.state;
    sight_free(&s);
    return r;
}
