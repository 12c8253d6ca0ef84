/* Epoch keys and the boxes made with them. A box is XChaCha20-Poly1305 under a key derived from the
 * epoch's key for one action; workspace, action and column are its associated data, so a box copied
 * to another row or column does not open. It refuses boxes of epochs whose key is gone. */
#include "store/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HELD 8 /* epoch keys kept open at once */

struct held {
    int64_t epoch;
    unsigned char *key; /* secret memory; NULL: slot is free */
    uint64_t used;
};

struct vault {
    int dir;
    const struct keyring *keys;
    pthread_mutex_t lock;
    struct held held[HELD];
    uint64_t clock;
};

int vault_open(const char *dir, const struct keyring *keys, struct vault **ret, struct fail *f)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail_set(f, ERR_IO, "cannot make %s: %s", dir, strerror(errno));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_set(f, ERR_IO, "cannot open %s: %s", dir, strerror(errno));
    struct vault *v = calloc(1, sizeof *v);
    if (v == NULL) {
        close(fd);
        return ERR_NOMEM;
    }
    v->dir = fd;
    v->keys = keys;
    pthread_mutex_init(&v->lock, NULL);
    *ret = v;
    return 0;
}

void vault_close(struct vault *v)
{
    if (v == NULL)
        return;
    for (size_t i = 0; i < HELD; i++)
        secret_free(v->held[i].key);
    pthread_mutex_destroy(&v->lock);
    close(v->dir);
    free(v);
}

int64_t vault_epoch(int64_t now_ms)
{
    return now_ms / 86400000;
}

static void epoch_name(char out[32], int64_t epoch)
{
    snprintf(out, 32, "epoch-%lld", (long long)epoch);
}

/* A wrapped epoch key: u32 version of the payload key (big-endian), nonce, box. */
#define WRAPPED (4 + NONCE + KEY_BYTES + TAG)

static int unwrap(struct vault *v, int64_t epoch, const unsigned char w[WRAPPED],
                  unsigned char *key)
{
    uint32_t version = (uint32_t)w[0] << 24 | (uint32_t)w[1] << 16 | (uint32_t)w[2] << 8 | w[3];
    const unsigned char *outer = keyring_find(v->keys, version);
    char name[32];
    epoch_name(name, epoch);
    if (outer == NULL || crypto_aead_xchacha20poly1305_ietf_decrypt(
                             key, NULL, NULL, w + 4 + NONCE, KEY_BYTES + TAG,
                             (const unsigned char *)name, strlen(name), w + 4, outer) != 0)
        return ERR_SEAL;
    return 0;
}

static int read_epoch(struct vault *v, int64_t epoch, unsigned char *key)
{
    char name[32];
    epoch_name(name, epoch);
    int fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    unsigned char w[WRAPPED + 1];
    ssize_t n = read(fd, w, sizeof w);
    close(fd);
    return n == WRAPPED ? unwrap(v, epoch, w, key) : ERR_SEAL;
}

static int write_whole(int fd, const void *p, size_t n)
{
    return write(fd, p, n) == (ssize_t)n && fsync(fd) == 0 ? 0 : ERR_IO;
}

/* Made under a name of its own and linked into place: a crash leaves the whole key or none, and the
 * first maker wins. The folder is synced before anything is sealed with the key. */
