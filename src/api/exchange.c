/* The request side and the answer side of an exchange, over plain arrays. Nothing here knows an
 * HTTP library; what ends up on the wire is checked again by the writer of the wire. */
#include "api/exchange.h"

struct str exchange_header(const struct exchange *x, const char *name, size_t *n)
{
    struct str first = STR("");
    size_t found = 0;
    for (size_t i = 0; i < x->n_headers; i++) {
        if (!str_eq_c(x->headers[i].name, name))
            continue;
        if (found == 0)
            first = x->headers[i].value;
        found++;
    }
    if (n != NULL)
        *n = found;
    return first;
}

void exchange_headers(const struct exchange *x,
                      void (*fn)(void *arg, struct str name, struct str value), void *arg)
{
    for (size_t i = 0; i < x->n_headers; i++)
        fn(arg, x->headers[i].name, x->headers[i].value);
}

static struct str pair_name(const json_t *pair)
{
    return json_text(json_array_get(pair, 0));
}

struct str exchange_query(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < json_array_size(x->query); i++) {
        const json_t *pair = json_array_get(x->query, i);
        if (str_eq_c(pair_name(pair), name))
            return json_text(json_array_get(pair, 1));
    }
    return STR("");
}

static bool listed(const char *const *name, struct str s)
{
    for (; *name != NULL; name++)
        if (str_eq_c(s, *name))
            return true;
    return false;
}

static bool given_before(const json_t *query, size_t at, struct str name)
{
    for (size_t i = 0; i < at; i++)
        if (str_eq(pair_name(json_array_get(query, i)), name))
            return true;
    return false;
}

int exchange_query_only(const struct exchange *x, const char *const *name, struct fail *f)
{
    for (size_t i = 0; i < json_array_size(x->query); i++) {
        struct str got = pair_name(json_array_get(x->query, i));
        char field[64];
        if (!str_copy(field, sizeof field, got))
            (void)str_copy(field, sizeof field, STR("query"));
        if (!listed(name, got))
            return fail_field(f, ERR_UNKNOWN_FIELD, field, "the query parameter is not known here");
        if (given_before(x->query, i, got))
            return fail_field(f, ERR_MALFORMED, field, "the query parameter is given twice");
    }
    return ERR_OK;
}

/* What would end a header line early is left out; what is not UTF-8 becomes U+FFFD's plain cousin.
 */
static json_t *header_value(struct str value)
{
    struct buf clean;
    buf_init(&clean, 0);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\t')
            buf_ch(&clean, value.p[i]);
    }
    struct str s = buf_view(&clean);
    json_t *v = buf_err(&clean) != ERR_OK ? NULL
                : utf8_valid(s)           ? json_stringn(s.p, s.n)
                                          : json_string("?");
    buf_free(&clean);
    return v;
}

void exchange_add_header(struct exchange *x, const char *name, struct str value)
{
    for (const char *p = name; *p != '\0'; p++)
        CS_ASSERT(*p > 0x20 && *p < 0x7f && *p != ':');
    if (x->answer_headers == NULL)
        x->answer_headers = json_array();
    /* a header that memory does not suffice for is left out: the answer's meaning is in its body */
    (void)json_array_append_new(x->answer_headers, json_pack("[s, o]", name, header_value(value)));
}

int exchange_json(struct exchange *x, int status, json_t *v)
{
    if (v == NULL)
        return ERR_NOMEM;
    buf_clear(&x->out);
    int r = json_write(v, &x->out);
    json_decref(v);
    if (r == ERR_OK)
        r = buf_err(&x->out);
    if (r != ERR_OK)
        return r;
    x->status = status;
    x->answer_type = "application/json";
    return ERR_OK;
}
