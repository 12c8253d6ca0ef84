/* Sockets: accepts, waits, keeps time. What a connection says is conn.c's matter. */
#ifndef SANDBOX_SERVER_H
#define SANDBOX_SERVER_H

#include "sandbox.h"

struct conn;

struct server {
    struct sandbox *sb;
    int listener;
    int epoll;
    int signals;
    uint64_t connections; /* accepted so far; the last one's number */
    struct conn *conns;   /* all open ones */
    struct conn *timed;   /* those that wait for a time */
};

/* Listens on the loopback address; port 0 chooses one. On success sb->port is the real one;
 * otherwise prints why and returns false. */
bool server_open(struct server *s, struct sandbox *sb, unsigned port);
/* Serves until SIGTERM or SIGINT. */
void server_run(struct server *s);
void server_close(struct server *s);

#endif
