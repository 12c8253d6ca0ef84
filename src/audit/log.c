/* Appends events to the log and reads them back. An event is part of the transaction of what it
 * tells about: if it cannot be written, that does not happen. Nothing here changes or removes one.
 */
#include "audit/body.h"

/* The counter's row is locked by taking the number, and a rollback gives the number back: no gaps,
 * also where transactions run side by side. */
static int next_seq(struct store_tx *tx, struct str workspace, int64_t *ret)
{
    struct store_rows *r = NULL;
    int err = STORE_SELECT(tx, Q_AUDIT_NEXT, &r, V_TEXT(workspace));
    if (err == 0)
        err = store_next(r);
    if (err == 0)
        *ret = store_int(r, 0);
    store_end(r);
    return err;
}

static int insert(struct store_tx *tx, const struct audit_event *e, struct str event_id,
                  int64_t seq, struct str body)
{
    unsigned char leaf[AUDIT_LEAF];
    audit_leaf(body, leaf);
    struct str leaf_bytes = {(const char *)leaf, sizeof leaf};
    return STORE_EXEC(tx, Q_AUDIT_INSERT, NULL, V_TEXT(e->workspace), V_INT(seq), V_TEXT(event_id),
                      V_INT(e->at), V_C(audit_type_text(e->type)), V_OPT(e->action), V_TEXT(body),
                      V_BLOB(leaf_bytes));
}

int audit_append(struct store_tx *tx, const struct env *env, const struct audit_event *e,
                 int64_t *ret_seq)
{
    struct audit_event dated = *e;
    char event_id[UUID_SIZE];
    struct buf body;
    int64_t seq;
    if (dated.at == 0)
        dated.at = env_now(env);
    int err = next_seq(tx, e->workspace, &seq);
    if (err != 0)
        return err;
    uuid_new(env, event_id);
    buf_init(&body, AUDIT_BODY_MAX);
    err = audit_body(&dated, str_c(event_id), seq, &body);
    if (err == 0)
        err = insert(tx, &dated, str_c(event_id), seq, buf_view(&body));
    if (err == 0 && ret_seq != NULL)
        *ret_seq = seq;
    buf_free(&body);
    return err;
}

/* Gives every row of a result (number, bytes) to fn, and ends it. */
static int give_rows(struct store_rows *r, audit_fn *fn, void *arg)
{
    int err;
    while ((err = store_next(r)) == 0) {
        err = fn(arg, store_int(r, 0), store_text(r, 1));
        if (err != 0)
            break;
    }
    store_end(r);
    return err == ERR_DONE ? 0 : err;
}

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

int audit_each(struct store_tx *tx, const struct audit_filter *flt, audit_fn *fn, void *arg)
{
    struct store_rows *r = NULL;
    int64_t before = flt->before_seq > 0 ? flt->before_seq : INT64_MAX;
    int64_t limit = clamp(flt->limit, 1, 1000);
    int err =
        flt->action.n > 0
            ? STORE_SELECT(tx, Q_AUDIT_OF_ACTION, &r, V_TEXT(flt->workspace), V_INT(before),
                           V_TEXT(flt->type), V_INT(flt->since), V_INT(limit), V_TEXT(flt->action))
            : STORE_SELECT(tx, Q_AUDIT_NEWEST, &r, V_TEXT(flt->workspace), V_INT(before),
                           V_TEXT(flt->type), V_INT(flt->since), V_INT(limit));
    return err != 0 ? err : give_rows(r, fn, arg);
}

int audit_export(struct store_tx *tx, struct str workspace, int64_t after_seq, int64_t limit,
                 audit_fn *fn, void *arg)
{
    struct store_rows *r = NULL;
    int err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_TEXT(workspace), V_INT(after_seq),
                           V_INT(clamp(limit, 0, INT64_MAX)));
    return err != 0 ? err : give_rows(r, fn, arg);
}
