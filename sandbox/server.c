/* Sockets; see server.h. One thread, one epoll set: state needs no locks, and the order of
 * effects is the order of arrival. */
#include "server.h"

#include "conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 256

static void raise_file_limit(void)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int open_listener(unsigned port, unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t n = sizeof a;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/* Connections carry their own pointer; these two the address of their descriptor. */
static bool add(struct server *s, int *fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = fd};

    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, *fd, &e) == 0;
}

bool server_open(struct server *s, struct sandbox *sb, unsigned port)
{
    *s = (struct server){.sb = sb, .epoll = -1, .signals = -1};
    raise_file_limit();
    s->listener = open_listener(port, &sb->port);
    if (s->listener < 0) {
        fprintf(stderr, "sandbox: cannot listen on 127.0.0.1:%u: %s\n", port, strerror(errno));
        return false;
    }
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->signals = open_signals();
    if (s->epoll < 0 || s->signals < 0 || !add(s, &s->listener) || !add(s, &s->signals)) {
        fprintf(stderr, "sandbox: cannot start: %s\n", strerror(errno));
        server_close(s);
        return false;
    }
    return true;
}

static void accept_all(struct server *s)
{
    int on = 1;

    for (;;) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conn_open(s, fd);
    }
}

/* Milliseconds until the next timed connection is due; -1: none is timed. */
static int next_due(const struct server *s)
{
    int64_t due = INT64_MAX, now;

    if (s->timed == NULL)
        return -1;
    for (const struct conn *c = s->timed; c != NULL; c = c->timed_next)
        if (c->due < due)
            due = c->due;
    now = clock_steady();
    if (due <= now)
        return 0;
    return due - now < 60000 ? (int)(due - now) : 60000;
}

static void run_due(struct server *s)
{
    int64_t now = s->timed ? clock_steady() : 0;

    for (struct conn *c = s->timed, *next; c != NULL; c = next) {
        next = c->timed_next;
        if (c->due <= now)
            conn_due(c);
    }
}

void server_run(struct server *s)
{
    struct epoll_event events[BATCH];

    for (;;) {
        int n = epoll_wait(s->epoll, events, BATCH, next_due(s));
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &s->signals)
                return;
            if (events[i].data.ptr == &s->listener)
                accept_all(s);
            else
                conn_ready(events[i].data.ptr, events[i].events);
        }
        run_due(s);
    }
}

void server_close(struct server *s)
{
    while (s->conns != NULL)
        conn_close(s->conns);
    close(s->listener);
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->signals >= 0)
        close(s->signals);
}
