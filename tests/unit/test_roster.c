/* policy/roster: a document is taken whole or refused; look-ups; where agents may be resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/roster.h"

#define ADA "apr_01jd000000e008000000000001"
#define BEN "apr_01jd000000e008000000000002"
#define BOT "agt_01jd000000e008000000000001"
#define CON "con_01jd000000e008000000000001"
#define CON2 "con_01jd000000e008000000000002"
#define HASH(d) "sha256:" d "000000000000000000000000000000000000000000000000000000000000000"

/* The good document, of which tests change one thing. */
static const char good[] =
    "{\"version\":7,\"workspaces\":[{\"id\":\"default\"},{\"id\":\"other\"}],"
    "\"people\":["
    "{\"id\":\"" ADA
    "\",\"workspace\":\"default\",\"email\":\"ada@example.com\",\"role\":\"approver\","
    "\"groups\":[\"finance\",\"ops\"],\"enabled\":true,\"password\":\"$argon2id$x\","
    "\"tokens\":[{\"hash\":\"" HASH(
        "a") "\",\"made_at\":5}],\"since\":1},"
             "{\"id\":\"" BEN
             "\",\"workspace\":\"other\",\"email\":\"ada@example.com\",\"role\":\"admin\","
             "\"groups\":[],\"enabled\":false,\"since\":2}],"
             "\"agents\":[{\"id\":\"" BOT
             "\",\"workspace\":\"default\",\"name\":\"bot\",\"owner\":\"" ADA "\","
             "\"key_hash\":\"" HASH(
                 "b") "\",\"enabled\":true,\"connections\":[\"" CON "\"],"
                      "\"resume_urls\":[\"https://a.example/"
                      "x\"],\"allow_private\":true,\"since\":3}],"
                      "\"connections\":["
                      "{\"id\":\"" CON "\",\"workspace\":\"default\",\"name\":\"plaid-main\","
                      "\"connector\":\"plaid\","
                      "\"base_url\":\"https://"
                      "production.plaid.com\",\"allow_private\":false,\"credential\":2,"
                      "\"enabled\":true,\"item_id\":\"item-1\",\"since\":4},"
                      "{\"id\":\"" CON2
                      "\",\"workspace\":\"default\",\"name\":\"crm\",\"connector\":\"crm\","
                      "\"base_url\":\"http://127.0.0.1:1/"
                      "crm\",\"allow_private\":true,\"credential\":1,\"enabled\":true,"
                      "\"since\":4}]}";

static struct roster *read_good(void)
{
    struct roster *r = NULL;
    struct fail f = {0};
    if (roster_read(str_c(good), &r, &f) != ERR_OK)
        fail_msg("%s: %s", f.field, f.detail);
    return r;
}

/* --- reading --------------------------------------------------------------------------------- */

static void test_read(void **state)
{
    (void)state;
    struct roster *r = read_good();
    const struct person *ada = roster_person(r, STR(ADA));
    const struct agent *bot = roster_agent(r, STR(BOT));
    const struct connection *con = roster_connection(r, STR(CON));

    assert_int_equal(roster_version(r), 7);
    assert_string_equal(ada->email, "ada@example.com");
    assert_string_equal(ada->password, "$argon2id$x");
    assert_int_equal(ada->role, ROLE_APPROVER);
    assert_true(ada->enabled);
    assert_true(person_in_group(ada, "ops"));
    assert_false(person_in_group(ada, "Ops"));
    assert_false(person_in_group(ada, ""));
    assert_false(roster_person_at(r, 1)->enabled);
    assert_string_equal(roster_person_at(r, 1)->password, "");
    assert_null(roster_person_at(r, 2));
    assert_string_equal(bot->owner, ADA);
    assert_true(bot->allow_private);
    assert_ptr_equal(bot, roster_agent_at(r, 0));
    assert_null(roster_agent_at(r, 1));
    assert_int_equal(con->credential, 2);
    assert_string_equal(con->item_id, "item-1");
    assert_ptr_equal(con, roster_connection_at(r, 0));
    assert_string_equal(roster_connection_at(r, 1)->item_id, "");
    assert_true(roster_workspace(r, STR("other")));
    assert_false(roster_workspace(r, STR("Other")));
    assert_true(json_is_object(roster_doc(r)));
    struct roster *same = roster_ref(r);
    roster_unref(r);
    assert_int_equal(roster_version(same), 7); /* still there */
    roster_unref(same);
    roster_unref(NULL);
}

