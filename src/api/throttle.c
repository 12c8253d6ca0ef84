/* Counters of failed sign-ins. Accounts are kept as hashes of the email: an unknown email is
 * somebody's personal data too, and may be as long as its sender likes. */
#include <stdio.h>

#include "api/throttle.h"

void throttle_for(struct throttle *t, struct str workspace, struct str email, struct str remote)
{
    char lower[256] = "", hash[HASH_TEXT];
    size_t n = email.n < sizeof lower ? email.n : sizeof lower;
    for (size_t i = 0; i < n; i++) {
        char c = email.p[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    hash_text(hash, (struct str){lower, n});
    t->workspace = workspace;
    (void)snprintf(t->account, sizeof t->account, "email:%s", hash);
    (void)snprintf(t->address, sizeof t->address, "addr:%.64s", remote.n < 64 ? remote.p : "");
}

struct counting {
    const struct throttle *t;
    int64_t now, limit, wait_ms;
};

/* Milliseconds until the subject may try again; 0: now. */
static int blocked_for(struct store_tx *tx, const struct counting *c, const char *subject,
                       int64_t *ret)
{
    struct store_rows *rows = NULL;
    int64_t wait = 0;
    int r = STORE_SELECT(tx, Q_API_LOGIN_FAILURES, &rows, V_TEXT(c->t->workspace), V_C(subject),
                         V_INT(c->now - THROTTLE_MS));
    if (r == ERR_OK)
        r = store_next(rows);
    if (r == ERR_OK && store_int(rows, 0) >= c->limit)
        wait = store_int(rows, 1) + THROTTLE_MS - c->now;
    store_end(rows);
    if (r == ERR_OK || r == ERR_DONE)
        *ret = wait;
    return r == ERR_DONE ? ERR_OK : r;
}

static int count(struct store_tx *tx, void *arg)
{
    struct counting *c = arg;
    const char *const subject[] = {c->t->account, c->t->address};
    int64_t wait = 0;
    int r = STORE_EXEC(tx, Q_API_LOGIN_SWEEP, NULL, V_TEXT(c->t->workspace),
                       V_INT(c->now - THROTTLE_MS));
    for (size_t i = 0; i < 2 && r == ERR_OK; i++) {
        r = blocked_for(tx, c, subject[i], &wait);
        if (r == ERR_OK && wait > 0) {
            c->wait_ms = wait;
            return ERR_LOGIN_THROTTLED;
        }
    }
    for (size_t i = 0; i < 2 && r == ERR_OK; i++)
        r = STORE_EXEC(tx, Q_API_LOGIN_COUNT, NULL, V_TEXT(c->t->workspace), V_C(subject[i]),
                       V_INT(c->now));
    return r;
}

int throttle_count(struct store *s, const struct throttle *t, int64_t now, int64_t limit,
                   int64_t *wait_ms)
{
    struct counting c = {.t = t, .now = now, .limit = limit};
    int r = store_tx(s, count, &c);
    if (r == ERR_LOGIN_THROTTLED)
        *wait_ms = c.wait_ms;
    return r;
}

int throttle_good(struct store_tx *tx, const struct throttle *t)
{
    int r = STORE_EXEC(tx, Q_API_LOGIN_CLEAR, NULL, V_TEXT(t->workspace), V_C(t->account));
    if (r == ERR_OK)
        r = STORE_EXEC(tx, Q_API_LOGIN_UNCOUNT, NULL, V_TEXT(t->workspace), V_C(t->address));
    return r;
}
