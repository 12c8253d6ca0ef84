/* Addresses of providers and of agents that want to be resumed, with exactly one reading: http or
 * https, a host, perhaps a port, a normal path, perhaps a query. Refused: user information,
 * fragments, anything outside printable ASCII, backslashes, hosts with odd characters. */
#ifndef CS_CONNECTOR_URL_H
#define CS_CONNECTOR_URL_H

#include "base/buf.h"

#define URL_MAX 2048

/* Parts of a URL; views into it. */
struct url {
    bool tls;
    struct str host;  /* as written; "[::1]" keeps its brackets */
    uint16_t port;    /* filled in where not written */
    struct str path;  /* "" or starts with '/' */
    struct str query; /* without '?' */
    bool has_query;
};
CS_CHECK int url_split(struct str text, struct url *ret);
/* May it stand before a request's path: no query, no trailing slash. */
bool url_is_base(struct str text);
/* Is `text` under `prefix`: same scheme, host and port, and the path begins with all of the
 * prefix's segments? False if either has more than one reading. */
bool url_under(struct str prefix, struct str text);

#endif
