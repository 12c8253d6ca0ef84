/* The real clock and the real random numbers, and the text forms of times and durations.
 * Days are counted by the proleptic Gregorian calendar without libc's time zones. */
#include "base/env.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define FIRST_TIME (-719528 * DAY)    /* 0000-01-01T00:00:00.000Z */
#define LAST_TIME (2932897 * DAY - 1) /* 9999-12-31T23:59:59.999Z */

static int64_t read_clock(clockid_t which)
{
    struct timespec t;
    CS_ASSERT(clock_gettime(which, &t) == 0);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000000;
}

#ifdef CS_TESTING
/* Read anew each time: the test rewrites the file while the program runs. */
static int64_t test_offset(void)
{
    const char *path = getenv("COUNTERSIGN_TEST_CLOCK");
    FILE *f = path ? fopen(path, "re") : NULL;
    long long offset = 0;
    if (!f)
        return 0;
    if (fscanf(f, "%lld", &offset) != 1)
        offset = 0;
    fclose(f);
    return offset;
}
#else
static int64_t test_offset(void)
{
    return 0;
}
#endif

static int64_t system_now(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_REALTIME) + test_offset();
}

static int64_t system_mono(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_MONOTONIC);
}

static void start_sodium(void)
{
    CS_ASSERT(sodium_init() >= 0);
}

static void system_random(void *arg, void *out, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)arg;
    pthread_once(&once, start_sodium);
    randombytes_buf(out, n);
}

const struct env env_system = {
    .now_ms = system_now, .mono_ms = system_mono, .random = system_random};

struct date {
    int64_t year;
    unsigned month, day;
};

/* Both conversions count years from March, so that the leap day is the last of its year, in eras of
 * 400 years = 146,097 days; 719,468 days lie between 0000-03-01 and 1970-01-01. */
static int64_t days_of(struct date d)
{
    int64_t y = d.year - (d.month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (d.month > 2 ? d.month - 3 : d.month + 9) + 2) / 5 + d.day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static struct date date_of(int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    return (struct date){.year = yoe + era * 400 + (month <= 2),
                         .month = month,
                         .day = (unsigned)(doy - (153 * mp + 2) / 5 + 1)};
}

/* snprintf is too slow for what every log line and answer does several times. */
static void put_digits(char *at, unsigned width, int64_t v)
{
    while (width > 0) {
        at[--width] = (char)('0' + v % 10);
        v /= 10;
    }
}

void time_format(char out[TIME_TEXT], int64_t ms)
{
    ms = ms < FIRST_TIME ? FIRST_TIME : ms > LAST_TIME ? LAST_TIME : ms;
    int64_t days = ms >= 0 ? ms / DAY : -((DAY - 1 - ms) / DAY), rest = ms - days * DAY;
    struct date d = date_of(days);
    memcpy(out, "0000-00-00T00:00:00.000Z", TIME_TEXT);
    put_digits(out, 4, d.year);
    put_digits(out + 5, 2, d.month);
    put_digits(out + 8, 2, d.day);
    put_digits(out + 11, 2, rest / HOUR);
    put_digits(out + 14, 2, rest / MINUTE % 60);
    put_digits(out + 17, 2, rest / SECOND % 60);
    put_digits(out + 20, 3, rest % SECOND);
}

/* Reads exactly `width` digits that make at most `max`, and moves *at behind them. */
static bool take_digits(struct str s, size_t *at, size_t width, unsigned max, unsigned *ret)
{
    unsigned v = 0;
    if (s.n - *at < width)
        return false;
    for (size_t i = 0; i < width; i++) {
        char c = s.p[*at + i];
        if (c < '0' || c > '9')
            return false;
        v = v * 10 + (unsigned)(c - '0');
    }
    *at += width;
    *ret = v;
    return v <= max;
}

static bool take_char(struct str s, size_t *at, const char *any_of)
{
    if (*at >= s.n || s.p[*at] == 0 || !strchr(any_of, s.p[*at]))
        return false;
    ++*at;
    return true;
}

static bool take_date(struct str s, size_t *at, int64_t *days)
{
    static const unsigned char length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned y, m, d;
    if (!take_digits(s, at, 4, 9999, &y) || !take_char(s, at, "-") ||
        !take_digits(s, at, 2, 12, &m) || m == 0 || !take_char(s, at, "-") ||
        !take_digits(s, at, 2, 31, &d) || d == 0)
        return false;
    bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    if (d > length[m - 1] + (leap && m == 2 ? 1U : 0U))
        return false;
    *days = days_of((struct date){.year = y, .month = m, .day = d});
    return true;
}

/* Digits past the milliseconds are dropped. */
static bool take_fraction(struct str s, size_t *at, int64_t *ms)
{
    int64_t scale = 100;
    size_t digits = 0;
    *ms = 0;
    if (!take_char(s, at, "."))
        return true;
    while (*at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9') {
        *ms += (s.p[*at] - '0') * scale;
        scale /= 10;
        digits++;
        ++*at;
    }
    return digits >= 1 && digits <= 9;
}

static bool take_zone(struct str s, size_t *at, int64_t *offset)
{
    unsigned h, m;
    *offset = 0;
    if (take_char(s, at, "Zz"))
        return true;
    bool minus = *at < s.n && s.p[*at] == '-';
    if (!take_char(s, at, "+-") || !take_digits(s, at, 2, 23, &h) || !take_char(s, at, ":") ||
        !take_digits(s, at, 2, 59, &m))
        return false;
    *offset = (minus ? -1 : 1) * ((int64_t)h * HOUR + (int64_t)m * MINUTE);
    return true;
}

/* A leap second (":60") is refused: the scale of milliseconds has no place for it. */
int time_parse(struct str s, int64_t *ret)
{
    size_t at = 0;
    int64_t days, ms, offset;
    unsigned h, m, sec;
    if (!take_date(s, &at, &days) || !take_char(s, &at, "Tt") || !take_digits(s, &at, 2, 23, &h) ||
        !take_char(s, &at, ":") || !take_digits(s, &at, 2, 59, &m) || !take_char(s, &at, ":") ||
        !take_digits(s, &at, 2, 59, &sec) || !take_fraction(s, &at, &ms) ||
        !take_zone(s, &at, &offset) || at != s.n)
        return ERR_MALFORMED;
    *ret =
        days * DAY + (int64_t)h * HOUR + (int64_t)m * MINUTE + (int64_t)sec * SECOND + ms - offset;
    return 0;
}

int duration_parse(struct str s, int64_t *ret)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", SECOND}, {"m", MINUTE}, {"h", HOUR}, {"d", DAY}};
    size_t digits = 0;
    uint64_t v;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    if (!str_u64(str_sub(s, 0, digits), &v))
        return ERR_MALFORMED;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!str_eq_c(str_sub(s, digits, s.n), units[i].unit))
            continue;
        int64_t ms;
        if (__builtin_mul_overflow(v, units[i].ms, &ms))
            return ERR_MALFORMED;
        *ret = ms;
        return 0;
    }
    return ERR_MALFORMED;
}
