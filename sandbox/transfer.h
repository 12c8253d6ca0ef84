/* The Plaid operations that move money; see plaid_route.def. */
#ifndef SANDBOX_TRANSFER_H
#define SANDBOX_TRANSFER_H

#include "sandbox.h"

void transfer_authorize(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_authorization_cancel(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_create(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_get(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_list(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_cancel(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_events(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_recurring_create(struct sandbox *sb, const struct call *c, struct reply *out);
void transfer_refund_create(struct sandbox *sb, const struct call *c, struct reply *out);

#endif
