/* Review: a named person decides about exactly one revision. A vote is a row with a MAC over the
 * binding, made under a key that is not in the database; which votes count is worked out anew each
 * time they are used. One refusal ends the action; a met quorum approves it. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>

/* --- which votes count ----------------------------------------------------------------------- */

static bool mac_right(struct life *l, const struct action *a, const struct action_vote *v)
{
    uint64_t version = 0;
    size_t colon = str_find(v->mac, ':', 0);
    if (!str_u64(str_sub(v->mac, 0, colon), &version) || version > UINT32_MAX)
        return false;
    const unsigned char *key = life_mac_key(l, (uint32_t)version);
    if (key == NULL)
        return false;
    struct vote vote = {.binding = a->binding,
                        .person = v->person,
                        .decision = v->decision,
                        .at = v->at,
                        .auth_time = v->auth_time,
                        .session = v->session,
                        .evidence = v->evidence};
    char mac[MAC_TEXT];
    return vote_mac(key, (uint32_t)version, &vote, mac) == 0 && str_eq_secret(str_c(mac), v->mac);
}

/* NULL if the vote counts towards approval, else why it does not, for people to read. */
static const char *why_not(struct life *l, const struct roster *r, const struct action *a,
                           const struct action_vote *v, const json_t *quorum,
                           const struct agent *agent)
{
    const struct person *p = roster_person(r, v->person);
    if (v->decision != VOTE_APPROVE)
        return "a refusal";
    if (!str_eq(v->binding, a->binding))
        return "given for an earlier revision";
    if (!mac_right(l, a, v))
        return "its seal does not fit: it was not cast here";
    if (p == NULL || !p->enabled)
        return "the person is disabled";
    if (agent == NULL || quorum_may_vote(quorum, r, agent, p) != 0)
        return "the person is no longer among the approvers";
    if (v->session_gone)
        return "the session was revoked";
    if (v->at < life_epoch_started(l))
        return "cast before the sending process lost its journal";
    if (v->auth_time + l->o.cfg->session_absolute <= life_now(l))
        return "the sign-in behind it is too old by now";
    if (!str_eq(v->evidence, a->evidence))
        return "weaker proof than policy asks for";
    return NULL;
}

void life_count(struct life *l, const struct roster *r, const struct action *a,
                const struct action_vote *v, size_t n, const char **why, struct quorum_state *ret)
{
    *ret = (struct quorum_state){0};
    json_t *quorum = json_loadb(a->quorum.p, a->quorum.n, 0, NULL);
    const struct agent *agent = roster_agent(r, a->agent);
    const struct person **approver = calloc(n + 1, sizeof(const struct person *));
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        why[i] = quorum == NULL || approver == NULL ? "cannot be judged just now"
                                                    : why_not(l, r, a, &v[i], quorum, agent);
        if (why[i] == NULL)
            approver[count++] = roster_person(r, v[i].person);
    }
    if (quorum != NULL && approver != NULL && agent != NULL)
        quorum_count(quorum, r, agent, approver, count, ret);
    free(approver);
    json_decref(quorum);
}

/* --- who may, and when ----------------------------------------------------------------------- */

int life_may_vote(struct life *l, const struct roster *r, const struct action *a,
                  const struct person *p, enum vote_decision decision, struct fail *f)
{
    if (a->state == STATE_EXPIRED || (a->state == STATE_PENDING && a->decide_by <= life_now(l)))
        return fail_set(f, ERR_EXPIRED, "the time to decide has run out");
    if (a->state != STATE_PENDING)
        return fail_set(f, ERR_ALREADY_DECIDED, "the action is already %s", state_text(a->state));
    json_t *quorum = json_loadb(a->quorum.p, a->quorum.n, 0, NULL);
    const struct agent *agent = roster_agent(r, a->agent);
    int err = quorum == NULL || agent == NULL ? ERR_NOT_AN_APPROVER
                                              : quorum_may_vote(quorum, r, agent, p);
    json_decref(quorum);
    if (err == ERR_OWN_ACTION)
        return fail_set(f, err,
                        "you own the agent that proposed this; somebody else has to decide");
    if (err != 0)
        return fail_set(f, err, "policy does not name you among the approvers of this action");
    if (decision != VOTE_REJECT && !str_eq_c(a->evidence, "session"))
        return fail_set(f, ERR_STEP_UP_REQUIRED, "policy asks for %.*s evidence at this tier",
                        STR_FMT(a->evidence));
    return 0;
}

