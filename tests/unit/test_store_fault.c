/* The store when the disk is full, fails or lies, and when the process is killed: nothing half
 * done, nothing acknowledged that is not there afterwards. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"
#include "store/sqlite.h"
#include "fault_vfs.h"

struct place {
    char dir[64], db[96];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/cs-fault-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/countersign.db", p->dir);
    disk_heal();
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"countersign.db", "countersign.db-wal",
                                        "countersign.db-shm", "countersign.db-journal",
                                        "countersign.lock"};
    struct place *p = *state;
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(p->dir), 0);
    free(p);
    return 0;
}

static int try_open(const struct place *p, struct store **ret)
{
    struct fail f = {0};
    struct store_options o = {.url = "sqlite", .dir = p->dir, .readers = 2};
    return store_open(&o, ret, &f);
}

static struct store *must_open(const struct place *p)
{
    struct store *s = NULL;
    assert_int_equal(try_open(p, &s), 0);
    return s;
}

/* --- functions to run ----------------------------------------------------------------------- */
static char filler[6000]; /* a row of two pages */

static int insert(struct store_tx *tx, int64_t seq)
{
    struct str body = {filler, sizeof filler};
    return STORE_EXEC(tx, Q_AUDIT_INSERT, NULL, V_C("w"), V_INT(seq), V_C("id"), V_INT(7), V_C("t"),
                      V_NULL, V_TEXT(body), V_C("leaf"));
}

/* Ten rows or none. */
static int insert_ten(struct store_tx *tx, void *arg)
{
    int64_t first = *(int64_t *)arg;
    for (int64_t seq = first; seq < first + 10; seq++) {
        int err = insert(tx, seq);
        if (err != 0)
            return err;
    }
    return 0;
}

static int count_rows(struct store_tx *tx, void *arg)
{
    struct store_rows *r = NULL;
    int64_t *n = arg;
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(0), V_INT(1000000));
    *n = 0;
    while (err == 0 && (err = store_next(r)) == 0)
        ++*n;
    store_end(r);
    return err == ERR_DONE ? 0 : err;
}

static int64_t rows(struct store *s)
{
    int64_t n = -1;
    assert_int_equal(store_read(s, count_rows, &n), 0);
    return n;
}

static void assert_intact(const struct place *p)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* --- acknowledged means synced -------------------------------------------------------------- */
static void every_answer_follows_a_sync(void **state)
{
    struct place *p = *state;
    struct store *s = must_open(p);
    for (int64_t i = 0; i < 50; i++) {
        int64_t first = i * 10 + 1;
        int before = atomic_load(&disk.wal_syncs);
        assert_int_equal(store_tx(s, insert_ten, &first), 0);
        assert_int_equal(atomic_load(&disk.wal_unsynced), 0);
        assert_true(atomic_load(&disk.wal_syncs) > before);
    }
    store_close(s);
}

/* --- a disk that is full -------------------------------------------------------------------- */
/* Fails the n-th write, n = 1, 2, ..., until none is left to fail. */
static void fail_each_write(struct place *p, int code, int expected, bool for_ever)
{
    struct store *s = must_open(p);
    int64_t there = 0, first = 1;
    int err, n = 1;
    for (;; n++) {
        atomic_store(&disk.write_code, code);
        atomic_store(&disk.for_ever, for_ever);
        atomic_store(&disk.write_at, n);
        err = store_tx(s, insert_ten, &first);
        bool spared = atomic_load(&disk.write_at) > 1;
        disk_heal();
        assert_int_equal(rows(s), err == 0 ? there + 10 : there); /* all ten or none */
        if (err == 0) {
            there += 10;
            first += 10;
        } else {
            assert_int_equal(err, expected);
        }
        if (spared)
            break;
    }
    assert_true(n > 5);
    assert_int_equal(err, 0);
    assert_int_equal(store_tx(s, insert_ten, &first), 0); /* the next one is served again */
    assert_int_equal(rows(s), there + 10);
    store_close(s);
    assert_intact(p);
}

static void a_full_disk_refuses_and_leaves_nothing(void **state)
{
    fail_each_write(*state, SQLITE_FULL, ERR_STORE_FULL, false);
}

static void a_disk_full_for_long_too(void **state)
{
    fail_each_write(*state, SQLITE_FULL, ERR_STORE_FULL, true);
}

