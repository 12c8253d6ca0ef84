/* From an approved payload to what goes over the wire: the only code that puts credentials into a
 * request. It adds at declared places and changes nothing else; it runs in keeper, after the
 * payload was hashed. Buffers that held secrets are wiped when freed; json values are wiped by the
 * allocator that keeper gives jansson. */
#include <sodium.h>

#include "connector/place.h"
#include "connector/request.h"

struct filling {
    const struct connector *c;
    const struct request *r;
    const json_t *secrets;
    struct str key; /* idempotency key */
    struct fail *f;
};

static int header(struct buf *out, const char *name, struct str value, struct fail *f)
{
    if (!place_header_valid(str_c(name)) || !place_text_safe(value))
        return fail_field(f, ERR_MALFORMED, name, "the header would break the request");
    buf_c(out, name);
    buf_c(out, ": ");
    buf_str(out, value);
    buf_ch(out, '\n');
    return buf_err(out);
}

/* Does the text name an optional secret that this connection lacks? */
static bool left_empty(const struct filling *w, const char *text)
{
    struct str rest = str_c(text), name;
    bool bad;

    while (place_name_next(&rest, &name, &bad)) {
        for (size_t i = 0; i < w->c->n_optional_secrets; i++) {
            const char *optional = w->c->optional_secret[i];
            if (str_eq_c(name, optional) && json_object_get(w->secrets, optional) == NULL)
                return true;
        }
    }
    return false;
}

static int filled_header(const struct filling *w, const struct inject *place, struct buf *out)
{
    struct buf value;

    if (left_empty(w, place->value))
        return ERR_OK;
    buf_init(&value, 0);
    int r = place_fill(place->value, w->secrets, &value, w->f);
    if (r == ERR_OK)
        r = header(out, place->place, buf_view(&value), w->f);
    buf_wipe(&value);
    return r;
}

static const char *content_type(const struct filling *w, enum body_format format)
{
    static const char *const usual[] = {
        [BODY_JSON] = "application/json",
        [BODY_FORM] = "application/x-www-form-urlencoded",
        [BODY_RAW] = "application/octet-stream",
    };
    const json_t *own = json_object_get(json_object_get(w->r->doc, "headers"), "content-type");
    return own != NULL ? json_string_value(own) : usual[format];
}

static int wire_headers(const struct filling *w, enum body_format format, struct wire *out)
{
    const struct operation *op = w->r->op;
    json_t *own = json_object_get(w->r->doc, "headers");
    const char *name;
    json_t *value;
    int r = ERR_OK;

    json_object_foreach(own, name, value)
    {
        if (r == ERR_OK && strcmp(name, "content-type") != 0)
            r = header(&out->headers, name, json_text(value), w->f);
    }
    for (size_t i = 0; i < w->c->n_headers && r == ERR_OK; i++)
        r = filled_header(w, &w->c->header[i], &out->headers);
    if (r == ERR_OK && op != NULL && op->idem == IDEM_HEADER)
        r = header(&out->headers, op->idem_at, w->key, w->f);
    if (r == ERR_OK && out->has_body)
        r = header(&out->headers, "content-type", str_c(content_type(w, format)), w->f);
    return r;
}

static int put_value(json_t *body, enum body_format format, const char *place, struct str value)
{
    if (format == BODY_FORM)
        return place_form_set(json_object_get(body, "form"), str_c(place), value);
    json_t *text = json_stringn(value.p, value.n);
    return text != NULL ? place_set(body, str_c(place), text) : ERR_NOMEM;
}

/* Fills the operation's places in a copy of the body. */
static int fill_body(const struct filling *w, enum body_format format, json_t *body)
{
    const struct operation *op = w->r->op;
    int r = ERR_OK;

    for (size_t i = 0; i < op->n_body && r == ERR_OK; i++) {
        struct buf value;
        if (left_empty(w, op->body[i].value))
            continue;
        buf_init(&value, 0);
        r = place_fill(op->body[i].value, w->secrets, &value, w->f);
        if (r == ERR_OK)
            r = put_value(body, format, op->body[i].place, buf_view(&value));
        buf_wipe(&value);
    }
    if (r == ERR_OK && op->idem == IDEM_BODY)
        r = put_value(body, format, op->idem_at, w->key);
    return r;
}

