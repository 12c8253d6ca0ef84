/* A real keeper against a server that behaves and misbehaves: what is sent, how often, and what
 * keeper says of it afterwards. */
#include "test_keeper.h"

#include "keeper/send.h"

static struct fixture x;

static int begin(void **state)
{
    (void)state;
    fixture_begin(&x);
    return 0;
}
static int end(void **state)
{
    (void)state;
    fixture_end(&x);
    return 0;
}

static void assert_ended(const struct keeper_result *r, enum result_kind kind,
                         enum answer_class class)
{
    if (r->kind != kind || (kind == RESULT_ANSWERED && r->answer.class != class))
        fail_msg("kind %d, class %d, status %d, refusal %s: %s", (int)r->kind, (int)r->answer.class,
                 r->status, err_name(r->refusal), r->detail);
}

static const char *header(const struct keeper_result *r, const char *name)
{
    for (size_t i = 0; i < json_array_size(r->headers); i++) {
        const json_t *pair = json_array_get(r->headers, i);
        if (strcmp(json_string_value(json_array_get(pair, 0)), name) == 0)
            return json_string_value(json_array_get(pair, 1));
    }
    return NULL;
}

/* --- plain answers ---------------------------------------------------------------------------- */

static void read_and_write(void **state)
{
    (void)state;
    struct keeper_result *r = run_call(&x, "GET", "/read/ok", 0);
    assert_ended(r, RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_int_equal(r->status, 200);
    assert_string_equal(r->answer.provider_request_id, "req-1");
    assert_non_null(strcasestr(x.server.last, "\r\nauthorization: Bearer " SECRET "\r\n"));
    r = run_call(&x, "POST", "/write/ok", 1);
    assert_ended(r, RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_null(strcasestr(x.server.last, "expect:"));
    assert_null(strcasestr(x.server.last, "x-www-form"));
    assert_memory_equal(r->body.p, "{\"ok\":true", 10);
    assert_true(r->ended_at >= r->started_at && r->started_at > 0);
    assert_int_equal(strlen(r->executed_hash), 71);
    assert_int_equal(x.server.effects, 1);
}

static void classes_of_errors(void **state)
{
    (void)state;
    assert_ended(run_call(&x, "POST", "/write/400", 1), RESULT_ANSWERED, ANSWER_FAILED);
    assert_ended(run_call(&x, "POST", "/write/401", 1), RESULT_ANSWERED, ANSWER_REAUTH);
    assert_ended(run_call(&x, "POST", "/write/500", 1), RESULT_ANSWERED, ANSWER_UNCLEAR);
    assert_ended(run_call(&x, "GET", "/read/500", 0), RESULT_ANSWERED, ANSWER_FAILED);
}

static void headers_are_filtered(void **state)
{
    (void)state;
    struct keeper_result *r = run_call(&x, "GET", "/read/429", 0);
    assert_ended(r, RESULT_ANSWERED, ANSWER_RATE_LIMITED);
    assert_string_equal(header(r, "retry-after"), "7");
    assert_string_equal(header(r, "x-shown"), "s");
    assert_null(header(r, "x-hidden"));
    assert_string_equal(header(r, "ratelimit-limit"), "100");
    assert_string_equal(header(r, "ratelimit-remaining"), "0");
    int64_t reset = strtoll(header(r, "ratelimit-reset"), NULL, 10);
    assert_true(reset > 0 && reset < 4102444800 - 1000000000);
}

static void secrets_are_blanked(void **state)
{
    (void)state;
    struct keeper_result *r = run_call(&x, "GET", "/read/echo", 0);
    assert_ended(r, RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_non_null(strstr(r->body.p, "Bearer [redacted]"));
    assert_null(strstr(r->body.p, SECRET));
    assert_string_equal(header(r, "x-shown"), "[redacted]");
}

static void redirects_are_not_followed(void **state)
{
    (void)state;
    assert_ended(run_call(&x, "POST", "/write/redirect", 1), RESULT_ANSWERED, ANSWER_UNCLEAR);
    assert_int_equal(x.server.requests, 1);
}

/* --- what did not arrive ---------------------------------------------------------------------- */

static void refused_connection_sends_nothing(void **state)
{
    (void)state;
    struct order y;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* a port that nobody listens on */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(x.base_url, sizeof x.base_url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    change_roster(&x);
    order_make(&x, &y, "POST", "/write/ok", 1);
    struct keeper_result *r = order_execute(&x, &y);
    assert_ended(r, RESULT_NOT_SENT, 0);
    assert_int_equal(r->refusal, ERR_IO);
    assert_true(strlen(r->detail) > 0);
    /* keeper attests that nothing left, so there may be another attempt */
    snprintf(x.base_url, sizeof x.base_url, "http://127.0.0.1:%u", x.server.port);
    change_roster(&x);
    y.o.credential = buf_view(&x.credential);
    y.o.attempt = 2;
    assert_ended(order_execute(&x, &y), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    order_free(&y);
    close(fd);
}

/* libcurl would send a POST again when a reused connection dies; the first one had its effect. */
static void reply_lost_on_reused_connection_has_one_effect(void **state)
{
    (void)state;
    struct order y;
    assert_ended(run_call(&x, "POST", "/write/drop", 1), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_int_equal(x.server.effects, 1);
    order_make(&x, &y, "POST", "/write/drop", 1);
    struct keeper_result *r = order_execute(&x, &y);
    assert_ended(r, RESULT_UNKNOWN, 0);
    assert_int_equal(x.server.effects, 2);
    assert_int_equal(x.server.requests, 2);
    y.o.attempt = 2; /* nobody knows what the first one did */
    r = order_execute(&x, &y);
    assert_ended(r, RESULT_REFUSED, 0);
    assert_int_equal(r->refusal, ERR_K_USED);
    order_free(&y);
}

static void reads_may_be_sent_again(void **state)
{
    (void)state;
    assert_ended(run_call(&x, "GET", "/read/drop", 0), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_ended(run_call(&x, "GET", "/read/drop", 0), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_int_equal(x.server.requests, 3);
}

static void idempotent_call_may_be_repeated_under_its_key(void **state)
{
    (void)state;
    struct order y;
    assert_ended(run_call(&x, "POST", "/write/drop", 1), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    order_make(&x, &y, "POST", "/keyed/drop", 1);
    y.o.idem_key = STR("key-0000000001");
    assert_ended(order_execute(&x, &y), RESULT_UNKNOWN, 0);
    y.o.attempt = 2;
    y.o.idem_key = STR("key-0000000002");
    struct keeper_result *r = order_execute(&x, &y);
    assert_ended(r, RESULT_REFUSED, 0);
    assert_int_equal(r->refusal, ERR_K_USED);
    y.o.idem_key = STR("key-0000000001");
    assert_ended(order_execute(&x, &y), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_non_null(strcasestr(x.server.last, "idempotency-key: key-0000000001"));
    y.o.attempt = 3; /* it has succeeded: never again */
    r = order_execute(&x, &y);
    assert_int_equal(r->refusal, ERR_K_USED);
    order_free(&y);
}

static void answer_cut_off_is_unknown(void **state)
{
    (void)state;
    struct keeper_result *r = run_call(&x, "POST", "/write/cut", 1);
    assert_ended(r, RESULT_UNKNOWN, 0);
    assert_int_equal(r->status, 200);
    assert_int_equal(r->body.n, 0);
}

static void silence_is_unknown(void **state)
{
    (void)state;
    end_keeper(&x, SIGTERM);
    x.cfg.limit_upstream_time = 300;
    start_again(&x);
    assert_ended(run_call(&x, "POST", "/write/never", 1), RESULT_UNKNOWN, 0);
}

/* --- where to --------------------------------------------------------------------------------- */

static void private_address_is_refused(void **state)
{
    (void)state;
    /* a pooled connection, opened where it was allowed */
    assert_ended(run_call(&x, "GET", "/read/ok", 0), RESULT_ANSWERED, ANSWER_SUCCEEDED);
    int before = x.server.requests;
    x.allow_private = false;
    snprintf(x.base_url, sizeof x.base_url, "https://127.0.0.1:%u", x.server.port);
    change_roster(&x);
    struct keeper_result *r = run_call(&x, "POST", "/write/ok", 1);
    assert_ended(r, RESULT_NOT_SENT, 0);
    assert_int_equal(r->refusal, ERR_K_DESTINATION);
    assert_int_equal(x.server.requests, before);
    assert_int_equal(x.server.connections, 1);
}

static void metadata_address_is_refused_even_where_private_ones_are_allowed(void **state)
{
    (void)state;
    snprintf(x.base_url, sizeof x.base_url, "http://169.254.169.254");
    change_roster(&x);
    struct keeper_result *r = run_call(&x, "GET", "/read/ok", 0);
    assert_ended(r, RESULT_NOT_SENT, 0);
    assert_int_equal(r->refusal, ERR_K_DESTINATION);
}

static struct exchange seen;
static bool ended;

static void on_end(void *arg, struct exchange *e)
{
    (void)arg;
    seen = *e;
    ended = true;
}

/* An exchange by itself, to the end. */
static enum send_fate exchange(struct sender *s, bool allow_private, bool allow_plain)
{
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/read/ok", x.server.port);
    const struct send_order o = {.method = "GET",
                                 .url = str_c(url),
                                 .allow_private = allow_private,
                                 .allow_plain = allow_plain,
                                 .keep = 1024,
                                 .on_end = on_end};
    ended = false;
    assert_int_equal(sender_start(s, &o), 0);
    while (!ended) {
        struct curl_waitfd none = {.fd = -1};
        sender_work(s);
        sender_wait(s, &none, 0, 50);
    }
    return seen.fate;
}

/* A connection in the pool was opened for somebody who may have private addresses. */
static void pooled_connection_is_judged_again(void **state)
{
    (void)state;
    const struct send_limits limits = {5000, 60000, 4};
    struct sender *s;
    assert_int_equal(sender_new(&limits, &s), 0);
    assert_int_equal(exchange(s, true, true), SEND_ANSWERED);
    assert_int_equal(exchange(s, true, true), SEND_ANSWERED);
    assert_int_equal(x.server.connections, 1); /* the pool works */
    assert_int_equal(exchange(s, false, true), SEND_NOT_SENT);
    assert_true(seen.address_refused);
    assert_int_equal(exchange(s, true, false), SEND_NOT_SENT); /* plain http */
    assert_int_equal(x.server.requests, 2);
    sender_free(s);
}

/* --- large answers ---------------------------------------------------------------------------- */

static void large_answer_is_counted_when_it_may_not_stream(void **state)
{
    (void)state;
    struct keeper_result *r = run_call(&x, "GET", "/read/big", 0);
    assert_ended(r, RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_true(r->body_omitted);
    assert_int_equal(r->body.n, 0);
    assert_int_equal(r->body_bytes, LIMIT_ANSWER * 40);
    /* a write whose answer was not read has not succeeded for certain */
    assert_ended(run_call(&x, "POST", "/write/big", 1), RESULT_ANSWERED, ANSWER_UNCLEAR);
}

static int wait_stream(void)
{
    pthread_mutex_lock(&x.lock);
    while (x.stream < 0)
        wait_more(&x);
    int fd = x.stream;
    pthread_mutex_unlock(&x.lock);
    return fd;
}

static void large_answer_streams(void **state)
{
    (void)state;
    struct order y;
    size_t n = 0, size = LIMIT_ANSWER * 50;
    char *all = malloc(size + 1);
    order_make(&x, &y, "GET", "/read/big", 0);
    y.o.may_stream = true;
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    int fd = wait_stream();
    assert_int_equal(x.head.status, 200);
    assert_string_equal(x.head.action, y.action);
    usleep(50000); /* a reader that is late is waited for */
    for (ssize_t got; (got = read(fd, all + n, size - n)) > 0;)
        n += (size_t)got;
    all[n] = 0;
    struct keeper_result *r = next_result(&x);
    assert_ended(r, RESULT_ANSWERED, ANSWER_SUCCEEDED);
    assert_true(r->body_omitted);
    assert_int_equal(r->body_bytes, LIMIT_ANSWER * 40);
    assert_null(strstr(all, SECRET));
    size_t blanked = 0;
    for (const char *p = all; (p = strstr(p, "[redacted]")); p++)
        blanked++;
    assert_int_equal(n, LIMIT_ANSWER * 40 - blanked * (strlen(SECRET) - strlen("[redacted]")));
    assert_true(blanked > 30);
    free(all);
    order_free(&y);
}

static void stream_without_reader_ends(void **state)
{
    (void)state;
    struct order y;
    order_make(&x, &y, "GET", "/read/big", 0);
    y.o.may_stream = true;
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    close(wait_stream());
    x.stream = -1;
    assert_ended(next_result(&x), RESULT_UNKNOWN,
                 0); /* a read nobody wants is not heard to its end */
    order_free(&y);
    order_make(&x, &y, "POST", "/write/big", 1);
    y.o.may_stream = true;
    keeper_result_free(&x.head);
    assert_int_equal(keeper_execute(x.kc, &y.o), 0);
    close(wait_stream());
    x.stream = -1;
    struct keeper_result *r = next_result(&x);
    assert_ended(r, RESULT_ANSWERED, ANSWER_UNCLEAR);
    assert_int_equal(r->body_bytes, LIMIT_ANSWER * 40);
    order_free(&y);
}

/* --- many ------------------------------------------------------------------------------------- */

static void slow_calls_run_beside_each_other(void **state)
{
    (void)state;
    enum { N = 60 };
    struct order y[N];
    for (int i = 0; i < N; i++) {
        order_make(&x, &y[i], "POST", "/write/slow", 1);
        assert_int_equal(keeper_execute(x.kc, &y[i].o), 0);
    }
    for (int i = 0; i < N; i++) {
        assert_ended(next_result(&x), RESULT_ANSWERED, ANSWER_SUCCEEDED);
        order_free(&y[i]);
    }
    assert_int_equal(x.server.effects, N);
    assert_true(x.server.connections > N / 2);
}

static void calls_over_the_limit_wait(void **state)
{
    (void)state;
    enum { N = 9 };
    struct order y[N];
    end_keeper(&x, SIGTERM);
    x.cfg.limit_calls = 2;
    start_again(&x);
    for (int i = 0; i < N; i++) {
        order_make(&x, &y[i], "POST", "/write/ok", 1);
        assert_int_equal(keeper_execute(x.kc, &y[i].o), 0);
    }
    for (int i = 0; i < N; i++) {
        assert_ended(next_result(&x), RESULT_ANSWERED, ANSWER_SUCCEEDED);
        order_free(&y[i]);
    }
    assert_true(x.server.connections <= 2);
}

/* --- webhooks --------------------------------------------------------------------------------- */

static struct delivered deliver(const char *url, struct str agent)
{
    const struct deliver_order o = {.id = STR("dlv_1"),
                                    .workspace = STR("default"),
                                    .agent = agent,
                                    .url = str_c(url),
                                    .webhook_id = STR("act_1.1.succeeded"),
                                    .body = STR("{\"type\":\"action.ended\"}"),
                                    .timestamp = 1614265330123};
    size_t had = x.n_delivered;
    assert_int_equal(keeper_deliver(x.kc, &o), 0);
    pthread_mutex_lock(&x.lock);
    while (x.n_delivered == had)
        wait_more(&x);
    pthread_mutex_unlock(&x.lock);
    return x.delivered[had];
}

static void webhooks_go_where_the_roster_says(void **state)
{
    (void)state;
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hook/ok", x.server.port);
    struct delivered d = deliver(url, str_c(x.agent));
    assert_int_equal(d.err, 0);
    assert_int_equal(d.status, 200);
    assert_string_equal(d.id, "dlv_1");
    assert_non_null(strstr(x.server.last, "webhook-id: act_1.1.succeeded\r\n"));
    assert_non_null(strstr(x.server.last, "webhook-timestamp: 1614265330\r\n"));
    assert_non_null(strstr(x.server.last, "webhook-signature: v1,"));
    assert_non_null(strcasestr(x.server.last, "content-type: application/json\r\n"));
    snprintf(url, sizeof url, "http://127.0.0.1:%u/other", x.server.port);
    assert_int_equal(deliver(url, str_c(x.agent)).err, ERR_K_DESTINATION);
    assert_int_equal(deliver(url, STR("agt_nobody")).err, ERR_K_ROSTER);
    assert_int_equal(x.server.requests, 1);
}

int main(int argc, char **argv)
{
    keeper_child(argc, argv);
    log_open("test", LOG_ERROR);
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(read_and_write),
        CASE(classes_of_errors),
        CASE(headers_are_filtered),
        CASE(secrets_are_blanked),
        CASE(redirects_are_not_followed),
        CASE(refused_connection_sends_nothing),
        CASE(reply_lost_on_reused_connection_has_one_effect),
        CASE(reads_may_be_sent_again),
        CASE(idempotent_call_may_be_repeated_under_its_key),
        CASE(answer_cut_off_is_unknown),
        CASE(silence_is_unknown),
        CASE(private_address_is_refused),
        CASE(metadata_address_is_refused_even_where_private_ones_are_allowed),
        CASE(pooled_connection_is_judged_again),
        CASE(large_answer_is_counted_when_it_may_not_stream),
        CASE(large_answer_streams),
        CASE(stream_without_reader_ends),
        CASE(slow_calls_run_beside_each_other),
        CASE(calls_over_the_limit_wait),
        CASE(webhooks_go_where_the_roster_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