static void test_empty(void **state)
{
    (void)state;
    struct roster *r = NULL;
    assert_int_equal(roster_read(str_c(roster_empty), &r, NULL), ERR_OK);
    assert_int_equal(roster_version(r), 0);
    assert_true(roster_workspace(r, STR("default")));
    assert_null(roster_person(r, STR("")));
    assert_null(roster_agent_key(r, STR("")));
    roster_unref(r);
}

static void test_lookup(void **state)
{
    (void)state;
    struct roster *r = read_good();

    assert_string_equal(roster_person_email(r, STR("default"), STR("ADA@Example.com"))->id, ADA);
    assert_string_equal(roster_person_email(r, STR("other"), STR("ada@example.com"))->id, BEN);
    assert_null(roster_person_email(r, STR("none"), STR("ada@example.com")));
    assert_null(roster_person_email(r, STR("default"), STR("ada@example.co")));
    assert_string_equal(roster_person_token(r, STR(HASH("a")))->id, ADA);
    assert_null(roster_person_token(r, STR(HASH("b")))); /* an agent's key is no person's token */
    assert_null(roster_agent_key(r, STR(HASH("a"))));
    assert_string_equal(roster_agent_key(r, STR(HASH("b")))->id, BOT);
    assert_null(roster_agent_key(r, STR("")));
    assert_string_equal(roster_agent_name(r, STR("default"), STR("bot"))->id, BOT);
    assert_null(roster_agent_name(r, STR("default"), STR("Bot")));
    assert_null(roster_agent_name(r, STR("other"), STR("bot")));
    assert_string_equal(roster_connection_name(r, STR("default"), STR("crm"))->id, CON2);
    assert_null(roster_connection_name(r, STR("default"), STR("CRM")));
    assert_null(roster_person(r, STR(BOT)));
    roster_unref(r);
}

