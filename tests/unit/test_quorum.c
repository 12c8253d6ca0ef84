/* policy/quorum: who may decide, and which votes are enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/quorum.h"

#define ID(n) "apr_01jd000000e00800000000000" n

/* A person in a few letters: enabled approvers of "default" unless the table says otherwise. */
static const struct {
    const char *name, *id, *workspace, *role, *groups;
    bool enabled;
} cast[] = {
    {"ada", ID("1"), "default", "approver", "[\"finance\",\"ops\"]", true},
    {"ben", ID("2"), "default", "approver", "[\"finance\"]", true},
    {"cleo", ID("3"), "default", "approver", "[\"ops\"]", true},
    {"dan", ID("4"), "default", "approver", "[]", true},
    {"owner", ID("5"), "default", "approver", "[\"finance\",\"ops\"]", true},
    {"gone", ID("6"), "default", "approver", "[\"finance\"]", false},
    {"admin", ID("7"), "default", "admin", "[\"finance\"]", true},
    {"auditor", ID("8"), "default", "auditor", "[\"finance\"]", true},
    {"far", ID("9"), "other", "approver", "[\"finance\"]", true},
};

static struct roster *roster;
static const struct agent *bot;

static int setup(void **state)
{
    (void)state;
    struct buf doc = {0};
    buf_c(&doc,
          "{\"version\":1,\"workspaces\":[{\"id\":\"default\"},{\"id\":\"other\"}],\"people\":[");
    for (size_t i = 0; i < sizeof cast / sizeof cast[0]; i++)
        buf_printf(
            &doc,
            "%s{\"id\":\"%s\",\"workspace\":\"%s\",\"email\":\"%s@example.com\",\"role\":\"%s\","
            "\"groups\":%s,\"enabled\":%s,\"since\":0}",
            i > 0 ? "," : "", cast[i].id, cast[i].workspace, cast[i].name, cast[i].role,
            cast[i].groups, cast[i].enabled ? "true" : "false");
    buf_c(&doc,
          "],\"agents\":[{\"id\":\"agt_01jd000000e008000000000001\",\"workspace\":\"default\","
          "\"name\":\"bot\",\"owner\":\"" ID(
              "5") "\",\"key_hash\":\"sha256:"
                   "0000000000000000000000000000000000000000000000000000000000000000\",\"enabled\":"
                   "true,"
                   "\"connections\":[],\"since\":0}],\"connections\":[]}");
    struct fail f = {0};
    int r = roster_read(buf_view(&doc), &roster, &f);
    buf_free(&doc);
    if (r == ERR_OK)
        bot = roster_agent_at(roster, 0);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    roster_unref(roster);
    return 0;
}

static const struct person *who(const char *name)
{
    for (size_t i = 0; i < sizeof cast / sizeof cast[0]; i++) {
        if (strcmp(cast[i].name, name) == 0)
            return roster_person(roster, str_c(cast[i].id));
    }
    fail_msg("nobody is called %s", name);
    return NULL;
}

static json_t *json(const char *text)
{
    json_t *v = NULL;
    if (json_read(str_c(text), &v, NULL) != ERR_OK)
        fail_msg("no JSON: %s", text);
    return v;
}

static int may(const char *quorum, const char *name)
{
    json_t *q = json(quorum);
    int r = quorum_may_vote(q, roster, bot, who(name));
    json_decref(q);
    return r;
}

static void test_may_vote(void **state)
{
    (void)state;
    static const char any[] = "[{\"count\":1}]",
                      finance[] = "[{\"count\":1,\"group\":\"finance\"}]";

    assert_int_equal(may(any, "dan"), ERR_OK);
    assert_int_equal(may(any, "owner"), ERR_OWN_ACTION);
    assert_int_equal(may(any, "gone"), ERR_NOT_AN_APPROVER);
    assert_int_equal(may(any, "admin"), ERR_NOT_AN_APPROVER);
    assert_int_equal(may(any, "auditor"), ERR_NOT_AN_APPROVER);
    assert_int_equal(may(any, "far"), ERR_NOT_AN_APPROVER);
    assert_int_equal(may(finance, "ada"), ERR_OK);
    assert_int_equal(may(finance, "dan"), ERR_NOT_AN_APPROVER);
    assert_int_equal(may("[{\"count\":1,\"people\":[\"dan@example.com\"]}]", "dan"), ERR_OK);
    assert_int_equal(may("[{\"count\":1,\"people\":[\"DAN@example.com\"]}]", "dan"), ERR_OK);
    assert_int_equal(may("[{\"count\":1,\"people\":[\"" ID("4") "\"]}]", "dan"), ERR_OK);
    assert_int_equal(may("[{\"count\":1,\"people\":[\"" ID("4") "\"]}]", "ada"),
                     ERR_NOT_AN_APPROVER);
    /* both at once: named, and of the group */
    assert_int_equal(
        may("[{\"count\":1,\"group\":\"ops\",\"people\":[\"dan@example.com\"]}]", "dan"),
        ERR_NOT_AN_APPROVER);
    /* the owner is told so even where they are not in the list */
    assert_int_equal(may("[{\"count\":1,\"people\":[\"" ID("4") "\"]}]", "owner"), ERR_OWN_ACTION);
    json_t *q = json(any);
    assert_int_equal(quorum_may_vote(q, roster, bot, NULL), ERR_NOT_AN_APPROVER);
    assert_int_equal(quorum_may_vote(q, roster, NULL, who("dan")), ERR_NOT_AN_APPROVER);
    struct person stranger = {
        .id = ID("0"), .workspace = "default", .role = ROLE_APPROVER, .enabled = true};
    assert_int_equal(quorum_may_vote(q, roster, bot, &stranger), ERR_NOT_AN_APPROVER);
    json_decref(q);
}

