/* The rows of route.def and the search through them. There are too few for anything cleverer. */
#include "http/route.h"

#include <stdio.h>

#include "base/path.h"

enum { CHANGES = 1 };
#define METHOD_ANY METHOD_NONE

const struct route route_table[] = {
#define ROUTE(method_, path_, who_, flags_, cap_, takes_, handler_, text_) \
    {.method = METHOD_##method_,                                           \
     .path = path_,                                                        \
     .who = FOR_##who_,                                                    \
     .changes = ((flags_)&CHANGES) != 0,                                   \
     .cap_kib = cap_,                                                      \
     .takes = TAKES_##takes_,                                              \
     .handler = handler_,                                                  \
     .text = text_},
#include "http/route.def"
#undef ROUTE
};
const size_t route_count = sizeof route_table / sizeof route_table[0];

static const char *const method_name[] = {
    [METHOD_NONE] = "",         [METHOD_GET] = "GET",         [METHOD_HEAD] = "HEAD",
    [METHOD_POST] = "POST",     [METHOD_PUT] = "PUT",         [METHOD_PATCH] = "PATCH",
    [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS",
};
enum { METHODS = sizeof method_name / sizeof method_name[0] };

enum method method_parse(struct str s)
{
    for (size_t i = METHOD_NONE + 1; i < METHODS; i++)
        if (str_eq_c(s, method_name[i]))
            return (enum method)i;
    return METHOD_NONE;
}

const char *method_text(enum method m)
{
    return method_name[m];
}

static bool plain(struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && c != '/' && c != '-' && c != '.' && c != '_' && c != '~')
            return false;
    }
    return true;
}

/* "/proxy/{connection}/{path...}": the rest keeps its leading '/' and every byte as sent. */
static bool proxy_match(struct str path, struct str param[EXCHANGE_PARAMS])
{
    struct str prefix = STR("/proxy/");
    if (!str_starts(path, prefix))
        return false;
    size_t slash = str_find(path, '/', prefix.n);
    struct str connection = str_sub(path, prefix.n, slash);
    if (slash == path.n || connection.n == 0 || !plain(connection))
        return false;
    param[0] = connection;
    param[1] = str_sub(path, slash, path.n);
    return true;
}

bool route_is_proxy(const struct route *r)
{
    return r->who == FOR_PROXY;
}

static bool row_match(const struct route *r, struct str path, struct str param[EXCHANGE_PARAMS])
{
    struct path_param found[EXCHANGE_PARAMS];
    size_t n = 0;
    if (route_is_proxy(r))
        return proxy_match(path, param);
    if (!plain(path) || !path_match(str_c(r->path), path, found, EXCHANGE_PARAMS, &n))
        return false;
    for (size_t i = 0; i < n; i++)
        param[i] = found[i].value;
    return true;
}

static void allow_methods(unsigned methods, char allow[ALLOW_TEXT])
{
    struct buf text;
    buf_init(&text, ALLOW_TEXT - 1);
    for (size_t i = METHOD_NONE + 1; i < METHODS; i++)
        if (methods & (1u << i))
            buf_printf(&text, "%s%s", text.n > 0 ? ", " : "", method_name[i]);
    CS_ASSERT(buf_err(&text) == 0 && str_copy(allow, ALLOW_TEXT, buf_view(&text)));
    buf_free(&text);
}

static unsigned row_methods(const struct route *r)
{
    const unsigned options = 1u << METHOD_OPTIONS, head = 1u << METHOD_HEAD;
    if (r->method == METHOD_ANY)
        return ((1u << METHODS) - 1) & ~(1u << METHOD_NONE);
    return options | (1u << r->method) | (r->method == METHOD_GET ? head : 0);
}

int route_find(struct exchange *x, const struct route **ret, char allow[ALLOW_TEXT])
{
    unsigned methods = 0;
    const struct route *row = NULL;
    for (size_t i = 0; i < route_count; i++) {
        struct str param[EXCHANGE_PARAMS] = {{0}};
        if (!row_match(&route_table[i], x->path, param))
            continue;
        unsigned mine = row_methods(&route_table[i]);
        methods |= mine;
        if (x->method == METHOD_NONE || !(mine & (1u << x->method)))
            continue;
        row = &route_table[i];
        memcpy(x->param, param, sizeof param);
    }
    allow_methods(methods, allow);
    if (!methods)
        return ERR_NOT_FOUND;
    if (!row)
        return ERR_METHOD_NOT_ALLOWED;
    *ret = x->method == METHOD_OPTIONS ? NULL : row;
    return 0;
}

size_t route_cap(const struct route *r, const struct config *cfg)
{
    return r->cap_kib < 0 ? (size_t)cfg->limit_body : (size_t)r->cap_kib << 10;
}
