/* One lock guards all streams: what happens under it is a few pointers per stream concerned, and
 * streams are found by agent or workspace. Audit numbers rise; a change that comes late is given
 * the highest id told so far, so that ids never go back on a stream. */
#include "http/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"

enum {
    BUCKETS = 1024,
    QUEUE = 64,             /* events that a reader may lag behind */
    PENDING_MAX = 16384,    /* changes not rendered yet, before all readers are told to come back */
    BATCH = 64,             /* changes rendered at a time */
    BACKLOG_MAX = 4 << 20,  /* bytes given at once to one that comes back */
    BEAT_MS = 15000,        /* a comment line shows proxies and clients that the line is alive */
    LIFE_MS = 5 * 60 * 1000 /* then it must show its key or session again */
};

/* Bytes shared by streams. */
struct chunk {
    _Atomic size_t refs;
    size_t n;
    char p[];
};

struct key {
    bool person; /* sees the workspace; otherwise the agent's own alone */
    char id[64]; /* of the workspace or the agent */
};

struct event_stream {
    struct body body; /* first: a body is cast back */
    struct events *all;
    struct event_stream *next, **at;
    struct key key;
    char who[ID_SIZE]; /* the agent or person that reads */
    struct chunk *queue[QUEUE];
    size_t first, n, offset; /* offset: into queue[first] */
    int64_t told;            /* highest id queued */
    int64_t beat, ends;      /* env_mono */
    bool suspended, dropped;
};

struct pending {
    struct pending *next;
    int64_t seq;
    bool notice;
    char workspace[64], action[ID_SIZE], agent[ID_SIZE];
};

struct events {
    struct app *app;
    struct workers *workers;
    struct job job; /* the one renderer; first come, first served keeps events in order */
    pthread_mutex_t lock;
    pthread_cond_t end_bell;
    pthread_t beater;
    struct event_stream *bucket[BUCKETS];
    size_t n;
    struct pending *first, **last;
    size_t n_pending;
    bool rendering, ended, stopped;
};

/* --- chunks --------------------------------------------------------------------------------------
 */
static struct chunk *chunk_new(struct str text)
{
    struct chunk *k = malloc(sizeof *k + text.n);
    if (!k)
        return NULL;
    k->refs = 1;
    k->n = text.n;
    memcpy(k->p, text.p, text.n);
    return k;
}

static void chunk_unref(struct chunk *k)
{
    if (k && atomic_fetch_sub(&k->refs, 1) == 1)
        free(k);
}

/* The data is one line: JSON written compactly has no raw line ends. */
static void write_event(struct buf *out, int64_t seq, struct str data)
{
    CS_ASSERT(str_find(data, '\n', 0) == data.n && str_find(data, '\r', 0) == data.n);
    buf_printf(out, "event: action\nid: %lld\ndata: ", (long long)seq);
    buf_str(out, data);
    buf_c(out, "\n\n");
}

/* --- streams, under the lock ----------------------------------------------------------------- */
static struct event_stream **bucket_of(struct events *e, const struct key *k)
{
    uint64_t h = k->person ? 0x9e3779b97f4a7c15u : 14695981039346656037u;
    for (const char *p = k->id; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    return &e->bucket[(h ^ (h >> 32)) % BUCKETS];
}

static bool same_key(const struct key *a, const struct key *b)
{
    return a->person == b->person && strcmp(a->id, b->id) == 0;
}

static void wake(struct event_stream *s)
{
    if (!s->suspended)
        return;
    s->suspended = false;
    s->body.conn.resume(s->body.conn.conn);
}

/* Takes a reference of its own. A full queue ends the stream once it has been read. */
static void push(struct event_stream *s, struct chunk *k)
{
    if (s->dropped)
        return;
    if (s->n == QUEUE || !k) {
        s->dropped = true;
    } else {
        atomic_fetch_add(&k->refs, 1);
        s->queue[(s->first + s->n++) % QUEUE] = k;
    }
    wake(s);
}

static void forget(struct event_stream *s)
{
    for (size_t i = 0; i < s->n; i++)
        chunk_unref(s->queue[(s->first + i) % QUEUE]);
    s->n = 0;
}

static void drop_all(struct events *e)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct event_stream *s = e->bucket[i]; s; s = s->next) {
            s->dropped = true;
            wake(s);
        }
}

