/* A provider's answer as gate is told of it. */
#ifndef CS_KEEPER_ANSWER_H
#define CS_KEEPER_ANSWER_H

#include "keeper/order.h"
#include "keeper/send.h"

/* Fills kind, answer, status, headers, body from an exchange that has ended, or, for a stream's
 * head, from one that goes on. Takes x->body. `now` is for limits given as a time of day. */
CS_CHECK int answer_take(const struct connector *c, const struct operation *op, struct exchange *x,
                         int64_t now, struct keeper_result *ret);
/* Only what the connector passes on, content-type, retry-after, and the limits under one name. New
 * reference; NULL without memory. */
json_t *answer_headers(const struct connector *c, const json_t *received, int64_t now);

#endif
