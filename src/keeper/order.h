/* What gate asks of keeper and what comes back: the structs behind EXECUTE, GRANT, RESULT, DELIVER.
 * Encoding and decoding of both sides stand together in messages.c. Texts in orders are borrowed;
 * results own their memory. */
#ifndef CS_KEEPER_ORDER_H
#define CS_KEEPER_ORDER_H

#include "connector/connector.h"
#include "keeper/wire.h"
#include "policy/binding.h"

/* One upstream call that gate wants made. For tiers 0 and 1 (as keeper derives them itself) votes,
 * grant and binding are not needed and are empty. */
struct exec_order {
    struct binding about; /* action, workspace, agent, connection, revision, tier, quorum, evidence,
                             payload_hash, decide_by, execute_by, nonce */
    int64_t attempt;      /* from 1; a grant serves one */
    struct str request;   /* canonical payload */
    struct str credential; /* the connection's sealed secrets */
    struct str idem_key;   /* "" where the operation has none */
    struct str epoch;      /* keeper's, as HELLO_OK gave it when the intent was written down */
    struct str grant;      /* "" for tiers 0 and 1 */
    const struct vote *vote;
    size_t n_votes;
    bool may_stream; /* answers over limit_answer are streamed instead of cut */
};

/* How an attempt ended. Zero is the one that promises nothing. */
enum result_kind {
    RESULT_UNKNOWN = 0, /* bytes may have left, no whole answer came */
    RESULT_ANSWERED,    /* a whole answer came; `answer` says what it means */
    RESULT_NOT_SENT,    /* keeper attests that no byte of it left */
    RESULT_REFUSED,     /* keeper would not; nothing was sent; `refusal` says why */
};
struct keeper_result {
    char action[ID_SIZE], workspace[33];
    int64_t revision, attempt;
    enum result_kind kind;
    int refusal; /* ERR_K_... with RESULT_REFUSED; the reason with RESULT_NOT_SENT (ERR_IO ...) */
    char detail[160]; /* for people: "connection refused by api.example:443"; no secrets */
    struct answer answer;
    int status;         /* HTTP status, 0 where there is none */
    json_t *headers;    /* [[name, value]], names in lower case, only what the connector passes on,
                           plus content-type, retry-after and normalised ratelimit-*; owned */
    struct buf body;    /* owned; the connection's secrets in it are blanked */
    int64_t body_bytes; /* as received, even where not kept */
    bool body_omitted;  /* over the cap, streamed, or lost with a keeper that died */
    char executed_hash[HASH_TEXT]; /* of the request that keeper built, before it injected anything
                                    */
    int64_t started_at, ended_at;
};
void keeper_result_free(struct keeper_result *r);

struct deliver_order {
    struct str id; /* delivery id, comes back in DELIVERED */
    struct str workspace, agent, url, webhook_id, body;
    int64_t timestamp; /* ms; signed as seconds */
};
struct delivered {
    char id[ID_SIZE];
    int status; /* HTTP status, 0 where none came */
    int err;    /* 0, or why nothing was sent */
    char detail[160];
};

enum revoke_kind {
    REVOKE_NONE = 0,
    REVOKE_ACTION,
    REVOKE_PERSON,
    REVOKE_SESSION,
    FREEZE_WORKSPACE,
    FREEZE_AGENT,
    FREEZE_CONNECTION,
    FREEZE_OPERATION, /* id is "connector/operation" */
};
struct revocation {
    enum revoke_kind kind;
    struct str workspace, id;
    int64_t until; /* forgotten after; INT64_MAX for a freeze, which stays until released */
    bool on;       /* false: release (freezes only) */
};

/* What keeper says of itself. */
struct keeper_identity {
    char id[33], epoch[33];
    int64_t epoch_started; /* votes cast before count for nothing: the journal that knew of them is
                              gone */
    int64_t roster_version;
    uint32_t mac_version; /* newest */
    size_t n_macs;
    uint32_t mac_number[16];
    unsigned char *mac_key[16]; /* KEY_BYTES each, secret memory */
};

/* What keeper knows of an attempt. */
enum attempt_state {
    ATTEMPT_SENT_UNKNOWN = 0, /* journal: SENT without DONE, or the epoch is another */
    ATTEMPT_NONE,             /* no entry in this epoch: nothing was sent */
    ATTEMPT_IN_FLIGHT,        /* its RESULT will come */
    ATTEMPT_DONE,             /* ended; the result is given along */
};

#endif
