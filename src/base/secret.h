/* Keys in memory that is locked, guarded, left out of core files and wiped when freed
 * (sodium_malloc), and the files they come from. Nothing here prints a key. */
#ifndef CS_BASE_SECRET_H
#define CS_BASE_SECRET_H

#include "base/err.h"
#include "base/str.h"

#define KEY_BYTES 32
#define KEY_VERSIONS 16

/* A key file: versions, the newest last. Text, one line a version: "<number> <64 hex digits>",
 * numbers rising; '#' starts a comment line. Rotating a key adds a line. */
struct keyring {
    size_t n;
    uint32_t version[KEY_VERSIONS];
    unsigned char *key[KEY_VERSIONS]; /* KEY_BYTES each, secret memory */
};

/* Reads `path`, which must be a regular file of mode 0600 (or 0400) owned by this user or root.
 * A path that starts with "credential:" is taken from $CREDENTIALS_DIRECTORY (systemd). */
CS_CHECK int keyring_read(const char *path, struct keyring *ret, struct fail *f);
void keyring_free(struct keyring *k);
const unsigned char *keyring_find(const struct keyring *k, uint32_t version); /* NULL if absent */
uint32_t keyring_newest(const struct keyring *k);
/* Writes a new key file with version 1, mode 0600; refuses to overwrite. */
CS_CHECK int keyring_create(const char *path, struct fail *f);

/* Subkey for a purpose: crypto_generichash keyed with `key` over the context and data. */
void key_derive(unsigned char out[KEY_BYTES], const unsigned char *key, const char *context,
                struct str data);

void *secret_alloc(size_t n); /* never NULL: ends the process without memory */
void secret_free(void *p);
void secret_wipe(void *p, size_t n);

#endif
