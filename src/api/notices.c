/* Notices: tier 1 actions that ran at once and that a person should have looked at. Marking one as
 * seen decides nothing. */
#include "api/listing.h"
#include "api/shape.h"

struct notices {
    const struct roster *roster;
    struct str workspace, before, id;
    int64_t limit;
    json_t *items; /* rows */
    char last[ID_SIZE];
    bool more;
};

static json_t *notice(const struct roster *r, struct store_rows *rows)
{
    enum state state;
    bool known = state_parse(store_text(rows, 7), &state);
    const char *outcome = known ? state_outcome(state) : NULL;
    struct str agent = store_text(rows, 4);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "action",
        shape_text(store_text(rows, 0)), "at", shape_time(store_int(rows, 1)), "agent",
        shape_text(agent), "agent_name", shape_text(shape_agent_name(r, agent)), "connection",
        shape_text(shape_connection_name(r, store_text(rows, 5))), "operation",
        shape_operation(store_text(rows, 6)), "status", shape_text(store_text(rows, 7)), "outcome",
        outcome != NULL ? json_string(outcome) : json_null(), "seen", !store_null(rows, 3),
        "seen_by", store_null(rows, 2) ? json_null() : shape_person(r, store_text(rows, 2)),
        "seen_at", shape_time(store_int(rows, 3)));
}

static int add_row(struct notices *n, struct store_rows *rows)
{
    if ((int64_t)json_array_size(n->items) == n->limit) {
        n->more = true;
        return ERR_DONE;
    }
    (void)str_copy(n->last, sizeof n->last, store_text(rows, 0));
    return json_array_append_new(n->items, notice(n->roster, rows)) == 0 ? ERR_OK : ERR_NOMEM;
}

static int add_rows(struct notices *n, struct store_rows *rows)
{
    int r = ERR_OK;
    while (r == ERR_OK && (r = store_next(rows)) == ERR_OK)
        r = add_row(n, rows);
    return r == ERR_DONE ? ERR_OK : r;
}

static int read_page(struct store_tx *tx, void *arg)
{
    struct notices *n = arg;
    struct store_rows *rows = NULL;
    n->more = false;
    int r = json_array_clear(n->items) == 0 ? ERR_OK : ERR_NOMEM;
    if (r == ERR_OK)
        r = STORE_SELECT(tx, Q_API_NOTICES, &rows, V_TEXT(n->workspace), V_TEXT(n->before),
                         V_INT(n->limit + 1));
    if (r == ERR_OK)
        r = add_rows(n, rows);
    store_end(rows);
    return r;
}

int api_notices(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {"limit", "cursor", NULL};
    struct listing page;
    int r = exchange_query_only(x, known, f);
    if (r == ERR_OK)
        r = listing_read(x, &page, f);
    if (r == ERR_OK && page.after.n > 0 && !id_valid("act", page.after))
        r = fail_field(f, ERR_MALFORMED, "cursor", "this cursor was not given out here");
    if (r != ERR_OK)
        return r;
    struct notices n = {.roster = x->who.roster,
                        .workspace = x->who.workspace,
                        .before = page.after,
                        .limit = page.limit,
                        .items = json_array()};
    r = n.items != NULL ? store_read(life_store(app->life), read_page, &n) : ERR_NOMEM;
    if (r != ERR_OK) {
        json_decref(n.items);
        return fail_set(f, r, "the list could not be read");
    }
    return listing_answer(x, n.items, n.more ? str_c(n.last) : STR(""));
}

/* --- seen ------------------------------------------------------------------------------------- */

struct seeing {
    struct notices n;
    struct str by;
    int64_t now;
};

/* The first to look is the one named; looking again changes nothing. */
static int mark_seen(struct store_tx *tx, void *arg)
{
    struct seeing *s = arg;
    struct store_rows *rows = NULL;
    int r = json_array_clear(s->n.items) == 0 ? ERR_OK : ERR_NOMEM;
    if (r == ERR_OK)
        r = STORE_EXEC(tx, Q_API_NOTICE_SEEN, NULL, V_TEXT(s->n.workspace), V_TEXT(s->n.id),
                       V_TEXT(s->by), V_INT(s->now));
    if (r == ERR_OK)
        r = STORE_SELECT(tx, Q_API_NOTICE, &rows, V_TEXT(s->n.workspace), V_TEXT(s->n.id));
    if (r == ERR_OK)
        r = add_rows(&s->n, rows);
    store_end(rows);
    if (r == ERR_OK && json_array_size(s->n.items) == 0)
        r = ERR_NOT_FOUND;
    return r;
}

int api_notice_seen(struct app *app, struct exchange *x, struct fail *f)
{
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r == ERR_OK && !id_valid("act", x->param[0]))
        r = fail_set(f, ERR_NOT_FOUND, "there is no such notice");
    if (r == ERR_OK && x->who.person->role == ROLE_AUDITOR)
        r = fail_set(f, ERR_WRONG_PRINCIPAL, "auditors only read");
    if (r != ERR_OK)
        return r;
    struct seeing s = {.n = {.roster = x->who.roster,
                             .workspace = x->who.workspace,
                             .id = x->param[0],
                             .limit = 1,
                             .items = json_array()},
                       .by = str_c(x->who.person->id),
                       .now = life_now(app->life)};
    r = s.n.items != NULL ? store_tx(life_store(app->life), mark_seen, &s) : ERR_NOMEM;
    json_t *item = json_incref(json_array_get(s.n.items, 0));
    json_decref(s.n.items);
    if (r == ERR_OK)
        return exchange_json(x, 200, item);
    json_decref(item);
    return fail_set(f, r, r == ERR_NOT_FOUND ? "there is no such notice" : "not possible just now");
}
