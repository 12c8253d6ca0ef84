/* A connection to the SQLite file: its settings, the verbs that steer transactions, and the one
 * place where result codes become our errors. It refuses to go on with settings other than those
 * it asked for, and ends the process when an fsync fails. */
#include <errno.h>
#include <stdlib.h>
#include "base/log.h"
#include "store/sqlite.h"

enum { WRITER = 1, READER = 2, BOTH = WRITER | READER };

/* What must be in force. `ask` proves it: SQLite ignores a PRAGMA that it cannot obey. */
static const struct setting {
    int who;
    const char *set, *ask, *want;
} settings[] = {
    {WRITER, "PRAGMA journal_mode=WAL", "PRAGMA journal_mode", "wal"},
    /* the WAL is on disk before COMMIT returns */
    {BOTH, "PRAGMA synchronous=FULL", "PRAGMA synchronous", "2"},
    {BOTH, "PRAGMA foreign_keys=ON", "PRAGMA foreign_keys", "1"},
    /* ON, not FAST: sealed payloads fill overflow pages, which FAST leaves as they were */
    {WRITER, "PRAGMA secure_delete=ON", "PRAGMA secure_delete", "1"},
    /* 3.40.1 can corrupt a WAL that two connections checkpoint, and its own automatic checkpoint
     * swallows errors: the writer does it by hand (sqlite_writer.c) */
    {BOTH, "PRAGMA wal_autocheckpoint=0", "PRAGMA wal_autocheckpoint", "0"},
    {WRITER, "PRAGMA journal_size_limit=67108864", "PRAGMA journal_size_limit", "67108864"},
    /* nothing of ours in /tmp, which may be out of reach after confinement */
    {BOTH, "PRAGMA temp_store=MEMORY", "PRAGMA temp_store", "2"},
    {WRITER, "PRAGMA cache_size=-16384", "PRAGMA cache_size", "-16384"},
    {READER, "PRAGMA cache_size=-2048", "PRAGMA cache_size", "-2048"},
    {READER, "PRAGMA query_only=ON", "PRAGMA query_only", "1"},
};

