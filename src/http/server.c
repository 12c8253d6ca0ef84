/* The only file that knows libmicrohttpd. Its threads own connections and never run a handler: a
 * whole request is suspended and queued for the workers, and its connection resumed with the answer
 * at hand. Poll mode, because in epoll mode version 0.9.75 stalls when exactly 128 x k sockets are
 * ready; several threads, because each resume walks its thread's list of suspended connections. */
#include "http/server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/dispatch.h"
#include "http/events.h"
#include "http/headers.h"
#include "http/last_words.h"
#include "http/links.h"
#include "http/listen.h"
#include "http/metrics.h"
#include "http/stream.h"
#include "http/waiters.h"

enum {
    THREADS = 8,
    POOL_EXTRA = 8 << 10, /* of a connection's memory beyond the headers: the answer's head */
    STREAM_BLOCK = 32 << 10,
    EVENT_BLOCK = 512,
    DRAIN_MAX = 4 << 20,    /* of a refused body that is read so that the refusal can be */
    BODIES_MAX = 512 << 20, /* request bodies held at once, of all connections */
    TICK_MS = 10,
};

struct server {
    struct app *app;
    struct MHD_Daemon *daemon, *metrics;
    int listen_fd, metrics_fd;
    uint16_t port;
    bool layout_known; /* of the library's memory */
    struct workers *workers;
    struct waiters *waiters;
    struct events *events;
    struct streams *streams;
    struct links *links;
    struct buf too_slow; /* the 408, ready to be sent by links */
    struct http_figures figures;
    _Atomic int64_t bodies; /* bytes */
};

/* One request and the connection it came on, from its first line until the answer has been sent. */
struct visit {
    struct call call; /* first: a woken call is cast back */
    struct job job;
    struct server *s;
    struct MHD_Connection *conn;
    struct link *link;
    const char *line; /* the target where it lies in the library's memory */
    struct buf body;
    size_t discarded;
    struct body *source; /* of the answer; handed over to the library with it */
    char remote[INET6_ADDRSTRLEN];
    bool headed;  /* the head was judged */
    bool arrived; /* all of it is here */
    bool started; /* a worker has begun */
    bool done;    /* the answer is there */
};

static struct visit *of_call(struct call *c)
{
    return (struct visit *)c;
}

/* --- answering ----------------------------------------------------------------------------------
 */
static ssize_t on_pull(void *cls, uint64_t position, char *to, size_t max)
{
    struct body *b = cls;
    ssize_t n = b->read(b, to, max);
    (void)position;
    if (n >= 0)
        return n; /* 0: the connection has been suspended */
    return n == BODY_END ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void on_pulled(void *cls)
{
    struct body *b = cls;
    b->close(b);
}

static void conn_suspend(void *conn)
{
    MHD_suspend_connection(conn);
}

static void conn_resume(void *conn)
{
    MHD_resume_connection(conn);
}

static struct MHD_Response *pulled_response(struct visit *q)
{
    struct body *b = q->source;
    int64_t bytes = q->call.x.stream_bytes;
    uint64_t size = q->call.x.events || bytes < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)bytes;
    b->conn = (struct body_conn){conn_suspend, conn_resume, q->conn};
    struct MHD_Response *r = MHD_create_response_from_callback(
        size, q->call.x.events ? EVENT_BLOCK : STREAM_BLOCK, on_pull, b, on_pulled);
    if (r)
        q->source = NULL;
    return r;
}

static struct MHD_Response *buffer_response(struct buf *out)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(out->n, out->n ? out->p : NULL, MHD_RESPMEM_MUST_FREE);
    if (r && out->n)
        *out = (struct buf){0};
    return r;
}

static void add_header(void *arg, const char *name, const char *value)
{
    (void)MHD_add_response_header(arg, name, value);
}

static enum MHD_Result send_answer(struct visit *q)
{
    struct call *c = &q->call;
    struct server *s = q->s;
    struct MHD_Response *r = q->source ? pulled_response(q) : buffer_response(&c->x.out);
    if (!r)
        return MHD_NO;
    headers_each(c, add_header, r);
    if (c->close || s->app->stopping)
        (void)MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result ret = MHD_queue_response(q->conn, (unsigned)c->x.status, r);
    MHD_destroy_response(r);
    atomic_fetch_add(&s->figures.answers[c->x.status / 100 % 6], 1);
    return ret;
}

