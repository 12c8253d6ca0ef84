/* connector/: places, matching, answers, impact; and the
 * connectors that come with the program: plaid.yaml against Plaid's own specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "connector/connector.h"
#include "connector/place.h"

#define HEAD "version: 1\nname: t\ntitle: T\nbase_url: https://api.example\nsecrets: [key]\n"

static struct connectors *accepted(const char *text)
{
    struct connectors *set = NULL;
    struct complaints c;

    complaints_init(&c);
    if (connectors_read("x/t.yaml", str_c(text), &set, &c) != ERR_OK)
        fail_msg("refused: %s", c.text.p);
    complaints_free(&c);
    return set;
}

/* --- places ---------------------------------------------------------------------------------- */

static json_t *json(const char *text)
{
    json_t *v = NULL;
    assert_int_equal(json_read(str_c(text), &v, NULL), ERR_OK);
    return v;
}

static void same_json(json_t *v, const char *text)
{
    struct buf out = {0};
    assert_int_equal(canon_write(v, &out), ERR_OK);
    assert_string_equal(out.p, text);
    buf_free(&out);
    json_decref(v);
}

static void test_place_drop(void **state)
{
    (void)state;
    static const struct {
        const char *body, *place, *left;
    } row[] = {
        {"{\"a\":1,\"b\":2}", "/a", "{\"b\":2}"},
        {"{\"A\":1}", "/a", "{\"A\":1}"},
        {"{\"a\":{\"b\":1,\"c\":2}}", "/a/b", "{\"a\":{\"c\":2}}"},
        {"{\"a\":[1,2,3]}", "/a/0", "{\"a\":[]}"}, /* what slides there goes too */
        {"{\"a/b\":1,\"a~b\":2}", "/a~1b", "{\"a~b\":2}"},
        {"{\"a/b\":1,\"a~b\":2}", "/a~0b", "{\"a/b\":1}"},
        {"{\"\":1}", "/", "{}"},
        {"{\"a\":\"x\"}", "/a/b", "{\"a\":\"x\"}"},
        {"[1]", "/a", "[1]"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        json_t *v = json(row[i].body);
        place_drop(v, str_c(row[i].place));
        same_json(v, row[i].left);
    }
}

static void test_place_set(void **state)
{
    (void)state;
    static const struct {
        const char *body, *place, *made;
    } row[] = {
        {"{}", "/a", "{\"a\":\"v\"}"},
        {"{\"a\":1}", "/a", "{\"a\":\"v\"}"},
        {"{}", "/a/b", "{\"a\":{\"b\":\"v\"}}"},
        {"{}", "/a/0", "{\"a\":[\"v\"]}"},
        {"{}", "/a/0/b", "{\"a\":[{\"b\":\"v\"}]}"},
        {"{}", "/a/01", "{\"a\":{\"01\":\"v\"}}"},
        {"{\"a\":[1]}", "/a/1", "{\"a\":[1,\"v\"]}"},
        {"{\"a\":\"x\"}", "/a/b", NULL},
        {"{\"a\":[]}", "/a/7", NULL},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        json_t *v = json(row[i].body);
        int r = place_set(v, str_c(row[i].place), json_string("v"));
        assert_int_equal(r, row[i].made != NULL ? ERR_OK : ERR_MALFORMED);
        if (row[i].made != NULL)
            json_incref(v);
        json_decref(v);
        if (row[i].made != NULL)
            same_json(v, row[i].made);
    }
}

/* --- matching -------------------------------------------------------------------------------- */

static const char *matched(const struct connector *c, const char *method, const char *path)
{
    const struct operation *op = connector_match(c, str_c(method), str_c(path));
    return op != NULL ? op->name : "-";
}

static void test_match(void **state)
{
    (void)state;
    struct connectors *set = accepted(
        HEAD
        "operations:\n"
        "  - {name: one, method: GET, path: \"/c/{id}\", product: p, text: t, kind: read, tier: 0, "
        "tags: [read]}\n"
        "  - {name: me, method: GET, path: /c/me, product: p, text: t, tier: 0}\n"
        "  - {name: notes, method: GET, path: \"/c/{id}/notes\", product: p, text: t, tier: 0}\n"
        "  - {name: any, method: GET, path: \"/c/{other}/{what}\", product: p, text: t, tier: 0}\n"
        "  - {name: mine, method: GET, path: \"/c/me/{what}\", product: p, text: t, tier: 0}\n"
        "  - {name: make, method: POST, path: /c, product: p, text: t, tier: 0}\n");
    const struct connector *c = connectors_at(set, 0);

    assert_string_equal(matched(c, "GET", "/c/7"), "one");
    assert_string_equal(matched(c, "GET", "/c/me"), "me");
    assert_string_equal(matched(c, "GET", "/c/7/notes"), "notes");
    assert_string_equal(matched(c, "GET", "/c/7/x"), "any");
    assert_string_equal(matched(c, "GET", "/c/me/notes"),
                        "mine"); /* literal ones win from the left */
    assert_string_equal(matched(c, "POST", "/c"), "make");
    assert_string_equal(matched(c, "HEAD", "/c/7"), "one");
    assert_string_equal(matched(c, "HEAD", "/c/me"), "-"); /* not tagged read */
    assert_string_equal(matched(c, "get", "/c/7"), "-");
    assert_string_equal(matched(c, "GET", "/C/7"), "-");
    assert_string_equal(matched(c, "GET", "/c/7/"), "-");
    assert_string_equal(matched(c, "POST", "/c/"), "-");
    assert_string_equal(matched(c, "PUT", "/c"), "-");
    assert_null(connector_operation(c, STR("ONE")));
    assert_false(operation_is_read(NULL));
    assert_false(operation_tagged(NULL, "read"));
    connectors_free(set);
}

/* --- answers --------------------------------------------------------------------------------- */

struct loaded_set {
    struct connectors *set;
    const struct connector *plaid, *crm;
};

static int load_shipped(void **state)
{
    static struct loaded_set s;
    struct complaints c;

    complaints_init(&c);
    if (connectors_load("connectors", &s.set, &c) != ERR_OK) {
        (void)fprintf(stderr, "%s", c.text.p != NULL ? c.text.p : "");
        return -1;
    }
    complaints_free(&c);
    s.plaid = connectors_find(s.set, STR("plaid"));
    s.crm = connectors_find(s.set, STR("crm"));
    *state = &s;
    return s.plaid != NULL && s.crm != NULL ? 0 : -1;
}

static int free_shipped(void **state)
{
    connectors_free(((struct loaded_set *)*state)->set);
    return 0;
}

static struct answer answer(const struct connector *c, const char *op, int status, const char *body)
{
    struct answer a;
    json_t *v = body != NULL ? json(body) : NULL;
    connector_read_answer(c, op != NULL ? connector_operation(c, str_c(op)) : NULL, status, NULL, v,
                          &a);
    json_decref(v);
    return a;
}

static void test_answer_class(void **state)
{
    const struct loaded_set *s = *state;
    static const char read[] = "item.get", write[] = "transfer.create",
                      authorize[] = "transfer.authorization.create";
    static const struct {
        const char *op;
        int status;
        const char *body;
        enum answer_class class;
        const char *code;
    } row[] = {
        {write, 200, "{\"transfer\":{}}", ANSWER_SUCCEEDED, ""},
        {write, 200, "{\"error_code\":\"X\"}", ANSWER_SUCCEEDED, ""}, /* might be an echo */
        {write, 204, NULL, ANSWER_SUCCEEDED, ""},
        {write, 400, "{\"error_code\":\"INVALID_FIELD\"}", ANSWER_FAILED, "INVALID_FIELD"},
        {write, 400, "{\"error_code\":\"ITEM_LOGIN_REQUIRED\"}", ANSWER_REAUTH,
         "ITEM_LOGIN_REQUIRED"},
        {write, 400, "{\"error_code\":\"item_login_required\"}", ANSWER_FAILED,
         "item_login_required"},
        {write, 400, NULL, ANSWER_FAILED, ""},
        {write, 429, "{\"error_code\":\"ACCOUNTS_LIMIT\"}", ANSWER_RATE_LIMITED, "ACCOUNTS_LIMIT"},
        {write, 500, "{\"error_code\":\"INTERNAL_SERVER_ERROR\"}", ANSWER_UNCLEAR,
         "INTERNAL_SERVER_ERROR"},
        {write, 500, "{\"error_code\":\"ITEM_LOGIN_REQUIRED\"}", ANSWER_UNCLEAR,
         "ITEM_LOGIN_REQUIRED"},
        {write, 502, NULL, ANSWER_UNCLEAR, ""},
        {write, 408, NULL, ANSWER_UNCLEAR, ""},
        {write, 303, NULL, ANSWER_UNCLEAR, ""},
        {write, 0, NULL, ANSWER_UNCLEAR, ""},
        {NULL, 500, NULL, ANSWER_UNCLEAR, ""}, /* an unknown operation is a write */
        {read, 500, NULL, ANSWER_FAILED, ""},
        {read, 302, NULL, ANSWER_FAILED, ""},
        {read, 429, NULL, ANSWER_RATE_LIMITED, ""},
        {authorize, 200, "{\"authorization\":{\"decision\":\"approved\"}}", ANSWER_SUCCEEDED, ""},
        {authorize, 200, "{\"authorization\":{\"decision\":\"declined\"}}", ANSWER_DECLINED, ""},
        {authorize, 200, "{\"authorization\":{\"decision\":\"user_action_required\"}}",
         ANSWER_REAUTH, ""},
        {authorize, 200, NULL, ANSWER_UNCLEAR, ""}, /* the body would have told */
        {"transfer.recurring.create", 200, "{\"decision\":\"declined\"}", ANSWER_DECLINED, ""},
        {"transfer.recurring.create", 200, "{\"decision\":\"user_action_required\"}", ANSWER_REAUTH,
         ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct answer a = answer(s->plaid, row[i].op, row[i].status, row[i].body);
        if (a.class != row[i].class)
            fail_msg("row %zu: class %d", i, (int)a.class);
        assert_string_equal(a.error_code, row[i].code);
    }
    assert_int_equal(answer(s->crm, "contacts.create", 401, "{\"error\":\"x\"}").class,
                     ANSWER_REAUTH);
    assert_int_equal(answer(s->crm, "contacts.create", 403, "{\"error\":\"x\"}").class,
                     ANSWER_FAILED);
}

/* A vendor that refuses with 200, as Slack does. */
static void test_answer_error_in_2xx(void **state)
{
    (void)state;
    struct connectors *set = accepted(
        HEAD "errors: {code: /error, reauth: [token_expired], in_2xx: true}\noperations: []\n");
    const struct connector *c = connectors_at(set, 0);

    assert_int_equal(answer(c, NULL, 200, "{\"ok\":true}").class, ANSWER_SUCCEEDED);
    assert_int_equal(answer(c, NULL, 200, "{\"error\":\"x\"}").class, ANSWER_FAILED);
    assert_int_equal(answer(c, NULL, 200, "{\"error\":\"token_expired\"}").class, ANSWER_REAUTH);
    connectors_free(set);
}

static void test_answer_texts(void **state)
{
    const struct loaded_set *s = *state;
    char body[300];
    struct answer a = answer(s->plaid, NULL, 400, "{\"request_id\":\"r1\",\"error_code\":17}");

    assert_string_equal(a.provider_request_id, "r1");
    assert_string_equal(a.error_code, "17");
    /* what does not fit or has odd bytes is left out, not cut */
    (void)snprintf(body, sizeof body, "{\"error_code\":\"%080d\",\"request_id\":\"a\\nb\"}", 1);
    a = answer(s->plaid, NULL, 400, body);
    assert_string_equal(a.error_code, "");
    assert_string_equal(a.provider_request_id, "");

    struct connectors *set = accepted(HEAD "request_id: x-request-id\noperations: []\n");
    json_t *headers = json("[[\"A\",\"b\"],[\"X-Request-Id\",\"r2\"]]");
    connector_read_answer(connectors_at(set, 0), NULL, 200, headers, NULL, &a);
    assert_string_equal(a.provider_request_id, "r2");
    json_decref(headers);
    connectors_free(set);
}

static void test_error_body(void **state)
{
    const struct loaded_set *s = *state;
    struct buf out = {0};

    assert_int_equal(
        connector_error_body(s->plaid, "APPROVAL_PENDING", "say \"yes\"\n${code}", "act_1", &out),
        ERR_OK);
    same_json(json(out.p), "{\"display_message\":null,\"error_code\":\"APPROVAL_PENDING\","
                           "\"error_message\":\"say \\\"yes\\\"\\n${code}\","
                           "\"error_type\":\"APPROVAL_REQUIRED\",\"request_id\":\"act_1\"}");
    buf_clear(&out);
    assert_int_equal(connector_error_body(s->crm, "X", "m", "act_2", &out), ERR_OK);
    assert_string_equal(out.p,
                        "{\"error\":{\"code\":\"X\",\"message\":\"m\"},\"action\":\"act_2\"}");
    buf_free(&out);
}

/* --- impact ---------------------------------------------------------------------------------- */

static void test_impact(void **state)
{
    const struct loaded_set *s = *state;
    json_t *request = json("{\"body\":{\"amount\":\"12.50\",\"user\":{\"legal_name\":\"Ada\"},"
                           "\"account_id\":\"vzeNDwK7KQIm4829\"}}");
    const struct operation *op =
        connector_operation(s->plaid, STR("transfer.authorization.create"));
    char account[16];

    same_json(connector_impact(op, request), "{\"amount\":\"12.50\",\"currency\":\"USD\","
                                             "\"external\":false,\"payee\":\"Ada\",\"rows\":null}");
    same_json(connector_impact(NULL, request),
              "{\"amount\":null,\"currency\":null,\"external\":null,"
              "\"payee\":null,\"rows\":null}");
    connector_account(op, request, account);
    assert_string_equal(account, "****4829");
    connector_account(NULL, request, account);
    assert_string_equal(account, "");
    json_decref(request);

    request = json("{\"body\":{\"amount\":{\"x\":1},\"account_id\":\"4829\"}}");
    same_json(connector_impact(op, request), "{\"amount\":null,\"currency\":\"USD\","
                                             "\"external\":false,\"payee\":null,\"rows\":null}");
    connector_account(op, request, account);
    assert_string_equal(account, "****"); /* so short that four would be all of it */
    json_decref(request);

    op = connector_operation(s->crm, STR("emails.send"));
    request = json("{\"body\":{\"to\":\"a@example.com\"}}");
    same_json(connector_impact(op, request), "{\"amount\":null,\"currency\":null,\"external\":true,"
                                             "\"payee\":\"a@example.com\",\"rows\":null}");
    json_decref(request);
}

static void test_impact_rows(void **state)
{
    (void)state;
    struct operation op = {.rows = "/items", .account = "/a"};
    json_t *request = json("{\"body\":{\"items\":[1,2,3],\"a\":\"1234567\xc3\xa9xy\"}}");
    char account[16];

    same_json(connector_impact(&op, request),
              "{\"amount\":null,\"currency\":null,\"external\":false,"
              "\"payee\":null,\"rows\":3}");
    connector_account(&op, request, account);
    assert_string_equal(account, "****"); /* never half a character */
    json_decref(request);
}

/* --- plaid.yaml ------------------------------------------------------------------------------ */

/* The tables of the article that this connector follows: product, path, tier. */
static void test_plaid_tiers(void **state)
{
    const struct loaded_set *s = *state;
    static const struct {
        const char *path;
        int tier;
    } row[] = {
        {"/transactions/sync", 0},
        {"/accounts/balance/get", 0},
        {"/investments/holdings/get", 0},
        {"/investments/transactions/get", 0},
        {"/liabilities/get", 0},
        {"/identity/get", 1},
        {"/auth/get", 1},
        {"/transfer/authorization/create", 2},
        {"/asset_report/create", 2},
        {"/asset_report/get", 2},
        {"/credit/bank_income/get", 2},
        {"/credit/payroll_income/get", 2},
        {"/transfer/create", 3},
        {"/transfer/recurring/create", 3},
        {"/transfer/refund/create", 3},
        {"/item/remove", 3},
        {"/transfer/list", 3},
        {"/transfer/event/sync", 3},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct operation *op = connector_match(s->plaid, STR("POST"), str_c(row[i].path));
        if (op == NULL || op->tier != row[i].tier || op->deny)
            fail_msg("%s is not tier %d", row[i].path, row[i].tier);
    }
    static const char *const never[] = {
        "/item/public_token/exchange",
        "/item/access_token/invalidate",
        "/processor/token/create",
        "/processor/stripe/bank_account_token/create",
        "/sandbox/public_token/create",
        "/user/create",
        "/item/public_token/create",
        "/item/import",
        "/link/token/get",
        "/oauth/token",
    };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        const struct operation *op = connector_match(s->plaid, STR("POST"), str_c(never[i]));
        if (op == NULL || !op->deny)
            fail_msg("%s is not denied", never[i]);
    }
}

static void test_plaid_transfer(void **state)
{
    const struct loaded_set *s = *state;
    const struct operation *a = connector_operation(s->plaid, STR("transfer.authorization.create"));
    const struct operation *t = connector_operation(s->plaid, STR("transfer.create"));

    assert_int_equal(a->kind, OP_AUTHORIZATION);
    assert_int_equal(a->idem, IDEM_BODY);
    assert_string_equal(a->idem_at, "/idempotency_key");
    assert_int_equal(a->idem_window, INT64_C(48) * 3600 * 1000);
    assert_string_equal(a->remember_kind, t->decide_kind);
    assert_string_equal(a->remember_key, "/authorization/id");
    assert_string_equal(a->remember_at, "/authorization/created");
    assert_int_equal(t->idem, IDEM_PAYLOAD);
    assert_string_equal(t->idem_at, "/authorization_id");
    assert_int_equal(t->idem_window, 3600 * 1000);
    assert_string_equal(t->decide_key, "/authorization_id");
    assert_int_equal(t->decide_within, 55 * 60 * 1000);
    /* decided at the last moment and sent at the last moment: still within the authorization's hour
     */
    assert_true(t->decide_within + t->execute_within < 60 * 60 * 1000);
    assert_string_equal(s->plaid->agent_key_header, "plaid-secret");
}

static char *read_whole(const char *path)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)n + 1);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    (void)fclose(f);
    return text;
}

