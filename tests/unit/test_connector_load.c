/* connector/: what the loader refuses, and where it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "connector/connector.h"

/* --- loading --------------------------------------------------------------------------------- */

#define HEAD "version: 1\nname: t\ntitle: T\nbase_url: https://api.example\nsecrets: [key]\n"
#define ROW "  - {name: a.b, method: GET, path: /a, product: a, text: t, tier: 0"

static int read_text(const char *text, struct connectors **ret, struct complaints *c)
{
    complaints_init(c);
    return connectors_read("x/t.yaml", str_c(text), ret, c);
}

/* The text must be refused, with exactly one complaint, which begins so. */
static void refused(const char *text, const char *complaint)
{
    struct connectors *set = NULL;
    struct complaints c;

    assert_int_equal(read_text(text, &set, &c), ERR_CONFIG);
    assert_null(set);
    if (c.n != 1 || !str_starts(buf_view(&c.text), str_c(complaint)))
        fail_msg("expected %s\ngot %zu:\n%s", complaint, c.n, c.text.p);
    complaints_free(&c);
}

static struct connectors *accepted(const char *text)
{
    struct connectors *set = NULL;
    struct complaints c;

    if (read_text(text, &set, &c) != ERR_OK)
        fail_msg("refused: %s", c.text.p);
    complaints_free(&c);
    return set;
}

static void test_smallest(void **state)
{
    (void)state;
    struct connectors *set = accepted(HEAD "operations:\n" ROW "}\n");
    const struct connector *c = connectors_find(set, STR("t"));

    assert_non_null(c);
    assert_ptr_equal(c, connectors_at(set, 0));
    assert_null(connectors_at(set, 1));
    assert_null(connectors_find(set, STR("T")));
    assert_int_equal(c->n_ops, 1);
    assert_int_equal(c->pending_status, 428);
    assert_int_equal(c->format, BODY_JSON);
    assert_int_equal(c->op[0].kind, OP_WRITE); /* nobody said that it is a read */
    assert_int_equal(c->op[0].idem, IDEM_NONE);
    assert_int_equal(c->op[0].line, 7);
    assert_false(operation_is_read(&c->op[0]));
    assert_true(str_starts(str_c(c->digest), STR("sha256:")));
    connectors_free(set);
}

static void test_every_key(void **state)
{
    (void)state;
    struct connectors *set = accepted(
        HEAD
        "agent_key_header: x-key\nitem_id: item\nbody: form\noptional_secrets: [more]\n"
        "inject: {x-key: \"K {key}\"}\ndrop: {headers: [x-a], body: [/k]}\n"
        "pass_headers: [x-b]\nanswer_headers: [x-c]\nrequest_id: x-req\n"
        "errors: {code: /e, type: /t, message: /m, reauth: [X], in_2xx: true}\n"
        "ratelimit: {limit: l, remaining: m, reset: r, unit: epoch}\n"
        "pending: {status: 400, body: '{\"e\":\"${code}\"}'}\n"
        "operations:\n  - name: a\n    method: POST\n    path: /a/{id}\n    product: p\n"
        "    text: t\n    kind: authorization\n    tier: 3\n    slash: true\n    tags: [x, y]\n"
        "    body: json\n    inject: {/k: \"{more}\"}\n"
        "    idempotency: {by: header, at: idem-key, window: 2h}\n"
        "    decide_within: 5m\n    execute_within: 6m\n    decide_from: {kind: k, key: /k}\n"
        "    remember: {kind: k, key: /i, at: /c}\n    declined: {at: /d, is: [no]}\n"
        "    user_action: {at: /d, is: [you]}\n"
        "    show: {amount: /a, currency: =EUR, payee: /p, rows: /r, account: /c}\n"
        "    pii: [/z]\n");
    const struct connector *c = connectors_at(set, 0);
    const struct operation *op = connector_operation(c, STR("a"));

    assert_string_equal(c->agent_key_header, "x-key");
    assert_string_equal(c->item_secret_id, "item");
    assert_string_equal(c->header[0].value, "K {key}");
    assert_string_equal(c->drop_body[0], "/k");
    assert_string_equal(c->pass_header[0], "x-b");
    assert_string_equal(c->answer_header[0], "x-c");
    assert_string_equal(c->reauth[0], "X");
    assert_true(c->error_in_2xx);
    assert_string_equal(c->ratelimit_unit, "epoch");
    assert_int_equal(c->pending_status, 400);
    assert_int_equal(c->format, BODY_FORM);
    assert_int_equal(op->format, BODY_JSON);
    assert_int_equal(op->kind, OP_AUTHORIZATION);
    assert_int_equal(op->idem, IDEM_HEADER);
    assert_int_equal(op->idem_window, 7200000);
    assert_int_equal(op->decide_within, 300000);
    assert_int_equal(op->execute_within, 360000);
    assert_string_equal(op->remember_at, "/c");
    assert_string_equal(op->declined.value[0], "no");
    assert_string_equal(op->user_action.at, "/d");
    assert_string_equal(op->currency, "=EUR");
    assert_string_equal(op->pii[0], "/z");
    assert_true(operation_tagged(op, "y"));
    connectors_free(set);
}

