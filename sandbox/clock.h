/* The sandbox's time: the real one plus an offset that a test may move. */
#ifndef SANDBOX_CLOCK_H
#define SANDBOX_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t offset_ms;
};

#define ISO_SIZE 32

/* Milliseconds since 1970, moved by the offset. */
int64_t clock_now(const struct clock *c);
/* "2026-11-22T10:00:00Z", as Plaid writes times. */
void clock_iso(int64_t ms, char out[ISO_SIZE]);
/* "2026-11-22", `days` later than ms. */
void clock_date(int64_t ms, int days, char out[ISO_SIZE]);
/* Milliseconds that no test moves; for delays. */
int64_t clock_steady(void);

#endif