static void a_failing_disk_refuses_and_leaves_nothing(void **state)
{
    fail_each_write(*state, SQLITE_IOERR_WRITE, ERR_STORE, false);
}

/* Opening makes the file and the schema: cut it short anywhere, and the next opening finishes it.
 */
static void opening_can_fail_anywhere(void **state)
{
    struct place *p = *state;
    struct store *s = NULL;
    int n = 1;
    bool spared = false;
    for (; !spared; n++) {
        atomic_store(&disk.write_code, SQLITE_FULL);
        atomic_store(&disk.for_ever, true);
        atomic_store(&disk.write_at, n);
        int err = try_open(p, &s);
        spared = atomic_load(&disk.write_at) > 1;
        disk_heal();
        if (err == 0)
            store_close(s);
        else
            assert_int_equal(err, ERR_STORE_FULL);
        s = must_open(p);
        int64_t first = n * 10 + 1;
        assert_int_equal(store_tx(s, insert_ten, &first), 0);
        store_close(s);
        assert_intact(p);
        if (!spared) { /* from the start again */
            assert_int_equal(unlink(p->db), 0);
        }
    }
    assert_true(n > 10);
}

/* --- a batch is one fate: the writer alone, so that the queue can be watched ----------------- */
struct call {
    struct sqlite_writer *w;
    store_fn *fn;
    int result;
    pthread_t thread;
    sem_t inside, go;
};

static int insert_and_hold(struct store_tx *tx, void *arg)
{
    struct call *c = arg;
    int err = insert(tx, 1);
    sem_post(&c->inside);
    sem_wait(&c->go);
    return err;
}

/* Judges by the other's row, which is not committed yet; and then the disk is full. */
static int refuse_if_there(struct store_tx *tx, void *arg)
{
    int64_t n;
    (void)arg;
    int err = count_rows(tx, &n);
    atomic_store(&disk.write_at, 1);
    return err != 0 ? err : n == 1 ? ERR_ALREADY_DECIDED : ERR_NOT_FOUND;
}

static void *call_thread(void *arg)
{
    struct call *c = arg;
    c->result = sqlite_writer_run(c->w, c->fn, c);
    return NULL;
}

static struct sqlite_call **queue_end(struct sqlite_writer *w)
{
    pthread_mutex_lock(&w->lock);
    struct sqlite_call **end = w->last;
    pthread_mutex_unlock(&w->lock);
    return end;
}

static void start_call(struct call *c)
{
    c->result = -1;
    sem_init(&c->inside, 0, 0);
    sem_init(&c->go, 0, 0);
    assert_int_equal(pthread_create(&c->thread, NULL, call_thread, c), 0);
}

/* Starts a call and returns once it waits behind the others. */
static void queue_call(struct call *c)
{
    struct sqlite_call **before = queue_end(c->w);
    start_call(c);
    while (queue_end(c->w) == before)
        usleep(100);
}

static void writer_alone(struct place *p, struct sqlite_writer *w)
{
    struct sqlite_conn *conn = NULL;
    struct fail f = {0};
    store_close(must_open(p)); /* has made the database */
    assert_int_equal(sqlite_conn_open(p->db, true, &conn, &f), 0);
    assert_int_equal(sqlite_writer_start(w, conn, &f), 0);
}

/* Runs the calls as they stand, in one batch if the writer takes them into one. */
static void run_calls(struct call *c, size_t n)
{
    start_call(&c[0]);
    sem_wait(&c[0].inside);
    for (size_t i = 1; i < n; i++)
        queue_call(&c[i]);
    sem_post(&c[0].go);
    for (size_t i = 0; i < n; i++)
        pthread_join(c[i].thread, NULL);
    disk_heal();
    sqlite_writer_stop(c[0].w);
}

/* The second function saw the first one's row and refused. It must not answer "already decided"
 * when that row is then lost. */
static void what_was_judged_by_lost_work_is_lost_too(void **state)
{
    struct place *p = *state;
    struct sqlite_writer w = {0};
    struct call c[] = {{.w = &w, .fn = insert_and_hold}, {.w = &w, .fn = refuse_if_there}};
    writer_alone(p, &w);
    atomic_store(&disk.write_code, SQLITE_FULL);
    run_calls(c, 2);
    assert_int_equal(c[0].result, ERR_STORE_FULL);
    assert_int_equal(c[1].result, ERR_STORE_FULL);
    struct store *s = must_open(p);
    assert_int_equal(rows(s), 0);
    store_close(s);
}

