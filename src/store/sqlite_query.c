/* Queries and their results on one connection. Each query is prepared once per connection, when it
 * is first used. It refuses a wrong number of parameters (a bug: the process ends), and once a
 * query has failed for a reason other than ERR_CONFLICT the whole function's work is refused. */
#include <stdlib.h>
#include "store/sqlite.h"

static struct sqlite_conn *conn_of(struct store_tx *tx)
{
    return (struct sqlite_conn *)tx;
}

static struct sqlite_rows *rows_of(struct store_rows *r)
{
    return (struct sqlite_rows *)r;
}

/* A conflict leaves the transaction whole, and the function may have expected it; anything else
 * spoils it, whatever the function says later. */
static int spoil(struct sqlite_conn *c, int rc, enum store_query q)
{
    int err = sqlite_conn_fail(c, rc, store_query_table[q].name);
    if (err != ERR_CONFLICT)
        c->err = err;
    return err;
}

static int prepare(struct sqlite_conn *c, enum store_query q, struct sqlite_rows *r)
{
    r->base.backend = c->base.backend;
    r->conn = c;
    r->query = q;
    int rc = sqlite3_prepare_v3(c->db, store_query_table[q].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                &r->stmt, NULL);
    return rc == SQLITE_OK ? 0 : spoil(c, rc, q);
}

static int bind_one(sqlite3_stmt *st, int at, const struct store_value *v,
                    sqlite3_destructor_type d)
{
    const char *p = v->s.p != NULL ? v->s.p : ""; /* SQLite would make a NULL of a null pointer */
    switch (v->type) {
    case SV_NULL:
        return sqlite3_bind_null(st, at);
    case SV_INT:
        return sqlite3_bind_int64(st, at, v->i);
    case SV_TEXT:
        return sqlite3_bind_text64(st, at, p, v->s.n, d, SQLITE_UTF8);
    case SV_BLOB:
        return sqlite3_bind_blob64(st, at, p, v->s.n, d);
    }
    cs_bug(__FILE__, __LINE__, "no such type of value");
}

static int bind(struct sqlite_rows *r, const struct store_value *v, size_t n,
                sqlite3_destructor_type d)
{
    CS_ASSERT(n == (size_t)sqlite3_bind_parameter_count(r->stmt));
    for (size_t i = 0; i < n; i++) {
        int rc = bind_one(r->stmt, (int)i + 1, &v[i], d);
        if (rc != SQLITE_OK)
            return spoil(r->conn, rc, r->query);
    }
    return 0;
}

static void rest(struct sqlite_rows *r)
{
    (void)sqlite3_reset(r->stmt);          /* repeats the step's error */
    (void)sqlite3_clear_bindings(r->stmt); /* never fails; no pointer to a caller's memory stays */
}

int sqlite_exec(struct store_tx *tx, enum store_query q, int64_t *changed,
                const struct store_value *v, size_t n)
{
    struct sqlite_conn *c = conn_of(tx);
    struct sqlite_rows *r = &c->cached[q];
    if (c->err != 0)
        return c->err;
    CS_ASSERT(!r->open);
    int err = r->stmt == NULL ? prepare(c, q, r) : 0;
    if (err != 0)
        return err;
    err = bind(r, v, n, SQLITE_STATIC);
    if (err == 0) {
        int rc = sqlite3_step(r->stmt);
        CS_ASSERT(rc != SQLITE_ROW); /* a query with rows belongs to store_select */
        if (rc != SQLITE_DONE)
            err = spoil(c, rc, q);
        else if (changed != NULL)
            *changed = sqlite3_changes64(c->db);
    }
    rest(r);
    return err;
}

/* The cached statement of a query, or a new one where that is being read further out. */
static int rows_take(struct sqlite_conn *c, enum store_query q, struct sqlite_rows **ret)
{
    struct sqlite_rows *r = &c->cached[q];
    if (r->open && (r = calloc(1, sizeof *r)) == NULL)
        return c->err = ERR_STORE;
    int err = r->stmt == NULL ? prepare(c, q, r) : 0;
    if (err != 0 && r != &c->cached[q])
        free(r);
    if (err == 0)
        *ret = r;
    return err;
}

static void rows_give(struct sqlite_rows *r)
{
    if (r == &r->conn->cached[r->query]) {
        rest(r);
        return;
    }
    (void)sqlite3_finalize(r->stmt); /* repeats the step's error */
    free(r);
}

int sqlite_select(struct store_tx *tx, enum store_query q, struct store_rows **ret,
                  const struct store_value *v, size_t n)
{
    struct sqlite_conn *c = conn_of(tx);
    struct sqlite_rows *r;
    if (c->err != 0)
        return c->err;
    int err = rows_take(c, q, &r);
    if (err != 0)
        return err;
    /* copied: rows are computed as they are read, when the caller's texts may be gone */
    err = bind(r, v, n, SQLITE_TRANSIENT);
    if (err != 0) {
        rows_give(r);
        return err;
    }
    r->open = true;
    r->done = false;
    c->open_rows++;
    *ret = &r->base;
    return 0;
}

int sqlite_next(struct store_rows *base)
{
    struct sqlite_rows *r = rows_of(base);
    CS_ASSERT(r->open);
    if (r->conn->err != 0)
        return r->conn->err;
    if (r->done)
        return ERR_DONE;
    int rc = sqlite3_step(r->stmt);
    if (rc == SQLITE_ROW)
        return 0;
    r->done = true;
    return rc == SQLITE_DONE ? ERR_DONE : spoil(r->conn, rc, r->query);
}

void sqlite_end(struct store_rows *base)
{
    struct sqlite_rows *r = rows_of(base);
    CS_ASSERT(r->open && r->conn->open_rows > 0);
    r->open = false;
    r->conn->open_rows--;
    rows_give(r);
}

static void check_column(const struct sqlite_rows *r, int column)
{
    CS_ASSERT(r->open && column >= 0 && column < sqlite3_data_count(r->stmt));
}

int64_t sqlite_number(struct store_rows *base, int column)
{
    struct sqlite_rows *r = rows_of(base);
    check_column(r, column);
    return sqlite3_column_int64(r->stmt, column);
}

struct str sqlite_text(struct store_rows *base, int column)
{
    struct sqlite_rows *r = rows_of(base);
    check_column(r, column);
    const char *p = sqlite3_column_blob(r->stmt, column); /* texts too: the bytes as they are */
    if (p == NULL)
        return (struct str){"", 0};
    return (struct str){p, (size_t)sqlite3_column_bytes(r->stmt, column)};
}

bool sqlite_null(struct store_rows *base, int column)
{
    struct sqlite_rows *r = rows_of(base);
    check_column(r, column);
    return sqlite3_column_type(r->stmt, column) == SQLITE_NULL;
}
