/* The sandbox's time; see clock.h. */
#include "clock.h"

#include <time.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_now(const struct clock *c)
{
    return read_ms(CLOCK_REALTIME) + c->offset_ms;
}

int64_t clock_steady(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

static void format(int64_t ms, const char *fmt, char out[ISO_SIZE])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(out, ISO_SIZE, fmt, &tm);
}

void clock_iso(int64_t ms, char out[ISO_SIZE])
{
    format(ms, "%Y-%m-%dT%H:%M:%SZ", out);
}

void clock_date(int64_t ms, int days, char out[ISO_SIZE])
{
    format(ms + (int64_t)days * 86400000, "%Y-%m-%d", out);
}
