/* Actions read back from their rows, and what the state names mean. It never writes one: that is
 * life_advance()'s alone. */
#include "life/action.h"

#include <sodium.h>
#include <stdlib.h>

struct state_row {
    const char *text;
    bool ended, settled;
};
static const struct state_row states[STATE_COUNT] = {
#define STATE(name, text, ended, settled) [STATE_##name] = {text, ended, settled},
#define MOVE(event, from, to, by, audit)
#include "life/life.def"
#undef STATE
#undef MOVE
};

const char *state_text(enum state s)
{
    CS_ASSERT(s >= 0 && s < STATE_COUNT);
    return states[s].text;
}

bool state_parse(struct str s, enum state *ret)
{
    for (int i = STATE_PENDING; i < STATE_COUNT; i++)
        if (str_eq_c(s, states[i].text)) {
            *ret = (enum state)i;
            return true;
        }
    return false;
}

bool state_ended(enum state s)
{
    return states[s].ended;
}

bool state_settled(enum state s)
{
    return states[s].settled;
}

const char *state_outcome(enum state s)
{
    switch (s) {
    case STATE_SUCCEEDED:
        return "success";
    case STATE_FAILED:
        return "error";
    case STATE_DECLINED:
        return "declined_by_provider";
    case STATE_REJECTED:
        return "rejected_by_human";
    case STATE_EXPIRED:
        return "expired";
    case STATE_CANCELLED:
        return "cancelled";
    case STATE_DENIED:
        return "denied_by_policy";
    case STATE_UNKNOWN:
        return "in_doubt";
    case STATE_NEW:
    case STATE_PENDING:
    case STATE_APPROVED:
    case STATE_SENDING:
    case STATE_BLOCKED:
    case STATE_COUNT:
        break;
    }
    return NULL;
}

/* Columns of ACTION_COLUMNS in their order: texts and numbers by where they go. */
enum column_type { TEXT, NUMBER, TIER, STATE };
struct column {
    enum column_type type;
    size_t offset;
};
#define T(field)                             \
    {                                        \
        TEXT, offsetof(struct action, field) \
    }
#define N(field)                               \
    {                                          \
        NUMBER, offsetof(struct action, field) \
    }
static const struct column columns[] = {
    T(id),
    T(agent),
    T(connection),
    T(connector),
    T(operation),
    T(product),
    T(method),
    T(path),
    T(account),
    {STATE, offsetof(struct action, state)},
    T(error_code),
    {TIER, offsetof(struct action, tier)},
    N(revision),
    N(attempt),
    T(payload_hash),
    T(join_hash),
    T(binding),
    T(nonce),
    T(quorum),
    T(evidence),
    T(reasons),
    T(policy_digest),
    T(idempotency_key),
    T(thread),
    T(attempt_of),
    N(proposed_at),
    N(decide_by),
    N(execute_by),
    N(decided_at),
    N(ended_at),
    N(told_at),
    T(executed_payload_hash),
    T(provider_request_id),
    T(rejected_by),
    T(rejection_reason),
    T(rejection_option),
    T(reauth_reason),
    T(reauth_url),
    N(reauth_expires_at),
    N(given),
    N(changed_seq),
    N(epoch),
    T(approvers),
};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

/* A row whose state is no state was not written by this program: refused, never guessed. */
static int read_row(struct store_rows *rows, struct arena *a, struct str workspace,
                    struct action *ret)
{
    *ret = (struct action){.workspace = arena_str(a, workspace)};
    for (size_t i = 0; i < N_COLUMNS; i++) {
        char *at = (char *)ret + columns[i].offset;
        switch (columns[i].type) {
        case TEXT:
            *(struct str *)(void *)at = arena_str(a, store_text(rows, (int)i));
            break;
        case NUMBER:
            *(int64_t *)(void *)at = store_int(rows, (int)i);
            break;
        case TIER:
            ret->tier = (int)store_int(rows, (int)i);
            break;
        case STATE:
            if (!state_parse(store_text(rows, (int)i), &ret->state))
                return ERR_STORE;
            break;
        }
    }
    if (ret->tier < 0 || ret->tier > 3)
        return ERR_STORE;
    return arena_overflowed(a) ? ERR_NOMEM : 0;
}

