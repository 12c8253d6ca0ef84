/* Sealing and opening boxes. Refuses a box under an unknown key, for another place, or altered in
 * any bit; does not say which, for there is nobody to tell. */
#include "keeper/seal.h"

#include <sodium.h>

#include "keeper/wire.h"

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    BOX_HEAD = 4 + 4 + NONCE,
    ROSTER_HEAD = 4 + 8,
};
static const struct str box_magic = {"csb1", 4}, roster_magic = {"csr1", 4};

static const char *purpose(enum box_kind kind)
{
    return kind == BOX_ROSTER ? "roster" : "credential";
}

static int box_make(const struct keyring *kek, enum box_kind kind, struct str place,
                    struct str clear, struct buf *out)
{
    unsigned char key[KEY_BYTES], nonce[NONCE];
    uint32_t version = keyring_newest(kek);
    size_t n = clear.n + TAG;
    unsigned char *cipher = secret_alloc(n);
    key_derive(key, keyring_find(kek, version), purpose(kind), STR(""));
    randombytes_buf(nonce, sizeof nonce);
    crypto_aead_xchacha20poly1305_ietf_encrypt(cipher, NULL, (const unsigned char *)clear.p,
                                               clear.n, (const unsigned char *)place.p, place.n,
                                               NULL, nonce, key);
    secret_wipe(key, sizeof key);
    buf_str(out, box_magic);
    wire_u32(out, version);
    buf_put(out, nonce, sizeof nonce);
    buf_put(out, cipher, n);
    secret_free(cipher);
    return buf_err(out);
}

static int box_open(const struct keyring *kek, enum box_kind kind, struct str place, struct str box,
                    struct buf *ret)
{
    if (box.n < BOX_HEAD + TAG || !str_starts(box, box_magic))
        return ERR_SEAL;
    struct wire_in in = {(const unsigned char *)box.p + box_magic.n,
                         (const unsigned char *)box.p + box.n, false};
    const unsigned char *base = keyring_find(kek, wire_get_u32(&in)), *nonce = in.p;
    if (!base)
        return ERR_SEAL;
    unsigned char key[KEY_BYTES], *clear = secret_alloc(box.n - BOX_HEAD - TAG + 1);
    key_derive(key, base, purpose(kind), STR(""));
    unsigned long long n = 0;
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt(
                clear, &n, NULL, nonce + NONCE, box.n - BOX_HEAD, (const unsigned char *)place.p,
                place.n, nonce, key)
                ? ERR_SEAL
                : 0;
    secret_wipe(key, sizeof key);
    if (!r) {
        buf_init(ret, (size_t)n + 1);
        buf_put(ret, clear, (size_t)n);
        r = buf_err(ret);
    }
    secret_free(clear);
    return r;
}

/* The place in bytes that no other place has: every part with its length. */
static int credential_place_bytes(const struct credential_place *at, struct buf *out)
{
    wire_u8(out, BOX_CREDENTIAL);
    wire_text(out, at->workspace);
    wire_text(out, at->connection);
    wire_text(out, at->base_url);
    wire_i64(out, at->version);
    return buf_err(out);
}

static int roster_place_bytes(int64_t version, struct buf *out)
{
    wire_u8(out, BOX_ROSTER);
    wire_i64(out, version);
    return buf_err(out);
}

int seal_credential(const struct keyring *kek, const struct credential_place *at, struct str clear,
                    struct buf *ret)
{
    struct buf place = {0};
    int r = credential_place_bytes(at, &place);
    if (!r)
        r = box_make(kek, BOX_CREDENTIAL, buf_view(&place), clear, ret);
    buf_free(&place);
    return r;
}

int seal_open_credential(const struct keyring *kek, const struct credential_place *at,
                         struct str box, struct buf *ret)
{
    struct buf place = {0};
    int r = credential_place_bytes(at, &place);
    if (!r)
        r = box_open(kek, BOX_CREDENTIAL, buf_view(&place), box, ret);
    buf_free(&place);
    return r;
}

int seal_roster(const struct keyring *kek, int64_t version, struct str clear, struct buf *ret)
{
    struct buf place = {0};
    int r = roster_place_bytes(version, &place);
    buf_str(ret, roster_magic);
    wire_i64(ret, version);
    if (!r)
        r = box_make(kek, BOX_ROSTER, buf_view(&place), clear, ret);
    buf_free(&place);
    return r;
}

int seal_open_roster(const struct keyring *kek, struct str sealed, int64_t *ret_version,
                     struct buf *ret)
{
    struct buf place = {0};
    if (sealed.n < ROSTER_HEAD || !str_starts(sealed, roster_magic))
        return ERR_SEAL;
    struct wire_in in = {(const unsigned char *)sealed.p + roster_magic.n,
                         (const unsigned char *)sealed.p + sealed.n, false};
    int64_t version = wire_get_i64(&in);
    int r = roster_place_bytes(version, &place);
    if (!r)
        r = box_open(kek, BOX_ROSTER, buf_view(&place), str_sub(sealed, ROSTER_HEAD, sealed.n),
                     ret);
    if (!r)
        *ret_version = version;
    buf_free(&place);
    return r;
}

void seal_hook_key(const unsigned char *kek, struct str workspace, struct str agent,
                   unsigned char out[HOOK_BYTES])
{
    unsigned char key[KEY_BYTES];
    struct buf who = {0};
    wire_text(&who, workspace);
    wire_text(&who, agent);
    CS_ASSERT(buf_err(&who) == 0);
    key_derive(key, kek, "hook", buf_view(&who));
    memcpy(out, key, HOOK_BYTES);
    secret_wipe(key, sizeof key);
    buf_free(&who);
}
