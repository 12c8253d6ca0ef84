/* First come, first served. Jobs are linked through themselves, so that queueing cannot fail. */
#include "http/workers.h"

#include <pthread.h>
#include <stdlib.h>

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *first, **last;
    size_t queued, limit, n;
    bool ended;
    pthread_t thread[];
};

static void append(struct workers *w, struct job *j)
{
    j->next = NULL;
    *w->last = j;
    w->last = &j->next;
    w->queued++;
    pthread_cond_signal(&w->work);
}

static struct job *take(struct workers *w)
{
    struct job *j = w->first;
    w->first = j->next;
    if (!w->first)
        w->last = &w->first;
    w->queued--;
    return j;
}

static void *worker_run(void *arg)
{
    struct workers *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!w->first && !w->ended)
            pthread_cond_wait(&w->work, &w->lock);
        if (!w->first)
            break;
        struct job *j = take(w);
        pthread_mutex_unlock(&w->lock);
        j->run(j);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int workers_new(size_t threads, size_t queue, struct workers **ret)
{
    struct workers *w = calloc(1, sizeof *w + threads * sizeof w->thread[0]);
    if (!w)
        return ERR_NOMEM;
    w->last = &w->first;
    w->limit = queue;
    CS_ASSERT(pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->work, NULL) == 0);
    while (w->n < threads && pthread_create(&w->thread[w->n], NULL, worker_run, w) == 0)
        w->n++;
    if (w->n < threads) {
        workers_end(w);
        workers_free(w);
        return ERR_IO;
    }
    *ret = w;
    return 0;
}

bool workers_offer(struct workers *w, struct job *j)
{
    pthread_mutex_lock(&w->lock);
    bool room = !w->ended && w->queued < w->limit;
    if (room)
        append(w, j);
    pthread_mutex_unlock(&w->lock);
    return room;
}

void workers_put(struct workers *w, struct job *j)
{
    pthread_mutex_lock(&w->lock);
    append(w, j);
    pthread_mutex_unlock(&w->lock);
}

size_t workers_queued(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    size_t n = w->queued;
    pthread_mutex_unlock(&w->lock);
    return n;
}

void workers_end(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->n; i++)
        pthread_join(w->thread[i], NULL);
    w->n = 0;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    free(w);
}
