/* The store: transactions over named queries. Callers know neither SQL nor which database it is:
 * texts stand once in query.def, migrations in sql/. On SQLite one writer thread gathers waiting
 * functions into one commit; nothing is acknowledged before COMMIT has returned.
 *
 * Errors: ERR_STORE (I/O, busy, corrupt), ERR_STORE_FULL; both are answered with 503 and leave
 * nothing half done. A failed fsync ends the process: the kernel may have dropped the pages. */
#ifndef CS_STORE_STORE_H
#define CS_STORE_STORE_H

#include "base/err.h"
#include "base/str.h"

struct store;
struct store_tx;   /* valid only inside the function it was given to */
struct store_rows; /* one result, being read */

enum store_query {
#define QUERY(name, sql, pg) Q_##name,
#include "store/query.def"
#undef QUERY
    Q_COUNT
};

struct store_options {
    const char *url; /* "sqlite" or a PostgreSQL URL */
    const char *dir; /* folder of the SQLite file */
    size_t readers;  /* reading connections */
};

/* Opens, migrates (numbered, forward only; a database newer than this program is refused). */
CS_CHECK int store_open(const struct store_options *o, struct store **ret, struct fail *f);
/* Finishes what waits, checkpoints, closes. NULL is fine. */
void store_close(struct store *s);

/* Runs fn in a write transaction of its own (a savepoint in the batch). 0 from fn commits; anything
 * else rolls its work back and is returned. fn may be run again after a conflict, so its outputs
 * must be set from scratch each time; it must not block, send, or wait. Returns when durable. */
typedef int store_fn(struct store_tx *tx, void *arg);
CS_CHECK int store_tx(struct store *s, store_fn *fn, void *arg);
/* Runs fn on one consistent snapshot; writing queries fail. */
CS_CHECK int store_read(struct store *s, store_fn *fn, void *arg);

enum store_type { SV_NULL = 0, SV_INT, SV_TEXT, SV_BLOB };
struct store_value {
    enum store_type type;
    int64_t i;
    struct str s;
};
#define V_NULL ((struct store_value){.type = SV_NULL})
#define V_INT(x) ((struct store_value){.type = SV_INT, .i = (int64_t)(x)})
#define V_TEXT(x) ((struct store_value){.type = SV_TEXT, .s = (x)})
#define V_C(x) V_TEXT(str_c(x))
#define V_BLOB(x) ((struct store_value){.type = SV_BLOB, .s = (x)})
/* Text, or NULL for the empty string; and the number, or NULL for 0. */
#define V_OPT(x) store_opt_text(x)
#define V_OPT_INT(x) store_opt_int(x)
struct store_value store_opt_text(struct str s);
struct store_value store_opt_int(int64_t i);

#define STORE_ARGS(...)                        \
    (const struct store_value[]){__VA_ARGS__}, \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)

/* Runs a query without rows; *changed (may be NULL) counts rows. A broken UNIQUE constraint is
 * ERR_CONFLICT; a trigger's refusal is ERR_STORE. */
CS_CHECK int store_exec(struct store_tx *tx, enum store_query q, int64_t *changed,
                        const struct store_value *v, size_t n);
#define STORE_EXEC(tx, q, changed, ...) store_exec(tx, q, changed, STORE_ARGS(__VA_ARGS__))

/* Runs a query with rows. Always end it. Texts are valid until the next store_next or store_end. */
CS_CHECK int store_select(struct store_tx *tx, enum store_query q, struct store_rows **ret,
                          const struct store_value *v, size_t n);
#define STORE_SELECT(tx, q, ret, ...) store_select(tx, q, ret, STORE_ARGS(__VA_ARGS__))
CS_CHECK int store_next(struct store_rows *r); /* 0: a row; ERR_DONE: no more; else an error */
void store_end(struct store_rows *r);          /* NULL is fine */
int64_t store_int(struct store_rows *r, int column);     /* 0 for NULL */
struct str store_text(struct store_rows *r, int column); /* empty for NULL; blobs too */
bool store_null(struct store_rows *r, int column);

/* For metrics: commits made, functions committed in them, the longest wait of the last minute in
 * us. */
struct store_stats {
    uint64_t commits, functions, reads, failures;
};
void store_stats(struct store *s, struct store_stats *ret);

#endif
