/* The fields of each message, both ways. What is sent and what is accepted come from the same
 * tables, so they cannot drift apart; numbers outside their range and texts that do not fit are
 * bad, never cut. Private to src/keeper. */
#ifndef CS_KEEPER_MESSAGES_H
#define CS_KEEPER_MESSAGES_H

#include "keeper/order.h"

#define MESSAGES_VOTES 64 /* most votes in one order */

static inline struct wire_in wire_fields(const struct frame *f)
{
    const unsigned char *p = (const unsigned char *)f->fields.p;
    return (struct wire_in){p, p + f->fields.n, false};
}

void messages_put_order(struct buf *b, const struct exec_order *o);
/* Texts point into the frame; *ret_votes is owned by the caller (and o->vote points to it). */
CS_CHECK int messages_get_order(struct wire_in *in, struct exec_order *ret,
                                struct vote **ret_votes);

/* How it ended, without headers and body: journal and HEAD use it too. */
void messages_put_ending(struct buf *b, const struct keeper_result *from);
void messages_get_ending(struct wire_in *in, struct keeper_result *ret);
void messages_put_result(struct buf *b, const struct keeper_result *r);
CS_CHECK int messages_get_result(struct wire_in *in, struct keeper_result *ret); /* owned */

/* Readers of these leave errors in *in: ask wire_done. */
void messages_put_deliver(struct buf *b, const struct deliver_order *from);
void messages_get_deliver(struct wire_in *in, struct deliver_order *ret);
void messages_put_delivered(struct buf *b, const struct delivered *from);
void messages_get_delivered(struct wire_in *in, struct delivered *ret);
void messages_put_revocation(struct buf *b, const struct revocation *from);
void messages_get_revocation(struct wire_in *in, struct revocation *ret);

/* HELLO_OK; the digests are those that keeper has in force. */
void messages_put_identity(struct buf *b, const struct keeper_identity *who,
                           const char *policy_digest, const char *connectors_digest);
CS_CHECK int messages_get_identity(struct wire_in *in, struct keeper_identity *ret,
                                   struct str *ret_policy, struct str *ret_connectors); /* owned */

void messages_put_fail(struct buf *b, int err, const struct fail *f);
/* ERR_MALFORMED unless it is one; else the error that it carries, with *f filled. */
CS_CHECK int messages_get_fail(struct wire_in *in, struct fail *f);

#endif
