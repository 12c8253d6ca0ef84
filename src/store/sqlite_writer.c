/* The one thread that writes. It takes the functions that wait, runs each in a savepoint of one
 * transaction, commits once for all of them (group commit), and only then lets their callers go.
 * There is no timer: what arrives while it commits is the next batch, so that a lone function is
 * committed at once and a crowd shares an fsync.
 *
 * It refuses to acknowledge anything before COMMIT has returned. A function that fails is rolled
 * back alone; when SQLite has ended the whole transaction, or COMMIT fails, the batch fails. */
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include "base/crash.h"
#include "base/log.h"
#include "store/sqlite.h"

#define BATCH_MAX 512 /* bounds how long the first of a batch waits for the last */
/* In WAL frames of one page. A checkpoint stalls the writer for some milliseconds; at 8192 (32 MiB)
 * that meets fewer than one batch in a hundred, and recovery still takes far less than a second. */
#define CHECKPOINT_FRAMES 8192
/* Readers that follow each other closely can keep a passive checkpoint from ever starting the WAL
 * again; from here on the writer waits for them, but not long: one of them may be slow. */
#define CHECKPOINT_WAIT_FRAMES (CHECKPOINT_FRAMES * 2)
#define CHECKPOINT_WAIT_MS 200

/* Lives on its caller's stack until `done` is posted. */
struct sqlite_call {
    store_fn *fn;
    void *arg;
    int result;
    sem_t done; /* one each: waking a batch wakes nobody else */
    struct sqlite_call *next;
};

struct batch {
    struct sqlite_call *first, **last;
    size_t n;
};

static void append(struct sqlite_writer *w, struct sqlite_call *call)
{
    pthread_mutex_lock(&w->lock);
    CS_ASSERT(!w->closing);
    call->next = NULL;
    *w->last = call;
    w->last = &call->next;
    if (w->idle)
        pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->lock);
}

/* Moves the call that has waited longest into the batch; NULL when none waits or it is full. */
static struct sqlite_call *take(struct sqlite_writer *w, struct batch *b)
{
    if (b->n == BATCH_MAX)
        return NULL;
    pthread_mutex_lock(&w->lock);
    struct sqlite_call *call = w->first;
    if (call != NULL) {
        w->first = call->next;
        if (w->first == NULL)
            w->last = &w->first;
    }
    pthread_mutex_unlock(&w->lock);
    if (call != NULL) {
        call->next = NULL;
        *b->last = call;
        b->last = &call->next;
        b->n++;
    }
    return call;
}

/* Sleeps until somebody waits; false once nobody ever will. */
static bool await(struct sqlite_writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->idle = true;
    while (w->first == NULL && !w->closing)
        pthread_cond_wait(&w->arrived, &w->lock);
    w->idle = false;
    bool more = w->first != NULL;
    pthread_mutex_unlock(&w->lock);
    return more;
}

/* 0: the transaction stands, and the call has its own result. Otherwise the batch is lost. */
static int run_call(struct sqlite_conn *c, struct sqlite_call *call)
{
    int err = sqlite_conn_verb(c, VERB_SAVEPOINT);
    if (err != 0)
        return err;
    call->result = sqlite_conn_call(c, call->fn, call->arg);
    if (!sqlite_conn_in_tx(c)) /* SQLite has rolled back by itself, earlier calls' work included */
        return c->err != 0 ? c->err : ERR_STORE;
    if (call->result != 0)
        err = sqlite_conn_verb(c, VERB_ROLLBACK_TO);
    return err != 0 ? err : sqlite_conn_verb(c, VERB_RELEASE);
}

static int run_waiting(struct sqlite_writer *w, struct batch *b)
{
    struct sqlite_call *call;
    int err = sqlite_conn_verb(w->conn, VERB_BEGIN_WRITE);
    if (err != 0) { /* whoever waits is told now: the next BEGIN would keep them as long again */
        while (take(w, b) != NULL)
            ;
        return err;
    }
    /* those who arrive meanwhile are still taken along */
    while (err == 0 && (call = take(w, b)) != NULL)
        err = run_call(w->conn, call);
    CRASHPOINT(store_before_commit);
    if (err == 0)
        err = sqlite_conn_verb(w->conn, VERB_COMMIT);
    CRASHPOINT(store_after_commit);
    return err;
}

