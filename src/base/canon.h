/* RFC 8785, JSON Canonicalization Scheme. The number layout is ECMAScript's Number::toString;
 * the shortest digits come from trying printf precisions, with the power-of-two case mended
 * (there the gap below is half the gap above, so the shortest may be the next decimal up). */
#ifndef CS_BASE_CANON_H
#define CS_BASE_CANON_H

#include "base/json.h"

CS_CHECK int canon_write(const json_t *v, struct buf *out);
#define CANON_NUMBER \
    64 /* the longest takes 25; the rest lets the compiler see that nothing is cut */
/* d must be finite. */
void canon_number(char out[CANON_NUMBER], double d);

#define HASH_TEXT 72 /* "sha256:" + 64 hex + NUL */
void hash_text(char out[HASH_TEXT], struct str bytes);
/* hash_text of the canonical form of v. */
CS_CHECK int canon_hash(const json_t *v, char out[HASH_TEXT]);

#endif
