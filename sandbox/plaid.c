/* The Plaid side; see plaid.h. */
#include "plaid.h"

#include "link.h"
#include "read.h"
#include "transfer.h"

#include <ctype.h>
#include <string.h>

static const struct {
    int status;
    const char *type, *code, *message;
} ERRORS[PLAID_ERROR_COUNT] = {
#define ERROR(id, status, type, code, message) [PLAID_##id] = {status, type, code, message},
#include "plaid_error.def"
#undef ERROR
};

#define ITEM 1u
#define DECIDES 2u

static const struct route {
    const char *path;
    unsigned needs;
    void (*handler)(struct sandbox *sb, const struct call *c, struct reply *out);
} ROUTES[] = {
#define ROUTE(path, needs, handler) {path, needs, handler},
#include "plaid_route.def"
#undef ROUTE
};

static void add_request_id(struct sandbox *sb, json_t *value)
{
    char id[ID_REQUEST_SIZE];

    ids_request(&sb->ids, id);
    json_object_set_new(value, "request_id", json_string(id));
}

static json_t *error_json(const char *type, const char *code, const char *message)
{
    return json_pack("{s:n, s:s, s:s, s:s, s:s, s:n}", "display_message", "documentation_url",
                     "https://plaid.com/docs/errors/", "error_code", code, "error_message", message,
                     "error_type", type, "suggested_action");
}

static void fail(struct sandbox *sb, struct reply *out, int status, json_t *error)
{
    add_request_id(sb, error);
    reply_json(out, status, error);
}

json_t *plaid_error_json(struct sandbox *sb, enum plaid_error e)
{
    json_t *out = error_json(ERRORS[e].type, ERRORS[e].code, ERRORS[e].message);

    add_request_id(sb, out);
    return out;
}

void plaid_fail(struct sandbox *sb, struct reply *out, enum plaid_error e, const char *message)
{
    fail(sb, out, ERRORS[e].status,
         error_json(ERRORS[e].type, ERRORS[e].code, message ? message : ERRORS[e].message));
}

void plaid_ok(struct sandbox *sb, struct reply *out, json_t *value)
{
    add_request_id(sb, value);
    reply_json(out, 200, value);
}

bool plaid_require(struct sandbox *sb, const struct call *c, struct reply *out, const char *names)
{
    struct text rest = text_of(names);
    struct buf missing = {0};
    bool complete;

    while (rest.n > 0) {
        struct text name = text_until(rest, ' ', &rest);
        char key[64];
        snprintf(key, sizeof key, "%.*s", (int)name.n, name.s);
        const json_t *v = json_object_get(c->in, key);
        if (v == NULL || json_is_null(v))
            buf_fmt(&missing, "%s%s", missing.n ? ", " : "", key);
    }
    complete = missing.n == 0;
    if (!complete) {
        struct buf message = {0};
        buf_fmt(&message, "the following required fields are missing: %s", missing.s);
        plaid_fail(sb, out, PLAID_MISSING_FIELDS, message.s);
        buf_free(&message);
    }
    buf_free(&missing);
    return complete;
}

const char *plaid_string(const struct call *c, const char *name)
{
    return json_string_value(json_object_get(c->in, name));
}

json_int_t plaid_integer(const struct call *c, const char *name, json_int_t otherwise)
{
    const json_t *v = json_object_get(c->in, name);

    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* A credential is taken from its header or, failing that, from the body. */
static struct text shown(const struct call *c, const char *header, const char *field)
{
    struct text t = http_header(c->req, header);
    const char *s = t.n ? NULL : plaid_string(c, field);

    return s ? text_of(s) : t;
}

static bool let_in(struct sandbox *sb, const struct call *c, struct reply *out)
{
    struct text client_id = shown(c, "PLAID-CLIENT-ID", "client_id");
    struct text secret = shown(c, "PLAID-SECRET", "secret");

    if (client_id.n == 0 || secret.n == 0)
        plaid_fail(sb, out, PLAID_MISSING_FIELDS,
                   "the following required fields are missing: client_id, secret");
    else if (!text_is(client_id, sb->credentials.client_id) ||
             !text_is(secret, sb->credentials.secret))
        plaid_fail(sb, out, PLAID_INVALID_API_KEYS, NULL);
    else
        return true;
    return false;
}

static bool item_known(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const char *token;

    if (!plaid_require(sb, c, out, "access_token"))
        return false;
    token = plaid_string(c, "access_token");
    if (token != NULL && strcmp(token, sb->credentials.access_token) == 0)
        return true;
    plaid_fail(sb, out, PLAID_INVALID_TOKEN, NULL);
    return false;
}

/* These two modes mean an answer of the operation's own where it has one, else an error. */
static bool refuses(const struct call *c, const struct route *route)
{
    enum mode_id id = c->fault->mode->id;

    return (id == MODE_DECLINED || id == MODE_USER_ACTION_REQUIRED) && !(route->needs & DECIDES);
}

void plaid_act(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const struct route *route = NULL;

    for (size_t i = 0; route == NULL && i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (text_is(c->req->path, ROUTES[i].path))
            route = &ROUTES[i];
    if (route == NULL || !text_is(c->req->method, "POST"))
        plaid_fail(sb, out, PLAID_NOT_FOUND, NULL);
    else if (!json_is_object(c->in))
        plaid_fail(sb, out, PLAID_INVALID_BODY, NULL);
    else if (!let_in(sb, c, out))
        return;
    else if (route->needs & ITEM && !item_known(sb, c, out))
        return;
    else if (refuses(c, route))
        plaid_fail(sb, out, PLAID_TRANSFER_LIMIT, NULL);
    else
        route->handler(sb, c, out);
}

/* "/accounts/balance/get" -> "ACCOUNTS_BALANCE_GET_LIMIT", as Plaid names its limits. */
static void limit_code(struct text path, struct buf *out)
{
    for (size_t i = 1; i < path.n; i++)
        buf_fmt(out, "%c", path.s[i] == '/' ? '_' : toupper((unsigned char)path.s[i]));
    buf_str(out, "_LIMIT");
}

static enum plaid_error error_of(const struct fault *f)
{
    if (f->mode->id == MODE_ITEM_LOGIN_REQUIRED)
        return PLAID_LOGIN_REQUIRED;
    return f->mode->id == MODE_RATE_LIMITED ? PLAID_RATE_LIMIT : PLAID_INTERNAL;
}

void plaid_err(struct sandbox *sb, const struct call *c, struct reply *out)
{
    const struct fault *f = c->fault;
    enum plaid_error e = error_of(f);
    const char *code = f->code[0] ? f->code : ERRORS[e].code;
    const char *type = f->error_type[0] ? f->error_type : ERRORS[e].type;
    struct buf limit = {0};

    if (f->mode->id == MODE_RATE_LIMITED) {
        buf_fmt(&out->extra, "Retry-After: %u\r\n", f->retry_after);
        limit_code(c->req->path, &limit);
        if (!f->code[0])
            code = limit.s;
    }
    fail(sb, out, f->status ? f->status : ERRORS[e].status,
         error_json(type, code, ERRORS[e].message));
    buf_free(&limit);
}
