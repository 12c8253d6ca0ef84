/* Sealing of what rests in the database: payloads, agents' state, results. Each action's key is
 * derived from the key of its epoch (a UTC day); epoch keys lie, wrapped by gate's payload key, in
 * a folder outside the database and its backups, so that destroying one makes every copy
 * unreadable. */
#ifndef CS_STORE_VAULT_H
#define CS_STORE_VAULT_H

#include "base/env.h"
#include "base/buf.h"
#include "base/secret.h"

struct vault;

/* Opens (and makes) the folder; takes the keyring's keys over by reference: it must outlive the
 * vault. */
CS_CHECK int vault_open(const char *dir, const struct keyring *keys, struct vault **ret,
                        struct fail *f);
void vault_close(struct vault *v);
/* The epoch of a time: days since 1970. */
int64_t vault_epoch(int64_t now_ms);
/* Box for (workspace, action, column); opens only for the same. Makes the epoch's key if needed. */
CS_CHECK int vault_seal(struct vault *v, int64_t epoch, struct str workspace, struct str action,
                        const char *column, struct str clear, struct buf *ret);
CS_CHECK int vault_unseal(struct vault *v, int64_t epoch, struct str workspace, struct str action,
                          const char *column, struct str box, struct buf *ret);

#endif
