/* Reads policy.yaml; conf/policy.yaml explains it. A rule that cannot do what its author thinks is
 * refused: one that names a connector, operation or tag that is not there, that has no effect, that
 * asks for more people than it names. */
#include <stdlib.h>

#include "policy/judge.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define RULES_MAX ((size_t)16 << 20) /* memory for rules */
#define COUNT_MAX 20
#define DAY INT64_C(86400000)
#define LONGEST (365 * DAY)

struct loader {
    const struct yaml_doc *doc;
    const struct connectors *set;
    struct complaints *c;
    struct policy *p;
};

#define COMPLAIN(ld, node, ...) \
    complain((ld)->c, yaml_name((ld)->doc), (node)->line, (node)->column, __VA_ARGS__)

static void fields(struct loader *ld, const struct yaml_node *map, const struct yaml_field *t,
                   size_t n, void *out)
{
    /* whether anything was complained about is asked once, at the end */
    if (map != NULL && yaml_fields(ld->doc, map, t, n, out, ld->c) != ERR_OK)
        return;
}

static enum evidence evidence(struct loader *ld, const struct yaml_node *map)
{
    const struct yaml_node *v = yaml_get(map, "evidence");

    if (v == NULL || v->kind != YAML_SCALAR)
        return EVIDENCE_IMPOSSIBLE;
    if (str_eq(v->text, STR("session")))
        return EVIDENCE_SESSION;
    if (!str_eq(v->text, STR("passkey")))
        COMPLAIN(ld, v, "evidence: expected session or passkey");
    return EVIDENCE_PASSKEY;
}

/* --- who ------------------------------------------------------------------------------------- */

/* "apr_..." or an address. */
static json_t *people(struct loader *ld, const struct yaml_node *list)
{
    if (list == NULL)
        return NULL;
    json_t *out = json_array();
    for (size_t i = 0; i < list->n; i++) {
        const struct yaml_node *v = list->item[i];
        bool ok = v->kind == YAML_SCALAR &&
                  (id_valid("apr", v->text) || str_find(v->text, '@', 0) < v->text.n);
        if (!ok)
            COMPLAIN(ld, v, "approvers: expected an email address or an id of a person");
        else if (json_array_append_new(out, json_stringn(v->text.p, v->text.n)) != 0)
            COMPLAIN(ld, v, "approvers: out of memory");
    }
    if (list->n == 0)
        COMPLAIN(ld, list, "approvers: an empty list means nobody");
    return out;
}

struct who {
    int64_t count;
    const char *group;
    const struct yaml_node *people;
};

static const struct yaml_field factor_fields[] = {
    {"count", YW_INT, offsetof(struct who, count), true, 1, COUNT_MAX},
    {"group", YW_STR, offsetof(struct who, group), false, 0, 0},
    {"people", YW_LIST, offsetof(struct who, people), false, 0, 0},
};

static void check_who(struct loader *ld, const struct yaml_node *map, const struct who *w)
{
    if (w->people != NULL && w->people->n > 0 && w->count > (int64_t)w->people->n)
        COMPLAIN(ld, map, "asks for more people than it names");
    if (w->group != NULL && w->group[0] == '\0')
        COMPLAIN(ld, map, "group: a name is missing");
}

/* [{count: 2, group: finance}] as the JSON that approvals are bound to. */
static json_t *quorum(struct loader *ld, const struct yaml_node *list)
{
    if (list == NULL)
        return NULL;
    json_t *out = json_array();
    for (size_t i = 0; i < list->n; i++) {
        struct who w = {.count = 0};
        fields(ld, list->item[i], factor_fields, N(factor_fields), &w);
        check_who(ld, list->item[i], &w);
        json_t *factor = json_pack("{s:I, s:s*, s:o*}", "count", (json_int_t)w.count, "group",
                                   w.group, "people", people(ld, w.people));
        if (json_array_append_new(out, factor) != 0)
            COMPLAIN(ld, list->item[i], "quorum: out of memory");
    }
    if (list->n == 0 || list->n > 16)
        COMPLAIN(ld, list, "quorum: expected 1 to 16 factors");
    return out;
}

/* --- tiers ----------------------------------------------------------------------------------- */

/* Without words of the file: tier 3 wants what this version cannot yet check, so that nobody gets
 * less than they think by leaving it out. */
