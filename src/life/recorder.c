/* Results wait here until a thread writes them down. Several threads, so that the store can gather
 * their commits into one; the queue is bounded by what keeper lets be in flight. A store that
 * cannot write just now is tried again: keeper keeps the result until it is told that it is
 * recorded. */
#include "life/inside.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RECORDERS 16
#define RETRY_MS 500

enum item_kind { ITEM_RESULT, ITEM_HEAD, ITEM_DELIVERED };
struct item {
    struct item *next;
    enum item_kind kind;
    struct keeper_result result;
    int fd;
    struct delivered delivered;
};

struct recorder {
    struct life *l;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct item *first, **last;
    bool stop;
    pthread_t thread[RECORDERS];
    size_t n_threads;
};

static void free_item(struct item *it)
{
    if (it->kind != ITEM_DELIVERED)
        keeper_result_free(&it->result);
    if (it->kind == ITEM_HEAD && it->fd >= 0)
        close(it->fd);
    free(it);
}

static void put(struct recorder *rec, struct item *it)
{
    it->next = NULL;
    pthread_mutex_lock(&rec->lock);
    *rec->last = it;
    rec->last = &it->next;
    pthread_cond_signal(&rec->more);
    pthread_mutex_unlock(&rec->lock);
}

static struct item *take(struct recorder *rec)
{
    pthread_mutex_lock(&rec->lock);
    while (rec->first == NULL && !rec->stop)
        pthread_cond_wait(&rec->more, &rec->lock);
    struct item *it = rec->first;
    if (it != NULL) {
        rec->first = it->next;
        if (rec->first == NULL)
            rec->last = &rec->first;
    }
    pthread_mutex_unlock(&rec->lock);
    return it;
}

struct head {
    struct work work; /* first */
    struct flight *flight;
};

/* A streamed answer: the intent is in the log before the first byte goes on. */
static int write_started(struct store_tx *tx, void *arg)
{
    const struct head *h = arg;
    return life_audit(tx, h->work.l, &h->flight->pending_row, AUDIT_ACTION_SENDING,
                      &(struct advance){.channel = STR("proxy")}, NULL);
}

static void take_head(struct life *l, struct item *it)
{
    struct flight *fl = flight_find(l, it->result.action);
    if (fl == NULL)
        return; /* nobody waits: the descriptor is closed with the item */
    struct head *h = calloc(1, sizeof *h);
    int r = h != NULL ? 0 : ERR_NOMEM;
    if (r == 0 && fl->read_once) {
        h->flight = fl;
        r = life_work(l, write_started, &h->work);
    }
    if (r == 0) {
        pthread_mutex_lock(&fl->lock);
        fl->head = it->result;
        it->result = (struct keeper_result){0};
        fl->stream_fd = it->fd;
        it->fd = -1;
        fl->has_head = true;
        pthread_mutex_unlock(&fl->lock);
        if (l->o.changed != NULL)
            l->o.changed(l->o.arg, &(struct life_change){.workspace = str_c(fl->workspace),
                                                         .action = str_c(fl->id)});
    }
    free(h);
    flight_unref(fl);
}

/* False: not now, try again. keeper may report what a gate before us began as soon as it is bound,
 * and that is before the roster is there. */
static bool work_on(struct life *l, struct item *it)
{
    if (!l->knows_people)
        return false;
    switch (it->kind) {
    case ITEM_HEAD:
        take_head(l, it);
        return true;
    case ITEM_DELIVERED:
        life_delivered(l, &it->delivered);
        return true;
    case ITEM_RESULT:
        break;
    }
    int r = record_result(l, &it->result);
    if (r == 0 || r == ERR_NOT_FOUND)
        return true;
    log_event(LOG_ERROR, "life.not_recorded", KV_C("action", it->result.action),
              KV_C("why", err_name(r)));
    return false;
}

static void *run(void *arg)
{
    struct recorder *rec = arg;
    struct item *it;
    while ((it = take(rec)) != NULL) {
        if (work_on(rec->l, it) || rec->stop) {
            free_item(it);
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)RETRY_MS * 1000000}, NULL);
        put(rec, it);
    }
    return NULL;
}

int recorder_start(struct life *l)
{
    struct recorder *rec = calloc(1, sizeof *rec);
    if (rec == NULL)
        return ERR_NOMEM;
    rec->l = l;
    rec->last = &rec->first;
    pthread_mutex_init(&rec->lock, NULL);
    pthread_cond_init(&rec->more, NULL);
    l->recorder = rec;
    for (; rec->n_threads < RECORDERS; rec->n_threads++)
        if (pthread_create(&rec->thread[rec->n_threads], NULL, run, rec) != 0)
            return ERR_NOMEM;
    return 0;
}

/* What is queued is still written down; what fails now is asked of keeper again at the next start.
 */
void recorder_stop(struct life *l)
{
    struct recorder *rec = l->recorder;
    if (rec == NULL)
        return;
    pthread_mutex_lock(&rec->lock);
    rec->stop = true;
    pthread_cond_broadcast(&rec->more);
    pthread_mutex_unlock(&rec->lock);
    for (size_t i = 0; i < rec->n_threads; i++)
        pthread_join(rec->thread[i], NULL);
    pthread_cond_destroy(&rec->more);
    pthread_mutex_destroy(&rec->lock);
    free(rec);
    l->recorder = NULL;
}

static struct item *new_item(enum item_kind kind)
{
    struct item *it = calloc(1, sizeof *it);
    CS_ASSERT(it !=
              NULL); /* a result that cannot be kept must not be lost quietly: keeper has it */
    it->kind = kind;
    it->fd = -1;
    return it;
}

void recorder_take(struct life *l, struct keeper_result *r)
{
    struct item *it = new_item(ITEM_RESULT);
    it->result = *r;
    *r = (struct keeper_result){0};
    put(l->recorder, it);
}

void recorder_take_head(struct life *l, struct keeper_result *r, int fd)
{
    struct item *it = new_item(ITEM_HEAD);
    it->result = *r;
    *r = (struct keeper_result){0};
    it->fd = fd;
    put(l->recorder, it);
}

void recorder_take_delivered(struct life *l, const struct delivered *d)
{
    struct item *it = new_item(ITEM_DELIVERED);
    it->delivered = *d;
    put(l->recorder, it);
}
