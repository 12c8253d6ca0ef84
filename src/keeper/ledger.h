/* What the journal's records say, in memory: which attempts were sent and how they ended, what is
 * revoked, which roster is the newest, the highest time seen. The same code takes a record when it
 * is written and when it is read back, so that memory is always what a restart would find. Pure. */
#ifndef CS_KEEPER_LEDGER_H
#define CS_KEEPER_LEDGER_H

#include "keeper/order.h"
#include "keeper/revoke.h"

enum record_type {
    RECORD_NONE = 0,
    RECORD_EPOCH,
    RECORD_SENT,
    RECORD_DONE,
    RECORD_REVOKE,
    RECORD_ROSTER
};

#define SAME_BYTES 16 /* fingerprint of payload and idempotency key */

struct attempt {
    struct attempt *older;
    int64_t revision, number, sent_at, execute_by;
    unsigned char same[SAME_BYTES];
    bool done; /* false: SENT without DONE, nobody knows */
    enum result_kind kind;
    enum answer_class class;
    int64_t done_at; /* where in the journal the DONE record's fields lie */
    uint32_t done_len;
};

struct ledger {
    char id[33], epoch[33];
    int64_t epoch_started, seen;
    int64_t roster_version;      /* 0: none yet */
    char roster_hash[HASH_TEXT]; /* of the sealed roster */
    struct revoke_set revoked;
    void *actions; /* tsearch tree */
};

void ledger_free(struct ledger *l);
/* The newest attempt of an action; follow `older`. NULL: none was sent. */
const struct attempt *ledger_attempts(const struct ledger *l, struct str workspace,
                                      struct str action);
const struct attempt *ledger_attempt(const struct ledger *l, struct str workspace,
                                     struct str action, int64_t number);

/* Takes a record's fields; `place` is their offset in the journal. False: they make no sense. */
CS_CHECK bool ledger_take(struct ledger *l, enum record_type type, int64_t at, struct str fields,
                          int64_t place);

/* Fields of each record. */
void ledger_put_epoch(struct buf *b, const struct ledger *l);
void ledger_put_sent(struct buf *b, struct str workspace, struct str action,
                     const struct attempt *a);
void ledger_put_roster(struct buf *b, int64_t version, const char *hash);
/* DONE is messages_put_ending, REVOKE is messages_put_revocation. */

/* Calls fn with every record that still matters at `now`; of a DONE record only the place and
 * length in `a` are known, and `fields` is empty. */
typedef void ledger_fn(void *arg, enum record_type type, struct str fields,
                       const struct attempt *a);
void ledger_each(const struct ledger *l, int64_t now, ledger_fn *fn, void *arg);

#endif
