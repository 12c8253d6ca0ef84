/* One function a message. Each decodes all of its fields, refuses bytes left over, and only then
 * acts. */
#include "keeper/dispatch.h"

#include <stdlib.h>

#include "base/log.h"
#include "keeper/check.h"
#include "keeper/deliver.h"
#include "keeper/execute.h"
#include "keeper/messages.h"
#include "keeper/rules.h"
#include "keeper/seal.h"

struct taking {
    struct frame *frame;
    struct wire_in in; /* its fields */
    struct buf out;    /* the answer's fields */
    struct fail why;
};
/* A taker returns 0 to answer OK with `out`, an error to answer REFUSED with `why`, or one of
 * these. */
enum { NO_ANSWER = -1, NOT_GATE = -2 };
typedef int take_fn(struct keeper *k, struct taking *t);

static int take_HELLO(struct keeper *k, struct taking *t)
{
    const struct ledger *l = journal_ledger(k->journal);
    struct keeper_identity who = {.epoch_started = l->epoch_started,
                                  .roster_version = l->roster_version};
    struct str policy = wire_get_text(&t->in), connectors = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    int r = rules_agree(k, policy, connectors, &t->why);
    if (r)
        return r;
    (void)str_copy(who.id, sizeof who.id, str_c(l->id));
    (void)str_copy(who.epoch, sizeof who.epoch, str_c(l->epoch));
    who.mac_version = keyring_newest(&k->kek);
    who.n_macs = k->kek.n;
    for (size_t i = 0; i < k->kek.n; i++) {
        who.mac_number[i] = k->kek.version[i];
        who.mac_key[i] = secret_alloc(KEY_BYTES);
        key_derive(who.mac_key[i], k->kek.key[i], "mac", STR(""));
    }
    messages_put_identity(&t->out, &who, policy_digest(k->rules->policy),
                          connectors_digest(k->rules->connectors));
    for (size_t i = 0; i < who.n_macs; i++)
        secret_free(who.mac_key[i]);
    k->greeted = true;
    return 0;
}

static int take_ROSTER_LOAD(struct keeper *k, struct taking *t)
{
    struct buf doc = {0};
    struct str sealed = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    int r = roster_hold_load(&k->roster, sealed, &doc, &t->why);
    wire_text(&t->out, buf_view(&doc));
    buf_wipe(&doc);
    return r;
}

static int take_ROSTER_PUT(struct keeper *k, struct taking *t)
{
    struct buf sealed = {0};
    int64_t version = 0;
    struct str doc = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    int r = roster_hold_put(&k->roster, doc, &version, &sealed, &t->why);
    wire_i64(&t->out, version);
    wire_text(&t->out, buf_view(&sealed));
    buf_free(&sealed);
    return r;
}

static int take_ROSTER_COMMIT(struct keeper *k, struct taking *t)
{
    struct buf doc = {0};
    struct str sealed = wire_get_text(&t->in);
    if (!wire_done(&t->in) || sealed.n == 0)
        return NOT_GATE;
    int r = roster_hold_load(&k->roster, sealed, &doc, &t->why);
    buf_wipe(&doc);
    return r;
}

static int take_SEAL(struct keeper *k, struct taking *t)
{
    struct credential_place at = {.workspace = wire_get_text(&t->in)};
    struct buf box = {0};
    json_t *doc = NULL;
    at.connection = wire_get_text(&t->in);
    at.base_url = wire_get_text(&t->in);
    at.version = wire_get_i64(&t->in);
    struct str secrets = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    int r = json_read(secrets, &doc, NULL);
    if (r || !json_is_object(doc))
        r = fail_set(&t->why, ERR_CONFIG, "the secrets are not a JSON object");
    else
        r = seal_credential(&k->kek, &at, secrets, &box);
    wire_text(&t->out, buf_view(&box));
    json_decref(doc);
    buf_free(&box);
    return r;
}

static int take_GRANT(struct keeper *k, struct taking *t)
{
    struct exec_order o;
    struct vote *votes = NULL;
    struct buf grant = {0};
    if (messages_get_order(&t->in, &o, &votes))
        return NOT_GATE;
    int r = check_grant(k, &o, &grant, &t->why);
    wire_text(&t->out, buf_view(&grant));
    buf_free(&grant);
    free(votes);
    return r;
}