static bool watched(struct events *e, const struct key *k)
{
    for (struct event_stream *s = *bucket_of(e, k); s; s = s->next)
        if (same_key(&s->key, k) && !s->dropped)
            return true;
    return false;
}

/* --- reading, on the HTTP library's threads -------------------------------------------------- */
static ssize_t copy_out(struct event_stream *s, char *to, size_t max)
{
    size_t done = 0;
    while (done < max && s->n > 0) {
        struct chunk *k = s->queue[s->first];
        size_t n = k->n - s->offset < max - done ? k->n - s->offset : max - done;
        memcpy(to + done, k->p + s->offset, n);
        done += n;
        s->offset += n;
        if (s->offset < k->n)
            break;
        chunk_unref(k);
        s->first = (s->first + 1) % QUEUE;
        s->n--;
        s->offset = 0;
    }
    return (ssize_t)done;
}

static ssize_t events_read(struct body *b, char *to, size_t max)
{
    struct event_stream *s = (struct event_stream *)b;
    pthread_mutex_lock(&s->all->lock);
    ssize_t r = copy_out(s, to, max);
    if (r == 0 && (s->dropped || s->all->ended)) {
        r = BODY_END;
    } else if (r == 0) {
        s->suspended = true;
        b->conn.suspend(b->conn.conn);
    }
    pthread_mutex_unlock(&s->all->lock);
    return r;
}

static void events_close(struct body *b)
{
    struct event_stream *s = (struct event_stream *)b;
    pthread_mutex_lock(&s->all->lock);
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    s->all->n--;
    pthread_mutex_unlock(&s->all->lock);
    forget(s);
    free(s);
}

/* --- opening --------------------------------------------------------------------------------- */
struct backlog {
    struct buf text;
    int64_t told;
    bool cut;
};

static int add_backlog(void *arg, int64_t seq, struct str data)
{
    struct backlog *b = arg;
    if (b->text.n + data.n > BACKLOG_MAX) {
        b->cut = true;
        return ERR_DONE;
    }
    write_event(&b->text, seq, data);
    b->told = seq > b->told ? seq : b->told;
    return buf_err(&b->text);
}

static void insert(struct events *e, struct event_stream *s)
{
    struct event_stream **head = bucket_of(e, &s->key);
    s->next = *head;
    s->at = head;
    if (s->next)
        s->next->at = &s->next;
    *head = s;
    e->n++;
}

/* What was missed goes before what came since the stream was listed; that may repeat some of it. If
 * not all of it is there, nothing later may be told either: the reader would come back with an id
 * that skips the rest. */
static void put_first(struct event_stream *s, struct chunk *k, bool whole)
{
    if (!whole || s->n == QUEUE) {
        forget(s);
        s->dropped = true;
    }
    s->first = (s->first + QUEUE - 1) % QUEUE;
    s->queue[s->first] = k;
    s->n++;
}

static int fill_backlog(struct events *e, struct event_stream *s, const struct call *c)
{
    struct backlog b = {.told = c->x.events_after};
    int r = 0;
    buf_init(&b.text, (size_t)2 * BACKLOG_MAX + (64u << 20));
    buf_c(&b.text, "retry: 1000\n: countersign\n\n");
    if (c->x.events_after > 0)
        r = api_events_since(e->app, &c->x.who, c->x.events_after, add_backlog, &b);
    if (b.cut)
        r = 0;
    struct chunk *k = r || buf_err(&b.text) ? NULL : chunk_new(buf_view(&b.text));
    buf_free(&b.text);
    if (!k)
        return r ? r : ERR_NOMEM;
    pthread_mutex_lock(&e->lock);
    put_first(s, k, !b.cut);
    s->told = b.told > s->told ? b.told : s->told;
    pthread_mutex_unlock(&e->lock);
    return 0;
}

