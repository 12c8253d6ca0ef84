/* GET /v1/reviews: what waits for me, what is open at all, what has been decided. Filtering what
 * waits for one person among everything pending is bounded per request, so a page may be short and
 * still have a next one. */
#include <stdio.h>
#include <stdlib.h>

#include "api/action_view.h"
#include "api/listing.h"

enum { SCAN_MAX = 2000, SCAN_BATCH = 200, CURSOR = 96, SEARCH_MAX = 200 };

struct place {
    char id[ID_SIZE];
    char cursor[CURSOR]; /* the place in the order of the query it came from */
};

/* One batch of ids, read on one snapshot; each action is then read whole by itself. */
struct batch {
    struct action_filter flt; /* newest first... */
    bool urgent;              /* ...or most urgent first, after flt.before */
    struct arena *arena;
    struct place row[SCAN_BATCH];
    size_t n;
};

static int keep(void *arg, const struct action *a)
{
    struct batch *b = arg;
    CS_ASSERT(b->n < SCAN_BATCH);
    struct place *p = &b->row[b->n++];
    if (b->urgent)
        (void)snprintf(p->cursor, sizeof p->cursor, "%lld:%.*s", (long long)a->decide_by,
                       STR_FMT(a->id));
    else
        (void)snprintf(p->cursor, sizeof p->cursor, "%.*s", STR_FMT(a->id));
    return str_copy(p->id, sizeof p->id, a->id) ? ERR_OK : ERR_STORE;
}

static int read_batch_tx(struct store_tx *tx, void *arg)
{
    struct batch *b = arg;
    b->n = 0;
    return b->urgent
               ? action_urgent(tx, b->arena, b->flt.workspace, b->flt.before, b->flt.limit, keep, b)
               : action_list(tx, b->arena, &b->flt, keep, b);
}

static int read_batch(struct app *app, struct batch *b)
{
    b->arena = arena_new((size_t)16 << 20);
    int r = b->arena != NULL ? store_read(life_store(app->life), read_batch_tx, b) : ERR_NOMEM;
    if (b->arena != NULL)
        arena_free(b->arena);
    return r;
}

/* --- the scopes ------------------------------------------------------------------------------- */

/* Each scope is a row of parts gone through one after the other; a cursor is "<part>/<place>". */
struct part {
    const char *status; /* "" : any */
    bool urgent, ended_only;
};
static const struct part mine[] = {{"pending", true, false}};
static const struct part open_ones[] = {{"unknown", false, false},
                                        {"blocked", false, false},
                                        {"pending", true, false},
                                        {"approved", false, false},
                                        {"sending", false, false}};
static const struct part decided[] = {{"", false, true}};
static const struct scope {
    const char *name;
    const struct part *part;
    size_t n;
    bool mine;
} scopes[] = {
    {"mine", mine, 1, true},
    {"all", open_ones, sizeof open_ones / sizeof open_ones[0], false},
    {"decided", decided, 1, false},
};

struct review {
    struct app *app;
    const struct exchange *x;
    const struct scope *scope;
    struct str search;
    size_t limit, scanned, part;
    char place[CURSOR]; /* within the part, of what was looked at last */
    json_t *items;
    bool more;
};

static bool voted(const struct sight *s, const char *person)
{
    for (size_t i = 0; i < s->n_votes; i++)
        if (str_eq_c(s->vote[i].person, person))
            return true;
    return false;
}

static bool waits_for(struct app *app, const struct sight *s, const struct person *p)
{
    return p != NULL && !voted(s, p->id) &&
           life_may_vote(app->life, s->roster, &s->act, p, VOTE_REJECT, NULL) == ERR_OK;
}

static int add_item(struct review *v, const struct place *p)
{
    struct sight s = {0};
    json_t *item;
    int r = sight_read(v->app, v->x->who.workspace, str_c(p->id), false, &s);
    if (r == ERR_NOT_FOUND)
        return ERR_OK; /* forgotten meanwhile */
    if (r == ERR_OK && (!v->scope->mine || waits_for(v->app, &s, v->x->who.person))) {
        r = view_review(v->app, &s, &v->x->who, &item);
        if (r == ERR_OK && json_array_append_new(v->items, item) != 0)
            r = ERR_NOMEM;
    }
    sight_free(&s);
    return r;
}

