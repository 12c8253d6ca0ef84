/* Exchanges on one curl multi handle. Refuses addresses that are not allowed, a second transmission
 * of what may be sent once, other protocols than HTTP(S), redirects, proxies. */
#include "keeper/send.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "keeper/address.h"
#include "keeper/blank.h"

enum { HEADERS_MOST = 256, HEADER_BYTES_MOST = 65536, STREAM_WINDOW = 65536, EASY_POOL = 64 };

struct running {
    struct exchange x; /* first: on_stream and on_end get a pointer to it */
    struct sender *s;
    struct running *next, **link; /* in s->all */
    CURL *easy;
    struct curl_slist *request_headers;
    struct buf request_body;
    bool allow_private, allow_plain, repeatable;
    size_t keep, header_bytes;
    bool (*on_stream)(void *arg, struct exchange *x, int fd);
    void (*on_end)(void *arg, struct exchange *x);
    void *arg;
    struct blank blank;
    unsigned transmissions; /* how often the request was about to leave */
    bool answering;         /* the body has begun: what follows as headers are trailers */
    bool ended, paused, reader_gone;
    int stream;      /* our end, -1 while there is none */
    size_t streamed; /* bytes of x.body that the reader has */
    int64_t linger_until;
    char error[CURL_ERROR_SIZE];
};
struct sender {
    CURLM *multi;
    struct send_limits limits;
    struct running *all;
    size_t load;
    CURL *pool[EASY_POOL];
    size_t n_pool;
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- what libcurl asks while it works --------------------------------------------------------- */

static bool address_allowed(struct running *t, enum address_kind kind)
{
    if (kind == ADDRESS_PUBLIC || (kind == ADDRESS_PRIVATE && t->allow_private))
        return true;
    t->x.address_refused = true;
    return false;
}

/* The very address that is about to be connected, after all resolving. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)purpose;
    if (!address_allowed(arg, address_kind(&a->addr)))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* Called each time the request is about to be written. A connection taken from the pool was opened
 * for somebody else, so its address is judged again. */
static int before_request(void *arg, char *ip, char *local, int port, int local_port)
{
    struct running *t = arg;
    (void)local, (void)port, (void)local_port;
    if (!address_allowed(t, address_kind_text(ip)))
        return CURL_PREREQFUNC_ABORT;
    if (t->transmissions > 0 && !t->repeatable)
        return CURL_PREREQFUNC_ABORT;
    t->transmissions++;
    return CURL_PREREQFUNC_OK;
}

static void keep_header(struct running *t, struct str line)
{
    char name[128];
    size_t colon = str_find(line, ':', 0);
    struct str value = str_trim(str_sub(line, colon + 1, line.n));
    struct buf clean = {0};
    t->header_bytes += line.n;
    if (colon == line.n || !str_copy(name, sizeof name, str_sub(line, 0, colon)) ||
        json_array_size(t->x.headers) >= HEADERS_MOST || t->header_bytes > HEADER_BYTES_MOST)
        return; /* more than anybody needs to know */
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 'a' - 'A') : *p;
    blank_feed(&t->blank, value, true, &clean);
    json_t *pair = json_pack("[s, s%]", name, clean.p ? clean.p : "", clean.n);
    if (pair && !buf_err(&clean)) /* no pair: not UTF-8 */
        json_array_append(t->x.headers, pair);
    json_decref(pair);
    buf_free(&clean);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct running *t = arg;
    struct str line = {p, size * n};
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (str_starts(line, STR("HTTP/"))) { /* an interim answer's headers do not count */
        json_array_clear(t->x.headers);
        t->header_bytes = 0;
    } else if (line.n > 0 && !t->answering) {
        keep_header(t, line);
    }
    return size * n;
}

static size_t backlog(const struct running *t)
{
    return t->x.body.n - t->streamed;
}

static void close_stream(struct running *t)
{
    if (t->stream >= 0)
        close(t->stream);
    t->stream = -1;
    buf_clear(&t->x.body);
    t->streamed = 0;
}

/* Gives the reader what it takes now. */
static void drain(struct running *t)
{
    if (t->stream < 0)
        return;
    while (backlog(t) > 0) {
        ssize_t n =
            send(t->stream, t->x.body.p + t->streamed, backlog(t), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            t->reader_gone = true;
            close_stream(t);
            return;
        }
        t->streamed += (size_t)n;
        if (t->streamed > STREAM_WINDOW) { /* what was read takes no memory */
            memmove(t->x.body.p, t->x.body.p + t->streamed, backlog(t));
            t->x.body.n -= t->streamed;
            t->streamed = 0;
        }
    }
    buf_clear(&t->x.body);
    t->streamed = 0;
}

