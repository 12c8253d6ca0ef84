/* Picks the database by its URL and hands every call on to it. It knows no SQL dialect, and refuses
 * a URL that no database here answers to. */
#include "store/store_backend.h"

const struct store_query_text store_query_table[Q_COUNT] = {
#define QUERY(name, sql, pg) [Q_##name] = {#name, sql, pg},
#include "store/query.def"
#undef QUERY
};

int store_open(const struct store_options *o, struct store **ret, struct fail *f)
{
    struct str url = str_c(o->url);
    if (str_eq_c(url, "sqlite"))
        return store_sqlite.open(o, ret, f);
    if (str_starts(url, STR("postgres://")) || str_starts(url, STR("postgresql://")))
        return fail_field(f, ERR_CONFIG, "store", "PostgreSQL is not built into this version");
    return fail_field(f, ERR_CONFIG, "store", "the store must be \"sqlite\" or a PostgreSQL URL");
}

void store_close(struct store *s)
{
    if (s != NULL)
        s->backend->close(s);
}

int store_tx(struct store *s, store_fn *fn, void *arg)
{
    return s->backend->tx(s, fn, arg);
}

int store_read(struct store *s, store_fn *fn, void *arg)
{
    return s->backend->read(s, fn, arg);
}

void store_stats(struct store *s, struct store_stats *ret)
{
    s->backend->stats(s, ret);
}

int store_exec(struct store_tx *tx, enum store_query q, int64_t *changed,
               const struct store_value *v, size_t n)
{
    return tx->backend->exec(tx, q, changed, v, n);
}

int store_select(struct store_tx *tx, enum store_query q, struct store_rows **ret,
                 const struct store_value *v, size_t n)
{
    return tx->backend->select(tx, q, ret, v, n);
}

int store_next(struct store_rows *r)
{
    return r->backend->next(r);
}

void store_end(struct store_rows *r)
{
    if (r != NULL)
        r->backend->end(r);
}

int64_t store_int(struct store_rows *r, int column)
{
    return r->backend->number(r, column);
}

struct str store_text(struct store_rows *r, int column)
{
    return r->backend->text(r, column);
}

bool store_null(struct store_rows *r, int column)
{
    return r->backend->null(r, column);
}

struct store_value store_opt_text(struct str s)
{
    return s.n > 0 ? V_TEXT(s) : V_NULL;
}

struct store_value store_opt_int(int64_t i)
{
    return i != 0 ? V_INT(i) : V_NULL;
}
