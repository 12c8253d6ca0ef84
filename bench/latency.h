/* Latencies of one run: every one is kept, so percentiles are exact and a single stall shows in the
 * maximum. Refuses nothing; without memory the program ends, as figures with gaps are worth
 * nothing. Times are nanoseconds of the monotonic clock, stored as microseconds. */
#ifndef CS_BENCH_LATENCY_H
#define CS_BENCH_LATENCY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct latencies {
    uint32_t *us; /* owned */
    size_t n, cap;
};

static inline int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static inline void latencies_add(struct latencies *l, int64_t ns)
{
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? l->cap * 2 : 65536;
        l->us = realloc(l->us, l->cap * sizeof *l->us);
        if (l->us == NULL) {
            perror("latencies");
            exit(1);
        }
    }
    l->us[l->n++] = (uint32_t)(ns / 1000);
}

static inline int latencies_compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Milliseconds; the latencies must be sorted. */
static inline double latencies_at(const struct latencies *l, double share)
{
    if (l->n == 0)
        return 0;
    size_t i = (size_t)(share * (double)l->n);
    return l->us[i < l->n ? i : l->n - 1] / 1000.0;
}

static inline void latencies_sort(struct latencies *l)
{
    if (l->n > 0)
        qsort(l->us, l->n, sizeof *l->us, latencies_compare);
}

/* Sorts, then prints the members that every figure has, without braces: report.mjs reads them. */
static inline void latencies_print(struct latencies *l, double seconds)
{
    latencies_sort(l);
    printf("\"per_second\":%.1f,\"n\":%zu,\"seconds\":%.2f,"
           "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f",
           seconds > 0 ? (double)l->n / seconds : 0, l->n, seconds, latencies_at(l, 0.50),
           latencies_at(l, 0.99), latencies_at(l, 1.0));
}

#endif
