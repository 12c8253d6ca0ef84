/* connector/request, wire: what reaches the payload and what never does; that stored bytes are read
 * back only as they were made; what credentials are put where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "connector/request.h"

/* A connector with one operation of each kind. */
static const char yaml[] =
    "version: 1\nname: t\ntitle: T\nbase_url: https://api.example\nsecrets: [key, two]\n"
    "optional_secrets: [more]\n"
    "inject: {authorization: \"Bearer {key}\", x-version: \"7\", x-more: \"{more}\"}\n"
    "drop: {headers: [x-drop], body: [/secret, /deep/token]}\n"
    "pass_headers: [if-match, x-drop, x-version, idem-key, accept]\n"
    "operations:\n"
    "  - {name: get, method: GET, path: \"/c/{id}\", product: p, text: t, kind: read, tier: 0, "
    "tags: [read]}\n"
    "  - {name: file, method: GET, path: \"/f/{name}\", product: p, text: t, tier: 0, slash: "
    "true}\n"
    "  - {name: post, method: POST, path: /c, product: p, text: t, tier: 1,\n"
    "     inject: {/access: \"{key}\", /list/0: \"{two}\", /maybe: \"{more}\"},\n"
    "     idempotency: {by: body, at: /idem, window: 1h}}\n"
    "  - {name: put, method: PUT, path: \"/c/{id}\", product: p, text: t, tier: 1,\n"
    "     idempotency: {by: header, at: idem-key, window: 1h}}\n"
    "  - {name: form, method: POST, path: /form, product: p, text: t, tier: 1, body: form,\n"
    "     inject: {/access: \"{key}\"}}\n"
    "  - {name: raw, method: POST, path: /raw, product: p, text: t, tier: 1, body: raw}\n";

static struct connectors *set;
static const struct connector *con;

static int setup(void **state)
{
    (void)state;
    struct complaints c;
    complaints_init(&c);
    int r = connectors_read("t.yaml", str_c(yaml), &set, &c);
    if (r != ERR_OK)
        (void)fprintf(stderr, "%s", c.text.p);
    else
        con = connectors_at(set, 0);
    complaints_free(&c);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    connectors_free(set);
    return 0;
}

/* --- making ---------------------------------------------------------------------------------- */

/* What an agent gives, as texts; NULL is nothing. */
struct given {
    const char *method, *path, *query, *headers, *body, *raw, *type;
};

static json_t *json(const char *text)
{
    json_t *v = NULL;
    if (text != NULL && json_read(str_c(text), &v, NULL) != ERR_OK)
        fail_msg("no JSON: %s", text);
    return v;
}

static int build(struct given g, struct request *ret, struct fail *f)
{
    struct request_input in = {.method = str_c(g.method),
                               .path = str_c(g.path),
                               .query = json(g.query),
                               .headers = json(g.headers),
                               .body = json(g.body),
                               .raw_body = str_c(g.raw),
                               .content_type = str_c(g.type)};
    json_t *headers = json(g.headers);
    json_t *body = json_deep_copy(in.body);
    json_decref(headers);
    int r = request_build(con, &in, ret, f);
    assert_true(json_equal(in.body, body) || in.body == NULL); /* the input is not changed */
    union {
        const json_t *in;
        json_t *out;
    } h = {.in = in.headers};
    json_decref(h.out);
    json_decref(in.query);
    json_decref(in.body);
    json_decref(body);
    return r;
}

/* The payload must be exactly this, and read back as itself. */
static void makes(struct given g, const char *op, const char *payload)
{
    struct request r, again;
    struct fail f = {0};

    if (build(g, &r, &f) != ERR_OK)
        fail_msg("%s %s: %s", g.method, g.path, f.detail);
    assert_string_equal(r.bytes.p, payload);
    assert_string_equal(r.op != NULL ? r.op->name : "-", op);
    assert_int_equal(request_read(con, buf_view(&r.bytes), &again, &f), ERR_OK);
    assert_string_equal(r.hash, again.hash);
    assert_ptr_equal(r.op, again.op);
    assert_true(json_equal(r.doc, again.doc));
    request_free(&again);
    request_free(&r);
}

