/* SQLite's side of the store, shared by the sqlite*.c files and by nobody else.
 *
 * One connection writes, on one thread (sqlite_writer.c), and it alone checkpoints; the others only
 * read (sqlite_readers.c). A connection belongs to one thread at a time and has no lock of its own.
 */
#ifndef CS_STORE_SQLITE_H
#define CS_STORE_SQLITE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include "store/store_backend.h"

/* How long a locked database is waited for; only a stranger (somebody's sqlite3 shell) can lock it.
 */
#define BUSY_MS 5000

/* What steers a transaction, as opposed to the queries in it. */
enum sqlite_verb {
    VERB_BEGIN_READ,
    VERB_BEGIN_WRITE,
    VERB_SAVEPOINT,
    VERB_ROLLBACK_TO,
    VERB_RELEASE,
    VERB_COMMIT,
    VERB_ROLLBACK,
    VERB_COUNT
};

/* One result being read: the cached one of its query, or a further copy from the heap where a
 * function reads the same query within itself. */
struct sqlite_rows {
    struct store_rows base; /* first */
    struct sqlite_conn *conn;
    sqlite3_stmt *stmt;
    enum store_query query;
    bool open; /* between select and end */
    bool done; /* SQLite would start again after the last row */
};

struct sqlite_conn {
    struct store_tx base; /* first: what functions are given */
    sqlite3 *db;
    int err;          /* sticky: the function's work must be rolled back, whatever it returns */
    size_t open_rows; /* results that a function has not ended yet */
    sqlite3_stmt *verb[VERB_COUNT];
    struct sqlite_rows cached[Q_COUNT];
};

/* --- sqlite_conn.c: a connection and its settings ------------------------------------------- */
CS_CHECK int sqlite_conn_open(const char *path, bool writes, struct sqlite_conn **ret,
                              struct fail *f);
void sqlite_conn_close(struct sqlite_conn *c); /* NULL is fine */
CS_CHECK int sqlite_conn_verb(struct sqlite_conn *c, enum sqlite_verb v);
/* Is there a transaction? SQLite ends one by itself after some errors. */
bool sqlite_conn_in_tx(const struct sqlite_conn *c);
/* Ends whatever is open and leaves the connection fit for the next transaction. */
void sqlite_conn_abandon(struct sqlite_conn *c);
/* Runs a function: what it returns, or the sticky error. It must have ended its results. */
CS_CHECK int sqlite_conn_call(struct sqlite_conn *c, store_fn *fn, void *arg);
/* Logs a result code and turns it into ERR_CONFLICT (not logged), ERR_STORE_FULL or ERR_STORE.
 * A failed fsync does not return. `what` was being tried: a query's name, never data. */
int sqlite_conn_fail(struct sqlite_conn *c, int rc, const char *what);

/* --- sqlite_query.c: queries and their results ---------------------------------------------- */
int sqlite_exec(struct store_tx *tx, enum store_query q, int64_t *changed,
                const struct store_value *v, size_t n);
int sqlite_select(struct store_tx *tx, enum store_query q, struct store_rows **ret,
                  const struct store_value *v, size_t n);
int sqlite_next(struct store_rows *r);
void sqlite_end(struct store_rows *r);
int64_t sqlite_number(struct store_rows *r, int column);
struct str sqlite_text(struct store_rows *r, int column);
bool sqlite_null(struct store_rows *r, int column);

/* --- sqlite_migrate.c ----------------------------------------------------------------------- */
CS_CHECK int sqlite_migrate(struct sqlite_conn *c, struct fail *f);

/* --- sqlite_writer.c: the one that writes --------------------------------------------------- */
struct sqlite_call; /* a waiting function */
struct sqlite_writer {
    struct sqlite_conn *conn; /* owned; the thread's alone while it runs */
    pthread_t thread;
    bool started;
    /* the thread's alone: length of the WAL after the last commit, and when to checkpoint */
    int wal_frames, checkpoint_at;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    /* under lock */
    struct sqlite_call *first, **last;
    bool idle;    /* the thread sleeps on `arrived` */
    bool closing; /* no more will come */
    /* counters for metrics */
    atomic_uint_fast64_t commits, functions, failures;
};
/* Takes the connection over, also when it fails. */
CS_CHECK int sqlite_writer_start(struct sqlite_writer *w, struct sqlite_conn *c, struct fail *f);
CS_CHECK int sqlite_writer_run(struct sqlite_writer *w, store_fn *fn, void *arg);
/* Finishes what waits, ends the thread, checkpoints and closes. Readers must be closed before. */
void sqlite_writer_stop(struct sqlite_writer *w);

/* --- sqlite_readers.c: those that read ------------------------------------------------------ */
struct sqlite_readers {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct sqlite_conn **idle; /* a stack: the one used last has the warmest cache */
    size_t idle_n, n;
    atomic_uint_fast64_t reads, failures;
};
CS_CHECK int sqlite_readers_open(struct sqlite_readers *p, const char *path, size_t n,
                                 struct fail *f);
CS_CHECK int sqlite_readers_run(struct sqlite_readers *p, store_fn *fn, void *arg);
void sqlite_readers_close(struct sqlite_readers *p); /* all must have been returned */

#endif
