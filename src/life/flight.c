/* Calls in flight: what a waiting request and the thread that brings the answer share. A flight is
 * in memory alone; everything that must survive is in the store or in keeper's journal. */
#include "life/inside.h"

#include <stdlib.h>
#include <unistd.h>

static struct flight **bucket_of(struct flights *t, const char *id)
{
    /* The end of an id is random: a few of its characters spread well. */
    unsigned h = 0;
    for (size_t i = ID_SIZE - 9; i < ID_SIZE - 1; i++)
        h = h * 33 + (unsigned char)id[i];
    return &t->bucket[h % FLIGHT_BUCKETS];
}

struct flight *flight_new(struct life *l, struct str workspace, const char *id)
{
    struct flight *fl = calloc(1, sizeof *fl);
    if (fl == NULL)
        return NULL;
    fl->refs = 2; /* the table's and the caller's */
    fl->stream_fd = -1;
    pthread_mutex_init(&fl->lock, NULL);
    CS_ASSERT(str_copy(fl->id, sizeof fl->id, str_c(id)));
    CS_ASSERT(str_copy(fl->workspace, sizeof fl->workspace, workspace));
    struct flights *t = &l->flights;
    pthread_mutex_lock(&t->lock);
    struct flight **b = bucket_of(t, id);
    fl->next = *b;
    *b = fl;
    t->n++;
    pthread_mutex_unlock(&t->lock);
    return fl;
}

void flight_unref(struct flight *fl)
{
    if (fl == NULL || atomic_fetch_sub(&fl->refs, 1) != 1)
        return;
    if (fl->has_result)
        keeper_result_free(&fl->result);
    if (fl->has_head)
        keeper_result_free(&fl->head);
    if (fl->stream_fd >= 0)
        close(fl->stream_fd);
    arena_free(fl->arena);
    pthread_mutex_destroy(&fl->lock);
    free(fl);
}

struct flight *flight_find(struct life *l, const char *id)
{
    struct flights *t = &l->flights;
    pthread_mutex_lock(&t->lock);
    struct flight *fl = *bucket_of(t, id);
    while (fl != NULL && strcmp(fl->id, id) != 0)
        fl = fl->next;
    if (fl != NULL)
        atomic_fetch_add(&fl->refs, 1);
    pthread_mutex_unlock(&t->lock);
    return fl;
}

void flight_land(struct life *l, struct flight *fl)
{
    struct flights *t = &l->flights;
    bool was_in = false;
    pthread_mutex_lock(&t->lock);
    for (struct flight **p = bucket_of(t, fl->id); *p != NULL; p = &(*p)->next)
        if (*p == fl) {
            *p = fl->next;
            t->n--;
            was_in = true;
            break;
        }
    pthread_mutex_unlock(&t->lock);
    if (was_in)
        flight_unref(fl);
}

const struct keeper_result *flight_result(const struct flight *fl)
{
    struct flight *m = (struct flight *)(uintptr_t)fl;
    pthread_mutex_lock(&m->lock);
    bool has = m->has_result;
    pthread_mutex_unlock(&m->lock);
    return has ? &fl->result : NULL; /* written once, before has_result */
}

const struct keeper_result *flight_head(struct flight *fl, int *ret_fd)
{
    pthread_mutex_lock(&fl->lock);
    bool has = fl->has_head;
    *ret_fd = fl->stream_fd;
    fl->stream_fd = -1;
    pthread_mutex_unlock(&fl->lock);
    return has ? &fl->head : NULL;
}

static void lose(struct life *l, struct flight *fl)
{
    struct keeper_result r = {.kind = RESULT_UNKNOWN, .attempt = 1, .revision = 1};
    CS_ASSERT(str_copy(r.action, sizeof r.action, str_c(fl->id)));
    CS_ASSERT(str_copy(r.workspace, sizeof r.workspace, str_c(fl->workspace)));
    buf_init(&r.body, 0);
    recorder_take(l, &r);
}

void flights_lost(struct life *l)
{
    struct flights *t = &l->flights;
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++) {
        pthread_mutex_lock(&t->lock);
        for (struct flight *fl = t->bucket[i]; fl != NULL; fl = fl->next)
            if ((fl->read_once || fl->repair_for[0] != '\0') && !fl->has_result)
                lose(l, fl);
        pthread_mutex_unlock(&t->lock);
    }
}
