/* The store on SQLite: values, transactions, batches, snapshots, the folder and its lock.
 * Faults (full disk, failed fsync, kill) are in test_store_fault.c, migrations in
 * test_store_migrate.c. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/log.h"
#include "store/sqlite.h"

/* --- a folder for each test ----------------------------------------------------------------- */
struct place {
    char dir[64], db[96];
    struct store *store;
};

static struct store *must_open(const char *dir)
{
    struct store *s = NULL;
    struct fail f = {0};
    struct store_options o = {.url = "sqlite", .dir = dir, .readers = 3};
    int err = store_open(&o, &s, &f);
    if (err != 0)
        fail_msg("store_open: %d %s", err, f.detail);
    return s;
}

static void place_make(struct place *p)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/cs-store-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->db, sizeof p->db, "%s/countersign.db", p->dir);
}

static void place_remove(struct place *p)
{
    static const char *const names[] = {"", "-wal", "-shm"};
    char path[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", p->db, names[i]);
        (void)unlink(path);
    }
    snprintf(path, sizeof path, "%s/countersign.lock", p->dir);
    (void)unlink(path);
    assert_int_equal(rmdir(p->dir), 0);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    place_make(p);
    p->store = must_open(p->dir);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    store_close(p->store);
    place_remove(p);
    free(p);
    return 0;
}

/* --- functions to run ----------------------------------------------------------------------- */
/* Inserts one row; the log's table serves as any other here. */
static int insert(struct store_tx *tx, int64_t seq)
{
    return STORE_EXEC(tx, Q_AUDIT_INSERT, NULL, V_C("w"), V_INT(seq), V_C("id"), V_INT(7), V_C("t"),
                      V_NULL, V_C("body"), V_C("leaf"));
}

struct one {
    int64_t seq;
    int result; /* what the function returns after inserting */
};

static int insert_one(struct store_tx *tx, void *arg)
{
    struct one *o = arg;
    int err = insert(tx, o->seq);
    return err != 0 ? err : o->result;
}

static int count_rows(struct store_tx *tx, void *arg)
{
    struct store_rows *r = NULL;
    int64_t *n = arg;
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(0), V_INT(100000));
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

static int find_row(struct store_tx *tx, void *arg)
{
    struct store_rows *r = NULL;
    int64_t *seq = arg;
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(*seq - 1), V_INT(1));
    if (err == 0)
        err = store_next(r);
    if (err == 0 && store_int(r, 0) != *seq)
        err = ERR_DONE;
    store_end(r);
    return err;
}

static bool has_row(struct store *s, int64_t seq)
{
    int err = store_read(s, find_row, &seq);
    assert_true(err == 0 || err == ERR_DONE);
    return err == 0;
}

/* --- values --------------------------------------------------------------------------------- */
static int write_values(struct store_tx *tx, void *arg)
{
    (void)arg;
    int64_t changed = -1;
    struct str blob = {"a\0b", 3}, none = {NULL, 0};
    int err = STORE_EXEC(tx, Q_AUDIT_INSERT, &changed, V_C("w"), V_INT(INT64_MAX), V_TEXT(none),
                         V_INT(INT64_MIN), V_C("t\xc3\xa4"), V_OPT(none), V_C(""), V_BLOB(blob));
    assert_int_equal(changed, 1);
    return err;
}

static int read_values(struct store_tx *tx, void *arg)
{
    (void)arg;
    struct store_rows *r = NULL;
    assert_int_equal(STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(0), V_INT(9)), 0);
    assert_int_equal(store_next(r), 0);
    assert_true(store_int(r, 0) == INT64_MAX);
    assert_true(str_eq(store_text(r, 1), STR("")) && !store_null(r, 1));
    assert_true(str_eq(store_text(r, 2), (struct str){"a\0b", 3}));
    assert_true(str_eq(store_text(r, 3), STR("")) && !store_null(r, 3)); /* empty is not NULL */
    assert_true(store_int(r, 4) == INT64_MIN);
    assert_true(str_eq(store_text(r, 5), STR("t\xc3\xa4")));
    assert_true(store_null(r, 6)); /* the optional one is */
    assert_true(str_eq(store_text(r, 6), STR("")) && store_int(r, 6) == 0);
    assert_int_equal(store_next(r), ERR_DONE);
    assert_int_equal(store_next(r), ERR_DONE); /* and it does not start again */
    store_end(r);
    store_end(NULL);
    return 0;
}