/* --- working, on a worker's thread ---------------------------------------------------------------
 */
static int open_source(struct visit *q)
{
    struct exchange *x = &q->call.x;
    int fd = x->stream_fd;
    if (x->events)
        return events_open(q->s->events, &q->call, &q->source);
    if (fd < 0)
        return 0;
    x->stream_fd = -1;
    if (x->method != METHOD_HEAD)
        return stream_open(q->s->streams, fd, &q->source);
    close(fd);
    return 0;
}

static void run_request(struct job *j)
{
    struct visit *q = (struct visit *)((char *)j - offsetof(struct visit, job));
    struct app *app = q->s->app;
    if (q->started)
        dispatch_resume(app, &q->call);
    else
        dispatch_run(app, &q->call);
    q->started = true;
    if (q->call.x.park.set) {
        dispatch_park(app, &q->call);
        return; /* it may be running on another worker by now */
    }
    int r = open_source(q);
    if (r)
        dispatch_refuse(&q->call, r, NULL);
    q->done = true;
    MHD_resume_connection(q->conn);
}

static void on_woken(struct call *c)
{
    struct visit *q = of_call(c);
    workers_put(q->s->workers, &q->job);
}

static void wake_call(void *arg, void *parked, bool timed_out)
{
    struct call *c = parked;
    (void)arg;
    c->x.timed_out = timed_out;
    c->woken(c);
}

/* --- receiving, on the library's threads ----------------------------------------------------- */
static void refuse(struct visit *q, int err, const char *detail)
{
    struct fail f = {.position = -1};
    (void)fail_set(&f, err, "%s", detail);
    dispatch_refuse(&q->call, err, &f);
    q->done = true;
}

/* The connection waits in the library's list until MHD_resume_connection. */
static enum MHD_Result submit(struct visit *q)
{
    q->call.x.body = buf_view(&q->body);
    MHD_suspend_connection(q->conn);
    if (!workers_offer(q->s->workers, &q->job)) {
        atomic_fetch_add(&q->s->figures.turned_away, 1);
        refuse(q, ERR_UNAVAILABLE, "too many requests are waiting for their turn");
        MHD_resume_connection(q->conn);
    }
    return MHD_YES;
}

/* The library parses the head where it lies: each line's CR and LF and the spaces and the colon
 * between its parts become NULs, and it hands out pointers to the parts. So parts that do not
 * follow each other at exactly that distance had something between them that it mends or hides: a
 * NUL that cuts a value, a bare LF, a folded line, spaces in the request line. Only a NUL right
 * before a bare LF looks like CR LF. Known of one version; others are left to their own strictness.
 */
#define LAYOUT_VERSION "0.9.75"

