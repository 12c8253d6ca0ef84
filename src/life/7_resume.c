/* Resume: the agent is told. Long polls and event streams hear of a change after its commit;
 * webhooks are rows, written in the same transaction as the change they tell of, delivered at least
 * once by keeper, and tried again with back-off for 24 hours. */
#include "life/inside.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGETS_MAX 8
#define GIVE_UP_AFTER ((int64_t)24 * 3600 * 1000)

static const char *const event_name[] = {"pending", "blocked", "ended"};

/* --- targets --------------------------------------------------------------------------------- */

static int check_events(const json_t *events, struct fail *f)
{
    size_t i;
    const json_t *e;
    if (events == NULL)
        return 0;
    if (!json_is_array(events) || json_array_size(events) == 0)
        return fail_field(f, ERR_MALFORMED, "resume",
                          "events must be a list of pending, blocked, ended");
    json_array_foreach(events, i, e)
    {
        bool known = false;
        for (size_t k = 0; k < sizeof event_name / sizeof event_name[0]; k++)
            known |= str_eq_c(json_text(e), event_name[k]);
        if (!known)
            return fail_field(f, ERR_MALFORMED, "resume",
                              "events must be a list of pending, blocked, ended");
    }
    return 0;
}

int resume_check(const struct agent *agent, const json_t *targets, struct fail *f)
{
    size_t i;
    json_t *t;
    if (targets == NULL)
        return 0;
    if (json_array_size(targets) > TARGETS_MAX)
        return fail_field(f, ERR_MALFORMED, "resume", "at most %d targets", TARGETS_MAX);
    json_array_foreach(targets, i, t)
    {
        struct str type = {"", 0}, url = {"", 0};
        json_t *events = NULL;
        struct json_field fields[] = {{"type", JSON_WANT_STR, &type, true, 32},
                                      {"url", JSON_WANT_STR, &url, true, 2000},
                                      {"events", JSON_WANT_ARR, &events, false, 0}};
        int r = json_fields(t, fields, sizeof fields / sizeof fields[0], f);
        if (r == 0 && !str_eq_c(type, "webhook"))
            r = fail_field(f, ERR_MALFORMED, "resume", "the only type of target is webhook");
        if (r == 0)
            r = check_events(events, f);
        if (r == 0 && !agent_may_resume_at(agent, url))
            r = fail_field(f, ERR_RESUME_NOT_ALLOWED, "resume",
                           "this address is under none of the agent's resume_urls");
        if (r != 0)
            return r;
    }
    return 0;
}

static struct str events_text(struct arena *ar, const json_t *events)
{
    if (events == NULL)
        return STR("ended");
    struct buf b;
    buf_init(&b, 0);
    size_t i;
    const json_t *e;
    json_array_foreach(events, i, e)
        buf_printf(&b, "%s%.*s", i > 0 ? " " : "", STR_FMT(json_text(e)));
    struct str s = arena_str(ar, buf_view(&b));
    buf_free(&b);
    return s;
}

static int has_target(struct store_tx *tx, struct str workspace, struct str action, struct str url,
                      bool *ret)
{
    struct store_rows *rows = NULL;
    *ret = false;
    int r = STORE_SELECT(tx, Q_TARGETS, &rows, V_TEXT(workspace), V_TEXT(action));
    while (r == 0 && (r = store_next(rows)) == 0)
        *ret |= str_eq(store_text(rows, 1), url);
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

static int enqueue_for(struct store_tx *tx, struct life *l, const struct action *a,
                       const char *event, int64_t n)
{
    char id[ID_SIZE], webhook_id[128];
    id_new(l->o.env, "dlv", id);
    int k = snprintf(webhook_id, sizeof webhook_id, "%.*s.%lld.%s", STR_FMT(a->id),
                     (long long)a->revision, state_text(a->state));
    CS_ASSERT(k > 0 && (size_t)k < sizeof webhook_id);
    int64_t now = life_now(l);
    int r = STORE_EXEC(tx, Q_DELIVERY_INSERT, NULL, V_TEXT(a->workspace), V_C(id), V_TEXT(a->id),
                       V_INT(n), V_C(event), V_C(webhook_id), V_INT(now));
    return r == 0 ? job_set(tx, a->workspace, JOB_DELIVER, str_c(id), now, 0) : r;
}

static const char *event_of(enum state s)
{
    if (s == STATE_PENDING)
        return "pending";
    if (s == STATE_BLOCKED)
        return "blocked";
    return state_settled(s) ? "ended" : NULL;
}

static bool wants(struct str events, const char *event)
{
    for (size_t from = 0; from <= events.n;) {
        size_t end = str_find(events, ' ', from);
        if (str_eq_c(str_sub(events, from, end), event))
            return true;
        from = end + 1;
    }
    return false;
}

int resume_enqueue(struct store_tx *tx, struct life *l, const struct action *a)
{
    const char *event = event_of(a->state);
    int64_t n[TARGETS_MAX * 4];
    size_t count = 0;
    if (event == NULL)
        return 0;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_TARGETS, &rows, V_TEXT(a->workspace), V_TEXT(a->id));
    while (r == 0 && (r = store_next(rows)) == 0)
        if (count < sizeof n / sizeof n[0] && wants(store_text(rows, 2), event))
            n[count++] = store_int(rows, 0);
    store_end(rows);
    if (r == ERR_DONE)
        r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = enqueue_for(tx, l, a, event, n[i]);
    return r;
}

