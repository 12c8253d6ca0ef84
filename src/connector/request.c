/* Makes the canonical payload from what an agent gave, and reads it back from stored bytes.
 *
 * Reading is making once more: bytes are good if putting them through the same draft yields the
 * same bytes. So there is one set of rules, and a payload that somebody wrote past gate (with a
 * credential at a dropped place, in another spelling, with an unsafe path) is refused by keeper. */
#include <sodium.h>

#include "connector/place.h"
#include "connector/request.h"

#define QUERY_MAX 256 /* pairs */

/* The payload being put together. */
struct draft {
    const struct connector *c;
    const struct request_input *in;
    struct fail *f;
    const struct operation *op;
    enum body_format format;
    struct str type; /* content type as given, "" where none */
    struct buf path;
    json_t *query, *headers, *body; /* owned until put into the document */
};

/* --- method, path, query --------------------------------------------------------------------- */

static bool method_known(struct str s)
{
    static const char *const method[] = {"GET",   "HEAD",   "POST",   "PUT",
                                         "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof method / sizeof method[0]; i++) {
        if (str_eq_c(s, method[i]))
            return true;
    }
    return false;
}

/* A provider may decode an encoded slash: then too the path must have neither empty nor dot
 * segments. */
static bool slash_safe(struct str path)
{
    struct buf decoded, normal;

    buf_init(&decoded, 0);
    buf_init(&normal, 0);
    for (size_t i = 0; i < path.n; i++) {
        bool slash = str_starts(str_sub(path, i, path.n), STR("%2F"));
        buf_ch(&decoded, slash ? '/' : path.p[i]);
        i += slash ? 2 : 0;
    }
    bool ok = path_normal(buf_view(&decoded), false, &normal, NULL) == ERR_OK &&
              !str_ends(buf_view(&decoded), STR("/"));
    buf_free(&decoded);
    buf_free(&normal);
    return ok;
}

/* Finds the operation. An encoded slash is one reading only where the operation says so. */
static int draft_target(struct draft *d)
{
    if (!method_known(d->in->method))
        return fail_field(d->f, ERR_MALFORMED, "method", "the method is not one that is passed on");
    int r = path_normal(d->in->path, true, &d->path, d->f);
    if (r != ERR_OK)
        return r;
    d->op = connector_match(d->c, d->in->method, buf_view(&d->path));
    d->format = d->op != NULL ? d->op->format : d->c->format;
    bool encoded_slash = strstr(d->path.p, "%2F") != NULL;
    if (encoded_slash && (d->op == NULL || !d->op->slash || !slash_safe(buf_view(&d->path))))
        return fail_field(d->f, ERR_UNSAFE_PATH, "path", "an encoded slash is not allowed here");
    return ERR_OK;
}

/* Copies [[name, value]], refusing anything else. */
static int copy_pairs(const json_t *from, const char *field, json_t **ret, struct fail *f)
{
    if (from != NULL && (!json_is_array(from) || json_array_size(from) > QUERY_MAX))
        return fail_field(f, ERR_MALFORMED, field, "expected a list of at most %d pairs",
                          QUERY_MAX);
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(from); i++) {
        const json_t *pair = json_array_get(from, i);
        const json_t *name = json_array_get(pair, 0), *value = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_string(name) || !json_is_string(value)) {
            json_decref(out);
            return fail_field(f, ERR_MALFORMED, field, "expected pairs of two texts");
        }
        (void)json_array_append_new(out, json_deep_copy(pair));
    }
    if (out == NULL || json_array_size(out) != json_array_size(from)) {
        json_decref(out);
        return fail_set(f, ERR_NOMEM, "out of memory");
    }
    *ret = out;
    return ERR_OK;
}

static int add_pair(json_t *pairs, const char *name, const json_t *value, struct fail *f)
{
    if (!json_is_string(value))
        return fail_field(f, ERR_MALFORMED, "query", "expected texts or lists of texts");
    json_t *pair = json_pack("[s, O]", name, value);
    return json_array_append_new(pairs, pair) == 0 ? ERR_OK
                                                   : fail_set(f, ERR_NOMEM, "out of memory");
}

