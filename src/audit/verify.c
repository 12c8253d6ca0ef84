/* Checks a workspace's log as far as that can be done without the verifiable tree: numbers without
 * gaps up to the counter, each leaf hash against its bytes, and the columns that searches go by
 * against what the bytes say. Who may write the database can still rewrite bytes, hash and columns
 * together; only a checkpoint kept elsewhere shows that. */
#include "audit/body.h"

enum column { C_SEQ, C_BODY, C_LEAF, C_EVENT_ID, C_AT, C_TYPE, C_ACTION };

static bool leaf_holds(struct str body, struct str stored)
{
    unsigned char leaf[AUDIT_LEAF];
    audit_leaf(body, leaf);
    return str_eq((struct str){(const char *)leaf, sizeof leaf}, stored);
}

/* Is the member this text, or null where the text is empty? */
static bool says(const json_t *event, const char *member, struct str s)
{
    return str_eq(json_text(json_object_get(event, member)), s);
}

static bool columns_hold(struct store_rows *r, struct str workspace, int64_t seq)
{
    char at[TIME_TEXT];
    json_t *event = NULL;
    if (json_read(store_text(r, C_BODY), &event, NULL) != 0)
        return false;
    time_format(at, store_int(r, C_AT));
    bool hold = json_integer_value(json_object_get(event, "seq")) == seq &&
                says(event, "workspace", workspace) && says(event, "timestamp", str_c(at)) &&
                says(event, "event_id", store_text(r, C_EVENT_ID)) &&
                says(event, "type", store_text(r, C_TYPE)) &&
                says(event, "action_id", store_text(r, C_ACTION));
    json_decref(event);
    return hold;
}

/* Reads on while events are good: *seq is the last good one, *bad the first that is not. */
static int check_rows(struct store_rows *r, struct str workspace, int64_t *seq, int64_t *bad)
{
    int err;
    while ((err = store_next(r)) == 0) {
        int64_t expected = *seq + 1;
        if (store_int(r, C_SEQ) != expected ||
            !leaf_holds(store_text(r, C_BODY), store_text(r, C_LEAF)) ||
            !columns_hold(r, workspace, expected)) {
            *bad = expected;
            return 0;
        }
        *seq = expected;
    }
    return err == ERR_DONE ? 0 : err;
}

static int read_head(struct store_tx *tx, struct str workspace, int64_t *ret)
{
    struct store_rows *r = NULL;
    int err = STORE_SELECT(tx, Q_AUDIT_HEAD, &r, V_TEXT(workspace));
    if (err == 0)
        err = store_next(r);
    if (err == 0 || err == ERR_DONE)
        *ret = err == 0 ? store_int(r, 0) : 0;
    store_end(r);
    return err == ERR_DONE ? 0 : err;
}

int audit_check(struct store_tx *tx, struct str workspace, int64_t *ret_events, int64_t *ret_bad)
{
    struct store_rows *r = NULL;
    int64_t head = 0, seq = 0, bad = 0;
    int err = read_head(tx, workspace, &head);
    if (err == 0)
        err = STORE_SELECT(tx, Q_AUDIT_FROM, &r, V_TEXT(workspace), V_INT(0), V_INT(INT64_MAX));
    if (err == 0)
        err = check_rows(r, workspace, &seq, &bad);
    store_end(r);
    if (err != 0)
        return err;
    if (bad == 0 && head != seq) /* the newest were removed, or the counter was set back */
        bad = (head < seq ? head : seq) + 1;
    *ret_events = bad != 0 ? bad - 1 : seq; /* those before it hold */
    *ret_bad = bad;
    return 0;
}
