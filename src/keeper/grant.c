/* Verifies votes; issues and checks grants. Refuses whatever is not signed by the right key over
 * exactly this binding: nothing gate says about a vote is taken without its MAC. */
#include "keeper/grant.h"

#include <sodium.h>

enum { VOTES_MOST = sizeof((struct counted *)0)->person / sizeof(struct person *) };
static const struct str grant_prefix = {"csg1.", 5};

/* --- votes ---------------------------------------------------------------------------------- */

/* The MAC under the key version that it names. */
static bool mac_true(const struct keyring *kek, const struct vote *v)
{
    uint64_t version;
    unsigned char key[KEY_BYTES];
    char mac[MAC_TEXT];
    if (!str_u64(str_sub(v->mac, 0, str_find(v->mac, ':', 0)), &version) || version > UINT32_MAX)
        return false;
    const unsigned char *base = keyring_find(kek, (uint32_t)version);
    if (!base)
        return false;
    key_derive(key, base, "mac", STR(""));
    int r = vote_mac(key, (uint32_t)version, v, mac);
    secret_wipe(key, sizeof key);
    return r == 0 && str_eq_secret(str_c(mac), v->mac);
}

/* What only a forger or a mistake of gate's brings. */
static const char *forged(const struct vote_rules *rules, const struct vote *v, struct str binding)
{
    if (!mac_true(rules->kek, v))
        return "a vote's MAC is wrong";
    if (!str_eq(v->binding, binding))
        return "a vote is about something else";
    if (v->decision != VOTE_APPROVE)
        return "a person has rejected it";
    return NULL;
}

/* What was valid when cast but counts no more. Passkey evidence cannot be verified here, so a vote
 * that claims it, or an order that demands it, is never met. */
static const char *lapsed(const struct vote_rules *rules, const struct exec_order *o,
                          const struct vote *v, const struct person *p)
{
    const struct revoke_set *revoked = &rules->ledger->revoked;
    struct str workspace = o->about.workspace;
    if (!p || !p->enabled || quorum_may_vote(rules->quorum, rules->roster, rules->agent, p))
        return "a voter may not decide";
    if (!str_eq_c(v->evidence, "session") || !str_eq(v->evidence, o->about.evidence))
        return "a vote lacks the evidence demanded";
    if (v->at < rules->ledger->epoch_started)
        return "a vote is older than the keeper's journal";
    if (v->at > o->about.decide_by)
        return "a vote came after decide_by";
    if (v->auth_time > v->at || rules->now - v->auth_time > rules->session_absolute)
        return "a voter's sign-in is too old";
    if (revoke_holds(revoked, REVOKE_PERSON, workspace, v->person, rules->now) ||
        revoke_holds(revoked, REVOKE_SESSION, workspace, v->session, rules->now))
        return "a voter's permission was revoked";
    return NULL;
}

static bool contains(const struct counted *c, const struct person *p)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->person[i] == p)
            return true;
    return false;
}

int grant_count_votes(const struct vote_rules *rules, const struct exec_order *o,
                      struct counted *ret, struct fail *f)
{
    struct counted c = {.n = 0};
    char binding[HASH_TEXT];
    if (o->n_votes > VOTES_MOST || binding_hash(&o->about, binding))
        return fail_set(f, ERR_K_QUORUM, "the binding cannot be made");
    fail_set(f, ERR_K_QUORUM, "too few votes");
    for (size_t i = 0; i < o->n_votes; i++) {
        const struct vote *v = &o->vote[i];
        const struct person *p = roster_person(rules->roster, v->person);
        const char *why = forged(rules, v, str_c(binding));
        if (!why && p && contains(&c, p))
            why = "one person voted twice";
        if (why)
            return fail_set(f, ERR_K_QUORUM, "%s", why);
        why = lapsed(rules, o, v, p);
        if (why)
            fail_set(f, ERR_K_QUORUM, "%s", why);
        else
            c.person[c.n++] = p;
    }
    struct quorum_state state;
    quorum_count(rules->quorum, rules->roster, rules->agent, c.person, c.n, &state);
    if (!state.met)
        return ERR_K_QUORUM; /* f tells why */
    *ret = c;
    return 0;
}

/* --- grants --------------------------------------------------------------------------------- */

