/* http/dispatch and what it calls: framing, routes, principals, bodies, refusals, headers. Calls
 * are made by hand; no connection and no store is involved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/canon.h"
#include "http/auth.h"
#include "http/dispatch.h"
#include "http/framing.h"
#include "http/headers.h"
#include "http/last_words.h"
#include "http/waiters.h"

#define ADA "apr_01jd000000e008000000000001"
#define EVE "apr_01jd000000e008000000000002"
#define BOT "agt_01jd000000e008000000000001"
#define OFF "agt_01jd000000e008000000000002"
#define KEY "csa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OFF_KEY "csa_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define TOKEN "cst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define EVE_TOKEN "cst_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static struct config cfg = {
    .public_url = "http://gate.example:8480",
    .limit_body = 1 << 20,
    .limit_headers = 16 << 10,
    .limit_answer = 1 << 20,
};
static struct app app = {.cfg = &cfg, .env = &env_system};
static struct roster *roster;
static struct call *woken_call;

static void wake(void *arg, void *parked, bool timed_out)
{
    struct call *c = parked;
    (void)arg;
    c->x.timed_out = timed_out;
    c->woken(c);
}

static void on_woken(struct call *c)
{
    woken_call = c;
}

static int start(void **state)
{
    char key[HASH_TEXT], off[HASH_TEXT], token[HASH_TEXT], eve[HASH_TEXT];
    struct buf doc;
    (void)state;
    hash_text(key, STR(KEY));
    hash_text(off, STR(OFF_KEY));
    hash_text(token, STR(TOKEN));
    hash_text(eve, STR(EVE_TOKEN));
    buf_init(&doc, 0);
    buf_printf(&doc,
               "{\"version\":1,\"workspaces\":[{\"id\":\"default\"}],\"people\":["
               "{\"id\":\"" ADA "\",\"workspace\":\"default\",\"email\":\"ada@x.example\","
               "\"role\":\"approver\",\"groups\":[],\"enabled\":true,"
               "\"tokens\":[{\"hash\":\"%s\",\"made_at\":1}],\"since\":1},"
               "{\"id\":\"" EVE "\",\"workspace\":\"default\",\"email\":\"eve@x.example\","
               "\"role\":\"admin\",\"groups\":[],\"enabled\":false,"
               "\"tokens\":[{\"hash\":\"%s\",\"made_at\":1}],\"since\":1}],\"agents\":["
               "{\"id\":\"" BOT "\",\"workspace\":\"default\",\"name\":\"bot\",\"owner\":\"" ADA
               "\",\"key_hash\":\"%s\",\"enabled\":true,\"connections\":[],\"resume_urls\":[],"
               "\"allow_private\":false,\"since\":1},"
               "{\"id\":\"" OFF "\",\"workspace\":\"default\",\"name\":\"off\",\"owner\":\"" ADA
               "\",\"key_hash\":\"%s\",\"enabled\":false,\"connections\":[],\"resume_urls\":[],"
               "\"allow_private\":false,\"since\":1}],\"connections\":[]}",
               token, eve, key, off);
    int r = roster_read(buf_view(&doc), &roster, NULL);
    buf_free(&doc);
    return r ? r : waiters_new(&env_system, wake, NULL, &app.waiters);
}

static int end(void **state)
{
    (void)state;
    waiters_wake_all(app.waiters);
    waiters_free(app.waiters);
    roster_unref(roster);
    return 0;
}

/* --- making calls -------------------------------------------------------------------------------
 */
#define HEADERS_MAX 24
static struct exchange_header_pair pairs[HEADERS_MAX];

/* Headers are "name: value" lines with names in lower case, as the server hands them over. */
static size_t split_headers(const char *lines)
{
    struct str text = str_c(lines);
    size_t n = 0;
    for (size_t at = 0, stop; at < text.n; at = stop + 1) {
        stop = str_find(text, '\n', at);
        size_t colon = str_find(text, ':', at);
        assert_true(n < HEADERS_MAX && colon < stop);
        pairs[n++] = (struct exchange_header_pair){str_sub(text, at, colon),
                                                   str_trim(str_sub(text, colon + 1, stop))};
    }
    return n;
}

static void make(struct call *c, const char *method, const char *target, const char *headers)
{
    assert_int_equal(call_init(c, &app), 0);
    c->x.method_text = str_c(method);
    c->x.target = str_c(target);
    c->x.headers = pairs;
    c->x.n_headers = split_headers(headers);
    c->x.who.roster = roster_ref(roster);
    c->x.remote = STR("192.0.2.1");
    c->woken = on_woken;
}

/* The status of a request that has no body and is refused or answered by its head alone. */
static int head_status(const char *method, const char *target, const char *headers)
{
    struct call c;
    make(&c, method, target, headers);
    bool goes_on = dispatch_head(&app, &c, STR("HTTP/1.1"));
    assert_int_equal(goes_on, c.x.status == 0);
    int status = c.x.status;
    call_free(&c);
    return status;
}

