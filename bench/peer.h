/* One keep-alive HTTP/1.1 connection as a client sees it: a request out, an answer in, nothing sent
 * ahead. Reads only what our own servers write: a status line, headers, Content-Length. Refuses
 * everything else (chunked answers, bytes after the answer), since a benchmark that guesses
 * measures something else. */
#ifndef CS_BENCH_PEER_H
#define CS_BENCH_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"

enum peer_state { PEER_BROKEN = 0, PEER_WAITING, PEER_ANSWERED };

struct peer {
    int fd;
    struct buf out, in; /* owned */
    size_t sent;
    int status;
    struct str head, body; /* of the answer; they point into `in` until the next request */
};

static inline bool peer_open(struct peer *p, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    *p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&a, sizeof a) != 0)
        return false;
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fcntl(p->fd, F_SETFL, O_NONBLOCK) == 0;
}

static inline void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    buf_free(&p->out);
    buf_free(&p->in);
}

/* The caller then writes the request into p->out. */
static inline void peer_begin(struct peer *p)
{
    buf_clear(&p->out);
    buf_clear(&p->in);
    p->sent = 0;
    p->status = 0;
}

static inline enum peer_state peer_send(struct peer *p)
{
    if (p->out.bad)
        return PEER_BROKEN;
    while (p->sent < p->out.n) {
        ssize_t n = send(p->fd, p->out.p + p->sent, p->out.n - p->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? PEER_WAITING : PEER_BROKEN;
        p->sent += (size_t)n;
    }
    return PEER_WAITING;
}

/* Where the text begins in s, or NULL. */
static inline const char *peer_find(struct str s, struct str text)
{
    return s.n > 0 ? memmem(s.p, s.n, text.p, text.n) : NULL;
}

/* The number behind a header's name, which both servers spell like this; -1 without it. */
static inline long peer_length(struct str head)
{
    const char *p = peer_find(head, STR("\r\nContent-Length: "));
    return p != NULL ? strtol(p + 18, NULL, 10) : -1;
}

static inline enum peer_state peer_parse(struct peer *p)
{
    struct str in = buf_view(&p->in);
    const char *end = peer_find(in, STR("\r\n\r\n"));

    if (end == NULL)
        return PEER_WAITING;
    p->head = (struct str){in.p, (size_t)(end - in.p) + 2};
    long length = peer_length(p->head);
    if (length < 0 || in.n < 12 || !str_starts(in, STR("HTTP/1.1 ")))
        return PEER_BROKEN;
    size_t whole = p->head.n + 2 + (size_t)length;
    if (in.n < whole)
        return PEER_WAITING;
    p->status = atoi(in.p + 9);
    p->body = str_sub(in, p->head.n + 2, whole);
    return in.n == whole ? PEER_ANSWERED : PEER_BROKEN;
}

static inline enum peer_state peer_receive(struct peer *p)
{
    char part[16384];
    ssize_t n = recv(p->fd, part, sizeof part, 0);

    if (n < 0)
        return errno == EAGAIN ? PEER_WAITING : PEER_BROKEN;
    if (n == 0)
        return PEER_BROKEN;
    buf_put(&p->in, part, (size_t)n);
    return buf_err(&p->in) == 0 ? peer_parse(p) : PEER_BROKEN;
}

#endif
