/* What comes back on /proxy/. Codes and statuses of our own errors are a table; the provider's
 * answer is passed on as it came, less what the connector does not let through (keeper has taken
 * that out). */
#include <stdio.h>

#include "proxy/proxy_answer.h"

/* --- our own errors --------------------------------------------------------------------------- */

int proxy_error(struct exchange *x, const struct connector *c, int status, const char *code,
                const char *message)
{
    buf_clear(&x->out);
    int r = connector_error_body(c, code, message, x->action_id, &x->out);
    if (r == ERR_OK)
        r = buf_err(&x->out);
    if (r != ERR_OK)
        return r;
    x->status = status;
    x->answer_type = "application/json";
    exchange_add_header(x, "Countersign-Error", str_c(code));
    if (x->action_id[0] != '\0')
        exchange_add_header(x, "Countersign-Action", str_c(x->action_id));
    return ERR_OK;
}

/* "connection-not-allowed" as vendors write codes: CONNECTION_NOT_ALLOWED. */
static void upper_code(const char *code, char out[64])
{
    size_t n = 0;
    for (; n < 63 && code[n] != '\0'; n++) {
        char c = code[n];
        out[n] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    out[n] = '\0';
}

int proxy_refuse(struct exchange *x, const struct connector *c, int err, const struct fail *f)
{
    char code[64];
    bool told = f != NULL && f->detail[0] != '\0' && (err_http(err) != 503 || err == ERR_FROZEN);
    upper_code(err_code(err), code);
    if (err_http(err) == 503 || err_http(err) == 429)
        exchange_add_header(x, "Retry-After", STR("10"));
    return proxy_error(x, c, err_http(err), code, told ? f->detail : err_title(err));
}

/* --- the provider's answer -------------------------------------------------------------------- */

static void pass_header(struct exchange *x, const char *name, struct str value)
{
    if (str_eq_nocase(str_c(name), STR("content-type")))
        x->answer_type = arena_cstr(x->arena, value);
    else if (!str_eq_nocase(str_c(name), STR("content-length")) &&
             !str_eq_nocase(str_c(name), STR("transfer-encoding")))
        exchange_add_header(x, name, value);
}

/* [[name, value]], or the stored object. */
static void pass_headers(struct exchange *x, json_t *headers)
{
    x->answer_type = "application/octet-stream";
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const json_t *pair = json_array_get(headers, i);
        pass_header(x, json_string_value(json_array_get(pair, 0)),
                    json_text(json_array_get(pair, 1)));
    }
    for (void *it = json_object_iter(headers); it != NULL; it = json_object_iter_next(headers, it))
        pass_header(x, json_object_iter_key(it), json_text(json_object_iter_value(it)));
    exchange_add_header(x, "Countersign-Action", str_c(x->action_id));
}

static void note_omitted(struct exchange *x, int64_t bytes)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)bytes);
    exchange_add_header(x, "Countersign-Body-Omitted", str_c(text));
}

int proxy_pass(struct exchange *x, const struct keeper_result *r)
{
    pass_headers(x, r->headers);
    if (r->body_omitted)
        note_omitted(x, r->body_bytes);
    buf_clear(&x->out);
    buf_str(&x->out, buf_view(&r->body));
    x->status = r->status;
    return buf_err(&x->out);
}

int proxy_pass_stream(struct exchange *x, const struct keeper_result *head, int fd)
{
    pass_headers(x, head->headers);
    x->status = head->status;
    x->stream_fd = fd;
    x->stream_bytes = -1;
    return ERR_OK;
}

/* ERR_NOT_FOUND where no answer of the provider was kept. The bytes are the provider's own. */
static int pass_stored(struct app *app, struct exchange *x, const struct action *a)
{
    json_t *meta = NULL;
    buf_clear(&x->out);
    int r = action_result(life_vault(app->life), a, &meta, &x->out);
    int status = (int)json_integer_value(json_object_get(meta, "status"));
    if (r == ERR_OK && (status < 100 || status > 599))
        r = ERR_NOT_FOUND;
    if (r == ERR_OK) {
        pass_headers(x, json_object_get(meta, "headers"));
        if (json_is_true(json_object_get(meta, "body_omitted")))
            note_omitted(x, json_integer_value(json_object_get(meta, "body_bytes")));
        x->status = status;
    }
    json_decref(meta);
    return r;
}

/* --- by state --------------------------------------------------------------------------------- */

struct reply {
    int status; /* 0: an answer of the provider's should be there */
    const char *code, *message;
    bool held; /* the connector may want another status */
};
#define HELD(code, message)      \
    {                            \
        428, code, message, true \
    }
static const struct reply replies[STATE_COUNT] = {
    [STATE_PENDING] =
        HELD("APPROVAL_PENDING", "This call waits for approval. The identical call, later, "
                                 "gets the provider's answer."),
    [STATE_APPROVED] =
        HELD("APPROVAL_PENDING", "Approved, not sent yet. Make the identical call later."),
    [STATE_SENDING] = HELD("APPROVAL_PENDING", "Being sent. Make the identical call later."),
    [STATE_BLOCKED] =
        HELD("REAUTH_REQUIRED", "The connection needs to be signed in again; the call "
                                "waits for that."),
    [STATE_REJECTED] = {403, "APPROVAL_REJECTED", "A person rejected this call.", false},
    [STATE_EXPIRED] = {403, "APPROVAL_EXPIRED", "Nobody approved this call in time.", false},
    [STATE_CANCELLED] = {403, "APPROVAL_CANCELLED", "This call was cancelled.", false},
    [STATE_DENIED] = {403, "POLICY_DENIED", "Policy does not allow this call.", false},
    [STATE_UNKNOWN] =
        {409, "OUTCOME_UNKNOWN",
         "The call was sent and nobody knows whether it had its effect. Do not repeat it.", false},
    [STATE_FAILED] = {502, "UPSTREAM_UNREACHABLE",
                      "The provider gave no answer; the call had no effect.", false},
    [STATE_SUCCEEDED] =
        {409, "OUTCOME_UNKNOWN",
         "A person found that the call took effect; the provider's answer was lost.", false},
    [STATE_DECLINED] = {409, "OUTCOME_UNKNOWN", "The provider declined; its answer was lost.",
                        false},
};

static bool may_have_answer(enum state s)
{
    return s == STATE_SUCCEEDED || s == STATE_FAILED || s == STATE_DECLINED;
}

/* A person's words go with a rejection: the agent should know why. */
static const char *message_of(struct exchange *x, const struct action *a, const struct reply *reply)
{
    if (a->state != STATE_REJECTED || a->rejection_reason.n == 0)
        return reply->message;
    const char *text =
        arena_printf(x->arena, "A person rejected this call: %.*s", STR_FMT(a->rejection_reason));
    return arena_overflowed(x->arena) ? reply->message : text;
}

int proxy_answer_state(struct app *app, struct exchange *x, const struct connector *c,
                       const struct action *a)
{
    const struct reply *reply = &replies[a->state];
    if (may_have_answer(a->state)) {
        int r = pass_stored(app, x, a);
        if (r != ERR_NOT_FOUND)
            return r;
    }
    CS_ASSERT(reply->status != 0);
    if (reply->held)
        exchange_add_header(x, "Retry-After", a->state == STATE_PENDING ? STR("10") : STR("2"));
    int status = reply->held && c->pending_status != 0 ? c->pending_status : reply->status;
    return proxy_error(x, c, status, reply->code, message_of(x, a, reply));
}