int action_load(struct store_tx *tx, struct arena *a, struct str workspace, struct str id,
                struct action *ret)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_ACTION_GET, &rows, V_TEXT(workspace), V_TEXT(id));
    if (r == 0)
        r = store_next(rows);
    struct action act;
    if (r == 0)
        r = read_row(rows, a, workspace, &act);
    if (r == 0) {
        act.sealed_request = arena_str(a, store_text(rows, (int)N_COLUMNS));
        act.sealed_extra = arena_str(a, store_text(rows, (int)N_COLUMNS + 1));
        act.sealed_result = arena_str(a, store_text(rows, (int)N_COLUMNS + 2));
        r = arena_overflowed(a) ? ERR_NOMEM : 0;
    }
    store_end(rows);
    if (r == 0)
        *ret = act;
    return r == ERR_DONE ? ERR_NOT_FOUND : r;
}

static int each_row(struct store_rows *rows, struct arena *a, struct str workspace, action_fn *fn,
                    void *arg)
{
    int r;
    while ((r = store_next(rows)) == 0) {
        struct action act;
        r = read_row(rows, a, workspace, &act);
        if (r == 0)
            r = fn(arg, &act);
        if (r != 0)
            break;
    }
    store_end(rows);
    return r == ERR_DONE ? 0 : r;
}

int action_list(struct store_tx *tx, struct arena *a, const struct action_filter *flt,
                action_fn *fn, void *arg)
{
    struct store_rows *rows = NULL;
    int r;
    if (flt->agent.n > 0) {
        r = STORE_SELECT(tx, Q_ACTION_OF_AGENT, &rows, V_TEXT(flt->workspace), V_TEXT(flt->agent),
                         V_TEXT(flt->before), V_TEXT(flt->status), V_TEXT(flt->thread),
                         V_INT(flt->limit));
    } else {
        char *needle = arena_cstr(a, flt->search);
        for (char *p = needle; *p != '\0'; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + 32);
        r = STORE_SELECT(tx, Q_ACTION_OF_WORKSPACE, &rows, V_TEXT(flt->workspace),
                         V_TEXT(flt->before), V_TEXT(flt->status), V_TEXT(flt->thread),
                         V_INT(flt->ended_only ? 1 : 0), V_C(needle), V_INT(flt->limit));
    }
    return r != 0 ? r : each_row(rows, a, flt->workspace, fn, arg);
}

int action_urgent(struct store_tx *tx, struct arena *a, struct str workspace, struct str after,
                  int64_t limit, action_fn *fn, void *arg)
{
    uint64_t due = 0;
    struct str id = {"", 0};
    if (after.n > 0) {
        size_t colon = str_find(after, ':', 0);
        if (!str_u64(str_sub(after, 0, colon), &due) || due > INT64_MAX)
            return ERR_MALFORMED;
        id = str_sub(after, colon + 1, after.n);
    }
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_ACTION_URGENT, &rows, V_TEXT(workspace), V_INT(due), V_TEXT(id),
                         V_INT(limit));
    return r != 0 ? r : each_row(rows, a, workspace, fn, arg);
}

int action_changed(struct store_tx *tx, struct arena *a, struct str workspace, struct str agent,
                   int64_t after_seq, int64_t limit, action_fn *fn, void *arg)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_ACTION_CHANGED, &rows, V_TEXT(workspace), V_TEXT(agent),
                         V_INT(after_seq), V_INT(limit));
    return r != 0 ? r : each_row(rows, a, workspace, fn, arg);
}

static enum vote_decision decision_parse(struct str s)
{
    if (str_eq_c(s, "approve"))
        return VOTE_APPROVE;
    return str_eq_c(s, "reject") ? VOTE_REJECT : VOTE_NONE;
}

static void read_vote(struct store_rows *rows, struct arena *a, struct action_vote *v)
{
    *v = (struct action_vote){
        .person = arena_str(a, store_text(rows, 0)),
        .decision = decision_parse(store_text(rows, 1)),
        .at = store_int(rows, 2),
        .auth_time = store_int(rows, 3),
        .reason = arena_str(a, store_text(rows, 4)),
        .option = arena_str(a, store_text(rows, 5)),
        .binding = arena_str(a, store_text(rows, 6)),
        .session = arena_str(a, store_text(rows, 7)),
        .evidence = arena_str(a, store_text(rows, 8)),
        .mac = arena_str(a, store_text(rows, 9)),
        .session_gone = store_int(rows, 10) != 0,
    };
}

int action_votes(struct store_tx *tx, struct arena *a, const struct action *act,
                 struct action_vote *ret, size_t max, size_t *ret_n)
{
    struct store_rows *rows = NULL;
    int r = STORE_SELECT(tx, Q_VOTES, &rows, V_TEXT(act->workspace), V_TEXT(act->id),
                         V_INT(act->revision), V_INT(max));
    size_t n = 0;
    while (r == 0 && n < max && (r = store_next(rows)) == 0)
        read_vote(rows, a, &ret[n++]);
    store_end(rows);
    *ret_n = n;
    if (r != 0 && r != ERR_DONE)
        return r;
    return arena_overflowed(a) ? ERR_NOMEM : 0;
}