/* "alice@example.com and bob@example.com" */
static void name_deciders(const struct roster *r, const struct action *a,
                          const struct action_vote *v, size_t n, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    if (a->rejected_by.n > 0) {
        const struct person *p = roster_person(r, a->rejected_by);
        snprintf(out, size, "%s", p != NULL ? p->email : "a person who is gone");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct person *p = roster_person(r, v[i].person);
        if (v[i].decision != VOTE_APPROVE || p == NULL || used >= size)
            continue;
        int k = snprintf(out + used, size - used, "%s%s", used > 0 ? " and " : "", p->email);
        used += k > 0 ? (size_t)k : 0;
    }
}

static int refuse_decided(const struct roster *r, const struct action *a,
                          const struct action_vote *v, size_t n, struct fail *f)
{
    char who[160];
    name_deciders(r, a, v, n, who, sizeof who);
    return fail_set(f, ERR_ALREADY_DECIDED, "the action is already %s%s%s", state_text(a->state),
                    who[0] != '\0' ? ", decided by " : "", who);
}

/* --- casting --------------------------------------------------------------------------------- */

struct cast {
    struct work work; /* first */
    const struct ballot *b;
    struct arena *arena;
    struct fail *fail;
    struct action action;
    struct action_vote *vote;
    const char **why;
    size_t n;
    bool rejected, approved;
};

static const char *decision_text(enum vote_decision d)
{
    return d == VOTE_APPROVE ? "approve" : "reject";
}

static int load_cast(struct store_tx *tx, struct cast *c)
{
    c->rejected = c->approved = false;
    c->vote = arena_alloc(c->arena, VOTES_MAX * sizeof *c->vote);
    c->why = arena_alloc(c->arena, (VOTES_MAX + 1) * sizeof *c->why);
    if (c->vote == NULL || c->why == NULL)
        return ERR_NOMEM;
    int r = action_load(tx, c->arena, c->b->workspace, c->b->action, &c->action);
    if (r == 0)
        r = action_votes(tx, c->arena, &c->action, c->vote, VOTES_MAX, &c->n);
    return r == ERR_NOT_FOUND ? fail_set(c->fail, r, "there is no such action") : r;
}

static int check_cast(struct cast *c)
{
    const struct ballot *b = c->b;
    const struct action *a = &c->action;
    struct fail why = {0};
    int r = life_may_vote(c->work.l, b->roster, a, b->person, b->decision, &why);
    if (r == ERR_ALREADY_DECIDED)
        return refuse_decided(b->roster, a, c->vote, c->n, c->fail);
    if (r == ERR_EXPIRED)
        return fail_set(c->fail, r, "%s", why.detail);
    if (b->revision != a->revision || !str_eq(b->binding, a->binding))
        return fail_set(c->fail, ERR_STALE_REVISION,
                        "the action is now at revision %lld with another binding",
                        (long long)a->revision);
    if (r == 0 && b->decision != VOTE_REJECT && !str_eq(b->evidence, a->evidence))
        r = ERR_STEP_UP_REQUIRED;
    return r == 0 ? 0 : fail_set(c->fail, r, "%s", why.detail);
}

