/* Principals. A bearer key wins over a cookie; a page of another origin that makes a browser send
 * our cookie is stopped by the session's CSRF token and by what the browser says of the origin. */
#include "http/auth.h"

#include "api/session.h"
#include "base/canon.h"
#include "connector/url.h"
#include "proxy/proxy.h"

/* --- who -------------------------------------------------------------------------------------- */
static int find_agent(struct principal *who, struct str key, struct fail *f)
{
    char hash[HASH_TEXT];
    hash_text(hash, key);
    const struct agent *a = roster_agent_key(who->roster, str_c(hash));
    if (!a || !a->enabled)
        return fail_set(f, ERR_UNAUTHENTICATED, "the key is not known or has been disabled");
    who->who = WHO_AGENT;
    who->agent = a;
    who->workspace = str_c(a->workspace);
    return 0;
}

static int find_token(struct principal *who, struct str token, struct fail *f)
{
    char hash[HASH_TEXT];
    hash_text(hash, token);
    const struct person *p = roster_person_token(who->roster, str_c(hash));
    if (!p || !p->enabled)
        return fail_set(f, ERR_UNAUTHENTICATED, "the token is not known or its person is disabled");
    who->who = WHO_TOKEN;
    who->person = p;
    who->workspace = str_c(p->workspace);
    return 0;
}

static const struct {
    const char *prefix;
    int (*find)(struct principal *who, struct str text, struct fail *f);
} bearer_kind[] = {{"csa_", find_agent}, {"cst_", find_token}};

/* The credential after "Bearer "; empty where Authorization is absent or says something else. */
static bool bearer(const struct exchange *x, struct str *ret)
{
    struct str scheme = STR("Bearer "), value = exchange_header(x, "authorization", NULL);
    if (!str_eq_nocase(str_sub(value, 0, scheme.n), scheme))
        return false;
    *ret = str_trim(str_sub(value, scheme.n, value.n));
    return true;
}

static int identify_bearer(struct principal *who, struct str text, struct fail *f)
{
    for (size_t i = 0; i < sizeof bearer_kind / sizeof bearer_kind[0]; i++)
        if (str_starts(text, str_c(bearer_kind[i].prefix)))
            return bearer_kind[i].find(who, text, f);
    return fail_set(f, ERR_UNAUTHENTICATED, "the bearer token is not one of Countersign's");
}

/* --- the session's cookie ----------------------------------------------------------------------
 */
struct cookie {
    struct str name, value;
    size_t n;
};

static void cookie_pairs(void *arg, struct str name, struct str line)
{
    struct cookie *k = arg;
    if (!str_eq_c(name, "cookie"))
        return;
    for (size_t at = 0, end; at < line.n; at = end + 1) {
        end = str_find(line, ';', at);
        struct str pair = str_trim(str_sub(line, at, end));
        size_t equals = str_find(pair, '=', 0);
        if (!str_eq(str_sub(pair, 0, equals), k->name))
            continue;
        k->value = str_sub(pair, equals + 1, pair.n);
        k->n++;
    }
}

/* A cookie that came twice may have been planted by a neighbouring host: it is nobody's. */
static int identify_cookie(struct app *app, struct exchange *x, struct fail *f)
{
    struct cookie k = {.name = str_c(session_cookie_name(x->secure))};
    exchange_headers(x, cookie_pairs, &k);
    if (k.n == 0)
        return 0;
    if (k.n > 1 || session_find(app->sessions, x->arena, k.value, &x->who) || !x->who.person ||
        !x->who.person->enabled) {
        x->who = (struct principal){.roster = x->who.roster};
        return fail_set(f, ERR_LOGIN_REQUIRED, "the session has ended; please sign in");
    }
    x->who.who = WHO_PERSON;
    x->who.workspace = str_c(x->who.person->workspace);
    return 0;
}

static int identify(struct app *app, struct exchange *x, struct fail *f)
{
    struct str key;
    if (bearer(x, &key))
        return identify_bearer(&x->who, key, f);
    return identify_cookie(app, x, f);
}

/* The agent's key may stand where the vendor's client puts its own. A person who strays here is
 * told that it is the wrong kind of caller; everybody else what the proxy has to say. */
static int identify_proxy(struct app *app, struct exchange *x, struct fail *f)
{
    const struct agent *a = NULL;
    int r = proxy_authenticate(app, x, &a, f);
    if (!r && a && a->enabled) {
        x->who.who = WHO_AGENT;
        x->who.agent = a;
        x->who.workspace = str_c(a->workspace);
        return 0;
    }
    if (r != ERR_UNAUTHENTICATED)
        return r ? r : fail_set(f, ERR_UNAUTHENTICATED, "the key has been disabled");
    return identify(app, x, NULL) || x->who.who == WHO_NOBODY ? r : 0;
}