static void values_come_back(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_tx(p->store, write_values, NULL), 0);
    assert_int_equal(store_read(p->store, read_values, NULL), 0);
    assert_int_equal(store_opt_int(0).type, SV_NULL);
    assert_int_equal(store_opt_int(5).i, 5);
}

/* Every text of query.def must fit the schema. */
static void every_query_prepares(void **state)
{
    struct place *p = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(p->db, &db), SQLITE_OK);
    for (size_t q = 0; q < Q_COUNT; q++) {
        sqlite3_stmt *st = NULL;
        if (sqlite3_prepare_v2(db, store_query_table[q].sql, -1, &st, NULL) != SQLITE_OK)
            fail_msg("%s: %s", store_query_table[q].name, sqlite3_errmsg(db));
        sqlite3_finalize(st);
    }
    sqlite3_close(db);
}

/* --- transactions --------------------------------------------------------------------------- */
static void an_error_rolls_back(void **state)
{
    struct place *p = *state;
    struct one bad = {.seq = 1, .result = ERR_NOT_FOUND};
    assert_int_equal(store_tx(p->store, insert_one, &bad), ERR_NOT_FOUND);
    assert_int_equal(rows(p->store), 0);
    struct one good = {.seq = 1};
    assert_int_equal(store_tx(p->store, insert_one, &good), 0);
    assert_int_equal(rows(p->store), 1);
}

static int insert_or_else(struct store_tx *tx, void *arg)
{
    (void)arg;
    int err = insert(tx, 1);
    return err == ERR_CONFLICT ? insert(tx, 2) : err;
}

static void a_conflict_is_told_and_survived(void **state)
{
    struct place *p = *state;
    struct one o = {.seq = 1};
    assert_int_equal(store_tx(p->store, insert_one, &o), 0);
    assert_int_equal(store_tx(p->store, insert_one, &o), ERR_CONFLICT);
    assert_int_equal(store_tx(p->store, insert_or_else, NULL), 0);
    assert_int_equal(rows(p->store), 2);
}

/* A NULL where none may be: an error that the function below does not pass on. */
static int careless(struct store_tx *tx, void *arg)
{
    struct one *o = arg;
    int err = insert(tx, o->seq);
    assert_int_equal(err, 0);
    err = STORE_EXEC(tx, Q_AUDIT_INSERT, NULL, V_C("w"), V_INT(o->seq + 1), V_NULL, V_NULL, V_NULL,
                     V_NULL, V_NULL, V_NULL);
    assert_int_equal(err, ERR_STORE);
    assert_int_equal(insert(tx, o->seq + 2), ERR_STORE); /* nothing more is taken */
    return 0;
}

static void an_error_swallowed_still_rolls_back(void **state)
{
    struct place *p = *state;
    struct one o = {.seq = 1};
    assert_int_equal(store_tx(p->store, careless, &o), ERR_STORE);
    assert_int_equal(rows(p->store), 0);
    assert_int_equal(store_tx(p->store, insert_one, &o), 0); /* the poison is gone */
}

static void reading_cannot_write(void **state)
{
    struct place *p = *state;
    struct one o = {.seq = 1};
    assert_int_equal(store_read(p->store, insert_one, &o), ERR_STORE);
    assert_int_equal(rows(p->store), 0);
    struct store_stats st;
    store_stats(p->store, &st);
    assert_int_equal(st.failures, 1);
}

/* Counts pairs by reading the same query within itself, and once more within that. */
static int read_nested(struct store_tx *tx, void *arg)
{
    int depth = *(int *)arg, pairs = 0, inner = depth - 1, err;
    struct store_rows *r = NULL;
    err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C("w"), V_INT(0), V_INT(100));
    for (int64_t expected = 1; err == 0 && (err = store_next(r)) == 0; expected++) {
        assert_int_equal(store_int(r, 0), expected);
        int below = inner;
        if (depth > 1)
            assert_int_equal(read_nested(tx, &below), 0);
        pairs += depth > 1 ? below : 1;
    }
    store_end(r);
    *(int *)arg = pairs;
    return err == ERR_DONE ? 0 : err;
}