static int echo(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    (void)f;
    return exchange_json(x, 200,
                         json_pack("{s:i, s:b}", "who", (int)x->who.who, "json", x->json != NULL));
}

static const struct route anyone = {.method = METHOD_POST,
                                    .who = FOR_ANYONE,
                                    .cap_kib = 1,
                                    .takes = TAKES_JSON,
                                    .handler = echo,
                                    .path = "/t"};
static const struct route for_agent = {.method = METHOD_POST,
                                       .who = FOR_AGENT,
                                       .changes = true,
                                       .cap_kib = 1,
                                       .takes = TAKES_JSON,
                                       .handler = echo,
                                       .path = "/t"};

/* Runs a call on a row of our own, past the table. */
static void run_on(struct call *c, const struct route *row)
{
    c->route = row;
    c->x.method = row->method;
    c->x.status = 0;
    dispatch_run(&app, c);
}

static const char *problem(const struct call *c, const char *member)
{
    static char text[256];
    json_t *doc = NULL;
    assert_string_equal(c->x.answer_type, "application/problem+json");
    assert_int_equal(json_read(buf_view(&c->x.out), &doc, NULL), 0);
    assert_int_equal(json_integer_value(json_object_get(doc, "status")), c->x.status);
    assert_true(json_is_string(json_object_get(doc, "title")));
    assert_true(str_copy(text, sizeof text, json_text(json_object_get(doc, member))));
    json_decref(doc);
    return text;
}

struct seen {
    const char *name;
    struct str last;
    size_t n;
    char text[512];
};

static void look(void *arg, const char *name, const char *value)
{
    struct seen *s = arg;
    if (!str_eq_nocase(str_c(name), str_c(s->name)))
        return;
    s->n++;
    assert_true(str_copy(s->text, sizeof s->text, str_c(value)));
}

/* The value of an answer's header, "" where absent; it must not be there twice. */
static const char *answered(const struct call *c, const char *name)
{
    static struct seen s;
    s = (struct seen){.name = name};
    headers_each(c, look, &s);
    assert_true(s.n <= 1);
    return s.text;
}

/* --- framing ------------------------------------------------------------------------------------
 */
static void test_framing(void **state)
{
    static const struct {
        const char *method, *target, *headers;
        int status; /* 0: goes on */
    } row[] = {
        {"GET", "/healthz", "host: x", 0},
        {"POST", "/v1/login", "host: x\ncontent-length: 2", 0},
        {"POST", "/v1/login", "host: x\ncontent-length: 0002", 0},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: chunked", 0},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: Chunked", 0},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: chunked\ncontent-length: 2", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 2\ntransfer-encoding: chunked", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 2\ncontent-length: 2", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 2\ncontent-length: 3", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: +2", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 2, 2", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 0x2", 400},
        {"POST", "/v1/login", "host: x\ncontent-length:", 400},
        {"POST", "/v1/login", "host: x\ncontent-length: 99999999999999999999999", 400},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: gzip", 400},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: gzip, chunked", 400},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: chunked, identity", 400},
        {"POST", "/v1/login", "host: x\ntransfer-encoding: chunked\ntransfer-encoding: chunked",
         400},
        {"POST", "/v1/login", "host: x\ntransfer-encoding:", 400},
        {"GET", "/healthz", "", 400},
        {"GET", "/healthz", "host:", 400},
        {"GET", "/healthz", "host: x\nhost: x", 400},
        {"GET", "/healthz", "host: x y", 400},
        {"GET", "/healthz", "host: a@b", 400},
        {"GET", "/healthz", "host: a/b", 400},
        {"GET", "/healthz", "host: x\nfoo : y", 400},
        {"GET", "/healthz", "host: x\nfo(o: y", 400},
        {"GET", "/healthz", "host: x\n: y", 400},
        {"GET", "/healthz", "host: x\nfoo: a\rb", 400},
        {"GET", "/healthz", "host: x\nfoo: a\001b", 400},
        {"GET", "/healthz", "host: x\nauthorization: Bearer a\nauthorization: Bearer b", 400},
        {"POST", "/v1/login", "host: x\ncontent-type: a/b\ncontent-type: a/b", 400},
        {"G(T", "/healthz", "host: x", 400},
        {"", "/healthz", "host: x", 400},
        {"GET", "http://x/healthz", "host: x", 400},
        {"OPTIONS", "*", "host: x", 400},
        {"CONNECT", "x:443", "host: x", 400},
        {"GET", "", "host: x", 400},
        {"GET", "/health z", "host: x", 400},
        {"GET", "/healthz#x", "host: x", 400},
        {"GET", "/healthz\x7f", "host: x", 400},
        {"GET", "/healthz\xc3\xa9", "host: x", 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        int status = head_status(row[i].method, row[i].target, row[i].headers);
        if (status != row[i].status)
            fail_msg("%s %s [%s]: %d instead of %d", row[i].method, row[i].target, row[i].headers,
                     status, row[i].status);
    }
}

