/* Structs to fields and back. A row of a table names one member; the writer and the reader both
 * follow it. Refuses numbers outside a row's range and texts longer than the member that takes
 * them. */
#include "keeper/messages.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/secret.h"
#include "keeper/keeper_client.h"

enum kind {
    TEXT,   /* struct str, borrowed from the frame */
    CHARS,  /* char array of `limit` bytes with NUL */
    SMALL,  /* int or enum from 0 to `limit` */
    NUMBER, /* int64_t */
    FLAG,   /* bool */
};
struct field {
    enum kind kind;
    size_t at;
    int64_t limit;
};
#define ROWS(t) (t), sizeof(t) / sizeof *(t)
#define SIZE_OF(type, member) ((int64_t)sizeof(((type *)0)->member))

#define AT(type, member) offsetof(struct type, member)
static const struct field order_rows[] = {
    {TEXT, AT(exec_order, about.action), 0},
    {TEXT, AT(exec_order, about.workspace), 0},
    {TEXT, AT(exec_order, about.agent), 0},
    {TEXT, AT(exec_order, about.connection), 0},
    {NUMBER, AT(exec_order, about.revision), 0},
    {SMALL, AT(exec_order, about.tier), 3},
    {TEXT, AT(exec_order, about.quorum), 0},
    {TEXT, AT(exec_order, about.evidence), 0},
    {TEXT, AT(exec_order, about.payload_hash), 0},
    {NUMBER, AT(exec_order, about.decide_by), 0},
    {NUMBER, AT(exec_order, about.execute_by), 0},
    {TEXT, AT(exec_order, about.nonce), 0},
    {NUMBER, AT(exec_order, attempt), 0},
    {TEXT, AT(exec_order, request), 0},
    {TEXT, AT(exec_order, credential), 0},
    {TEXT, AT(exec_order, idem_key), 0},
    {TEXT, AT(exec_order, epoch), 0},
    {TEXT, AT(exec_order, grant), 0},
    {FLAG, AT(exec_order, may_stream), 0},
};
static const struct field vote_rows[] = {
    {TEXT, AT(vote, binding), 0},
    {TEXT, AT(vote, person), 0},
    {SMALL, AT(vote, decision), VOTE_REJECT},
    {NUMBER, AT(vote, at), 0},
    {NUMBER, AT(vote, auth_time), 0},
    {TEXT, AT(vote, session), 0},
    {TEXT, AT(vote, evidence), 0},
    {TEXT, AT(vote, mac), 0},
};
#define CHARS_OF(type, member)                                             \
    {                                                                      \
        CHARS, offsetof(struct type, member), SIZE_OF(struct type, member) \
    }
static const struct field ending_rows[] = {
    CHARS_OF(keeper_result, action),
    CHARS_OF(keeper_result, workspace),
    {NUMBER, AT(keeper_result, revision), 0},
    {NUMBER, AT(keeper_result, attempt), 0},
    {SMALL, AT(keeper_result, kind), RESULT_REFUSED},
    {SMALL, AT(keeper_result, refusal), INT_MAX},
    CHARS_OF(keeper_result, detail),
    {SMALL, AT(keeper_result, answer.class), ANSWER_FAILED},
    CHARS_OF(keeper_result, answer.error_code),
    CHARS_OF(keeper_result, answer.provider_request_id),
    {SMALL, AT(keeper_result, status), 999},
    {NUMBER, AT(keeper_result, body_bytes), 0},
    {FLAG, AT(keeper_result, body_omitted), 0},
    CHARS_OF(keeper_result, executed_hash),
    {NUMBER, AT(keeper_result, started_at), 0},
    {NUMBER, AT(keeper_result, ended_at), 0},
};
static const struct field deliver_rows[] = {
    {TEXT, AT(deliver_order, id), 0},          {TEXT, AT(deliver_order, workspace), 0},
    {TEXT, AT(deliver_order, agent), 0},       {TEXT, AT(deliver_order, url), 0},
    {TEXT, AT(deliver_order, webhook_id), 0},  {TEXT, AT(deliver_order, body), 0},
    {NUMBER, AT(deliver_order, timestamp), 0},
};
static const struct field delivered_rows[] = {
    CHARS_OF(delivered, id),
    {SMALL, AT(delivered, status), 999},
    {SMALL, AT(delivered, err), INT_MAX},
    CHARS_OF(delivered, detail),
};
static const struct field revocation_rows[] = {
    {SMALL, AT(revocation, kind), FREEZE_OPERATION},
    {TEXT, AT(revocation, workspace), 0},
    {TEXT, AT(revocation, id), 0},
    {NUMBER, AT(revocation, until), 0},
    {FLAG, AT(revocation, on), 0},
};
static const struct field identity_rows[] = {
    CHARS_OF(keeper_identity, id),
    CHARS_OF(keeper_identity, epoch),
    {NUMBER, AT(keeper_identity, epoch_started), 0},
    {NUMBER, AT(keeper_identity, roster_version), 0},
};
static const struct field fail_rows[] = {
    {SMALL, AT(fail, err), INT_MAX},
    CHARS_OF(fail, field),
    CHARS_OF(fail, detail),
};
/* SMALL members are read and written as int. */
_Static_assert(sizeof(enum result_kind) == sizeof(int) &&
                   sizeof(enum vote_decision) == sizeof(int) &&
                   sizeof(enum answer_class) == sizeof(int) &&
                   sizeof(enum revoke_kind) == sizeof(int),
               "enums are ints");

