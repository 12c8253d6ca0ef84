/* The vendor's SDK pointed at us: who calls, what is proposed, and what comes back in which shape.
 */
#include "api_fake.h"

#include <fcntl.h>

#include "proxy/proxy.h"

static int setup(void **state)
{
    *state = fake_new("");
    return 0;
}

static int teardown(void **state)
{
    fake_free(*state);
    return 0;
}

static struct exchange *request(struct fake *k, const char *connection)
{
    struct exchange *x = fake_exchange(k, WHO_AGENT, k->bot);
    x->method = METHOD_POST;
    x->method_text = STR("POST");
    x->param[0] = str_c(connection);
    x->param[1] = STR("/transfer/create");
    x->content_type = STR("application/json");
    x->body = STR("{\"amount\":\"12.00\"}");
    return x;
}

static int call(struct fake *k, struct exchange *x)
{
    struct fail f = {.position = -1};
    return proxy_call(&k->app, x, &f);
}

/* --- who calls -------------------------------------------------------------------------------- */

struct caller {
    const char *connection, *authorization, *vendor;
    int err;
};

static int authenticate(struct fake *k, const struct caller *c, const struct agent **ret,
                        struct fail *f)
{
    struct exchange *x = fake_exchange(k, WHO_NOBODY, NULL);
    x->param[0] = str_c(c->connection);
    if (c->authorization != NULL)
        fake_header(x, "authorization", c->authorization);
    if (c->vendor != NULL)
        fake_header(x, "plaid-secret", c->vendor);
    *f = (struct fail){.position = -1};
    return proxy_authenticate(&k->app, x, ret, f);
}

static void keys_stand_where_they_may(void **state)
{
    static const struct caller row[] = {
        {"bank", "Bearer csa_bot", NULL, 0},
        {"bank", "bearer csa_bot", NULL, 0},
        {"bank", NULL, "csa_bot", 0},
        {"bank", "Bearer csa_bot", "csa_bot", 0},
        {"nothing", NULL, "csa_bot", 0}, /* so that it can be told that there is none */
        {"bank", "Bearer csa_bot", "csa_spy", ERR_KEY_MISMATCH},
        {"bank", NULL, NULL, ERR_UNAUTHENTICATED},
        {"bank", NULL, "csa_unknown", ERR_UNAUTHENTICATED},
        {"bank", "Bearer cst_bob", NULL, ERR_UNAUTHENTICATED},
        {"bank", "Basic csa_bot", NULL, ERR_UNAUTHENTICATED},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        const struct agent *a = NULL;
        assert_int_equal(authenticate(k, &row[i], &a, &f), row[i].err);
        assert_true((a != NULL) == (row[i].err == 0));
        if (a != NULL)
            assert_string_equal(a->id, k->bot);
    }
}

static void a_vendors_secret_is_refused_with_a_warning(void **state)
{
    static const struct caller row[] = {
        {"bank", NULL, "5c3f8e9d0a1b2c", 0},
        {"bank", "Bearer csa_bot", "5c3f8e9d0a1b2c",
         0}, /* beside a key of ours it leaked all the same */
        {"bank", "Bearer 5c3f8e9d0a1b2c", NULL, 0},
    };
    struct fake *k = *state;
    struct fail f;
    for (size_t i = 0; i < 3; i++) {
        const struct agent *a = NULL;
        assert_int_equal(authenticate(k, &row[i], &a, &f), ERR_UNAUTHENTICATED);
        assert_non_null(strstr(f.detail, "rotate"));
        assert_null(strstr(f.detail, "5c3f8e9d0a1b2c"));
    }
}

/* --- what is proposed ------------------------------------------------------------------------- */

static void a_request_becomes_a_proposal(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    memcpy(k->life.proposed.id, id, ID_SIZE);
    struct exchange *x = request(k, "bank");
    fake_query(x, "a", "1");
    fake_query(x, "a", "2");
    fake_header(x, "x-vendor", "one");
    fake_header(x, "x-vendor", "two");
    fake_header(x, "idempotency-key", "made-up");
    fake_header(x, "countersign-thread", "t-9");
    fake_header(x, "countersign-note", "because");
    assert_int_equal(call(k, x), 0);
    assert_string_equal(k->life.seen_path, "/transfer/create");
    assert_string_equal(k->life.seen_query, "[[\"a\",\"1\"],[\"a\",\"2\"]]");
    assert_string_equal(k->life.seen_body, "{\"amount\":\"12.00\"}");
    assert_non_null(strstr(k->life.seen_headers, "\"x-vendor\":\"one, two\""));
    assert_string_equal(k->life.seen_key, "made-up");
    assert_true(k->life.seen.soft_key);
    assert_true(k->life.seen.from_proxy);
    assert_string_equal(k->life.seen_thread, "t-9");
    assert_string_equal(k->life.seen_note, "because");
}

