/* Brings the database's schema up to this program's: the numbered files of sql/, each in one
 * transaction, forward only; PRAGMA user_version says how far it has come. It refuses a database
 * that a newer program has written. */
#include <stdio.h>
#include "base/asset.h"
#include "base/log.h"
#include "store/sqlite.h"

#define FOLDER "src/store/sql/"
#define NUMBER_DIGITS 4

/* "src/store/sql/0001-first.sql" is 1; 0 for anything that is no migration. */
static int migration_number(const char *name)
{
    struct str s = str_c(name);
    if (!str_starts(s, STR(FOLDER)) || !str_ends(s, STR(".sql")))
        return 0;
    s = str_sub(s, sizeof FOLDER - 1, s.n);
    CS_ASSERT(s.n > NUMBER_DIGITS && s.p[NUMBER_DIGITS] == '-');
    int n = 0;
    for (size_t i = 0; i < NUMBER_DIGITS; i++) {
        CS_ASSERT(s.p[i] >= '0' && s.p[i] <= '9');
        n = n * 10 + (s.p[i] - '0');
    }
    return n;
}

static int schema_version(struct sqlite_conn *c, int *ret)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA user_version", -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int err = rc == SQLITE_ROW ? 0 : sqlite_conn_fail(c, rc, "user_version");
    if (err == 0)
        *ret = sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st); /* repeats the step's error */
    return err;
}

/* The statements of a script, one after the other. */
static int run_script(struct sqlite_conn *c, struct str sql)
{
    const char *p = sql.p, *end = sql.p + sql.n;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && p < end) {
        sqlite3_stmt *st = NULL;
        rc = sqlite3_prepare_v2(c->db, p, (int)(end - p), &st, &p);
        if (rc != SQLITE_OK || st == NULL) /* NULL: only space or a comment was left */
            continue;
        while ((rc = sqlite3_step(st)) == SQLITE_ROW)
            ;
        rc = sqlite3_finalize(st); /* the step's error, if any */
    }
    return rc == SQLITE_OK ? 0 : sqlite_conn_fail(c, rc, "migration");
}

static int apply(struct sqlite_conn *c, const struct asset *a, int number)
{
    char version[48];
    snprintf(version, sizeof version, "PRAGMA user_version=%d", number);
    int err = sqlite_conn_verb(c, VERB_BEGIN_WRITE);
    if (err == 0)
        err = run_script(c, asset_text(a));
    if (err == 0)
        err = run_script(c, str_c(version));
    if (err == 0)
        err = sqlite_conn_verb(c, VERB_COMMIT);
    return err;
}

static int apply_newer(struct sqlite_conn *c, int version, struct fail *f)
{
    for (const struct asset *a = asset_table; a->name != NULL; a++) {
        int number = migration_number(a->name);
        if (number <= version)
            continue;
        CS_ASSERT(number == version + 1); /* the table is sorted, and numbers have no gaps */
        int err = apply(c, a, number);
        if (err != 0) {
            err = fail_set(f, err, "%s: %s", a->name, sqlite3_errmsg(c->db));
            sqlite_conn_abandon(c);
            return err;
        }
        version = number;
        log_event(LOG_INFO, "store.migrated", KV_N("schema", version));
    }
    return 0;
}

int sqlite_migrate(struct sqlite_conn *c, struct fail *f)
{
    int version, newest = 0;
    int err = schema_version(c, &version);
    if (err != 0)
        return fail_set(f, err, "the database cannot be read: %s", sqlite3_errmsg(c->db));
    for (const struct asset *a = asset_table; a->name != NULL; a++)
        if (migration_number(a->name) > newest)
            newest = migration_number(a->name);
    CS_ASSERT(newest > 0);
    if (version > newest || version < 0)
        return fail_set(f, ERR_CONFIG,
                        "the database was written by a newer Countersign (schema %d; this program "
                        "knows schemas up to %d)",
                        version, newest);
    return apply_newer(c, version, f);
}