/* The body has outgrown what is kept: it streams from here on, or is only counted. */
static void outgrown(struct running *t)
{
    int pair[2];
    long status = 0;
    t->x.body_omitted = true;
    if (t->on_stream && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        t->x.status = (int)status;
        if (t->on_stream(t->arg, &t->x, pair[0])) {
            t->stream = pair[1];
            drain(t);
            return;
        }
        close(pair[0]);
        close(pair[1]);
    }
    buf_clear(&t->x.body);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct running *t = arg;
    t->answering = true;
    if (t->stream >= 0 && backlog(t) > STREAM_WINDOW) {
        t->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (t->reader_gone && t->repeatable)
        return CURL_WRITEFUNC_ERROR; /* nobody wants it; what was written must be heard to its end
                                      */
    t->x.body_bytes += (int64_t)(size * n);
    if (t->x.body_omitted && t->stream < 0)
        return size * n;
    blank_feed(&t->blank, (struct str){p, size * n}, false, &t->x.body);
    if (buf_err(&t->x.body))
        return CURL_WRITEFUNC_ERROR;
    if (t->stream >= 0)
        drain(t);
    else if (t->x.body.n + t->blank.carry.n > t->keep)
        outgrown(t);
    return size * n;
}

/* --- starting --------------------------------------------------------------------------------- */

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* libcurl's own additions are turned off unless the order has them. */
static bool build_headers(struct running *t, const struct send_order *o)
{
    bool ok = add_header(&t->request_headers, "Expect:"), typed = false;
    for (size_t at = 0; ok && at < o->headers.n;) {
        size_t end = str_find(o->headers, '\n', at);
        struct buf line = {0};
        buf_str(&line, str_sub(o->headers, at, end));
        typed = typed || str_eq_nocase(str_sub(buf_view(&line), 0, 13), STR("content-type:"));
        ok = buf_err(&line) == 0 && (line.n == 0 || add_header(&t->request_headers, line.p));
        buf_wipe(&line);
        at = end + 1;
    }
    return ok && (typed || add_header(&t->request_headers, "Content-Type:"));
}

#define SET(option, value) (ok = ok && curl_easy_setopt(t->easy, option, value) == CURLE_OK)

static bool set_request(struct running *t, const struct send_order *o)
{
    bool ok = true, head = strcmp(o->method, "HEAD") == 0, get = strcmp(o->method, "GET") == 0;
    struct buf url = {0};
    buf_str(&url, o->url);
    buf_str(&t->request_body, o->body);
    if (buf_err(&url) || buf_err(&t->request_body)) {
        buf_free(&url);
        return false;
    }
    SET(CURLOPT_URL, url.p);
    SET(CURLOPT_HTTPHEADER, t->request_headers);
    if (o->has_body || !(get || head || strcmp(o->method, "DELETE") == 0)) {
        SET(CURLOPT_POSTFIELDS, t->request_body.p ? t->request_body.p : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request_body.n);
    }
    if (head)
        SET(CURLOPT_NOBODY, 1L);
    else
        SET(CURLOPT_CUSTOMREQUEST, o->method);
    buf_free(&url);
    return ok;
}

static bool set_manners(struct running *t)
{
    bool ok = true;
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PROTOCOLS_STR, t->allow_plain ? "http,https" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CONNECTTIMEOUT_MS, t->s->limits.connect_ms);
    SET(CURLOPT_TIMEOUT_MS, t->s->limits.total_ms);
    SET(CURLOPT_USERAGENT, "Countersign");
#ifdef CS_TESTING
    if (getenv("COUNTERSIGN_TEST_CA"))
        SET(CURLOPT_CAINFO, getenv("COUNTERSIGN_TEST_CA"));
#endif
    return ok;
}

static bool set_callbacks(struct running *t)
{
    bool ok = true;
    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_ERRORBUFFER, t->error);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_PREREQFUNCTION, before_request);
    SET(CURLOPT_PREREQDATA, t);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    return ok;
}