static void other_bodies_stay_bytes(void **state)
{
    struct fake *k = *state;
    char id[ID_SIZE];
    fake_action(k, STATE_PENDING, NULL, id);
    memcpy(k->life.proposed.id, id, ID_SIZE);
    struct exchange *x = request(k, "bank");
    x->content_type = STR("application/x-www-form-urlencoded");
    x->body = STR("a=1&b=2");
    assert_int_equal(call(k, x), 0);
    assert_string_equal(k->life.seen_raw, "a=1&b=2");
    assert_string_equal(k->life.seen_body, "");
    assert_true(str_eq_c(k->life.seen.in.content_type, "application/x-www-form-urlencoded"));
}

/* Before there is an action, errors have the vendor's shape already. */
static void refusals_have_the_vendors_shape(void **state)
{
    static const struct {
        const char *connection, *body;
        int life, status;
        const char *code;
    } row[] = {
        {"safe", "{}", 0, 403, "CONNECTION_NOT_ALLOWED"},
        {"bank", "{\"a\":1,\"a\":2}", 0, 400, "DUPLICATE_KEY"},
        {"bank", "{", 0, 400, "MALFORMED"},
        {"bank", "{}", ERR_FROZEN, 503, "FROZEN"},
        {"bank", "{}", ERR_UNSAFE_PATH, 400, "UNSAFE_PATH"},
        {"bank", "{}", ERR_TOO_MANY_PENDING, 429, "TOO_MANY_PENDING"},
        {"bank", "{}", ERR_STORE, 503, "UNAVAILABLE"},
    };
    struct fake *k = *state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct exchange *x = request(k, row[i].connection);
        x->body = str_c(row[i].body);
        k->life.err = row[i].life;
        assert_int_equal(call(k, x), 0);
        assert_int_equal(x->status, row[i].status);
        assert_string_equal(fake_answer_header(x, "Countersign-Error"), row[i].code);
        assert_string_equal(fake_answer_header(x, "Countersign-Action"), "");
        json_t *v = fake_answer(x);
        assert_string_equal(fake_text(v, "/error_code"), row[i].code);
        json_decref(v);
    }
    assert_int_equal(call(k, request(k, "nothing")), ERR_NOT_FOUND);
    assert_int_equal(call(k, request(k, "away")), ERR_NOT_FOUND); /* another workspace's */
}

/* --- what comes back -------------------------------------------------------------------------- */

static void each_state_has_its_answer(void **state)
{
    static const struct {
        enum state state;
        int status;
        const char *code;
        bool retry;
    } row[] = {
        {STATE_PENDING, 428, "APPROVAL_PENDING", true},
        {STATE_APPROVED, 428, "APPROVAL_PENDING", true},
        {STATE_SENDING, 428, "APPROVAL_PENDING", true},
        {STATE_BLOCKED, 428, "REAUTH_REQUIRED", true},
        {STATE_REJECTED, 403, "APPROVAL_REJECTED", false},
        {STATE_EXPIRED, 403, "APPROVAL_EXPIRED", false},
        {STATE_CANCELLED, 403, "APPROVAL_CANCELLED", false},
        {STATE_DENIED, 403, "POLICY_DENIED", false},
        {STATE_UNKNOWN, 409, "OUTCOME_UNKNOWN", false},
        {STATE_FAILED, 502, "UPSTREAM_UNREACHABLE", false},
    };
    struct fake *k = *state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        char id[ID_SIZE];
        fake_action(k, row[i].state, NULL, id);
        memcpy(k->life.proposed.id, id, ID_SIZE);
        k->life.n_told = 0;
        struct exchange *x = request(k, "bank");
        assert_int_equal(call(k, x), 0);
        assert_int_equal(x->status, row[i].status);
        assert_string_equal(fake_answer_header(x, "Countersign-Error"), row[i].code);
        assert_string_equal(fake_answer_header(x, "Countersign-Action"), id);
        assert_true((fake_answer_header(x, "Retry-After")[0] != '\0') == row[i].retry);
        json_t *v = fake_answer(x);
        assert_string_equal(fake_text(v, "/error_code"), row[i].code);
        assert_string_equal(fake_text(v, "/request_id"), id);
        json_decref(v);
        assert_int_equal(k->life.n_told, state_ended(row[i].state) ? 1 : 0);
    }
}

static void the_providers_answer_comes_as_it_was(void **state)
{
    static const enum state with_answer[] = {STATE_SUCCEEDED, STATE_DECLINED, STATE_FAILED};
    struct fake *k = *state;
    for (size_t i = 0; i < 3; i++) {
        char id[ID_SIZE];
        fake_action(k, with_answer[i], "{ \"b\": 1,  \"a\": 1.0 }", id);
        memcpy(k->life.proposed.id, id, ID_SIZE);
        struct exchange *x = request(k, "bank");
        assert_int_equal(call(k, x), 0);
        assert_int_equal(x->status, 201);
        assert_string_equal(x->out.p, "{ \"b\": 1,  \"a\": 1.0 }");
        assert_string_equal(x->answer_type, "application/json");
        assert_string_equal(fake_answer_header(x, "x-request-id"), "r-1");
        assert_string_equal(fake_answer_header(x, "Countersign-Action"), id);
        assert_string_equal(fake_answer_header(x, "Countersign-Error"), "");
        assert_int_equal(k->life.n_told, (int)i + 1);
    }
}

