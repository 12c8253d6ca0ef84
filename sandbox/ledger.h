/* What the transfer product remembers: authorizations, transfers, refunds, recurring transfers
 * and the events about them. Only data; who may do what is transfer.c's matter.
 * Things are numbered from 1; number 0 is none. */
#ifndef SANDBOX_LEDGER_H
#define SANDBOX_LEDGER_H

#include "ids.h"
#include "map.h"

#include <jansson.h>

enum decision { DECISION_DECLINED = 0, DECISION_USER_ACTION, DECISION_APPROVED };

struct authorization {
    char id[ID_UUID_SIZE];
    int64_t created; /* ms */
    int64_t cents;
    enum decision decision;
    char rationale[64]; /* its code; empty: none */
    char *proposed;     /* "proposed_transfer" as JSON text */
    char *account_id;
    bool ach;
    bool cancelled;
    uint64_t transfer; /* made from it */
};

struct transfer {
    char id[ID_UUID_SIZE];
    uint64_t authorization;
    int64_t created;
    int64_t cents;
    int64_t refunded;
    char *description;
    char *metadata; /* JSON text */
    bool cancelled;
};

struct refund {
    char id[ID_UUID_SIZE];
    uint64_t transfer;
    int64_t created;
    int64_t cents;
};

struct transfer_event {
    const char *type;
    uint64_t transfer;
    uint64_t refund;
    int64_t at;
};

struct ledger {
    struct authorization *authorizations;
    struct transfer *transfers;
    struct refund *refunds;
    struct transfer_event *events;
    json_t *recurring; /* idempotency key -> the whole answer; NULL before the first */
    size_t authorizations_n, transfers_n, refunds_n, events_n;
    struct map by_id;  /* "<uuid>" -> number; uuids of different things never meet */
    struct map by_key; /* idempotency keys: "authorization:<key>", "refund:<key>" */
};

/* Each takes over the strings of *item, gives it an id and answers its number. */
uint64_t ledger_add_authorization(struct ledger *l, struct ids *ids, struct authorization *item);
uint64_t ledger_add_transfer(struct ledger *l, struct ids *ids, struct transfer *item);
uint64_t ledger_add_refund(struct ledger *l, struct ids *ids, struct refund *item);
void ledger_add_event(struct ledger *l, const struct transfer_event *event);

/* NULL if there is none of that id (or the id is NULL). Valid until the next one is added. */
struct authorization *ledger_authorization(struct ledger *l, const char *id);
struct transfer *ledger_transfer(struct ledger *l, const char *id);
/* By number. */
struct authorization *ledger_authorization_at(const struct ledger *l, uint64_t number);
struct transfer *ledger_transfer_at(const struct ledger *l, uint64_t number);

/* The number remembered for an idempotency key of a kind. */
uint64_t *ledger_key(struct ledger *l, const char *kind, const char *key);

/* As Plaid writes them. */
json_t *ledger_authorization_json(const struct ledger *l, const struct authorization *a);
json_t *ledger_rationale_json(const char *code);
json_t *ledger_transfer_json(const struct ledger *l, uint64_t number);
json_t *ledger_refund_json(const struct ledger *l, uint64_t number);
json_t *ledger_event_json(const struct ledger *l, uint64_t number);
void ledger_free(struct ledger *l);

/* "12.34" -> 1234; false unless it is a positive amount with two decimals. */
bool cents_parse(const char *s, int64_t *out);

#endif
