/* Which earlier action a proposal joins, if any (API.md "Joining"). An agent's own key decides
 * alone; without one, the same payload of the same agent on the same connection is the same action
 * while it is open, and for a while after, so that a repeated call is an answer and not a second
 * payment. */
#include "life/join.h"

#define AFTER_TOLD (10 * 60 * 1000)    /* succeeded, failed, declined: since the agent was told */
#define AFTER_REFUSED (60 * 60 * 1000) /* rejected, expired, cancelled: since the end */

void join_hash(struct str agent, struct str connection, struct str payload_hash,
               char out[HASH_TEXT])
{
    char text[256];
    int n = snprintf(text, sizeof text, "%.*s\n%.*s\n%.*s", STR_FMT(agent), STR_FMT(connection),
                     STR_FMT(payload_hash));
    CS_ASSERT(n > 0 && (size_t)n < sizeof text);
    hash_text(out, (struct str){text, (size_t)n});
}

static int by_key(struct store_tx *tx, struct join *j)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_IDEM_GET, &rows, V_TEXT(j->workspace), V_TEXT(j->agent),
                         V_TEXT(j->connection), V_TEXT(j->key),
                         V_INT(j->now - (int64_t)IDEM_DAYS * 86400000));
    if (r == 0)
        r = store_next(rows);
    if (r == 0) {
        if (!str_eq(store_text(rows, 0), j->payload_hash))
            r = ERR_IDEMPOTENCY_MISMATCH;
        else
            j->joined = j->by_key = str_copy(j->id, sizeof j->id, store_text(rows, 1));
    }
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static bool still_same(enum state s, int64_t told_at, int64_t ended_at, int64_t now)
{
    switch (s) {
    case STATE_PENDING:
    case STATE_APPROVED:
    case STATE_SENDING:
    case STATE_BLOCKED:
    case STATE_UNKNOWN:
        return true;
    case STATE_SUCCEEDED:
    case STATE_FAILED:
    case STATE_DECLINED:
        return told_at == 0 || now < told_at + AFTER_TOLD;
    case STATE_REJECTED:
    case STATE_EXPIRED:
    case STATE_CANCELLED:
        return now < ended_at + AFTER_REFUSED;
    case STATE_NEW:
    case STATE_DENIED:
    case STATE_COUNT:
        break;
    }
    return false;
}

static int by_payload(struct store_tx *tx, struct join *j)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_ACTION_BY_JOIN, &rows, V_TEXT(j->workspace), V_TEXT(j->join_hash));
    if (r == 0)
        r = store_next(rows);
    enum state s = STATE_NEW;
    if (r == 0 && !state_parse(store_text(rows, 1), &s))
        r = ERR_STORE;
    if (r == 0) {
        j->joined = still_same(s, store_int(rows, 2), store_int(rows, 3), j->now);
        if (!str_copy(j->joined ? j->id : j->attempt_of, ID_SIZE, store_text(rows, 0)))
            r = ERR_STORE;
    }
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

int join_find(struct store_tx *tx, struct join *j)
{
    j->joined = j->by_key = false;
    j->id[0] = j->attempt_of[0] = '\0';
    int r = j->key.n > 0 ? by_key(tx, j) : 0;
    if (r == 0 && !j->joined && j->tier >= 2 && (j->key.n == 0 || j->soft_key))
        r = by_payload(tx, j);
    return r;
}

int join_remember(struct store_tx *tx, const struct join *j, struct str action)
{
    if (j->key.n == 0 || j->by_key) /* its 30 days count from its first use */
        return 0;
    return STORE_EXEC(tx, Q_IDEM_SET, NULL, V_TEXT(j->workspace), V_TEXT(j->agent),
                      V_TEXT(j->connection), V_TEXT(j->key), V_TEXT(j->payload_hash),
                      V_TEXT(action), V_INT(j->now));
}