/* When the batch is lost, calls that had failed by themselves get the batch's error too: what they
 * judged by may have been the work of another call, which now never happened. */
static void release(struct sqlite_writer *w, struct batch *b, int err)
{
    atomic_fetch_add(err == 0 ? &w->functions : &w->failures, b->n);
    atomic_fetch_add(&w->commits, err == 0);
    for (struct sqlite_call *call = b->first, *next; call != NULL; call = next) {
        next = call->next; /* after the post the call is gone */
        if (err != 0)
            call->result = err;
        sem_post(&call->done);
    }
}

/* After the callers have gone their way. A failure loses nothing, since the WAL still has it all;
 * it is logged, a failed fsync ends the process, and it is tried again later. */
static void checkpoint(struct sqlite_writer *w, int mode)
{
    int rc = sqlite3_wal_checkpoint_v2(w->conn->db, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        (void)sqlite_conn_fail(w->conn, rc, "checkpoint");
}

static int note_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
    struct sqlite_writer *w = arg;
    (void)db;
    (void)name;
    if (frames < w->wal_frames) /* the WAL has been started again */
        w->checkpoint_at = CHECKPOINT_FRAMES;
    w->wal_frames = frames;
    return SQLITE_OK;
}

/* While a reader holds on to an old snapshot a checkpoint costs fsyncs and gains nothing, so the
 * next try is a good way off. */
static void keep_wal_short(struct sqlite_writer *w)
{
    if (w->wal_frames < w->checkpoint_at)
        return;
    w->checkpoint_at = w->wal_frames + CHECKPOINT_FRAMES;
    if (w->wal_frames < CHECKPOINT_WAIT_FRAMES) {
        checkpoint(w, SQLITE_CHECKPOINT_PASSIVE);
        return;
    }
    sqlite3_busy_timeout(w->conn->db, CHECKPOINT_WAIT_MS);
    checkpoint(w, SQLITE_CHECKPOINT_RESTART);
    sqlite3_busy_timeout(w->conn->db, BUSY_MS);
}

static void *write_loop(void *arg)
{
    struct sqlite_writer *w = arg;
    while (await(w)) {
        struct batch b = {.first = NULL};
        b.last = &b.first;
        int err = run_waiting(w, &b);
        sqlite_conn_abandon(w->conn); /* nothing to do after a COMMIT */
        release(w, &b, err);
        keep_wal_short(w);
    }
    return NULL;
}

/* Signals are for the threads that wait for them. */
static int start_thread(struct sqlite_writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&w->thread, NULL, write_loop, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

int sqlite_writer_start(struct sqlite_writer *w, struct sqlite_conn *c, struct fail *f)
{
    w->conn = c;
    w->last = &w->first;
    w->checkpoint_at = CHECKPOINT_FRAMES;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->arrived, NULL);
    sqlite3_wal_hook(c->db, note_frames, w);
    int e = start_thread(w);
    if (e != 0)
        return fail_set(f, ERR_NOMEM, "no thread for the store: %s", strerror(e));
    w->started = true;
    return 0;
}

int sqlite_writer_run(struct sqlite_writer *w, store_fn *fn, void *arg)
{
    /* a function that starts another transaction would wait for itself for ever */
    CS_ASSERT(!pthread_equal(pthread_self(), w->thread));
    struct sqlite_call call = {.fn = fn, .arg = arg, .result = ERR_STORE};
    sem_init(&call.done, 0, 0);
    append(w, &call);
    while (sem_wait(&call.done) != 0)
        CS_ASSERT(errno == EINTR);
    sem_destroy(&call.done);
    return call.result;
}

void sqlite_writer_stop(struct sqlite_writer *w)
{
    if (w->conn == NULL)
        return;
    if (w->started) {
        pthread_mutex_lock(&w->lock);
        w->closing = true;
        pthread_cond_signal(&w->arrived);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    checkpoint(w, SQLITE_CHECKPOINT_TRUNCATE);
    sqlite_conn_close(w->conn);
    pthread_cond_destroy(&w->arrived);
    pthread_mutex_destroy(&w->lock);
}