static int raw_body(const json_t *body, struct buf *out)
{
    struct str text = json_text(json_object_get(body, "base64"));
    size_t n = 0;
    unsigned char *bytes = malloc(text.n + 1);
    if (bytes == NULL)
        return ERR_NOMEM;
    int r = sodium_base642bin(bytes, text.n + 1, text.p, text.n, NULL, &n, NULL,
                              sodium_base64_VARIANT_ORIGINAL);
    if (r == 0)
        buf_put(out, bytes, n);
    free(bytes);
    return r == 0 ? buf_err(out) : ERR_MALFORMED;
}

static int write_body(const json_t *body, enum body_format format, struct buf *out)
{
    if (format == BODY_FORM)
        return query_write(json_object_get(body, "form"), out);
    return format == BODY_RAW ? raw_body(body, out) : canon_write(body, out);
}

static json_t *empty_body(enum body_format format)
{
    return format == BODY_FORM ? json_pack("{s:[]}", "form") : json_object();
}

static int wire_body(const struct filling *w, enum body_format format, struct wire *out)
{
    const struct operation *op = w->r->op;
    const json_t *own = request_body(w->r);
    bool fills = op != NULL && (op->n_body > 0 || op->idem == IDEM_BODY);

    out->has_body = own != NULL || fills;
    if (!out->has_body)
        return ERR_OK;
    if (!fills)
        return write_body(own, format, &out->body);
    json_t *body = own != NULL ? json_deep_copy(own) : empty_body(format);
    int r = body != NULL ? fill_body(w, format, body) : ERR_NOMEM;
    if (r == ERR_OK)
        r = write_body(body, format, &out->body);
    json_decref(body);
    return r;
}

static int wire_path(const struct request *r, struct buf *out)
{
    const json_t *query = json_object_get(r->doc, "query");

    buf_c(out, request_path(r));
    if (json_array_size(query) > 0) {
        buf_ch(out, '?');
        int e = query_write(query, out);
        if (e != ERR_OK)
            return e;
    }
    return place_text_safe(buf_view(out)) ? buf_err(out) : ERR_UNSAFE_PATH;
}

/* Keys of ours: base64url, so that they fit any place. */
static bool key_valid(const struct operation *op, struct str key)
{
    bool wanted = op != NULL && (op->idem == IDEM_BODY || op->idem == IDEM_HEADER);
    if (!wanted)
        return true;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
        if (!ok)
            return false;
    }
    return key.n >= 8 && key.n <= 50; /* 50: the shortest limit of a provider (Plaid's) */
}

int request_wire(const struct connector *c, const struct request *r, const json_t *secrets,
                 struct str idem_key, struct wire *ret, struct fail *f)
{
    struct filling w = {.c = c, .r = r, .secrets = secrets, .key = idem_key, .f = f};
    enum body_format format = r->op != NULL ? r->op->format : c->format;
    struct wire out = {.has_body = false};
    int e;

    buf_init(&out.url_path, 0);
    buf_init(&out.headers, 0);
    buf_init(&out.body, 0);
    if (f != NULL)
        *f = (struct fail){0};
    if (!key_valid(r->op, idem_key))
        e = fail_set(f, ERR_MALFORMED, "the operation needs an idempotency key of ours");
    else if ((e = wire_path(r, &out.url_path)) == ERR_OK &&
             (e = wire_body(&w, format, &out)) == ERR_OK)
        e = wire_headers(&w, format, &out);
    if (e != ERR_OK) {
        wire_free(&out);
        if (f != NULL && f->err == ERR_OK)
            return fail_set(f, e, "the request cannot be put on the wire");
        return e;
    }
    *ret = out;
    return ERR_OK;
}

void wire_free(struct wire *w)
{
    buf_wipe(&w->url_path);
    buf_wipe(&w->headers);
    buf_wipe(&w->body);
    w->has_body = false;
}