static void test_refused_connector(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } row[] = {
        {HEAD "seckrets: []\noperations: []\n", "x/t.yaml:6:1: 'seckrets'"},
        {HEAD "operations: {}\n", "x/t.yaml:6:13: operations must be a list"},
        {"version: 1\nname: t\ntitle: T\nsecrets: []\noperations: []\n",
         "x/t.yaml:1:1: 'base_url' is missing"},
        {"version: 2\nname: t\ntitle: T\nbase_url: https://a\nsecrets: []\noperations: []\n",
         "x/t.yaml:1:10: version: expected 1"},
        {"version: 1\nname: u\ntitle: T\nbase_url: https://a\nsecrets: []\noperations: []\n",
         "x/t.yaml:1:1: name: connector 'u' belongs into u.yaml"},
        {HEAD "agent_key_header: X Key\noperations: []\n", "x/t.yaml:6:19: agent_key_header:"},
        {HEAD "agent_key_header: X-Key\noperations: []\n", "x/t.yaml:6:19: agent_key_header:"},
        {HEAD "agent_key_header: x-k\npass_headers: [x-k]\noperations: []\n",
         "x/t.yaml:1:1: pass_headers: x-k is where agents put their key"},
        {HEAD "pass_headers: [authorization]\noperations: []\n", "x/t.yaml:6:16: pass_headers:"},
        {HEAD "pass_headers: [content-length]\noperations: []\n", "x/t.yaml:6:16: pass_headers:"},
        {HEAD "pass_headers: [\"x:y\"]\noperations: []\n", "x/t.yaml:6:16: pass_headers:"},
        {HEAD "inject: {host: \"{key}\"}\noperations: []\n", "x/t.yaml:6:10: inject:"},
        {HEAD "inject: {x-a: \"{other}\"}\noperations: []\n",
         "x/t.yaml:6:15: inject: the secret 'other' is not listed"},
        {HEAD "inject: {x-a: \"{key\"}\noperations: []\n", "x/t.yaml:6:15: inject: stray brace"},
        {HEAD "inject: {x-a: \"k}{key}\"}\noperations: []\n", "x/t.yaml:6:15: inject: stray brace"},
        {HEAD "inject: {x-a: \"a\\r\\nb: c\"}\noperations: []\n",
         "x/t.yaml:6:15: inject: not printable ASCII"},
        {HEAD "drop: {body: [key]}\noperations: []\n",
         "x/t.yaml:6:15: body: expected a JSON pointer"},
        {HEAD "drop: {body: [/a~2]}\noperations: []\n",
         "x/t.yaml:6:15: body: expected a JSON pointer"},
        {HEAD "request_id: \"a b\"\noperations: []\n", "x/t.yaml:6:13: request_id:"},
        {HEAD "errors: {code: e}\noperations: []\n",
         "x/t.yaml:6:16: code: expected a JSON pointer"},
        {HEAD "body: xml\noperations: []\n", "x/t.yaml:6:7: body: 'xml' is none of its words"},
        {HEAD "ratelimit: {unit: days}\noperations: []\n", "x/t.yaml:6:19: unit:"},
        {HEAD "pending: {status: 99}\noperations: []\n", "x/t.yaml:6:19: status must be between"},
        {HEAD "pending: {body: '{${code}}'}\noperations: []\n",
         "x/t.yaml:6:10: pending: body: not JSON"},
        {HEAD "pending: {body: '{\"a\":\"${cod}\"}'}\noperations: []\n",
         "x/t.yaml:6:10: pending: body: not JSON"},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        refused(row[i].text, row[i].complaint);
}