static int unseal(struct vault *v, const struct action *act, const char *column, struct str box,
                  struct buf *ret)
{
    if (box.n == 0)
        return ERR_NOT_FOUND;
    return vault_unseal(v, act->epoch, act->workspace, act->id, column, box, ret);
}

static int unseal_json(struct vault *v, const struct action *act, const char *column,
                       struct str box, json_t **ret)
{
    struct buf text;
    buf_init(&text, 0);
    int r = unseal(v, act, column, box, &text);
    if (r == 0) {
        *ret = json_loadb(text.p != NULL ? text.p : "", text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                          NULL);
        r = *ret != NULL ? 0 : ERR_SEAL;
    }
    buf_wipe(&text);
    return r;
}

int action_request(struct vault *v, const struct action *act, struct buf *ret)
{
    return unseal(v, act, "request", act->sealed_request, ret);
}

int action_extra(struct vault *v, const struct action *act, json_t **ret)
{
    return unseal_json(v, act, "extra", act->sealed_extra, ret);
}

struct binding action_binding(const struct action *a)
{
    return (struct binding){.action = a->id,
                            .workspace = a->workspace,
                            .agent = a->agent,
                            .connection = a->connection,
                            .revision = a->revision,
                            .tier = a->tier,
                            .quorum = a->quorum,
                            .evidence = a->evidence,
                            .payload_hash = a->payload_hash,
                            .decide_by = a->decide_by,
                            .execute_by = a->execute_by,
                            .nonce = a->nonce};
}

/* --- results --------------------------------------------------------------------------------- */

int result_pack(const json_t *meta, struct str body, struct buf *ret)
{
    struct buf text;
    buf_init(&text, 0);
    int r = json_write(meta, &text);
    if (r == 0) {
        unsigned char n[4] = {(unsigned char)(text.n >> 24), (unsigned char)(text.n >> 16),
                              (unsigned char)(text.n >> 8), (unsigned char)text.n};
        buf_put(ret, n, sizeof n);
        buf_str(ret, buf_view(&text));
        buf_str(ret, body);
        r = buf_err(ret);
    }
    buf_free(&text);
    return r;
}

static int unpack(struct str packed, json_t **ret_meta, struct str *ret_body)
{
    const unsigned char *p = (const unsigned char *)packed.p;
    if (packed.n < 4)
        return ERR_SEAL;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > packed.n - 4)
        return ERR_SEAL;
    *ret_meta = json_loadb(packed.p + 4, n, JSON_ALLOW_NUL, NULL);
    *ret_body = str_sub(packed, 4 + n, packed.n);
    return *ret_meta != NULL ? 0 : ERR_SEAL;
}

int action_result(struct vault *v, const struct action *act, json_t **ret_meta,
                  struct buf *ret_body)
{
    struct buf packed;
    buf_init(&packed, 0);
    json_t *meta = NULL;
    struct str body = {"", 0};
    int r = unseal(v, act, "result", act->sealed_result, &packed);
    if (r == 0)
        r = unpack(buf_view(&packed), &meta, &body);
    if (r == 0) {
        buf_str(ret_body, body);
        r = buf_err(ret_body);
    }
    if (r == 0)
        *ret_meta = meta;
    else
        json_decref(meta);
    buf_wipe(&packed);
    return r;
}

static json_t *base64_of(struct str s)
{
    size_t size = sodium_base64_encoded_len(s.n, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    sodium_bin2base64(text, size, (const unsigned char *)s.p, s.n, sodium_base64_VARIANT_ORIGINAL);
    json_t *v = json_string_nocheck(text);
    free(text);
    return v;
}

int result_body_into(json_t *o, struct str body)
{
    json_t *v = NULL;
    if (body.n == 0)
        return json_object_set_new(o, "body", json_null()) == 0 ? 0 : ERR_NOMEM;
    if (json_read(body, &v, NULL) == 0)
        return json_object_set_new(o, "body", v) == 0 ? 0 : ERR_NOMEM;
    bool text = utf8_valid(body) && memchr(body.p, '\0', body.n) == NULL;
    v = text ? json_stringn_nocheck(body.p, body.n) : base64_of(body);
    return json_object_set_new(o, text ? "text" : "base64", v) == 0 ? 0 : ERR_NOMEM;
}
