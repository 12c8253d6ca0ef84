/* Reads a request to /proxy/: raw path, query pairs, headers, body. JSON is parsed strictly, once;
 * anything else stays bytes. Which headers become part of the payload is the connector's to say
 * (request_build); all are handed over. */
#include "proxy/proxy_input.h"

#include "api/idem_key.h"

#define NOTE_MAX ((size_t)8 << 10)
#define THREAD_MAX 255

/* --- Prefer ----------------------------------------------------------------------------------- */

static void read_preference(struct preference *p, struct str item)
{
    struct str name = str_trim(str_sub(item, 0, str_find(item, ';', 0)));
    size_t equals = str_find(name, '=', 0);
    struct str value = str_trim(str_sub(name, equals + 1, name.n));
    uint64_t seconds;
    name = str_trim(str_sub(name, 0, equals));
    if (value.n >= 2 && value.p[0] == '"')
        value = str_sub(value, 1, value.n - 1);
    if (str_eq_nocase(name, STR("respond-async")))
        p->async = true;
    else if (str_eq_nocase(name, STR("wait")) && str_u64(value, &seconds))
        p->wait = seconds < PROXY_WAIT_MAX ? (int64_t)seconds : PROXY_WAIT_MAX;
}

static void one_header(void *arg, struct str name, struct str line)
{
    if (!str_eq_c(name, "prefer"))
        return;
    for (size_t at = 0, end; at < line.n; at = end + 1) {
        end = str_find(line, ',', at);
        read_preference(arg, str_sub(line, at, end));
    }
}

void preference_read(const struct exchange *x, struct preference *ret)
{
    *ret = (struct preference){0};
    exchange_headers(x, one_header, ret);
}

/* --- headers ---------------------------------------------------------------------------------- */

struct gathering {
    json_t *into;
    int err;
};

/* The same name twice is one list (RFC 9110 section 5.3). */
static void gather(void *arg, struct str name, struct str value)
{
    struct gathering *g = arg;
    const json_t *old = json_object_getn(g->into, name.p, name.n);
    json_t *v = old != NULL ? json_sprintf("%s, %.*s", json_string_value(old), STR_FMT(value))
                            : json_stringn(value.p, value.n);
    if (g->err != ERR_OK)
        json_decref(v);
    else if (v == NULL)
        g->err = utf8_valid(value) ? ERR_NOMEM : ERR_MALFORMED;
    else if (json_object_setn_new(g->into, name.p, name.n, v) != 0)
        g->err = ERR_NOMEM;
}

static int read_headers(const struct exchange *x, struct proxy_input *in, struct fail *f)
{
    struct gathering g = {.into = json_object()};
    in->headers = g.into;
    if (g.into == NULL)
        return fail_set(f, ERR_NOMEM, "out of memory");
    exchange_headers(x, gather, &g);
    return g.err == ERR_OK ? ERR_OK : fail_set(f, g.err, "a header's value is not UTF-8");
}

/* --- our own headers -------------------------------------------------------------------------- */

static int read_text(const struct exchange *x, const char *name, size_t max, struct str *ret,
                     struct fail *f)
{
    size_t n = 0;
    struct str s = exchange_header(x, name, &n);
    if (n > 1 || s.n > max || !utf8_valid(s))
        return fail_field(f, ERR_MALFORMED, name, "expected one text of at most %zu bytes", max);
    *ret = s;
    return ERR_OK;
}

/* --- body ------------------------------------------------------------------------------------- */

static bool is_json(struct str type)
{
    return str_eq_c(type, "application/json") || str_ends(type, STR("+json"));
}

static int read_body(const struct exchange *x, struct proxy_input *in, struct fail *f)
{
    if (x->body.n == 0)
        return ERR_OK;
    in->p.in.content_type = x->content_type;
    if (!is_json(x->content_type)) {
        in->p.in.raw_body = x->body;
        return ERR_OK;
    }
    int r = json_read(x->body, &in->body, f);
    in->p.in.body = json_is_null(in->body) ? NULL : in->body;
    return r;
}

int proxy_input_read(struct exchange *x, struct proxy_input *ret, struct fail *f)
{
    struct proposal *p = &ret->p;
    *ret = (struct proxy_input){.p = {.soft_key = true}};
    p->in.method = x->method_text;
    p->in.path = x->param[1];
    p->in.query = x->query;
    int r = read_headers(x, ret, f);
    p->in.headers = ret->headers;
    if (r == ERR_OK)
        r = read_body(x, ret, f);
    if (r == ERR_OK)
        r = idem_key_header(x, &p->key, f);
    if (r == ERR_OK)
        r = read_text(x, "countersign-thread", THREAD_MAX, &p->thread, f);
    if (r == ERR_OK)
        r = read_text(x, "countersign-note", NOTE_MAX, &p->note, f);
    return r;
}

void proxy_input_free(struct proxy_input *in)
{
    json_decref(in->headers);
    json_decref(in->body);
    *in = (struct proxy_input){0};
}
