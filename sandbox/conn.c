/* One connection's life; see conn.h. Reading stops while a request is under way: the request
 * points into the bytes read, and a client that sends ahead is served in order. */
#include "conn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE ((size_t)16 << 10)
#define STREAM_PIECE ((size_t)64 << 10)
#define RESET_DELAY_MS 20 /* lets the client read the half answer before the reset arrives */

static void watch(struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    int op = c->watched == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

    if (events == c->watched)
        return;
    if (epoll_ctl(c->server->epoll, op, c->fd, &e) != 0)
        c->dying = true;
    c->watched = events;
}

static void timer_stop(struct conn *c)
{
    if (!c->timed)
        return;
    if (c->timed_prev != NULL)
        c->timed_prev->timed_next = c->timed_next;
    else
        c->server->timed = c->timed_next;
    if (c->timed_next != NULL)
        c->timed_next->timed_prev = c->timed_prev;
    c->timed = false;
}

/* Lets the connection alone until ms have passed; a hang-up is noticed only then. */
static void wait_for(struct conn *c, enum conn_state state, unsigned ms)
{
    struct server *s = c->server;

    watch(c, 0);
    c->state = state;
    c->due = clock_steady() + ms;
    c->timed = true;
    c->timed_prev = NULL;
    c->timed_next = s->timed;
    if (s->timed != NULL)
        s->timed->timed_prev = c;
    s->timed = c;
}

void conn_open(struct server *s, int fd)
{
    struct conn *c = take_zeroed(sizeof *c);

    c->server = s;
    c->fd = fd;
    c->id = ++s->connections;
    c->next = s->conns;
    if (s->conns != NULL)
        s->conns->prev = c;
    s->conns = c;
    watch(c, EPOLLIN);
    if (c->dying)
        conn_close(c);
}

void conn_close(struct conn *c)
{
    timer_stop(c);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        c->server->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    close(c->fd);
    buf_free(&c->in);
    buf_free(&c->out);
    http_reply_free(&c->reply);
    free(c);
}

static void close_with_reset(struct conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    c->dying = true;
}

/* Puts the next piece of a made-up body into `out`. */
static void stream_more(struct conn *c)
{
    static const char PATTERN[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";
    size_t n = c->stream_left < STREAM_PIECE ? (size_t)c->stream_left : STREAM_PIECE;

    c->out.n = c->out_sent = 0;
    if (c->reply.chunked)
        buf_fmt(&c->out, "%zx\r\n", n);
    for (size_t done = 0; done < n;) {
        size_t part = n - done < sizeof PATTERN - 1 ? n - done : sizeof PATTERN - 1;
        buf_add(&c->out, PATTERN, part);
        done += part;
    }
    c->stream_left -= n;
    if (c->reply.chunked)
        buf_str(&c->out, c->stream_left ? "\r\n" : "\r\n0\r\n\r\n");
}

/* The answer is out; makes ready for the next request. */
static void finish(struct conn *c)
{
    bool keep = c->req.keep_alive;

    if (c->state == CONN_RESETTING) {
        wait_for(c, CONN_RESETTING, RESET_DELAY_MS);
        return;
    }
    if (!keep) {
        shutdown(c->fd, SHUT_WR);
        c->dying = true;
        return;
    }
    buf_cut(&c->in, c->in_used);
    c->out.n = c->out_sent = 0;
    c->reply.status = 0;
    c->reply.body.n = 0; /* its room is used again */
    c->reply.extra.n = 0;
    c->reply.type = NULL;
    c->reply.stream_bytes = 0;
    c->state = CONN_READING;
    watch(c, EPOLLIN);
}

static void flush(struct conn *c)
{
    while (c->out_sent < c->out.n || c->stream_left > 0) {
        ssize_t n;
        if (c->out_sent == c->out.n)
            stream_more(c);
        n = send(c->fd, c->out.s + c->out_sent, c->out.n - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLOUT);
            return;
        }
        if (n < 0) {
            c->dying = true;
            return;
        }
        c->out_sent += (size_t)n;
    }
    finish(c);
}

