/* policy/: what the loader refuses, and verdicts: which rules apply, in which order, and what no
 * rule can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "policy/policy.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct connectors *set;
static const struct connector *plaid, *crm;

static int setup(void **state)
{
    (void)state;
    struct complaints c;
    complaints_init(&c);
    int r = connectors_load("connectors", &set, &c);
    if (r == ERR_OK) {
        plaid = connectors_find(set, STR("plaid"));
        crm = connectors_find(set, STR("crm"));
    }
    complaints_free(&c);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    connectors_free(set);
    return 0;
}

/* --- loading --------------------------------------------------------------------------------- */

static struct policy *policy(const char *text)
{
    struct policy *p = NULL;
    struct complaints c;
    complaints_init(&c);
    if (policy_read("p.yaml", str_c(text), set, &p, &c) != ERR_OK)
        fail_msg("refused: %s", c.text.p);
    complaints_free(&c);
    return p;
}

static void refused(const char *text, const char *complaint)
{
    struct policy *p = NULL;
    struct complaints c;
    complaints_init(&c);
    assert_int_equal(policy_read("p.yaml", str_c(text), set, &p, &c), ERR_CONFIG);
    assert_null(p);
    if (c.n != 1 || !str_starts(buf_view(&c.text), str_c(complaint)))
        fail_msg("expected %s\ngot %zu:\n%s", complaint, c.n, c.text.p);
    complaints_free(&c);
}

#define RULE(text) "version: 1\nrules:\n  - {name: r, " text "}\n"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } row[] = {
        {"version: 2\n", "p.yaml:1:10: version:"},
        {"rules: []\n", "p.yaml:1:1: 'version' is missing"},
        {"version: 1\nrule: []\n", "p.yaml:2:1: 'rule'"},
        {"version: 1\ntiers: {1: {quorum: [{count: 1}]}}\n", "p.yaml:2:9: '1'"},
        {"version: 1\ntiers: {2: {quorum: []}}\n", "p.yaml:2:21: quorum: expected 1 to 16"},
        {"version: 1\ntiers: {2: {quorum: [{count: 0}]}}\n", "p.yaml:2:30: count must be between"},
        {"version: 1\ntiers: {2: {quorum: [{group: g}]}}\n", "p.yaml:2:22: 'count' is missing"},
        {"version: 1\ntiers: {2: {quorum: [{count: 1, people: []}]}}\n",
         "p.yaml:2:41: approvers: an empty list means nobody"},
        {"version: 1\ntiers: {2: {quorum: [{count: 2, people: [a@b]}]}}\n",
         "p.yaml:2:22: asks for more people than it names"},
        {"version: 1\ntiers: {2: {evidence: none}}\n", "p.yaml:2:23: evidence:"},
        {"version: 1\ntiers: {2: {decide_within: 0s}}\n", "p.yaml:2:28: decide_within must be"},
        {"version: 1\nrules:\n  - {tier: 2}\n", "p.yaml:3:5: 'name' is missing"},
        {RULE("tier: 4"), "p.yaml:3:21: tier must be between"},
        {RULE("text: x"), "p.yaml:3:5: the rule has no effect"},
        {RULE("match: {tag: money}"), "p.yaml:3:5: the rule has no effect"},
        {RULE("deny: true, tier: 0"), "p.yaml:3:5: deny and tier contradict"},
        {RULE("deny: true, match: {}"), "p.yaml:3:34: match: says nothing"},
        {RULE("deny: true, match: {connector: slack}"),
         "p.yaml:3:34: match: there is no connector"},
        {RULE("deny: true, match: {operation: transfer.make}"), "p.yaml:3:34: match: no operation"},
        {RULE("deny: true, match: {connector: crm, operation: transfer.*}"),
         "p.yaml:3:34: match: no operation"},
        {RULE("deny: true, match: {tag: monney}"), "p.yaml:3:34: match: no operation has the tag"},
        {RULE("deny: true, match: {method: post}"), "p.yaml:3:34: match: method:"},
        {RULE("deny: true, match: {path: transfer}"), "p.yaml:3:34: match: path:"},
        {RULE("deny: true, match: {operatoin: x}"), "p.yaml:3:35: 'operatoin'"},
        {RULE("approvers: [ada]"), "p.yaml:3:27: approvers:"},
        {RULE("approvers: [a@b], count: 2"), "p.yaml:3:5: asks for more people than it names"},
        {RULE("approvers: [a@b], tier: 3"), "p.yaml:3:5: names fewer people than tier 3 asks for"},
        {RULE("quorum: [{count: 1}], count: 1"), "p.yaml:3:5: quorum: stands instead of"},
        {RULE("evidence: password"), "p.yaml:3:25: evidence:"},
        {RULE("count: 21"), "p.yaml:3:22: count must be between"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        refused(row[i].text, row[i].complaint);
}

