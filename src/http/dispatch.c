/* The order of the checks is the contract's: 401, csrf, wrong-principal, then the body. */
#include "http/dispatch.h"

#include <stdlib.h>

#include "api/problem.h"
#include "base/log.h"
#include "base/path.h"
#include "http/auth.h"
#include "http/framing.h"
#include "http/waiters.h"

/* --- refusals -----------------------------------------------------------------------------------
 */
static bool answers(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < json_array_size(x->answer_headers); i++)
        if (str_eq_nocase(json_text(json_array_get(json_array_get(x->answer_headers, i), 0)),
                          str_c(name)))
            return true;
    return false;
}

/* Headers that go with a status; a handler that knows better has set its own. */
static const struct {
    int status, err; /* err 0: any error of that status */
    const char *name, *value;
} companion[] = {
    {401, ERR_STEP_UP_REQUIRED, "WWW-Authenticate",
     "Bearer error=\"insufficient_user_authentication\", max_age=\"300\""},
    {401, 0, "WWW-Authenticate", "Bearer realm=\"countersign\""},
    {429, ERR_LOGIN_THROTTLED, "Retry-After", "60"},
    {429, 0, "Retry-After", "10"},
    {503, 0, "Retry-After", "2"},
};

void dispatch_refuse(struct call *c, int err, const struct fail *f)
{
    struct exchange *x = &c->x;
    x->park.set = x->events = false;
    if (f && f->err != err)
        f = NULL;
    if (problem_answer(x, err, f, NULL)) {
        /* no memory for a document: the status and its headers still say what matters */
        buf_free(&x->out);
        x->status = err_http(err);
    }
    for (size_t i = 0; i < sizeof companion / sizeof companion[0]; i++)
        if (companion[i].status == x->status && (!companion[i].err || companion[i].err == err) &&
            !answers(x, companion[i].name))
            exchange_add_header(x, companion[i].name, str_c(companion[i].value));
}

/* Decisions about callers and failures of ours are written down; payload and target never are. */
static void note(const struct call *c, int err)
{
    bool ours = err_http(err) == 503 && err != ERR_FROZEN;
    bool caller = err_http(err) == 401 || err_http(err) == 403;
    if (ours || caller)
        log_event(ours ? LOG_ERROR : LOG_INFO, ours ? "request.failed" : "request.refused",
                  KV_C("error", err_name(err)), KV_C("route", c->route ? c->route->path : ""),
                  KV_C("method", method_text(c->x.method)), KV_S("remote", c->x.remote));
}

static void finish(struct call *c, int r, const struct fail *f)
{
    if (r) {
        note(c, r);
        dispatch_refuse(c, r, f);
    } else if (!c->x.park.set && c->x.status == 0) {
        log_event(LOG_ERROR, "request.unanswered", KV_C("route", c->route->path));
        dispatch_refuse(c, ERR_UNAVAILABLE, NULL);
    }
}

/* --- the head -----------------------------------------------------------------------------------
 */
static void note_override(const struct exchange *x)
{
    static const char *const name[] = {"x-http-method-override", "x-http-method",
                                       "x-method-override"};
    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++)
        if (exchange_header(x, name[i], NULL).n > 0)
            log_event(LOG_WARN, "request.override_ignored", KV_C("header", name[i]),
                      KV_S("remote", x->remote));
}

static int route_call(struct app *app, struct call *c, struct fail *f)
{
    char allow[ALLOW_TEXT];
    c->x.method = method_parse(c->x.method_text);
    int r = route_find(&c->x, &c->route, allow);
    if (r == ERR_METHOD_NOT_ALLOWED || (!r && !c->route))
        exchange_add_header(&c->x, "Allow", str_c(allow));
    if (r == ERR_NOT_FOUND)
        return fail_set(f, r, "there is no such address");
    if (r)
        return fail_set(f, r, "this address takes: %s", allow);
    if (!c->route) {
        c->x.status = 204;
        return 0;
    }
    size_t cap = route_cap(c->route, app->cfg);
    if (c->has_body && c->length != UINT64_MAX && c->length > cap)
        return fail_set(f, ERR_TOO_LARGE, "the body may have %zu bytes here", cap);
    return 0;
}

bool dispatch_head(struct app *app, struct call *c, struct str version)
{
    struct fail f = {.position = -1};
    int r = framing_check(c, version, (size_t)app->cfg->limit_headers, &f);
    c->close = r != 0;
    note_override(&c->x);
    if (!r)
        r = route_call(app, c, &f);
    if (r)
        finish(c, r, &f);
    return c->x.status == 0;
}

