/* Durable work due at a time: deadlines, further attempts, deliveries. One thread looks for what is
 * due and does it; every job is a row, so nothing that is due is forgotten by a crash. Deadlines
 * that fall together are taken many to a transaction. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 64
#define LOOK_MS 200    /* looks at least so often: the clock may have been moved */
#define SWEEP_MS 30000 /* approved actions that nobody hurried */
#define PRUNE_MS 3600000

struct jobs {
    struct life *l;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, poked;
};

int job_set(struct store_tx *tx, struct str workspace, const char *kind, struct str ref,
            int64_t due, int64_t tries)
{
    return STORE_EXEC(tx, Q_JOB_SET, NULL, V_TEXT(workspace), V_C(kind), V_TEXT(ref), V_INT(due),
                      V_INT(tries));
}

int job_drop(struct store_tx *tx, struct str workspace, const char *kind, struct str ref)
{
    return STORE_EXEC(tx, Q_JOB_DROP, NULL, V_TEXT(workspace), V_C(kind), V_TEXT(ref));
}

struct due {
    char workspace[33], kind[16], ref[ID_SIZE];
};
struct batch {
    struct work work; /* first */
    struct arena *arena;
    int64_t now;
    size_t n;
    struct due due[BATCH];
};

static int read_due(struct store_tx *tx, void *arg)
{
    struct batch *b = arg;
    struct store_rows *rows = NULL;
    b->n = 0;
    int r = STORE_SELECT(tx, Q_JOB_DUE, &rows, V_INT(b->now), V_INT(BATCH));
    while (r == 0 && b->n < BATCH && (r = store_next(rows)) == 0) {
        struct due *d = &b->due[b->n];
        if (str_copy(d->workspace, sizeof d->workspace, store_text(rows, 0)) &&
            str_copy(d->kind, sizeof d->kind, store_text(rows, 1)) &&
            str_copy(d->ref, sizeof d->ref, store_text(rows, 2)))
            b->n++;
    }
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

/* --- deadlines ------------------------------------------------------------------------------- */

static bool deadline_of(const struct action *a, int64_t *ret_at, enum life_event *ret)
{
    static const struct {
        enum state state;
        size_t at;
        enum life_event event;
    } by[] = {{STATE_PENDING, offsetof(struct action, decide_by), EVENT_expire_pending},
              {STATE_APPROVED, offsetof(struct action, execute_by), EVENT_expire_approved},
              {STATE_BLOCKED, offsetof(struct action, execute_by), EVENT_expire_blocked}};
    for (size_t i = 0; i < sizeof by / sizeof by[0]; i++)
        if (by[i].state == a->state) {
            *ret_at = *(const int64_t *)(const void *)((const char *)a + by[i].at);
            *ret = by[i].event;
            return true;
        }
    return false;
}

static int expire_one(struct store_tx *tx, struct batch *b, const struct due *d)
{
    struct action a;
    int64_t at = 0;
    enum life_event ev;
    int r = action_load(tx, b->arena, str_c(d->workspace), str_c(d->ref), &a);
    if (r == ERR_NOT_FOUND)
        return job_drop(tx, str_c(d->workspace), JOB_EXPIRE, str_c(d->ref));
    if (r != 0)
        return r;
    if (!deadline_of(&a, &at, &ev))
        return job_drop(tx, a.workspace, JOB_EXPIRE, a.id);
    if (at > b->now)
        return job_set(tx, a.workspace, JOB_EXPIRE, a.id, at, 0);
    return life_advance(tx, &b->work, &a, ev, &(struct advance){.channel = STR("clock")});
}

static int expire_batch(struct store_tx *tx, void *arg)
{
    struct batch *b = arg;
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->due[i].kind, JOB_EXPIRE) == 0) {
            int r = expire_one(tx, b, &b->due[i]);
            if (r != 0)
                return r;
        }
    return 0;
}

/* --- the others ------------------------------------------------------------------------------ */

static int drop_one(struct store_tx *tx, void *arg)
{
    const struct due *d = arg;
    return job_drop(tx, str_c(d->workspace), d->kind, str_c(d->ref));
}