static void test_refused_base_url(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ftp://a",         "https://",         "https://u@a",      "https://u:p@a", "https://a?x=1",
        "https://a#f",     "https://a/",       "https://a/b/../c", "https://a b",   "https://a:0",
        "https://a:99999", "https://-a",       "https://a..b",     "https://[::1",  "//a",
        "https://a\\b",    "https://a/%2e%2e",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[256];
        (void)snprintf(
            text, sizeof text,
            "version: 1\nname: t\ntitle: T\nbase_url: '%s'\nsecrets: []\noperations: []\n", bad[i]);
        refused(text, "x/t.yaml:4:11: base_url:");
    }
    connectors_free(accepted("version: 1\nname: t\ntitle: T\nbase_url: http://[::1]:8080/a/b\n"
                             "secrets: []\noperations: []\n"));
}

static void test_refused_operation(void **state)
{
    (void)state;
    static const struct {
        const char *more, *complaint;
    } row[] = {
        {", teir: 1}", "'teir'"},
        {", tags: [Read]}", "tags:"},
        {", tags: read}", "tags must be a list"},
        {", tags: [read]}", "tags: `read` means that it may be sent again"},
        {", kind: maybe}", "kind: 'maybe'"},
        {", inject: {/k: \"{key}\"}}", "inject: a GET has no body"},
        {", idempotency: {by: header, at: A, window: 1h}}",
         "idempotency: at: expected a header name"},
        {", idempotency: {by: payload, at: a, window: 1h}}",
         "idempotency: at: expected a JSON pointer"},
        {", idempotency: {by: none, at: /a, window: 1h}}", "idempotency: leave it out"},
        {", idempotency: {by: header, at: a}}", "'window' is missing"},
        {", decide_from: {kind: k, key: /a}}", "decide_from: means nothing"},
        {", remember: {kind: k, key: a, at: /b}}", "key: expected a JSON pointer"},
        {", declined: {at: /a, is: []}}", "is: an empty list never holds"},
        {", declined: {at: a, is: [b]}}", "at: expected a JSON pointer"},
        {", show: {amount: a}}", "amount: expected a JSON pointer"},
        {", show: {currency: USD}}", "currency: expected a JSON pointer, or"},
        {", pii: [x]}", "pii: expected a JSON pointer"},
        {", deny: true}", "tier: a denied operation has none"},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        (void)snprintf(text, sizeof text, "%soperations:\n%s%s\n", HEAD, ROW, row[i].more);
        /* the line and the message; columns are tested above */
        struct connectors *set = NULL;
        struct complaints c;
        assert_int_equal(read_text(text, &set, &c), ERR_CONFIG);
        if (c.n != 1 || !str_starts(buf_view(&c.text), STR("x/t.yaml:7:")) ||
            strstr(c.text.p, row[i].complaint) == NULL)
            fail_msg("expected %s\ngot %zu:\n%s", row[i].complaint, c.n, c.text.p);
        complaints_free(&c);
    }
}