/* --- query and body -----------------------------------------------------------------------------
 */
static int name_order(const void *a, const void *b)
{
    struct str s = json_text(*(json_t *const *)a), t = json_text(*(json_t *const *)b);
    int d = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);
    return d ? d : (s.n > t.n) - (s.n < t.n);
}

static int names_once(const struct exchange *x, struct fail *f)
{
    size_t n = json_array_size(x->query);
    json_t **name = arena_alloc(x->arena, (n + 1) * sizeof(json_t *));
    if (!name)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        name[i] = json_array_get(json_array_get(x->query, i), 0);
    qsort(name, n, sizeof name[0], name_order);
    for (size_t i = 1; i < n; i++)
        if (name_order(&name[i - 1], &name[i]) == 0)
            return fail_set(f, ERR_MALFORMED, "a query parameter is given twice");
    return 0;
}

static int take_query(struct call *c, struct fail *f)
{
    int r = query_parse(c->x.query_raw, &c->x.query, f);
    /* a provider may want lists; here a second value would be a second reading */
    return r || route_is_proxy(c->route) ? r : names_once(&c->x, f);
}

/* "application/json; charset=utf-8" into "application/json". */
static int take_content_type(struct exchange *x, struct fail *f)
{
    struct str given = exchange_header(x, "content-type", NULL);
    struct str type = str_trim(str_sub(given, 0, str_find(given, ';', 0)));
    struct str coding = exchange_header(x, "content-encoding", NULL);
    char *lower = arena_cstr(x->arena, type);
    if (arena_overflowed(x->arena))
        return ERR_NOMEM;
    for (size_t i = 0; i < type.n; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    x->content_type = (struct str){lower, type.n};
    if (coding.n > 0 && !str_eq_nocase(coding, STR("identity")))
        return fail_set(f, ERR_UNSUPPORTED_TYPE, "compressed bodies are not taken");
    return 0;
}

static int take_body(const struct app *app, struct call *c, struct fail *f)
{
    struct exchange *x = &c->x;
    size_t cap = route_cap(c->route, app->cfg);
    if (x->body.n > cap)
        return fail_set(f, ERR_TOO_LARGE, "the body may have %zu bytes here", cap);
    int r = take_content_type(x, f);
    if (r || c->route->takes != TAKES_JSON || x->body.n == 0)
        return r;
    if (!str_eq_c(x->content_type, "application/json"))
        return fail_set(f, ERR_UNSUPPORTED_TYPE, "the body must be application/json");
    return json_read(x->body, &x->json, f);
}

static int prepare(struct app *app, struct call *c, struct fail *f)
{
    int r = auth_identify(app, c, f);
    if (!r)
        r = auth_permit(app, c, f);
    if (!r)
        r = take_body(app, c, f);
    if (!r)
        r = take_query(c, f);
    return r;
}

/* --- running ------------------------------------------------------------------------------------
 */
static void run(struct app *app, struct call *c, handler_fn *handler)
{
    struct fail f = {.position = -1};
    c->mark = app->waiters ? waiters_mark(app->waiters) : 0; /* none where nothing listens */
    int r = handler(app, &c->x, &f);
    if (!r && c->x.method == METHOD_HEAD)
        c->x.events = false; /* its head is all that was asked for */
    if (!r && c->x.park.set && c->x.timed_out &&
        (app->stopping || c->x.park.until <= env_mono(app->env)))
        r = fail_set(&f, ERR_UNAVAILABLE, "please ask again"); /* time is up for good */
    finish(c, r, &f);
}

void dispatch_run(struct app *app, struct call *c)
{
    struct fail f = {.position = -1};
    int r = prepare(app, c, &f);
    if (r)
        finish(c, r, &f);
    else
        run(app, c, c->route->handler);
}

void dispatch_park(struct app *app, struct call *c)
{
    const struct park *p = &c->x.park;
    struct fail f = {.position = -1};
    /* without a server (a command while `serve` does not run) nothing waits */
    if (app->waiters && !waiters_park(app->waiters, p->action, c->mark, p->until, c))
        return;
    (void)fail_set(&f, ERR_UNAVAILABLE, "waiting is not possible just now");
    dispatch_refuse(c, ERR_UNAVAILABLE, &f);
    c->woken(c);
}

void dispatch_resume(struct app *app, struct call *c)
{
    handler_fn *then = c->x.park.then;
    if (!c->x.park.set)
        return; /* parking failed; the answer is there */
    c->x.park = (struct park){0};
    run(app, c, then);
}
