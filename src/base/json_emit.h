/* The one writer of JSON values: json_write and canon_write differ in the order of members alone.
 */
#ifndef CS_BASE_JSON_EMIT_H
#define CS_BASE_JSON_EMIT_H

#include "base/json.h"

/* Appends the compact text of v. Members come in insertion order, or sorted by UTF-16 code units.
 * ERR_NUMBER_RANGE for integers beyond +-(2^53-1), ERR_MALFORMED for values nested too deeply to
 * have come from json_read. */
CS_CHECK int json_emit(const json_t *v, bool sorted, struct buf *out);

#endif