/* Goes through one part until it is done (*done), the page is full or enough was looked at. */
static int scan_part(struct review *v, bool *done)
{
    const struct part *part = &v->scope->part[v->part];
    struct batch *b = calloc(1, sizeof *b);
    int r = b != NULL ? ERR_OK : ERR_NOMEM;
    *done = false;
    while (r == ERR_OK && !*done && json_array_size(v->items) < v->limit && v->scanned < SCAN_MAX) {
        size_t want =
            v->limit - json_array_size(v->items) + 1; /* one more shows that there is more */
        if (v->scope->mine || want > SCAN_BATCH)
            want = SCAN_BATCH;
        b->urgent = part->urgent;
        b->flt = (struct action_filter){.workspace = v->x->who.workspace,
                                        .status = str_c(part->status),
                                        .search = v->search,
                                        .ended_only = part->ended_only,
                                        .before = str_c(v->place),
                                        .limit = (int64_t)want};
        r = read_batch(v->app, b);
        size_t i = 0;
        for (; r == ERR_OK && i < b->n && json_array_size(v->items) < v->limit; i++, v->scanned++) {
            r = add_item(v, &b->row[i]);
            memcpy(v->place, b->row[i].cursor, sizeof v->place);
        }
        *done = i == b->n && b->n < want;
    }
    free(b);
    return r;
}

static int scan(struct review *v)
{
    int r = ERR_OK;
    bool done = true;
    while (r == ERR_OK && done && v->part < v->scope->n) {
        r = scan_part(v, &done);
        if (r != ERR_OK || !done)
            break;
        v->part++;
        v->place[0] = '\0';
    }
    v->more = r == ERR_OK && v->part < v->scope->n;
    return r;
}

/* --- the request ------------------------------------------------------------------------------ */

static bool place_valid(const struct part *part, struct str place)
{
    uint64_t due;
    size_t colon = str_find(place, ':', 0);
    if (place.n == 0)
        return true;
    if (!part->urgent)
        return id_valid("act", place);
    return str_u64(str_sub(place, 0, colon), &due) && due <= INT64_MAX &&
           id_valid("act", str_sub(place, colon + 1, place.n));
}

static int read_place(struct review *v, struct str cursor, struct fail *f)
{
    uint64_t part = 0;
    size_t slash = str_find(cursor, '/', 0);
    struct str place = str_sub(cursor, slash + 1, cursor.n);
    if (cursor.n == 0)
        return ERR_OK;
    if (!str_u64(str_sub(cursor, 0, slash), &part) || part >= v->scope->n ||
        !place_valid(&v->scope->part[part], place) || !str_copy(v->place, sizeof v->place, place))
        return fail_field(f, ERR_MALFORMED, "cursor", "this cursor was not given out here");
    v->part = part;
    return ERR_OK;
}

static int read_scope(const struct exchange *x, const struct scope **ret, struct fail *f)
{
    struct str name = exchange_query(x, "scope");
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        if (str_eq_c(name, scopes[i].name) || (name.n == 0 && i == 0)) {
            *ret = &scopes[i];
            return ERR_OK;
        }
    return fail_field(f, ERR_MALFORMED, "scope", "expected mine, all or decided");
}

static int read_review(struct exchange *x, struct review *v, struct fail *f)
{
    static const char *const known[] = {"scope", "limit", "cursor", "q", NULL};
    struct listing page = {0};
    int r = exchange_query_only(x, known, f);
    if (r == ERR_OK)
        r = read_scope(x, &v->scope, f);
    if (r == ERR_OK)
        r = listing_read(x, &page, f);
    v->limit = (size_t)page.limit;
    v->search = exchange_query(x, "q");
    if (r == ERR_OK && v->search.n > SEARCH_MAX)
        r = fail_field(f, ERR_MALFORMED, "q", "longer than %d bytes", SEARCH_MAX);
    return r == ERR_OK ? read_place(v, page.after, f) : r;
}

int api_reviews(struct app *app, struct exchange *x, struct fail *f)
{
    struct review v = {.app = app, .x = x};
    char next[CURSOR + 24] = "";
    int r = read_review(x, &v, f);
    if (r != ERR_OK)
        return r;
    v.items = json_array();
    r = v.items != NULL ? scan(&v) : ERR_NOMEM;
    if (r != ERR_OK) {
        json_decref(v.items);
        return fail_set(f, r, "the list could not be read");
    }
    if (v.more)
        (void)snprintf(next, sizeof next, "%zu/%s", v.part, v.place);
    return listing_answer(x, v.items, str_c(next));
}
