/* http/waiters and http/workers: nobody who waits is forgotten, woken twice, or woken for another.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "http/waiters.h"
#include "http/workers.h"

enum { FAR = 3600 * 1000 };

/* One who waits, and what happened to it. */
struct sleeper {
    _Atomic int woken, timed_out;
};

static void wake(void *arg, void *parked, bool timed_out)
{
    struct sleeper *s = parked;
    (void)arg;
    atomic_fetch_add(&s->timed_out, timed_out ? 1 : 0);
    atomic_fetch_add(&s->woken, 1);
}

static struct waiters *registry(void)
{
    struct waiters *w = NULL;
    assert_int_equal(waiters_new(&env_system, wake, NULL, &w), 0);
    return w;
}

static int64_t far(void)
{
    return env_mono(&env_system) + FAR;
}

static void rest(void)
{
    const struct timespec t = {.tv_nsec = 2000000};
    (void)nanosleep(&t, NULL);
}

/* Without limit: the test's runner has one, and it says where it hung. */
static void until_woken(struct sleeper *s, int times)
{
    while (atomic_load(&s->woken) < times)
        rest();
}

static void test_change_wakes_its_own(void **state)
{
    struct waiters *w = registry();
    struct sleeper a = {0}, b = {0}, a2 = {0};
    (void)state;
    uint64_t mark = waiters_mark(w);
    assert_int_equal(waiters_park(w, STR("act_a"), mark, far(), &a), 0);
    assert_int_equal(waiters_park(w, STR("act_b"), mark, far(), &b), 0);
    assert_int_equal(waiters_park(w, STR("act_a"), mark, far(), &a2), 0);
    assert_int_equal(waiters_count(w), 3);
    waiters_wake(w, STR("act_a"));
    assert_int_equal(a.woken, 1);
    assert_int_equal(a2.woken, 1);
    assert_int_equal(a.timed_out, 0);
    assert_int_equal(b.woken, 0);
    assert_int_equal(waiters_count(w), 1);
    waiters_wake(w, STR("act_a"));
    assert_int_equal(a.woken, 1);
    waiters_wake(w, STR("act_b"));
    assert_int_equal(b.woken, 1);
    waiters_free(w);
}

/* The change came between looking at the store and parking. */
static void test_change_before_parking_is_not_lost(void **state)
{
    struct waiters *w = registry();
    struct sleeper s = {0};
    (void)state;
    uint64_t mark = waiters_mark(w);
    waiters_wake(w, STR("act_a"));
    assert_int_equal(waiters_park(w, STR("act_a"), mark, far(), &s), 0);
    assert_int_equal(s.woken, 1);
    assert_int_equal(s.timed_out, 0);
    assert_int_equal(waiters_count(w), 0);
    waiters_free(w);
}

/* A change that the mark already covers was seen by the look at the store. */
static void test_older_change_does_not_wake(void **state)
{
    struct waiters *w = registry();
    struct sleeper s = {0};
    (void)state;
    waiters_wake(w, STR("act_a"));
    uint64_t mark = waiters_mark(w);
    assert_int_equal(waiters_park(w, STR("act_a"), mark, far(), &s), 0);
    assert_int_equal(s.woken, 0);
    assert_int_equal(waiters_count(w), 1);
    waiters_wake_all(w);
    waiters_free(w);
}

static void test_time_is_up(void **state)
{
    struct waiters *w = registry();
    struct sleeper late = {0}, soon = {0}, past = {0}, never = {0};
    int64_t now = env_mono(&env_system);
    (void)state;
    assert_int_equal(waiters_park(w, STR("n"), waiters_mark(w), far(), &never), 0);
    assert_int_equal(waiters_park(w, STR("l"), waiters_mark(w), now + 60, &late), 0);
    assert_int_equal(waiters_park(w, STR("s"), waiters_mark(w), now + 20, &soon), 0);
    assert_int_equal(waiters_park(w, STR("p"), waiters_mark(w), now - 5, &past), 0);
    until_woken(&past, 1);
    until_woken(&soon, 1);
    until_woken(&late, 1);
    assert_int_equal(past.timed_out, 1);
    assert_int_equal(soon.timed_out, 1);
    assert_int_equal(late.timed_out, 1);
    assert_int_equal(never.woken, 0);
    waiters_wake_all(w);
    assert_int_equal(never.timed_out, 1);
    waiters_free(w);
}