static void test_refused_tier_method_path(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{name: a, method: GET, path: /a, product: a, text: t}", /* no tier */
        "{name: a, method: GET, path: /a, product: a, text: t, tier: 4}",
        "{name: a, method: GET, path: /a, product: a, text: t, tier: -1}",
        "{name: a, method: GET, path: /a, product: a, text: t, tier: \"1\"}",
        "{name: a, method: get, path: /a, product: a, text: t, tier: 1}",
        "{name: a, method: TRACE, path: /a, product: a, text: t, tier: 1}",
        "{name: A, method: GET, path: /a, product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: a, product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: //a, product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: /a/../b, product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: /a%2fb, product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: \"/a/{}\", product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: \"/a/{i\", product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: \"/a/x{i}\", product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: "
        "\"/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}/{a}\", product: a, "
        "text: t, tier: 1}",
        "{name: a, method: GET, path: \"/a?b\", product: a, text: t, tier: 1}",
        "{name: a, method: GET, path: /a, product: a, tier: 1}", /* no text */
        "{name: a, method: POST, path: /a, product: a, text: t, tier: 1, body: raw, inject: {/k: "
        "\"{key}\"}}",
        "{name: a, method: POST, path: /a, product: a, text: t, tier: 1, body: form, inject: "
        "{/k/l: \"{key}\"}}",
        "just text",
    };
    char text[1024];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "%soperations:\n  - %s\n", HEAD, bad[i]);
        refused(text, "x/t.yaml:7:");
    }
}

static void test_refused_twice(void **state)
{
    (void)state;
    refused(HEAD "operations:\n" ROW "}\n"
                 "  - {name: a.b, method: POST, path: /b, product: a, text: t, tier: 0}\n",
            "x/t.yaml:8:5: operation 'a.b' is already on line 7");
    refused(HEAD "operations:\n" ROW "}\n"
                 "  - {name: c, method: GET, path: /a, product: a, text: t, tier: 0}\n",
            "x/t.yaml:8:5: GET /a is already the operation on line 7");
    refused(HEAD "operations:\n"
                 "  - {name: b, method: GET, path: \"/a/{x}/b\", product: a, text: t, tier: 0}\n"
                 "  - {name: c, method: GET, path: \"/a/{y}/b\", product: a, text: t, tier: 0}\n",
            "x/t.yaml:8:5: GET /a/{y}/b is already the operation on line 7");
}

/* A folder: files in name order, all complaints, nothing but *.yaml. */
static void test_folder(void **state)
{
    (void)state;
    char dir[] = "/tmp/cs-connectors-XXXXXX", path[64];
    struct connectors *set = NULL;
    struct complaints c;
    static const char *const file[] = {"b.yaml", "a.yaml", "note.txt", ".c.yaml"};

    assert_non_null(mkdtemp(dir));
    complaints_init(&c);
    assert_int_equal(connectors_load(dir, &set, &c), ERR_CONFIG); /* an empty folder is a mistake */
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        (void)fprintf(
            f,
            "version: 1\nname: %.1s\ntitle: T\nbase_url: https://a\nsecrets: []\noperations: []\n",
            file[i]);
        (void)fclose(f);
    }
    assert_int_equal(connectors_load(dir, &set, &c), ERR_OK);
    assert_string_equal(connectors_at(set, 0)->name, "a");
    assert_string_equal(connectors_at(set, 1)->name, "b");
    assert_null(connectors_at(set, 2));
    char before[HASH_TEXT];
    assert_true(str_copy(before, sizeof before, str_c(connectors_digest(set))));
    connectors_free(set);

    (void)snprintf(path, sizeof path, "%s/a.yaml", dir);
    FILE *f = fopen(path, "a");
    (void)fputs("# changed\n", f);
    (void)fclose(f);
    assert_int_equal(connectors_load(dir, &set, &c), ERR_OK);
    assert_string_not_equal(before, connectors_digest(set));
    connectors_free(set);
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
    complaints_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest),          cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_refused_connector), cmocka_unit_test(test_refused_base_url),
        cmocka_unit_test(test_refused_operation), cmocka_unit_test(test_refused_tier_method_path),
        cmocka_unit_test(test_refused_twice),     cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
