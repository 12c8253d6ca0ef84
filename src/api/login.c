/* POST /v1/login, POST /v1/logout, GET /v1/me. Signing in while signed in makes a new session and
 * ends the old one, so a token never lives through a change of who proved what. */
#include <stdio.h>

#include "api/problem.h"
#include "api/session.h"
#include "api/shape.h"
#include "base/log.h"

/* An empty token deletes the cookie. */
static void set_cookie(struct app *app, struct exchange *x, const char *token)
{
    char text[256];
    long long age = token[0] != '\0' ? app->cfg->session_absolute / 1000 : 0;
    (void)snprintf(text, sizeof text, "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
                   session_cookie_name(x->secure), token, age, x->secure ? "; Secure" : "");
    exchange_add_header(x, "Set-Cookie", str_c(text));
}

static json_t *me(const struct person *p, json_t *csrf)
{
    return json_pack("{s:o, s:{s:s, s:s, s:s, s:s, s:o}}", "csrf", csrf, "person", "id", p->id,
                     "email", p->email, "role", role_name(p->role), "workspace", p->workspace,
                     "groups", shape_texts(p->group, p->n_groups));
}

struct credentials {
    struct str email, password, totp, workspace;
};

static int read_credentials(const struct exchange *x, struct credentials *c, struct fail *f)
{
    const struct json_field t[] = {
        {"email", JSON_WANT_STR, &c->email, true, 254},
        {"password", JSON_WANT_STR, &c->password, true, 1024},
        {"totp", JSON_WANT_STR, &c->totp, false, 16}, /* nobody is enrolled in this version */
        {"workspace", JSON_WANT_STR, &c->workspace, false, 32},
    };
    *c = (struct credentials){.workspace = STR("default")};
    return json_fields(x->json, t, sizeof t / sizeof t[0], f);
}

static int throttled(struct exchange *x, const struct fail *f)
{
    exchange_add_header(x, "Retry-After", STR("60"));
    return problem_answer(x, ERR_LOGIN_THROTTLED, f, NULL);
}

/* The cookie's token; "" where there is none. */
static struct str cookie_token(const struct exchange *x)
{
    struct str line = exchange_header(x, "cookie", NULL),
               name = str_c(session_cookie_name(x->secure));
    for (size_t at = 0, end; at < line.n; at = end + 1) {
        end = str_find(line, ';', at);
        struct str pair = str_trim(str_sub(line, at, end));
        size_t equals = str_find(pair, '=', 0);
        if (str_eq(str_sub(pair, 0, equals), name))
            return str_sub(pair, equals + 1, pair.n);
    }
    return STR("");
}

/* The cookie is about to be replaced: what it opened must not stay open unseen. */
static void end_former(struct app *app, struct exchange *x)
{
    struct principal former = {.roster = x->who.roster};
    struct str token = cookie_token(x);
    if (token.n == 0 || session_find(app->sessions, x->arena, token, &former) != ERR_OK)
        return;
    if (session_end(app->sessions, &former) != ERR_OK)
        log_event(LOG_WARN, "login.former_session_not_ended", KV_S("session", former.session));
}

int api_login(struct app *app, struct exchange *x, struct fail *f)
{
    struct credentials c;
    struct session_made made;
    int r = read_credentials(x, &c, f);
    if (r != ERR_OK)
        return r;
    r = session_login(app->sessions, x->who.roster, c.workspace, c.email, c.password, x->remote,
                      &made, f);
    if (r == ERR_LOGIN_THROTTLED)
        return throttled(x, f);
    if (r != ERR_OK)
        return r;
    end_former(app, x);
    set_cookie(app, x, made.token);
    const struct person *p = roster_person_email(x->who.roster, c.workspace, c.email);
    return exchange_json(x, 200, me(p, json_string(made.csrf)));
}

int api_logout(struct app *app, struct exchange *x, struct fail *f)
{
    int r = x->json != NULL ? json_fields(x->json, NULL, 0, f) : ERR_OK;
    if (r == ERR_OK)
        r = session_end(app->sessions, &x->who);
    if (r != ERR_OK)
        return r;
    set_cookie(app, x, "");
    return exchange_json(x, 200, json_pack("{s:b}", "signed_out", 1));
}

int api_me(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {NULL};
    int r = exchange_query_only(x, known, f);
    (void)app;
    if (r != ERR_OK)
        return r;
    json_t *csrf =
        x->who.who == WHO_PERSON ? json_stringn(x->who.csrf.p, x->who.csrf.n) : json_null();
    return exchange_json(x, 200, me(x->who.person, csrf));
}
