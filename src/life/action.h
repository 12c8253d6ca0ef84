/* An action as it is stored, and reading it back. Texts live in the arena given. */
#ifndef CS_LIFE_ACTION_H
#define CS_LIFE_ACTION_H

#include "base/arena.h"
#include "base/canon.h"
#include "base/id.h"
#include "policy/binding.h"
#include "store/store.h"
#include "store/vault.h"

enum state {
#define STATE(name, text, ended, settled) STATE_##name,
#define MOVE(event, from, to, by, audit)
#include "life/life.def"
#undef STATE
#undef MOVE
    STATE_COUNT
};
const char *state_text(enum state s);
bool state_parse(struct str s, enum state *ret);
bool state_ended(enum state s);
bool state_settled(enum state s); /* ended, or unknown: a wait is over */
/* "success", "error", ... ; NULL while open ("in_doubt" with unknown). */
const char *state_outcome(enum state s);

struct action {
    struct str workspace, id, agent, connection /* id */, connector, operation /* "" unknown */,
        product, method, path, account;
    enum state state;
    struct str error_code;
    int tier;
    int64_t revision, attempt;
    struct str payload_hash, join_hash, binding, nonce, quorum /* JSON */, evidence,
        reasons /* JSON */, policy_digest;
    struct str idempotency_key, thread, attempt_of;
    int64_t proposed_at, decide_by, execute_by, decided_at, ended_at, told_at; /* 0: not (yet) */
    struct str approvers; /* JSON list of the people whose approval counted, "" before that */
    struct str executed_payload_hash, provider_request_id;
    struct str rejected_by, rejection_reason, rejection_option;
    struct str reauth_reason, reauth_url;
    int64_t reauth_expires_at;
    int64_t given;       /* people whose approval counted when last counted */
    int64_t changed_seq; /* audit number of its latest change: orders server-sent events */
    int64_t epoch;
    struct str sealed_request, sealed_extra, sealed_result; /* "" in lists */
};

/* The whole row. ERR_NOT_FOUND where there is none. */
CS_CHECK int action_load(struct store_tx *tx, struct arena *a, struct str workspace, struct str id,
                         struct action *ret);

/* Lists, newest first unless said otherwise; sealed columns are left out. fn's non-zero return
 * stops and is returned. `before` is an exclusive id cursor ("" from the newest). */
typedef int action_fn(void *arg, const struct action *a);
struct action_filter {
    struct str workspace;
    struct str agent;  /* "" any */
    struct str status; /* "" any; a state's text */
    struct str thread; /* "" any */
    struct str search; /* "" any; part of operation, connector, id, path, state or connection id */
    bool ended_only;   /* decided: no longer pending */
    struct str before;
    int64_t limit;
};
CS_CHECK int action_list(struct store_tx *tx, struct arena *a, const struct action_filter *flt,
                         action_fn *fn, void *arg);
/* Pending ones, most urgent first (least decide_by), after the cursor "<decide_by>:<id>" (""
 * first). */
CS_CHECK int action_urgent(struct store_tx *tx, struct arena *a, struct str workspace,
                           struct str after, int64_t limit, action_fn *fn, void *arg);
/* Actions of an agent ("" all) changed after the audit number, oldest change first. */
CS_CHECK int action_changed(struct store_tx *tx, struct arena *a, struct str workspace,
                            struct str agent, int64_t after_seq, int64_t limit, action_fn *fn,
                            void *arg);

struct action_vote {
    struct str person;
    enum vote_decision decision;
    int64_t at, auth_time;
    struct str reason, option, binding, session, evidence, mac;
    bool session_gone; /* the session it was cast in was revoked, or its row is not there */
};
/* Votes on a revision in the order cast; at most `max` are filled. */
CS_CHECK int action_votes(struct store_tx *tx, struct arena *a, const struct action *act,
                          struct action_vote *ret, size_t max, size_t *ret_n);

/* What an approval of it is about. */
struct binding action_binding(const struct action *a);

/* Opens sealed columns. extra: {"note":...,"state":...}. ERR_NOT_FOUND where the column is empty.
 */
CS_CHECK int action_request(struct vault *v, const struct action *act, struct buf *ret);
CS_CHECK int action_extra(struct vault *v, const struct action *act, json_t **ret);
/* The provider's answer: meta is {"status","headers","body_omitted","body_bytes"}, the body its
 * very bytes. */
CS_CHECK int action_result(struct vault *v, const struct action *act, json_t **ret_meta,
                           struct buf *ret_body);
/* The sealed column's clear form: u32 length of the meta text (big-endian), meta text, body bytes.
 */
CS_CHECK int result_pack(const json_t *meta, struct str body, struct buf *ret);
/* "body", "text" or "base64" as the bytes allow, set in o. */
CS_CHECK int result_body_into(json_t *o, struct str body);

#endif