/* What cannot be framed ends the connection; what is merely refused does not. */
static void test_framing_closes(void **state)
{
    struct call c;
    (void)state;
    make(&c, "POST", "/v1/login", "host: x\ncontent-length: 1\ntransfer-encoding: chunked");
    assert_false(dispatch_head(&app, &c, STR("HTTP/1.1")));
    assert_true(c.close);
    assert_string_equal(problem(&c, "type"), "urn:countersign:malformed");
    call_free(&c);
    make(&c, "GET", "/v1/nothing", "host: x");
    assert_false(dispatch_head(&app, &c, STR("HTTP/1.1")));
    assert_false(c.close);
    assert_string_equal(problem(&c, "type"), "urn:countersign:not-found");
    call_free(&c);
}

static void test_versions(void **state)
{
    static const struct {
        const char *version, *headers;
        bool ok;
    } row[] = {
        {"HTTP/1.1", "host: x", true},
        {"HTTP/1.0", "", true},
        {"HTTP/1.2", "host: x", false},
        {"HTTP/2.0", "host: x", false},
        {"http/1.1", "host: x", false},
        {"", "host: x", false},
        {"HTTP/1.0", "transfer-encoding: chunked", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct call c;
        make(&c, "GET", "/healthz", row[i].headers);
        assert_int_equal(dispatch_head(&app, &c, str_c(row[i].version)), row[i].ok);
        call_free(&c);
    }
}

static void test_head_size(void **state)
{
    char value[17000];
    char line[17100];
    (void)state;
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = 0;
    (void)snprintf(line, sizeof line, "host: x\nlong: %s", value);
    assert_int_equal(head_status("GET", "/healthz", line), 431);
    value[16000] = 0;
    (void)snprintf(line, sizeof line, "host: x\nlong: %s", value);
    assert_int_equal(head_status("GET", "/healthz", line), 0);
}

static void test_length_over_cap(void **state)
{
    (void)state;
    assert_int_equal(head_status("POST", "/v1/login", "host: x\ncontent-length: 4096"), 0);
    assert_int_equal(head_status("POST", "/v1/login", "host: x\ncontent-length: 4097"), 413);
    assert_int_equal(head_status("GET", "/v1/me", "host: x\ncontent-length: 1"), 413);
    assert_int_equal(head_status("POST", "/v1/actions", "host: x\ncontent-length: 1048577"), 413);
    assert_int_equal(head_status("POST", "/v1/actions", "host: x\ncontent-length: 1048576"), 0);
}

/* --- routes -------------------------------------------------------------------------------------
 */
static const struct route *found(const char *method, const char *target, struct call *c)
{
    make(c, method, target, "host: x");
    (void)dispatch_head(&app, c, STR("HTTP/1.1"));
    return c->route;
}

static void test_paths(void **state)
{
    static const char *const no_address[] = {
        "/v1/me/",
        "//v1/me",
        "/v1//me",
        "/V1/me",
        "/v1/%6de",
        "/v1/me%00",
        "/v1/./me",
        "/v1/../v1/me",
        "/v1/actions/",
        "/v1/actions/a%2fb",
        "/v1/actions/a;",
        "/v1/me;x",
        "/assets/",
        "/assets/a/b",
        "/index.html",
        "/proxy",
        "/proxy/",
        "/proxy/plaid",
        "/proxy//x",
        "/proxy/pl%61id/x",
        "/proxy/a;b/x",
        "/v1/actions/a/votes/",
        "/healthz/x",
        "/%2e%2e/healthz",
        "/v1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof no_address / sizeof no_address[0]; i++) {
        int status = head_status("GET", no_address[i], "host: x");
        if (status != 404)
            fail_msg("%s: %d", no_address[i], status);
    }
}

static void test_params(void **state)
{
    struct call c;
    (void)state;
    assert_ptr_equal(found("GET", "/v1/actions/act_1?wait=3", &c)->handler, api_action);
    assert_true(str_eq_c(c.x.param[0], "act_1"));
    assert_true(str_eq_c(c.x.query_raw, "wait=3"));
    call_free(&c);
    assert_ptr_equal(found("PATCH", "/proxy/plaid-main/a%2fb//%2e./c?x=1&x=2", &c)->handler,
                     proxy_call);
    assert_true(str_eq_c(c.x.param[0], "plaid-main"));
    assert_true(str_eq_c(c.x.param[1], "/a%2fb//%2e./c"));
    call_free(&c);
    assert_ptr_equal(found("HEAD", "/v1/me", &c)->handler, api_me);
    call_free(&c);
}

static void test_methods(void **state)
{
    static const char *const refused[] = {"PUT", "TRACE", "get", "PROPFIND", "M-SEARCH", "PATCH"};
    struct call c;
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        make(&c, refused[i], "/v1/freeze", "host: x\nx-http-method-override: GET");
        assert_false(dispatch_head(&app, &c, STR("HTTP/1.1")));
        assert_int_equal(c.x.status, 405);
        assert_string_equal(answered(&c, "Allow"), "GET, HEAD, POST, OPTIONS");
        call_free(&c);
    }
    make(&c, "OPTIONS", "/v1/freeze", "host: x");
    assert_false(dispatch_head(&app, &c, STR("HTTP/1.1")));
    assert_int_equal(c.x.status, 204);
    assert_string_equal(answered(&c, "Allow"), "GET, HEAD, POST, OPTIONS");
    assert_int_equal(c.x.out.n, 0);
    call_free(&c);
    assert_int_equal(head_status("OPTIONS", "/v1/nothing", "host: x"), 404);
    assert_int_equal(head_status("TRACE", "/proxy/a/b", "host: x"), 405);
    assert_int_equal(head_status("POST", "/v1/me", "host: x\nx-http-method-override: GET"), 405);
}