static void usual_tiers(struct policy *p)
{
    for (size_t i = 0; i < N(p->tier); i++)
        p->tier[i].execute_within = DAY;
    p->tier[2].decide_within = 7 * DAY;
    p->tier[2].evidence = EVIDENCE_SESSION;
    p->tier[2].quorum = json_pack("[{s:i}]", "count", 1);
    p->tier[3].decide_within = DAY;
    p->tier[3].evidence = EVIDENCE_PASSKEY;
    p->tier[3].quorum = json_pack("[{s:i}]", "count", 2);
}

static void tier(struct loader *ld, const struct yaml_node *map, struct tier *ret)
{
    struct words {
        const char *evidence;
        const struct yaml_node *quorum;
        int64_t decide_within, execute_within;
    } w = {.decide_within = ret->decide_within, .execute_within = ret->execute_within};
    static const struct yaml_field field[] = {
        {"decide_within", YW_DURATION, offsetof(struct words, decide_within), false, 1000, LONGEST},
        {"execute_within", YW_DURATION, offsetof(struct words, execute_within), false, 1000,
         LONGEST},
        {"evidence", YW_STR, offsetof(struct words, evidence), false, 0, 0},
        {"quorum", YW_LIST, offsetof(struct words, quorum), false, 0, 0},
    };

    if (map == NULL)
        return;
    fields(ld, map, field, N(field), &w);
    ret->decide_within = w.decide_within;
    ret->execute_within = w.execute_within;
    if (w.evidence != NULL)
        ret->evidence = evidence(ld, map);
    if (w.quorum != NULL) {
        json_decref(ret->quorum);
        ret->quorum = quorum(ld, w.quorum);
    }
}

static void tiers(struct loader *ld, const struct yaml_node *map)
{
    struct both {
        const struct yaml_node *two, *three;
    } got = {NULL, NULL};
    static const struct yaml_field field[] = {
        {"2", YW_MAP, offsetof(struct both, two), false, 0, 0},
        {"3", YW_MAP, offsetof(struct both, three), false, 0, 0},
    };

    fields(ld, map, field, N(field), &got);
    tier(ld, got.two, &ld->p->tier[2]);
    tier(ld, got.three, &ld->p->tier[3]);
}

/* --- what a rule is about -------------------------------------------------------------------- */

static bool any_operation(const struct connector *con, const struct match *m, bool by_tag)
{
    for (size_t i = 0; i < con->n_ops; i++) {
        const struct operation *op = &con->op[i];
        if (by_tag ? operation_tagged(op, m->tag) : str_glob(str_c(m->operation), str_c(op->name)))
            return true;
    }
    return false;
}

/* Does any connector that the rule is about have such an operation? */
static bool any_connector(const struct loader *ld, const struct match *m, bool by_tag)
{
    const struct connector *con;
    for (size_t i = 0; (con = connectors_at(ld->set, i)) != NULL; i++) {
        bool meant = m->connector == NULL || strcmp(m->connector, con->name) == 0;
        if (meant && any_operation(con, m, by_tag))
            return true;
    }
    return false;
}

static bool is_method(const char *s)
{
    static const char *const method[] = {"GET",   "HEAD",   "POST",   "PUT",
                                         "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < N(method); i++) {
        if (strcmp(s, method[i]) == 0)
            return true;
    }
    return false;
}

static void match(struct loader *ld, const struct yaml_node *map, struct match *m)
{
    static const struct yaml_field field[] = {
        {"connector", YW_STR, offsetof(struct match, connector), false, 0, 0},
        {"operation", YW_STR, offsetof(struct match, operation), false, 0, 0},
        {"connection", YW_STR, offsetof(struct match, connection), false, 0, 0},
        {"agent", YW_STR, offsetof(struct match, agent), false, 0, 0},
        {"workspace", YW_STR, offsetof(struct match, workspace), false, 0, 0},
        {"method", YW_STR, offsetof(struct match, method), false, 0, 0},
        {"path", YW_STR, offsetof(struct match, path), false, 0, 0},
        {"tag", YW_STR, offsetof(struct match, tag), false, 0, 0},
    };

    if (map == NULL)
        return;
    fields(ld, map, field, N(field), m);
    if (map->n == 0)
        COMPLAIN(ld, map, "match: says nothing; leave it out to mean every call");
    if (m->method != NULL && !is_method(m->method))
        COMPLAIN(ld, map, "match: method: expected GET, POST, ... in capitals");
    if (m->path != NULL && m->path[0] != '/')
        COMPLAIN(ld, map, "match: path: expected a pattern that begins with '/'");
    if (m->connector != NULL && connectors_find(ld->set, str_c(m->connector)) == NULL)
        COMPLAIN(ld, map, "match: there is no connector '%s'", m->connector);
    else if (m->operation != NULL && !any_connector(ld, m, false))
        COMPLAIN(ld, map, "match: no operation is called '%s'", m->operation);
    else if (m->tag != NULL && !any_connector(ld, m, true))
        COMPLAIN(ld, map, "match: no operation has the tag '%s'", m->tag);
}

