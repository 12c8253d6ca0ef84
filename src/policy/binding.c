/* The bytes that approvals, votes and sessions are about. Every text is either inside canonical
 * JSON or length-prefixed, so that no two different things have the same bytes. */
#include <sodium.h>

#include "policy/binding.h"
#include "base/json.h"
#include "base/secret.h"

#define VOTE_CONTEXT "countersign vote 1"

/* Is anything missing that an approval must be about? */
static bool whole(const struct binding *b)
{
    unsigned char nonce[16];
    return b->action.n > 0 && b->workspace.n > 0 && b->agent.n > 0 && b->connection.n > 0 &&
           b->evidence.n > 0 && b->revision > 0 && b->tier >= 0 && b->tier <= 3 &&
           str_starts(b->payload_hash, STR("sha256:")) && b->payload_hash.n == 71 &&
           b->nonce.n == 32 && hex_decode(nonce, sizeof nonce, b->nonce);
}

int binding_hash(const struct binding *b, char out[HASH_TEXT])
{
    json_t *quorum = NULL;

    if (!whole(b))
        return ERR_MALFORMED;
    int r = json_read(b->quorum, &quorum, NULL);
    if (r != ERR_OK)
        return r;
    if (!json_is_array(quorum)) {
        json_decref(quorum);
        return ERR_MALFORMED;
    }
    json_t *doc = json_pack(
        "{s:i, s:s%, s:I, s:s%, s:s%, s:s%, s:i, s:o, s:s%, s:s%, s:I, s:I, s:s%}", "version", 1,
        "action", b->action.p, b->action.n, "revision", (json_int_t)b->revision, "workspace",
        b->workspace.p, b->workspace.n, "agent", b->agent.p, b->agent.n, "connection",
        b->connection.p, b->connection.n, "tier", b->tier, "quorum", quorum, "evidence",
        b->evidence.p, b->evidence.n, "payload_hash", b->payload_hash.p, b->payload_hash.n,
        "decide_by", (json_int_t)b->decide_by, "execute_by", (json_int_t)b->execute_by, "nonce",
        b->nonce.p, b->nonce.n);
    r = doc != NULL ? canon_hash(doc, out) : ERR_NOMEM;
    json_decref(doc);
    return r;
}

static void put_part(crypto_generichash_state *s, const void *p, size_t n)
{
    unsigned char length[8];
    for (size_t i = 0; i < sizeof length; i++)
        length[i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
    (void)crypto_generichash_update(s, length, sizeof length);
    (void)crypto_generichash_update(s, p, n);
}

void mac_text(const unsigned char *key, uint32_t key_version, const char *context,
              const struct str *part, size_t n, char out[MAC_TEXT])
{
    unsigned char mac[32];
    char hex[2 * sizeof mac + 1];
    crypto_generichash_state s;

    CS_ASSERT(crypto_generichash_init(&s, key, KEY_BYTES, sizeof mac) == 0);
    put_part(&s, context, strlen(context));
    for (size_t i = 0; i < n; i++)
        put_part(&s, part[i].p, part[i].n);
    (void)crypto_generichash_final(&s, mac, sizeof mac);
    hex_encode(hex, mac, sizeof mac);
    (void)snprintf(out, MAC_TEXT, "%lu:%s", (unsigned long)key_version, hex);
    sodium_memzero(&s, sizeof s);
}

int vote_mac(const unsigned char *key, uint32_t key_version, const struct vote *v,
             char out[MAC_TEXT])
{
    char at[24], auth_time[24];
    bool known = v->decision == VOTE_APPROVE || v->decision == VOTE_REJECT;

    if (!known || v->binding.n == 0 || v->person.n == 0 || v->session.n == 0 || v->evidence.n == 0)
        return ERR_MALFORMED;
    (void)snprintf(at, sizeof at, "%lld", (long long)v->at);
    (void)snprintf(auth_time, sizeof auth_time, "%lld", (long long)v->auth_time);
    const struct str part[] = {
        v->binding, v->person,        v->decision == VOTE_APPROVE ? STR("approve") : STR("reject"),
        str_c(at),  str_c(auth_time), v->session,
        v->evidence};
    mac_text(key, key_version, VOTE_CONTEXT, part, sizeof part / sizeof part[0], out);
    return ERR_OK;
}