/* What the rows say must be sane before anything else can be. */
static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        const struct route *r = &route_table[i];
        bool reads = r->method == METHOD_GET;
        bool open = r->who == FOR_ANYONE;
        assert_non_null(r->handler);
        assert_true(r->who != FOR_NOBODY && r->who < FOR_COUNT);
        assert_false(reads && r->changes);
        assert_true(reads || r->changes || open);
        assert_true(reads ? r->cap_kib == 0 && r->takes == TAKES_NOTHING : r->cap_kib != 0);
        assert_true(r->takes != TAKES_ANY || r->who == FOR_PROXY);
        for (size_t j = 0; j < i; j++)
            assert_false(strcmp(r->path, route_table[j].path) == 0 &&
                         r->method == route_table[j].method);
    }
}

/* --- who ----------------------------------------------------------------------------------------
 */
static int identified(const char *headers, enum who *who)
{
    struct call c;
    make(&c, "POST", "/t", headers);
    c.route = &for_agent;
    int r = auth_identify(&app, &c, NULL);
    *who = c.x.who.who;
    if (c.x.who.who == WHO_AGENT)
        assert_string_equal(c.x.who.agent->id, BOT);
    if (c.x.who.who != WHO_NOBODY)
        assert_true(str_eq_c(c.x.who.workspace, "default"));
    call_free(&c);
    return r;
}

