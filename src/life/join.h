/* Joining: a proposal that is one we already have. */
#ifndef CS_LIFE_JOIN_H
#define CS_LIFE_JOIN_H

#include "life/inside.h"

struct join {
    struct str workspace, agent, connection, key, payload_hash, join_hash;
    bool soft_key;
    int tier; /* of the present proposal */
    int64_t now;
    /* found */
    bool joined, by_key;
    char id[ID_SIZE];         /* the action joined */
    char attempt_of[ID_SIZE]; /* with !joined: an earlier, ended action with this payload, or "" */
};
/* Decides inside the transaction that would insert, so that two at once become one. Sets the
 * outputs from scratch. ERR_IDEMPOTENCY_MISMATCH for a key with another payload. */
CS_CHECK int join_find(struct store_tx *tx, struct join *j);
/* Remembers the key for the action. */
CS_CHECK int join_remember(struct store_tx *tx, const struct join *j, struct str action);
/* SHA-256 of (agent, connection, payload_hash), as hash text. */
void join_hash(struct str agent, struct str connection, struct str payload_hash,
               char out[HASH_TEXT]);

#endif