static void give_back(struct sender *s, CURL *easy)
{
    if (easy && s->n_pool < EASY_POOL) {
        curl_easy_reset(easy);
        s->pool[s->n_pool++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

static void running_free(struct running *t)
{
    if (t->link) {
        *t->link = t->next;
        if (t->next)
            t->next->link = t->link;
    }
    if (t->easy) {
        curl_multi_remove_handle(t->s->multi, t->easy);
        give_back(t->s, t->easy);
    }
    curl_slist_free_all(t->request_headers);
    close_stream(t);
    buf_wipe(&t->request_body);
    buf_free(&t->x.body);
    json_decref(t->x.headers);
    blank_free(&t->blank);
    free(t);
}

int sender_start(struct sender *s, const struct send_order *o)
{
    struct running *t = calloc(1, sizeof *t);
    if (!t)
        return ERR_NOMEM;
    *t = (struct running){.s = s,
                          .stream = -1,
                          .allow_private = o->allow_private,
                          .allow_plain = o->allow_plain,
                          .repeatable = o->repeatable,
                          .keep = o->keep,
                          .on_stream = o->on_stream,
                          .on_end = o->on_end,
                          .arg = o->arg};
    t->x.headers = json_array();
    t->easy = s->n_pool > 0 ? s->pool[--s->n_pool] : curl_easy_init();
    int r = t->x.headers && t->easy ? blank_init(&t->blank, o->blank) : ERR_NOMEM;
    if (!r && !(build_headers(t, o) && set_request(t, o) && set_manners(t) && set_callbacks(t) &&
                curl_multi_add_handle(s->multi, t->easy) == CURLM_OK))
        r = ERR_NOMEM;
    if (r) {
        running_free(t);
        return r;
    }
    t->next = s->all;
    t->link = &s->all;
    if (t->next)
        t->next->link = &t->next;
    s->all = t;
    s->load++;
    return 0;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* libcurl's sentence for people, in printable ASCII: some of it may come from the other side. */
static void describe(struct running *t, CURLcode code)
{
    const char *text = t->error[0] ? t->error : curl_easy_strerror(code);
    if (t->x.address_refused)
        text = "the host has no address that is allowed";
    else if (t->transmissions > 0 && code == CURLE_ABORTED_BY_CALLBACK)
        text = "the connection was closed before the answer came";
    size_t n = strnlen(text, sizeof t->x.detail - 1);
    for (size_t i = 0; i < n; i++)
        t->x.detail[i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
    t->x.detail[n] = 0;
}

static void finish(struct running *t, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->x.status = status >= 100 && status <= 999 ? (int)status : 0;
    if (code == CURLE_OK && t->x.status >= 200)
        t->x.fate = SEND_ANSWERED;
    else
        t->x.fate = t->transmissions == 0 ? SEND_NOT_SENT : SEND_UNKNOWN;
    if (code != CURLE_OK)
        describe(t, code);
    if (!t->x.body_omitted || t->stream >= 0)
        blank_feed(&t->blank, STR(""), true, &t->x.body);
    t->ended = true;
    t->s->load--;
    t->on_end(t->arg, &t->x);
    curl_multi_remove_handle(t->s->multi, t->easy);
    give_back(t->s, t->easy);
    t->easy = NULL;
    t->linger_until = mono_ms() + t->s->limits.total_ms;
}

void sender_work(struct sender *s)
{
    int running, left;
    CURLMsg *m;
    curl_multi_perform(s->multi, &running);
    while ((m = curl_multi_info_read(s->multi, &left))) {
        struct running *t = NULL;
        if (m->msg == CURLMSG_DONE &&
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) == CURLE_OK)
            finish(t, m->data.result);
    }
    for (struct running *t = s->all, *next; t; t = next) {
        next = t->next;
        drain(t);
        if (t->paused && !t->ended && backlog(t) <= STREAM_WINDOW) {
            t->paused = false;
            curl_easy_pause(t->easy, CURLPAUSE_CONT);
        }
        if (t->ended && (t->stream < 0 || backlog(t) == 0 || mono_ms() > t->linger_until))
            running_free(t);
    }
}

void sender_wait(struct sender *s, struct curl_waitfd *fds, unsigned n, int timeout_ms)
{
    struct curl_waitfd *all = fds;
    unsigned streams = 0, most = n;
    for (struct running *t = s->all; t; t = t->next)
        streams += t->stream >= 0 && backlog(t) > 0;
    if (streams > 0 && (all = calloc(n + streams, sizeof *all))) {
        memcpy(all, fds, n * sizeof *all);
        for (struct running *t = s->all; t; t = t->next)
            if (t->stream >= 0 && backlog(t) > 0)
                all[most++] = (struct curl_waitfd){.fd = t->stream, .events = CURL_WAIT_POLLOUT};
    }
    curl_multi_poll(s->multi, all ? all : fds, all ? most : n, timeout_ms, NULL);
    if (all && all != fds) {
        memcpy(fds, all, n * sizeof *all);
        free(all);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

int sender_new(const struct send_limits *limits, struct sender **ret)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->limits = *limits;
    s->multi = curl_multi_init();
    long per_host = limits->calls / 2 > 128 ? limits->calls / 2
                                            : 128; /* one slow host leaves room for others */
    if (!s->multi ||
        curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) != CURLM_OK ||
        curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, limits->calls) != CURLM_OK ||
        curl_multi_setopt(s->multi, CURLMOPT_MAX_HOST_CONNECTIONS, per_host) != CURLM_OK) {
        sender_free(s);
        return ERR_NOMEM;
    }
    *ret = s;
    return 0;
}

size_t sender_load(const struct sender *s)
{
    return s->load;
}

bool sender_idle(const struct sender *s)
{
    return s->all == NULL;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    while (s->all)
        running_free(s->all);
    for (size_t i = 0; i < s->n_pool; i++)
        curl_easy_cleanup(s->pool[i]);
    curl_multi_cleanup(s->multi);
    free(s);
}
