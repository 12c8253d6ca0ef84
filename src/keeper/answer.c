/* From an exchange to a result. Refuses to pass on headers that nobody asked for, and to call a
 * write done whose answer was not read whole. */
#include "keeper/answer.h"

#include <stdlib.h>

static struct str received_value(const json_t *received, const char *name)
{
    for (size_t i = 0; name && i < json_array_size(received); i++) {
        const json_t *pair = json_array_get(received, i);
        if (str_eq_nocase(json_text(json_array_get(pair, 0)), str_c(name)))
            return json_text(json_array_get(pair, 1));
    }
    return STR("");
}

static bool passes(const struct connector *c, struct str name)
{
    if (str_eq_c(name, "content-type") || str_eq_c(name, "retry-after"))
        return true;
    for (size_t i = 0; i < c->n_answer_headers; i++)
        if (str_eq_nocase(name, str_c(c->answer_header[i])))
            return true;
    return false;
}

/* The provider's number under the common name; a reset is turned into seconds from now. */
static int put_limit(json_t *out, const char *name, struct str value, const char *unit, int64_t now)
{
    uint64_t v;
    size_t digits = 0;
    while (digits < value.n && value.p[digits] >= '0' && value.p[digits] <= '9')
        digits++;
    if (!str_u64(str_sub(value, 0, digits), &v) || v > INT64_MAX / 1000)
        return 0;
    int64_t seconds = (int64_t)v;
    if (unit && strcmp(unit, "epoch") == 0)
        seconds = seconds > now / 1000 ? seconds - now / 1000 : 0;
    if (unit && strcmp(unit, "milliseconds") == 0)
        seconds = (seconds + 999) / 1000;
    struct buf text = {0};
    buf_printf(&text, "%lld", (long long)seconds);
    int r = buf_err(&text) ? -1 : json_array_append_new(out, json_pack("[s, s]", name, text.p));
    buf_free(&text);
    return r;
}

json_t *answer_headers(const struct connector *c, const json_t *received, int64_t now)
{
    json_t *out = json_array();
    int r = out ? 0 : -1;
    for (size_t i = 0; !r && i < json_array_size(received); i++) {
        json_t *pair = json_array_get(received, i);
        struct str name = json_text(json_array_get(pair, 0));
        if (passes(c, name) && !str_starts(name, STR("ratelimit-")))
            r = json_array_append(out, pair);
    }
    const struct {
        const char *name, *from, *unit;
    } limits[] = {{"ratelimit-limit", c->ratelimit_limit, NULL},
                  {"ratelimit-remaining", c->ratelimit_remaining, NULL},
                  {"ratelimit-reset", c->ratelimit_reset, c->ratelimit_unit}};
    for (size_t i = 0; !r && i < sizeof limits / sizeof *limits; i++)
        r = put_limit(out, limits[i].name, received_value(received, limits[i].from), limits[i].unit,
                      now);
    if (r) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static enum result_kind kind_of(enum send_fate fate)
{
    return fate == SEND_ANSWERED   ? RESULT_ANSWERED
           : fate == SEND_NOT_SENT ? RESULT_NOT_SENT
                                   : RESULT_UNKNOWN;
}

int answer_take(const struct connector *c, const struct operation *op, struct exchange *x,
                int64_t now, struct keeper_result *ret)
{
    ret->kind = kind_of(x->fate);
    ret->status = x->status;
    ret->body_bytes = x->body_bytes;
    ret->body_omitted = x->body_omitted;
    (void)str_copy(ret->detail, sizeof ret->detail, str_c(x->detail));
    if (ret->kind == RESULT_NOT_SENT)
        ret->refusal = x->address_refused ? ERR_K_DESTINATION : ERR_IO;
    if (x->status == 0)
        return 0;
    json_t *headers = answer_headers(c, x->headers, now);
    if (!headers)
        return ERR_NOMEM;
    json_decref(ret->headers);
    ret->headers = headers;
    if (ret->kind != RESULT_ANSWERED)
        return 0;
    /* more lenient than our own reader: providers send large integers and repeat keys */
    json_t *body = x->body_omitted || x->body.n == 0
                       ? NULL
                       : json_loadb(x->body.p, x->body.n, JSON_DECODE_ANY, NULL);
    connector_read_answer(c, op, x->status, x->headers, body, &ret->answer);
    json_decref(body);
    if (x->body_omitted && !operation_is_read(op) && ret->answer.class == ANSWER_SUCCEEDED)
        ret->answer.class = ANSWER_UNCLEAR; /* what was not read may have said no */
    if (!x->body_omitted) {
        ret->body = x->body;
        x->body = (struct buf){0};
    }
    return 0;
}
