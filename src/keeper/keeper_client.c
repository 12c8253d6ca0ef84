/* gate's side: one thread reads what keeper says and sends what did not fit at once; callers that
 * wait have a place in a list. Refuses to queue without bound, and ends the process when the other
 * side does not speak as it is written. */
#include "keeper/keeper_client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/messages.h"

enum { QUEUED_MOST = 8192, QUEUED_BYTES_MOST = 128 << 20 };

struct call { /* on the stack of the thread that waits */
    struct call *next;
    uint64_t id;
    bool done;
    int err;
    struct fail *fail;
    struct frame answer;
};
struct queued {
    struct queued *next;
    enum verb verb;
    uint64_t id;
    struct buf fields;
};
struct keeper_client {
    struct keeper_events ev;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a call is done, or the socket has gone */
    int fd, wake;           /* only the thread closes fd */
    bool stopped;           /* keeper_client_stop was called */
    bool stop;
    uint64_t last_id;
    struct call *calls;
    struct queued *first, *last;
    size_t n_queued, queued_bytes;
};

static _Noreturn void not_keeper(enum verb verb)
{
    log_event(LOG_ERROR, "keeper_message_refused", KV_N("verb", verb));
    _exit(1);
}

static void wake(struct keeper_client *kc)
{
    uint64_t one = 1;
    (void)!write(kc->wake, &one, sizeof one);
}

/* --- saying (under the lock) ------------------------------------------------------------------ */

static void queue_drop(struct keeper_client *kc)
{
    struct queued *q = kc->first;
    kc->first = q->next;
    if (!kc->first)
        kc->last = NULL;
    kc->n_queued--;
    kc->queued_bytes -= q->fields.n;
    buf_wipe(&q->fields);
    free(q);
}

static int queue_add(struct keeper_client *kc, enum verb verb, uint64_t id, struct buf *fields)
{
    if (kc->n_queued >= QUEUED_MOST || kc->queued_bytes + fields->n > QUEUED_BYTES_MOST)
        return ERR_UNAVAILABLE;
    struct queued *q = malloc(sizeof *q);
    if (!q)
        return ERR_NOMEM;
    *q = (struct queued){.verb = verb, .id = id, .fields = *fields};
    *fields = (struct buf){0};
    *(kc->last ? &kc->last->next : &kc->first) = q;
    kc->last = q;
    kc->n_queued++;
    kc->queued_bytes += q->fields.n;
    wake(kc);
    return 0;
}

static int say(struct keeper_client *kc, enum verb verb, uint64_t id, struct buf *fields)
{
    int r = buf_err(fields);
    if (r)
        return r;
    if (kc->fd < 0)
        return ERR_KEEPER;
    r = kc->first ? ERR_DONE : frame_send(kc->fd, verb, id, buf_view(fields), -1);
    if (r == ERR_DONE)
        return queue_add(kc, verb, id, fields);
    return r == ERR_TRUNCATED ? ERR_KEEPER : r;
}

/* --- the thread ------------------------------------------------------------------------------- */

static void lose(struct keeper_client *kc)
{
    pthread_mutex_lock(&kc->lock);
    close(kc->fd);
    kc->fd = -1;
    while (kc->first)
        queue_drop(kc);
    for (struct call *c = kc->calls; c; c = c->next) {
        c->done = true;
        c->err = fail_set(c->fail, ERR_KEEPER, "keeper has gone");
    }
    kc->calls = NULL;
    pthread_cond_broadcast(&kc->changed);
    pthread_mutex_unlock(&kc->lock);
    kc->ev.on_lost(kc->ev.arg);
}

/* Gives an answer to whoever waits; nobody does after KEEPER_CALL_MS. */
static void answer(struct keeper_client *kc, struct frame *f)
{
    struct wire_in in = wire_fields(f);
    pthread_mutex_lock(&kc->lock);
    struct call **at = &kc->calls;
    while (*at && (*at)->id != f->id)
        at = &(*at)->next;
    struct call *c = *at;
    if (c) {
        *at = c->next;
        c->done = true;
        c->err = f->verb == VERB_REFUSED ? messages_get_fail(&in, c->fail) : 0;
        c->answer = *f;
        *f = (struct frame){.stream_fd = -1};
        pthread_cond_broadcast(&kc->changed);
    }
    pthread_mutex_unlock(&kc->lock);
}

