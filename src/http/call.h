/* One request in the dispatcher's hands: the exchange that handlers see, and what only http/ needs
 * to know of it. It is made by the server from a connection, by the admin socket, or by a test. */
#ifndef CS_HTTP_CALL_H
#define CS_HTTP_CALL_H

#include "api/app.h"
#include "http/route.h"

struct call {
    struct exchange x;
    const struct route *route;
    uint64_t mark;   /* the registry's counter before the handler looked at the store */
    bool console;    /* came over the admin socket */
    bool torn;       /* the head holds what was hidden from us: a NUL, a bare LF, a folded line */
    bool close;      /* nothing after this request on its connection is to be believed */
    bool expects;    /* waits for "100 Continue" before it sends its body */
    bool has_body;   /* a body was announced */
    uint64_t length; /* Content-Length; UINT64_MAX while unknown (chunked) */
    void (*woken)(struct call *c); /* puts a parked call back to work; any thread, must not block */
};

/* Ready to be filled in by the maker: arena, stream_fd and the rest of what zero does not say. */
CS_CHECK int call_init(struct call *c, const struct app *app);
void call_free(struct call *c); /* safe on a zeroed call */

#endif