int auth_identify(struct app *app, struct call *c, struct fail *f)
{
    struct exchange *x = &c->x;
    if (!x->who.roster)
        x->who.roster = life_roster(app->life);
    if (c->console) {
        x->who.who = WHO_CONSOLE;
        return roster_workspace(x->who.roster, x->who.workspace)
                   ? 0
                   : fail_field(f, ERR_NOT_FOUND, "workspace", "there is no such workspace");
    }
    if (c->route->who == FOR_ANYONE)
        return 0;
    return c->route->who == FOR_PROXY ? identify_proxy(app, x, f) : identify(app, x, f);
}

/* --- who may -----------------------------------------------------------------------------------
 */
#define KIND(w) (1u << WHO_##w)
#define ROLE(r) (1u << ROLE_##r)

static const struct admission {
    unsigned kinds; /* of callers let in */
    unsigned roles; /* that a person among them must have; 0: any */
    int unknown;    /* what somebody unknown is told */
} admission[FOR_COUNT] = {
    [FOR_ANYONE] = {~0u, 0, 0},
    [FOR_AGENT] = {KIND(AGENT), 0, ERR_UNAUTHENTICATED},
    [FOR_PROXY] = {KIND(AGENT), 0, ERR_UNAUTHENTICATED},
    [FOR_ASK] = {KIND(AGENT) | KIND(CONSOLE), 0, ERR_UNAUTHENTICATED},
    [FOR_PERSON] = {KIND(PERSON), 0, ERR_LOGIN_REQUIRED},
    [FOR_READER] = {KIND(PERSON) | KIND(TOKEN), 0, ERR_LOGIN_REQUIRED},
    [FOR_SHOW] = {KIND(CONSOLE) | KIND(PERSON) | KIND(TOKEN), 0, ERR_LOGIN_REQUIRED},
    [FOR_BOTH] = {KIND(AGENT) | KIND(PERSON) | KIND(TOKEN), 0, ERR_LOGIN_REQUIRED},
    [FOR_ADMIN] = {KIND(CONSOLE) | KIND(PERSON), ROLE(ADMIN), ERR_LOGIN_REQUIRED},
    [FOR_AUDIT] = {KIND(CONSOLE) | KIND(PERSON) | KIND(TOKEN), ROLE(AUDITOR) | ROLE(ADMIN),
                   ERR_LOGIN_REQUIRED},
};

static bool same_origin(struct str a, struct str b)
{
    struct url u, v;
    return !url_split(a, &u) && !url_split(b, &v) && u.tls == v.tls && u.port == v.port &&
           str_eq_nocase(u.host, v.host);
}

/* Browsers say where a request comes from, and pages cannot make them lie about it. */
static int check_origin(const struct app *app, const struct exchange *x, struct fail *f)
{
    size_t n_site, n_origin;
    struct str site = exchange_header(x, "sec-fetch-site", &n_site);
    struct str origin = exchange_header(x, "origin", &n_origin);
    bool ok;
    if (n_site > 0)
        ok = n_site == 1 && (str_eq_c(site, "same-origin") || str_eq_c(site, "none"));
    else
        ok = n_origin == 0 || (n_origin == 1 && same_origin(origin, str_c(app->cfg->public_url)));
    return ok ? 0 : fail_set(f, ERR_CSRF, "the request was made by a page of another origin");
}

static int check_csrf(const struct app *app, const struct call *c, struct fail *f)
{
    const struct principal *who = &c->x.who;
    size_t n;
    /* signing in has no session to be abused, but must not sign a visitor in as somebody else */
    if (c->route->who == FOR_ANYONE && c->route->method == METHOD_POST)
        return check_origin(app, &c->x, f);
    if (who->who != WHO_PERSON || !c->route->changes)
        return 0;
    struct str token = exchange_header(&c->x, "x-csrf-token", &n);
    if (n != 1 || who->csrf.n == 0 || !str_eq_secret(token, who->csrf))
        return fail_set(f, ERR_CSRF, "the X-CSRF-Token header is missing or wrong");
    return check_origin(app, &c->x, f);
}

int auth_permit(const struct app *app, const struct call *c, struct fail *f)
{
    const struct admission *row = &admission[c->route->who];
    const struct principal *who = &c->x.who;
    if (who->who == WHO_NOBODY && row->unknown)
        return fail_set(f, row->unknown,
                        row->unknown == ERR_LOGIN_REQUIRED ? "please sign in, or send a token"
                                                           : "an agent's key is needed");
    int r = check_csrf(app, c, f);
    if (r)
        return r;
    bool role_ok = row->roles == 0 || !who->person || (row->roles & (1u << who->person->role));
    if (!(row->kinds & (1u << who->who)) || !role_ok)
        return fail_set(f, ERR_WRONG_PRINCIPAL, "this kind of caller may not do this");
    return 0;
}