/* Deadlines out of order, and some woken from the middle: each exactly once. */
static void test_many(void **state)
{
    enum { N = 5000 };
    struct waiters *w = registry();
    struct sleeper *s = calloc(N, sizeof *s);
    (void)state;
    int64_t now = env_mono(&env_system);
    for (int i = 0; i < N; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "act_%d", i);
        int64_t end = i % 3 == 0 ? now + (i * 7919) % 50 : far() + (i * 7919) % 1000;
        assert_int_equal(waiters_park(w, str_c(id), waiters_mark(w), end, &s[i]), 0);
    }
    for (int i = 1; i < N; i += 3) {
        char id[16];
        (void)snprintf(id, sizeof id, "act_%d", i);
        waiters_wake(w, str_c(id));
    }
    for (int i = 0; i < N; i += 3)
        until_woken(&s[i], 1);
    waiters_wake_all(w);
    assert_int_equal(waiters_count(w), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(s[i].woken, 1);
        assert_int_equal(s[i].timed_out, i % 3 == 1 ? 0 : 1);
    }
    waiters_free(w);
    free(s);
}

static void test_nobody_is_kept_after_the_end(void **state)
{
    struct waiters *w = registry();
    struct sleeper before = {0}, after = {0};
    (void)state;
    assert_int_equal(waiters_park(w, STR("a"), waiters_mark(w), far(), &before), 0);
    waiters_wake_all(w);
    assert_int_equal(before.timed_out, 1);
    assert_int_equal(waiters_park(w, STR("a"), waiters_mark(w), far(), &after), 0);
    assert_int_equal(after.woken, 1);
    assert_int_equal(after.timed_out, 1);
    waiters_free(w);
}

/* --- parking against changing, from two threads -------------------------------------------------
 */
enum { ROUNDS = 20000 };
struct race {
    struct waiters *w;
    _Atomic int version; /* the store: what a handler looks at */
};

static void *change(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&r->version, 1);
        waiters_wake(r->w, STR("act_race"));
    }
    return NULL;
}

/* Whoever saw less than the last version must be woken by a later change. */
static void test_race(void **state)
{
    struct race r = {.w = registry()};
    pthread_t t;
    (void)state;
    assert_int_equal(pthread_create(&t, NULL, change, &r), 0);
    for (int seen = -1; seen < ROUNDS;) {
        struct sleeper s = {0};
        uint64_t mark = waiters_mark(r.w);
        seen = atomic_load(&r.version);
        if (seen == ROUNDS)
            break;
        assert_int_equal(waiters_park(r.w, STR("act_race"), mark, far(), &s), 0);
        while (atomic_load(&s.woken) == 0)
            (void)0;
        assert_int_equal(s.timed_out, 0);
    }
    pthread_join(t, NULL);
    assert_int_equal(waiters_count(r.w), 0);
    waiters_free(r.w);
}

/* --- workers ------------------------------------------------------------------------------------
 */
struct step {
    struct job job;
    pthread_mutex_t *gate;
    _Atomic int *ran;
};

static void run_step(struct job *j)
{
    struct step *s = (struct step *)j;
    if (s->gate) {
        pthread_mutex_lock(s->gate);
        pthread_mutex_unlock(s->gate);
    }
    atomic_fetch_add(s->ran, 1);
}

static void test_full_queue_refuses_what_is_new(void **state)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    _Atomic int ran = 0;
    struct step s[5];
    struct workers *w = NULL;
    (void)state;
    for (int i = 0; i < 5; i++)
        s[i] = (struct step){.job.run = run_step, .gate = i == 0 ? &gate : NULL, .ran = &ran};
    assert_int_equal(workers_new(1, 2, &w), 0);
    pthread_mutex_lock(&gate);
    assert_true(workers_offer(w, &s[0].job));
    while (workers_queued(w) > 0)
        rest(); /* the one worker has it and stands at the gate */
    assert_true(workers_offer(w, &s[1].job));
    assert_true(workers_offer(w, &s[2].job));
    assert_false(workers_offer(w, &s[3].job));
    workers_put(w, &s[4].job); /* was taken on before: never refused */
    assert_int_equal(workers_queued(w), 3);
    pthread_mutex_unlock(&gate);
    workers_end(w);
    assert_int_equal(ran, 4);
    assert_false(workers_offer(w, &s[3].job));
    workers_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_wakes_its_own),
        cmocka_unit_test(test_change_before_parking_is_not_lost),
        cmocka_unit_test(test_older_change_does_not_wake),
        cmocka_unit_test(test_time_is_up),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_nobody_is_kept_after_the_end),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_full_queue_refuses_what_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
