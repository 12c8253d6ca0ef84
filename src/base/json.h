/* Strict JSON over jansson. Our own scan goes first, because jansson allows depth 2048, drops the
 * spelling of numbers and says little about where. Refused: anything outside RFC 8259, invalid
 * UTF-8, lone surrogates, NUL (raw or escaped), duplicate keys, depth over JSON_DEPTH, integers
 * beyond +-(2^53-1) however spelt (1e16 too: what is accepted has a canonical form that is
 * accepted), numbers that overflow a double or are nonzero and become 0, a byte order mark,
 * trailing bytes. */
#ifndef CS_BASE_JSON_H
#define CS_BASE_JSON_H

#include <jansson.h>
#include "base/buf.h"

#define JSON_DEPTH 64

/* Any JSON value at the top. On success *ret is a new reference (json_decref). Errors are
 * ERR_MALFORMED, ERR_DUPLICATE_KEY, ERR_NUMBER_RANGE or ERR_NOMEM, with position in f. */
CS_CHECK int json_read(struct str text, json_t **ret, struct fail *f);

/* Compact text of a value, keys in insertion order. Not canonical: see canon.h. */
CS_CHECK int json_write(const json_t *v, struct buf *out);

/* Writes s as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. The one escaper for
 * everything that writes JSON by hand (log, audit). */
void json_escape(struct buf *out, struct str s);

/* --- reading objects field by field ------------------------------------------------------- */
enum json_want {
    JSON_WANT_STR,
    JSON_WANT_INT,
    JSON_WANT_BOOL,
    JSON_WANT_OBJ,
    JSON_WANT_ARR,
    JSON_WANT_ANY
};

/* One expected member. `at` points to: struct str (STR), int64_t (INT), bool (BOOL), json_t *
 * borrowed (OBJ, ARR, ANY); it is left alone when the member is absent. JSON null counts as absent
 * except for ANY. */
struct json_field {
    const char *name;
    enum json_want want;
    void *at;
    bool required;
    size_t max; /* STR: most bytes, 0 no limit; INT: largest value, 0 no limit (never negative) */
};

/* Reads an object by a table; members not in the table are ERR_UNKNOWN_FIELD, wrong types and
 * missing ones ERR_MALFORMED, each naming the field. */
CS_CHECK int json_fields(const json_t *obj, const struct json_field *t, size_t n, struct fail *f);

/* Value at a JSON pointer (RFC 6901), borrowed; NULL where there is none. */
json_t *json_at(const json_t *v, struct str pointer);
struct str json_text(const json_t *v); /* of a string value; empty otherwise */

#endif
