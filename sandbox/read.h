/* The Plaid operations that only read; see plaid_route.def. */
#ifndef SANDBOX_READ_H
#define SANDBOX_READ_H

#include "sandbox.h"

void read_accounts(struct sandbox *sb, const struct call *c, struct reply *out);
void read_identity(struct sandbox *sb, const struct call *c, struct reply *out);
void read_auth(struct sandbox *sb, const struct call *c, struct reply *out);
void read_holdings(struct sandbox *sb, const struct call *c, struct reply *out);
void read_liabilities(struct sandbox *sb, const struct call *c, struct reply *out);
void read_transactions(struct sandbox *sb, const struct call *c, struct reply *out);
void read_transactions_sync(struct sandbox *sb, const struct call *c, struct reply *out);
void read_item(struct sandbox *sb, const struct call *c, struct reply *out);
void read_signal(struct sandbox *sb, const struct call *c, struct reply *out);

#endif