/* Counts the votes of people given as "ada ben". */
static struct quorum_state count(const char *quorum, const char *names)
{
    const struct person *list[16];
    struct quorum_state s;
    json_t *q = json(quorum);
    size_t n = 0;
    struct str rest = str_c(names);

    while (rest.n > 0) {
        char name[16];
        size_t end = str_find(rest, ' ', 0);
        assert_true(str_copy(name, sizeof name, str_sub(rest, 0, end)));
        list[n++] = who(name);
        rest = str_sub(rest, end + 1, rest.n);
    }
    quorum_count(q, roster, bot, list, n, &s);
    json_decref(q);
    return s;
}

static void test_count(void **state)
{
    (void)state;
    static const struct {
        const char *quorum, *names;
        int required, given;
        bool met;
    } row[] = {
        {"[{\"count\":1}]", "", 1, 0, false},
        {"[{\"count\":1}]", "dan", 1, 1, true},
        {"[{\"count\":2}]", "dan", 2, 1, false},
        {"[{\"count\":2}]", "dan dan", 2, 1, false}, /* nobody counts for two */
        {"[{\"count\":2}]", "dan ada", 2, 2, true},
        {"[{\"count\":2}]", "dan owner", 2, 1, false},
        {"[{\"count\":2}]", "dan gone", 2, 1, false},
        {"[{\"count\":2}]", "dan admin", 2, 1, false},
        {"[{\"count\":2}]", "dan auditor", 2, 1, false},
        {"[{\"count\":2}]", "dan far", 2, 1, false},
        {"[{\"count\":2,\"group\":\"finance\"}]", "ada dan", 2, 1, false},
        {"[{\"count\":2,\"group\":\"finance\"}]", "ada ben", 2, 2, true},
        {"[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]", "ada", 2, 1,
         false},
        {"[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]", "ben cleo", 2, 2,
         true},
        {"[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]", "ben dan", 2, 1,
         false},
        /* ada is in both groups: where she is needed depends on the others, in any order */
        {"[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]", "ada ben", 2, 2,
         true},
        {"[{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]", "ben ada", 2, 2,
         true},
        {"[{\"count\":1,\"group\":\"ops\"},{\"count\":1,\"group\":\"finance\"}]", "ada ben", 2, 2,
         true},
        {"[{\"count\":1},{\"count\":1,\"group\":\"finance\"}]", "ben dan", 2, 2, true},
        {"[{\"count\":1},{\"count\":1,\"group\":\"finance\"}]", "dan ben", 2, 2, true},
        {"[{\"count\":1},{\"count\":1,\"group\":\"finance\"},{\"count\":1,\"group\":\"ops\"}]",
         "ada ben cleo", 3, 3, true},
        {"[{\"count\":1,\"people\":[\"ada@example.com\"]},{\"count\":1,\"group\":\"finance\"}]",
         "ada ben", 2, 2, true},
        {"[{\"count\":1,\"people\":[\"ada@example.com\"]},{\"count\":1,\"group\":\"finance\"}]",
         "ben", 2, 1, false},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct quorum_state s = count(row[i].quorum, row[i].names);
        if (s.required != row[i].required || s.given != row[i].given || s.met != row[i].met)
            fail_msg("%s by %s: %d of %d, %s", row[i].quorum, row[i].names, s.given, s.required,
                     s.met ? "met" : "not met");
    }
}

/* Whatever cannot be understood is met by nobody. */
static void test_never_met(void **state)
{
    (void)state;
    static const char *const quorum[] = {
        "[]",
        "null",
        "{}",
        "[{}]",
        "[1]",
        "[{\"count\":0}]",
        "[{\"count\":-1}]",
        "[{\"count\":\"1\"}]",
        "[{\"count\":1.5}]",
        "[{\"count\":101}]",
        "[{\"count\":1,\"group\":\"\"}]",
        "[{\"count\":1,\"group\":null}]",
        "[{\"count\":1,\"group\":7}]",
        "[{\"count\":1,\"people\":[]}]",
        "[{\"count\":1,\"people\":null}]",
        "[{\"count\":1,\"people\":[\"\"]}]",
        "[{\"count\":1,\"people\":[7]}]",
        "[{\"count\":1,\"gruop\":\"finance\"}]",
        "[{\"count\":1},{\"count\":0}]",
        "[{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{"
        "\"count\":1},"
        "{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{\"count\":1},{"
        "\"count\":1},"
        "{\"count\":1},{\"count\":1},{\"count\":1}]",
    };
    for (size_t i = 0; i < sizeof quorum / sizeof quorum[0]; i++) {
        json_t *q = json(quorum[i]);
        if (count(quorum[i], "ada ben cleo dan").met || quorum_possible(q, roster, bot))
            fail_msg("met: %s", quorum[i]);
        assert_int_equal(quorum_may_vote(q, roster, bot, who("ada")), ERR_NOT_AN_APPROVER);
        json_decref(q);
    }
    struct quorum_state s;
    quorum_count(NULL, roster, bot, NULL, 0, &s);
    assert_false(s.met);
}

static bool possible(const char *quorum)
{
    json_t *q = json(quorum);
    bool p = quorum_possible(q, roster, bot);
    json_decref(q);
    return p;
}

static void test_possible(void **state)
{
    (void)state;
    assert_true(possible("[{\"count\":4}]"));
    assert_false(possible("[{\"count\":5}]")); /* the fifth owns the agent */
    assert_true(possible("[{\"count\":2,\"group\":\"finance\"}]"));
    assert_false(possible("[{\"count\":3,\"group\":\"finance\"}]"));
    assert_false(possible("[{\"count\":1,\"people\":[\"nobody@example.com\"]}]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_may_vote),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_never_met),
        cmocka_unit_test(test_possible),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
