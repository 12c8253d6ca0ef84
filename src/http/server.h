/* The HTTP server: libmicrohttpd owns connections, workers run handlers, suspended connections wait
 * in one registry. Only server.c includes microhttpd.h. It refuses what has two readings: a
 * Transfer-Encoding other than chunked, one together with Content-Length, a second Content-Length
 * or Host, header names that are no tokens; then the connection is closed. */
#ifndef CS_HTTP_SERVER_H
#define CS_HTTP_SERVER_H

#include "api/app.h"

struct server;
/* Starts serving on cfg->listen (and /metrics on metrics_listen); app->waiters is set. */
CS_CHECK int server_start(struct app *app, struct server **ret, struct fail *f);
uint16_t server_port(const struct server *s); /* the port bound, also when port 0 was asked for */
/* Graceful: no new connections, waiters are told to come back (their handler's `then` runs with
 * timed_out), handlers in hand finish, at most ms. Then frees. */
void server_stop(struct server *s, int64_t ms);

/* life's observer: wakes those parked on the action and feeds event streams. Never blocks. */
void server_changed(void *app_arg, const struct life_change *c);

#endif
