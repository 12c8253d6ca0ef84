/* The throttle of failed sign-ins: so many per account and per address in 15 minutes, kept in the
 * store so that a restart does not reset it. */
#ifndef CS_API_THROTTLE_H
#define CS_API_THROTTLE_H

#include "base/canon.h"
#include "store/store.h"

#define THROTTLE_MS ((int64_t)15 * 60 * 1000)

struct throttle {
    struct str workspace;
    char account[HASH_TEXT + 8]; /* never the email itself */
    char address[80];
};
void throttle_for(struct throttle *t, struct str workspace, struct str email, struct str remote);
/* Counts an attempt before it is checked, so that many at once cannot pass together.
 * ERR_LOGIN_THROTTLED, with *wait_ms, once `limit` was reached. */
CS_CHECK int throttle_count(struct store *s, const struct throttle *t, int64_t now, int64_t limit,
                            int64_t *wait_ms);
/* The attempt was good: the account starts afresh, the address gets its attempt back. */
CS_CHECK int throttle_good(struct store_tx *tx, const struct throttle *t);

#endif