/* The good document with the first `from` replaced. */
static void changed(const char *from, const char *to, struct buf *out)
{
    const char *at = strstr(good, from);
    if (at == NULL)
        fail_msg("nothing to change: %s", from);
    buf_clear(out);
    buf_put(out, good, (size_t)(at - good));
    buf_c(out, to);
    buf_c(out, at + strlen(from));
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } row[] = {
        {"\"version\":7,", ""},
        {"\"version\":7", "\"version\":-1"},
        {"\"version\":7", "\"version\":\"7\""},
        {"\"version\":7", "\"version\":7,\"extra\":1"},
        {"{\"id\":\"default\"}", "{\"id\":\"default\",\"x\":1}"},
        {"{\"id\":\"default\"}", "{\"id\":\"\"}"},
        {"{\"id\":\"other\"}", "{\"id\":\"default\"}"},
        {"{\"id\":\"default\"},", ""}, /* people of a workspace that is not there */
        {",{\"id\":\"other\"}", ""},
        {"\"" ADA "\"", "\"apr_1\""},
        {"\"" ADA "\"", "\"" BOT "\""},
        {"\"id\":\"" BEN "\"", "\"id\":\"" ADA "\""},
        {"\"role\":\"approver\"", "\"role\":\"root\""},
        {"\"role\":\"approver\"", "\"role\":\"none\""},
        {"\"role\":\"approver\",", ""},
        {"\"enabled\":true,\"password\"", "\"enabled\":\"yes\",\"password\""},
        {"\"enabled\":true,\"password\"", "\"password\""},
        {"\"email\":\"ada@example.com\"", "\"email\":\"ada\""},
        {"\"email\":\"ada@example.com\"", "\"email\":\"a@b@c\""},
        {"\"groups\":[\"finance\"", "\"groups\":[7"},
        {"\"groups\":[\"finance\"", "\"groups\":[\"\""},
        {"\"workspace\":\"other\",\"email\":\"ada@", "\"workspace\":\"default\",\"email\":\"Ada@"},
        {"\"made_at\":5", "\"made_at\":5,\"scope\":\"vote\""},
        {"\"hash\":\"sha256:a", "\"hash\":\"md5:a"},
        {"\"password\"", "\"passwort\""},
        {"\"owner\":\"" ADA "\"", "\"owner\":\"" BEN "\""}, /* of another workspace */
        {"\"owner\":\"" ADA "\"", "\"owner\":\"\""},
        {"\"owner\":\"" ADA "\",", ""},
        {"\"key_hash\":\"" HASH("b"), "\"key_hash\":\"" HASH("a")}, /* somebody's token */
        {"\"key_hash\":\"sha256:b", "\"key_hash\":\"b"},
        {"\"name\":\"bot\"", "\"name\":\"\""},
        {"\"connections\":[\"" CON, "\"connections\":[\"con_01jd000000e008000000000009"},
        {"\"connections\":[\"" CON, "\"connections\":[\"" BOT},
        {"\"https://a.example/x\"", "\"a.example/x\""},
        {"\"https://a.example/x\"", "\"https://u@a.example/x\""},
        {"\"https://a.example/x\"", "\"https://a.example/x?y\""},
        {"\"id\":\"" CON2, "\"id\":\"" CON},
        {"\"name\":\"crm\"", "\"name\":\"Plaid-Main\""}, /* differs in case alone */
        {"\"base_url\":\"https://production.plaid.com",
         "\"base_url\":\"https://production.plaid.com?x"},
        {"\"credential\":2", "\"credential\":\"2\""},
    };
    struct buf doc = {0};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct roster *r = NULL;
        struct fail f = {0};
        changed(row[i].from, row[i].to, &doc);
        if (roster_read(buf_view(&doc), &r, &f) == ERR_OK)
            fail_msg("taken: %s", row[i].to);
        assert_null(r);
        assert_int_not_equal(f.err, ERR_OK);
    }
    static const char *const bad[] = {"", "{}", "[]", "null", "{\"version\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct roster *r = NULL;
        assert_int_not_equal(roster_read(str_c(bad[i]), &r, NULL), ERR_OK);
    }
    buf_free(&doc);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof good - 1; n++) {
        struct roster *r = NULL;
        assert_int_not_equal(roster_read(str_sub(str_c(good), 0, n), &r, NULL), ERR_OK);
    }
}

/* --- what they may --------------------------------------------------------------------------- */

static void test_may_use(void **state)
{
    (void)state;
    struct roster *r = read_good();
    struct agent a = *roster_agent(r, STR(BOT));
    struct connection c = *roster_connection(r, STR(CON)), c2 = *roster_connection(r, STR(CON2));

    assert_true(agent_may_use(&a, &c));
    assert_false(agent_may_use(&a, &c2)); /* not listed */
    assert_false(agent_may_use(NULL, &c));
    assert_false(agent_may_use(&a, NULL));
    c.enabled = false;
    assert_false(agent_may_use(&a, &c));
    c.enabled = true;
    a.enabled = false;
    assert_false(agent_may_use(&a, &c));
    a.enabled = true;
    c.workspace = "other";
    assert_false(agent_may_use(&a, &c));
    c.workspace = a.workspace;
    a.n_connections = 0;
    assert_false(agent_may_use(&a, &c));
    roster_unref(r);
}

static bool may_resume(const char *prefix, const char *url)
{
    const char *list[] = {prefix};
    struct agent a = {.resume_url = list, .n_resume_urls = 1};
    return agent_may_resume_at(&a, str_c(url));
}

