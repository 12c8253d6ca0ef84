/* Parked calls by action (buckets) and by deadline (a heap); one thread wakes those whose time is
 * up. One lock: what happens under it is a few pointers. Waking happens after it was let go. */
#include "http/waiters.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { BUCKETS = 4096, LONGEST_SLEEP_MS = 1000 };

struct entry {
    struct entry *next, **at; /* in its bucket, or in the list of those to be woken */
    void *parked;
    int64_t until;
    size_t place; /* in the heap */
    bool timed_out;
    struct str action;
    char text[];
};

struct bucket {
    struct entry *first;
    uint64_t stamp; /* the counter at its latest change */
};

struct waiters {
    const struct env *env;
    void (*wake)(void *arg, void *parked, bool timed_out);
    void *arg;
    pthread_t timer;
    pthread_mutex_t lock;
    pthread_cond_t sooner; /* an earlier deadline came, or it is over */
    struct entry **heap;   /* least deadline first */
    size_t n, room;
    uint64_t changes;
    bool closed, ended;
    struct bucket bucket[BUCKETS];
};

static struct bucket *bucket_of(struct waiters *w, struct str action)
{
    uint64_t h =
        14695981039346656037u; /* FNV-1a; action ids are ours, nobody can aim at a bucket */
    for (size_t i = 0; i < action.n; i++)
        h = (h ^ (unsigned char)action.p[i]) * 1099511628211u;
    return &w->bucket[(h ^ (h >> 32)) % BUCKETS];
}

/* --- the heap ----------------------------------------------------------------------------------
 */
static void heap_put(struct waiters *w, size_t i, struct entry *e)
{
    w->heap[i] = e;
    e->place = i;
}

static void sift_up(struct waiters *w, size_t i, struct entry *e)
{
    for (size_t up; i > 0 && w->heap[up = (i - 1) / 2]->until > e->until; i = up)
        heap_put(w, i, w->heap[up]);
    heap_put(w, i, e);
}

static void sift_down(struct waiters *w, size_t i, struct entry *e)
{
    for (size_t down; (down = 2 * i + 1) < w->n; i = down) {
        if (down + 1 < w->n && w->heap[down + 1]->until < w->heap[down]->until)
            down++;
        if (w->heap[down]->until >= e->until)
            break;
        heap_put(w, i, w->heap[down]);
    }
    heap_put(w, i, e);
}

static void heap_drop(struct waiters *w, struct entry *e)
{
    size_t i = e->place;
    struct entry *last = w->heap[--w->n];
    if (last == e)
        return;
    if (i > 0 && w->heap[(i - 1) / 2]->until > last->until)
        sift_up(w, i, last);
    else
        sift_down(w, i, last);
}

static int heap_room(struct waiters *w)
{
    if (w->n < w->room)
        return 0;
    size_t room = w->room ? 2 * w->room : 64;
    struct entry **heap = realloc(w->heap, room * sizeof *heap);
    if (!heap)
        return ERR_NOMEM;
    w->heap = heap;
    w->room = room;
    return 0;
}

/* --- taking out and waking ----------------------------------------------------------------------
 */
static void take_out(struct waiters *w, struct entry *e, bool timed_out, struct entry **woken)
{
    heap_drop(w, e);
    *e->at = e->next;
    if (e->next)
        e->next->at = e->at;
    e->timed_out = timed_out;
    e->next = *woken;
    *woken = e;
}

static void wake_list(struct waiters *w, struct entry *e)
{
    for (struct entry *next; e; e = next) {
        next = e->next;
        w->wake(w->arg, e->parked, e->timed_out);
        free(e);
    }
}

