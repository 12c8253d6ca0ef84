/* The exchange itself, problem documents, parking: what every handler leans on. */
#include "api_fake.h"

#include "api/problem.h"
#include "api/waiting.h"

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

static struct exchange *nobody(void **state)
{
    return fake_exchange(*state, WHO_NOBODY, NULL);
}

static void headers_are_found_and_counted(void **state)
{
    struct exchange *x = nobody(state);
    size_t n = 9;
    assert_int_equal(exchange_header(x, "a", &n).n, 0);
    assert_int_equal(n, 0);
    fake_header(x, "a", "first");
    fake_header(x, "b", "other");
    fake_header(x, "a", "second");
    assert_true(str_eq_c(exchange_header(x, "a", &n), "first"));
    assert_int_equal(n, 2);
}

static void a_header_cannot_break_its_line(void **state)
{
    struct exchange *x = nobody(state);
    exchange_add_header(x, "X-A", STR("one\r\nSet-Cookie: two\x7f\x01"));
    exchange_add_header(x, "X-B", STR("\xff\xfe"));
    assert_string_equal(fake_answer_header(x, "X-A"), "oneSet-Cookie: two");
    assert_string_equal(fake_answer_header(x, "X-B"), "?");
}

static void query_names_are_known_and_come_once(void **state)
{
    static const char *const known[] = {"a", "b", NULL};
    struct fail f = {0};
    struct exchange *x = nobody(state);
    fake_query(x, "a", "1");
    fake_query(x, "b", "");
    assert_int_equal(exchange_query_only(x, known, &f), 0);
    assert_true(str_eq_c(exchange_query(x, "a"), "1"));
    fake_query(x, "a", "2");
    assert_int_equal(exchange_query_only(x, known, &f), ERR_MALFORMED);
    assert_string_equal(f.field, "a");
    x = nobody(state);
    fake_query(x, "c", "1");
    assert_int_equal(exchange_query_only(x, known, &f), ERR_UNKNOWN_FIELD);
    assert_string_equal(f.field, "c");
}

static void a_problem_says_what_is_wrong(void **state)
{
    struct fail f = {.position = -1};
    struct exchange *x = nobody(state);
    (void)fail_field(&f, ERR_MALFORMED, "wait", "expected \"less\"");
    assert_int_equal(
        problem_answer(x, f.err, &f, json_pack("{s:i, s:i}", "extra", 1, "status", 200)), 0);
    assert_int_equal(x->status, 400);
    assert_string_equal(x->answer_type, "application/problem+json");
    json_t *v = fake_answer(x);
    assert_string_equal(fake_text(v, "/type"), "urn:countersign:malformed");
    assert_string_equal(fake_text(v, "/detail"), "expected \"less\"");
    assert_string_equal(fake_text(v, "/field"), "wait");
    assert_int_equal(json_integer_value(json_object_get(v, "status")), 400); /* not overruled */
    assert_int_equal(json_integer_value(json_object_get(v, "extra")), 1);
    assert_null(json_object_get(v, "position"));
    assert_null(json_object_get(v, "action"));
    json_decref(v);
}

static void a_problem_says_where(void **state)
{
    struct fail f = {.position = -1};
    struct exchange *x = nobody(state);
    (void)fail_at(&f, ERR_DUPLICATE_KEY, 17, "twice");
    assert_int_equal(problem_answer(x, f.err, &f, NULL), 0);
    json_t *v = fake_answer(x);
    assert_int_equal(json_integer_value(json_object_get(v, "position")), 17);
    json_decref(v);
}

/* What went wrong inside is for the log, not for the caller. */
static void inner_errors_say_nothing(void **state)
{
    static const int inner[] = {ERR_NOMEM,  ERR_STORE,    ERR_SEAL,
                                ERR_KEEPER, ERR_K_QUORUM, ERR_CONFIG};
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        struct fail f = {.position = -1};
        struct exchange *x = nobody(state);
        (void)fail_field(&f, inner[i], "row", "table action has no column x");
        assert_int_equal(problem_answer(x, f.err, &f, NULL), 0);
        assert_int_equal(x->status, 503);
        assert_string_equal(
            x->out.p,
            "{\"type\":\"urn:countersign:unavailable\",\"title\":\"Not possible just now; "
            "nothing happened\",\"status\":503}");
    }
    struct fail f = {.position = -1};
    struct exchange *x = nobody(state);
    (void)fail_set(&f, ERR_FROZEN, "by ada");
    assert_int_equal(problem_answer(x, f.err, &f, NULL), 0);
    assert_non_null(strstr(x->out.p, "by ada"));
}

static int never(struct app *app, struct exchange *x, struct fail *f)
{
    (void)app, (void)x, (void)f;
    return ERR_UNAVAILABLE;
}

static void parking_looks_at_the_clock(void **state)
{
    struct fake *k = *state;
    struct exchange *x = nobody(state);
    struct waiting w = {.flight_until = k->life.mono + 50, .until = k->life.mono + 10};
    id_new(&k->env, "act", x->action_id);
    assert_true(waiting_park(&k->app, x, &w, false, waiting_landed(x), never));
    assert_int_equal(x->park.until, w.until);
    assert_false(waiting_park(&k->app, x, &w, true, waiting_landed(x), never)); /* settled */
    assert_false(x->park.set);
    struct flight fl = {.fd = -1};
    x->flight = &fl;
    assert_true(waiting_park(&k->app, x, &w, true, waiting_landed(x),
                             never)); /* settled, but our own answer is to come */
    assert_int_equal(x->park.until, w.flight_until);
    fl.landed = true;
    assert_false(waiting_park(&k->app, x, &w, true, waiting_landed(x), never));
    k->app.stopping = true;
    assert_false(waiting_park(&k->app, x, &w, false, waiting_landed(x), never));
    k->app.stopping = false;
    x->timed_out = true;
    assert_false(waiting_park(&k->app, x, &w, false, waiting_landed(x), never));
    x->timed_out = false;
    k->life.mono += 10;
    assert_false(waiting_park(&k->app, x, &w, false, waiting_landed(x), never));
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(headers_are_found_and_counted),
        T(a_header_cannot_break_its_line),
        T(query_names_are_known_and_come_once),
        T(a_problem_says_what_is_wrong),
        T(a_problem_says_where),
        T(inner_errors_say_nothing),
        T(parking_looks_at_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
