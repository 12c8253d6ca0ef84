/* What people see of an action beyond what its agent sees: the request complete, its impact, the
 * votes, the timeline, and whether they may decide. The request is the stored canonical payload and
 * never cut; one that does not open is an error, since nobody may decide on what they cannot read.
 */
#include "api/person_view.h"
#include "api/shape.h"

/* --- may I decide ----------------------------------------------------------------------------- */

static json_t *can(struct app *app, const struct sight *s, const struct principal *who)
{
    struct fail f = {.position = -1};
    int r = ERR_WRONG_PRINCIPAL;
    bool reject = false;
    if (who->who == WHO_PERSON) {
        const struct person *p = who->person;
        reject = life_may_vote(app->life, s->roster, &s->act, p, VOTE_REJECT, NULL) == ERR_OK;
        r = life_may_vote(app->life, s->roster, &s->act, p, VOTE_APPROVE, &f);
    } else {
        (void)fail_set(&f, r, "only a signed-in person can decide");
    }
    const char *why = f.detail[0] != '\0' ? f.detail : r != ERR_OK ? err_title(r) : "";
    return json_pack("{s:b, s:b, s:o}", "approve", r == ERR_OK, "reject", reject, "why",
                     r == ERR_OK ? json_null() : json_string(why));
}

/* --- votes ------------------------------------------------------------------------------------ */

static json_t *vote(const struct roster *r, const struct action_vote *v, const char *why_not)
{
    const struct person *p = roster_person(r, v->person);
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:b, s:o}", "person", shape_text(v->person),
                     "email", p != NULL ? json_string(p->email) : json_null(), "decision",
                     v->decision == VOTE_APPROVE ? "approve" : "reject", "at", shape_time(v->at),
                     "reason", shape_opt(v->reason), "option", shape_opt(v->option), "counts",
                     why_not == NULL, "why_not",
                     why_not != NULL ? json_string(why_not) : json_null());
}

/* Once the votes have been used (or will never be), what was counted then stands: sessions that end
 * later say nothing about it. */
static bool still_counting(enum state s)
{
    return s == STATE_PENDING || s == STATE_APPROVED || s == STATE_BLOCKED;
}