static void drip(struct conn *c)
{
    if (c->out_sent < c->out.n) {
        ssize_t n = send(c->fd, c->out.s + c->out_sent, 1, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            c->dying = true;
            return;
        }
        if (n == 1)
            c->out_sent++;
    }
    if (c->out_sent < c->out.n)
        wait_for(c, CONN_DRIPPING, c->fault.delay_ms);
    else
        finish(c);
}

static void reply(struct conn *c)
{
    enum delivery delivery = c->fault.mode->delivery;
    size_t body = c->reply.body.n;

    if (delivery == DELIVER_NOTHING) {
        c->dying = true;
        return;
    }
    c->out.n = c->out_sent = 0;
    http_reply_head(&c->reply, c->req.keep_alive, &c->out);
    c->state = CONN_WRITING;
    c->stream_left = delivery == DELIVER_HALF ? c->reply.stream_bytes / 2 : c->reply.stream_bytes;
    if (c->reply.stream_bytes == 0)
        buf_add(&c->out, c->reply.body.s, delivery == DELIVER_HALF ? body / 2 : body);
    if (delivery == DELIVER_HALF)
        c->state = CONN_RESETTING;
    if (delivery == DELIVER_DRIP) {
        c->state = CONN_DRIPPING;
        drip(c);
        return;
    }
    flush(c);
}

static void act(struct conn *c)
{
    sandbox_answer(c->server->sb, &c->req, &c->fault, &c->reply);
    if (c->fault.mode->wait == WAIT_AFTER && c->fault.delay_ms > 0)
        wait_for(c, CONN_BEFORE_REPLY, c->fault.delay_ms);
    else
        reply(c);
}

static void begin(struct conn *c)
{
    c->req.connection = c->id;
    c->req.nth = ++c->served;
    c->fault = sandbox_admit(c->server->sb, &c->req);
    if (c->fault.mode->wait == WAIT_BEFORE && c->fault.delay_ms > 0)
        wait_for(c, CONN_BEFORE_ACT, c->fault.delay_ms);
    else
        act(c);
}

static void refuse(struct conn *c, int status)
{
    c->fault = (struct fault){.mode = mode_none()};
    c->req = (struct request){0};
    c->in_used = c->in.n;
    c->reply.status = status;
    buf_str(&c->reply.body, "{\"error\":\"the sandbox cannot read this request\"}\n");
    reply(c);
}

/* Serves whole requests for as long as there are any among the bytes read. */
static void serve(struct conn *c)
{
    while (!c->dying && c->state == CONN_READING) {
        struct text in = {c->in.s, c->in.n};
        enum http_parsed r = http_parse(in, c->in.s, &c->req, &c->in_used);
        if (r == HTTP_MORE && c->req.expects && c->req.head.n == c->in.n) {
            static const char GO_ON[] = "HTTP/1.1 100 Continue\r\n\r\n";
            send(c->fd, GO_ON, sizeof GO_ON - 1, MSG_NOSIGNAL);
        }
        if (r == HTTP_MORE)
            return;
        if (r == HTTP_READY)
            begin(c);
        else
            refuse(c, r == HTTP_TOO_LARGE ? 413 : 400);
    }
}

static void read_more(struct conn *c)
{
    char *to = buf_room(&c->in, READ_SIZE);
    ssize_t n = recv(c->fd, to, READ_SIZE, 0);

    if (n > 0) {
        c->in.n += (size_t)n;
        serve(c);
    } else if (n == 0 || errno != EAGAIN) {
        c->dying = true;
    }
}

void conn_ready(struct conn *c, uint32_t events)
{
    if (events & EPOLLIN && c->state == CONN_READING) {
        read_more(c);
    } else if (events & EPOLLOUT) {
        flush(c);
        serve(c);
    } else {
        c->dying = true;
    }
    if (c->dying)
        conn_close(c);
}

void conn_due(struct conn *c)
{
    timer_stop(c);
    switch (c->state) {
    case CONN_BEFORE_ACT:
        act(c);
        break;
    case CONN_BEFORE_REPLY:
        reply(c);
        break;
    case CONN_DRIPPING:
        drip(c);
        break;
    case CONN_RESETTING:
        close_with_reset(c);
        break;
    case CONN_READING:
    case CONN_WRITING:
        c->dying = true; /* never timed */
        break;
    }
    serve(c);
    if (c->dying)
        conn_close(c);
}