static void a_query_may_be_read_within_itself(void **state)
{
    struct place *p = *state;
    for (int i = 1; i <= 4; i++) {
        struct one o = {.seq = i};
        assert_int_equal(store_tx(p->store, insert_one, &o), 0);
    }
    for (int again = 0; again < 2; again++) {
        int n = 3;
        assert_int_equal(store_read(p->store, read_nested, &n), 0);
        assert_int_equal(n, 4 * 4 * 4);
    }
}

/* A result's parameters may be gone before its rows are read. */
static int select_with_borrowed(struct store_tx *tx, void *arg)
{
    (void)arg;
    struct store_rows *r = NULL;
    char *workspace = strdup("w");
    assert_int_equal(insert(tx, 1), 0);
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_C(workspace), V_INT(0), V_INT(1));
    memset(workspace, 'x', 1);
    free(workspace);
    if (err == 0)
        err = store_next(r);
    store_end(r);
    return err;
}

static void parameters_need_not_outlive_the_select(void **state)
{
    struct place *p = *state;
    assert_int_equal(store_tx(p->store, select_with_borrowed, NULL), 0);
}

/* --- many at once --------------------------------------------------------------------------- */
enum { THREADS = 32, EACH = 1000 };

struct counter {
    struct store *store;
    char *seen; /* by number */
    int errors;
};

static int take_number(struct store_tx *tx, void *arg)
{
    struct store_rows *r = NULL;
    int err = STORE_SELECT(tx, Q_AUDIT_NEXT, &r, V_C("w"));
    if (err == 0)
        err = store_next(r);
    if (err == 0)
        *(int64_t *)arg = store_int(r, 0);
    store_end(r);
    return err;
}