/* SQLite may end the transaction within a function; a statement that does so stands in for it. */
static int end_transaction(struct store_tx *tx, void *arg)
{
    (void)arg;
    return sqlite3_exec(((struct sqlite_conn *)tx)->db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : ERR_IO;
}

static int insert_second(struct store_tx *tx, void *arg)
{
    (void)arg;
    return insert(tx, 2);
}

/* What came before in the batch is lost with it; what comes after is a batch of its own, since a
 * savepoint without a transaction would be committed and called lost. */
static void a_transaction_gone_is_a_batch_gone(void **state)
{
    struct place *p = *state;
    struct sqlite_writer w = {0};
    struct call c[] = {{.w = &w, .fn = insert_and_hold},
                       {.w = &w, .fn = end_transaction},
                       {.w = &w, .fn = insert_second}};
    writer_alone(p, &w);
    run_calls(c, 3);
    assert_int_equal(c[0].result, ERR_STORE);
    assert_int_equal(c[1].result, ERR_STORE);
    assert_int_equal(c[2].result, 0);
    struct store *s = must_open(p);
    assert_int_equal(rows(s), 1);
    store_close(s);
}

/* --- in a child, since these end the process or limit it ------------------------------------ */
typedef void child_fn(const struct place *p, int out);

/* Runs fn in a child; what it wrote to `out` is in got. Returns wait's status. With `kill_at`, the
 * child is killed once it has written that many bytes. */
static int run_child(const struct place *p, child_fn *fn, int64_t *got, size_t max, size_t *n,
                     size_t kill_at)
{
    int fd[2], status;
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fd[0]);
        fn(p, fd[1]);
        _exit(0);
    }
    close(fd[1]);
    *n = 0;
    ssize_t r;
    while (*n < max && (r = read(fd[0], &got[*n], sizeof *got)) == (ssize_t)sizeof *got)
        if (++*n == kill_at)
            kill(pid, SIGKILL);
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void tell(int out, int64_t v)
{
    if (write(out, &v, sizeof v) != (ssize_t)sizeof v)
        _exit(9);
}

static void sync_fails_in_commit(const struct place *p, int out)
{
    struct store *s = NULL;
    int64_t first = 1;
    if (try_open(p, &s) != 0)
        _exit(8);
    tell(out, store_tx(s, insert_ten, &first));
    atomic_store(&disk.sync_fails, true);
    first = 11;
    tell(out, store_tx(s, insert_ten, &first)); /* is never told */
}

static void sync_fails_in_checkpoint(const struct place *p, int out)
{
    struct store *s = NULL;
    int64_t first = 1;
    if (try_open(p, &s) != 0)
        _exit(8);
    tell(out, store_tx(s, insert_ten, &first));
    atomic_store(&disk.sync_fails, true);
    store_close(s);
}