static void test_bearer(void **state)
{
    static const struct {
        const char *headers;
        enum who who;
        int r;
    } row[] = {
        {"host: x", WHO_NOBODY, 0},
        {"authorization: Bearer " KEY, WHO_AGENT, 0},
        {"authorization: bearer " KEY, WHO_AGENT, 0},
        {"authorization: Bearer " TOKEN, WHO_TOKEN, 0},
        {"authorization: Bearer " OFF_KEY, WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer " EVE_TOKEN, WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer " KEY "x", WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer csa_", WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer", WHO_NOBODY, 0},
        {"authorization: Bearer ", WHO_NOBODY, 0},
        {"authorization: Bearer sk_live_x", WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer cst_AAAA", WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Basic " KEY, WHO_NOBODY, 0},
        /* a key that is not valid is not made good by a cookie */
        {"authorization: Bearer csa_x\ncookie: countersign=y", WHO_NOBODY, ERR_UNAUTHENTICATED},
        {"authorization: Bearer " KEY "\ncookie: countersign=y", WHO_AGENT, 0},
        {"cookie: other=1; countersignx=2", WHO_NOBODY, 0},
        {"cookie: countersign=a; countersign=a", WHO_NOBODY, ERR_LOGIN_REQUIRED},
        {"cookie: countersign=a\ncookie: countersign=a", WHO_NOBODY, ERR_LOGIN_REQUIRED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        enum who who;
        int r = identified(row[i].headers, &who);
        if (r != row[i].r || who != row[i].who)
            fail_msg("[%s]: %s, who %d", row[i].headers, err_name(r), who);
    }
}

static void test_console(void **state)
{
    struct call c;
    (void)state;
    make(&c, "POST", "/t", "host: x");
    c.route = &for_agent;
    c.console = true;
    c.x.who.workspace = STR("default");
    assert_int_equal(auth_identify(&app, &c, NULL), 0);
    assert_int_equal(c.x.who.who, WHO_CONSOLE);
    c.x.who.workspace = STR("nowhere");
    assert_int_equal(auth_identify(&app, &c, NULL), ERR_NOT_FOUND);
    call_free(&c);
}

/* Every kind of row against every kind of caller. */
#define A "auditor"
#define P "approver"
#define M "admin"
static void test_permit(void **state)
{
    static const struct {
        enum route_who row;
        const char *agent, *session, *token, *console; /* roles let in; "*" all, "" none */
        int nobody;
    } want[] = {
        {FOR_NOBODY, "", "", "", "", ERR_WRONG_PRINCIPAL},
        {FOR_ANYONE, "*", "*", "*", "*", 0},
        {FOR_AGENT, "*", "", "", "", ERR_UNAUTHENTICATED},
        {FOR_PROXY, "*", "", "", "", ERR_UNAUTHENTICATED},
        {FOR_ASK, "*", "", "", "*", ERR_UNAUTHENTICATED},
        {FOR_PERSON, "", "*", "", "", ERR_LOGIN_REQUIRED},
        {FOR_READER, "", "*", "*", "", ERR_LOGIN_REQUIRED},
        {FOR_SHOW, "", "*", "*", "*", ERR_LOGIN_REQUIRED},
        {FOR_BOTH, "*", "*", "*", "", ERR_LOGIN_REQUIRED},
        {FOR_ADMIN, "", M, "", "*", ERR_LOGIN_REQUIRED},
        {FOR_AUDIT, "", A M, A M, "*", ERR_LOGIN_REQUIRED},
    };
    static const enum role role[] = {ROLE_NONE, ROLE_AUDITOR, ROLE_APPROVER, ROLE_ADMIN};
    (void)state;
    assert_int_equal(sizeof want / sizeof want[0], FOR_COUNT);
    for (size_t i = 0; i < FOR_COUNT; i++) {
        struct route row = {
            .method = METHOD_GET, .who = want[i].row, .handler = echo, .path = "/t"};
        const char *in[] = {[WHO_AGENT] = want[i].agent,
                            [WHO_PERSON] = want[i].session,
                            [WHO_TOKEN] = want[i].token,
                            [WHO_CONSOLE] = want[i].console};
        struct call c;
        make(&c, "GET", "/t", "host: x");
        c.route = &row;
        assert_int_equal(auth_permit(&app, &c, NULL), want[i].nobody);
        for (int who = WHO_AGENT; who <= WHO_CONSOLE; who++)
            for (size_t k = 0; k < 4; k++) {
                bool person = who == WHO_PERSON || who == WHO_TOKEN;
                struct person p = {
                    .id = ADA, .workspace = "default", .role = role[k], .enabled = true};
                c.x.who.who = (enum who)who;
                c.x.who.person = person ? &p : NULL;
                bool ok = in[who][0] == '*' ||
                          (person && role[k] && strstr(in[who], role_name(role[k]))) ||
                          (!person && in[who][0]);
                int r = auth_permit(&app, &c, NULL);
                if (r != (ok ? 0 : ERR_WRONG_PRINCIPAL))
                    fail_msg("row %zu, who %d, role %zu: %s", i, who, k, err_name(r));
            }
        call_free(&c);
    }
}

static int csrf_of(const struct route *row, enum who who, const char *headers)
{
    static const struct person p = {
        .id = ADA, .workspace = "default", .role = ROLE_APPROVER, .enabled = true};
    struct call c;
    make(&c, "POST", "/t", headers);
    c.route = row;
    c.x.who.who = who;
    c.x.who.person = &p;
    c.x.who.csrf = STR("the-token");
    int r = auth_permit(&app, &c, NULL);
    call_free(&c);
    return r;
}

static void test_csrf(void **state)
{
    static const struct route change = {
        .method = METHOD_POST, .who = FOR_PERSON, .changes = true, .handler = echo};
    static const struct route read = {.method = METHOD_GET, .who = FOR_PERSON, .handler = echo};
    static const struct {
        const char *headers;
        int r;
    } row[] = {
        {"x-csrf-token: the-token", 0},
        {"x-csrf-token: the-token\nsec-fetch-site: same-origin", 0},
        {"x-csrf-token: the-token\nsec-fetch-site: none", 0},
        {"x-csrf-token: the-token\norigin: http://gate.example:8480", 0},
        {"x-csrf-token: the-token\norigin: http://GATE.example:8480", 0},
        {"host: x", ERR_CSRF},
        {"x-csrf-token:", ERR_CSRF},
        {"x-csrf-token: the-toke", ERR_CSRF},
        {"x-csrf-token: the-token2", ERR_CSRF},
        {"x-csrf-token: the-token\nx-csrf-token: the-token", ERR_CSRF},
        {"x-csrf-token: the-token\nsec-fetch-site: cross-site", ERR_CSRF},
        {"x-csrf-token: the-token\nsec-fetch-site: same-site", ERR_CSRF},
        {"x-csrf-token: the-token\nsec-fetch-site: same-origin\nsec-fetch-site: cross-site",
         ERR_CSRF},
        {"x-csrf-token: the-token\norigin: null", ERR_CSRF},
        {"x-csrf-token: the-token\norigin: http://gate.example", ERR_CSRF},
        {"x-csrf-token: the-token\norigin: https://gate.example:8480", ERR_CSRF},
        {"x-csrf-token: the-token\norigin: http://gate.example:8480.evil", ERR_CSRF},
        {"x-csrf-token: the-token\norigin: http://evil.example:8480", ERR_CSRF},
    };
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        int r = csrf_of(&change, WHO_PERSON, row[i].headers);
        if (r != row[i].r)
            fail_msg("[%s]: %s", row[i].headers, err_name(r));
    }
    assert_int_equal(csrf_of(&read, WHO_PERSON, "host: x"), 0);
    assert_int_equal(csrf_of(&for_agent, WHO_AGENT, "host: x"), 0);
    /* csrf is said before wrong-principal */
    assert_int_equal(csrf_of(&for_agent, WHO_PERSON, "host: x"), ERR_CSRF);
    assert_int_equal(csrf_of(&for_agent, WHO_PERSON, "x-csrf-token: the-token"),
                     ERR_WRONG_PRINCIPAL);
    /* signing in: no token yet, but not from another page */
    assert_int_equal(csrf_of(&anyone, WHO_NOBODY, "host: x"), 0);
    assert_int_equal(csrf_of(&anyone, WHO_NOBODY, "sec-fetch-site: cross-site"), ERR_CSRF);
    assert_int_equal(csrf_of(&anyone, WHO_NOBODY, "origin: http://evil.example"), ERR_CSRF);
}

