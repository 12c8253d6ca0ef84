/* Delivers a webhook. Refuses destinations that are not under one of the agent's prefixes, plain
 * http and private addresses unless the agent may have them. An answer's body is read and thrown
 * away. */
#include "keeper/deliver.h"

#include <sodium.h>
#include <stdlib.h>

#include "keeper/messages.h"
#include "keeper/seal.h"

enum { ANSWER_MOST = 65536 };

struct delivery {
    struct keeper *k;
    uint64_t id;
    struct delivered d;
};

void deliver_sign(const unsigned char *key, size_t n, struct str webhook_id, int64_t seconds,
                  struct str body, char out[DELIVER_SIGNATURE])
{
    crypto_auth_hmacsha256_state st;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    struct buf head = {0};
    buf_printf(&head, "%.*s.%lld.", STR_FMT(webhook_id), (long long)seconds);
    CS_ASSERT(buf_err(&head) == 0);
    crypto_auth_hmacsha256_init(&st, key, n);
    crypto_auth_hmacsha256_update(&st, (const unsigned char *)head.p, head.n);
    crypto_auth_hmacsha256_update(&st, (const unsigned char *)body.p, body.n);
    crypto_auth_hmacsha256_final(&st, mac);
    memcpy(out, "v1,", 3);
    sodium_bin2base64(out + 3, DELIVER_SIGNATURE - 3, mac, sizeof mac,
                      sodium_base64_VARIANT_ORIGINAL);
    buf_free(&head);
}

void deliver_secret_text(const unsigned char *key, size_t n, char out[64])
{
    memcpy(out, "whsec_", 6);
    sodium_bin2base64(out + 6, 64 - 6, key, n, sodium_base64_VARIANT_ORIGINAL);
}

/* One signature for each key version, so that agents may change theirs in peace after a rotation.
 */
static void put_headers(const struct keeper *k, const struct deliver_order *o, struct buf *out)
{
    unsigned char key[HOOK_BYTES];
    char sig[DELIVER_SIGNATURE];
    int64_t seconds = o->timestamp / 1000;
    buf_printf(out,
               "Content-Type: application/json\nwebhook-id: %.*s\nwebhook-timestamp: "
               "%lld\nwebhook-signature:",
               STR_FMT(o->webhook_id), (long long)seconds);
    for (size_t i = k->kek.n; i-- > 0;) {
        seal_hook_key(k->kek.key[i], o->workspace, o->agent, key);
        deliver_sign(key, sizeof key, o->webhook_id, seconds, o->body, sig);
        buf_printf(out, " %s", sig);
    }
    buf_ch(out, '\n');
    secret_wipe(key, sizeof key);
}

static void end(struct delivery *d)
{
    struct buf fields = {0};
    messages_put_delivered(&fields, &d->d);
    keeper_say(d->k, VERB_DELIVERED, d->id, &fields, -1);
    free(d);
}

static void on_end(void *arg, struct exchange *x)
{
    struct delivery *d = arg;
    d->k->n_deliveries--;
    d->d.status = x->fate == SEND_ANSWERED ? x->status : 0;
    if (d->d.status == 0)
        d->d.err = x->fate == SEND_NOT_SENT && x->address_refused ? ERR_K_DESTINATION : ERR_IO;
    (void)str_copy(d->d.detail, sizeof d->d.detail, str_c(x->detail));
    end(d);
}

/* Header values come from gate's rows: nothing that could start another header. */
static bool plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.n > 0;
}

static int may_deliver(const struct keeper *k, const struct deliver_order *o, const struct agent *a)
{
    if (!a || !a->enabled || !str_eq_c(o->workspace, a->workspace))
        return ERR_K_ROSTER;
    if (!plain(o->webhook_id) || !agent_may_resume_at(a, o->url))
        return ERR_K_DESTINATION;
    if (!a->allow_private && !str_starts(o->url, STR("https://")))
        return ERR_K_DESTINATION;
    return k->n_deliveries > (size_t)k->cfg->limit_calls / 4 ? ERR_UNAVAILABLE : 0;
}

static int start(struct delivery *d, const struct deliver_order *o, const struct agent *a)
{
    struct buf headers = {0};
    put_headers(d->k, o, &headers);
    struct send_order s = {.method = "POST",
                           .url = o->url,
                           .headers = buf_view(&headers),
                           .body = o->body,
                           .has_body = true,
                           .allow_private = a->allow_private,
                           .allow_plain = a->allow_private,
                           .repeatable = true, /* at least once */
                           .keep = ANSWER_MOST,
                           .on_end = on_end,
                           .arg = d};
    int r = buf_err(&headers);
    if (!r)
        r = sender_start(d->k->sender, &s);
    buf_free(&headers);
    return r;
}

int deliver_take(struct keeper *k, const struct frame *f)
{
    struct wire_in in = wire_fields(f);
    struct deliver_order o;
    struct delivery *d = calloc(1, sizeof *d);
    if (!d)
        return ERR_NOMEM;
    *d = (struct delivery){.k = k, .id = f->id};
    messages_get_deliver(&in, &o);
    if (!wire_done(&in) || !str_copy(d->d.id, sizeof d->d.id, o.id)) {
        free(d);
        return ERR_MALFORMED;
    }
    const struct agent *a = k->roster.now ? roster_agent(k->roster.now, o.agent) : NULL;
    int r = may_deliver(k, &o, a);
    if (!r)
        r = start(d, &o, a);
    if (r) {
        d->d.err = r;
        (void)str_copy(d->d.detail, sizeof d->d.detail, str_c(err_title(r)));
        end(d);
    } else {
        k->n_deliveries++;
    }
    return 0;
}