static int write_vote(struct store_tx *tx, struct cast *c)
{
    struct life *l = c->work.l;
    const struct ballot *b = c->b;
    const struct action *a = &c->action;
    uint32_t version = life_mac_newest(l);
    const unsigned char *key = life_mac_key(l, version);
    char mac[MAC_TEXT];
    if (key == NULL)
        return ERR_UNAVAILABLE;
    struct vote v = {.binding = a->binding,
                     .person = str_c(b->person->id),
                     .decision = b->decision,
                     .at = life_now(l),
                     .auth_time = b->auth_time,
                     .session = b->session,
                     .evidence = b->evidence};
    int r = vote_mac(key, version, &v, mac);
    if (r == 0)
        r = STORE_EXEC(tx, Q_VOTE_SET, NULL, V_TEXT(a->workspace), V_TEXT(a->id),
                       V_INT(a->revision), V_TEXT(v.person), V_C(decision_text(v.decision)),
                       V_TEXT(v.binding), V_OPT(b->reason), V_OPT(b->option), V_INT(v.at),
                       V_INT(v.auth_time), V_TEXT(v.session), V_TEXT(v.evidence), V_C(mac));
    return r != 0 ? r : action_votes(tx, c->arena, a, c->vote, VOTES_MAX, &c->n);
}

static bool same_again(struct cast *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq_c(c->vote[i].person, c->b->person->id))
            return c->vote[i].decision == c->b->decision && c->why[i] == NULL;
    return false;
}

/* ["apr_..","apr_.."] of those that count, the order being that of their votes. */
static struct str approvers_text(struct cast *c)
{
    struct buf b;
    buf_init(&b, 0);
    buf_ch(&b, '[');
    for (size_t i = 0; i < c->n; i++)
        if (c->why[i] == NULL)
            buf_printf(&b, "%s\"%.*s\"", b.n > 1 ? "," : "", STR_FMT(c->vote[i].person));
    buf_ch(&b, ']');
    struct str text = arena_str(c->arena, buf_view(&b));
    buf_free(&b);
    return text;
}

static int resolve(struct store_tx *tx, struct cast *c, const struct quorum_state *q, int64_t seq)
{
    struct life *l = c->work.l;
    struct action *a = &c->action;
    a->given = q->given;
    if (c->b->decision == VOTE_REJECT) {
        a->decided_at = life_now(l);
        a->rejected_by = str_c(c->b->person->id);
        a->rejection_reason = c->b->reason;
        a->rejection_option = c->b->option;
        c->rejected = true;
        struct str who = str_c(arena_printf(c->arena, "[\"%s\"]", c->b->person->id));
        return life_advance(tx, &c->work, a, EVENT_reject,
                            &(struct advance){.approvers = who, .channel = STR("web")});
    }
    if (q->met) {
        a->decided_at = life_now(l);
        a->approvers = approvers_text(c);
        c->approved = true;
        return life_advance(tx, &c->work, a, EVENT_approve,
                            &(struct advance){.channel = STR("web")});
    }
    int r = STORE_EXEC(tx, Q_ACTION_GIVEN, NULL, V_TEXT(a->workspace), V_TEXT(a->id),
                       V_INT(q->given), V_INT(seq));
    if (r == 0)
        work_changed(&c->work, a, seq, false, -1);
    return r;
}

static int cast_vote(struct store_tx *tx, void *arg)
{
    struct cast *c = arg;
    struct life *l = c->work.l;
    int r = load_cast(tx, c);
    if (r == 0)
        r = check_cast(c);
    if (r != 0)
        return r;
    struct quorum_state q;
    life_count(l, c->b->roster, &c->action, c->vote, c->n, c->why, &q);
    if (same_again(c))
        return 0;
    r = write_vote(tx, c);
    if (r != 0)
        return r;
    life_count(l, c->b->roster, &c->action, c->vote, c->n, c->why, &q);
    int64_t seq = 0;
    struct str who = str_c(arena_printf(c->arena, "[\"%s\"]", c->b->person->id));
    r = life_audit(
        tx, l, &c->action, AUDIT_VOTE_CAST,
        &(struct advance){.approvers = who, .channel = STR("web"), .evidence = c->b->evidence},
        &seq);
    return r != 0 ? r : resolve(tx, c, &q, seq);
}

