/* An answer's body that comes piece by piece: events, or a provider's stream. The HTTP library's
 * thread pulls; where nothing is there the connection is suspended until the source wakes it. */
#ifndef CS_HTTP_BODY_H
#define CS_HTTP_BODY_H

#include <sys/types.h>

#include "base/str.h"

enum { BODY_WAIT = 0, BODY_END = -1, BODY_BROKEN = -2 };

/* The connection, as a source sees it. `suspend` is called only inside `read`, by a source that
 * then returns BODY_WAIT; each suspend is followed by exactly one resume, from any thread. */
struct body_conn {
    void (*suspend)(void *conn);
    void (*resume)(void *conn);
    void *conn;
};

struct body {
    /* Bytes written into `to` (at most max, at least 1), or one of the above. */
    ssize_t (*read)(struct body *b, char *to, size_t max);
    void (*close)(struct body *b); /* frees; never while suspended */
    struct body_conn conn;         /* set before the first read */
};

#endif