static json_t *votes(struct app *app, const struct sight *s)
{
    const char *why[SIGHT_VOTES] = {NULL};
    struct quorum_state q = {0};
    json_t *list = json_array();
    if (still_counting(s->act.state))
        life_count(app->life, s->roster, &s->act, s->vote, s->n_votes, why, &q);
    for (size_t i = 0; i < s->n_votes; i++)
        if (json_array_append_new(list, vote(s->roster, &s->vote[i], why[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* --- timeline --------------------------------------------------------------------------------- */

static const char *meaning(struct str type)
{
    static const struct {
        const char *type, *meaning;
    } row[] = {
#define AUDIT(name, text, meaning) {text, meaning},
#include "audit/event.def"
#undef AUDIT
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (str_eq_c(type, row[i].type))
            return row[i].meaning;
    return "";
}

/* The person, by email, or else the agent where it was the agent's doing. */
static json_t *event_who(const struct roster *r, const json_t *event, struct str type)
{
    const json_t *ids = json_object_get(event, "approver_ids");
    size_t n = json_array_size(ids);
    if (n > 0) {
        struct str id = json_text(json_array_get(ids, n - 1));
        const struct person *p = roster_person(r, id);
        return p != NULL ? json_string(p->email) : shape_opt(id);
    }
    if (str_eq_c(type, "action.proposed") || str_eq_c(type, "action.cancelled"))
        return shape_opt(shape_agent_name(r, json_text(json_object_get(event, "agent_id"))));
    return json_null();
}

static json_t *event_text(const json_t *event, struct str type)
{
    struct str outcome = json_text(json_object_get(event, "outcome"));
    struct str code = json_text(json_object_get(event, "error_code"));
    const char *said = meaning(type);
    if (outcome.n > 0 && code.n > 0)
        return json_sprintf("%s: %.*s (%.*s)", said, STR_FMT(outcome), STR_FMT(code));
    if (outcome.n + code.n > 0)
        return json_sprintf("%s: %.*s", said, STR_FMT(outcome.n > 0 ? outcome : code));
    return json_string(said);
}

static json_t *timeline(const struct sight *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(s->events); i++) {
        const json_t *event = json_array_get(s->events, i);
        struct str type = json_text(json_object_get(event, "type"));
        json_t *row =
            json_pack("{s:O?, s:o, s:O?, s:o, s:o}", "seq", json_object_get(event, "seq"), "type",
                      shape_text(type), "at", json_object_get(event, "timestamp"), "who",
                      event_who(s->roster, event, type), "text", event_text(event, type));
        if (json_array_append_new(list, row) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* --- the request ------------------------------------------------------------------------------ */

static int request_of(struct app *app, const struct sight *s, json_t **ret)
{
    struct buf b;
    buf_init(&b, 0);
    int r = action_request(life_vault(app->life), &s->act, &b);
    json_t *v = r == ERR_OK ? json_loadb(b.p, b.n, 0, NULL) : NULL;
    buf_wipe(&b);
    if (r == ERR_OK && v == NULL)
        r = ERR_SEAL;
    if (r == ERR_OK)
        *ret = v;
    return r == ERR_NOT_FOUND ? ERR_SEAL : r;
}

static json_t *impact_of(const struct sight *s, const json_t *request)
{
    const struct connector *c = connectors_find(s->rules->connectors, s->act.connector);
    const struct operation *op = c != NULL ? connector_operation(c, s->act.operation) : NULL;
    return connector_impact(op, request);
}

/* Who proposed it: agent, its name, its owner's email. */
static int add_agent(const struct sight *s, json_t *v)
{
    const struct agent *a = roster_agent(s->roster, s->act.agent);
    const struct person *owner = a != NULL ? roster_person(s->roster, str_c(a->owner)) : NULL;
    int bad = json_object_set_new(v, "agent", shape_text(s->act.agent));
    bad |=
        json_object_set_new(v, "agent_name", shape_text(shape_agent_name(s->roster, s->act.agent)));
    bad |= json_object_set_new(v, "owner", owner != NULL ? json_string(owner->email) : json_null());
    return bad != 0 ? ERR_NOMEM : ERR_OK;
}

/* --- the views -------------------------------------------------------------------------------- */

/* A list must not fail because one payload does not open: that one then shows no impact, and
 * opening it says why. */
int view_review(struct app *app, const struct sight *s, const struct principal *who, json_t **ret)
{
    json_t *v = NULL, *request = NULL;
    int r = view_base(app, s, &v);
    if (r == ERR_OK)
        r = add_agent(s, v);
    if (r == ERR_OK && request_of(app, s, &request) != ERR_OK)
        request = NULL;
    if (r == ERR_OK &&
        (json_object_set_new(v, "impact", request ? impact_of(s, request) : json_null()) != 0 ||
         json_object_set_new(v, "can", can(app, s, who)) != 0))
        r = ERR_NOMEM;
    json_decref(request);
    if (r == ERR_OK)
        *ret = v;
    else
        json_decref(v);
    return r;
}

int view_person(struct app *app, const struct sight *s, const struct principal *who, json_t **ret)
{
    json_t *v = NULL, *request = NULL, *more = NULL;
    struct str note = STR("");
    int r = view_base(app, s, &v);
    if (r == ERR_OK)
        r = view_sealed(app, s, v, &note);
    if (r == ERR_OK)
        r = add_agent(s, v);
    if (r == ERR_OK)
        r = request_of(app, s, &request);
    if (r != ERR_OK)
        goto out;
    more = json_pack("{s:O, s:[], s:o, s:o, s:o, s:o, s:o}", "request", request, "diff", "impact",
                     impact_of(s, request), "note", shape_opt(note), "votes", votes(app, s),
                     "timeline", timeline(s), "can", can(app, s, who));
    if (more == NULL || json_object_update(v, more) != 0)
        r = ERR_NOMEM;
out:
    json_decref(request);
    json_decref(more);
    if (r == ERR_OK)
        *ret = v;
    else
        json_decref(v);
    return r;
}