struct header_list {
    struct arena *arena;
    struct exchange_header_pair *pair;
    size_t n, room;
    const char *next; /* where the next name must begin */
    bool torn;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   size_t name_n, const char *value, size_t value_n)
{
    struct header_list *l = cls;
    struct str trimmed = str_trim((struct str){value ? value : "", value ? value_n : 0});
    (void)kind;
    if (l->n == l->room)
        return MHD_NO;
    l->torn |= name != l->next || !value;
    l->next = value ? value + value_n + 2 : NULL;
    char *lower = arena_cstr(l->arena, (struct str){name, name_n});
    for (size_t i = 0; !arena_overflowed(l->arena) && i < name_n; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    l->pair[l->n++] = (struct exchange_header_pair){{lower, name_n}, trimmed};
    return MHD_YES;
}

static bool torn(const struct visit *q, const struct header_list *l, const char *method,
                 const char *version)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(q->conn, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *blank = l->n > 0 ? l->next : version + strlen(version) + 2;
    return l->torn || !i || q->line != method + strlen(method) + 1 ||
           version != q->line + q->call.x.target.n + 1 || blank + 2 != method + i->header_size;
}

/* The library keeps names and values until the request has been answered. */
static bool take_head(struct visit *q, const char *method, const char *version)
{
    struct exchange *x = &q->call.x;
    int n = MHD_get_connection_values_n(q->conn, MHD_HEADER_KIND, NULL, NULL);
    struct header_list l = {
        .arena = x->arena, .room = n > 0 ? (size_t)n : 0, .next = version + strlen(version) + 2};
    l.pair = arena_alloc(x->arena, (l.room + 1) * sizeof l.pair[0]);
    if (!l.pair)
        return false;
    (void)MHD_get_connection_values_n(q->conn, MHD_HEADER_KIND, take_header, &l);
    x->method_text = str_c(method);
    x->headers = l.pair;
    x->n_headers = l.n;
    q->call.torn = q->s->layout_known && torn(q, &l, method, version);
    return !arena_overflowed(x->arena);
}

static enum MHD_Result on_head(struct visit *q, const char *method, const char *version)
{
    struct call *c = &q->call;
    q->headed = true;
    atomic_fetch_add(&q->s->figures.in_hand, 1);
    if (!take_head(q, method, version))
        return MHD_NO;
    q->done = !dispatch_head(q->s->app, c, str_c(version));
    if (!q->done && q->s->app->stopping) {
        refuse(q, ERR_UNAVAILABLE, "shutting down; please ask again");
        c->close = true;
    }
    bool endless = c->length != UINT64_MAX && c->length > DRAIN_MAX;
    /* otherwise the refused body is read first: closing on it would take the refusal along */
    if (q->done && (c->close || (c->has_body && (c->expects || endless))))
        return link_arrived(q->link) ? send_answer(q) : MHD_NO;
    return MHD_YES;
}

static enum MHD_Result discard(struct visit *q, size_t n)
{
    q->discarded += n;
    q->call.close = true;
    if (q->discarded <= DRAIN_MAX)
        return MHD_YES;
    /* the library cannot answer in the middle of a body */
    struct buf words;
    buf_init(&words, 0);
    if (link_arrived(q->link) && !last_words_write(&q->call, &words))
        link_last_words(q->link, buf_view(&words));
    buf_free(&words);
    return MHD_NO;
}

static enum MHD_Result on_body(struct visit *q, const char *data, size_t n)
{
    struct server *s = q->s;
    if (q->done)
        return discard(q, n);
    buf_put(&q->body, data, n);
    if (q->body.n > route_cap(q->call.route, s->app->cfg))
        refuse(q, ERR_TOO_LARGE, "the body is larger than is taken here");
    else if (buf_err(&q->body) ||
             atomic_fetch_add(&s->bodies, (int64_t)n) + (int64_t)n > BODIES_MAX)
        refuse(q, ERR_UNAVAILABLE, "too much is being received at once");
    return q->done ? discard(q, n) : MHD_YES;
}

static enum MHD_Result on_end(struct visit *q)
{
    bool first = !q->arrived;
    if (first && !link_arrived(q->link))
        return MHD_NO; /* it took too long and was told so */
    q->arrived = true;
    if (q->done)
        return send_answer(q);
    return first ? submit(q) : MHD_NO;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **con_cls)
{
    struct visit *q = *con_cls;
    (void)cls;
    (void)conn;
    (void)url; /* decoded and cut at NUL: never used */
    if (!q)
        return MHD_NO;
    if (!q->headed)
        return on_head(q, method, version);
    if (*n == 0)
        return on_end(q);
    enum MHD_Result ret = on_body(q, data, *n);
    *n = 0;
    return ret;
}

/* --- connections and requests come and go ---------------------------------------------------- */
static struct link *link_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return i ? i->socket_context : NULL;
}

static void take_remote(struct visit *q)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(q->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    if (!i || !i->client_addr)
        return;
    bool v6 = i->client_addr->sa_family == AF_INET6;
    memcpy(&a, i->client_addr, v6 ? sizeof a.v6 : sizeof a.v4);
    const void *address = v6 ? (const void *)&a.v6.sin6_addr : (const void *)&a.v4.sin_addr;
    if (inet_ntop(v6 ? AF_INET6 : AF_INET, address, q->remote, sizeof q->remote))
        q->call.x.remote = str_c(q->remote);
}