/* --- verdicts -------------------------------------------------------------------------------- */

static struct policy_facts facts_of(const struct connector *c, const char *op)
{
    const struct operation *o = connector_operation(c, str_c(op));
    assert_non_null(o);
    return (struct policy_facts){.workspace = STR("default"),
                                 .agent = STR("agt_1"),
                                 .agent_name = STR("bot"),
                                 .connection = STR("main"),
                                 .connector = c,
                                 .op = o,
                                 .method = str_c(o->method),
                                 .path = str_c(o->path)};
}

static struct policy_facts unknown(const char *method, const char *path)
{
    struct policy_facts f = facts_of(crm, "contacts.list");
    f.op = NULL;
    f.method = str_c(method);
    f.path = str_c(path);
    return f;
}

static void has_json(const json_t *v, const char *expected)
{
    struct buf out = {0};
    assert_int_equal(canon_write(v, &out), ERR_OK);
    assert_string_equal(out.p, expected);
    buf_free(&out);
}

/* The verdict on facts by a policy given as text. */
static struct verdict judge(const char *text, struct policy_facts facts)
{
    struct policy *p = policy(text);
    struct verdict v;
    policy_verdict(p, &facts, &v);
    policy_free(p);
    return v;
}

static void test_defaults(void **state)
{
    (void)state;
    struct verdict v = judge("version: 1\n", facts_of(plaid, "identity.get"));
    assert_int_equal(v.decision, DECISION_EXECUTE);
    assert_int_equal(v.tier, 1);
    has_json(v.quorum, "[]");
    has_json(v.reasons,
             "[{\"effect\":\"tier 1\",\"rule\":\"connector plaid\",\"text\":"
             "\"reads names, addresses, phone numbers and mail addresses of account holders\"}]");
    verdict_free(&v);

    v = judge("version: 1\n", facts_of(crm, "contacts.delete"));
    assert_int_equal(v.decision, DECISION_HOLD);
    assert_int_equal(v.tier, 2);
    assert_int_equal(v.decide_within, 7 * DAY);
    assert_int_equal(v.execute_within, DAY);
    assert_int_equal(v.evidence, EVIDENCE_SESSION);
    has_json(v.quorum, "[{\"count\":1}]");
    verdict_free(&v);

    /* without a word of it, tier 3 wants what cannot be forged by a gate that was taken over */
    v = judge("version: 1\n", facts_of(plaid, "item.remove"));
    assert_int_equal(v.decision, DECISION_HOLD);
    assert_int_equal(v.tier, 3);
    assert_int_equal(v.decide_within, DAY);
    assert_int_equal(v.evidence, EVIDENCE_PASSKEY);
    has_json(v.quorum, "[{\"count\":2}]");
    verdict_free(&v);
}

