/* A stream is armed (one shot) by the thread that has just suspended its connection, fires once,
 * and is only freed while it is not suspended: so the watcher never meets a freed one. */
#include "http/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct stream {
    struct body body; /* first: a body is cast back */
    struct streams *all;
    int fd;
    bool known;                /* to epoll; a socket is added armed, or its hang-up would be told */
    struct stream *next, **at; /* in the list of those suspended */
};

struct streams {
    int poll, bell;
    pthread_t watcher;
    pthread_mutex_t lock;
    struct stream *waiting;
    bool ended;
};

static void unlist(struct stream *s)
{
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    s->at = NULL;
}

/* Suspends, unless it is all over. Under the lock, so that neither the watcher nor streams_end
 * comes between arming and suspending. */
static ssize_t hold(struct stream *s)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = s};
    struct streams *all = s->all;
    ssize_t r = BODY_BROKEN;
    pthread_mutex_lock(&all->lock);
    if (!all->ended &&
        !epoll_ctl(all->poll, s->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &ev)) {
        s->known = true;
        s->body.conn.suspend(s->body.conn.conn);
        s->next = all->waiting;
        s->at = &all->waiting;
        if (s->next)
            s->next->at = &s->next;
        all->waiting = s;
        r = BODY_WAIT;
    }
    pthread_mutex_unlock(&all->lock);
    return r;
}

static ssize_t stream_read(struct body *b, char *to, size_t max)
{
    struct stream *s = (struct stream *)b;
    ssize_t n;
    do
        n = read(s->fd, to, max);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return n;
    if (n == 0)
        return BODY_END;
    return errno == EAGAIN || errno == EWOULDBLOCK ? hold(s) : BODY_BROKEN;
}

static void stream_close(struct body *b)
{
    struct stream *s = (struct stream *)b;
    close(s->fd); /* leaves the epoll set by that */
    free(s);
}

int stream_open(struct streams *all, int fd, struct body **ret)
{
    struct stream *s = calloc(1, sizeof *s);
    int flags = fcntl(fd, F_GETFL);
    if (!s || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
        int r = s ? ERR_IO : ERR_NOMEM;
        free(s);
        close(fd);
        return r;
    }
    s->body.read = stream_read;
    s->body.close = stream_close;
    s->all = all;
    s->fd = fd;
    *ret = &s->body;
    return 0;
}

static void wake(struct streams *all, struct stream *s)
{
    struct body_conn conn = {0};
    pthread_mutex_lock(&all->lock);
    if (s->at) {
        unlist(s);
        conn = s->body.conn;
    }
    pthread_mutex_unlock(&all->lock);
    if (conn.resume)
        conn.resume(conn.conn);
}

static void *watch(void *arg)
{
    struct streams *all = arg;
    for (;;) {
        struct epoll_event ev[64];
        int n = epoll_wait(all->poll, ev, 64, -1);
        CS_ASSERT(n >= 0 || errno == EINTR);
        for (int i = 0; i < n; i++) {
            if (!ev[i].data.ptr)
                return NULL; /* the bell */
            wake(all, ev[i].data.ptr);
        }
    }
}

static int start(struct streams *s)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    s->poll = epoll_create1(EPOLL_CLOEXEC);
    s->bell = eventfd(0, EFD_CLOEXEC);
    if (s->poll < 0 || s->bell < 0 || epoll_ctl(s->poll, EPOLL_CTL_ADD, s->bell, &ev) ||
        pthread_mutex_init(&s->lock, NULL) || pthread_create(&s->watcher, NULL, watch, s))
        return ERR_IO;
    return 0;
}

int streams_new(struct streams **ret)
{
    struct streams *s = calloc(1, sizeof *s);
    int r = s ? start(s) : ERR_NOMEM;
    if (r && s) {
        if (s->poll >= 0)
            close(s->poll);
        if (s->bell >= 0)
            close(s->bell);
        free(s);
        s = NULL;
    }
    if (!r)
        *ret = s;
    return r;
}

/* The watcher is stopped first, so that nobody is woken twice. */
void streams_end(struct streams *s)
{
    uint64_t one = 1;
    CS_ASSERT(write(s->bell, &one, sizeof one) == sizeof one);
    pthread_join(s->watcher, NULL);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    while (s->waiting) {
        struct stream *first = s->waiting;
        unlist(first);
        first->body.conn.resume(first->body.conn.conn);
    }
    pthread_mutex_unlock(&s->lock);
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    CS_ASSERT(!s->waiting);
    close(s->poll);
    close(s->bell);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