static void a_call_that_needs_nobody_is_waited_for(void **state)
{
    struct fake *k = *state;
    struct flight fl = {.fd = -1};
    struct fail f;
    id_new(&k->env, "act", k->life.proposed.id); /* a read has no row before its answer */
    k->life.proposed.flight = &fl;
    struct exchange *x = request(k, "bank");
    assert_int_equal(call(k, x), 0);
    assert_true(x->park.set && x->park.flight_only);
    assert_int_equal(x->park.until, k->life.mono + k->cfg.limit_upstream_time + 5000);
    fl.landed = true;
    fl.result = (struct keeper_result){.kind = RESULT_ANSWERED, .status = 418};
    fl.result.headers = json_pack("[[s,s],[s,s],[s,s]]", "content-type", "text/tea",
                                  "ratelimit-limit", "5", "content-length", "99");
    buf_init(&fl.result.body, 0);
    buf_c(&fl.result.body, "short and stout");
    assert_int_equal(x->park.then(&k->app, x, &f), 0);
    assert_int_equal(x->status, 418);
    assert_string_equal(x->out.p, "short and stout");
    assert_string_equal(x->answer_type, "text/tea");
    assert_string_equal(fake_answer_header(x, "ratelimit-limit"), "5");
    assert_string_equal(fake_answer_header(x, "content-length"), "");
    json_decref(fl.result.headers);
    buf_free(&fl.result.body);
}

static void a_read_whose_answer_never_comes_is_502(void **state)
{
    struct fake *k = *state;
    struct flight fl = {.fd = -1};
    struct fail f;
    id_new(&k->env, "act", k->life.proposed.id);
    k->life.proposed.flight = &fl;
    struct exchange *x = request(k, "bank");
    assert_int_equal(call(k, x), 0);
    assert_true(x->park.set);
    k->life.mono = x->park.until;
    x->timed_out = true;
    assert_int_equal(x->park.then(&k->app, x, &f), 0);
    assert_int_equal(x->status, 502);
    assert_string_equal(fake_answer_header(x, "Countersign-Error"), "UPSTREAM_UNREACHABLE");
}

static void a_large_answer_streams(void **state)
{
    struct fake *k = *state;
    struct flight fl = {.has_head = true};
    fl.fd = open("/dev/null", O_RDONLY);
    int fd = fl.fd;
    fl.head = (struct keeper_result){.status = 200,
                                     .headers = json_pack("[[s,s]]", "content-type", "text/csv")};
    id_new(&k->env, "act", k->life.proposed.id);
    k->life.proposed.flight = &fl;
    struct exchange *x = request(k, "bank");
    assert_int_equal(call(k, x), 0);
    assert_int_equal(x->stream_fd, fd);
    assert_int_equal(x->stream_bytes, -1);
    assert_int_equal(x->status, 200);
    assert_string_equal(x->answer_type, "text/csv");
    json_decref(fl.head.headers);
}

static struct exchange *preferring(struct fake *k, enum state state, const char *prefer)
{
    char id[ID_SIZE];
    fake_action(k, state, NULL, id);
    memcpy(k->life.proposed.id, id, ID_SIZE);
    struct exchange *x = request(k, "bank");
    fake_header(x, "prefer", prefer);
    assert_int_equal(call(k, x), 0);
    return x;
}

static void prefer_says_how_long(void **state)
{
    struct fake *k = *state;
    assert_false(preferring(k, STATE_PENDING, "wait=0")->park.set);
    assert_int_equal(preferring(k, STATE_PENDING, "return=minimal, wait=30")->park.until,
                     k->life.mono + 30000);
    assert_int_equal(preferring(k, STATE_PENDING, "wait=\"7\"; x")->park.until,
                     k->life.mono + 7000);
    assert_int_equal(preferring(k, STATE_PENDING, "wait=600")->park.until, k->life.mono + 55000);
    assert_false(preferring(k, STATE_PENDING, "wait=soon")->park.set);
    assert_false(preferring(k, STATE_BLOCKED, "handling=lenient")->park.set);
}

static void respond_async_gives_the_action(void **state)
{
    struct fake *k = *state;
    struct exchange *x = preferring(k, STATE_PENDING, "respond-async");
    assert_int_equal(x->status, 202);
    assert_false(k->life.seen.from_proxy);
    assert_string_equal(fake_answer_header(x, "Countersign-Action"), x->action_id);
    json_t *v = fake_answer(x);
    assert_string_equal(fake_text(v, "/status"), "pending");
    json_decref(v);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(keys_stand_where_they_may),
        T(a_vendors_secret_is_refused_with_a_warning),
        T(a_request_becomes_a_proposal),
        T(other_bodies_stay_bytes),
        T(refusals_have_the_vendors_shape),
        T(each_state_has_its_answer),
        T(the_providers_answer_comes_as_it_was),
        T(a_call_that_needs_nobody_is_waited_for),
        T(a_read_whose_answer_never_comes_is_502),
        T(a_large_answer_streams),
        T(prefer_says_how_long),
        T(respond_async_gives_the_action),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