static void put(struct buf *b, const struct field *row, size_t n, const void *from)
{
    for (size_t i = 0; i < n; i++) {
        const void *p = (const char *)from + row[i].at;
        int small = 0;
        switch (row[i].kind) {
        case TEXT:
            wire_text(b, *(const struct str *)p);
            break;
        case CHARS:
            wire_text(b, str_c(p));
            break;
        case SMALL:
            memcpy(&small, p, sizeof small);
            wire_u32(b, (uint32_t)small);
            break;
        case NUMBER:
            wire_i64(b, *(const int64_t *)p);
            break;
        case FLAG:
            wire_u8(b, *(const bool *)p);
            break;
        }
    }
}

static void get_small(struct wire_in *in, const struct field *row, void *p)
{
    uint32_t v = wire_get_u32(in);
    if ((int64_t)v > row->limit)
        in->bad = true;
    int small = in->bad ? 0 : (int)v;
    memcpy(p, &small, sizeof small);
}

static void get(struct wire_in *in, const struct field *row, size_t n, void *to)
{
    for (size_t i = 0; i < n; i++) {
        void *p = (char *)to + row[i].at;
        switch (row[i].kind) {
        case TEXT:
            *(struct str *)p = wire_get_text(in);
            break;
        case CHARS:
            if (!str_copy(p, (size_t)row[i].limit, wire_get_text(in)))
                in->bad = true;
            break;
        case SMALL:
            get_small(in, &row[i], p);
            break;
        case NUMBER:
            *(int64_t *)p = wire_get_i64(in);
            break;
        case FLAG:
            *(bool *)p = wire_get_bool(in);
            break;
        }
    }
}

void messages_put_order(struct buf *b, const struct exec_order *o)
{
    put(b, ROWS(order_rows), o);
    wire_u32(b, (uint32_t)o->n_votes);
    for (size_t i = 0; i < o->n_votes; i++)
        put(b, ROWS(vote_rows), &o->vote[i]);
}

int messages_get_order(struct wire_in *in, struct exec_order *ret, struct vote **ret_votes)
{
    struct exec_order o = {0};
    get(in, ROWS(order_rows), &o);
    o.n_votes = wire_get_u32(in);
    if (in->bad || o.n_votes > MESSAGES_VOTES)
        return ERR_MALFORMED;
    struct vote *vote = calloc(o.n_votes + 1, sizeof *vote);
    if (!vote)
        return ERR_NOMEM;
    for (size_t i = 0; i < o.n_votes; i++)
        get(in, ROWS(vote_rows), &vote[i]);
    if (!wire_done(in)) {
        free(vote);
        return ERR_MALFORMED;
    }
    o.vote = vote;
    *ret = o;
    *ret_votes = vote;
    return 0;
}

