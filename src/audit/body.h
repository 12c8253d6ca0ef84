/* The bytes of one audit event and their leaf hash: internal to audit/. */
#ifndef CS_AUDIT_BODY_H
#define CS_AUDIT_BODY_H

#include "audit/audit.h"

#define AUDIT_LEAF 32
/* An entry of the verifiable tree carries its length in 16 bits. */
#define AUDIT_BODY_MAX 65535

/* Writes the event as RFC 8785 JSON. ERR_MALFORMED when a text holds a NUL or `approvers` is not an
 * array of texts; ERR_TOO_LARGE over AUDIT_BODY_MAX. `out` must be of that cap. */
CS_CHECK int audit_body(const struct audit_event *e, struct str event_id, int64_t seq,
                        struct buf *out);
/* RFC 6962, 2.1: SHA-256 of 0x00 and the bytes. */
void audit_leaf(struct str bytes, unsigned char out[AUDIT_LEAF]);

#endif