static int make_epoch(struct vault *v, int64_t epoch, unsigned char *key)
{
    char name[32];
    epoch_name(name, epoch);
    uint32_t version = keyring_newest(v->keys);
    const unsigned char *outer = keyring_find(v->keys, version);
    unsigned char w[WRAPPED] = {(unsigned char)(version >> 24), (unsigned char)(version >> 16),
                                (unsigned char)(version >> 8), (unsigned char)version};
    CS_ASSERT(outer != NULL);
    randombytes_buf(key, KEY_BYTES);
    randombytes_buf(w + 4, NONCE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(w + 4 + NONCE, NULL, key, KEY_BYTES,
                                               (const unsigned char *)name, strlen(name), NULL,
                                               w + 4, outer);
    (void)unlinkat(v->dir, "epoch-new", 0);
    int fd = openat(v->dir, "epoch-new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOSPC ? ERR_STORE_FULL : ERR_IO;
    int r = write_whole(fd, w, sizeof w);
    close(fd);
    if (r == 0 && renameat(v->dir, "epoch-new", v->dir, name) != 0)
        r = ERR_IO;
    return r == 0 && fsync(v->dir) != 0 ? ERR_IO : r;
}

static struct held *slot_for(struct vault *v, int64_t epoch)
{
    struct held *oldest = &v->held[0];
    for (size_t i = 0; i < HELD; i++) {
        if (v->held[i].key != NULL && v->held[i].epoch == epoch)
            return &v->held[i];
        if (v->held[i].used < oldest->used)
            oldest = &v->held[i];
    }
    secret_free(oldest->key);
    oldest->key = NULL;
    return oldest;
}

/* The key for one action's boxes, into key[KEY_BYTES]. */
static int action_key(struct vault *v, int64_t epoch, bool make, struct str action,
                      unsigned char *key)
{
    pthread_mutex_lock(&v->lock);
    struct held *h = slot_for(v, epoch);
    int r = 0;
    if (h->key == NULL) {
        unsigned char *fresh = secret_alloc(KEY_BYTES);
        r = read_epoch(v, epoch, fresh);
        if (r == ERR_NOT_FOUND && make)
            r = make_epoch(v, epoch, fresh);
        if (r == 0) {
            h->epoch = epoch;
            h->key = fresh;
        } else {
            secret_free(fresh);
        }
    }
    if (r == 0) {
        h->used = ++v->clock;
        key_derive(key, h->key, "cs-action", action);
    }
    pthread_mutex_unlock(&v->lock);
    return r;
}

static void associate(struct buf *b, struct str workspace, struct str action, const char *column)
{
    buf_init(b, 1024);
    buf_printf(b, "csv1:%zu:%zu:", workspace.n, action.n);
    buf_str(b, workspace);
    buf_str(b, action);
    buf_c(b, column);
}

int vault_seal(struct vault *v, int64_t epoch, struct str workspace, struct str action,
               const char *column, struct str clear, struct buf *ret)
{
    unsigned char key[KEY_BYTES];
    int r = action_key(v, epoch, true, action, key);
    if (r != 0)
        return r;
    struct buf ad;
    associate(&ad, workspace, action, column);
    unsigned char *box = malloc(NONCE + clear.n + TAG);
    if (box == NULL || buf_err(&ad) != 0) {
        r = ERR_NOMEM;
    } else {
        randombytes_buf(box, NONCE);
        crypto_aead_xchacha20poly1305_ietf_encrypt(
            box + NONCE, NULL, (const unsigned char *)clear.p, clear.n, (const unsigned char *)ad.p,
            ad.n, NULL, box, key);
        buf_put(ret, box, NONCE + clear.n + TAG);
        r = buf_err(ret);
    }
    free(box);
    buf_free(&ad);
    secret_wipe(key, sizeof key);
    return r;
}

int vault_unseal(struct vault *v, int64_t epoch, struct str workspace, struct str action,
                 const char *column, struct str box, struct buf *ret)
{
    if (box.n < NONCE + TAG)
        return ERR_SEAL;
    unsigned char key[KEY_BYTES];
    int r = action_key(v, epoch, false, action, key);
    if (r != 0)
        return r == ERR_NOT_FOUND ? ERR_SEAL : r;
    struct buf ad;
    associate(&ad, workspace, action, column);
    size_t n = box.n - NONCE - TAG;
    unsigned char *clear = malloc(n + 1);
    const unsigned char *p = (const unsigned char *)box.p;
    if (clear == NULL || buf_err(&ad) != 0)
        r = ERR_NOMEM;
    else if (crypto_aead_xchacha20poly1305_ietf_decrypt(clear, NULL, NULL, p + NONCE, n + TAG,
                                                        (const unsigned char *)ad.p, ad.n, p,
                                                        key) != 0)
        r = ERR_SEAL;
    else
        buf_put(ret, clear, n);
    free(clear);
    buf_free(&ad);
    secret_wipe(key, sizeof key);
    return r != 0 ? r : buf_err(ret);
}