/* The request line has come; this is where the target can be had undecoded. */
static void *on_line(void *cls, const char *target, struct MHD_Connection *conn)
{
    struct server *s = cls;
    struct link *k = link_of(conn);
    struct visit *q = k ? calloc(1, sizeof *q) : NULL;
    if (!q)
        return NULL;
    if (call_init(&q->call, s->app)) {
        free(q);
        return NULL;
    }
    q->s = s;
    q->conn = conn;
    q->link = k;
    q->line = target;
    q->job.run = run_request;
    q->call.woken = on_woken;
    q->call.x.target = arena_str(q->call.x.arena, str_c(target));
    take_remote(q);
    buf_init(&q->body, (size_t)s->app->cfg->limit_body + DRAIN_MAX);
    link_begun(s->links, k);
    return q;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct visit *q = *con_cls;
    struct server *s = cls;
    (void)conn;
    (void)why;
    *con_cls = NULL;
    if (!q)
        return;
    if (q->source)
        q->source->close(q->source);
    atomic_fetch_sub(&s->bodies, (int64_t)q->body.n);
    buf_wipe(&q->body); /* may hold a password */
    call_free(&q->call);
    link_idle(s->links, q->link);
    if (q->headed)
        atomic_fetch_sub(&s->figures.in_hand, 1);
    free(q);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        link_close(s->links, *context);
        *context = NULL;
        atomic_fetch_sub(&s->figures.connections, 1);
        return;
    }
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct link *k = NULL;
    atomic_fetch_add(&s->figures.connections, 1);
    if (i && !link_open(s->links, i->connect_fd, &k))
        *context = k;
}

/* --- /metrics -------------------------------------------------------------------------------- */
static enum MHD_Result on_metrics(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **con_cls)
{
    struct server *s = cls;
    struct call c = {.x = {.status = 200, .answer_type = "text/plain; version=0.0.4"}};
    struct http_gauges g = {workers_queued(s->workers), waiters_count(s->waiters),
                            events_count(s->events)};
    (void)version;
    (void)data;
    (void)n;
    (void)con_cls;
    if (strcmp(method, "GET") != 0 || strcmp(url, "/metrics") != 0)
        dispatch_refuse(&c, ERR_NOT_FOUND, NULL);
    else if (metrics_write(s->app, &s->figures, &g, &c.x.out))
        dispatch_refuse(&c, ERR_UNAVAILABLE, NULL);
    struct MHD_Response *r = buffer_response(&c.x.out);
    enum MHD_Result ret = MHD_NO;
    if (r) {
        headers_each(&c, add_header, r);
        ret = MHD_queue_response(conn, (unsigned)c.x.status, r);
        MHD_destroy_response(r);
    }
    buf_free(&c.x.out);
    json_decref(c.x.answer_headers);
    return ret;
}

static int start_metrics(struct server *s, struct fail *f)
{
    struct str address = str_c(s->app->cfg->metrics_listen);
    uint16_t port;
    if (address.n == 0 || str_ends(address, STR(":0")))
        return 0;
    int r = listen_on(address, &s->metrics_fd, &port, f);
    if (r && str_eq_c(address, METRICS_DEFAULT)) {
        /* Nobody asked for this very address: another Countersign on this machine may have it. */
        log_event(LOG_WARN, "metrics.not_served", KV_S("address", address));
        return 0;
    }
    if (r)
        return r;
    s->metrics =
        MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_metrics, s,
                         MHD_OPTION_LISTEN_SOCKET, s->metrics_fd, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)16, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)10, MHD_OPTION_END);
    return s->metrics ? 0 : fail_set(f, ERR_IO, "the metrics server did not start");
}

