/* Requests that two programs could cut differently are refused, and their connection is closed. */
#ifndef CS_HTTP_FRAMING_H
#define CS_HTTP_FRAMING_H

#include "http/call.h"

/* Judges the head: version, header names and values, Host, Content-Length, Transfer-Encoding, the
 * shape of the request target. Fills c->has_body, length, expects and x's path and query_raw.
 * ERR_MALFORMED, ERR_HEADERS_TOO_LARGE. */
CS_CHECK int framing_check(struct call *c, struct str version, size_t limit, struct fail *f);

#endif
