/* Webhooks to agents: Standard Webhooks headers, to addresses that the roster lists, and nowhere
 * else. */
#ifndef CS_KEEPER_DELIVER_H
#define CS_KEEPER_DELIVER_H

#include "keeper/self.h"

/* Takes a DELIVER's fields; DELIVERED follows. ERR_MALFORMED: not one. */
CS_CHECK int deliver_take(struct keeper *k, const struct frame *f);

/* "v1,<base64>" by HMAC-SHA256 over "id.timestamp.body". */
#define DELIVER_SIGNATURE 48
void deliver_sign(const unsigned char *key, size_t n, struct str webhook_id, int64_t seconds,
                  struct str body, char out[DELIVER_SIGNATURE]);
/* "whsec_" and the key in base64. */
void deliver_secret_text(const unsigned char *key, size_t n, char out[64]);

#endif
