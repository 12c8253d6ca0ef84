/* Paths and queries with exactly one reading. Policy judges, people see, the hash covers and keeper
 * sends the same normal form, so whatever two programs might read differently is refused. */
#ifndef CS_BASE_PATH_H
#define CS_BASE_PATH_H

#include <jansson.h>
#include "base/buf.h"

#define PATH_MAX_LEN 2048

/* Takes the path part of a raw request target (not decoded, without '?'). Refuses: not starting
 * with '/', empty segments ("//", also at the end except for the path "/" itself or one trailing
 * slash, which is kept), "." and ".." segments, any percent-encoding of '.', '/', '\\', '%', NUL or
 * control bytes, "%2f" (allowed when slash_ok: the template decides later where), backslash, ';'
 * parameters, '#', bytes outside printable ASCII, malformed percent escapes, double encoding,
 * characters that RFC 3986 does not allow in a path (programs differ in escaping them), escapes
 * that are not UTF-8. Escapes of unreserved characters are decoded, other escapes get upper-case
 * hex. Idempotent: normalising a result changes nothing. */
CS_CHECK int path_normal(struct str raw, bool slash_ok, struct buf *out, struct fail *f);

/* Query string (without '?') into a JSON array of [name, value] pairs in the order given, decoded
 * once ('+' is a space); refuses malformed escapes, NUL, invalid UTF-8, a name twice is allowed
 * (a list), more than 256 pairs is not. */
CS_CHECK int query_parse(struct str raw, json_t **ret, struct fail *f);
/* The inverse: pairs into a query string, percent-encoding all but unreserved characters. */
CS_CHECK int query_write(const json_t *pairs, struct buf *out);

/* Matches a normal path against a template such as "/contacts/{id}/notes": each {name} takes one
 * non-empty segment. Fills up to max parameters (raw, still encoded). */
struct path_param {
    struct str name, value;
};
bool path_match(struct str template, struct str path, struct path_param *params, size_t max,
                size_t *n);

#endif