static void refuses(struct given g, int err)
{
    struct request r = {.op = NULL};
    struct fail f = {0};

    int e = build(g, &r, &f);
    if (e != err)
        fail_msg("%s %s: %s, not %s", g.method, g.path, err_name(e), err_name(err));
    assert_int_equal(f.err, err);
    assert_null(r.doc);
}

static void test_shape(void **state)
{
    (void)state;
    makes((struct given){.method = "GET", .path = "/c/7"}, "get",
          "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}");
    makes((struct given){.method = "GET", .path = "/%63/%7e"}, "get",
          "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/~\",\"query\":[]}");
    makes((struct given){.method = "GET",
                         .path = "/c/7",
                         .query = "[[\"b\",\"2\"],[\"a\",\"\"],[\"b\",\"1\"]]"},
          "get",
          "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\","
          "\"query\":[[\"b\",\"2\"],[\"a\",\"\"],[\"b\",\"1\"]]}");
    makes((struct given){.method = "PUT", .path = "/c/7", .body = "{\"b\":1.0,\"a\":[1e1,null]}"},
          "put",
          "{\"body\":{\"a\":[10,null],\"b\":1},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/7\","
          "\"query\":[]}");
    makes((struct given){.method = "PUT", .path = "/c/7", .body = "null"}, "put",
          "{\"body\":null,\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/7\",\"query\":[]}");
    makes((struct given){.method = "PATCH", .path = "/else", .body = "[1]"}, "-",
          "{\"body\":[1],\"headers\":{},\"method\":\"PATCH\",\"path\":\"/else\",\"query\":[]}");
}

static void test_target_refused(void **state)
{
    (void)state;
    static const char *const unsafe[] = {
        "c",       "//c",          "/c/../d",     "/c/./d",           "/c/%2e%2e/d",
        "/c/%2E",  "/c%5cd",       "/c/%00",      "/c/%252e",         "/c;v=1/7",
        "/c\\d",   "/c/7%2f8",     "/c/7%2F8",    "/unlisted%2fpath", "/c/\xc3\xa9",
        "/c/7#x",  "/c/7?x",       "/f/..%2fetc", "/f/a%2f%2fb",      "/f/%2fa",
        "/f/a%2f", "/f/a%2f.%2fb",
    };
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++)
        refuses((struct given){.method = "GET", .path = unsafe[i]}, ERR_UNSAFE_PATH);
    static const char *const method[] = {"",     "get",       "CONNECT", "TRACE",
                                         "GET ", "G\r\nX: y", "PROPFIND"};
    for (size_t i = 0; i < sizeof method / sizeof method[0]; i++)
        refuses((struct given){.method = method[i], .path = "/c/7"}, ERR_MALFORMED);
}

/* What is not exactly a template is an operation that nobody knows: tier 3. */
static void test_near_misses_are_unknown(void **state)
{
    (void)state;
    static const char *const path[] = {"/c/", "/C", "/c/7/", "/c/7/x", "/F/a", "/"};
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
        struct request r;
        assert_int_equal(build((struct given){.method = "GET", .path = path[i]}, &r, NULL), ERR_OK);
        assert_null(r.op);
        request_free(&r);
    }
    makes((struct given){.method = "GET", .path = "/f/a%2fb"}, "file",
          "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/f/a%2Fb\",\"query\":[]}");
}

static void test_query_refused(void **state)
{
    (void)state;
    static const char *const query[] = {
        "{}", "[1]", "[[\"a\"]]", "[[\"a\",1]]", "[[\"a\",\"b\",\"c\"]]", "[[1,\"a\"]]", "\"a=b\""};
    for (size_t i = 0; i < sizeof query / sizeof query[0]; i++)
        refuses((struct given){.method = "GET", .path = "/c/7", .query = query[i]}, ERR_MALFORMED);
}

static void test_query_of_object(void **state)
{
    (void)state;
    json_t *object = json("{\"b\":\"1\",\"a\":[\"x\",\"y\"],\"c\":[]}"), *pairs = NULL;
    json_t *expected = json("[[\"b\",\"1\"],[\"a\",\"x\"],[\"a\",\"y\"]]");
    struct fail f;

    assert_int_equal(request_query(object, &pairs, &f), ERR_OK);
    assert_true(json_equal(pairs, expected));
    json_decref(pairs);
    json_decref(object);
    json_decref(expected);
    assert_int_equal(request_query(NULL, &pairs, &f), ERR_OK);
    assert_int_equal(json_array_size(pairs), 0);
    json_decref(pairs);
    static const char *const bad[] = {"[]",          "{\"a\":1}",  "{\"a\":null}",
                                      "{\"a\":[1]}", "{\"a\":{}}", "\"a\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        object = json(bad[i]);
        assert_int_equal(request_query(object, &pairs, &f), ERR_MALFORMED);
        assert_string_equal(f.field, "query");
        json_decref(object);
    }
}