static void test_tiers_of_the_file(void **state)
{
    (void)state;
    static const char text[] =
        "version: 1\ntiers:\n  2: {decide_within: 2h, execute_within: 3h, evidence: passkey,\n"
        "      quorum: [{count: 1, group: desk}]}\n"
        "  3: {evidence: session, quorum: [{count: 1, group: finance}, {count: 1, people: "
        "[a@b]}]}\n";
    struct verdict v = judge(text, facts_of(crm, "contacts.delete"));
    assert_int_equal(v.decide_within, 2 * HOUR);
    assert_int_equal(v.execute_within, 3 * HOUR);
    assert_int_equal(v.evidence, EVIDENCE_PASSKEY);
    has_json(v.quorum, "[{\"count\":1,\"group\":\"desk\"}]");
    verdict_free(&v);
    v = judge(text, facts_of(plaid, "item.remove"));
    assert_int_equal(v.evidence, EVIDENCE_SESSION);
    assert_int_equal(v.decide_within, DAY); /* what is not said stays */
    has_json(v.quorum, "[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"people\":[\"a@b\"]}]");
    verdict_free(&v);
}

/* The sooner of policy, rules and connector. */
static void test_deadlines(void **state)
{
    (void)state;
    struct verdict v = judge("version: 1\n", facts_of(plaid, "transfer.create"));
    assert_int_equal(v.decide_within, 55 * MINUTE);
    assert_int_equal(v.execute_within, 4 * MINUTE);
    verdict_free(&v);
    v = judge(RULE("decide_within: 2h, execute_within: 2h"), facts_of(plaid, "transfer.create"));
    assert_int_equal(v.decide_within, 55 * MINUTE); /* a rule cannot prolong it */
    assert_int_equal(v.execute_within, 4 * MINUTE);
    verdict_free(&v);
    v = judge(RULE("decide_within: 5m, execute_within: 1m"), facts_of(plaid, "transfer.create"));
    assert_int_equal(v.decide_within, 5 * MINUTE);
    assert_int_equal(v.execute_within, MINUTE);
    verdict_free(&v);
    v = judge(RULE("decide_within: 30d"), facts_of(crm, "contacts.delete"));
    assert_int_equal(v.decide_within, 7 * DAY);
    verdict_free(&v);
}

static void test_matching(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        bool holds;
    } row[] = {
        {"connector: plaid", true},
        {"connector: crm", false},
        {"operation: transfer.create", true},
        {"operation: transfer.*", true},
        {"operation: \"*.create\"", true},
        {"operation: transfer.cancel", false},
        {"operation: item.*", false},
        {"connection: main", true},
        {"connection: Main", false},
        {"agent: bot", true},
        {"agent: agt_1", true},
        {"agent: bo", false},
        {"workspace: default", true},
        {"workspace: other", false},
        {"method: POST", true},
        {"method: GET", false},
        {"path: /transfer/create", true},
        {"path: /transfer/*", true},
        {"path: /item/*", false},
        {"tag: money", true},
        {"tag: read", false},
        {"tag: money, agent: bot", true},
        {"tag: money, agent: other", false}, /* all must hold */
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, RULE("deny: true, match: {%s}"), row[i].match);
        struct verdict v = judge(text, facts_of(plaid, "transfer.create"));
        if ((v.decision == DECISION_DENY) != row[i].holds)
            fail_msg("%s", row[i].match);
        verdict_free(&v);
    }
}

static void test_rules_in_order(void **state)
{
    (void)state;
    struct verdict v = judge("version: 1\nrules:\n"
                             "  - {name: up, match: {connector: crm}, tier: 3, text: careful}\n"
                             "  - {name: who, group: sales, count: 1}\n"
                             "  - {name: not this, match: {tag: money}, deny: true}\n"
                             "  - {name: down, match: {operation: contacts.delete}, tier: 2}\n",
                             facts_of(crm, "contacts.delete"));
    assert_int_equal(v.decision, DECISION_HOLD);
    assert_int_equal(v.tier, 2);
    has_json(v.quorum, "[{\"count\":1,\"group\":\"sales\"}]");
    has_json(v.reasons, "[{\"effect\":\"tier 2\",\"rule\":\"connector crm\",\"text\":\"deletes a "
                        "contact for everybody\"},"
                        "{\"effect\":\"tier 3\",\"rule\":\"up\",\"text\":\"careful\"},"
                        "{\"effect\":\"approvers: 1, group sales\",\"rule\":\"who\",\"text\":\"\"},"
                        "{\"effect\":\"tier 2\",\"rule\":\"down\",\"text\":\"\"}]");
    verdict_free(&v);
}

