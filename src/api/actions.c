/* GET /v1/actions, GET /v1/actions/{id} and cancel. An agent sees its own actions, people those of
 * their workspace; whatever else exists is "not found". */
#include "api/action_view.h"
#include "api/listing.h"
#include "api/waiting.h"

/* --- the list --------------------------------------------------------------------------------- */

struct list {
    struct app *app;
    struct action_filter flt;
    struct arena *arena;
    const struct roster *roster;
    json_t *items;
    size_t limit;
    char last[ID_SIZE]; /* the last item's id once there is one more than the limit */
    bool more;
};

static int add_line(void *arg, const struct action *a)
{
    struct list *l = arg;
    json_t *v;
    if (json_array_size(l->items) == l->limit) {
        l->more = true;
        return ERR_OK;
    }
    int r = view_line(l->app, l->roster, a, &v);
    if (r != ERR_OK)
        return r;
    (void)str_copy(l->last, sizeof l->last, a->id);
    return json_array_append_new(l->items, v) == 0 ? ERR_OK : ERR_NOMEM;
}

static int read_list(struct store_tx *tx, void *arg)
{
    struct list *l = arg;
    l->more = false;
    if (json_array_clear(l->items) != 0)
        return ERR_NOMEM;
    return action_list(tx, l->arena, &l->flt, add_line, l);
}

static int read_filter(struct exchange *x, struct action_filter *flt, struct fail *f)
{
    static const char *const known[] = {"status", "thread_id", "limit", "cursor", NULL};
    struct listing page;
    enum state state;
    int r = exchange_query_only(x, known, f);
    if (r == ERR_OK)
        r = listing_read(x, &page, f);
    if (r != ERR_OK)
        return r;
    *flt =
        (struct action_filter){.workspace = x->who.workspace,
                               .agent = x->who.who == WHO_AGENT ? str_c(x->who.agent->id) : STR(""),
                               .status = exchange_query(x, "status"),
                               .thread = exchange_query(x, "thread_id"),
                               .before = page.after,
                               .limit = page.limit + 1};
    if (flt->status.n > 0 && !state_parse(flt->status, &state))
        return fail_field(f, ERR_MALFORMED, "status", "there is no such status");
    if (flt->before.n > 0 && !id_valid("act", flt->before))
        return fail_field(f, ERR_MALFORMED, "cursor", "this cursor was not given out here");
    return ERR_OK;
}

int api_actions(struct app *app, struct exchange *x, struct fail *f)
{
    struct list l = {.app = app, .arena = x->arena, .roster = x->who.roster};
    int r = read_filter(x, &l.flt, f);
    if (r != ERR_OK)
        return r;
    l.limit = (size_t)l.flt.limit - 1;
    l.items = json_array();
    r = l.items != NULL ? store_read(life_store(app->life), read_list, &l) : ERR_NOMEM;
    if (r != ERR_OK) {
        json_decref(l.items);
        return fail_set(f, r, "the list could not be read");
    }
    return listing_answer(x, l.items, l.more ? str_c(l.last) : STR(""));
}

/* --- one action ------------------------------------------------------------------------------- */

static int answer_action(struct app *app, struct exchange *x, struct fail *f)
{
    const struct waiting *w = x->memo;
    json_t *v = NULL;
    enum state state = STATE_NEW;
    int r = view_for(app, &x->who, str_c(x->action_id), &v, &state);
    if (r == ERR_NOT_FOUND)
        return fail_set(f, r, "there is no such action");
    if (r != ERR_OK)
        return fail_set(f, r, "the action could not be read");
    if (waiting_park(app, x, w, state_settled(state), true, answer_action)) {
        json_decref(v);
        return ERR_OK;
    }
    return exchange_json(x, 200, v);
}

int api_action(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {"wait", NULL};
    struct waiting *w = arena_alloc(x->arena, sizeof *w);
    int64_t wait = 0;
    int r = w != NULL ? exchange_query_only(x, known, f) : fail_set(f, ERR_NOMEM, "out of memory");
    if (r == ERR_OK)
        r = listing_number(x, "wait", 0, WAITING_MAX, 0, &wait, f);
    if (r != ERR_OK)
        return r;
    if (!id_valid("act", x->param[0]))
        return fail_set(f, ERR_NOT_FOUND, "there is no such action");
    (void)str_copy(x->action_id, sizeof x->action_id, x->param[0]);
    w->until = env_mono(app->env) + wait * 1000;
    x->memo = w;
    return answer_action(app, x, f);
}

int api_cancel(struct app *app, struct exchange *x, struct fail *f)
{
    json_t *v;
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r == ERR_OK && !id_valid("act", x->param[0]))
        r = fail_set(f, ERR_NOT_FOUND, "there is no such action");
    if (r == ERR_OK)
        r = life_cancel(app->life, x->who.workspace, x->param[0], x->who.agent, f);
    if (r != ERR_OK)
        return r;
    r = view_for(app, &x->who, x->param[0], &v, NULL);
    return r == ERR_OK ? exchange_json(x, 200, v)
                       : fail_set(f, r, "cancelled, but the action could not be read back");
}
