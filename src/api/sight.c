/* Reads an action for showing it. It changes nothing and decides nothing. */
#include "api/sight.h"

#include "api/shape.h"

#define SIGHT_MEMORY ((size_t)96 << 20) /* a 16 MiB answer and its sealed form fit */
enum { EVENTS_MAX = 500 };

struct reading {
    struct sight *s;
    struct str workspace, id;
    bool with_events;
};

static int keep_event(void *arg, int64_t seq, struct str bytes)
{
    json_t *event = json_loadb(bytes.p, bytes.n, 0, NULL);
    (void)seq;
    if (event == NULL)
        return ERR_STORE;
    return json_array_insert_new(arg, 0, event) == 0 ? ERR_OK : ERR_NOMEM;
}

static json_t *delivery_of(struct store_rows *rows)
{
    return json_pack(
        "{s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "url", shape_text(store_text(rows, 0)), "event",
        shape_text(store_text(rows, 1)), "state", shape_text(store_text(rows, 2)), "tries",
        (json_int_t)store_int(rows, 3), "last_status",
        store_null(rows, 4) ? json_null() : json_integer(store_int(rows, 4)), "last_error",
        shape_opt(store_text(rows, 5)), "delivered_at", shape_time(store_int(rows, 6)));
}

static int read_deliveries(struct store_tx *tx, struct reading *rd)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_API_DELIVERIES, &rows, V_TEXT(rd->workspace), V_TEXT(rd->id));
    while (r == ERR_OK && (r = store_next(rows)) == ERR_OK)
        if (json_array_append_new(rd->s->deliveries, delivery_of(rows)) != 0)
            r = ERR_NOMEM;
    store_end(rows);
    return r == ERR_DONE ? ERR_OK : r;
}

static int read_on_snapshot(struct store_tx *tx, void *arg)
{
    struct reading *rd = arg;
    struct sight *s = rd->s;
    int r = action_load(tx, s->arena, rd->workspace, rd->id, &s->act);
    if (r == ERR_OK)
        r = action_votes(tx, s->arena, &s->act, s->vote, SIGHT_VOTES, &s->n_votes);
    if (r == ERR_OK)
        r = read_deliveries(tx, rd);
    if (r != ERR_OK || !rd->with_events)
        return r;
    const struct audit_filter flt = {
        .workspace = rd->workspace, .action = rd->id, .limit = EVENTS_MAX};
    return audit_each(tx, &flt, keep_event, s->events);
}

int sight_read(struct app *app, struct str workspace, struct str id, bool with_events,
               struct sight *ret)
{
    if (!id_valid("act", id))
        return ERR_NOT_FOUND;
    struct sight s = {.arena = arena_new(SIGHT_MEMORY)};
    struct reading rd = {&s, workspace, id, with_events};
    int r = ERR_NOMEM;
    if (s.arena == NULL)
        goto out;
    s.vote = arena_alloc(s.arena, SIGHT_VOTES * sizeof *s.vote);
    s.events = with_events ? json_array() : NULL;
    s.deliveries = json_array();
    if (s.vote == NULL || s.deliveries == NULL || (with_events && s.events == NULL))
        goto out;
    r = store_read(life_store(app->life), read_on_snapshot, &rd);
    if (r != ERR_OK)
        goto out;
    s.roster = life_roster(app->life);
    s.rules = life_rules(app->life);
    *ret = s;
    return ERR_OK;
out:
    sight_free(&s);
    return r;
}

void sight_free(struct sight *s)
{
    json_decref(s->events);
    json_decref(s->deliveries);
    roster_unref(s->roster);
    if (s->rules != NULL)
        rules_unref(s->rules);
    if (s->arena != NULL)
        arena_free(s->arena);
    *s = (struct sight){0};
}