static void dies_and_keeps(struct place *p, child_fn *fn, int64_t most)
{
    int64_t got[4] = {-1};
    size_t n;
    int status = run_child(p, fn, got, 4, &n, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_int_equal(n, 1);
    assert_int_equal(got[0], 0);
    struct store *s = must_open(p);
    int64_t there = rows(s);
    assert_true(there == 10 || there == most); /* acknowledged: there; the other: all or nothing */
    store_close(s);
    assert_intact(p);
}

static void a_failed_fsync_ends_the_process(void **state)
{
    dies_and_keeps(*state, sync_fails_in_commit, 20);
}

static void a_failed_fsync_of_a_checkpoint_too(void **state)
{
    dies_and_keeps(*state, sync_fails_in_checkpoint, 10);
}

/* The kernel's own refusal, not the test's. */
static void fill_up(const struct place *p, int out)
{
    struct store *s = NULL;
    struct rlimit small = {2 << 20, 2 << 20};
    int64_t first = 1, n;
    int err;
    if (try_open(p, &s) != 0)
        _exit(8);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    while ((err = store_tx(s, insert_ten, &first)) == 0)
        first += 10;
    tell(out, err);
    tell(out, first - 1);
    tell(out, store_tx(s, insert_ten, &first)); /* and again */
    tell(out, store_read(s, count_rows, &n));   /* reading goes on */
    tell(out, n);
    store_close(s);
}

static void a_really_full_disk(void **state)
{
    struct place *p = *state;
    int64_t got[8] = {0};
    size_t n;
    assert_int_equal(run_child(p, fill_up, got, 8, &n, 0), 0);
    assert_int_equal(n, 5);
    assert_int_equal(got[0], ERR_STORE_FULL);
    assert_true(got[1] > 0);
    assert_int_equal(got[2], ERR_STORE_FULL);
    assert_int_equal(got[3], 0);
    assert_int_equal(got[4], got[1]);
    struct store *s = must_open(p);
    assert_int_equal(rows(s), got[1]);
    store_close(s);
    assert_intact(p);
}

/* --- kill -9 -------------------------------------------------------------------------------- */
enum { KILL_THREADS = 8, KILL_AT = 400, KILL_MAX = 20000 };

struct busy {
    struct store *store;
    int out, number;
};

static int insert_pair(struct store_tx *tx, void *arg)
{
    int64_t seq = *(int64_t *)arg;
    int err = insert(tx, seq);
    return err != 0 ? err : insert(tx, seq + 1);
}

static void *keep_inserting(void *arg)
{
    struct busy *b = arg;
    for (int64_t i = 0;; i++) {
        int64_t seq = (b->number * INT64_C(1000000) + i) * 2;
        if (store_tx(b->store, insert_pair, &seq) != 0)
            _exit(7);
        tell(b->out, seq); /* acknowledged */
    }
    return NULL;
}

static void insert_until_killed(const struct place *p, int out)
{
    static struct busy b[KILL_THREADS];
    pthread_t t;
    struct store *s = NULL;
    if (try_open(p, &s) != 0)
        _exit(8);
    for (int i = 0; i < KILL_THREADS; i++) {
        b[i] = (struct busy){.store = s, .out = out, .number = i};
        if (pthread_create(&t, NULL, keep_inserting, &b[i]) != 0)
            _exit(6);
    }
    pause();
}

struct check {
    const int64_t *acknowledged;
    size_t n;
    int64_t missing, halves;
};

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int check_pairs(struct store_tx *tx, void *arg)
{
    struct check *c = arg;
    struct store_rows *r = NULL;
    size_t at = 0;
    int64_t before = -2;
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(-1), V_INT(INT64_MAX));
    while (err == 0 && (err = store_next(r)) == 0) {
        int64_t seq = store_int(r, 0);
        c->halves += seq % 2 != 0 && seq != before + 1; /* its first half is lacking */
        c->halves += before >= 0 && before % 2 == 0 && seq != before + 1;
        for (; at < c->n && c->acknowledged[at] < seq; at++)
            c->missing++;
        if (at < c->n && c->acknowledged[at] == seq)
            at++;
        before = seq;
    }
    c->missing += (int64_t)(c->n - at);
    c->halves += before >= 0 && before % 2 == 0;
    store_end(r);
    return err == ERR_DONE ? 0 : err;
}

static void kill_loses_nothing_acknowledged(void **state)
{
    struct place *p = *state;
    static int64_t got[KILL_MAX];
    for (size_t round = 0; round < 3; round++) {
        size_t n;
        int status = run_child(p, insert_until_killed, got, KILL_MAX, &n, KILL_AT + round * 37);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(n >= KILL_AT);
        qsort(got, n, sizeof *got, by_number);
        struct check c = {.acknowledged = got, .n = n};
        struct store *s = must_open(p);
        assert_int_equal(store_read(s, check_pairs, &c), 0);
        assert_int_equal(c.missing, 0);
        assert_int_equal(c.halves, 0);
        store_close(s);
        assert_intact(p);
        assert_int_equal(unlink(p->db), 0);
    }
}

int main(void)
{
    log_open("test", LOG_ERROR);
    disk_install();
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_answer_follows_a_sync),        T(a_full_disk_refuses_and_leaves_nothing),
        T(a_disk_full_for_long_too),           T(a_failing_disk_refuses_and_leaves_nothing),
        T(opening_can_fail_anywhere),          T(what_was_judged_by_lost_work_is_lost_too),
        T(a_transaction_gone_is_a_batch_gone), T(a_failed_fsync_ends_the_process),
        T(a_failed_fsync_of_a_checkpoint_too), T(a_really_full_disk),
        T(kill_loses_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
