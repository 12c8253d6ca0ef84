/* The one Item there is: its accounts, owners, numbers, transactions, holdings, debts.
 * It never changes: money that the ledger moves does not move balances. */
#ifndef SANDBOX_FIXTURE_H
#define SANDBOX_FIXTURE_H

#include "buf.h"

#include <jansson.h>

enum fixture_part {
    FIXTURE_ITEM = 0,
    FIXTURE_ACCOUNTS,
    FIXTURE_OWNERS,
    FIXTURE_NUMBERS,
    FIXTURE_TRANSACTIONS,
    FIXTURE_HOLDINGS,
    FIXTURE_SECURITIES,
    FIXTURE_LIABILITIES,
    FIXTURE_SIGNAL,
    FIXTURE_COUNT
};

/* Answers that are the same every time are kept as text, but for their closing brace. */
enum fixture_page {
    PAGE_ACCOUNTS = 0,
    PAGE_IDENTITY,
    PAGE_AUTH,
    PAGE_HOLDINGS,
    PAGE_LIABILITIES,
    PAGE_COUNT
};

struct fixture {
    json_t *parts[FIXTURE_COUNT];
    json_t *pages[PAGE_COUNT];
    struct buf texts[PAGE_COUNT];
};

void fixture_load(struct fixture *f);
void fixture_free(struct fixture *f);

#endif