int events_open(struct events *e, const struct call *c, struct body **ret)
{
    const struct principal *who = &c->x.who;
    struct event_stream *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->body.read = events_read;
    s->body.close = events_close;
    s->all = e;
    s->key.person = who->who != WHO_AGENT;
    s->ends = env_mono(e->app->env) + LIFE_MS;
    s->beat = env_mono(e->app->env) + BEAT_MS;
    struct str reader = str_c(s->key.person ? who->person->id : who->agent->id);
    CS_ASSERT(str_copy(s->key.id, sizeof s->key.id, s->key.person ? who->workspace : reader) &&
              str_copy(s->who, sizeof s->who, reader));
    pthread_mutex_lock(&e->lock);
    insert(e, s);
    pthread_mutex_unlock(&e->lock);
    int r = fill_backlog(e, s, c);
    if (r) {
        events_close(&s->body);
        return r;
    }
    *ret = &s->body;
    return 0;
}

/* --- changes --------------------------------------------------------------------------------- */
static bool keys_of(const struct pending *p, struct key key[2])
{
    key[0] = (struct key){.person = false};
    key[1] = (struct key){.person = true};
    return str_copy(key[0].id, sizeof key[0].id, str_c(p->agent)) &&
           str_copy(key[1].id, sizeof key[1].id, str_c(p->workspace));
}

void events_changed(struct events *e, const struct life_change *c)
{
    struct key key[2];
    struct pending *p = calloc(1, sizeof *p);
    bool start = false;
    bool whole = p && str_copy(p->workspace, sizeof p->workspace, c->workspace) &&
                 str_copy(p->action, sizeof p->action, c->action) &&
                 str_copy(p->agent, sizeof p->agent, c->agent) && keys_of(p, key);
    pthread_mutex_lock(&e->lock);
    if (!whole || e->n_pending == PENDING_MAX) {
        drop_all(e);
    } else if (!e->ended && (watched(e, &key[0]) || watched(e, &key[1]))) {
        p->seq = c->seq;
        p->notice = c->notice;
        *e->last = p;
        e->last = &p->next;
        e->n_pending++;
        p = NULL;
        start = !e->rendering;
        e->rendering = true;
    }
    pthread_mutex_unlock(&e->lock);
    free(p);
    if (start)
        workers_put(e->workers, &e->job);
}

static int seq_order(const void *a, const void *b)
{
    const struct pending *p = *(struct pending *const *)a, *q = *(struct pending *const *)b;
    return (p->seq > q->seq) - (p->seq < q->seq);
}

static size_t take_batch(struct events *e, struct pending *batch[BATCH])
{
    size_t n = 0;
    pthread_mutex_lock(&e->lock);
    for (; n < BATCH && e->first; e->n_pending--) {
        batch[n++] = e->first;
        e->first = e->first->next;
    }
    if (!e->first)
        e->last = &e->first;
    pthread_mutex_unlock(&e->lock);
    qsort(batch, n, sizeof batch[0], seq_order);
    return n;
}

/* Streams that have been told more get the event under the id they know: ids never go back. Two ids
 * in one batch of streams are rare, so that the text is nearly always shared. */
static void publish(struct events *e, const struct key *key, int64_t seq, struct str data)
{
    struct chunk *k = NULL;
    int64_t k_seq = -1;
    pthread_mutex_lock(&e->lock);
    for (struct event_stream *s = *bucket_of(e, key); s; s = s->next) {
        if (!same_key(&s->key, key) || s->dropped)
            continue;
        if (seq > s->told)
            s->told = seq;
        if (!k || k_seq != s->told) {
            struct buf text;
            chunk_unref(k);
            buf_init(&text, data.n + 128);
            write_event(&text, s->told, data);
            k = buf_err(&text) ? NULL : chunk_new(buf_view(&text));
            k_seq = s->told;
            buf_free(&text);
        }
        push(s, k);
    }
    pthread_mutex_unlock(&e->lock);
    chunk_unref(k);
}

static void render(struct events *e, const struct pending *p)
{
    struct life_change c = {.workspace = str_c(p->workspace),
                            .action = str_c(p->action),
                            .agent = str_c(p->agent),
                            .seq = p->seq,
                            .notice = p->notice};
    struct key key[2];
    if (!keys_of(p, key))
        return;
    for (int i = 0; i < 2; i++) {
        struct buf data;
        pthread_mutex_lock(&e->lock);
        bool wanted = watched(e, &key[i]);
        pthread_mutex_unlock(&e->lock);
        if (!wanted)
            continue;
        buf_init(&data, 0);
        int r = api_event_data(e->app, &c, key[i].person, &data);
        if (!r && !buf_err(&data))
            publish(e, &key[i], p->seq, buf_view(&data));
        else if (r != ERR_NOT_FOUND)
            log_event(LOG_WARN, "event.lost", KV_C("error", err_name(r)),
                      KV_C("action", p->action));
        buf_free(&data);
    }
}