static int write_refusal(struct store_tx *tx, void *arg)
{
    struct cast *c = arg;
    int r = load_cast(tx, c);
    if (r != 0)
        return r;
    c->action.error_code = str_c(err_code(c->fail != NULL ? c->fail->err : ERR_NOT_AN_APPROVER));
    struct str who = str_c(arena_printf(c->arena, "[\"%s\"]", c->b->person->id));
    return life_audit(tx, c->work.l, &c->action, AUDIT_VOTE_REFUSED,
                      &(struct advance){.approvers = who, .channel = STR("web")}, NULL);
}

static void after_vote(struct life *l, struct cast *c, int r)
{
    if (r == 0)
        atomic_fetch_add(&l->stat.votes, 1);
    if (r == 0 && c->approved)
        life_execute(l, c->b->workspace, c->b->action);
    if (r == 0 && c->rejected) {
        struct revocation rev = {REVOKE_ACTION, c->b->workspace, c->b->action, c->action.execute_by,
                                 true};
        if (keeper_revoke(l->keeper, &rev) != 0)
            log_event(LOG_WARN, "life.revoke_not_heard", KV_S("action", c->b->action));
    }
    if (r == ERR_EXPIRED)
        jobs_poke(l);
    if (r == ERR_OWN_ACTION || r == ERR_NOT_AN_APPROVER || r == ERR_STALE_REVISION ||
        r == ERR_STEP_UP_REQUIRED) {
        atomic_fetch_add(&l->stat.votes_refused, 1);
        if (life_work(l, write_refusal, &c->work) != 0)
            log_event(LOG_ERROR, "life.refusal_not_audited", KV_S("action", c->b->action));
    }
}

int life_vote(struct life *l, const struct ballot *b, struct fail *f)
{
    struct cast *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_NOMEM;
    struct fail own = {0};
    c->b = b;
    c->fail = f != NULL ? f : &own;
    c->arena = arena_new(ARENA_MAX);
    int r = c->arena != NULL ? life_work(l, cast_vote, &c->work) : ERR_NOMEM;
    if (r != ERR_NOMEM)
        after_vote(l, c, r);
    arena_free(c->arena);
    free(c);
    return r;
}

/* --- settling an unknown outcome ------------------------------------------------------------- */

struct settle {
    struct work work; /* first */
    struct arena *arena;
    const struct person *person;
    struct str workspace, id, evidence;
    bool succeeded;
    struct fail *fail;
};

static int write_settled(struct store_tx *tx, void *arg)
{
    struct settle *s = arg;
    struct action a;
    int r = action_load(tx, s->arena, s->workspace, s->id, &a);
    if (r != 0)
        return fail_set(s->fail, r, "there is no such action");
    if (a.state != STATE_UNKNOWN)
        return fail_set(s->fail, ERR_ALREADY_DECIDED,
                        "the action is %s, its outcome is not in doubt", state_text(a.state));
    struct str who = str_c(arena_printf(s->arena, "[\"%s\"]", s->person->id));
    if (!s->succeeded)
        a.error_code = STR("reconciled_failed");
    else
        a.error_code = STR("");
    return life_advance(
        tx, &s->work, &a, s->succeeded ? EVENT_settle_succeeded : EVENT_settle_failed,
        &(struct advance){.approvers = who, .channel = STR("web"), .evidence = s->evidence});
}

int life_reconcile(struct life *l, const struct person *p, struct str workspace, struct str id,
                   bool succeeded, struct str evidence, struct fail *f)
{
    struct settle *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    s->arena = arena_new(ARENA_MAX);
    s->person = p;
    s->workspace = workspace;
    s->id = id;
    s->evidence = evidence;
    s->succeeded = succeeded;
    s->fail = f;
    int r = s->arena != NULL ? life_work(l, write_settled, &s->work) : ERR_NOMEM;
    arena_free(s->arena);
    free(s);
    return r;
}
