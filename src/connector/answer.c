/* What a provider's answer means. The question behind every line: was there an effect? "Failed"
 * promises that there was none, so whatever leaves a doubt about a write is unclear. */
#include "connector/connector.h"
#include "connector/place.h"

/* Text at a pointer; numbers are spelled out. Empty where there is nothing or it does not fit. */
static void text_at(const json_t *body, const char *pointer, char *out, size_t size)
{
    out[0] = '\0';
    if (pointer == NULL || body == NULL)
        return;
    const json_t *v = json_at(body, str_c(pointer));
    if (json_is_string(v) && place_text_safe(json_text(v)))
        (void)str_copy(out, size, json_text(v));
    else if (json_is_integer(v))
        (void)snprintf(out, size, "%lld", (long long)json_integer_value(v));
}

/* A header's value; the first where it comes twice. */
static struct str header_value(const json_t *headers, struct str name)
{
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const json_t *pair = json_array_get(headers, i);
        if (str_eq_nocase(json_text(json_array_get(pair, 0)), name))
            return json_text(json_array_get(pair, 1));
    }
    return STR("");
}

static void request_id(const struct connector *c, const json_t *headers, const json_t *body,
                       char *out, size_t size)
{
    out[0] = '\0';
    if (c->request_id == NULL)
        return;
    if (c->request_id[0] == '/') {
        text_at(body, c->request_id, out, size);
        return;
    }
    struct str v = header_value(headers, str_c(c->request_id));
    if (place_text_safe(v))
        (void)str_copy(out, size, v);
}

static bool holds(const struct match_values *m, const json_t *body)
{
    if (m->at == NULL || body == NULL)
        return false;
    struct str v = json_text(json_at(body, str_c(m->at)));
    for (size_t i = 0; i < m->n; i++) {
        if (v.n > 0 && str_eq_c(v, m->value[i]))
            return true;
    }
    return false;
}

/* The connector lists error codes, and statuses as text ("401"), that ask for re-authentication. */
static bool asks_reauth(const struct connector *c, int status, const char *code)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", status);
    for (size_t i = 0; i < c->n_reauth; i++) {
        if (strcmp(c->reauth[i], code) == 0 || strcmp(c->reauth[i], number) == 0)
            return true;
    }
    return false;
}

static enum answer_class class_2xx(const struct connector *c, const struct operation *op,
                                   const json_t *body, const char *code)
{
    /* unless the vendor is known for it, a field of this name may be the agent's own data, echoed
     */
    if (c->error_in_2xx && code[0] != '\0')
        return asks_reauth(c, 200, code) ? ANSWER_REAUTH : ANSWER_FAILED;
    if (op != NULL && holds(&op->declined, body))
        return ANSWER_DECLINED;
    if (op != NULL && holds(&op->user_action, body))
        return ANSWER_REAUTH;
    /* where the body decides, one that cannot be read decides nothing */
    bool body_decides = op != NULL && (op->declined.at != NULL || op->user_action.at != NULL);
    return body_decides && body == NULL ? ANSWER_UNCLEAR : ANSWER_SUCCEEDED;
}

static enum answer_class class_of(const struct connector *c, const struct operation *op, int status,
                                  const json_t *body, const char *code)
{
    if (status >= 200 && status < 300)
        return class_2xx(c, op, body, code);
    if (status == 429)
        return ANSWER_RATE_LIMITED;
    /* 408 may come from something before the provider that had already passed the request on */
    if (status >= 400 && status < 500 && status != 408)
        return asks_reauth(c, status, code) ? ANSWER_REAUTH : ANSWER_FAILED;
    /* 5xx, redirects (a 303 follows an effect), nonsense: only for reads is it certain */
    return operation_is_read(op) ? ANSWER_FAILED : ANSWER_UNCLEAR;
}

void connector_read_answer(const struct connector *c, const struct operation *op, int status,
                           const json_t *headers, const json_t *body, struct answer *ret)
{
    struct answer a = {0};

    text_at(body, c->error_code, a.error_code, sizeof a.error_code);
    request_id(c, headers, body, a.provider_request_id, sizeof a.provider_request_id);
    a.class = class_of(c, op, status, body, a.error_code);
    if (a.class == ANSWER_SUCCEEDED)
        a.error_code[0] = '\0';
    *ret = a;
}

/* Writes s as the inside of a JSON string. */
static void put_inside(struct buf *out, const char *s)
{
    struct buf quoted;
    buf_init(&quoted, 0);
    json_escape(&quoted, str_c(s));
    if (buf_err(&quoted) == ERR_OK && quoted.n >= 2)
        buf_put(out, quoted.p + 1, quoted.n - 2);
    else
        out->bad = true;
    buf_free(&quoted);
}

int connector_error_body(const struct connector *c, const char *code, const char *message,
                         const char *action, struct buf *out)
{
    const struct {
        struct str name;
        const char *value;
    } slot[] = {{STR("${code}"), code}, {STR("${message}"), message}, {STR("${action}"), action}};
    const size_t n = sizeof slot / sizeof slot[0];
    struct str rest = str_c(c->error_body);

    while (rest.n > 0) {
        size_t i = 0;
        while (i < n && !str_starts(rest, slot[i].name))
            i++;
        if (i < n)
            put_inside(out, slot[i].value);
        else
            buf_ch(out, rest.p[0]);
        rest = str_sub(rest, i < n ? slot[i].name.n : 1, rest.n);
    }
    return buf_err(out);
}
