/* One thread accepts, one thread each serves at most CLIENTS at a time; more wait in the backlog.
 */
#include "http/admin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "http/dispatch.h"

enum { CLIENTS = 16, BACKLOG = 128, SILENCE_S = 10, CHUNK = 64 << 10 };

struct admin {
    struct app *app;
    struct sockaddr_un address;
    int fd, bell;
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t left;
    size_t clients;
};

struct client {
    struct call call; /* first: a woken call is cast back */
    struct admin *a;
    int fd;
    struct exchange_header_pair header[3];
    struct buf body;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool awake;
};

/* --- one request ----------------------------------------------------------------------------- */
static int read_all(int fd, struct buf *in)
{
    char block[4096];
    for (;;) {
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return buf_err(in);
        buf_put(in, block, (size_t)n);
        if (buf_err(in))
            return buf_err(in);
    }
}

static int write_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        s = str_sub(s, (size_t)n, s.n);
    }
    return 0;
}

/* The request as HTTP would have brought it, so that nothing is checked in two ways. */
static int fill_call(struct client *k, const json_t *doc, struct fail *f)
{
    struct exchange *x = &k->call.x;
    json_t *body = NULL;
    struct str workspace = STR("default");
    const struct json_field field[] = {
        {.name = "method", .want = JSON_WANT_STR, .at = &x->method_text, .required = true},
        {.name = "target", .want = JSON_WANT_STR, .at = &x->target, .required = true},
        {.name = "workspace", .want = JSON_WANT_STR, .at = &workspace},
        {.name = "body", .want = JSON_WANT_ANY, .at = &body},
    };
    int r = json_fields(doc, field, sizeof field / sizeof field[0], f);
    if (!r && body && !json_is_null(body))
        r = json_write(body, &k->body);
    if (r)
        return r;
    x->who.workspace = arena_str(x->arena, workspace);
    x->method_text = arena_str(x->arena, x->method_text);
    x->target = arena_str(x->arena, x->target);
    x->body = buf_view(&k->body);
    k->header[0] = (struct exchange_header_pair){STR("host"), STR("console")};
    k->header[1] = (struct exchange_header_pair){STR("content-length"),
                                                 str_c(arena_printf(x->arena, "%zu", x->body.n))};
    k->header[2] = (struct exchange_header_pair){STR("content-type"), STR("application/json")};
    x->headers = k->header;
    x->n_headers = x->body.n > 0 ? 3 : 2;
    x->remote = STR("console");
    return arena_overflowed(x->arena) ? ERR_NOMEM : 0;
}

static void on_woken(struct call *c)
{
    struct client *k = (struct client *)c;
    pthread_mutex_lock(&k->lock);
    k->awake = true;
    pthread_cond_signal(&k->woken);
    pthread_mutex_unlock(&k->lock);
}

static void run_call(struct client *k)
{
    struct app *app = k->a->app;
    if (!dispatch_head(app, &k->call, STR("HTTP/1.1")))
        return;
    dispatch_run(app, &k->call);
    while (k->call.x.park.set) {
        k->awake = false;
        dispatch_park(app, &k->call);
        pthread_mutex_lock(&k->lock);
        while (!k->awake)
            pthread_cond_wait(&k->woken, &k->lock);
        pthread_mutex_unlock(&k->lock);
        dispatch_resume(app, &k->call);
    }
}

static int copy_stream(int from, int to)
{
    char *block = malloc(CHUNK);
    int r = block ? 0 : ERR_NOMEM;
    while (!r) {
        ssize_t n = read(from, block, CHUNK);
        struct pollfd readable = {.fd = from, .events = POLLIN};
        if (n == 0)
            break;
        if (n > 0)
            r = write_all(to, (struct str){block, (size_t)n});
        else if (errno == EAGAIN)
            (void)poll(&readable, 1, -1);
        else if (errno != EINTR)
            r = ERR_IO;
    }
    free(block);
    return r;
}

static void answer(struct client *k)
{
    struct exchange *x = &k->call.x;
    char status[16];
    (void)snprintf(status, sizeof status, "%d\n", x->status);
    int r = write_all(k->fd, str_c(status));
    if (!r)
        r = write_all(k->fd, buf_view(&x->out));
    if (!r && x->stream_fd >= 0)
        r = copy_stream(x->stream_fd, k->fd);
    if (r)
        log_event(LOG_WARN, "console.unanswered", KV_C("error", err_name(r)));
}

static void serve(struct client *k)
{
    struct fail f = {.position = -1};
    struct buf in;
    json_t *doc = NULL;
    buf_init(&in, ADMIN_REQUEST_MAX);
    int r = read_all(k->fd, &in);
    if (!r)
        r = json_read(buf_view(&in), &doc, &f);
    if (!r)
        r = fill_call(k, doc, &f);
    if (r)
        dispatch_refuse(&k->call, r, &f);
    else
        run_call(k);
    answer(k);
    json_decref(doc);
    buf_wipe(&in); /* may hold a password or a connection's secrets */
}

/* --- clients --------------------------------------------------------------------------------- */
static void *client_run(void *arg)
{
    struct client *k = arg;
    struct admin *a = k->a;
    serve(k);
    close(k->fd);
    buf_wipe(&k->body);
    call_free(&k->call);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->woken);
    free(k);
    pthread_mutex_lock(&a->lock);
    a->clients--;
    pthread_cond_broadcast(&a->left);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

