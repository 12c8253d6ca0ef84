/* The verdict on one call. Rules are applied in the order of the file; what the last matching one
 * says of the tier, the quorum and the evidence holds, deadlines only get shorter, a denial stays.
 * Two things are beyond rules: what a connector denies, and that a call which nobody described is
 * tier 3 unless a rule names both its method and its path. */
#include "policy/judge.h"

struct judging {
    const struct policy *p;
    const struct policy_facts *facts;
    struct verdict *v;
    bool deny;
    bool bad;                  /* memory is out: deny */
    const struct rule *quorum; /* the rule that says who */
    enum evidence evidence;
    int64_t decide_within, execute_within; /* 0: nobody said */
};

/* --- matching -------------------------------------------------------------------------------- */

static bool same(const char *wanted, struct str s)
{
    return wanted == NULL || str_eq_c(s, wanted);
}

static bool glob(const char *wanted, struct str s)
{
    return wanted == NULL || str_glob(str_c(wanted), s);
}

static bool matches(const struct match *m, const struct policy_facts *f)
{
    if (m->operation != NULL && (f->op == NULL || !glob(m->operation, str_c(f->op->name))))
        return false;
    if (m->agent != NULL && !str_eq_c(f->agent, m->agent) && !str_eq_c(f->agent_name, m->agent))
        return false;
    return same(m->connector, str_c(f->connector->name)) && same(m->connection, f->connection) &&
           same(m->workspace, f->workspace) && same(m->method, f->method) &&
           glob(m->path, f->path) && (m->tag == NULL || operation_tagged(f->op, m->tag));
}

/* --- applying -------------------------------------------------------------------------------- */

json_t *reason_new(const char *prefix, const char *rule, const char *effect, const char *text)
{
    return json_pack("{s:s++, s:s, s:s}", "rule", prefix, rule, "", "effect", effect, "text", text);
}

/* Takes over the reason. */
static void add_reason(struct judging *j, json_t *reason)
{
    if (json_array_append_new(j->v->reasons, reason) != 0)
        j->bad = true;
}

static int64_t sooner(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* What the connector says of the operation. */
static void start(struct judging *j)
{
    static const char *const effect[] = {"tier 0", "tier 1", "tier 2", "tier 3"};
    const struct operation *op = j->facts->op;

    j->v->tier = 3;
    if (op == NULL) {
        add_reason(j, reason_new("connector ", j->facts->connector->name, effect[3],
                                 "operation not known to the connector"));
        return;
    }
    j->deny = op->deny;
    if (!op->deny && op->tier >= 0 && op->tier <= 3)
        j->v->tier = op->tier;
    j->decide_within = op->decide_within;
    j->execute_within = op->execute_within;
    add_reason(j, reason_new("connector ", j->facts->connector->name,
                             op->deny ? "deny" : effect[j->v->tier], op->text));
}

static void set_tier(struct judging *j, const struct rule *rule)
{
    static const char why[] = "an operation that the connector does not know stays there unless a "
                              "rule names its method and path";
    bool named = rule->match.method != NULL && rule->match.path != NULL;

    if (j->facts->op == NULL && rule->tier < 3 && !named)
        add_reason(j, reason_new("", rule->name, "tier 3", why));
    else
        j->v->tier = rule->tier;
}

static void apply(struct judging *j, const struct rule *rule)
{
    add_reason(j, json_incref(rule->reason));
    j->deny = j->deny || rule->deny;
    if (rule->tier != TIER_NONE)
        set_tier(j, rule);
    if (rule->count > 0 || rule->group != NULL || rule->people != NULL || rule->quorum != NULL)
        j->quorum = rule;
    if (rule->evidence != EVIDENCE_IMPOSSIBLE)
        j->evidence = rule->evidence;
    j->decide_within = sooner(j->decide_within, rule->decide_within);
    j->execute_within = sooner(j->execute_within, rule->execute_within);
}

/* --- the verdict ----------------------------------------------------------------------------- */

json_int_t quorum_people(const json_t *quorum)
{
    json_int_t n = 0;
    for (size_t i = 0; i < json_array_size(quorum); i++)
        n += json_integer_value(json_object_get(json_array_get(quorum, i), "count"));
    return n;
}

/* Who must agree: the tier's quorum, or what the last rule said. New reference. */
static json_t *quorum_of(const struct rule *rule, const json_t *usual)
{
    if (rule == NULL)
        return json_deep_copy(usual);
    if (rule->quorum != NULL)
        return json_deep_copy(rule->quorum);
    json_t *factor = json_object();
    json_int_t count = rule->count > 0 ? (json_int_t)rule->count : quorum_people(usual);
    bool ok = json_object_set_new(factor, "count", json_integer(count)) == 0;
    if (rule->group != NULL)
        ok = ok && json_object_set_new(factor, "group", json_string(rule->group)) == 0;
    if (rule->people != NULL)
        ok = ok && json_object_set_new(factor, "people", json_deep_copy(rule->people)) == 0;
    if (!ok) {
        json_decref(factor);
        return NULL;
    }
    return json_pack("[o]", factor);
}

static void conclude(struct judging *j)
{
    struct verdict *v = j->v;
    const struct tier *tier = &j->p->tier[v->tier];

    v->execute_within = sooner(j->execute_within, tier->execute_within);
    if (v->tier < 2) {
        v->decision = DECISION_EXECUTE;
        v->quorum = json_array();
    } else {
        v->decision = DECISION_HOLD;
        v->decide_within = sooner(j->decide_within, tier->decide_within);
        v->evidence = j->evidence != EVIDENCE_IMPOSSIBLE ? j->evidence : tier->evidence;
        v->quorum = quorum_of(j->quorum, tier->quorum);
    }
    if (v->quorum == NULL)
        j->bad = true;
}

static void deny(struct verdict *v, const char *text)
{
    json_decref(v->quorum);
    if (text != NULL)
        (void)json_array_append_new(v->reasons, reason_new("", "policy", "deny", text));
    *v = (struct verdict){
        .decision = DECISION_DENY, .tier = 3, .quorum = json_array(), .reasons = v->reasons};
}

void policy_verdict(const struct policy *p, const struct policy_facts *facts, struct verdict *ret)
{
    struct judging j = {.p = p, .facts = facts, .v = ret};

    *ret = (struct verdict){.tier = 3, .reasons = json_array()};
    if (p == NULL || facts->connector == NULL) {
        deny(ret, "there is no policy or no connector to judge by");
        return;
    }
    start(&j);
    for (size_t i = 0; i < p->n_rules; i++) {
        if (matches(&p->rule[i].match, facts))
            apply(&j, &p->rule[i]);
    }
    if (!j.deny)
        conclude(&j);
    if (j.deny || j.bad)
        deny(ret, j.bad ? "out of memory" : NULL);
}

void verdict_free(struct verdict *v)
{
    json_decref(v->quorum);
    json_decref(v->reasons);
    *v = (struct verdict){.decision = DECISION_DENY};
}

const char *policy_digest(const struct policy *p)
{
    return p->digest;
}