int request_query(const json_t *object, json_t **ret, struct fail *f)
{
    json_t *pairs = json_array();
    int r = pairs != NULL ? ERR_OK : fail_set(f, ERR_NOMEM, "out of memory");
    union {
        const json_t *in;
        json_t *out;
    } same = {.in = object}; /* iterating changes nothing */

    if (r == ERR_OK && object != NULL && !json_is_object(object))
        r = fail_field(f, ERR_MALFORMED, "query", "expected an object");
    for (void *it = json_object_iter(same.out); it != NULL && r == ERR_OK;
         it = json_object_iter_next(same.out, it)) {
        const char *name = json_object_iter_key(it);
        const json_t *v = json_object_iter_value(it);
        if (!json_is_array(v))
            r = add_pair(pairs, name, v, f);
        for (size_t i = 0; json_is_array(v) && i < json_array_size(v) && r == ERR_OK; i++)
            r = add_pair(pairs, name, json_array_get(v, i), f);
    }
    if (r == ERR_OK && json_array_size(pairs) > QUERY_MAX)
        r = fail_field(f, ERR_MALFORMED, "query", "more than %d values", QUERY_MAX);
    if (r != ERR_OK) {
        json_decref(pairs);
        return r;
    }
    *ret = pairs;
    return ERR_OK;
}

/* --- headers --------------------------------------------------------------------------------- */

static bool listed(struct str name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_nocase(name, str_c(list[i])))
            return true;
    }
    return false;
}

/* Is it a header of ours: filled in, dropped, or the idempotency key's place? */
static bool header_taken(const struct draft *d, struct str name)
{
    const struct connector *c = d->c;
    for (size_t i = 0; i < c->n_headers; i++) {
        if (str_eq_nocase(name, str_c(c->header[i].place)))
            return true;
    }
    bool key = d->op != NULL && d->op->idem == IDEM_HEADER;
    return (key && str_eq_nocase(name, str_c(d->op->idem_at))) ||
           listed(name, c->drop_header, c->n_drop_headers);
}