/* --- rules ----------------------------------------------------------------------------------- */

/* A rule as it stands in the file. */
struct rule_text {
    struct rule rule;
    int64_t tier;
    const char *evidence;
    const struct yaml_node *match, *approvers, *quorum;
};

#define RULE(key, want, field, required, min, max)                       \
    {                                                                    \
        key, want, offsetof(struct rule_text, field), required, min, max \
    }
static const struct yaml_field rule_fields[] = {
    RULE("name", YW_STR, rule.name, true, 0, 0),
    RULE("text", YW_STR, rule.text, false, 0, 0),
    RULE("match", YW_MAP, match, false, 0, 0),
    RULE("tier", YW_INT, tier, false, 0, 3),
    RULE("deny", YW_BOOL, rule.deny, false, 0, 0),
    RULE("approvers", YW_LIST, approvers, false, 0, 0),
    RULE("group", YW_STR, rule.group, false, 0, 0),
    RULE("count", YW_INT, rule.count, false, 1, COUNT_MAX),
    RULE("quorum", YW_LIST, quorum, false, 0, 0),
    RULE("decide_within", YW_DURATION, rule.decide_within, false, 1000, LONGEST),
    RULE("execute_within", YW_DURATION, rule.execute_within, false, 1000, LONGEST),
    RULE("evidence", YW_STR, evidence, false, 0, 0),
};

static void clause(struct buf *b, const char *text)
{
    buf_c(b, b->n > 0 ? ", " : "");
    buf_c(b, text);
}

/* The rule in a few words, for the reasons that agents and reviewers read. "" if it does nothing.
 */
static const char *effect(struct loader *ld, const struct rule *rule)
{
    static const char *const tier[] = {"tier 0", "tier 1", "tier 2", "tier 3"};
    struct buf b;

    buf_init(&b, 0);
    if (rule->deny)
        clause(&b, "deny");
    if (rule->tier != TIER_NONE)
        clause(&b, tier[rule->tier]);
    if (rule->count > 0) {
        clause(&b, "approvers: ");
        buf_printf(&b, "%lld", (long long)rule->count);
    }
    if (rule->group != NULL) {
        clause(&b, "group ");
        buf_c(&b, rule->group);
    }
    if (rule->people != NULL)
        clause(&b, "named approvers");
    if (rule->quorum != NULL)
        clause(&b, "its own quorum");
    if (rule->decide_within > 0)
        clause(&b, "decided sooner");
    if (rule->execute_within > 0)
        clause(&b, "executed sooner");
    if (rule->evidence != EVIDENCE_IMPOSSIBLE)
        clause(&b, rule->evidence == EVIDENCE_SESSION ? "evidence session" : "evidence passkey");
    const char *text = arena_cstr(ld->p->arena, buf_view(&b));
    buf_free(&b);
    return text;
}

static void check_rule(struct loader *ld, const struct yaml_node *map, const struct rule_text *t,
                       bool sound)
{
    const struct rule *rule = &t->rule;
    const struct who w = {rule->count, rule->group, t->approvers};

    check_who(ld, map, &w);
    if (rule->quorum != NULL && (rule->people != NULL || rule->group != NULL || rule->count > 0))
        COMPLAIN(ld, map, "quorum: stands instead of approvers, group and count, not beside them");
    if (rule->effect[0] == '\0' && sound)
        COMPLAIN(ld, map, "the rule has no effect");
    if (rule->deny && rule->tier != TIER_NONE)
        COMPLAIN(ld, map, "deny and tier contradict each other");
    /* tier 3 asks for two unless the file says otherwise: with one name nobody could ever approve
     */
    if (rule->people != NULL && rule->count == 0 && rule->tier >= 2 &&
        (json_int_t)json_array_size(rule->people) < quorum_people(ld->p->tier[rule->tier].quorum))
        COMPLAIN(ld, map, "names fewer people than tier %d asks for; say count", rule->tier);
}