static const char *const verb_sql[VERB_COUNT] = {
    [VERB_BEGIN_READ] = "BEGIN",         [VERB_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [VERB_SAVEPOINT] = "SAVEPOINT call", [VERB_ROLLBACK_TO] = "ROLLBACK TO call",
    [VERB_RELEASE] = "RELEASE call",     [VERB_COMMIT] = "COMMIT",
    [VERB_ROLLBACK] = "ROLLBACK",
};

/* What the kernel said last about the WAL, or else about the file. (sqlite3_system_errno is not set
 * when it is COMMIT that fails.) */
static int last_errno(sqlite3 *db)
{
    sqlite3_file *wal = NULL;
    int e = 0;
    (void)sqlite3_file_control(db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (wal != NULL && wal->pMethods != NULL)
        (void)wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &e);
    if (e == 0)
        (void)sqlite3_file_control(db, NULL, SQLITE_FCNTL_LAST_ERRNO, &e);
    return e;
}

/* SQLite itself knows only ENOSPC, and only in writes to its own files. */
static bool disk_is_full(int rc, int e)
{
    if ((rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_SHMSIZE)
        return true;
    return rc == SQLITE_IOERR_WRITE && (e == ENOSPC || e == EDQUOT || e == EFBIG);
}

int sqlite_conn_fail(struct sqlite_conn *c, int rc, const char *what)
{
    if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
        rc == SQLITE_CONSTRAINT_ROWID)
        return ERR_CONFLICT;
    bool fatal = rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
    int e = (rc & 0xff) == SQLITE_IOERR ? last_errno(c->db) : 0;
    log_event(LOG_ERROR, fatal ? "store.fsync-failed" : "store.failed", KV_C("while", what),
              KV_N("code", rc), KV_C("text", sqlite3_errmsg(c->db)), KV_N("errno", e));
    /* The kernel may have dropped the pages and will report it only once: whoever goes on would
     * acknowledge what is not on disk. Started again, SQLite reads what is really there. */
    if (fatal)
        abort();
    return disk_is_full(rc, e) ? ERR_STORE_FULL : ERR_STORE;
}

/* Is the one value that a PRAGMA answers `want`? */
static bool pragma_is(sqlite3 *db, const char *ask, const char *want)
{
    sqlite3_stmt *st = NULL;
    bool is = sqlite3_prepare_v2(db, ask, -1, &st, NULL) == SQLITE_OK &&
              sqlite3_step(st) == SQLITE_ROW &&
              str_eq_c(str_c((const char *)sqlite3_column_text(st, 0)), want);
    (void)sqlite3_finalize(st); /* repeats an error that has been seen */
    return is;
}

static int configure(struct sqlite_conn *c, bool writes, struct fail *f)
{
    int who = writes ? WRITER : READER;
    sqlite3_busy_timeout(c->db, BUSY_MS);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (!writes)
        (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *s = &settings[i];
        if ((s->who & who) == 0)
            continue;
        int rc = sqlite3_exec(c->db, s->set, NULL, NULL, NULL);
        if (rc != SQLITE_OK) {
            int err = sqlite_conn_fail(c, rc, s->set);
            return fail_set(f, err, "%s: %s", s->set, sqlite3_errmsg(c->db));
        }
        if (!pragma_is(c->db, s->ask, s->want))
            return fail_set(f, ERR_STORE, "SQLite does not obey \"%s\" here", s->set);
    }
    return 0;
}

int sqlite_conn_open(const char *path, bool writes, struct sqlite_conn **ret, struct fail *f)
{
    struct sqlite_conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return fail_set(f, ERR_NOMEM, "no memory for a connection");
    c->base.backend = &store_sqlite;
    int err;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2(path, &c->db, flags, NULL) != SQLITE_OK)
        err = fail_set(f, ERR_STORE, "%s: %s", path, sqlite3_errmsg(c->db));
    else
        err = configure(c, writes, f);
    if (err != 0) {
        sqlite_conn_close(c);
        return err;
    }
    *ret = c;
    return 0;
}

void sqlite_conn_close(struct sqlite_conn *c)
{
    if (c == NULL)
        return;
    CS_ASSERT(c->open_rows == 0);
    for (size_t i = 0; i < VERB_COUNT; i++)
        (void)sqlite3_finalize(c->verb[i]); /* repeats errors that have been seen */
    for (size_t i = 0; i < Q_COUNT; i++)
        (void)sqlite3_finalize(c->cached[i].stmt);
    int rc = sqlite3_close(c->db);
    CS_ASSERT(rc == SQLITE_OK); /* else a statement was forgotten */
    free(c);
}

int sqlite_conn_verb(struct sqlite_conn *c, enum sqlite_verb v)
{
    int rc = SQLITE_OK;
    if (c->verb[v] == NULL)
        rc = sqlite3_prepare_v3(c->db, verb_sql[v], -1, SQLITE_PREPARE_PERSISTENT, &c->verb[v],
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(c->verb[v]);
    int err = rc == SQLITE_DONE ? 0 : sqlite_conn_fail(c, rc, verb_sql[v]);
    (void)sqlite3_reset(c->verb[v]); /* repeats the step's error */
    return err;
}

bool sqlite_conn_in_tx(const struct sqlite_conn *c)
{
    return sqlite3_get_autocommit(c->db) == 0;
}

void sqlite_conn_abandon(struct sqlite_conn *c)
{
    if (!sqlite_conn_in_tx(c))
        return;
    int err = sqlite_conn_verb(c, VERB_ROLLBACK);
    /* In WAL mode a rollback touches no disk. If it fails all the same, going on would put the
     * next batch on top of what was just refused. */
    CS_ASSERT(err == 0 && !sqlite_conn_in_tx(c));
}

int sqlite_conn_call(struct sqlite_conn *c, store_fn *fn, void *arg)
{
    c->err = 0;
    int result = fn(&c->base, arg);
    CS_ASSERT(c->open_rows == 0); /* somebody forgot store_end */
    return c->err != 0 ? c->err : result;
}
