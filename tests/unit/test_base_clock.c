/* base/env: the real clock, the text forms of times, durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"

static void known_times(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1795340096789, "2026-11-22T09:34:56.789Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[TIME_TEXT];
        int64_t back = 1;
        time_format(out, cases[i].ms);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(time_parse(str_c(out), &back), 0);
        assert_int_equal(back, cases[i].ms);
    }
}

static void times_out_of_range_stay_in_it(void **state)
{
    char out[TIME_TEXT];
    (void)state;
    time_format(out, INT64_MAX);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
    time_format(out, INT64_MIN);
    assert_string_equal(out, "0000-01-01T00:00:00.000Z");
}

/* Against libc's calendar, once a day and odd second over 600 years. */
static void agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t s = -6311433600; s < 12622780800; s += 86400 + 3607) {
        char ours[TIME_TEXT], theirs[64];
        time_t t = (time_t)s;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(theirs, sizeof theirs, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        time_format(ours, s * 1000);
        assert_string_equal(ours, theirs);
    }
}

static void rfc3339_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T01:30:00+01:30", 0},
        {"1969-12-31T23:00:00-01:00", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T00:00:00.1Z", 100},
        {"1970-01-01T00:00:00.123456789Z", 123},
        {"1970-01-01T00:00:00.0009Z", 0},
    };
    static const char *const bad[] = {"",
                                      "1970-01-01",
                                      "1970-01-01T00:00:00",
                                      "1970-01-01 00:00:00Z",
                                      "1970-1-01T00:00:00Z",
                                      "1970-13-01T00:00:00Z",
                                      "1970-00-01T00:00:00Z",
                                      "1970-01-32T00:00:00Z",
                                      "1970-01-00T00:00:00Z",
                                      "1970-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2024-04-31T00:00:00Z",
                                      "1970-01-01T24:00:00Z",
                                      "1970-01-01T00:60:00Z",
                                      "1970-01-01T00:00:60Z",
                                      "1970-01-01T00:00:00.Z",
                                      "1970-01-01T00:00:00.1234567890Z",
                                      "1970-01-01T00:00:00,1Z",
                                      "1970-01-01T00:00:00+0100",
                                      "1970-01-01T00:00:00+24:00",
                                      "1970-01-01T00:00:00+01:60",
                                      "1970-01-01T00:00:00Z ",
                                      " 1970-01-01T00:00:00Z",
                                      "+1970-01-01T00:00:00Z",
                                      "1970-01-01T00:00Z",
                                      "19:0-01-01T00:00:00Z",
                                      "1970-01-1/T00:00:00Z"};
    int64_t ms;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ms = -7;
        assert_int_equal(time_parse(str_c(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(time_parse(str_c(bad[i]), &ms), ERR_MALFORMED);
    assert_int_equal(time_parse(STR("1970-01-01T00:00:00\0"), &ms), ERR_MALFORMED);
    assert_int_equal(time_parse(STR("1970-01-01T00:00:00.5\0"), &ms), ERR_MALFORMED);
    assert_int_equal(ms, 7);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0s", 0},         {"90s", 90000},    {"15m", 900000},
                {"24h", 86400000}, {"7d", 604800000}, {"250ms", 250}};
    static const char *const bad[] = {"",
                                      "90",
                                      "s",
                                      "-1s",
                                      "+1s",
                                      "01s",
                                      "1.5h",
                                      "1 h",
                                      "1H",
                                      "1h30m",
                                      "1w",
                                      "1s ",
                                      " 1s",
                                      "99999999999999999999d",
                                      "9223372036854775807s"};
    int64_t ms;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(duration_parse(str_c(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(duration_parse(str_c(bad[i]), &ms), ERR_MALFORMED);
    assert_int_equal(ms, 7);
}

static void system_clocks_and_random_numbers(void **state)
{
    unsigned char a[32] = {0}, b[32] = {0};
    (void)state;
    assert_true(env_now(&env_system) > 1700000000000);
    int64_t before = env_mono(&env_system);
    assert_true(env_mono(&env_system) >= before);
    env_system.random(env_system.arg, a, sizeof a);
    env_system.random(env_system.arg, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void tests_can_move_the_wall_clock(void **state)
{
#ifdef CS_TESTING
    char path[] = "/tmp/test_base_clock.XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(setenv("COUNTERSIGN_TEST_CLOCK", path, 1), 0);
    int64_t now = env_now(&env_system);
    assert_int_equal(dprintf(fd, "864000000\n"), 10);
    assert_true(env_now(&env_system) >= now + 864000000);
    unsetenv("COUNTERSIGN_TEST_CLOCK");
    assert_true(env_now(&env_system) < now + 864000000);
    close(fd);
    unlink(path);
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times),
        cmocka_unit_test(times_out_of_range_stay_in_it),
        cmocka_unit_test(agrees_with_libc),
        cmocka_unit_test(rfc3339_forms),
        cmocka_unit_test(durations),
        cmocka_unit_test(system_clocks_and_random_numbers),
        cmocka_unit_test(tests_can_move_the_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
