/* What an approval is about, as bytes. The binding is the hash of everything that must not change
 * between a person's click and the send; votes and grants are over it. gate and keeper make it from
 * the same struct with the same code. DESIGN.md section 6. */
#ifndef CS_POLICY_BINDING_H
#define CS_POLICY_BINDING_H

#include "base/canon.h"
#include "base/id.h"

struct binding {
    struct str action, workspace, agent, connection; /* ids */
    int64_t revision;
    int tier;
    struct str quorum;   /* RFC 8785 text of the quorum list */
    struct str evidence; /* "session" or "passkey" */
    struct str payload_hash;
    int64_t decide_by, execute_by; /* ms */
    struct str nonce;              /* 32 hex digits */
};
CS_CHECK int binding_hash(const struct binding *b, char out[HASH_TEXT]);

/* A person's decision on one revision. */
enum vote_decision { VOTE_NONE = 0, VOTE_APPROVE, VOTE_REJECT };
#define MAC_TEXT 80 /* "<key version>:" + 64 hex + NUL */
struct vote {
    struct str binding; /* hash text */
    struct str person;  /* apr_ id */
    enum vote_decision decision;
    int64_t at;          /* when cast */
    int64_t auth_time;   /* when the session's person last proved who they are */
    struct str session;  /* session id (not the cookie) */
    struct str evidence; /* "session" */
    struct str mac;      /* over all of the above; see vote_mac */
};
/* MAC under a key that is not in the database (keeper's, given to gate at start). */
CS_CHECK int vote_mac(const unsigned char *key, uint32_t key_version, const struct vote *v,
                      char out[MAC_TEXT]);
/* MAC over several texts, each length-prefixed, for sessions and the like. */
void mac_text(const unsigned char *key, uint32_t key_version, const char *context,
              const struct str *part, size_t n, char out[MAC_TEXT]);

#endif
