/* Boxes: bytes that only keeper can open, and only in the place they were made for. XChaCha20-
 * Poly1305 under a subkey of the key-encryption key; the place is the associated data. Format:
 *   "csb1", u32 key version, 24 bytes nonce, ciphertext with tag. */
#ifndef CS_KEEPER_SEAL_H
#define CS_KEEPER_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

enum box_kind { BOX_NONE = 0, BOX_ROSTER, BOX_CREDENTIAL };

struct credential_place {
    struct str workspace, connection, base_url;
    int64_t version;
};

CS_CHECK int seal_credential(const struct keyring *kek, const struct credential_place *at,
                             struct str clear, struct buf *ret);
/* ERR_SEAL unless the box was made for exactly this place. The caller wipes *ret. */
CS_CHECK int seal_open_credential(const struct keyring *kek, const struct credential_place *at,
                                  struct str box, struct buf *ret);
/* A sealed roster is "csr1", i64 version, box; the version is bound into the box. */
CS_CHECK int seal_roster(const struct keyring *kek, int64_t version, struct str clear,
                         struct buf *ret);
CS_CHECK int seal_open_roster(const struct keyring *kek, struct str sealed, int64_t *ret_version,
                              struct buf *ret);

/* The secret that signs an agent's webhooks, as bytes; one for each key version. */
#define HOOK_BYTES 24
void seal_hook_key(const unsigned char *kek, struct str workspace, struct str agent,
                   unsigned char out[HOOK_BYTES]);

#endif