/* A target that joins an action which has ended already hears of it now; the others have. */
static int tell_latecomer(struct store_tx *tx, struct life *l, struct arena *ar,
                          struct str workspace, struct str action, struct str events)
{
    struct action a;
    int r = action_load(tx, ar, workspace, action, &a);
    if (r != 0 || !state_settled(a.state) || !wants(events, "ended"))
        return r;
    struct store_rows *rows = NULL;
    int64_t last = 0;
    r = STORE_SELECT(tx, Q_TARGETS, &rows, V_TEXT(workspace), V_TEXT(action));
    while (r == 0 && (r = store_next(rows)) == 0)
        last = store_int(rows, 0);
    store_end(rows);
    return r == ERR_DONE ? enqueue_for(tx, l, &a, "ended", last) : r;
}

int resume_add(struct store_tx *tx, struct life *l, struct arena *ar, struct str workspace,
               struct str action, const json_t *targets, bool joined)
{
    size_t i;
    json_t *t;
    json_array_foreach(targets, i, t)
    {
        struct str url = json_text(json_object_get(t, "url"));
        struct str events = events_text(ar, json_object_get(t, "events"));
        bool there = false;
        int r = has_target(tx, workspace, action, url, &there);
        if (r == 0 && !there)
            r = STORE_EXEC(tx, Q_TARGET_ADD, NULL, V_TEXT(workspace), V_TEXT(action), V_TEXT(url),
                           V_TEXT(events));
        if (r == 0 && !there && joined)
            r = tell_latecomer(tx, l, ar, workspace, action, events);
        if (r != 0)
            return r;
    }
    return 0;
}

/* --- delivering ------------------------------------------------------------------------------ */

struct deliver {
    struct work work; /* first */
    struct str workspace, id;
    struct arena *arena;
    struct action action;
    struct str event, webhook_id, state, url;
    int64_t made_at, tries;
    bool over; /* nothing to deliver any more */
    const struct delivered *outcome;
};

static int load_delivery(struct store_tx *tx, struct deliver *d)
{
    struct store_rows *rows = NULL;
    struct str action = {"", 0};
    int r = STORE_SELECT(tx, Q_DELIVERY_GET, &rows, V_TEXT(d->workspace), V_TEXT(d->id));
    if (r == 0)
        r = store_next(rows);
    if (r == 0) {
        action = arena_str(d->arena, store_text(rows, 0));
        d->event = arena_str(d->arena, store_text(rows, 2));
        d->webhook_id = arena_str(d->arena, store_text(rows, 3));
        d->state = arena_str(d->arena, store_text(rows, 4));
        d->made_at = store_int(rows, 5);
        d->tries = store_int(rows, 6);
        d->url = arena_str(d->arena, store_text(rows, 7));
    }
    store_end(rows);
    if (r == 0)
        r = action_load(tx, d->arena, d->workspace, action, &d->action);
    return r == ERR_DONE ? ERR_NOT_FOUND : r;
}

/* Seconds to wait after the n-th try (from 1); then two hours each. */
static int64_t back_off(int64_t tries)
{
    static const int64_t seconds[] = {5, 30, 120, 600, 1800, 3600};
    size_t n = sizeof seconds / sizeof seconds[0];
    return 1000 * (tries >= 1 && (size_t)tries <= n ? seconds[tries - 1] : 7200);
}

/* Before each try the next one is set, so that a crash in between loses nothing. What is older than
 * 24 hours has one more try: gate may have been down all the while. */
static int begin_try(struct store_tx *tx, void *arg)
{
    struct deliver *d = arg;
    d->over = false;
    int r = load_delivery(tx, d);
    if (r == ERR_NOT_FOUND || (r == 0 && !str_eq_c(d->state, "waiting"))) {
        d->over = true;
        return job_drop(tx, d->workspace, JOB_DELIVER, d->id);
    }
    if (r != 0)
        return r;
    int64_t now = life_now(d->work.l);
    bool last = now > d->made_at + GIVE_UP_AFTER;
    d->tries++;
    r = STORE_EXEC(tx, Q_DELIVERY_SET, NULL, V_TEXT(d->workspace), V_TEXT(d->id),
                   V_C(last ? "failed" : "waiting"), V_INT(d->tries), V_NULL,
                   last ? V_C("given up after 24 hours") : V_NULL, V_NULL);
    if (r != 0)
        return r;
    return last ? job_drop(tx, d->workspace, JOB_DELIVER, d->id)
                : job_set(tx, d->workspace, JOB_DELIVER, d->id, now + back_off(d->tries), d->tries);
}

