/* GET /v1/audit and /v1/audit/verify. Events are given out as the very bytes that were stored and
 * hashed, not as something read and written again. */
#include <stdio.h>

#include "api/listing.h"
#include "audit/audit.h"

struct page {
    struct audit_filter flt;
    int64_t limit, last;
    size_t n;
    bool more;
    struct buf *out;
};

static int add_event(void *arg, int64_t seq, struct str bytes)
{
    struct page *p = arg;
    if ((int64_t)p->n == p->limit) {
        p->more = true;
        return ERR_OK;
    }
    if (p->n++ > 0)
        buf_ch(p->out, ',');
    buf_str(p->out, bytes);
    p->last = seq;
    return buf_err(p->out);
}

static int read_page(struct store_tx *tx, void *arg)
{
    struct page *p = arg;
    buf_clear(p->out);
    buf_c(p->out, "{\"items\":[");
    p->n = 0;
    p->more = false;
    return audit_each(tx, &p->flt, add_event, p);
}

static int read_filter(struct exchange *x, struct page *p, struct fail *f)
{
    static const char *const known[] = {"action", "type", "since", "limit", "cursor", NULL};
    struct listing page = {0};
    struct str since = exchange_query(x, "since");
    enum audit_type type;
    uint64_t seq = 0;
    p->flt = (struct audit_filter){.workspace = x->who.workspace,
                                   .action = exchange_query(x, "action"),
                                   .type = exchange_query(x, "type")};
    int r = exchange_query_only(x, known, f);
    if (r == ERR_OK)
        r = listing_read(x, &page, f);
    if (r != ERR_OK)
        return r;
    if (p->flt.action.n > 0 && !id_valid("act", p->flt.action))
        return fail_field(f, ERR_MALFORMED, "action", "expected an action's id");
    if (p->flt.type.n > 0 && !audit_type_parse(p->flt.type, &type))
        return fail_field(f, ERR_MALFORMED, "type", "there is no such type of event");
    if (since.n > 0 && time_parse(since, &p->flt.since) != ERR_OK)
        return fail_field(f, ERR_MALFORMED, "since", "expected an RFC 3339 time");
    if (page.after.n > 0 && (!str_u64(page.after, &seq) || seq == 0 || seq > INT64_MAX))
        return fail_field(f, ERR_MALFORMED, "cursor", "this cursor was not given out here");
    p->flt.before_seq = (int64_t)seq;
    p->limit = page.limit;
    p->flt.limit = page.limit + 1;
    return ERR_OK;
}

static int put_next(struct page *p)
{
    char seq[24];
    (void)snprintf(seq, sizeof seq, "%lld", (long long)p->last);
    json_t *next = p->more ? listing_cursor(str_c(seq)) : json_null();
    buf_c(p->out, "],\"next\":");
    int r = next != NULL ? json_write(next, p->out) : ERR_NOMEM;
    json_decref(next);
    buf_ch(p->out, '}');
    return r == ERR_OK ? buf_err(p->out) : r;
}

int api_audit(struct app *app, struct exchange *x, struct fail *f)
{
    struct page p = {.out = &x->out};
    int r = read_filter(x, &p, f);
    if (r != ERR_OK)
        return r;
    r = store_read(life_store(app->life), read_page, &p);
    if (r == ERR_OK)
        r = put_next(&p);
    if (r != ERR_OK)
        return fail_set(f, r, "the log could not be read");
    x->status = 200;
    x->answer_type = "application/json";
    return ERR_OK;
}

/* --- verify ----------------------------------------------------------------------------------- */

struct check {
    struct str workspace;
    int64_t events, bad;
};

static int run_check(struct store_tx *tx, void *arg)
{
    struct check *c = arg;
    return audit_check(tx, c->workspace, &c->events, &c->bad);
}

int api_audit_verify(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    struct check c = {.workspace = x->who.workspace};
    int r = exchange_query_only(x, known, f);
    if (r != ERR_OK)
        return r;
    r = store_read(life_store(app->life), run_check, &c);
    if (r != ERR_OK)
        return fail_set(f, r, "the log could not be read");
    return exchange_json(x, 200,
                         json_pack("{s:b, s:I, s:o}", "ok", c.bad == 0, "events",
                                   (json_int_t)c.events, "first_bad",
                                   c.bad != 0 ? json_integer(c.bad) : json_null()));
}