static bool peer_allowed(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static int client_new(struct admin *a, int fd, struct client **ret)
{
    const struct timeval silence = {.tv_sec = SILENCE_S};
    struct client *k = calloc(1, sizeof *k);
    int r = k ? call_init(&k->call, a->app) : ERR_NOMEM;
    if (!r && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence) ||
               setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence)))
        r = ERR_IO;
    if (r) {
        if (k)
            call_free(&k->call);
        free(k);
        return r;
    }
    k->a = a;
    k->fd = fd;
    k->call.console = true;
    k->call.woken = on_woken;
    CS_ASSERT(pthread_mutex_init(&k->lock, NULL) == 0 && pthread_cond_init(&k->woken, NULL) == 0);
    *ret = k;
    return 0;
}

/* Threads are detached and counted: a->clients is given back by the thread itself. */
static void take_client(struct admin *a, int fd)
{
    struct client *k = NULL;
    pthread_attr_t detached;
    pthread_t thread;
    pthread_mutex_lock(&a->lock);
    while (a->clients == CLIENTS)
        pthread_cond_wait(&a->left, &a->lock);
    a->clients++;
    pthread_mutex_unlock(&a->lock);
    CS_ASSERT(pthread_attr_init(&detached) == 0 &&
              pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    if (!peer_allowed(fd) || client_new(a, fd, &k)) {
        close(fd);
        pthread_mutex_lock(&a->lock);
        a->clients--;
        pthread_mutex_unlock(&a->lock);
    } else if (pthread_create(&thread, &detached, client_run, k)) {
        (void)client_run(k); /* no thread to be had: then here */
    }
    pthread_attr_destroy(&detached);
}

static void *accept_run(void *arg)
{
    struct admin *a = arg;
    struct pollfd watch[2] = {{.fd = a->bell, .events = POLLIN}, {.fd = a->fd, .events = POLLIN}};
    for (;;) {
        int n = poll(watch, 2, -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || watch[0].revents)
            return NULL;
        int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take_client(a, fd);
    }
}

/* --- the socket ------------------------------------------------------------------------------ */
static const struct sockaddr *generic(const struct sockaddr_un *u)
{
    return (const struct sockaddr *)u;
}

/* A socket file that nobody answers on is left over from a process that died. */
static int clear_stale(const struct sockaddr_un *u, struct fail *f)
{
    struct stat st;
    if (lstat(u->sun_path, &st))
        return errno == ENOENT ? 0 : fail_set(f, ERR_IO, "%s: %s", u->sun_path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return fail_set(f, ERR_CONFIG, "%s is there and is no socket", u->sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, generic(u), sizeof *u) == 0;
    if (fd >= 0)
        close(fd);
    if (alive)
        return fail_set(f, ERR_CONFLICT, "another process serves from this data folder");
    return unlink(u->sun_path) ? fail_set(f, ERR_IO, "%s: %s", u->sun_path, strerror(errno)) : 0;
}

/* The mode is set before anybody can connect, which needs listen. */
static int open_socket(struct admin *a, struct fail *f)
{
    int n = snprintf(a->address.sun_path, sizeof a->address.sun_path, "%s/" ADMIN_SOCKET,
                     a->app->cfg->data_dir);
    if (n < 0 || (size_t)n >= sizeof a->address.sun_path)
        return fail_set(f, ERR_CONFIG, "data_dir is too long a path for a socket in it");
    a->address.sun_family = AF_UNIX;
    int r = clear_stale(&a->address, f);
    if (r)
        return r;
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    a->bell = eventfd(0, EFD_CLOEXEC);
    if (a->fd < 0 || a->bell < 0 || bind(a->fd, generic(&a->address), sizeof a->address) ||
        chmod(a->address.sun_path, S_IRUSR | S_IWUSR) || listen(a->fd, BACKLOG))
        return fail_set(f, ERR_IO, "%s: %s", a->address.sun_path, strerror(errno));
    return 0;
}

static void free_admin(struct admin *a)
{
    if (a->fd >= 0)
        close(a->fd);
    if (a->bell >= 0)
        close(a->bell);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->left);
    free(a);
}

int admin_start(struct app *app, struct admin **ret, struct fail *f)
{
    struct admin *a = calloc(1, sizeof *a);
    if (!a)
        return fail_set(f, ERR_NOMEM, "out of memory");
    a->app = app;
    a->fd = a->bell = -1;
    CS_ASSERT(pthread_mutex_init(&a->lock, NULL) == 0 && pthread_cond_init(&a->left, NULL) == 0);
    int r = open_socket(a, f);
    if (!r && pthread_create(&a->acceptor, NULL, accept_run, a))
        r = fail_set(f, ERR_IO, "the admin socket's thread did not start");
    if (r) {
        free_admin(a);
        return r;
    }
    *ret = a;
    return 0;
}

void admin_stop(struct admin *a)
{
    uint64_t one = 1;
    if (!a)
        return;
    CS_ASSERT(write(a->bell, &one, sizeof one) == sizeof one);
    pthread_join(a->acceptor, NULL);
    (void)unlink(a->address.sun_path);
    pthread_mutex_lock(&a->lock);
    while (a->clients > 0)
        pthread_cond_wait(&a->left, &a->lock);
    pthread_mutex_unlock(&a->lock);
    free_admin(a);
}