static struct timespec sleep_end(const struct waiters *w, int64_t now)
{
    int64_t ms = w->n > 0 ? w->heap[0]->until - now : LONGEST_SLEEP_MS;
    if (ms > LONGEST_SLEEP_MS)
        ms = LONGEST_SLEEP_MS; /* a clock that a test moves is noticed */
    if (ms < 1)
        ms = 1;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + ms * 1000000;
    return (struct timespec){.tv_sec = t.tv_sec + ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static void *timer_run(void *arg)
{
    struct waiters *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->ended) {
        int64_t now = env_mono(w->env);
        struct entry *woken = NULL;
        while (w->n > 0 && w->heap[0]->until <= now)
            take_out(w, w->heap[0], true, &woken);
        if (woken) {
            pthread_mutex_unlock(&w->lock);
            wake_list(w, woken);
            pthread_mutex_lock(&w->lock);
            continue;
        }
        struct timespec end = sleep_end(w, now);
        (void)pthread_cond_timedwait(&w->sooner, &w->lock, &end);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- the registry -------------------------------------------------------------------------------
 */
int waiters_new(const struct env *env, void (*wake)(void *arg, void *parked, bool timed_out),
                void *arg, struct waiters **ret)
{
    struct waiters *w = calloc(1, sizeof *w);
    pthread_condattr_t monotonic;
    if (!w)
        return ERR_NOMEM;
    w->env = env;
    w->wake = wake;
    w->arg = arg;
    CS_ASSERT(pthread_condattr_init(&monotonic) == 0 &&
              pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&w->sooner, &monotonic) == 0 &&
              pthread_mutex_init(&w->lock, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&w->timer, NULL, timer_run, w)) {
        free(w);
        return ERR_IO;
    }
    *ret = w;
    return 0;
}

void waiters_free(struct waiters *w)
{
    if (!w)
        return;
    CS_ASSERT(w->n == 0);
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_cond_signal(&w->sooner);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->timer, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->sooner);
    free(w->heap);
    free(w);
}

uint64_t waiters_mark(struct waiters *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t mark = w->changes;
    pthread_mutex_unlock(&w->lock);
    return mark;
}

static void enter(struct waiters *w, struct bucket *b, struct entry *e)
{
    e->next = b->first;
    e->at = &b->first;
    if (e->next)
        e->next->at = &e->next;
    b->first = e;
    sift_up(w, w->n++, e);
    if (e->place == 0)
        pthread_cond_signal(&w->sooner);
}

int waiters_park(struct waiters *w, struct str action, uint64_t mark, int64_t until, void *parked)
{
    struct entry *e = malloc(sizeof *e + action.n);
    if (!e)
        return ERR_NOMEM;
    *e = (struct entry){.parked = parked, .until = until, .action = {e->text, action.n}};
    if (action.n > 0)
        memcpy(e->text, action.p, action.n);
    struct bucket *b = bucket_of(w, action);
    pthread_mutex_lock(&w->lock);
    int r = heap_room(w);
    bool closed = w->closed, changed = b->stamp > mark, keep = !r && !closed && !changed;
    if (keep)
        enter(w, b, e);
    pthread_mutex_unlock(&w->lock);
    if (keep)
        return 0;
    free(e);
    if (!r)
        w->wake(w->arg, parked, closed && !changed);
    return r;
}

void waiters_wake(struct waiters *w, struct str action)
{
    struct bucket *b = bucket_of(w, action);
    struct entry *woken = NULL;
    pthread_mutex_lock(&w->lock);
    b->stamp = ++w->changes;
    for (struct entry *e = b->first, *next; e; e = next) {
        next = e->next;
        if (str_eq(e->action, action))
            take_out(w, e, false, &woken);
    }
    pthread_mutex_unlock(&w->lock);
    wake_list(w, woken);
}

void waiters_wake_all(struct waiters *w)
{
    struct entry *woken = NULL;
    pthread_mutex_lock(&w->lock);
    w->closed = true;
    while (w->n > 0)
        take_out(w, w->heap[w->n - 1], true, &woken);
    pthread_mutex_unlock(&w->lock);
    wake_list(w, woken);
}

size_t waiters_count(struct waiters *w)
{
    pthread_mutex_lock(&w->lock);
    size_t n = w->n;
    pthread_mutex_unlock(&w->lock);
    return n;
}