static void test_quorums(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *quorum;
    } row[] = {
        {"group: finance",
         "[{\"count\":2,\"group\":\"finance\"}]"}, /* as many as the tier asks for */
        {"count: 3", "[{\"count\":3}]"},
        {"approvers: [a@b, c@d]", "[{\"count\":2,\"people\":[\"a@b\",\"c@d\"]}]"},
        {"approvers: [a@b, c@d], count: 1", "[{\"count\":1,\"people\":[\"a@b\",\"c@d\"]}]"},
        {"approvers: [a@b, c@d], group: g",
         "[{\"count\":2,\"group\":\"g\",\"people\":[\"a@b\",\"c@d\"]}]"},
        {"quorum: [{count: 1}, {count: 1, group: g}]",
         "[{\"count\":1},{\"count\":1,\"group\":\"g\"}]"},
        {"evidence: session", "[{\"count\":2}]"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, RULE("%s"), row[i].rule);
        struct verdict v = judge(text, facts_of(plaid, "item.remove"));
        has_json(v.quorum, row[i].quorum);
        verdict_free(&v);
        /* a rule about who does not make anybody be asked */
        v = judge(text, facts_of(plaid, "item.get"));
        assert_int_equal(v.decision, DECISION_EXECUTE);
        has_json(v.quorum, "[]");
        verdict_free(&v);
    }
    /* the last that says anything of it holds */
    struct verdict v = judge(
        "version: 1\nrules:\n  - {name: a, group: x}\n  - {name: b, count: 1, evidence: session}\n"
        "  - {name: c, decide_within: 1h}\n",
        facts_of(plaid, "item.remove"));
    has_json(v.quorum, "[{\"count\":1}]");
    assert_int_equal(v.evidence, EVIDENCE_SESSION);
    verdict_free(&v);
}

/* Deny is not taken back: not by a later rule, not for what a connector denies. */
static void test_deny(void **state)
{
    (void)state;
    struct verdict v =
        judge("version: 1\nrules:\n  - {name: a, deny: true}\n  - {name: b, tier: 0}\n",
              facts_of(crm, "contacts.list"));
    assert_int_equal(v.decision, DECISION_DENY);
    assert_int_equal(v.tier, 3);
    has_json(v.quorum, "[]");
    assert_int_equal(v.evidence, EVIDENCE_IMPOSSIBLE);
    assert_int_equal(json_array_size(v.reasons), 3);
    verdict_free(&v);

    v = judge(RULE("tier: 0, match: {method: POST, path: /item/public_token/exchange}"),
              facts_of(plaid, "item.public_token.exchange"));
    assert_int_equal(v.decision, DECISION_DENY);
    has_json(v.reasons, "[{\"effect\":\"deny\",\"rule\":\"connector plaid\",\"text\":\"the answer "
                        "is an access token\"},"
                        "{\"effect\":\"tier 0\",\"rule\":\"r\",\"text\":\"\"}]");
    verdict_free(&v);
}