/* Only what the connector passes, and never what it fills in itself. */
static void test_headers(void **state)
{
    (void)state;
    makes(
        (struct given){
            .method = "PUT",
            .path = "/c/7",
            .headers = "{\"If-Match\":\" v1 \",\"Authorization\":\"Bearer csa_x\",\"Cookie\":\"c\","
                       "\"X-Drop\":\"d\",\"X-VERSION\":\"9\",\"Idem-Key\":\"k\",\"Host\":\"evil\","
                       "\"X-Forwarded-For\":\"1\",\"Content-Length\":\"3\"}"},
        "put",
        "{\"body\":null,\"headers\":{\"if-match\":\"v1\"},\"method\":\"PUT\",\"path\":\"/c/"
        "7\",\"query\":[]}");
    /* the key's header is taken only where it is the operation's */
    makes((struct given){.method = "GET", .path = "/c/7", .headers = "{\"idem-key\":\"k\"}"}, "get",
          "{\"body\":null,\"headers\":{\"idem-key\":\"k\"},\"method\":\"GET\",\"path\":\"/c/"
          "7\",\"query\":[]}");
    refuses((struct given){.method = "GET",
                           .path = "/c/7",
                           .headers = "{\"If-Match\":\"a\\r\\nX: y\"}"},
            ERR_MALFORMED);
    refuses(
        (struct given){.method = "GET", .path = "/c/7", .headers = "{\"If-Match\":\"\\u00e9\"}"},
        ERR_MALFORMED);
    refuses((struct given){.method = "GET", .path = "/c/7", .headers = "{\"if-match\":1}"},
            ERR_MALFORMED);
    refuses((struct given){.method = "GET", .path = "/c/7", .headers = "[]"}, ERR_MALFORMED);
    refuses((struct given){.method = "GET",
                           .path = "/c/7",
                           .headers = "{\"If-Match\":\"a\",\"if-match\":\"b\"}"},
            ERR_DUPLICATE_KEY);
}

/* Whatever an agent puts at places that are filled or dropped is not in the payload: not in another
 * spelling of the key, not twice, not nested. */
static void test_places_dropped(void **state)
{
    (void)state;
    static const char payload[] = "{\"body\":{\"a\":1,\"deep\":{}},\"headers\":{},\"method\":"
                                  "\"POST\",\"path\":\"/c\",\"query\":[]}";
    static const char *const body[] = {
        "{\"a\":1,\"deep\":{}}",
        "{\"a\":1,\"secret\":\"s\",\"deep\":{\"token\":\"t\"}}",
        "{\"a\":1,\"access\":\"x\",\"maybe\":\"m\",\"idem\":\"mine\",\"deep\":{}}",
        "{\"\\u0061ccess\":\"x\",\"se\\u0063ret\":1,\"a\":1,\"deep\":{\"\\u0074oken\":0}}",
        "{\"i\\u0064em\":[],\"a\":1,\"deep\":{}}",
    };
    for (size_t i = 0; i < sizeof body / sizeof body[0]; i++)
        makes((struct given){.method = "POST", .path = "/c", .body = body[i]}, "post", payload);
    makes(
        (struct given){.method = "POST", .path = "/c", .body = "{\"list\":[\"x\",\"y\"]}"}, "post",
        "{\"body\":{\"list\":[]},\"headers\":{},\"method\":\"POST\",\"path\":\"/c\",\"query\":[]}");
    /* exact: another case is another field, and stays for people to see */
    makes((struct given){.method = "POST", .path = "/c", .body = "{\"Secret\":1}"}, "post",
          "{\"body\":{\"Secret\":1},\"headers\":{},\"method\":\"POST\",\"path\":\"/"
          "c\",\"query\":[]}");
    /* the connector's places are dropped from operations that nobody knows, too */
    makes(
        (struct given){.method = "POST", .path = "/x", .body = "{\"secret\":1,\"idem\":2}"}, "-",
        "{\"body\":{\"idem\":2},\"headers\":{},\"method\":\"POST\",\"path\":\"/x\",\"query\":[]}");
    refuses((struct given){.method = "POST", .path = "/c", .body = "[{\"secret\":1}]"},
            ERR_MALFORMED);
    refuses((struct given){.method = "POST", .path = "/c", .body = "\"x\""}, ERR_MALFORMED);
}

