/* What libmicrohttpd lets through although it has two readings. */
#include "http/framing.h"

static bool token(struct str s)
{
    static const char mark[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == 0 || !strchr(mark, c)))
            return false;
    }
    return s.n > 0;
}

static bool value_clean(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static int check_lines(const struct exchange *x, size_t limit, struct fail *f)
{
    size_t size = x->method_text.n + x->target.n + sizeof " HTTP/1.1\r\n";
    for (size_t i = 0; i < x->n_headers; i++) {
        const struct exchange_header_pair *h = &x->headers[i];
        if (!token(h->name))
            return fail_set(f, ERR_MALFORMED, "a header's name is not a token");
        if (!value_clean(h->value))
            return fail_set(f, ERR_MALFORMED, "a header's value holds a control character");
        size += h->name.n + h->value.n + sizeof ": \r\n" - 1;
    }
    if (size > limit)
        return fail_set(f, ERR_HEADERS_TOO_LARGE,
                        "request line and headers take more than %zu bytes", limit);
    return 0;
}

static int check_once(const struct exchange *x, struct fail *f)
{
    /* each of these decides who is asked, who asks, or where the request ends */
    static const char *const once[] = {"host",          "content-length", "transfer-encoding",
                                       "authorization", "content-type",   "expect"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        size_t n;
        (void)exchange_header(x, once[i], &n);
        if (n > 1)
            return fail_set(f, ERR_MALFORMED, "the header %s came more than once", once[i]);
    }
    return 0;
}

static bool host_valid(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("/\\?#@,;\"<>", c))
            return false;
    }
    return host.n > 0;
}

static int check_host(const struct exchange *x, bool http_1_1, struct fail *f)
{
    size_t n;
    struct str host = exchange_header(x, "host", &n);
    if (n == 0 && http_1_1)
        return fail_set(f, ERR_MALFORMED, "HTTP/1.1 asks for a Host header");
    if (n == 1 && !host_valid(host))
        return fail_set(f, ERR_MALFORMED, "the Host header names no host");
    return 0;
}

static int check_length(struct call *c, bool http_1_1, struct fail *f)
{
    size_t n_length, n_coding;
    struct str length = exchange_header(&c->x, "content-length", &n_length);
    struct str coding = exchange_header(&c->x, "transfer-encoding", &n_coding);
    if (n_coding == 1) {
        if (n_length > 0)
            return fail_set(f, ERR_MALFORMED, "Transfer-Encoding together with Content-Length");
        if (!http_1_1 || !str_eq_nocase(coding, STR("chunked")))
            return fail_set(f, ERR_MALFORMED,
                            "the only transfer coding taken is chunked, in HTTP/1.1");
        c->has_body = true;
        c->length = UINT64_MAX;
        return 0;
    }
    for (size_t i = 0; i < length.n; i++)
        if (length.p[i] < '0' || length.p[i] > '9')
            return fail_set(f, ERR_MALFORMED, "Content-Length is not a number");
    /* leading zeros are harmless and str_u64 refuses them */
    while (length.n > 1 && length.p[0] == '0')
        length = str_sub(length, 1, length.n);
    if (n_length == 1 && !str_u64(length, &c->length))
        return fail_set(f, ERR_MALFORMED, "Content-Length is not a number");
    c->has_body = c->length > 0;
    return 0;
}

/* Origin form alone: an absolute form or '*' asks for a proxy or for nothing. */
static int check_target(struct exchange *x, struct fail *f)
{
    struct str t = x->target;
    if (t.n == 0 || t.p[0] != '/')
        return fail_set(f, ERR_MALFORMED, "the request target must be a path");
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= 0x20 || t.p[i] >= 0x7f || t.p[i] == '#')
            return fail_at(f, ERR_MALFORMED, (long)i,
                           "the request target holds a byte that must be percent-encoded");
    size_t mark = str_find(t, '?', 0);
    x->path = str_sub(t, 0, mark);
    x->query_raw = str_sub(t, mark + 1, t.n);
    return 0;
}

static int check_version(struct str version, bool *http_1_1, struct fail *f)
{
    *http_1_1 = str_eq_c(version, "HTTP/1.1");
    if (!*http_1_1 && !str_eq_c(version, "HTTP/1.0"))
        return fail_set(f, ERR_MALFORMED, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return 0;
}

int framing_check(struct call *c, struct str version, size_t limit, struct fail *f)
{
    bool http_1_1;
    int r = check_version(version, &http_1_1, f);
    if (!r && c->torn)
        r = fail_set(f, ERR_MALFORMED, "the head holds a NUL, a bare line feed or a folded line");
    if (!r && !token(c->x.method_text))
        r = fail_set(f, ERR_MALFORMED, "the method is not a token");
    if (!r)
        r = check_lines(&c->x, limit, f);
    if (!r)
        r = check_once(&c->x, f);
    if (!r)
        r = check_host(&c->x, http_1_1, f);
    if (!r)
        r = check_length(c, http_1_1, f);
    if (!r)
        r = check_target(&c->x, f);
    c->expects = http_1_1 && exchange_header(&c->x, "expect", NULL).n > 0;
    return r;
}