static void report(struct keeper_client *kc, struct frame *f)
{
    struct wire_in in = wire_fields(f);
    struct delivered d;
    struct keeper_result r;
    if (f->verb == VERB_DELIVERED) {
        messages_get_delivered(&in, &d);
        if (!wire_done(&in))
            not_keeper(f->verb);
        kc->ev.on_delivered(kc->ev.arg, &d);
        return;
    }
    if (messages_get_result(&in, &r))
        not_keeper(f->verb);
    if (f->verb == VERB_HEAD) {
        int fd = f->stream_fd;
        f->stream_fd = -1;
        kc->ev.on_head(kc->ev.arg, &r, fd);
    } else {
        kc->ev.on_result(kc->ev.arg, &r);
    }
}

/* False once the socket is gone. */
static bool hear(struct keeper_client *kc, int fd)
{
    for (;;) {
        struct frame f;
        int r = frame_recv(fd, TO_GATE, &f);
        if (r == ERR_DONE)
            return true;
        if (r == ERR_TRUNCATED)
            return false;
        if (r)
            not_keeper(0);
        if (f.verb == VERB_OK || f.verb == VERB_REFUSED || f.verb == VERB_HELLO_OK)
            answer(kc, &f);
        else
            report(kc, &f);
        frame_free(&f);
    }
}

static bool send_queued(struct keeper_client *kc)
{
    int r = 0;
    pthread_mutex_lock(&kc->lock);
    while (kc->first && !r) {
        r = frame_send(kc->fd, kc->first->verb, kc->first->id, buf_view(&kc->first->fields), -1);
        if (r != ERR_DONE)
            queue_drop(kc);
    }
    pthread_mutex_unlock(&kc->lock);
    return r != ERR_TRUNCATED;
}

static void *run(void *arg)
{
    struct keeper_client *kc = arg;
    for (;;) {
        pthread_mutex_lock(&kc->lock);
        bool stop = kc->stop;
        short out = kc->first ? POLLOUT : 0;
        struct pollfd fds[2] = {{.fd = kc->wake, .events = POLLIN},
                                {.fd = kc->fd, .events = (short)(POLLIN | out)}};
        pthread_mutex_unlock(&kc->lock);
        uint64_t count;
        if (stop)
            return NULL;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            not_keeper(0);
        if (fds[0].revents)
            (void)!read(kc->wake, &count, sizeof count);
        if (fds[1].fd >= 0 && fds[1].revents && !(hear(kc, fds[1].fd) && send_queued(kc)))
            lose(kc);
    }
}

/* --- making and binding ----------------------------------------------------------------------- */

int keeper_client_new(const struct keeper_events *ev, struct keeper_client **ret)
{
    struct keeper_client *kc = calloc(1, sizeof *kc);
    pthread_condattr_t attr;
    if (!kc)
        return ERR_NOMEM;
    kc->ev = *ev;
    kc->fd = -1;
    kc->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&kc->lock, NULL);
    pthread_cond_init(&kc->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (kc->wake < 0 || pthread_create(&kc->thread, NULL, run, kc) != 0) {
        if (kc->wake >= 0)
            close(kc->wake);
        free(kc);
        return ERR_NOMEM;
    }
    *ret = kc;
    return 0;
}

void keeper_client_stop(struct keeper_client *kc)
{
    pthread_mutex_lock(&kc->lock);
    bool runs = !kc->stop;
    kc->stop = true;
    wake(kc);
    pthread_mutex_unlock(&kc->lock);
    if (runs)
        pthread_join(kc->thread, NULL);
}

void keeper_client_free(struct keeper_client *kc)
{
    if (!kc)
        return;
    keeper_client_stop(kc);
    while (kc->first)
        queue_drop(kc);
    if (kc->fd >= 0)
        close(kc->fd);
    close(kc->wake);
    pthread_cond_destroy(&kc->changed);
    pthread_mutex_destroy(&kc->lock);
    free(kc);
}

