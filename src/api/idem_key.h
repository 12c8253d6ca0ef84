/* The Idempotency-Key header. */
#ifndef CS_API_IDEM_KEY_H
#define CS_API_IDEM_KEY_H

#include "api/exchange.h"

#define IDEM_KEY_MAX 255

/* Reads the header: a plain value, or a quoted string as RFC 9651 writes it ("\"" and "\\"
 * escaped).
 * "" where absent. ERR_MALFORMED for more than one, for an empty one, or one over 255 bytes. */
CS_CHECK int idem_key_header(const struct exchange *x, struct str *ret, struct fail *f);

#endif
