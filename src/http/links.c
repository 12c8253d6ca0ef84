/* A list, and a thread that walks it once a second. */
#include "http/links.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* idle: no request line yet. Zero is the state that is watched most closely. */
enum { LINK_BEGUN = 0, LINK_IDLE, LINK_BUSY, LINK_ENDED };

struct links {
    const struct env *env;
    int64_t limit;
    struct str words;
    pthread_t watcher;
    pthread_mutex_t lock;
    pthread_cond_t end_bell;
    struct link *first;
    bool ended;
};

void link_last_words(const struct link *k, struct str words)
{
    /* nothing else is written while a request is still arriving, so this cannot tear an answer */
    (void)!send(k->fd, words.p, words.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(k->fd, SHUT_RDWR);
}

static void judge(const struct links *l, struct link *k, int64_t now)
{
    int state = atomic_load(&k->state);
    int64_t waited = now - atomic_load(&k->since);
    /* the request line alone may take as long as the rest: both clocks start at zero */
    if ((state != LINK_BEGUN && state != LINK_IDLE) || waited < l->limit)
        return;
    if (!atomic_compare_exchange_strong(&k->state, &state, LINK_ENDED))
        return;
    if (state == LINK_BEGUN)
        link_last_words(k, l->words);
    else
        (void)shutdown(k->fd, SHUT_RDWR);
}

static void *watch(void *arg)
{
    struct links *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->ended) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += 1;
        (void)pthread_cond_timedwait(&l->end_bell, &l->lock, &t);
        int64_t now = env_mono(l->env);
        for (struct link *k = l->first; k; k = k->next)
            judge(l, k, now);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

int links_new(const struct env *env, int64_t limit_ms, struct str words, struct links **ret)
{
    struct links *l = calloc(1, sizeof *l);
    pthread_condattr_t monotonic;
    if (!l)
        return ERR_NOMEM;
    *l = (struct links){.env = env, .limit = limit_ms, .words = words};
    CS_ASSERT(pthread_condattr_init(&monotonic) == 0 &&
              pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&l->end_bell, &monotonic) == 0 &&
              pthread_mutex_init(&l->lock, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&l->watcher, NULL, watch, l)) {
        free(l);
        return ERR_IO;
    }
    *ret = l;
    return 0;
}

void links_free(struct links *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->ended = true;
    pthread_cond_signal(&l->end_bell);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->watcher, NULL);
    CS_ASSERT(!l->first);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->end_bell);
    free(l);
}

int link_open(struct links *l, int fd, struct link **ret)
{
    struct link *k = calloc(1, sizeof *k);
    if (!k)
        return ERR_NOMEM;
    k->fd = fd;
    k->state = LINK_IDLE;
    k->since = env_mono(l->env);
    pthread_mutex_lock(&l->lock);
    k->next = l->first;
    k->at = &l->first;
    if (k->next)
        k->next->at = &k->next;
    l->first = k;
    pthread_mutex_unlock(&l->lock);
    *ret = k;
    return 0;
}

void link_close(struct links *l, struct link *k)
{
    if (!k)
        return;
    pthread_mutex_lock(&l->lock);
    *k->at = k->next;
    if (k->next)
        k->next->at = k->at;
    pthread_mutex_unlock(&l->lock);
    free(k);
}

static void move(struct links *l, struct link *k, int from, int to)
{
    atomic_store(&k->since, env_mono(l->env));
    (void)atomic_compare_exchange_strong(&k->state, &from, to);
}

void link_begun(struct links *l, struct link *k)
{
    move(l, k, LINK_IDLE, LINK_BEGUN);
}

bool link_arrived(struct link *k)
{
    int state = LINK_BEGUN;
    return atomic_compare_exchange_strong(&k->state, &state, LINK_BUSY);
}

void link_idle(struct links *l, struct link *k)
{
    move(l, k, LINK_BUSY, LINK_IDLE);
}