/* The place that `answer` looks for; the thread that waits takes it out again or is taken out. */
static void enlist(struct keeper_client *kc, struct call *c)
{
    c->next = kc->calls;
    kc->calls = c;
}

/* Says it and waits for the answer, which the caller frees. */
static int call(struct keeper_client *kc, enum verb verb, struct buf *fields, struct frame *ret,
                struct fail *f)
{
    struct call c = {.fail = f, .answer = {.stream_fd = -1}};
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += KEEPER_CALL_MS / 1000;
    pthread_mutex_lock(&kc->lock);
    c.id = ++kc->last_id;
    int r = say(kc, verb, c.id, fields);
    if (r) {
        c.err = fail_set(f, r, "keeper cannot be asked");
    } else {
        enlist(kc, &c);
        while (!c.done && pthread_cond_timedwait(&kc->changed, &kc->lock, &until) != ETIMEDOUT)
            ;
    }
    if (!r && !c.done) {
        struct call **at = &kc->calls;
        while (*at != &c)
            at = &(*at)->next;
        *at = c.next;
        c.err = fail_set(f, ERR_KEEPER, "keeper did not answer in time");
    }
    pthread_mutex_unlock(&kc->lock);
    buf_wipe(fields);
    if (c.err) {
        frame_free(&c.answer);
        return c.err;
    }
    *ret = c.answer;
    return 0;
}

int keeper_client_bind(struct keeper_client *kc, int fd, const char *policy_digest,
                       const char *connectors_digest, struct keeper_identity *who, struct fail *f)
{
    struct buf fields = {0};
    struct frame got;
    struct str policy, connectors;
    pthread_mutex_lock(&kc->lock);
    while (kc->fd >= 0) { /* the thread has not noticed yet */
        shutdown(kc->fd, SHUT_RDWR);
        pthread_cond_wait(&kc->changed, &kc->lock);
    }
    kc->fd = fd;
    wake(kc);
    pthread_mutex_unlock(&kc->lock);
    wire_text(&fields, str_c(policy_digest));
    wire_text(&fields, str_c(connectors_digest));
    int r = call(kc, VERB_HELLO, &fields, &got, f);
    if (r)
        return r;
    struct wire_in in = wire_fields(&got);
    if (messages_get_identity(&in, who, &policy, &connectors))
        not_keeper(got.verb);
    if (!str_eq_c(policy, policy_digest) || !str_eq_c(connectors, connectors_digest)) {
        keeper_identity_free(who);
        r = fail_set(f, ERR_CONFLICT, "keeper has another policy or other connectors");
    }
    frame_free(&got);
    return r;
}

/* --- one function a verb ---------------------------------------------------------------------- */

/* Calls, and takes one text (or nothing, with NULL) out of the answer; a number before it when
 * asked. */
static int call_text(struct keeper_client *kc, enum verb verb, struct buf *fields, int64_t *number,
                     struct buf *ret, struct fail *f)
{
    struct frame got;
    int r = call(kc, verb, fields, &got, f);
    if (r)
        return r;
    struct wire_in in = wire_fields(&got);
    int64_t n = number ? wire_get_i64(&in) : 0;
    struct str text = ret ? wire_get_text(&in) : STR("");
    if (!wire_done(&in))
        not_keeper(verb);
    if (ret) {
        buf_str(ret, text);
        r = buf_err(ret);
    }
    if (!r && number)
        *number = n;
    frame_free(&got);
    return r;
}

int keeper_roster_load(struct keeper_client *kc, struct str sealed, struct buf *ret_doc,
                       struct fail *f)
{
    struct buf fields = {0};
    wire_text(&fields, sealed);
    return call_text(kc, VERB_ROSTER_LOAD, &fields, NULL, ret_doc, f);
}

int keeper_roster_put(struct keeper_client *kc, struct str doc, struct buf *ret_sealed,
                      int64_t *ret_version, struct fail *f)
{
    struct buf fields = {0};
    wire_text(&fields, doc);
    return call_text(kc, VERB_ROSTER_PUT, &fields, ret_version, ret_sealed, f);
}

int keeper_roster_commit(struct keeper_client *kc, struct str sealed, struct fail *f)
{
    struct buf fields = {0};
    wire_text(&fields, sealed);
    return call_text(kc, VERB_ROSTER_COMMIT, &fields, NULL, NULL, f);
}

