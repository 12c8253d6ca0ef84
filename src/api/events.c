/* GET /v1/events: the handler only marks the exchange; the stream is fed by the HTTP layer, which
 * asks here for the data of each event. An agent's event is its object; people's is a line of a
 * list, since the page fetches what it shows. */
#include <stdlib.h>

#include "api/action_view.h"

int api_events(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    struct str last = exchange_header(x, "last-event-id", NULL);
    uint64_t after = 0;
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r == ERR_OK && last.n > 0 && (!str_u64(last, &after) || after > INT64_MAX))
        r = fail_field(f, ERR_MALFORMED, "Last-Event-ID", "this id was not given out here");
    if (r != ERR_OK)
        return r;
    x->status = 200;
    x->answer_type = "text/event-stream";
    x->events = true;
    x->events_after = (int64_t)after;
    return ERR_OK;
}

static int line_for_people(struct app *app, const struct sight *s, json_t **ret)
{
    int r = view_line(app, s->roster, &s->act, ret);
    if (r != ERR_OK)
        return r;
    return json_object_set_new(*ret, "agent", json_stringn(s->act.agent.p, s->act.agent.n)) == 0
               ? ERR_OK
               : ERR_NOMEM;
}

static int event_data(struct app *app, struct str workspace, struct str action, bool for_person,
                      struct buf *out)
{
    struct sight s = {0};
    json_t *v = NULL;
    int r = sight_read(app, workspace, action, false, &s);
    if (r == ERR_OK)
        r = for_person ? line_for_people(app, &s, &v) : view_agent(app, &s, &v);
    if (r == ERR_OK)
        r = json_write(v, out);
    json_decref(v);
    sight_free(&s);
    return r;
}

int api_event_data(struct app *app, const struct life_change *c, bool for_person, struct buf *out)
{
    if (c->action.n == 0)
        return ERR_NOT_FOUND;
    return event_data(app, c->workspace, c->action, for_person, out);
}

/* --- after a reconnect ------------------------------------------------------------------------ */

enum { BATCH = 100 };

struct row {
    char id[ID_SIZE];
    int64_t seq;
};

struct changed {
    struct app *app;
    const struct principal *who;
    struct arena *arena;
    int64_t after;
    struct row *row;
    size_t n, limit;
};

static int keep(void *arg, const struct action *a)
{
    struct changed *c = arg;
    CS_ASSERT(c->n < c->limit);
    c->row[c->n].seq = a->changed_seq;
    return str_copy(c->row[c->n++].id, ID_SIZE, a->id) ? ERR_OK : ERR_STORE;
}

static int read_changed(struct store_tx *tx, void *arg)
{
    struct changed *c = arg;
    struct str agent = c->who->who == WHO_AGENT ? str_c(c->who->agent->id) : STR("");
    c->n = 0;
    return action_changed(tx, c->arena, c->who->workspace, agent, c->after, (int64_t)c->limit, keep,
                          c);
}

static int read_batch(struct changed *c)
{
    free(c->row);
    c->row = calloc(c->limit, sizeof *c->row);
    c->arena = arena_new((size_t)16 << 20);
    int r = c->row != NULL && c->arena != NULL
                ? store_read(life_store(c->app->life), read_changed, c)
                : ERR_NOMEM;
    if (c->arena != NULL)
        arena_free(c->arena);
    return r;
}

static int emit_batch(struct changed *c, event_fn *emit, void *arg)
{
    int r = ERR_OK;
    for (size_t i = 0; i < c->n && r == ERR_OK; i++) {
        struct buf b;
        buf_init(&b, 0);
        r = event_data(c->app, c->who->workspace, str_c(c->row[i].id), c->who->who != WHO_AGENT,
                       &b);
        if (r == ERR_OK)
            r = emit(arg, c->row[i].seq, buf_view(&b));
        else if (r == ERR_NOT_FOUND)
            r = ERR_OK; /* forgotten meanwhile */
        buf_free(&b);
    }
    return r;
}

/* An action may stand in the log after the place (a refused vote) without having changed since.
 * Where a whole batch is of that kind, only a larger one gets past it. */
static bool next_batch(struct changed *c)
{
    bool full = c->n == c->limit;
    int64_t last = full ? c->row[c->n - 1].seq : 0;
    if (last > c->after)
        c->after = last;
    else
        c->limit *= 2;
    return full;
}

int api_events_since(struct app *app, const struct principal *who, int64_t seq, event_fn *emit,
                     void *arg)
{
    struct changed c = {.app = app, .who = who, .after = seq, .limit = BATCH};
    int r;
    do {
        r = read_batch(&c);
        if (r == ERR_OK)
            r = emit_batch(&c, emit, arg);
    } while (r == ERR_OK && next_batch(&c));
    free(c.row);
    return r;
}