static void test_plaid_paths_exist(void **state)
{
    const struct loaded_set *s = *state;
    const char *shared = getenv("CS_SHARED");
    char path[512], key[256];

    (void)snprintf(path, sizeof path, "%s/specs/plaid-2020-09-14.yml",
                   shared != NULL ? shared : "../shared");
    char *spec = read_whole(path);
    if (spec == NULL) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    for (size_t i = 0; i < s->plaid->n_ops; i++) {
        (void)snprintf(key, sizeof key, "\n  %s:\n", s->plaid->op[i].path);
        if (strstr(spec, key) == NULL)
            fail_msg("Plaid has no %s", s->plaid->op[i].path);
    }
    free(spec);
}

/* Whatever acts on money is never executed without a person. */
static void test_plaid_money_waits(void **state)
{
    const struct loaded_set *s = *state;
    for (size_t i = 0; i < s->plaid->n_ops; i++) {
        const struct operation *op = &s->plaid->op[i];
        if (operation_tagged(op, "money") && !op->deny && op->tier < 2)
            fail_msg("%s is tier %d", op->name, op->tier);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place_drop),
        cmocka_unit_test(test_place_set),
        cmocka_unit_test(test_match),
        cmocka_unit_test_setup_teardown(test_answer_class, load_shipped, free_shipped),
        cmocka_unit_test(test_answer_error_in_2xx),
        cmocka_unit_test_setup_teardown(test_answer_texts, load_shipped, free_shipped),
        cmocka_unit_test_setup_teardown(test_error_body, load_shipped, free_shipped),
        cmocka_unit_test_setup_teardown(test_impact, load_shipped, free_shipped),
        cmocka_unit_test(test_impact_rows),
        cmocka_unit_test_setup_teardown(test_plaid_tiers, load_shipped, free_shipped),
        cmocka_unit_test_setup_teardown(test_plaid_transfer, load_shipped, free_shipped),
        cmocka_unit_test_setup_teardown(test_plaid_paths_exist, load_shipped, free_shipped),
        cmocka_unit_test_setup_teardown(test_plaid_money_waits, load_shipped, free_shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
