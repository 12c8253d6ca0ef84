/* Ours first; then what the handler gave, unless it is ours or framing. */
#include "http/headers.h"

#define PAGE_POLICY                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "         \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " \
    "require-trusted-types-for 'script'"
#define OTHER_POLICY "default-src 'none'; frame-ancestors 'none'"

enum when { ALWAYS, SECURE_ONLY, UNLESS_GIVEN, PAGE_ONLY, NOT_PAGE };

static const struct {
    const char *name, *value;
    enum when when;
} ours[] = {
    {"X-Content-Type-Options", "nosniff", ALWAYS},
    {"Referrer-Policy", "no-referrer", ALWAYS},
    {"Cross-Origin-Opener-Policy", "same-origin", ALWAYS},
    {"Cross-Origin-Resource-Policy", "same-origin", ALWAYS},
    {"X-Frame-Options", "DENY", ALWAYS},
    {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()", ALWAYS},
    {"Content-Security-Policy", PAGE_POLICY, PAGE_ONLY},
    {"Content-Security-Policy", OTHER_POLICY, NOT_PAGE},
    {"Strict-Transport-Security", "max-age=31536000; includeSubDomains", SECURE_ONLY},
    {"Cache-Control", "no-store", UNLESS_GIVEN},
};

/* Written by the HTTP library, or about one connection only. */
static const char *const framing[] = {
    "connection", "content-length", "transfer-encoding", "keep-alive",   "trailer",
    "te",         "upgrade",        "proxy-connection",  "content-type", "date",
};

static bool is_framing(struct str name)
{
    for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++)
        if (str_eq_nocase(name, str_c(framing[i])))
            return true;
    return false;
}

static bool is_ours(struct str name)
{
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (ours[i].when != UNLESS_GIVEN && str_eq_nocase(name, str_c(ours[i].name)))
            return true;
    return false;
}

static struct str given_name(const struct exchange *x, size_t i)
{
    return json_text(json_array_get(json_array_get(x->answer_headers, i), 0));
}

static bool given(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < json_array_size(x->answer_headers); i++)
        if (str_eq_nocase(given_name(x, i), str_c(name)))
            return true;
    return false;
}

static bool applies(const struct call *c, enum when when, const char *name)
{
    /* also with 304: its headers replace those that the browser has kept */
    bool page = c->route && c->route->handler == api_page && c->x.status < 400;
    switch (when) {
    case SECURE_ONLY:
        return c->x.secure;
    case UNLESS_GIVEN:
        return !given(&c->x, name);
    case PAGE_ONLY:
        return page;
    case NOT_PAGE:
        return !page;
    case ALWAYS:
        break;
    }
    return true;
}

/* A value that could end its line early would let a provider write our answer. */
static bool printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            return false;
    }
    return true;
}

static const char *content_type(const struct exchange *x)
{
    if (x->status == 204 || x->status == 304)
        return NULL;
    if (x->events)
        return "text/event-stream";
    return x->answer_type ? x->answer_type : "application/json";
}

void headers_each(const struct call *c, header_fn *fn, void *arg)
{
    const struct exchange *x = &c->x;
    const char *type = content_type(x);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (applies(c, ours[i].when, ours[i].name))
            fn(arg, ours[i].name, ours[i].value);
    if (type && printable(str_c(type)))
        fn(arg, "Content-Type", type);
    if (x->events)
        fn(arg, "X-Accel-Buffering", "no"); /* or a proxy in front keeps events to itself */
    for (size_t i = 0; i < json_array_size(x->answer_headers); i++) {
        struct str name = given_name(x, i);
        const json_t *pair = json_array_get(x->answer_headers, i);
        struct str value = json_text(json_array_get(pair, 1));
        if (name.n > 0 && !is_framing(name) && !is_ours(name) && printable(name) &&
            printable(value))
            fn(arg, name.p, value.p);
    }
}