static void sign_keys(const unsigned char *kek, unsigned char public[crypto_sign_PUBLICKEYBYTES],
                      unsigned char secret[crypto_sign_SECRETKEYBYTES])
{
    unsigned char seed[KEY_BYTES];
    key_derive(seed, kek, "grant", STR(""));
    crypto_sign_seed_keypair(public, secret, seed);
    secret_wipe(seed, sizeof seed);
}

/* Canonical JSON of what is granted. */
static int grant_text(const struct vote_rules *rules, const struct exec_order *o, int64_t expires,
                      struct buf *out)
{
    char binding[HASH_TEXT];
    if (binding_hash(&o->about, binding))
        return ERR_K_GRANT;
    json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:I}", "binding", binding, "keeper",
                            rules->ledger->id, "epoch", rules->ledger->epoch, "attempt",
                            (json_int_t)o->attempt, "expires", (json_int_t)expires);
    int r = doc ? canon_write(doc, out) : ERR_NOMEM;
    json_decref(doc);
    return r;
}

static void put_base64(struct buf *out, const void *bytes, size_t n)
{
    char text[2048];
    CS_ASSERT(sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <=
              sizeof text);
    sodium_bin2base64(text, sizeof text, bytes, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    buf_c(out, text);
}

int grant_issue(const struct vote_rules *rules, const struct exec_order *o, struct buf *ret)
{
    unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES],
        sig[crypto_sign_BYTES];
    struct buf text = {.max = 1024};
    int64_t expires = rules->now + GRANT_LIFE;
    int r =
        grant_text(rules, o, expires < o->about.execute_by ? expires : o->about.execute_by, &text);
    if (r)
        goto out;
    sign_keys(keyring_find(rules->kek, keyring_newest(rules->kek)), public, secret);
    crypto_sign_detached(sig, NULL, (const unsigned char *)text.p, text.n, secret);
    secret_wipe(secret, sizeof secret);
    buf_str(ret, grant_prefix);
    put_base64(ret, text.p, text.n);
    buf_ch(ret, '.');
    put_base64(ret, sig, sizeof sig);
    r = buf_err(ret);
out:
    buf_free(&text);
    return r;
}

static bool get_base64(struct str s, void *out, size_t size, size_t *ret)
{
    const char *end;
    return sodium_base642bin(out, size, s.p, s.n, NULL, ret, &end,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           end == s.p + s.n;
}

/* Signed under any key version that keeper still has. */
static bool signature_true(const struct keyring *kek, const unsigned char *sig, const char *text,
                           size_t n)
{
    unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    for (size_t i = 0; i < kek->n; i++) {
        sign_keys(kek->key[i], public, secret);
        secret_wipe(secret, sizeof secret);
        if (crypto_sign_verify_detached(sig, (const unsigned char *)text, n, public) == 0)
            return true;
    }
    return false;
}

int grant_check(const struct vote_rules *rules, const struct exec_order *o, struct fail *f)
{
    unsigned char sig[crypto_sign_BYTES];
    char text[1024];
    size_t n = 0, n_sig = 0, dot = str_find(o->grant, '.', grant_prefix.n);
    struct buf want = {.max = sizeof text};
    json_t *doc = NULL;
    int64_t expires = 0;
    int r = fail_set(f, ERR_K_GRANT, "the grant is not keeper's");
    if (!str_starts(o->grant, grant_prefix) ||
        !get_base64(str_sub(o->grant, grant_prefix.n, dot), text, sizeof text, &n) ||
        !get_base64(str_sub(o->grant, dot + 1, o->grant.n), sig, sizeof sig, &n_sig) ||
        n_sig != sizeof sig || !signature_true(rules->kek, sig, text, n) ||
        json_read((struct str){text, n}, &doc, NULL))
        goto out;
    expires = json_integer_value(json_object_get(doc, "expires"));
    /* whatever it says must be what would be written now, but for the time */
    if (grant_text(rules, o, expires, &want) || !str_eq(buf_view(&want), (struct str){text, n}))
        fail_set(f, ERR_K_GRANT, "the grant is for another action, attempt or keeper");
    else if (rules->now > expires)
        fail_set(f, ERR_K_GRANT, "the grant has expired");
    else
        r = 0;
out:
    json_decref(doc);
    buf_free(&want);
    return r;
}
