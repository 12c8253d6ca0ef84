/* The outside world behind a few functions, so that tests replace it: time and randomness.
 * Times are milliseconds since 1970-01-01 UTC in an int64_t, everywhere. */
#ifndef CS_BASE_ENV_H
#define CS_BASE_ENV_H

#include "base/err.h"
#include "base/str.h"

struct env {
    int64_t (*now_ms)(void *arg);  /* wall clock */
    int64_t (*mono_ms)(void *arg); /* never goes back; for measuring */
    void (*random)(void *arg, void *out, size_t n);
    void *arg;
};

/* The real thing. In test builds the wall clock is moved by the file named in
 * COUNTERSIGN_TEST_CLOCK, which holds an offset in milliseconds as decimal text. */
extern const struct env env_system;

static inline int64_t env_now(const struct env *e)
{
    return e->now_ms(e->arg);
}
static inline int64_t env_mono(const struct env *e)
{
    return e->mono_ms(e->arg);
}

#define TIME_TEXT 25 /* "2026-11-22T09:00:00.000Z" and NUL */
void time_format(char out[TIME_TEXT], int64_t ms);
/* Accepts exactly the RFC 3339 forms with Z or an offset, 0 to 9 fraction digits. */
CS_CHECK int time_parse(struct str s, int64_t *ret);
/* "90s" "15m" "24h" "7d" (one unit, no sign) into milliseconds. */
CS_CHECK int duration_parse(struct str s, int64_t *ret);

#endif