/* A session whose token is empty is no session to be matched by an empty header. */
static void test_csrf_empty(void **state)
{
    static const struct route change = {
        .method = METHOD_POST, .who = FOR_PERSON, .changes = true, .handler = echo};
    struct call c;
    (void)state;
    make(&c, "POST", "/t", "x-csrf-token:");
    c.route = &change;
    c.x.who.who = WHO_PERSON;
    assert_int_equal(auth_permit(&app, &c, NULL), ERR_CSRF);
    call_free(&c);
}

/* --- query and body -----------------------------------------------------------------------------
 */
static int run_status(const struct route *row, const char *headers, const char *query,
                      const char *body)
{
    struct call c;
    make(&c, "POST", "/t", headers);
    c.x.query_raw = str_c(query);
    c.x.body = str_c(body);
    run_on(&c, row);
    int status = c.x.status;
    call_free(&c);
    return status;
}

static void test_bodies(void **state)
{
    static char big[1026];
    static const struct {
        const char *headers, *body;
        int status;
    } row[] = {
        {"content-type: application/json", "{}", 200},
        {"content-type: Application/JSON; charset=utf-8", "{}", 200},
        {"content-type: text/plain", "", 200},
        {"host: x", "", 200},
        {"host: x", "{}", 415},
        {"content-type: text/plain", "{}", 415},
        {"content-type: application/jsonx", "{}", 415},
        {"content-type: application/x-www-form-urlencoded", "a=b", 415},
        {"content-type: application/json\ncontent-encoding: gzip", "{}", 415},
        {"content-type: application/json\ncontent-encoding: identity", "{}", 200},
        {"content-type: application/json", "{", 400},
        {"content-type: application/json", "{\"a\":1,\"a\":2}", 400},
        {"content-type: application/json", "{}{}", 400},
        {"content-type: application/json", big, 413},
    };
    (void)state;
    memset(big, ' ', sizeof big - 1);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        int status = run_status(&anyone, row[i].headers, "", row[i].body);
        if (status != row[i].status)
            fail_msg("row %zu: %d instead of %d", i, status, row[i].status);
    }
}

static void test_queries(void **state)
{
    static const struct route proxy = {.method = METHOD_POST,
                                       .who = FOR_ANYONE,
                                       .cap_kib = 1,
                                       .takes = TAKES_ANY,
                                       .handler = echo,
                                       .path = "/t"};
    (void)state;
    assert_int_equal(run_status(&anyone, "host: x", "a=1&b=2", ""), 200);
    assert_int_equal(run_status(&anyone, "host: x", "a=1&b=2&a=1", ""), 400);
    assert_int_equal(run_status(&anyone, "host: x", "a&%61", ""), 400);
    assert_int_equal(run_status(&anyone, "host: x", "a=%zz", ""), 400);
    assert_int_equal(run_status(&anyone, "host: x", "a=%00", ""), 400);
    assert_int_equal(run_status(&proxy, "content-type: text/plain", "", "anything"), 200);
}

/* Who one is comes before what one sent. */
static void test_order(void **state)
{
    (void)state;
    assert_int_equal(run_status(&for_agent, "content-type: text/plain", "a&a", "{"), 401);
    assert_int_equal(run_status(&for_agent, "authorization: Bearer " TOKEN, "a&a", "{"), 403);
    assert_int_equal(run_status(&for_agent, "authorization: Bearer " KEY, "a&a", "{"), 415);
    assert_int_equal(run_status(&for_agent, "authorization: Bearer " KEY, "a&a", ""), 400);
    assert_int_equal(run_status(&for_agent, "authorization: Bearer " KEY, "", ""), 200);
}

/* --- refusals -----------------------------------------------------------------------------------
 */
static int refuses(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    buf_c(&x->out, "half an answer");
    exchange_add_header(x, "Countersign-Action", STR("act_1"));
    return fail_field(f, ERR_MALFORMED, "connection", "<script>\"quoted\"");
}