static void test_json_types(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"body\":{\"a\":1},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/7\",\"query\":[]}";
    static const char *const good[] = {"", "application/json", "APPLICATION/JSON",
                                       "application/json;charset=UTF-8",
                                       "application/json; charset=\"utf-8\""};
    static const char *const bad[] = {"text/plain",
                                      "application/x-www-form-urlencoded",
                                      "application/jsonp",
                                      "+json",
                                      "application/json; charset=utf-16",
                                      "application/json, text/html",
                                      "application/json;x=y"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        makes((struct given){.method = "PUT", .path = "/c/7", .body = "{\"a\":1}", .type = good[i]},
              "put", payload);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses((struct given){.method = "PUT", .path = "/c/7", .body = "{}", .type = bad[i]},
                ERR_UNSUPPORTED_TYPE);
    refuses((struct given){.method = "PUT",
                           .path = "/c/7",
                           .raw = "a=b",
                           .type = "application/x-www-form-urlencoded"},
            ERR_UNSUPPORTED_TYPE);
    refuses((struct given){.method = "PUT", .path = "/x", .raw = "<x/>", .type = "text/xml"},
            ERR_UNSUPPORTED_TYPE);
    /* bytes of no type are read as JSON; a type that means something stays with the payload */
    makes((struct given){.method = "PUT", .path = "/c/7", .raw = "{\"a\":1}"}, "put", payload);
    refuses((struct given){.method = "PUT", .path = "/c/7", .raw = "{\"a\":1,\"a\":2}"},
            ERR_DUPLICATE_KEY);
    makes(
        (struct given){
            .method = "PUT", .path = "/c/7", .body = "[]", .type = "application/json-patch+json"},
        "put",
        "{\"body\":[],\"headers\":{\"content-type\":\"application/"
        "json-patch+json\"},\"method\":\"PUT\","
        "\"path\":\"/c/7\",\"query\":[]}");
    /* a request without body may say any type: SDKs do */
    makes((struct given){.method = "GET", .path = "/c/7", .type = "text/plain"}, "get",
          "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}");
    refuses((struct given){.method = "GET", .path = "/c/7", .body = "{}"}, ERR_MALFORMED);
    refuses((struct given){.method = "HEAD", .path = "/c/7", .raw = "x"}, ERR_MALFORMED);
}

static void test_numbers(void **state)
{
    (void)state;
    /* fine as a float, but its canonical spelling is an integer that programs read differently:
     * what gate makes it must be able to read back */
    struct request_input in = {
        .method = STR("PUT"), .path = STR("/c/7"), .body = json_pack("{s:f}", "a", 1e20)};
    struct request r;
    assert_int_equal(request_build(con, &in, &r, NULL), ERR_NUMBER_RANGE);
    json_decref(in.body);
    makes((struct given){.method = "PUT", .path = "/c/7", .body = "{\"a\":9007199254740991}"},
          "put",
          "{\"body\":{\"a\":9007199254740991},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/"
          "7\",\"query\":[]}");
    makes((struct given){.method = "PUT", .path = "/c/7", .body = "{\"a\":-0.0}"}, "put",
          "{\"body\":{\"a\":0},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/7\",\"query\":[]}");
}

static void test_form(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"body\":{\"form\":[[\"b\",\"x y\"],[\"a\",\"\"]]},\"headers\":{},"
        "\"method\":\"POST\",\"path\":\"/form\",\"query\":[]}";
    static const char type[] = "application/x-www-form-urlencoded";

    makes((struct given){.method = "POST", .path = "/form", .raw = "b=x+y&a=", .type = type},
          "form", payload);
    makes((struct given){.method = "POST",
                         .path = "/form",
                         .raw = "b=x%20y&acc%65ss=1&a=&secret=2",
                         .type = type},
          "form", payload);
    makes((struct given){.method = "POST",
                         .path = "/form",
                         .body = "{\"form\":[[\"b\",\"x y\"],[\"a\",\"\"]]}"},
          "form", payload);
    refuses((struct given){.method = "POST", .path = "/form", .raw = "a=b", .type = "text/plain"},
            ERR_UNSUPPORTED_TYPE);
    refuses(
        (struct given){.method = "POST", .path = "/form", .raw = "{}", .type = "application/json"},
        ERR_UNSUPPORTED_TYPE);
    refuses((struct given){.method = "POST", .path = "/form", .body = "{\"a\":\"b\"}"},
            ERR_MALFORMED);
    refuses((struct given){.method = "POST", .path = "/form", .body = "{\"form\":[],\"x\":1}"},
            ERR_MALFORMED);
    refuses((struct given){.method = "POST", .path = "/form", .body = "{\"form\":[[\"a\",1]]}"},
            ERR_MALFORMED);
    refuses((struct given){.method = "POST", .path = "/form", .raw = "a=%zz", .type = type},
            ERR_UNSAFE_PATH);
}

static void test_raw(void **state)
{
    (void)state;
    makes((struct given){.method = "POST", .path = "/raw", .raw = "<x/>", .type = "text/xml; v=1"},
          "raw",
          "{\"body\":{\"base64\":\"PHgvPg==\"},\"headers\":{\"content-type\":\"text/xml; v=1\"},"
          "\"method\":\"POST\",\"path\":\"/raw\",\"query\":[]}");
    makes((struct given){.method = "POST", .path = "/raw", .body = "{\"base64\":\"PHgvPg==\"}"},
          "raw",
          "{\"body\":{\"base64\":\"PHgvPg==\"},\"headers\":{},\"method\":\"POST\",\"path\":\"/"
          "raw\",\"query\":[]}");
    static const char *const bad[] = {"{\"base64\":\"PHgvPg\"}",
                                      "{\"base64\":\"PHgvPh==\"}",
                                      "{\"base64\":\"-_==\"}",
                                      "{\"base64\":1}",
                                      "{}",
                                      "{\"base64\":\"\",\"x\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses((struct given){.method = "POST", .path = "/raw", .body = bad[i]}, ERR_MALFORMED);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Keeper refuses whatever gate would not have made. */
static void test_read_refuses(void **state)
{
    (void)state;
    static const char *const bytes[] = {
        "",
        "{}",
        "null",
        /* another order, white space, another spelling */
        "{\"headers\":{},\"body\":null,\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[] }",
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}\n",
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"\\/c/7\",\"query\":[]}",
        "{\"body\":{\"a\":1.0},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/7\",\"query\":[]}",
        /* a member missing, one too many, one twice */
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\"}",
        "{\"headers\":{},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}",
        "{\"body\":null,\"extra\":1,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":null,\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        /* a path that is not normal */
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/%63/7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{},\"method\":\"GET\",\"path\":\"/c/../x\",\"query\":[]}",
        "{\"body\":null,\"headers\":{},\"method\":\"get\",\"path\":\"/c/7\",\"query\":[]}",
        /* what belongs to Countersign */
        "{\"body\":{\"access\":\"x\"},\"headers\":{},\"method\":\"POST\",\"path\":\"/"
        "c\",\"query\":[]}",
        "{\"body\":{\"secret\":\"x\"},\"headers\":{},\"method\":\"PUT\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":{\"idem\":\"x\"},\"headers\":{},\"method\":\"POST\",\"path\":\"/"
        "c\",\"query\":[]}",
        "{\"body\":null,\"headers\":{\"authorization\":\"x\"},\"method\":\"GET\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{\"idem-key\":\"x\"},\"method\":\"PUT\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{\"If-Match\":\"x\"},\"method\":\"GET\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{\"content-type\":\"text/x\"},\"method\":\"GET\",\"path\":\"/c/"
        "7\",\"query\":[]}",
        "{\"body\":null,\"headers\":{\"if-match\":\" "
        "x\"},\"method\":\"GET\",\"path\":\"/c/7\",\"query\":[]}",
        "{\"body\":{\"form\":[[\"access\",\"1\"]]},\"headers\":{},\"method\":\"POST\",\"path\":\"/"
        "form\",\"query\":[]}",
    };
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        struct request r = {.op = NULL};
        struct fail f = {0};
        int e = request_read(con, str_c(bytes[i]), &r, &f);
        if (e != ERR_K_HASH)
            fail_msg("%s: %s", bytes[i], err_name(e));
        assert_null(r.doc);
    }
}

/* One byte changed anywhere is another payload or none. */
static void test_read_every_byte(void **state)
{
    (void)state;
    struct request r;
    assert_int_equal(build((struct given){.method = "PUT",
                                          .path = "/c/7",
                                          .query = "[[\"q\",\"1\"]]",
                                          .headers = "{\"if-match\":\"x\"}",
                                          .body = "{\"a\":{\"b\":[1,\"t\"]}}"},
                           &r, NULL),
                     ERR_OK);
    for (size_t i = 0; i < r.bytes.n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct request other;
            r.bytes.p[i] = (char)((unsigned char)r.bytes.p[i] ^ (1u << bit));
            if (request_read(con, buf_view(&r.bytes), &other, NULL) == ERR_OK) {
                assert_string_not_equal(other.hash, r.hash);
                request_free(&other);
            }
            r.bytes.p[i] = (char)((unsigned char)r.bytes.p[i] ^ (1u << bit));
        }
    }
    request_free(&r);
}

/* --- the wire -------------------------------------------------------------------------------- */

static const char KEY[] = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE";

static int wire(struct given g, const char *secrets, const char *key, struct wire *ret,
                struct fail *f)
{
    struct request r;
    json_t *s = json(secrets);

    assert_int_equal(build(g, &r, NULL), ERR_OK);
    char before[HASH_TEXT], after[HASH_TEXT];
    assert_int_equal(canon_hash(r.doc, before), ERR_OK);
    int e = request_wire(con, &r, s, str_c(key), ret, f);
    assert_int_equal(canon_hash(r.doc, after), ERR_OK);
    assert_string_equal(before, after); /* what was approved stays what it was */
    json_decref(s);
    request_free(&r);
    return e;
}

static void puts_out(struct given g, const char *path, const char *headers, const char *body)
{
    struct wire w;
    struct fail f = {0};

    if (wire(g, "{\"key\":\"K1\",\"two\":\"K2\",\"unused\":\"U\"}", KEY, &w, &f) != ERR_OK)
        fail_msg("%s: %s", g.path, f.detail);
    assert_string_equal(w.url_path.p, path);
    assert_string_equal(w.headers.p, headers);
    assert_int_equal(w.has_body, body != NULL);
    if (body != NULL)
        assert_string_equal(w.body.p, body);
    wire_free(&w);
}

#define AUTH "authorization: Bearer K1\nx-version: 7\n"
#define AS_JSON "content-type: application/json\n"

static void test_wire(void **state)
{
    (void)state;
    puts_out((struct given){.method = "GET",
                            .path = "/c/7",
                            .query = "[[\"q\",\"a b&c\"],[\"r\",\"\\u00e9\"]]",
                            .headers = "{\"If-Match\":\"v\"}"},
             "/c/7?q=a%20b%26c&r=%C3%A9", "if-match: v\n" AUTH, NULL);
    puts_out(
        (struct given){.method = "POST", .path = "/c", .body = "{\"z\":1,\"access\":\"mine\"}"},
        "/c", AUTH AS_JSON,
        "{\"access\":\"K1\",\"idem\":\"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE\",\"list\":["
        "\"K2\"],\"z\":1}");
    puts_out((struct given){.method = "POST", .path = "/c"}, "/c", AUTH AS_JSON,
             "{\"access\":\"K1\",\"idem\":\"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE\",\"list\":"
             "[\"K2\"]}");
    puts_out(
        (struct given){
            .method = "PUT", .path = "/c/7", .body = "{}", .headers = "{\"idem-key\":\"theirs\"}"},
        "/c/7", AUTH "idem-key: AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE\n" AS_JSON, "{}");
    puts_out(
        (struct given){
            .method = "PUT", .path = "/c/7", .body = "[]", .type = "application/json-patch+json"},
        "/c/7",
        AUTH "idem-key: AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE\n"
             "content-type: application/json-patch+json\n",
        "[]");
    puts_out(
        (struct given){.method = "POST", .path = "/form", .body = "{\"form\":[[\"a\",\"x y\"]]}"},
        "/form", AUTH "content-type: application/x-www-form-urlencoded\n", "a=x%20y&access=K1");
    puts_out((struct given){.method = "POST", .path = "/form"}, "/form",
             AUTH "content-type: application/x-www-form-urlencoded\n", "access=K1");
    puts_out((struct given){.method = "POST", .path = "/raw", .raw = "<x/>", .type = "text/xml"},
             "/raw", AUTH "content-type: text/xml\n", "<x/>");
    /* an operation that nobody knows gets the connector's headers and nothing in its body */
    puts_out((struct given){.method = "POST", .path = "/x", .body = "{\"b\":2,\"a\":1}"}, "/x",
             AUTH AS_JSON, "{\"a\":1,\"b\":2}");
}

static void test_wire_optional_secret(void **state)
{
    (void)state;
    struct wire w;

    assert_int_equal(wire((struct given){.method = "POST", .path = "/c"},
                          "{\"key\":\"K1\",\"two\":\"K2\",\"more\":\"M\"}", KEY, &w, NULL),
                     ERR_OK);
    assert_non_null(strstr(w.headers.p, "x-more: M\n"));
    assert_non_null(strstr(w.body.p, "\"maybe\":\"M\""));
    wire_free(&w);
}

static void test_wire_refuses(void **state)
{
    (void)state;
    struct wire w;
    struct fail f;
    const struct given get = {.method = "GET", .path = "/c/7"},
                       post = {.method = "POST", .path = "/c"},
                       put = {.method = "PUT", .path = "/c/7"};

    /* a secret missing or empty, named but never shown */
    assert_int_equal(wire(get, "{\"two\":\"K2\"}", KEY, &w, &f), ERR_K_CREDENTIAL);
    assert_string_equal(f.field, "key");
    assert_int_equal(wire(get, "{\"key\":\"\"}", KEY, &w, &f), ERR_K_CREDENTIAL);
    assert_int_equal(wire(post, "{\"key\":\"K\"}", KEY, &w, &f), ERR_K_CREDENTIAL);
    assert_string_equal(f.field, "two");
    /* one that would break the request into two */
    assert_int_equal(wire(get, "{\"key\":\"se\\r\\nX: y\"}", KEY, &w, &f), ERR_MALFORMED);
    assert_null(strstr(f.detail, "se"));
    assert_int_equal(wire(get, "{\"key\":\"a\\u00e9\"}", KEY, &w, &f), ERR_MALFORMED);
    /* keys that are not ours */
    static const char *const key[] = {"", "short", "has space in it", "line\nbreak-line",
                                      "000000000100000000010000000001000000000100000000010"};
    for (size_t i = 0; i < sizeof key / sizeof key[0]; i++) {
        assert_int_equal(wire(put, "{\"key\":\"K\"}", key[i], &w, &f), ERR_MALFORMED);
        assert_int_equal(wire(post, "{\"key\":\"K\",\"two\":\"L\"}", key[i], &w, &f),
                         ERR_MALFORMED);
    }
    assert_int_equal(wire(get, "{\"key\":\"K\"}", "", &w, &f), ERR_OK); /* needs none */
    wire_free(&w);
}

/* Something of the agent's stands where a credential must go: refused, not sent without. */
static void test_wire_place_in_the_way(void **state)
{
    (void)state;
    struct wire w;
    struct fail f;

    assert_int_equal(
        wire((struct given){.method = "POST", .path = "/c", .body = "{\"list\":\"x\"}"},
             "{\"key\":\"K\",\"two\":\"L\"}", KEY, &w, &f),
        ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_target_refused),
        cmocka_unit_test(test_near_misses_are_unknown),
        cmocka_unit_test(test_query_refused),
        cmocka_unit_test(test_query_of_object),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_places_dropped),
        cmocka_unit_test(test_json_types),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_read_refuses),
        cmocka_unit_test(test_read_every_byte),
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_wire_optional_secret),
        cmocka_unit_test(test_wire_refuses),
        cmocka_unit_test(test_wire_place_in_the_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