static void test_unknown_operation(void **state)
{
    (void)state;
    struct verdict v = judge("version: 1\n", unknown("GET", "/status"));
    assert_int_equal(v.decision, DECISION_HOLD);
    assert_int_equal(v.tier, 3);
    has_json(v.reasons, "[{\"effect\":\"tier 3\",\"rule\":\"connector crm\",\"text\":"
                        "\"operation not known to the connector\"}]");
    verdict_free(&v);

    static const char *const weak[] = {"tier: 0", "tier: 2, match: {connector: crm}",
                                       "tier: 0, match: {path: /status}",
                                       "tier: 1, match: {method: GET}"};
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, RULE("%s"), weak[i]);
        v = judge(text, unknown("GET", "/status"));
        assert_int_equal(v.tier, 3);
        assert_int_equal(json_array_size(v.reasons), 3); /* and says why the rule did not hold */
        verdict_free(&v);
    }
    v = judge(RULE("tier: 0, match: {method: GET, path: /status}"), unknown("GET", "/status"));
    assert_int_equal(v.tier, 0);
    assert_int_equal(v.decision, DECISION_EXECUTE);
    verdict_free(&v);
    v = judge(RULE("tier: 0, match: {method: GET, path: /status}"), unknown("POST", "/status"));
    assert_int_equal(v.tier, 3);
    verdict_free(&v);
    /* patterns of operations and tags are not about what has neither */
    v = judge(RULE("deny: true, match: {operation: \"*\"}"), unknown("GET", "/status"));
    assert_int_equal(v.decision, DECISION_HOLD);
    verdict_free(&v);
}

static void test_nothing_to_judge_by(void **state)
{
    (void)state;
    struct policy_facts facts = facts_of(crm, "contacts.list");
    struct policy *p = policy("version: 1\n");
    struct verdict v;

    policy_verdict(NULL, &facts, &v);
    assert_int_equal(v.decision, DECISION_DENY);
    assert_int_equal(json_array_size(v.reasons), 1);
    verdict_free(&v);
    facts.connector = NULL;
    policy_verdict(p, &facts, &v);
    assert_int_equal(v.decision, DECISION_DENY);
    verdict_free(&v);
    policy_free(p);
}

/* --- the policy that `init` copies ----------------------------------------------------------- */

static void test_shipped(void **state)
{
    (void)state;
    struct policy *p = NULL;
    struct complaints c;
    struct verdict v;
    struct policy_facts facts = facts_of(plaid, "transfer.create");

    complaints_init(&c);
    if (policy_load("conf/policy.yaml", set, &p, &c) != ERR_OK)
        fail_msg("%s", c.text.p);
    complaints_free(&c);
    policy_verdict(p, &facts, &v);
    assert_int_equal(v.tier, 3);
    assert_int_equal(v.evidence, EVIDENCE_SESSION); /* can be approved from the first day on */
    has_json(v.quorum, "[{\"count\":2}]");
    verdict_free(&v);
    facts = facts_of(plaid, "transfer.authorization.create");
    policy_verdict(p, &facts, &v);
    assert_int_equal(v.tier, 2);
    has_json(v.quorum, "[{\"count\":1}]");
    verdict_free(&v);
    assert_true(str_starts(str_c(policy_digest(p)), STR("sha256:")));
    policy_free(p);
}

/* The examples in it, switched on as its comment says, must be taken too. */
static void test_shipped_examples(void **state)
{
    (void)state;
    struct buf text = {0};
    char line[512];
    bool rules = false;
    FILE *f = fopen("conf/policy.yaml", "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strcmp(line, "rules: []\n") == 0) {
            rules = true;
            buf_c(&text, "rules:\n");
        } else {
            buf_c(&text, rules && line[0] == '#' ? line + 1 : line);
        }
    }
    (void)fclose(f);
    assert_true(rules);
    struct policy *p = policy(text.p);
    struct policy_facts facts = facts_of(plaid, "transfer.refund.create");
    struct verdict v;
    policy_verdict(p, &facts, &v);
    assert_int_equal(json_array_size(v.reasons), 2);
    assert_int_equal(v.decide_within, 4 * HOUR);
    verdict_free(&v);
    policy_free(p);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_tiers_of_the_file), cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_matching),          cmocka_unit_test(test_rules_in_order),
        cmocka_unit_test(test_quorums),           cmocka_unit_test(test_deny),
        cmocka_unit_test(test_unknown_operation), cmocka_unit_test(test_nothing_to_judge_by),
        cmocka_unit_test(test_shipped),           cmocka_unit_test(test_shipped_examples),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