static int breaks(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    (void)x;
    return fail_set(f, ERR_STORE, "cannot write /secret/path");
}

static int says_nothing(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    (void)x;
    (void)f;
    return 0;
}

static int throttles(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    exchange_add_header(x, "Retry-After", STR("777"));
    return fail_set(f, ERR_LOGIN_THROTTLED, "wait");
}

static void run_handler(struct call *c, handler_fn *handler)
{
    static struct route row;
    row = (struct route){
        .method = METHOD_POST, .who = FOR_ANYONE, .cap_kib = 1, .handler = handler, .path = "/t"};
    make(c, "POST", "/t", "host: x");
    run_on(c, &row);
}

static void test_problems(void **state)
{
    struct call c;
    (void)state;
    run_handler(&c, refuses);
    assert_int_equal(c.x.status, 400);
    assert_string_equal(problem(&c, "type"), "urn:countersign:malformed");
    assert_string_equal(problem(&c, "field"), "connection");
    assert_string_equal(problem(&c, "detail"), "<script>\"quoted\"");
    assert_string_equal(answered(&c, "Content-Type"), "application/problem+json");
    assert_string_equal(answered(&c, "Countersign-Action"), "act_1");
    call_free(&c);
    run_handler(&c, breaks);
    assert_int_equal(c.x.status, 503);
    assert_string_equal(problem(&c, "type"), "urn:countersign:unavailable");
    assert_null(strstr(c.x.out.p, "secret"));
    assert_true(answered(&c, "Retry-After")[0] != 0);
    call_free(&c);
    run_handler(&c, says_nothing);
    assert_int_equal(c.x.status, 503);
    call_free(&c);
    run_handler(&c, throttles);
    assert_int_equal(c.x.status, 429);
    assert_string_equal(answered(&c, "Retry-After"), "777");
    call_free(&c);
}

static void test_companions(void **state)
{
    struct call c;
    (void)state;
    make(&c, "POST", "/t", "host: x");
    run_on(&c, &for_agent);
    assert_int_equal(c.x.status, 401);
    assert_string_equal(answered(&c, "WWW-Authenticate"), "Bearer realm=\"countersign\"");
    call_free(&c);
    make(&c, "POST", "/t", "host: x");
    dispatch_refuse(&c, ERR_STEP_UP_REQUIRED, NULL);
    assert_non_null(strstr(answered(&c, "WWW-Authenticate"), "insufficient_user_authentication"));
    call_free(&c);
    make(&c, "POST", "/t", "host: x");
    dispatch_refuse(&c, ERR_TOO_MANY_PENDING, NULL);
    assert_true(answered(&c, "Retry-After")[0] != 0);
    call_free(&c);
}

/* --- headers -------------------------------------------------------------------------------------
 */
static int unruly(struct app *a, struct exchange *x, struct fail *f)
{
    static const char *const mine[][2] = {
        {"Content-Security-Policy", "script-src *"},
        {"X-Frame-Options", "ALLOWALL"},
        {"x-content-type-options", "sniff"},
        {"Transfer-Encoding", "chunked"},
        {"Content-Length", "3"},
        {"Connection", "keep-alive"},
        {"Content-Type", "text/html"},
        {"Countersign-Action", "act_1"},
        {"Cache-Control", "max-age=60"},
    };
    (void)a;
    (void)f;
    for (size_t i = 0; i < sizeof mine / sizeof mine[0]; i++)
        exchange_add_header(x, mine[i][0], str_c(mine[i][1]));
    exchange_add_header(x, "X-Line", STR("a\r\nSet-Cookie: b"));
    x->answer_type = "text/html\r\nEvil: 1";
    x->status = 200;
    return 0;
}