/* An action that changes again in the same batch is told once, as it is now. */
static bool told_later(struct pending *const *batch, size_t i, size_t n)
{
    for (size_t j = i + 1; j < n; j++)
        if (strcmp(batch[i]->action, batch[j]->action) == 0 && batch[i]->action[0])
            return true;
    return false;
}

static void render_run(struct job *j)
{
    struct events *e = (struct events *)((char *)j - offsetof(struct events, job));
    struct pending *batch[BATCH] = {0};
    size_t n = take_batch(e, batch);
    for (size_t i = 0; i < n; i++)
        if (!told_later(batch, i, n))
            render(e, batch[i]);
    for (size_t i = 0; i < n; i++)
        free(batch[i]);
    pthread_mutex_lock(&e->lock);
    bool more = e->rendering = e->first != NULL;
    pthread_mutex_unlock(&e->lock);
    if (more)
        workers_put(e->workers, &e->job); /* at the end of the queue: others have their turn */
}

/* --- the beat -------------------------------------------------------------------------------- */
static bool still_known(const struct roster *r, const struct event_stream *s)
{
    const struct agent *a = s->key.person ? NULL : roster_agent(r, str_c(s->who));
    const struct person *p = s->key.person ? roster_person(r, str_c(s->who)) : NULL;
    return (a && a->enabled) || (p && p->enabled);
}

static void beat(struct events *e, const struct roster *r, struct chunk *comment)
{
    int64_t now = env_mono(e->app->env);
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct event_stream *s = e->bucket[i]; s; s = s->next) {
            if (now < s->beat)
                continue;
            s->beat = now + BEAT_MS;
            if (now >= s->ends || !still_known(r, s)) {
                s->dropped = true;
                wake(s);
            } else if (s->n == 0) {
                push(s, comment);
            }
        }
    pthread_mutex_unlock(&e->lock);
}

static void *beat_run(void *arg)
{
    struct events *e = arg;
    struct chunk *comment = chunk_new(STR(":\n\n"));
    pthread_mutex_lock(&e->lock);
    while (!e->ended) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += 1;
        (void)pthread_cond_timedwait(&e->end_bell, &e->lock, &t);
        if (e->ended || e->n == 0)
            continue;
        pthread_mutex_unlock(&e->lock);
        struct roster *r = life_roster(e->app->life);
        beat(e, r, comment);
        roster_unref(r);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    chunk_unref(comment);
    return NULL;
}

/* --- the whole ------------------------------------------------------------------------------- */
int events_new(struct app *app, struct workers *workers, struct events **ret)
{
    struct events *e = calloc(1, sizeof *e);
    pthread_condattr_t monotonic;
    if (!e)
        return ERR_NOMEM;
    e->app = app;
    e->workers = workers;
    e->job.run = render_run;
    e->last = &e->first;
    CS_ASSERT(pthread_condattr_init(&monotonic) == 0 &&
              pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&e->end_bell, &monotonic) == 0 &&
              pthread_mutex_init(&e->lock, NULL) == 0);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&e->beater, NULL, beat_run, e)) {
        free(e);
        return ERR_IO;
    }
    *ret = e;
    return 0;
}

size_t events_count(struct events *e)
{
    pthread_mutex_lock(&e->lock);
    size_t n = e->n;
    pthread_mutex_unlock(&e->lock);
    return n;
}

void events_end(struct events *e)
{
    pthread_mutex_lock(&e->lock);
    e->ended = true;
    drop_all(e);
    pthread_cond_signal(&e->end_bell);
    pthread_mutex_unlock(&e->lock);
}

void events_free(struct events *e)
{
    if (!e)
        return;
    events_end(e);
    pthread_join(e->beater, NULL);
    CS_ASSERT(e->n == 0 && !e->rendering);
    for (struct pending *p = e->first, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->end_bell);
    free(e);
}