static void test_resume_allowed(void **state)
{
    (void)state;
    assert_true(may_resume("https://a.example/x", "https://a.example/x"));
    assert_true(may_resume("https://a.example/x", "https://a.example/x/"));
    assert_true(may_resume("https://a.example/x", "https://a.example/x/y/z"));
    assert_true(may_resume("https://a.example/x", "https://a.example/x?y=1"));
    assert_true(may_resume("https://a.example/x", "https://A.EXAMPLE/x/y"));
    assert_true(may_resume("https://a.example/x", "https://a.example:443/x"));
    assert_true(may_resume("https://a.example/x", "https://a.example/%78/y"));
    assert_true(may_resume("https://a.example", "https://a.example/anything"));
    assert_true(may_resume("https://a.example", "https://a.example"));
    assert_true(may_resume("https://a.example/x/", "https://a.example/x/y"));
    assert_true(may_resume("http://127.0.0.1:8080", "http://127.0.0.1:8080/r"));
    assert_true(may_resume("http://[::1]:8080", "http://[::1]:8080/r"));
}

static void test_resume_refused(void **state)
{
    (void)state;
    static const char *const url[] = {
        "https://a.example/xy",
        "https://a.example/",
        "https://a.example/X",
        "https://a.example.evil/x",
        "https://evil/a.example/x",
        "https://a.example@evil/x",
        "https://u:p@a.example/x",
        "http://a.example/x",
        "https://a.example:8443/x",
        "http://a.example:443/x",
        "https://a.example:80/x",
        "https://a.example/x/../y",
        "https://a.example/x/%2e%2e/y",
        "https://a.example/y/../x",
        "https://a.example//x",
        "https://a.example/x#f",
        "https://a.example\\@evil/x",
        "https://a.example\\.evil/x",
        "https://a.example/x y",
        "https://a.example/x\r\nA: b",
        "//a.example/x",
        "a.example/x",
        "HTTPS://a.example/x",
        "https:a.example/x",
        "https://a.example:/x",
        "https://a.example:0443/x",
        "https://a.example./x",
        "https://xa.example/x",
        "https://",
        "",
        "https://a.example%2eevil/x",
        "https://a.example?/x",
        "https://a.example/x%2fy",
        "https://[::1]a.example/x",
    };
    for (size_t i = 0; i < sizeof url / sizeof url[0]; i++) {
        if (may_resume("https://a.example/x", url[i]))
            fail_msg("allowed: %s", url[i]);
    }
    assert_false(may_resume("https://a.example/x/", "https://a.example/x"));
    assert_false(may_resume("https://a.example/x?y", "https://a.example/x?y"));
    assert_false(may_resume("", "https://a.example/"));
    assert_false(may_resume("https://", "https://a.example/"));
    struct agent none = {.n_resume_urls = 0};
    assert_false(
        agent_may_resume_at(&none, STR("https://a.example/x"))); /* an empty list: nowhere */
    assert_false(agent_may_resume_at(NULL, STR("https://a.example/x")));
}

static void test_roles(void **state)
{
    (void)state;
    enum role r = ROLE_NONE;
    assert_true(role_parse(STR("auditor"), &r));
    assert_int_equal(r, ROLE_AUDITOR);
    assert_string_equal(role_name(ROLE_ADMIN), "admin");
    assert_string_equal(role_name(ROLE_NONE), "none");
    assert_false(role_parse(STR("none"), &r));
    assert_false(role_parse(STR("Admin"), &r));
    assert_false(role_parse(STR(""), &r));
    assert_int_equal(r, ROLE_AUDITOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),           cmocka_unit_test(test_empty),
        cmocka_unit_test(test_lookup),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_anywhere),   cmocka_unit_test(test_may_use),
        cmocka_unit_test(test_resume_allowed), cmocka_unit_test(test_resume_refused),
        cmocka_unit_test(test_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