/* --- start and stop -------------------------------------------------------------------------- */
static int start_parts(struct server *s)
{
    const struct config *cfg = s->app->cfg;
    int r = last_words_of(ERR_REQUEST_TIMEOUT, s->app, &s->too_slow);
    if (!r)
        r = links_new(s->app->env, cfg->limit_request_time, buf_view(&s->too_slow), &s->links);
    if (!r)
        r = workers_new((size_t)cfg->limit_workers, (size_t)cfg->limit_queue, &s->workers);
    if (!r)
        r = waiters_new(s->app->env, wake_call, s, &s->waiters);
    if (!r)
        r = streams_new(&s->streams);
    if (!r)
        r = events_new(s->app, s->workers, &s->events);
    s->app->waiters = s->waiters;
    return r;
}

static int start_daemon(struct server *s, struct fail *f)
{
    const struct config *cfg = s->app->cfg;
    size_t pool = (size_t)cfg->limit_headers + POOL_EXTRA;
    unsigned silence = (unsigned)((cfg->limit_request_time + 999) / 1000) + 2;
    int r = listen_on(str_c(cfg->listen), &s->listen_fd, &s->port, f);
    if (r)
        return r;
    s->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
        MHD_OPTION_LISTEN_SOCKET, s->listen_fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)cfg->limit_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool, MHD_OPTION_CONNECTION_TIMEOUT, silence,
        MHD_OPTION_URI_LOG_CALLBACK, on_line, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
    return s->daemon ? 0 : fail_set(f, ERR_IO, "the HTTP server did not start");
}

static void free_server(struct server *s)
{
    if (s->metrics)
        MHD_stop_daemon(s->metrics); /* closes its socket */
    else if (s->metrics_fd >= 0)
        close(s->metrics_fd);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    events_free(s->events);
    streams_free(s->streams);
    waiters_free(s->waiters);
    workers_free(s->workers);
    links_free(s->links);
    buf_free(&s->too_slow);
    free(s);
}

int server_start(struct app *app, struct server **ret, struct fail *f)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return fail_set(f, ERR_NOMEM, "out of memory");
    s->app = app;
    s->listen_fd = s->metrics_fd = -1;
    s->layout_known = strcmp(MHD_get_version(), LAYOUT_VERSION) == 0;
    if (!s->layout_known)
        log_event(LOG_WARN, "http.other_library", KV_C("version", MHD_get_version()));
    listen_raise_limit(app->cfg->limit_connections);
    int r = start_parts(s);
    if (r)
        r = fail_set(f, r, "the HTTP server's threads did not start");
    else
        r = start_metrics(s, f);
    if (!r)
        r = start_daemon(s, f);
    if (r) {
        app->waiters = NULL;
        if (s->streams)
            streams_end(s->streams);
        workers_end(s->workers);
        free_server(s);
        return r;
    }
    atomic_store(&app->server, s);
    *ret = s;
    return 0;
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

static void rest(void)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    (void)nanosleep(&tick, NULL);
}

/* No thread is in server_changed, and none will come in. */
static void stop_observing(struct app *app)
{
    atomic_store(&app->server, NULL);
    while (atomic_load(&app->observers) > 0)
        rest();
}

void server_stop(struct server *s, int64_t ms)
{
    struct app *app = s->app;
    int64_t end = env_mono(app->env) + ms;
    atomic_store(&app->stopping, true);
    if (MHD_quiesce_daemon(s->daemon) != MHD_INVALID_SOCKET)
        (void)shutdown(s->listen_fd, SHUT_RDWR);
    waiters_wake_all(s->waiters);
    events_end(s->events);
    while (atomic_load(&s->figures.in_hand) > 0 && env_mono(app->env) < end)
        rest();
    /* what still streams or arrives is cut; handlers are bounded and are let finish */
    stop_observing(app);
    streams_end(s->streams);
    workers_end(s->workers);
    app->waiters = NULL;
    free_server(s);
}

void server_changed(void *app_arg, const struct life_change *c)
{
    struct app *app = app_arg;
    atomic_fetch_add(&app->observers, 1);
    struct server *s = atomic_load(&app->server);
    if (s) {
        waiters_wake(s->waiters, c->action);
        events_changed(s->events, c);
    }
    atomic_fetch_sub(&app->observers, 1);
}
