/* Migrations, with a schema of this test's own instead of the program's: each is whole or not
 * there, forward only, and a database from the future is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/asset.h"
#include "base/log.h"
#include "store/sqlite.h"

#define BYTES(s) (const unsigned char *)(s), (const unsigned char *)(s) + sizeof(s) - 1

static const char first_sql[] = "-- a comment; with a semicolon\nCREATE TABLE a (x TEXT);\n"
                                "INSERT INTO a VALUES ('semi;colon');\n-- the end";
static const char second_sql[] = "CREATE TABLE b (x TEXT);\n";
/* Fails in its last statement as long as table `ready` is not there. */
static const char third_sql[] = "CREATE TABLE c (x TEXT);\nINSERT INTO ready VALUES (1);\n";

/* The program's table, in a test's stead: whoever links it needs no other. */
const struct asset asset_table[] = {
    {"src/store/other.sql", BYTES("no migration"), NULL, NULL},
    {"src/store/sql/0001-first.sql", BYTES(first_sql), NULL, NULL},
    {"src/store/sql/0002-second.sql", BYTES(second_sql), NULL, NULL},
    {"src/store/sql/0003-third.sql", BYTES(third_sql), NULL, NULL},
    {"web/app.js", BYTES("no migration"), NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

struct place {
    struct sqlite_conn *conn;
    char path[64];
};

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct fail f = {0};
    snprintf(p->path, sizeof p->path, "/tmp/cs-migrate-XXXXXX");
    int fd = mkstemp(p->path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(sqlite_conn_open(p->path, true, &p->conn, &f), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    sqlite_conn_close(p->conn); /* the WAL goes with it */
    assert_int_equal(unlink(p->path), 0);
    free(p);
    return 0;
}

static void run(struct sqlite_conn *c, const char *sql)
{
    assert_int_equal(sqlite3_exec(c->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static int number(struct sqlite_conn *c, const char *sql)
{
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(c->db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return n;
}

static int tables(struct sqlite_conn *c)
{
    return number(c, "SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b', 'c')");
}

static void all_in_order(void **state)
{
    struct sqlite_conn *c = ((struct place *)*state)->conn;
    struct fail f = {0};
    run(c, "CREATE TABLE ready (x)");
    assert_int_equal(sqlite_migrate(c, &f), 0);
    assert_int_equal(number(c, "PRAGMA user_version"), 3);
    assert_int_equal(tables(c), 3);
    assert_int_equal(number(c, "SELECT count(*) FROM a WHERE x = 'semi;colon'"), 1);
    assert_int_equal(sqlite_migrate(c, &f), 0); /* nothing is done twice */
    assert_int_equal(number(c, "SELECT count(*) FROM ready"), 1);
}

static void a_failed_one_leaves_nothing_and_goes_on_later(void **state)
{
    struct sqlite_conn *c = ((struct place *)*state)->conn;
    struct fail f = {0};
    assert_int_equal(sqlite_migrate(c, &f), ERR_STORE);
    assert_non_null(strstr(f.detail, "0003-third.sql"));
    assert_non_null(strstr(f.detail, "ready"));
    assert_int_equal(number(c, "PRAGMA user_version"), 2);
    assert_int_equal(tables(c), 2);
    run(c, "CREATE TABLE ready (x)");
    assert_int_equal(sqlite_migrate(c, &f), 0);
    assert_int_equal(tables(c), 3);
}

static void a_newer_database_is_refused(void **state)
{
    struct sqlite_conn *c = ((struct place *)*state)->conn;
    struct fail f = {0};
    run(c, "PRAGMA user_version = 4");
    assert_int_equal(sqlite_migrate(c, &f), ERR_CONFIG);
    assert_non_null(strstr(f.detail, "newer Countersign (schema 4;"));
    assert_int_equal(tables(c), 0);
    assert_int_equal(number(c, "PRAGMA user_version"), 4);
}

int main(void)
{
    log_open("test", LOG_ERROR);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_in_order),
        T(a_failed_one_leaves_nothing_and_goes_on_later),
        T(a_newer_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