static int postpone_one(struct store_tx *tx, void *arg)
{
    const struct due *d = arg;
    return STORE_EXEC(tx, Q_JOB_LATER, NULL, V_C(d->workspace), V_C(d->kind), V_C(d->ref),
                      V_INT(SWEEP_MS));
}

/* The job stays, some way off, until the attempt that it asks for has been made and dropped it. */
static void send_one(struct life *l, struct due *d)
{
    if (store_tx(l->o.store, postpone_one, d) == 0)
        life_execute(l, str_c(d->workspace), str_c(d->ref));
}

static void run_others(struct life *l, struct batch *b)
{
    for (size_t i = 0; i < b->n && !l->stopping; i++) {
        struct due *d = &b->due[i];
        if (strcmp(d->kind, JOB_SEND) == 0)
            send_one(l, d);
        else if (strcmp(d->kind, JOB_DELIVER) == 0)
            resume_deliver(l, str_c(d->workspace), str_c(d->ref));
        else if (strcmp(d->kind, JOB_EXPIRE) != 0 && store_tx(l->o.store, drop_one, d) != 0)
            log_event(LOG_ERROR, "job.unknown", KV_C("kind", d->kind));
    }
}

static int prune(struct store_tx *tx, void *arg)
{
    const int64_t *now = arg;
    int64_t before = *now - (int64_t)IDEM_DAYS * 86400000;
    int r = STORE_EXEC(tx, Q_IDEM_PRUNE, NULL, V_INT(before));
    return r == 0 ? STORE_EXEC(tx, Q_REMEMBER_PRUNE, NULL, V_INT(before)) : r;
}

/* --- the thread ------------------------------------------------------------------------------ */

/* True: there may be more that is due. */
static bool look(struct life *l, struct batch *b)
{
    b->now = life_now(l);
    b->arena = arena_new(ARENA_MAX);
    int r = b->arena != NULL ? store_read(l->o.store, read_due, b) : ERR_NOMEM;
    if (r == 0 && b->n > 0)
        r = life_work(l, expire_batch, &b->work);
    if (r == 0)
        run_others(l, b);
    else
        log_event(LOG_ERROR, "jobs.failed", KV_C("why", err_name(r)));
    arena_free(b->arena);
    return r == 0 && b->n == BATCH;
}

static void rest(struct jobs *j)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&j->lock);
    if (!j->poked && !j->stop)
        pthread_cond_timedwait(&j->wake, &j->lock, &until);
    j->poked = false;
    pthread_mutex_unlock(&j->lock);
}

static void *run(void *arg)
{
    struct jobs *j = arg;
    struct life *l = j->l;
    struct batch *b = calloc(1, sizeof *b);
    CS_ASSERT(b != NULL);
    int64_t swept = env_mono(l->o.env), pruned = swept - PRUNE_MS;
    while (!j->stop) {
        bool more = l->lost ? false : look(l, b);
        int64_t mono = env_mono(l->o.env);
        if (mono - swept >= SWEEP_MS && l->ready) {
            swept = mono;
            sweep_approved(l);
        }
        if (mono - pruned >= PRUNE_MS) {
            pruned = mono;
            int64_t now = life_now(l);
            if (store_tx(l->o.store, prune, &now) != 0)
                log_event(LOG_WARN, "jobs.not_pruned", KV_N("at", now));
        }
        if (!more)
            rest(j);
    }
    free(b);
    return NULL;
}

int jobs_start(struct life *l)
{
    if (l->jobs != NULL)
        return 0;
    struct jobs *j = calloc(1, sizeof *j);
    if (j == NULL)
        return ERR_NOMEM;
    j->l = l;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->wake, NULL);
    if (pthread_create(&j->thread, NULL, run, j) != 0) {
        free(j);
        return ERR_NOMEM;
    }
    l->jobs = j;
    return 0;
}

void jobs_stop(struct life *l)
{
    struct jobs *j = l->jobs;
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->stop = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    pthread_cond_destroy(&j->wake);
    pthread_mutex_destroy(&j->lock);
    free(j);
    l->jobs = NULL;
}

void jobs_poke(struct life *l)
{
    struct jobs *j = l->jobs;
    if (j == NULL)
        return;
    pthread_mutex_lock(&j->lock);
    j->poked = true;
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}