static int make_body(struct life *l, const struct deliver *d, struct buf *out)
{
    char at[TIME_TEXT];
    time_format(at, life_now(l));
    buf_printf(out, "{\"type\":\"action.%.*s\",\"timestamp\":\"%s\",\"data\":", STR_FMT(d->event),
               at);
    int r = l->o.render != NULL ? l->o.render(l->o.arg, &d->action, out) : ERR_UNAVAILABLE;
    buf_ch(out, '}');
    return r == 0 ? buf_err(out) : r;
}

void resume_deliver(struct life *l, struct str workspace, struct str delivery)
{
    struct deliver *d = calloc(1, sizeof *d);
    if (d == NULL)
        return;
    d->workspace = workspace;
    d->id = delivery;
    d->arena = arena_new(ARENA_MAX);
    struct buf body;
    buf_init(&body, 4 << 20);
    int r = d->arena != NULL ? life_work(l, begin_try, &d->work) : ERR_NOMEM;
    if (r == 0 && !d->over)
        r = make_body(l, d, &body);
    if (r == 0 && !d->over) {
        struct deliver_order o = {.id = delivery,
                                  .workspace = workspace,
                                  .agent = d->action.agent,
                                  .url = d->url,
                                  .webhook_id = d->webhook_id,
                                  .body = buf_view(&body),
                                  .timestamp = life_now(l)};
        r = keeper_deliver(l->keeper, &o);
    }
    if (r != 0)
        log_event(LOG_WARN, "resume.not_delivered", KV_S("delivery", delivery),
                  KV_C("why", err_name(r)));
    buf_wipe(&body);
    arena_free(d->arena);
    free(d);
}

static int write_delivered(struct store_tx *tx, void *arg)
{
    struct deliver *d = arg;
    const struct delivered *o = d->outcome;
    int r = load_delivery(tx, d);
    if (r != 0 || str_eq_c(d->state, "delivered"))
        return r == ERR_NOT_FOUND ? 0 : r;
    bool ok = o->status >= 200 && o->status < 300;
    r = STORE_EXEC(tx, Q_DELIVERY_SET, NULL, V_TEXT(d->workspace), V_TEXT(d->id),
                   ok ? V_C("delivered") : V_TEXT(d->state), V_INT(d->tries), V_OPT_INT(o->status),
                   V_OPT(str_c(o->detail)), ok ? V_INT(life_now(d->work.l)) : V_NULL);
    if (r == 0 && ok)
        r = job_drop(tx, d->workspace, JOB_DELIVER, d->id);
    if (r == 0 && ok)
        r = life_audit(tx, d->work.l, &d->action, AUDIT_ACTION_DELIVERED,
                       &(struct advance){.channel = STR("webhook")}, NULL);
    return r;
}

/* Deliveries carry no workspace back: their ids are unique, the first workspace that knows one has
 * it. */
static bool delivered_in(struct life *l, struct deliver *d, const char *workspace)
{
    d->workspace = str_c(workspace);
    int r = life_work(l, write_delivered, &d->work);
    return r == 0 && d->url.n > 0;
}

void life_delivered(struct life *l, const struct delivered *o)
{
    bool ok = o->status >= 200 && o->status < 300;
    atomic_fetch_add(ok ? &l->stat.deliveries : &l->stat.delivery_failures, 1);
    struct deliver *d = calloc(1, sizeof *d);
    if (d == NULL)
        return;
    d->id = str_c(o->id);
    d->outcome = o;
    d->arena = arena_new(ARENA_MAX);
    struct roster *roster = life_roster(l);
    const json_t *spaces = json_object_get(roster_doc(roster), "workspaces");
    size_t i;
    const json_t *w;
    json_array_foreach(spaces, i, w)
    {
        const char *id = json_string_value(json_object_get(w, "id"));
        if (d->arena != NULL && id != NULL && delivered_in(l, d, id))
            break;
    }
    roster_unref(roster);
    arena_free(d->arena);
    free(d);
}

/* --- again, by hand -------------------------------------------------------------------------- */

struct redeliver {
    struct str workspace, action;
    int64_t now;
};

static int write_redeliver(struct store_tx *tx, void *arg)
{
    struct redeliver *d = arg;
    char id[64][ID_SIZE];
    size_t n = 0;
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_DELIVERY_OPEN, &rows, V_TEXT(d->workspace), V_TEXT(d->action));
    while (r == 0 && n < 64 && (r = store_next(rows)) == 0)
        if (str_copy(id[n], ID_SIZE, store_text(rows, 0)))
            n++;
    store_end(rows);
    if (r == ERR_DONE)
        r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = STORE_EXEC(tx, Q_DELIVERY_AGAIN, NULL, V_TEXT(d->workspace), V_C(id[i]), V_INT(d->now));
        if (r == 0)
            r = job_set(tx, d->workspace, JOB_DELIVER, str_c(id[i]), d->now, 0);
    }
    return r;
}

int life_redeliver(struct life *l, struct str workspace, struct str action, struct fail *f)
{
    struct redeliver d = {workspace, action, life_now(l)};
    int r = store_tx(l->o.store, write_redeliver, &d);
    if (r == 0)
        jobs_poke(l);
    return r == 0 ? 0 : fail_set(f, r, "could not be put back to work");
}
