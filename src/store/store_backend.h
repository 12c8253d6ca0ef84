/* What a database must offer to stand behind store.h: internal to store/. It is as wide as a
 * transaction and a result, never as the schema: a query is a row of query.def, not a function
 * here. To add a database: write one table of these functions, and a row in store.c's list. */
#ifndef CS_STORE_STORE_BACKEND_H
#define CS_STORE_STORE_BACKEND_H

#include "store/store.h"

struct store_backend {
    const char *name;
    int (*open)(const struct store_options *o, struct store **ret, struct fail *f);
    void (*close)(struct store *s);
    int (*tx)(struct store *s, store_fn *fn, void *arg);
    int (*read)(struct store *s, store_fn *fn, void *arg);
    void (*stats)(struct store *s, struct store_stats *ret);
    int (*exec)(struct store_tx *tx, enum store_query q, int64_t *changed,
                const struct store_value *v, size_t n);
    int (*select)(struct store_tx *tx, enum store_query q, struct store_rows **ret,
                  const struct store_value *v, size_t n);
    int (*next)(struct store_rows *r);
    void (*end)(struct store_rows *r);
    int64_t (*number)(struct store_rows *r, int column);
    struct str (*text)(struct store_rows *r, int column);
    bool (*null)(struct store_rows *r, int column);
};

/* Each stands first in the backend's own struct, so that a pointer to one is a pointer to the
 * other. */
struct store {
    const struct store_backend *backend;
};
struct store_tx {
    const struct store_backend *backend;
};
struct store_rows {
    const struct store_backend *backend;
};

extern const struct store_backend store_sqlite;

/* The rows of query.def. */
struct store_query_text {
    const char *name;
    const char *sql;
    const char *postgres; /* NULL: the same */
};
extern const struct store_query_text store_query_table[Q_COUNT];

#endif