int keeper_seal(struct keeper_client *kc, struct str workspace, struct str connection,
                struct str base_url, int64_t version, struct str secrets, struct buf *ret,
                struct fail *f)
{
    struct buf fields = {0};
    wire_text(&fields, workspace);
    wire_text(&fields, connection);
    wire_text(&fields, base_url);
    wire_i64(&fields, version);
    wire_text(&fields, secrets);
    return call_text(kc, VERB_SEAL, &fields, NULL, ret, f);
}

int keeper_grant(struct keeper_client *kc, const struct exec_order *o, struct buf *ret_grant,
                 struct fail *f)
{
    struct buf fields = {0};
    messages_put_order(&fields, o);
    return call_text(kc, VERB_GRANT, &fields, NULL, ret_grant, f);
}

/* Says it without waiting. */
static int tell(struct keeper_client *kc, enum verb verb, struct buf *fields)
{
    pthread_mutex_lock(&kc->lock);
    int r = say(kc, verb, ++kc->last_id, fields);
    pthread_mutex_unlock(&kc->lock);
    buf_wipe(fields);
    return r;
}

int keeper_execute(struct keeper_client *kc, const struct exec_order *o)
{
    struct buf fields = {0};
    messages_put_order(&fields, o);
    return tell(kc, VERB_EXECUTE, &fields);
}

int keeper_deliver(struct keeper_client *kc, const struct deliver_order *o)
{
    struct buf fields = {0};
    messages_put_deliver(&fields, o);
    return tell(kc, VERB_DELIVER, &fields);
}

static void put_attempt(struct buf *b, struct str workspace, struct str action, int64_t attempt)
{
    wire_text(b, workspace);
    wire_text(b, action);
    wire_i64(b, attempt);
}

void keeper_ack(struct keeper_client *kc, struct str workspace, struct str action, int64_t attempt)
{
    struct buf fields = {0};
    put_attempt(&fields, workspace, action, attempt);
    (void)!tell(kc, VERB_ACK, &fields); /* a keeper that is gone has forgotten it anyway */
}

int keeper_query(struct keeper_client *kc, struct str workspace, struct str action, int64_t attempt,
                 struct str epoch, enum attempt_state *ret_state, struct keeper_result *ret,
                 struct fail *f)
{
    struct buf fields = {0};
    struct frame got;
    put_attempt(&fields, workspace, action, attempt);
    wire_text(&fields, epoch);
    int r = call(kc, VERB_QUERY, &fields, &got, f);
    if (r)
        return r;
    struct wire_in in = wire_fields(&got);
    uint8_t state = wire_get_u8(&in);
    if (state > ATTEMPT_DONE ||
        (state == ATTEMPT_DONE ? messages_get_result(&in, ret) != 0 : !wire_done(&in)))
        not_keeper(VERB_QUERY);
    *ret_state = (enum attempt_state)state;
    frame_free(&got);
    return 0;
}

int keeper_revoke(struct keeper_client *kc, const struct revocation *r)
{
    struct buf fields = {0};
    messages_put_revocation(&fields, r);
    return call_text(kc, VERB_REVOKE, &fields, NULL, NULL, NULL);
}

int keeper_reload(struct keeper_client *kc, const char *policy_digest,
                  const char *connectors_digest, struct fail *f)
{
    struct buf fields = {0};
    wire_text(&fields, str_c(policy_digest));
    wire_text(&fields, str_c(connectors_digest));
    return call_text(kc, VERB_RELOAD, &fields, NULL, NULL, f);
}

int keeper_hook_secret(struct keeper_client *kc, struct str workspace, struct str agent,
                       char out[64], struct fail *f)
{
    struct buf fields = {0}, text = {0};
    wire_text(&fields, workspace);
    wire_text(&fields, agent);
    int r = call_text(kc, VERB_HOOK_SECRET, &fields, NULL, &text, f);
    if (!r && !str_copy(out, 64, buf_view(&text)))
        not_keeper(VERB_HOOK_SECRET);
    buf_wipe(&text);
    return r;
}