static int take_EXECUTE(struct keeper *k, struct taking *t)
{
    return execute_take(k, t->frame) ? NOT_GATE : NO_ANSWER;
}

static int take_QUERY(struct keeper *k, struct taking *t)
{
    enum attempt_state state;
    struct keeper_result result = {0};
    struct str workspace = wire_get_text(&t->in), action = wire_get_text(&t->in);
    int64_t attempt = wire_get_i64(&t->in);
    struct str epoch = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    int r = execute_query(k, workspace, action, attempt, epoch, &state, &result);
    if (r)
        return r;
    wire_u8(&t->out, (uint8_t)state);
    if (state == ATTEMPT_DONE)
        messages_put_result(&t->out, &result);
    keeper_result_free(&result);
    return 0;
}

static int take_ACK(struct keeper *k, struct taking *t)
{
    struct str workspace = wire_get_text(&t->in), action = wire_get_text(&t->in);
    int64_t attempt = wire_get_i64(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    execute_ack(k, workspace, action, attempt);
    return NO_ANSWER;
}

static int take_DELIVER(struct keeper *k, struct taking *t)
{
    return deliver_take(k, t->frame) ? NOT_GATE : NO_ANSWER;
}

static int take_REVOKE(struct keeper *k, struct taking *t)
{
    struct revocation r;
    messages_get_revocation(&t->in, &r);
    if (!wire_done(&t->in) || !revoke_valid(&r))
        return NOT_GATE;
    journal_revoke(k->journal, &r);
    return 0;
}

static int take_RELOAD(struct keeper *k, struct taking *t)
{
    struct str policy = wire_get_text(&t->in), connectors = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    return rules_agree(k, policy, connectors, &t->why);
}

static int take_HOOK_SECRET(struct keeper *k, struct taking *t)
{
    unsigned char key[HOOK_BYTES];
    char text[64];
    struct str workspace = wire_get_text(&t->in), agent = wire_get_text(&t->in);
    if (!wire_done(&t->in))
        return NOT_GATE;
    seal_hook_key(keyring_find(&k->kek, keyring_newest(&k->kek)), workspace, agent, key);
    deliver_secret_text(key, sizeof key, text);
    wire_text(&t->out, str_c(text));
    secret_wipe(key, sizeof key);
    secret_wipe(text, sizeof text);
    return 0;
}

static const struct {
    enum verb verb;
    take_fn *take;
} takers[] = {
#define TAKE_TO_KEEPER(name) {VERB_##name, take_##name},
#define TAKE_TO_GATE(name)
#define MESSAGE(name, number, direction, when, cap, meaning) TAKE_##direction(name)
#include "keeper/message.def"
#undef MESSAGE
};

/* By the table; what is not in it, or comes at the wrong time, is not gate's. */
static int take_frame(struct keeper *k, struct taking *t)
{
    if (verb_allowed_first(t->frame->verb) == k->greeted)
        return NOT_GATE;
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (takers[i].verb == t->frame->verb)
            return takers[i].take(k, t);
    return NOT_GATE;
}

bool dispatch_frame(struct keeper *k, struct frame *f)
{
    struct taking t = {.frame = f, .in = wire_fields(f), .why = {.position = -1}};
    struct buf refused = {0};
    uint64_t id = f->id;
    enum verb verb = f->verb;
    int r = take_frame(k, &t);
    if (r == 0) {
        keeper_say(k, verb == VERB_HELLO ? VERB_HELLO_OK : VERB_OK, id, &t.out, -1);
    } else if (r > 0) {
        messages_put_fail(&refused, r, &t.why);
        keeper_say(k, VERB_REFUSED, id, &refused, -1);
    } else if (r == NOT_GATE) {
        log_event(LOG_ERROR, "message_refused", KV_N("verb", verb), KV_N("greeted", k->greeted));
    }
    buf_wipe(&t.out);
    return r != NOT_GATE;
}
