/* The route table: which method and path are answered, for whom, with what body. A path is matched
 * as it was sent, never decoded: anything but unreserved characters and '/' is no address of ours.
 * Only behind /proxy/{connection} may the rest be the provider's, raw. */
#ifndef CS_HTTP_ROUTE_H
#define CS_HTTP_ROUTE_H

#include "api/app.h"

enum route_who {
    FOR_NOBODY = 0,
    FOR_ANYONE,
    FOR_AGENT,
    FOR_PROXY,
    FOR_ASK,
    FOR_PERSON,
    FOR_READER,
    FOR_SHOW,
    FOR_BOTH,
    FOR_ADMIN,
    FOR_AUDIT,
    FOR_COUNT
};
enum route_takes { TAKES_NOTHING = 0, TAKES_JSON, TAKES_ANY };

struct route {
    enum method method; /* METHOD_NONE: any method that has a name */
    const char *path;
    enum route_who who;
    bool changes;
    int cap_kib; /* -1: the configuration's limit */
    enum route_takes takes;
    handler_fn *handler;
    const char *text;
};

extern const struct route route_table[];
extern const size_t route_count;

enum method method_parse(struct str s); /* METHOD_NONE for a name that is not known */
const char *method_text(enum method m);

#define ALLOW_TEXT 64
/* Finds the row for x->path and x->method and fills x->param. HEAD is answered by GET's row.
 * `allow` gets the methods of the path. ERR_NOT_FOUND, ERR_METHOD_NOT_ALLOWED; OPTIONS on a known
 * path is 0 with *ret NULL. */
CS_CHECK int route_find(struct exchange *x, const struct route **ret, char allow[ALLOW_TEXT]);
/* Largest body in bytes that the row takes. */
size_t route_cap(const struct route *r, const struct config *cfg);
bool route_is_proxy(const struct route *r);

#endif