/* The structs that are their rows and nothing else. */
#define PAIR(name, type)                                      \
    void messages_put_##name(struct buf *b, const type *from) \
    {                                                         \
        put(b, ROWS(name##_rows), from);                      \
    }                                                         \
    void messages_get_##name(struct wire_in *in, type *ret)   \
    {                                                         \
        get(in, ROWS(name##_rows), ret);                      \
    }
PAIR(ending, struct keeper_result)
PAIR(deliver, struct deliver_order)
PAIR(delivered, struct delivered)
PAIR(revocation, struct revocation)

void messages_put_result(struct buf *b, const struct keeper_result *r)
{
    struct buf headers = {0};
    put(b, ROWS(ending_rows), r);
    if (r->headers && json_write(r->headers, &headers))
        b->bad = true;
    wire_text(b, buf_view(&headers));
    wire_text(b, buf_view(&r->body));
    buf_free(&headers);
}

int messages_get_result(struct wire_in *in, struct keeper_result *ret)
{
    struct keeper_result r = {0};
    get(in, ROWS(ending_rows), &r);
    struct str headers = wire_get_text(in), body = wire_get_text(in);
    int err = wire_done(in) ? 0 : ERR_MALFORMED;
    if (!err && headers.n > 0)
        err = json_read(headers, &r.headers, NULL);
    if (!err && body.n > 0) {
        buf_str(&r.body, body);
        err = buf_err(&r.body);
    }
    if (err) {
        keeper_result_free(&r);
        return err;
    }
    *ret = r;
    return 0;
}

void keeper_result_free(struct keeper_result *r)
{
    json_decref(r->headers);
    buf_free(&r->body);
    *r = (struct keeper_result){0};
}

void messages_put_identity(struct buf *b, const struct keeper_identity *who,
                           const char *policy_digest, const char *connectors_digest)
{
    wire_text(b, str_c(policy_digest));
    wire_text(b, str_c(connectors_digest));
    put(b, ROWS(identity_rows), who);
    wire_u32(b, who->mac_version);
    wire_u32(b, (uint32_t)who->n_macs);
    for (size_t i = 0; i < who->n_macs; i++) {
        wire_u32(b, who->mac_number[i]);
        wire_text(b, (struct str){(const char *)who->mac_key[i], KEY_BYTES});
    }
}

int messages_get_identity(struct wire_in *in, struct keeper_identity *ret, struct str *ret_policy,
                          struct str *ret_connectors)
{
    struct keeper_identity who = {0};
    struct str policy = wire_get_text(in), connectors = wire_get_text(in);
    get(in, ROWS(identity_rows), &who);
    who.mac_version = wire_get_u32(in);
    uint32_t n = wire_get_u32(in);
    if (n == 0 || n > KEY_VERSIONS)
        in->bad = true;
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        who.mac_number[i] = wire_get_u32(in);
        struct str key = wire_get_text(in);
        if (key.n != KEY_BYTES) {
            in->bad = true;
            break;
        }
        who.mac_key[i] = secret_alloc(KEY_BYTES);
        memcpy(who.mac_key[i], key.p, KEY_BYTES);
        who.n_macs = i + 1;
    }
    if (!wire_done(in)) {
        keeper_identity_free(&who);
        return ERR_MALFORMED;
    }
    *ret = who;
    *ret_policy = policy;
    *ret_connectors = connectors;
    return 0;
}

void keeper_identity_free(struct keeper_identity *who)
{
    for (size_t i = 0; i < who->n_macs; i++)
        secret_free(who->mac_key[i]);
    *who = (struct keeper_identity){0};
}

void messages_put_fail(struct buf *b, int err, const struct fail *f)
{
    struct fail sent = *f;
    sent.err = err;
    put(b, ROWS(fail_rows), &sent);
}

int messages_get_fail(struct wire_in *in, struct fail *f)
{
    struct fail got = {.position = -1};
    get(in, ROWS(fail_rows), &got);
    if (!wire_done(in) || got.err == 0)
        return ERR_MALFORMED;
    if (f)
        *f = got;
    return got.err;
}
