/* gate's side of the keeper's socket. Calls that answer at once block the calling worker (at most
 * KEEPER_CALL_MS); upstream calls and deliveries come back on the results thread. Safe from any
 * thread. When keeper dies, blocked calls fail with ERR_KEEPER, and the owner gives a fresh socket.
 */
#ifndef CS_KEEPER_KEEPER_CLIENT_H
#define CS_KEEPER_KEEPER_CLIENT_H

#include "keeper/order.h"

#define KEEPER_CALL_MS 10000

struct keeper_client;

struct keeper_events {
    void *arg;
    /* All on the results thread, one at a time. on_result owns *r and must free it. */
    void (*on_result)(void *arg, struct keeper_result *r);
    /* An answer too large to keep streams over fd (owned by the callee); its RESULT follows at the
     * end. */
    void (*on_head)(void *arg, struct keeper_result *r, int fd);
    void (*on_delivered)(void *arg, const struct delivered *d);
    /* The socket is gone; everything in flight is in question until keeper_client_bind. */
    void (*on_lost)(void *arg);
};

CS_CHECK int keeper_client_new(const struct keeper_events *ev, struct keeper_client **ret);
/* Ends the results thread: no event comes after it. What is still said to keeper is dropped. */
void keeper_client_stop(struct keeper_client *kc);
void keeper_client_free(struct keeper_client *kc); /* NULL is fine; stops it first */
/* Takes a connected socket (owned), says HELLO, fills *who. Called at start and after on_lost.
 * ERR_CONFLICT when keeper's policy or connectors are not those of the digests given. */
CS_CHECK int keeper_client_bind(struct keeper_client *kc, int fd, const char *policy_digest,
                                const char *connectors_digest, struct keeper_identity *who,
                                struct fail *f);
void keeper_identity_free(struct keeper_identity *who);

CS_CHECK int keeper_roster_load(struct keeper_client *kc, struct str sealed, struct buf *ret_doc,
                                struct fail *f);
CS_CHECK int keeper_roster_put(struct keeper_client *kc, struct str doc, struct buf *ret_sealed,
                               int64_t *ret_version, struct fail *f);
CS_CHECK int keeper_roster_commit(struct keeper_client *kc, struct str sealed, struct fail *f);
/* The box opens only for this workspace, connection, base URL and version. */
CS_CHECK int keeper_seal(struct keeper_client *kc, struct str workspace, struct str connection,
                         struct str base_url, int64_t version, struct str secrets, struct buf *ret,
                         struct fail *f);
CS_CHECK int keeper_grant(struct keeper_client *kc, const struct exec_order *o,
                          struct buf *ret_grant, struct fail *f);
/* Hands the order over; its result comes to on_result. An error means that it was not handed over.
 */
CS_CHECK int keeper_execute(struct keeper_client *kc, const struct exec_order *o);
/* Asks what became of an attempt. *ret is filled (and owned) only with ATTEMPT_DONE. */
CS_CHECK int keeper_query(struct keeper_client *kc, struct str workspace, struct str action,
                          int64_t attempt, struct str epoch, enum attempt_state *ret_state,
                          struct keeper_result *ret, struct fail *f);
void keeper_ack(struct keeper_client *kc, struct str workspace, struct str action, int64_t attempt);
CS_CHECK int keeper_deliver(struct keeper_client *kc, const struct deliver_order *o);
CS_CHECK int keeper_revoke(struct keeper_client *kc, const struct revocation *r);
CS_CHECK int keeper_reload(struct keeper_client *kc, const char *policy_digest,
                           const char *connectors_digest, struct fail *f);
CS_CHECK int keeper_hook_secret(struct keeper_client *kc, struct str workspace, struct str agent,
                                char out[64], struct fail *f);

#endif
