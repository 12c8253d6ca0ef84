/* One connection's life: read a request, let it go wrong as its fault says, answer, again. */
#ifndef SANDBOX_CONN_H
#define SANDBOX_CONN_H

#include "server.h"

enum conn_state {
    CONN_READING = 0,
    CONN_BEFORE_ACT,   /* waits, then carries the request out */
    CONN_BEFORE_REPLY, /* carried out; waits, then answers */
    CONN_WRITING,
    CONN_DRIPPING, /* one byte each time */
    CONN_RESETTING /* half the answer is out; waits, then resets */
};

struct conn {
    struct server *server;
    int fd;
    uint32_t watched; /* epoll events; 0: not in the set */
    uint64_t id;
    uint64_t served; /* requests begun */
    enum conn_state state;
    struct buf in; /* the current request's bytes stay here until it is answered */
    size_t in_used;
    struct request req;
    struct fault fault;
    struct reply reply;
    struct buf out;
    size_t out_sent;
    uint64_t stream_left; /* bytes of a made-up body still to be put into out */
    int64_t due;          /* clock_steady of the next step, if timed */
    bool timed;
    bool dying; /* closed at the end of this step */
    struct conn *next, *prev;
    struct conn *timed_next, *timed_prev;
};

void conn_open(struct server *s, int fd);
/* epoll says that something can be done. Frees the connection when it is over. */
void conn_ready(struct conn *c, uint32_t events);
/* Its time has come. The same. */
void conn_due(struct conn *c);
void conn_close(struct conn *c);

#endif