static void *count_up(void *arg)
{
    struct counter *c = arg;
    for (int i = 0; i < EACH; i++) {
        int64_t n = 0;
        if (store_tx(c->store, take_number, &n) != 0 || n < 1 || n > THREADS * EACH)
            c->errors++;
        else
            c->seen[n]++; /* no other thread has this number, or the test fails below */
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct place *p = *state;
    static struct counter c[THREADS];
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        c[i] = (struct counter){.store = p->store, .seen = calloc(THREADS * EACH + 1, 1)};
        assert_int_equal(pthread_create(&t[i], NULL, count_up, &c[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    for (int n = 1; n <= THREADS * EACH; n++) {
        int times = 0;
        for (int i = 0; i < THREADS; i++)
            times += c[i].seen[n];
        assert_int_equal(times, 1);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(c[i].errors, 0);
        free(c[i].seen);
    }
    struct store_stats st;
    store_stats(p->store, &st);
    assert_int_equal(st.functions, THREADS * EACH);
    assert_true(st.commits < st.functions); /* they shared commits */
}

/* --- snapshots ------------------------------------------------------------------------------ */
struct look {
    struct store *store;
    int64_t before, after;
};

static void *look_from_outside(void *arg)
{
    struct look *l = arg;
    (void)!store_read(l->store, count_rows, &l->before);
    return NULL;
}

static int insert_and_let_look(struct store_tx *tx, void *arg)
{
    pthread_t t;
    int err = insert(tx, 1);
    int64_t own = 0;
    assert_int_equal(count_rows(tx, &own), 0);
    assert_int_equal(own, 1); /* a transaction sees its own work */
    assert_int_equal(pthread_create(&t, NULL, look_from_outside, arg), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    return err;
}

static void readers_see_only_what_is_committed(void **state)
{
    struct place *p = *state;
    struct look l = {.store = p->store, .before = -1};
    assert_int_equal(store_tx(p->store, insert_and_let_look, &l), 0);
    assert_int_equal(l.before, 0);
    assert_int_equal(rows(p->store), 1);
}

static int look_twice(struct store_tx *tx, void *arg)
{
    struct look *l = arg;
    struct one o = {.seq = 1};
    assert_int_equal(count_rows(tx, &l->before), 0);
    assert_int_equal(store_tx(l->store, insert_one, &o), 0);
    return count_rows(tx, &l->after);
}

static void a_read_is_one_snapshot(void **state)
{
    struct place *p = *state;
    struct look l = {.store = p->store, .before = -1, .after = -1};
    assert_int_equal(store_read(p->store, look_twice, &l), 0);
    assert_int_equal(l.before, 0);
    assert_int_equal(l.after, 0);
    assert_int_equal(rows(p->store), 1);
}

/* --- one batch, piece by piece: the writer alone, so that the queue can be watched ---------- */
struct crowd {
    struct sqlite_writer *w;
    store_fn *fn;
    struct one one;
    int result;
    pthread_t thread;
};

static void *join_crowd(void *arg)
{
    struct crowd *c = arg;
    c->result = sqlite_writer_run(c->w, c->fn, &c->one);
    return NULL;
}

/* Starts a thread and returns once its function waits. */
static void queue_up(struct crowd *c)
{
    pthread_mutex_lock(&c->w->lock);
    struct sqlite_call **before = c->w->last, **now = before;
    pthread_mutex_unlock(&c->w->lock);
    assert_int_equal(pthread_create(&c->thread, NULL, join_crowd, c), 0);
    while (now == before) {
        usleep(100);
        pthread_mutex_lock(&c->w->lock);
        now = c->w->last;
        pthread_mutex_unlock(&c->w->lock);
    }
}

struct held {
    struct sqlite_writer *w;
    sem_t inside, go;
    int result;
};

static int hold_writer(struct store_tx *tx, void *arg)
{
    struct held *h = arg;
    sem_post(&h->inside);
    sem_wait(&h->go);
    return insert(tx, 100);
}

static void *hold_thread(void *arg)
{
    struct held *h = arg;
    h->result = sqlite_writer_run(h->w, hold_writer, h);
    return NULL;
}

static void writer_alone(struct place *p, struct sqlite_writer *w)
{
    struct fail f = {0};
    struct sqlite_conn *c = NULL;
    store_close(p->store); /* has made the database */
    p->store = NULL;
    assert_int_equal(sqlite_conn_open(p->db, true, &c, &f), 0);
    assert_int_equal(sqlite_writer_start(w, c, &f), 0);
}

static void one_batch_many_fates(void **state)
{
    struct place *p = *state;
    struct sqlite_writer w = {0};
    writer_alone(p, &w);
    struct held h = {.w = &w, .result = -1};
    sem_init(&h.inside, 0, 0);
    sem_init(&h.go, 0, 0);
    struct crowd c[] = {
        {&w, insert_one, {.seq = 1}, -1, 0},
        {&w, insert_one, {.seq = 10, .result = ERR_NOT_FOUND}, -1, 0},
        {&w, careless, {.seq = 20}, -1, 0},
        {&w, insert_one, {.seq = 1}, -1, 0}, /* the first one's, uncommitted still */
        {&w, insert_one, {.seq = 2}, -1, 0},
    };
    enum { N = sizeof c / sizeof *c };
    pthread_t holder;
    assert_int_equal(pthread_create(&holder, NULL, hold_thread, &h), 0);
    sem_wait(&h.inside);
    for (size_t i = 0; i < N; i++)
        queue_up(&c[i]);
    sem_post(&h.go);
    pthread_join(holder, NULL);
    for (size_t i = 0; i < N; i++)
        pthread_join(c[i].thread, NULL);
    assert_int_equal(atomic_load(&w.commits), 1);
    assert_int_equal(atomic_load(&w.functions), 1 + N);
    sqlite_writer_stop(&w);
    assert_int_equal(h.result, 0);
    assert_int_equal(c[0].result, 0);
    assert_int_equal(c[1].result, ERR_NOT_FOUND);
    assert_int_equal(c[2].result, ERR_STORE);
    assert_int_equal(c[3].result, ERR_CONFLICT);
    assert_int_equal(c[4].result, 0);
    p->store = must_open(p->dir);
    assert_int_equal(rows(p->store), 3);
    assert_true(has_row(p->store, 100) && has_row(p->store, 1) && has_row(p->store, 2));
}

static void *stop_writer(void *arg)
{
    sqlite_writer_stop(arg);
    return NULL;
}

static void closing_finishes_what_waits(void **state)
{
    struct place *p = *state;
    struct sqlite_writer w = {0};
    writer_alone(p, &w);
    struct held h = {.w = &w, .result = -1};
    sem_init(&h.inside, 0, 0);
    sem_init(&h.go, 0, 0);
    struct crowd c = {&w, insert_one, {.seq = 1}, -1, 0};
    pthread_t holder, stopper;
    assert_int_equal(pthread_create(&holder, NULL, hold_thread, &h), 0);
    sem_wait(&h.inside);
    queue_up(&c);
    assert_int_equal(pthread_create(&stopper, NULL, stop_writer, &w), 0);
    sem_post(&h.go);
    pthread_join(holder, NULL);
    pthread_join(c.thread, NULL);
    pthread_join(stopper, NULL);
    assert_int_equal(c.result, 0);
    p->store = must_open(p->dir);
    assert_true(has_row(p->store, 1) && has_row(p->store, 100));
}

/* --- the folder ----------------------------------------------------------------------------- */
static int open_result(const char *url, const char *dir, struct fail *f)
{
    struct store *s = NULL;
    struct store_options o = {.url = url, .dir = dir, .readers = 1};
    *f = (struct fail){0};
    int err = store_open(&o, &s, f);
    store_close(s);
    return err;
}

static void only_one_may_open_it(void **state)
{
    struct place *p = *state;
    struct fail f;
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_int_equal(open_result("sqlite", p->dir, &f), ERR_STORE);
    assert_non_null(strstr(f.detail, "another Countersign"));
    assert_non_null(strstr(f.detail, pid));
    struct one o = {.seq = 1};
    assert_int_equal(store_tx(p->store, insert_one, &o), 0); /* the first is not disturbed */
    store_close(p->store);
    p->store = must_open(p->dir);
    assert_true(has_row(p->store, 1));
}

static mode_t mode_of(const struct place *p, const char *suffix)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", p->db, suffix);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void files_are_the_owners_alone(void **state)
{
    struct place *p = *state;
    store_close(p->store);
    assert_int_equal(chmod(p->db, 0644), 0); /* restored by some careless backup */
    mode_t before = umask(0);
    p->store = must_open(p->dir);
    struct one o = {.seq = 1};
    assert_int_equal(store_tx(p->store, insert_one, &o), 0);
    umask(before);
    assert_int_equal(mode_of(p, ""), 0600);
    assert_int_equal(mode_of(p, "-wal"), 0600);
    assert_int_equal(mode_of(p, "-shm"), 0600);
}

static void wrong_places_are_refused(void **state)
{
    struct place *p = *state;
    struct fail f;
    assert_int_equal(open_result("sqlite", "/tmp/cs-store-not-there/x", &f), ERR_CONFIG);
    assert_string_equal(f.field, "data_dir");
    assert_int_equal(open_result("postgres://u@h/d", p->dir, &f), ERR_CONFIG);
    assert_string_equal(f.detail, "PostgreSQL is not built into this version");
    assert_int_equal(open_result("postgresql://u@h/d", p->dir, &f), ERR_CONFIG);
    assert_int_equal(open_result("mysql://x", p->dir, &f), ERR_CONFIG);
    assert_int_equal(open_result(NULL, p->dir, &f), ERR_CONFIG);
    assert_string_equal(f.field, "store");
}

static void a_link_or_rubbish_is_refused(void **state)
{
    struct place *p = *state;
    struct fail f;
    store_close(p->store);
    p->store = NULL;
    assert_int_equal(unlink(p->db), 0);
    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", p->dir);
    assert_int_equal(symlink(elsewhere, p->db), 0);
    assert_int_equal(open_result("sqlite", p->dir, &f), ERR_IO);
    assert_int_equal(access(elsewhere, F_OK), -1);
    assert_int_equal(unlink(p->db), 0);
    int fd = open(p->db, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "this is no database, but it is long enough to look at", 53), 53);
    assert_int_equal(close(fd), 0);
    assert_int_equal(open_result("sqlite", p->dir, &f), ERR_STORE);
}

/* What is deleted is overwritten, also in pages that become free as a whole. */
static void deleted_is_gone_from_the_file(void **state)
{
    struct place *p = *state;
    struct sqlite_conn *c = NULL;
    struct fail f = {0};
    store_close(p->store);
    p->store = NULL;
    assert_int_equal(sqlite_conn_open(p->db, true, &c, &f), 0);
    assert_int_equal(sqlite3_exec(c->db,
                                  "CREATE TABLE t(b); INSERT INTO t VALUES(zeroblob(9) || 'x');"
                                  "UPDATE t SET b = replace(hex(zeroblob(9000)), '0', 'Kq7%');"
                                  "PRAGMA wal_checkpoint(TRUNCATE); DELETE FROM t;"
                                  "PRAGMA wal_checkpoint(TRUNCATE);",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite_conn_close(c);
    static char bytes[4 << 20];
    int fd = open(p->db, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof bytes);
    assert_true(n > 60000 && n < (ssize_t)sizeof bytes); /* the freed pages are still in it */
    assert_null(memmem(bytes, (size_t)n, "Kq7%", 4));
    close(fd);
}

static int insert_megabyte(struct store_tx *tx, void *arg)
{
    static char megabyte[1 << 20];
    struct str body = {megabyte, sizeof megabyte};
    return STORE_EXEC(tx, Q_AUDIT_INSERT, NULL, V_C("w"), V_INT(*(int *)arg), V_C("id"), V_INT(7),
                      V_C("t"), V_NULL, V_TEXT(body), V_C("leaf"));
}

static off_t size_of(const struct place *p, const char *suffix)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s%s", p->db, suffix);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* The writer checkpoints by itself, while it runs. */
static void the_wal_does_not_grow_for_ever(void **state)
{
    struct place *p = *state;
    for (int i = 1; i <= 70; i++)
        assert_int_equal(store_tx(p->store, insert_megabyte, &i), 0);
    assert_true(size_of(p, "-wal") < (50 << 20));
    assert_true(size_of(p, "") > (30 << 20));
}

static int hold_snapshot(struct store_tx *tx, void *arg)
{
    struct held *h = arg;
    int64_t n;
    int err = count_rows(tx, &n);
    sem_post(&h->inside);
    sem_wait(&h->go);
    int64_t again = -1;
    if (err == 0)
        err = count_rows(tx, &again);
    return err != 0 ? err : n == again ? 0 : ERR_STORE;
}

struct slow_reader {
    struct store *store;
    struct held h;
};

static void *read_slowly(void *arg)
{
    struct slow_reader *r = arg;
    r->h.result = store_read(r->store, hold_snapshot, &r->h);
    return NULL;
}

/* The WAL must keep what the reader sees, and is started again when the reader has gone. */
static void a_slow_reader_delays_nobody_for_ever(void **state)
{
    struct place *p = *state;
    struct slow_reader r = {.store = p->store, .h = {.result = -1}};
    pthread_t t;
    sem_init(&r.h.inside, 0, 0);
    sem_init(&r.h.go, 0, 0);
    assert_int_equal(pthread_create(&t, NULL, read_slowly, &r), 0);
    sem_wait(&r.h.inside);
    for (int i = 1; i <= 70; i++)
        assert_int_equal(store_tx(p->store, insert_megabyte, &i), 0);
    assert_true(size_of(p, "-wal") > (70 << 20));
    sem_post(&r.h.go);
    pthread_join(t, NULL);
    assert_int_equal(r.h.result, 0);
    for (int i = 71; i <= 110; i++)
        assert_int_equal(store_tx(p->store, insert_megabyte, &i), 0);
    assert_true(size_of(p, "-wal") <= (64 << 20));
    assert_true(size_of(p, "") > (70 << 20));
}

int main(void)
{
    log_open("test", LOG_ERROR);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values_come_back),
        T(every_query_prepares),
        T(an_error_rolls_back),
        T(a_conflict_is_told_and_survived),
        T(an_error_swallowed_still_rolls_back),
        T(reading_cannot_write),
        T(a_query_may_be_read_within_itself),
        T(parameters_need_not_outlive_the_select),
        T(readers_see_only_what_is_committed),
        T(a_read_is_one_snapshot),
        T(one_batch_many_fates),
        T(closing_finishes_what_waits),
        T(threads_lose_nothing),
        T(only_one_may_open_it),
        T(files_are_the_owners_alone),
        T(wrong_places_are_refused),
        T(a_link_or_rubbish_is_refused),
        T(deleted_is_gone_from_the_file),
        T(the_wal_does_not_grow_for_ever),
        T(a_slow_reader_delays_nobody_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
