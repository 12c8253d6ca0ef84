/* What every handler is given: the life of actions and the configuration. */
#ifndef CS_API_APP_H
#define CS_API_APP_H

#include "api/exchange.h"

struct sessions; /* api/session.h */
struct waiters;  /* http/waiters.h */
struct server;   /* http/server.h */

struct app {
    const struct config *cfg;
    const struct env *env;
    struct life *life;
    struct sessions *sessions;
    struct waiters *waiters;
    _Atomic bool stopping;         /* tell waiters to come back */
    struct server *_Atomic server; /* http/server.h, while it runs; for server_changed alone */
    _Atomic int observers;         /* threads inside server_changed: the server outlives them */
    _Atomic int exports;           /* threads that write an audit export: 0 before life is freed */
};

/* Handlers, one file per resource; the names are those of http/route.def. */
#define ROUTE(method, path, who, flags, cap_kib, takes, handler, text) \
    int handler(struct app *app, struct exchange *x, struct fail *f);
#include "http/route.def"
#undef ROUTE

/* Renders the data of a server-sent event for an agent or for people; ERR_NOT_FOUND: nothing to
 * say. */
CS_CHECK int api_event_data(struct app *app, const struct life_change *c, bool for_person,
                            struct buf *out);
/* Calls emit with the data of every action of `who` that changed after seq, oldest first; used when
 * a stream reconnects with Last-Event-ID. */
typedef int event_fn(void *arg, int64_t seq, struct str data);
CS_CHECK int api_events_since(struct app *app, const struct principal *who, int64_t seq,
                              event_fn *emit, void *arg);

#endif