static void test_handler_cannot_weaken(void **state)
{
    struct call c;
    (void)state;
    run_handler(&c, unruly);
    assert_string_equal(answered(&c, "Content-Security-Policy"),
                        "default-src 'none'; frame-ancestors 'none'");
    assert_string_equal(answered(&c, "X-Frame-Options"), "DENY");
    assert_string_equal(answered(&c, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(answered(&c, "Transfer-Encoding"), "");
    assert_string_equal(answered(&c, "Content-Length"), "");
    assert_string_equal(answered(&c, "Connection"), "");
    assert_string_equal(answered(&c, "Content-Type"), "");
    assert_string_equal(answered(&c, "Cache-Control"), "max-age=60");
    assert_string_equal(answered(&c, "Countersign-Action"), "act_1");
    assert_string_equal(answered(&c, "X-Line"), "aSet-Cookie: b");
    assert_string_equal(answered(&c, "Set-Cookie"), "");
    call_free(&c);
}

static void check_protected(const struct call *c)
{
    assert_string_equal(answered(c, "X-Content-Type-Options"), "nosniff");
    assert_string_equal(answered(c, "Referrer-Policy"), "no-referrer");
    assert_string_equal(answered(c, "Cross-Origin-Opener-Policy"), "same-origin");
    assert_string_equal(answered(c, "Cross-Origin-Resource-Policy"), "same-origin");
    assert_string_equal(answered(c, "X-Frame-Options"), "DENY");
    assert_non_null(strstr(answered(c, "Permissions-Policy"), "camera=()"));
    assert_string_equal(answered(c, "Cache-Control"), "no-store");
}

static void test_protection(void **state)
{
    static const struct route page = {
        .method = METHOD_GET, .who = FOR_ANYONE, .handler = api_page, .path = "/"};
    struct call c;
    (void)state;
    run_handler(&c, echo);
    check_protected(&c);
    assert_string_equal(answered(&c, "Strict-Transport-Security"), "");
    call_free(&c);
    run_handler(&c, refuses);
    check_protected(&c);
    call_free(&c);
    make(&c, "GET", "/", "host: x");
    c.route = &page;
    c.x.status = 200;
    check_protected(&c);
    assert_non_null(
        strstr(answered(&c, "Content-Security-Policy"), "require-trusted-types-for 'script'"));
    c.x.status = 304; /* a browser takes these headers for the page that it has kept */
    assert_non_null(strstr(answered(&c, "Content-Security-Policy"), "script-src 'self'"));
    c.x.status = 503;
    assert_null(strstr(answered(&c, "Content-Security-Policy"), "script-src"));
    c.x.secure = true;
    assert_string_equal(answered(&c, "Strict-Transport-Security"),
                        "max-age=31536000; includeSubDomains");
    call_free(&c);
}

static void test_last_words(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    assert_int_equal(last_words_of(ERR_REQUEST_TIMEOUT, &app, &out), 0);
    assert_true(str_starts(buf_view(&out), STR("HTTP/1.1 408 ")));
    char *body = strstr(out.p, "\r\n\r\n");
    assert_non_null(body);
    char length[64];
    (void)snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body + 4));
    assert_non_null(strstr(out.p, length));
    assert_non_null(strstr(out.p, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(out.p, "\r\nX-Frame-Options: DENY\r\n"));
    buf_free(&out);
}

/* --- waiting --------------------------------------------------------------------------------- */
static int then_runs;

static int then(struct app *a, struct exchange *x, struct fail *f)
{
    (void)a;
    (void)f;
    then_runs++;
    return exchange_json(x, 200, json_pack("{s:b}", "timed_out", x->timed_out));
}

static int waits(struct app *a, struct exchange *x, struct fail *f)
{
    (void)f;
    x->park = (struct park){
        .set = true, .action = STR("act_w"), .until = env_mono(a->env) + 3600000, .then = then};
    return 0;
}

static int waits_over_a_change(struct app *a, struct exchange *x, struct fail *f)
{
    waiters_wake(a->waiters, STR("act_w")); /* commits while the handler is at work */
    return waits(a, x, f);
}

static int waits_for_ever(struct app *a, struct exchange *x, struct fail *f)
{
    (void)f;
    x->park = (struct park){
        .set = true, .action = STR("act_w"), .until = env_mono(a->env) - 1, .then = waits_for_ever};
    return 0;
}

static void test_parks_until_changed(void **state)
{
    struct call c;
    (void)state;
    then_runs = 0;
    run_handler(&c, waits);
    assert_true(c.x.park.set);
    assert_int_equal(c.x.status, 0);
    woken_call = NULL;
    dispatch_park(&app, &c);
    assert_null(woken_call);
    waiters_wake(app.waiters, STR("act_w"));
    assert_ptr_equal(woken_call, &c);
    dispatch_resume(&app, &c);
    assert_int_equal(then_runs, 1);
    assert_int_equal(c.x.status, 200);
    assert_non_null(strstr(c.x.out.p, "false"));
    call_free(&c);
}

static void test_change_under_the_handler_wakes(void **state)
{
    struct call c;
    (void)state;
    run_handler(&c, waits_over_a_change);
    woken_call = NULL;
    dispatch_park(&app, &c);
    assert_ptr_equal(woken_call, &c);
    call_free(&c);
}

/* A handler that goes on waiting when its time is up would go round for ever. */
static void test_time_up_for_good(void **state)
{
    struct call c;
    (void)state;
    run_handler(&c, waits_for_ever);
    assert_true(c.x.park.set);
    c.x.timed_out = true;
    dispatch_resume(&app, &c);
    assert_false(c.x.park.set);
    assert_int_equal(c.x.status, 503);
    call_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_framing_closes),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_head_size),
        cmocka_unit_test(test_length_over_cap),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_permit),
        cmocka_unit_test(test_csrf),
        cmocka_unit_test(test_csrf_empty),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_companions),
        cmocka_unit_test(test_handler_cannot_weaken),
        cmocka_unit_test(test_protection),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_parks_until_changed),
        cmocka_unit_test(test_change_under_the_handler_wakes),
        cmocka_unit_test(test_time_up_for_good),
    };
    return cmocka_run_group_tests(tests, start, end);
}
