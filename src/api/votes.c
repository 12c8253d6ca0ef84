/* What people do to an action: vote, settle an unknown outcome, send its webhooks again. Whether a
 * vote may count is life_vote()'s to say, in the contract's order; here it is only read and
 * answered. */
#include "api/action_view.h"
#include "api/problem.h"

#define REASON_MAX 2000
#define OPTION_MAX 200
#define STEP_UP_SECONDS 300

/* RFC 9470. */
static int ask_step_up(struct exchange *x, const struct fail *f)
{
    exchange_add_header(x, "WWW-Authenticate",
                        STR("Bearer error=\"insufficient_user_authentication\", "
                            "error_description=\"A fresher or stronger proof is needed\", "
                            "max_age=\"300\""));
    return problem_answer(
        x, ERR_STEP_UP_REQUIRED, f,
        json_pack("{s:[s,s], s:i}", "methods", "passkey", "totp", "max_age", STEP_UP_SECONDS));
}

static int known_action(const struct exchange *x, struct fail *f)
{
    return id_valid("act", x->param[0]) ? ERR_OK
                                        : fail_set(f, ERR_NOT_FOUND, "there is no such action");
}

/* The action as it is after what was done. */
static int answer_after(struct app *app, struct exchange *x, struct fail *f)
{
    json_t *v;
    int r = view_for(app, &x->who, x->param[0], &v, NULL);
    return r == ERR_OK ? exchange_json(x, 200, v)
                       : fail_set(f, r, "done, but the action could not be read back");
}

/* --- votes ------------------------------------------------------------------------------------ */

/* Proof beyond the session (`evidence`) is not taken in this version: a vote then counts as what
 * its session is worth, never as more. */
static int read_ballot(const struct exchange *x, struct ballot *b, struct fail *f)
{
    struct str decision = STR("");
    json_t *evidence = NULL;
    const struct json_field t[] = {
        {"decision", JSON_WANT_STR, &decision, true, 16},
        {"revision", JSON_WANT_INT, &b->revision, true, 0},
        {"binding", JSON_WANT_STR, &b->binding, true, HASH_TEXT},
        {"reason", JSON_WANT_STR, &b->reason, false, REASON_MAX},
        {"option", JSON_WANT_STR, &b->option, false, OPTION_MAX},
        {"evidence", JSON_WANT_OBJ, &evidence, false, 0},
    };
    int r = json_fields(x->json, t, sizeof t / sizeof t[0], f);
    if (r != ERR_OK)
        return r;
    if (str_eq_c(decision, "approve"))
        b->decision = VOTE_APPROVE;
    else if (str_eq_c(decision, "reject"))
        b->decision = VOTE_REJECT;
    else
        return fail_field(f, ERR_MALFORMED, "decision", "expected approve or reject");
    return ERR_OK;
}

int api_vote(struct app *app, struct exchange *x, struct fail *f)
{
    struct ballot b = {.roster = x->who.roster,
                       .person = x->who.person,
                       .workspace = x->who.workspace,
                       .action = x->param[0],
                       .session = x->who.session,
                       .auth_time = x->who.auth_time,
                       .evidence = STR("session")};
    int r = known_action(x, f);
    if (r == ERR_OK)
        r = read_ballot(x, &b, f);
    if (r == ERR_OK)
        r = life_vote(app->life, &b, f);
    if (r == ERR_STEP_UP_REQUIRED)
        return ask_step_up(x, f);
    return r == ERR_OK ? answer_after(app, x, f) : r;
}

/* --- an unknown outcome ----------------------------------------------------------------------- */

static size_t characters(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] & 0xc0) != 0x80)
            n++;
    return n;
}

static int read_finding(const struct exchange *x, bool *succeeded, struct str *evidence,
                        struct fail *f)
{
    struct str outcome = STR("");
    const struct json_field t[] = {
        {"outcome", JSON_WANT_STR, &outcome, true, 16},
        {"evidence", JSON_WANT_STR, evidence, true, 0},
    };
    int r = json_fields(x->json, t, sizeof t / sizeof t[0], f);
    if (r != ERR_OK)
        return r;
    *succeeded = str_eq_c(outcome, "succeeded");
    if (!*succeeded && !str_eq_c(outcome, "failed"))
        return fail_field(f, ERR_MALFORMED, "outcome", "expected succeeded or failed");
    *evidence = str_trim(*evidence);
    if (evidence->n == 0 || characters(*evidence) > REASON_MAX)
        return fail_field(f, ERR_MALFORMED, "evidence", "expected 1 to %d characters", REASON_MAX);
    return ERR_OK;
}

/* Whoever settles it says in effect whether the agent may try again, so it is no more the owner's
 * to say than a vote is. */
static int may_settle(struct app *app, const struct exchange *x, struct fail *f)
{
    struct sight s = {0};
    int r = sight_read(app, x->who.workspace, x->param[0], false, &s);
    if (r != ERR_OK)
        return fail_set(f, r,
                        r == ERR_NOT_FOUND ? "there is no such action" : "not possible just now");
    const struct agent *a = roster_agent(s.roster, s.act.agent);
    enum role role = x->who.person->role;
    if (role != ROLE_APPROVER && role != ROLE_ADMIN)
        r = fail_set(f, ERR_NOT_AN_APPROVER, "only approvers and admins settle an unknown outcome");
    else if (a != NULL && strcmp(a->owner, x->who.person->id) == 0)
        r = fail_set(f, ERR_OWN_ACTION, "the owner of the agent cannot settle its actions");
    sight_free(&s);
    return r;
}

int api_reconcile(struct app *app, struct exchange *x, struct fail *f)
{
    bool succeeded = false;
    struct str evidence = STR("");
    int r = read_finding(x, &succeeded, &evidence, f);
    if (r == ERR_OK)
        r = may_settle(app, x, f);
    if (r == ERR_OK)
        r = life_reconcile(app->life, x->who.person, x->who.workspace, x->param[0], succeeded,
                           evidence, f);
    return r == ERR_OK ? answer_after(app, x, f) : r;
}

int api_redeliver(struct app *app, struct exchange *x, struct fail *f)
{
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r == ERR_OK)
        r = known_action(x, f);
    if (r == ERR_OK && x->who.person->role == ROLE_AUDITOR)
        r = fail_set(f, ERR_WRONG_PRINCIPAL, "auditors only read");
    if (r == ERR_OK)
        r = life_redeliver(app->life, x->who.workspace, x->param[0], f);
    return r == ERR_OK ? answer_after(app, x, f) : r;
}