static int add_header(struct draft *d, struct str name, struct str value)
{
    char lower[65];

    if (!str_copy(lower, sizeof lower, name))
        return fail_field(d->f, ERR_MALFORMED, "headers", "a header's name is too long");
    for (char *p = lower; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    if (!place_text_safe(value))
        return fail_field(d->f, ERR_MALFORMED, "headers", "the value of %s has odd bytes", lower);
    if (json_object_get(d->headers, lower) != NULL)
        return fail_field(d->f, ERR_DUPLICATE_KEY, "headers", "%s is there twice", lower);
    int r = json_object_set_new(d->headers, lower, json_stringn(value.p, value.n));
    return r == 0 ? ERR_OK : fail_set(d->f, ERR_NOMEM, "out of memory");
}

/* Keeps what the connector passes. The content type is taken aside: it goes with the body. */
static int draft_headers(struct draft *d)
{
    union {
        const json_t *in;
        json_t *out;
    } h = {.in = d->in->headers}; /* iterating changes nothing */

    if (h.in != NULL && !json_is_object(h.in))
        return fail_field(d->f, ERR_MALFORMED, "headers", "expected an object");
    d->headers = json_object();
    d->type = str_trim(d->in->content_type);
    for (void *it = json_object_iter(h.out); it != NULL; it = json_object_iter_next(h.out, it)) {
        struct str name = str_c(json_object_iter_key(it));
        const json_t *value = json_object_iter_value(it);
        bool type = str_eq_nocase(name, STR("content-type"));
        bool kept = listed(name, d->c->pass_header, d->c->n_pass_headers) && !header_taken(d, name);
        if (!type && !kept)
            continue;
        if (!json_is_string(value))
            return fail_field(d->f, ERR_MALFORMED, "headers", "expected texts");
        if (type && d->type.n == 0)
            d->type = str_trim(json_text(value));
        int r = type ? ERR_OK : add_header(d, name, str_trim(json_text(value)));
        if (r != ERR_OK)
            return r;
    }
    return d->headers != NULL ? ERR_OK : fail_set(d->f, ERR_NOMEM, "out of memory");
}

/* --- body ------------------------------------------------------------------------------------ */

/* The media type without parameters; false if there are others than charset=utf-8. */
static bool plain_type(struct str type, struct str *ret)
{
    size_t semicolon = str_find(type, ';', 0);
    struct str rest = str_trim(str_sub(type, semicolon + 1, type.n));

    *ret = str_trim(str_sub(type, 0, semicolon));
    return rest.n == 0 || str_eq_nocase(rest, STR("charset=utf-8")) ||
           str_eq_nocase(rest, STR("charset=\"utf-8\""));
}

static bool ends_nocase(struct str s, struct str end)
{
    return s.n > end.n && str_eq_nocase(str_sub(s, s.n - end.n, s.n), end);
}

static int wrong_type(const struct draft *d, const char *wanted)
{
    return fail_field(d->f, ERR_UNSUPPORTED_TYPE, "body", "this operation takes %s", wanted);
}

/* Every place in the body that is not the agent's to fill. */
static size_t place_count(const struct draft *d)
{
    return d->c->n_drop_body + (d->op != NULL ? d->op->n_body + 1 : 0);
}

static const char *place_at(const struct draft *d, size_t i)
{
    if (i < d->c->n_drop_body)
        return d->c->drop_body[i];
    i -= d->c->n_drop_body;
    if (i < d->op->n_body)
        return d->op->body[i].place;
    return d->op->idem == IDEM_BODY ? d->op->idem_at : NULL;
}

static bool fills_body(const struct operation *op)
{
    return op != NULL && (op->n_body > 0 || op->idem == IDEM_BODY);
}

static int draft_json(struct draft *d, json_t *body)
{
    struct str type;
    bool copied = false;

    if (!plain_type(d->type, &type) ||
        (type.n > 0 && !str_eq_nocase(type, STR("application/json")) &&
         !ends_nocase(type, STR("+json"))))
        return wrong_type(d, "application/json");
    if (fills_body(d->op) && !json_is_null(body) && !json_is_object(body))
        return fail_field(d->f, ERR_MALFORMED, "body", "this operation takes a JSON object");
    d->body = json_incref(body);
    for (size_t i = 0; i < place_count(d); i++) {
        const char *place = place_at(d, i);
        if (place == NULL || json_at(d->body, str_c(place)) == NULL)
            continue;
        if (!copied) {
            json_decref(d->body);
            d->body = json_deep_copy(body);
            copied = true;
        }
        place_drop(d->body, str_c(place));
    }
    if (d->body == NULL)
        return fail_set(d->f, ERR_NOMEM, "out of memory");
    bool other = type.n > 0 && !str_eq_nocase(type, STR("application/json"));
    return other ? add_header(d, STR("content-type"), type) : ERR_OK;
}

/* The one member of an object that has no other. */
static json_t *only_member(const json_t *body, const char *name)
{
    return json_object_size(body) == 1 ? json_object_get(body, name) : NULL;
}

/* Is the type as wanted, or JSON that spells the body in our way, or left out? */
static bool type_fits(struct str type, const char *wanted, bool spelled)
{
    return type.n == 0 || str_eq_nocase(type, str_c(wanted)) ||
           (spelled && str_eq_nocase(type, STR("application/json")));
}

static int draft_form(struct draft *d, const json_t *body)
{
    static const char wanted[] = "application/x-www-form-urlencoded";
    struct str type;
    bool spelled = !json_is_null(body);
    json_t *pairs = NULL, *parsed = NULL;
    int r;

    if (!plain_type(d->type, &type) || !type_fits(type, wanted, spelled))
        return wrong_type(d, wanted);
    if (spelled && !json_is_array(only_member(body, "form")))
        return fail_field(d->f, ERR_MALFORMED, "body", "expected {\"form\": [[name, value]]}");
    if (!spelled && (r = query_parse(d->in->raw_body, &parsed, d->f)) != ERR_OK)
        return r;
    r = copy_pairs(spelled ? only_member(body, "form") : parsed, "body", &pairs, d->f);
    json_decref(parsed);
    if (r != ERR_OK)
        return r;
    for (size_t i = 0; i < place_count(d); i++) {
        if (place_at(d, i) != NULL)
            (void)place_form_drop(pairs, str_c(place_at(d, i)));
    }
    d->body = json_pack("{s:o}", "form", pairs);
    return d->body != NULL ? ERR_OK : fail_set(d->f, ERR_NOMEM, "out of memory");
}

static json_t *base64(struct str raw)
{
    size_t size = sodium_base64_encoded_len(raw.n, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    (void)sodium_bin2base64(text, size, (const unsigned char *)raw.p, raw.n,
                            sodium_base64_VARIANT_ORIGINAL);
    json_t *v = json_pack("{s:s}", "base64", text);
    free(text);
    return v;
}

static bool base64_valid(struct str text)
{
    size_t n = 0;
    unsigned char *bytes = malloc(text.n + 1);
    int r = bytes == NULL ? -1
                          : sodium_base642bin(bytes, text.n + 1, text.p, text.n, NULL, &n, NULL,
                                              sodium_base64_VARIANT_ORIGINAL);
    free(bytes);
    return r == 0;
}

static int draft_raw(struct draft *d, json_t *body)
{
    static const char usual[] = "application/octet-stream";
    const json_t *text = only_member(body, "base64");
    bool spelled = !json_is_null(body);

    if (spelled && (!json_is_string(text) || !base64_valid(json_text(text))))
        return fail_field(d->f, ERR_MALFORMED, "body", "expected {\"base64\": \"...\"}");
    d->body = spelled ? json_incref(body) : base64(d->in->raw_body);
    if (d->body == NULL)
        return fail_set(d->f, ERR_NOMEM, "out of memory");
    bool default_type = d->type.n == 0 || str_eq_nocase(d->type, str_c(usual));
    return default_type ? ERR_OK : add_header(d, STR("content-type"), d->type);
}

/* JSON that arrived as bytes because nobody said what it is. */
static int parse_untyped(const struct draft *d, json_t **ret)
{
    struct str raw = d->in->raw_body;
    if (d->in->body == NULL && raw.n > 0 && d->format == BODY_JSON && d->type.n == 0)
        return json_read(raw, ret, d->f);
    *ret = json_incref(d->in->body);
    return ERR_OK;
}

static int draft_body(struct draft *d)
{
    json_t *body = NULL;
    int r = parse_untyped(d, &body);

    if (r != ERR_OK)
        return r;
    bool raw = body == NULL && d->in->raw_body.n > 0;
    bool none = !raw && (body == NULL || json_is_null(body));
    struct str method = d->in->method;
    if (body == NULL)
        body = json_null();
    if (none)
        d->body = json_null();
    else if (str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")))
        /* who does not expect a body may take it for the next request */
        r = fail_field(d->f, ERR_MALFORMED, "body", "%.*s takes no body", STR_FMT(method));
    else if (d->format == BODY_FORM)
        r = draft_form(d, body);
    else if (d->format == BODY_RAW)
        r = draft_raw(d, body);
    else if (raw)
        r = wrong_type(d, "application/json");
    else
        r = draft_json(d, body);
    json_decref(body);
    return r;
}

/* --- the whole ------------------------------------------------------------------------------- */

static int draft_write(struct draft *d, struct buf *out)
{
    json_t *doc =
        json_pack("{s:s%, s:s%, s:O, s:O, s:O}", "method", d->in->method.p, d->in->method.n, "path",
                  d->path.p, d->path.n, "query", d->query, "headers", d->headers, "body", d->body);
    int r = doc != NULL ? canon_write(doc, out) : ERR_NOMEM;
    json_decref(doc);
    return r == ERR_OK ? ERR_OK : fail_set(d->f, r, "the payload cannot be written");
}

/* From input to canonical bytes, and the operation that they are. */
static int draft_make(const struct connector *c, const struct request_input *in, struct buf *out,
                      const struct operation **op, struct fail *f)
{
    struct draft d = {.c = c, .in = in, .f = f};
    int r;

    buf_init(&d.path, PATH_MAX_LEN * 4);
    if ((r = draft_target(&d)) != ERR_OK ||
        (r = copy_pairs(in->query, "query", &d.query, f)) != ERR_OK ||
        (r = draft_headers(&d)) != ERR_OK || (r = draft_body(&d)) != ERR_OK ||
        (r = draft_write(&d, out)) != ERR_OK)
        goto out;
    *op = d.op;
out:
    buf_free(&d.path);
    json_decref(d.query);
    json_decref(d.headers);
    json_decref(d.body);
    return r;
}

int request_build(const struct connector *c, const struct request_input *in, struct request *ret,
                  struct fail *f)
{
    struct request req = {0};

    buf_init(&req.bytes, 0);
    int r = draft_make(c, in, &req.bytes, &req.op, f);
    /* gate works with what keeper will read, not with what it wrote: 1.0 is now 1, and a number
     * whose canonical spelling is out of range is noticed here */
    if (r == ERR_OK)
        r = json_read(buf_view(&req.bytes), &req.doc, f);
    if (r != ERR_OK) {
        request_free(&req);
        return r;
    }
    hash_text(req.hash, buf_view(&req.bytes));
    *ret = req;
    return ERR_OK;
}

/* The five members of a payload as input. */
static int as_input(const json_t *doc, struct request_input *in)
{
    struct request_input v = {.method = {0}};
    json_t *headers = NULL;
    const struct json_field member[] = {
        {"method", JSON_WANT_STR, &v.method, true, 0},
        {"path", JSON_WANT_STR, &v.path, true, 0},
        {"query", JSON_WANT_ARR, &v.query, true, 0},
        {"headers", JSON_WANT_OBJ, &headers, true, 0},
        {"body", JSON_WANT_ANY, &v.body, true, 0},
    };
    int r = json_fields(doc, member, sizeof member / sizeof member[0], NULL);
    v.headers = headers;
    *in = v;
    return r;
}

int request_read(const struct connector *c, struct str bytes, struct request *ret, struct fail *f)
{
    struct request req = {0};
    struct request_input in;

    buf_init(&req.bytes, 0);
    int r = json_read(bytes, &req.doc, NULL);
    if (r == ERR_OK)
        r = as_input(req.doc, &in);
    if (r == ERR_OK)
        r = draft_make(c, &in, &req.bytes, &req.op, NULL);
    if (r == ERR_OK && !str_eq(buf_view(&req.bytes), bytes))
        r = ERR_K_HASH;
    if (r != ERR_OK) {
        request_free(&req);
        return fail_set(f, r == ERR_NOMEM ? ERR_NOMEM : ERR_K_HASH,
                        "the stored payload is not in canonical form");
    }
    hash_text(req.hash, bytes);
    *ret = req;
    return ERR_OK;
}

void request_free(struct request *r)
{
    json_decref(r->doc);
    buf_free(&r->bytes);
    *r = (struct request){0};
}

const char *request_method(const struct request *r)
{
    return json_string_value(json_object_get(r->doc, "method"));
}

const char *request_path(const struct request *r)
{
    return json_string_value(json_object_get(r->doc, "path"));
}

const json_t *request_body(const struct request *r)
{
    const json_t *body = json_object_get(r->doc, "body");
    return json_is_null(body) ? NULL : body;
}