static void rule(struct loader *ld, const struct yaml_node *map, struct rule *ret)
{
    struct rule_text t = {.rule = {.text = ""}, .tier = TIER_NONE};
    size_t before = ld->c->n;

    fields(ld, map, rule_fields, N(rule_fields), &t);
    if (map->kind != YAML_MAP || t.rule.name == NULL)
        return;
    t.rule.tier = (int)t.tier;
    t.rule.evidence = evidence(ld, map);
    t.rule.people = people(ld, t.approvers);
    t.rule.quorum = quorum(ld, t.quorum);
    match(ld, t.match, &t.rule.match);
    t.rule.effect = effect(ld, &t.rule);
    t.rule.reason = reason_new("", t.rule.name, t.rule.effect, t.rule.text);
    check_rule(ld, map, &t, ld->c->n == before);
    *ret = t.rule;
}

static void rules(struct loader *ld, const struct yaml_node *list)
{
    struct policy *p = ld->p;

    if (list == NULL)
        return;
    p->rule = arena_alloc(p->arena, (list->n + 1) * sizeof *p->rule);
    p->n_rules = p->rule != NULL ? list->n : 0;
    for (size_t i = 0; i < p->n_rules; i++)
        rule(ld, list->item[i], &p->rule[i]);
}

static void root(struct loader *ld, const struct yaml_node *map)
{
    struct top {
        int64_t version;
        const struct yaml_node *tiers, *rules;
    } got = {.version = 0};
    static const struct yaml_field field[] = {
        {"version", YW_INT, offsetof(struct top, version), true, 0, 0},
        {"tiers", YW_MAP, offsetof(struct top, tiers), false, 0, 0},
        {"rules", YW_LIST, offsetof(struct top, rules), false, 0, 0},
    };

    fields(ld, map, field, N(field), &got);
    const struct yaml_node *version = yaml_get(map, "version");
    if (version != NULL && got.version != 1)
        COMPLAIN(ld, version, "version: this program reads version 1");
    tiers(ld, got.tiers);
    rules(ld, got.rules);
}

/* Takes over doc. */
static int load(struct yaml_doc *doc, const struct connectors *set, struct policy **ret,
                struct complaints *c)
{
    size_t before = c->n;
    struct policy *p = calloc(1, sizeof *p);
    struct loader ld = {.doc = doc, .set = set, .c = c, .p = p};
    int r = ERR_OK;

    if (p == NULL) {
        yaml_free(doc);
        return ERR_NOMEM;
    }
    p->doc = doc;
    if ((p->arena = arena_new(RULES_MAX)) == NULL) {
        policy_free(p);
        return ERR_NOMEM;
    }
    usual_tiers(p);
    root(&ld, yaml_root(doc));
    hash_text(p->digest, yaml_bytes(doc));
    if (arena_overflowed(p->arena) || p->tier[2].quorum == NULL || p->tier[3].quorum == NULL)
        r = ERR_NOMEM;
    else if (c->n > before)
        r = ERR_CONFIG;
    if (r != ERR_OK) {
        policy_free(p);
        return r;
    }
    *ret = p;
    return ERR_OK;
}

int policy_load(const char *path, const struct connectors *set, struct policy **ret,
                struct complaints *c)
{
    struct yaml_doc *doc = NULL;
    int r = yaml_read_file(path, &doc, c);
    return r == ERR_OK ? load(doc, set, ret, c) : r;
}

int policy_read(const char *name, struct str text, const struct connectors *set,
                struct policy **ret, struct complaints *c)
{
    struct yaml_doc *doc = NULL;
    int r = yaml_read(name, text, &doc, c);
    return r == ERR_OK ? load(doc, set, ret, c) : r;
}

void policy_free(struct policy *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < N(p->tier); i++)
        json_decref(p->tier[i].quorum);
    for (size_t i = 0; i < p->n_rules; i++) {
        json_decref(p->rule[i].people);
        json_decref(p->rule[i].quorum);
        json_decref(p->rule[i].reason);
    }
    arena_free(p->arena);
    yaml_free(p->doc);
    free(p);
}
