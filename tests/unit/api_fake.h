/* Life, and keeper behind it, as the handlers' tests want them: a real store, vault and roster, and
 * answers that a test sets beforehand. Included once by each test of api/ and proxy/, which is then
 * linked without the real ones. */
#ifndef CS_TESTS_API_FAKE_H
#define CS_TESTS_API_FAKE_H

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ftw.h>
#include <unistd.h>
#include <cmocka.h>

#include "api/app.h"
#include "audit/audit.h"
#include "base/secret.h"

#define UNUSED __attribute__((unused))  /* not every test needs everything */
#define FAKE_NOW INT64_C(1795338000000) /* 2026-11-22T09:00:00Z */

struct flight {
    struct keeper_result result, head;
    bool landed, has_head;
    int fd;
};

struct life {
    struct store *store;
    struct vault *vault;
    struct roster *roster;
    struct rules *rules;
    struct keyring keys;
    unsigned char mac_key[KEY_BYTES];
    bool no_mac_key, ready;
    int64_t now, mono;
    /* what the next call answers */
    int err; /* of propose, classify, cancel, vote, reconcile, redeliver, reload */
    int may_vote;
    struct proposed proposed;
    struct classified classified;
    /* what was called */
    int n_proposed, n_told, n_votes, n_cancelled, n_reconciled, n_revoked, n_redelivered;
    struct proposal seen;
    char seen_path[256], seen_key[260], seen_note[256], seen_thread[64], seen_body[512],
        seen_headers[1024], seen_query[256], seen_raw[256], seen_what[64], seen_by[ID_SIZE + 8],
        seen_secrets[256], seen_evidence[64];
    struct ballot ballot;
};

struct fake {
    struct life life;
    struct app app;
    struct config cfg;
    struct env env;
    char dir[64];
    char ada[ID_SIZE], bob[ID_SIZE], cyd[ID_SIZE],
        eve[ID_SIZE];                /* admin, approver, auditor; other workspace */
    char bot[ID_SIZE], spy[ID_SIZE]; /* agents: default, other */
    char bank[ID_SIZE], safe[ID_SIZE], away[ID_SIZE]; /* connections: bot's, nobody's, other's */
    struct exchange *x;
};

/* --- the outside world ------------------------------------------------------------------------ */
static int64_t fake_now_ms(void *arg)
{
    return ((struct life *)arg)->now;
}
static int64_t fake_mono_ms(void *arg)
{
    return ((struct life *)arg)->mono;
}
static void fake_random(void *arg, void *out, size_t n)
{
    (void)arg;
    randombytes_buf(out, n);
}

/* --- life ------------------------------------------------------------------------------------- */
struct roster *life_roster(struct life *l)
{
    return roster_ref(l->roster);
}
struct rules *life_rules(struct life *l)
{
    return rules_ref(l->rules);
}
struct store *life_store(struct life *l)
{
    return l->store;
}
struct vault *life_vault(struct life *l)
{
    return l->vault;
}
struct keeper_client *life_keeper(struct life *l)
{
    return (struct keeper_client *)(void *)l;
}
static struct env fake_env;
const struct env *life_env(struct life *l)
{
    (void)l;
    return &fake_env;
}
int64_t life_now(struct life *l)
{
    return l->now;
}
bool life_ready(const struct life *l)
{
    return l->ready;
}
const unsigned char *life_mac_key(struct life *l, uint32_t version)
{
    return version == 7 && !l->no_mac_key ? l->mac_key : NULL;
}
uint32_t life_mac_newest(struct life *l)
{
    (void)l;
    return 7;
}

static int fake_err(int err, struct fail *f)
{
    return err == ERR_OK ? err : fail_set(f, err, "as the test wants it");
}

static void fake_dump(const json_t *v, char *out, size_t size)
{
    char *text = v != NULL ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
    free(text);
}

static void fake_see(struct life *l, const struct proposal *p)
{
    l->seen = *p;
    assert_true(str_copy(l->seen_path, sizeof l->seen_path, p->in.path));
    assert_true(str_copy(l->seen_key, sizeof l->seen_key, p->key));
    assert_true(str_copy(l->seen_note, sizeof l->seen_note, p->note));
    assert_true(str_copy(l->seen_thread, sizeof l->seen_thread, p->thread));
    assert_true(str_copy(l->seen_raw, sizeof l->seen_raw, p->in.raw_body));
    fake_dump(p->in.body, l->seen_body, sizeof l->seen_body);
    fake_dump(p->in.headers, l->seen_headers, sizeof l->seen_headers);
    fake_dump(p->in.query, l->seen_query, sizeof l->seen_query);
}

int life_propose(struct life *l, const struct proposal *p, struct proposed *ret, struct fail *f)
{
    l->n_proposed++;
    fake_see(l, p);
    if (l->err == ERR_OK)
        *ret = l->proposed;
    return fake_err(l->err, f);
}
int life_classify(struct life *l, const struct proposal *p, struct classified *ret, struct fail *f)
{
    fake_see(l, p);
    if (l->err == ERR_OK)
        *ret = l->classified;
    return fake_err(l->err, f);
}
int life_cancel(struct life *l, struct str workspace, struct str id, const struct agent *agent,
                struct fail *f)
{
    (void)workspace, (void)id, (void)agent;
    l->n_cancelled++;
    return fake_err(l->err, f);
}
int life_told(struct life *l, const struct action *a)
{
    (void)a;
    l->n_told++;
    return ERR_OK;
}
int life_vote(struct life *l, const struct ballot *b, struct fail *f)
{
    l->n_votes++;
    l->ballot = *b;
    return fake_err(l->err, f);
}
int life_may_vote(struct life *l, const struct roster *r, const struct action *a,
                  const struct person *p, enum vote_decision decision, struct fail *f)
{
    (void)r, (void)a;
    if (l->may_vote == ERR_STEP_UP_REQUIRED && decision == VOTE_REJECT)
        return ERR_OK;
    if (p->role == ROLE_AUDITOR)
        return fake_err(ERR_NOT_AN_APPROVER, f);
    return fake_err(l->may_vote, f);
}
void life_count(struct life *l, const struct roster *r, const struct action *a,
                const struct action_vote *v, size_t n, const char **why, struct quorum_state *ret)
{
    (void)l, (void)a;
    *ret = (struct quorum_state){.required = 2};
    for (size_t i = 0; i < n; i++) {
        const struct person *p = roster_person(r, v[i].person);
        why[i] = p != NULL && p->enabled ? NULL : "the person is disabled";
        ret->given += why[i] == NULL;
    }
}
int life_reconcile(struct life *l, const struct person *p, struct str workspace, struct str id,
                   bool succeeded, struct str evidence, struct fail *f)
{
    (void)p, (void)workspace, (void)id, (void)succeeded;
    l->n_reconciled++;
    (void)str_copy(l->seen_evidence, sizeof l->seen_evidence, evidence);
    return fake_err(l->err, f);
}
int life_redeliver(struct life *l, struct str workspace, struct str action, struct fail *f)
{
    (void)workspace, (void)action;
    l->n_redelivered++;
    return fake_err(l->err, f);
}
int life_reload(struct life *l, struct complaints *c, struct fail *f)
{
    if (l->err == ERR_CONFIG)
        complain(c, "policy.yaml", 3, 1, "not understood");
    return fake_err(l->err, f);
}

struct fake_freeze {
    struct life *l;
    const struct person *p;
    struct str workspace, id;
    const struct freeze_scope *s;
    struct str reason;
};
static int fake_freeze_add(struct store_tx *tx, void *arg)
{
    const struct fake_freeze *z = arg;
    return STORE_EXEC(tx, Q_FREEZE_ADD, NULL, V_TEXT(z->workspace), V_TEXT(z->id),
                      V_TEXT(z->s->scope), V_TEXT(z->s->target), V_TEXT(z->reason), V_C(z->p->id),
                      V_INT(z->l->now));
}
static int fake_freeze_end(struct store_tx *tx, void *arg)
{
    const struct fake_freeze *z = arg;
    return STORE_EXEC(tx, Q_FREEZE_END, NULL, V_TEXT(z->workspace), V_TEXT(z->id), V_C(z->p->id),
                      V_INT(z->l->now));
}
int life_freeze(struct life *l, const struct person *p, const struct freeze_scope *s,
                struct str reason, char ret_id[ID_SIZE], struct fail *f)
{
    (void)f;
    id_new(&fake_env, "frz", ret_id);
    struct fake_freeze z = {l, p, str_c(p->workspace), str_c(ret_id), s, reason};
    return store_tx(l->store, fake_freeze_add, &z);
}
int life_unfreeze(struct life *l, const struct person *p, struct str workspace, struct str id,
                  struct fail *f)
{
    (void)f;
    struct fake_freeze z = {l, p, workspace, id, NULL, STR("")};
    return store_tx(l->store, fake_freeze_end, &z);
}

struct fake_revoke {
    struct str workspace, session;
    int64_t now;
};
static int fake_revoke_tx(struct store_tx *tx, void *arg)
{
    const struct fake_revoke *v = arg;
    return STORE_EXEC(tx, Q_SESSION_REVOKE, NULL, V_TEXT(v->workspace), V_TEXT(v->session),
                      V_INT(v->now));
}
int life_revoke_session(struct life *l, struct str workspace, struct str session)
{
    struct fake_revoke v = {workspace, session, l->now};
    l->n_revoked++;
    return store_tx(l->store, fake_revoke_tx, &v);
}

int life_roster_change(struct life *l, json_t *doc, struct str workspace, struct str by,
                       const char *what, store_fn *extra, void *extra_arg, struct fail *f)
{
    struct roster *next = NULL;
    (void)workspace;
    (void)snprintf(l->seen_what, sizeof l->seen_what, "%s", what);
    (void)str_copy(l->seen_by, sizeof l->seen_by, by);
    json_object_set_new(doc, "version", json_integer(roster_version(l->roster) + 1));
    char *text = json_dumps(doc, JSON_COMPACT);
    int r = roster_read(str_c(text), &next, f);
    free(text);
    if (r == ERR_OK && extra != NULL)
        r = store_tx(l->store, extra, extra_arg);
    if (r != ERR_OK) {
        roster_unref(next);
        return r;
    }
    roster_unref(l->roster);
    l->roster = next;
    return ERR_OK;
}

/* --- keeper ----------------------------------------------------------------------------------- */
int keeper_seal(struct keeper_client *kc, struct str workspace, struct str connection,
                struct str base_url, int64_t version, struct str secrets, struct buf *ret,
                struct fail *f)
{
    struct life *l = (struct life *)(void *)kc;
    (void)workspace, (void)connection, (void)f;
    (void)str_copy(l->seen_secrets, sizeof l->seen_secrets, secrets);
    buf_printf(ret, "sealed for %.*s version %lld", STR_FMT(base_url), (long long)version);
    return buf_err(ret);
}
int keeper_hook_secret(struct keeper_client *kc, struct str workspace, struct str agent,
                       char out[64], struct fail *f)
{
    (void)kc, (void)workspace, (void)agent, (void)f;
    (void)snprintf(out, 64, "whsec_of_the_agent");
    return ERR_OK;
}
void flight_unref(struct flight *fl)
{
    (void)fl;
}
const struct keeper_result *flight_result(const struct flight *fl)
{
    return fl->landed ? &fl->result : NULL;
}
const struct keeper_result *flight_head(struct flight *fl, int *ret_fd)
{
    *ret_fd = fl->fd;
    fl->fd = -1;
    return fl->has_head ? &fl->head : NULL;
}

/* --- a world ---------------------------------------------------------------------------------- */
static const char fake_connector[] =
    "version: 1\n"
    "name: plaid\n"
    "title: Plaid\n"
    "base_url: https://plaid.example\n"
    "agent_key_header: plaid-secret\n"
    "secrets: [client_id, secret]\n"
    "optional_secrets: [user_token]\n"
    "inject:\n"
    "  plaid-secret: \"{secret}\"\n"
    "pending:\n"
    "  status: 428\n"
    "  body: "
    "'{\"error_code\":\"${code}\",\"error_message\":\"${message}\",\"request_id\":\"${action}\"}'\n"
    "operations:\n"
    "  - name: transfer.create\n"
    "    method: POST\n"
    "    path: /transfer/create\n"
    "    product: transfer\n"
    "    text: moves money\n"
    "    tier: 3\n"
    "    show:\n"
    "      amount: /amount\n";

static void fake_roster(struct fake *k, const char *password)
{
    struct fail f = {0};
    char hash[HASH_TEXT], spy_hash[HASH_TEXT], token_hash[HASH_TEXT];
    hash_text(hash, STR("csa_bot"));
    hash_text(spy_hash, STR("csa_spy"));
    hash_text(token_hash, STR("cst_bob"));
    json_t *doc = json_pack(
        "{s:i, s:[{s:s},{s:s}], s:[o,o,o,o], s:[o,o], s:[o,o,o]}", "version", 1, "workspaces", "id",
        "default", "id", "other", "people",
        json_pack("{s:s,s:s,s:s,s:s,s:[],s:b,s:i}", "id", k->ada, "workspace", "default", "email",
                  "ada@a.example", "role", "admin", "groups", "enabled", 1, "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:[s],s:b,s:s,s:[{s:s,s:i}],s:i}", "id", k->bob, "workspace",
                  "default", "email", "bob@a.example", "role", "approver", "groups", "finance",
                  "enabled", 1, "password", password, "tokens", "hash", token_hash, "made_at", 1,
                  "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:[],s:b,s:i}", "id", k->cyd, "workspace", "default", "email",
                  "cyd@a.example", "role", "auditor", "groups", "enabled", 1, "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:[],s:b,s:i}", "id", k->eve, "workspace", "other", "email",
                  "eve@a.example", "role", "admin", "groups", "enabled", 1, "since", 1),
        "agents",
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:[s],s:[],s:b,s:i}", "id", k->bot, "workspace",
                  "default", "name", "bot", "owner", k->ada, "key_hash", hash, "enabled", 1,
                  "connections", k->bank, "resume_urls", "allow_private", 0, "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:[s],s:[],s:b,s:i}", "id", k->spy, "workspace",
                  "other", "name", "spy", "owner", k->eve, "key_hash", spy_hash, "enabled", 1,
                  "connections", k->away, "resume_urls", "allow_private", 0, "since", 1),
        "connections",
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:i,s:b,s:i}", "id", k->bank, "workspace", "default",
                  "name", "bank", "connector", "plaid", "base_url", "https://plaid.example",
                  "allow_private", 0, "credential", 1, "enabled", 1, "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:i,s:b,s:i}", "id", k->safe, "workspace", "default",
                  "name", "safe", "connector", "plaid", "base_url", "https://plaid.example",
                  "allow_private", 0, "credential", 1, "enabled", 1, "since", 1),
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:i,s:b,s:i}", "id", k->away, "workspace", "other",
                  "name", "away", "connector", "plaid", "base_url", "https://plaid.example",
                  "allow_private", 0, "credential", 1, "enabled", 1, "since", 1));
    assert_non_null(doc);
    char *text = json_dumps(doc, JSON_COMPACT);
    if (roster_read(str_c(text), &k->life.roster, &f) != ERR_OK)
        fail_msg("roster: %s %s", f.field, f.detail);
    free(text);
    json_decref(doc);
}

static void fake_rules(struct fake *k)
{
    struct complaints c;
    complaints_init(&c);
    k->life.rules = calloc(1, sizeof *k->life.rules);
    k->life.rules->refs = 1;
    if (connectors_read("plaid.yaml", str_c(fake_connector), &k->life.rules->connectors, &c) !=
        ERR_OK)
        fail_msg("%s", c.text.p);
    complaints_free(&c);
}

static void fake_ids(struct fake *k)
{
    char *const person[] = {k->ada, k->bob, k->cyd, k->eve};
    for (size_t i = 0; i < 4; i++)
        id_new(&env_system, "apr", person[i]);
    id_new(&env_system, "agt", k->bot);
    id_new(&env_system, "agt", k->spy);
    char *const con[] = {k->bank, k->safe, k->away};
    for (size_t i = 0; i < 3; i++)
        id_new(&env_system, "con", con[i]);
}

static void fake_store(struct fake *k)
{
    struct fail f = {0};
    char path[128];
    (void)snprintf(k->dir, sizeof k->dir, "/tmp/cs-api-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    struct store_options o = {.url = "sqlite", .dir = k->dir, .readers = 2};
    if (store_open(&o, &k->life.store, &f) != ERR_OK)
        fail_msg("store: %s", f.detail);
    (void)snprintf(path, sizeof path, "%s/payload", k->dir);
    assert_int_equal(keyring_create(path, &f), 0);
    assert_int_equal(keyring_read(path, &k->life.keys, &f), 0);
    (void)snprintf(path, sizeof path, "%s/epochs", k->dir);
    if (vault_open(path, &k->life.keys, &k->life.vault, &f) != ERR_OK)
        fail_msg("vault: %s", f.detail);
}

/* A world with a password hash for bob ("" for none). */
static struct fake *fake_new(const char *password)
{
    struct fake *k = calloc(1, sizeof *k);
    assert_true(sodium_init() >= 0);
    k->life.now = FAKE_NOW;
    k->life.mono = 1000000;
    k->life.ready = true;
    randombytes_buf(k->life.mac_key, sizeof k->life.mac_key);
    fake_env = (struct env){fake_now_ms, fake_mono_ms, fake_random, &k->life};
    k->env = fake_env;
    k->cfg = (struct config){.public_url = "https://cs.example",
                             .session_idle = 3600000,
                             .session_absolute = 8 * 3600000,
                             .login_attempts = 3,
                             .limit_upstream_time = 60000};
    k->app = (struct app){.cfg = &k->cfg, .env = &k->env, .life = &k->life};
    fake_ids(k);
    fake_roster(k, password);
    fake_rules(k);
    fake_store(k);
    return k;
}

static void fake_end(struct fake *k)
{
    struct exchange *x = k->x;
    if (x == NULL)
        return;
    json_decref(x->query);
    json_decref(x->json);
    json_decref(x->answer_headers);
    buf_free(&x->out);
    roster_unref(x->who.roster);
    if (x->stream_fd >= 0)
        close(x->stream_fd);
    arena_free(x->arena);
    free(x);
    k->x = NULL;
}

static int fake_remove(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void fake_free(struct fake *k)
{
    fake_end(k);
    store_close(k->life.store);
    vault_close(k->life.vault);
    keyring_free(&k->life.keys);
    roster_unref(k->life.roster);
    rules_unref(k->life.rules);
    assert_int_equal(nftw(k->dir, fake_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(k);
}

/* --- an exchange ------------------------------------------------------------------------------ */
static struct exchange *fake_exchange(struct fake *k, enum who who, const char *id)
{
    fake_end(k);
    struct exchange *x = k->x = calloc(1, sizeof *x);
    x->arena = arena_new((size_t)8 << 20);
    x->query = json_array();
    x->stream_fd = -1;
    x->remote = STR("192.0.2.1");
    x->secure = true;
    x->who.who = who;
    x->who.roster = roster_ref(k->life.roster);
    x->who.workspace = STR("default");
    if (who == WHO_AGENT) {
        x->who.agent = roster_agent(x->who.roster, str_c(id));
        x->who.workspace = str_c(x->who.agent->workspace);
    } else if (who == WHO_PERSON || who == WHO_TOKEN) {
        x->who.person = roster_person(x->who.roster, str_c(id));
        x->who.workspace = str_c(x->who.person->workspace);
        x->who.session = STR("ses_test");
        x->who.csrf = STR("csf_test");
    }
    return x;
}

UNUSED static void fake_json(struct exchange *x, const char *text)
{
    struct fail f = {0};
    if (json_read(str_c(text), &x->json, &f) != ERR_OK)
        fail_msg("%s", f.detail);
}

UNUSED static void fake_query(struct exchange *x, const char *name, const char *value)
{
    json_array_append_new(x->query, json_pack("[s,s]", name, value));
}

UNUSED static void fake_header(struct exchange *x, const char *name, const char *value)
{
    struct exchange_header_pair *h = arena_alloc(x->arena, (x->n_headers + 1) * sizeof *h);
    if (x->n_headers > 0)
        memcpy(h, x->headers, x->n_headers * sizeof *h);
    h[x->n_headers++] = (struct exchange_header_pair){str_c(name), str_c(value)};
    x->headers = h;
}

/* The value of an answer header; "" where absent. */
UNUSED static const char *fake_answer_header(const struct exchange *x, const char *name)
{
    for (size_t i = 0; i < json_array_size(x->answer_headers); i++) {
        const json_t *pair = json_array_get(x->answer_headers, i);
        if (strcasecmp(json_string_value(json_array_get(pair, 0)), name) == 0)
            return json_string_value(json_array_get(pair, 1));
    }
    return "";
}

/* The answer's body; free with json_decref. */
UNUSED static json_t *fake_answer(const struct exchange *x)
{
    json_t *v = json_loadb(x->out.p, x->out.n, JSON_DECODE_ANY, NULL);
    if (v == NULL)
        fail_msg("no JSON: %.*s", (int)x->out.n, x->out.p != NULL ? x->out.p : "");
    return v;
}

UNUSED static const char *fake_text(const json_t *v, const char *pointer)
{
    const json_t *at = json_at(v, str_c(pointer));
    return json_is_string(at) ? json_string_value(at) : json_is_null(at) ? "null" : "absent";
}

/* --- an action -------------------------------------------------------------------------------- */
struct fake_row {
    struct fake *k;
    struct action a;
    struct buf request, extra, result;
};

static int fake_insert(struct store_tx *tx, void *arg)
{
    struct fake_row *w = arg;
    const struct action *a = &w->a;
    return STORE_EXEC(
        tx, Q_ACTION_INSERT, NULL, V_TEXT(a->workspace), V_TEXT(a->id), V_TEXT(a->agent),
        V_TEXT(a->connection), V_TEXT(a->connector), V_TEXT(a->operation), V_OPT(a->product),
        V_TEXT(a->method), V_TEXT(a->path), V_OPT(a->account), V_C(state_text(a->state)),
        V_OPT(a->error_code), V_INT(a->tier), V_INT(a->revision), V_INT(a->attempt),
        V_TEXT(a->payload_hash), V_TEXT(a->join_hash), V_OPT(a->binding), V_OPT(a->nonce),
        V_OPT(a->quorum), V_OPT(a->evidence), V_TEXT(a->reasons), V_OPT(a->policy_digest),
        V_OPT(a->idempotency_key), V_OPT(a->thread), V_OPT(a->attempt_of), V_INT(a->proposed_at),
        V_OPT_INT(a->decide_by), V_OPT_INT(a->execute_by), V_OPT_INT(a->decided_at),
        V_OPT_INT(a->ended_at), V_OPT_INT(a->told_at), V_OPT(a->executed_payload_hash),
        V_OPT(a->provider_request_id), V_OPT(a->rejected_by), V_OPT(a->rejection_reason),
        V_OPT(a->rejection_option), V_OPT(a->reauth_reason), V_OPT(a->reauth_url),
        V_OPT_INT(a->reauth_expires_at), V_INT(a->given), V_INT(a->changed_seq), V_INT(a->epoch),
        V_OPT(a->approvers), V_OPT(str_c(state_outcome(a->state))), V_BLOB(buf_view(&w->request)),
        w->extra.n > 0 ? V_BLOB(buf_view(&w->extra)) : V_NULL,
        w->result.n > 0 ? V_BLOB(buf_view(&w->result)) : V_NULL);
}

static void fake_seal(const struct fake_row *w, const char *column, const char *clear,
                      struct buf *ret)
{
    buf_init(ret, 0);
    if (clear != NULL)
        assert_int_equal(vault_seal(w->k->life.vault, w->a.epoch, w->a.workspace, w->a.id, column,
                                    str_c(clear), ret),
                         0);
}

static const char fake_request[] =
    "{\"body\":{\"amount\":\"12.00\"},\"headers\":{},\"method\":\"POST\","
    "\"path\":\"/transfer/create\",\"query\":[]}";

static void fake_result(struct fake_row *w, const char *body)
{
    struct buf packed;
    buf_init(&packed, 0);
    json_t *meta = json_pack("{s:i, s:{s:s, s:s}}", "status", 201, "headers", "content-type",
                             "application/json", "x-request-id", "r-1");
    assert_int_equal(result_pack(meta, str_c(body), &packed), 0);
    assert_int_equal(vault_seal(w->k->life.vault, w->a.epoch, w->a.workspace, w->a.id, "result",
                                buf_view(&packed), &w->result),
                     0);
    json_decref(meta);
    buf_free(&packed);
}

/* Bot's action at tier 3 in a state; id is written. `body` of the provider's answer or NULL. */
UNUSED static void fake_action(struct fake *k, enum state state, const char *body, char id[ID_SIZE])
{
    id_new(&k->env, "act", id);
    struct fake_row w = {
        .k = k,
        .a = {.workspace = STR("default"),
              .id = str_c(id),
              .agent = str_c(k->bot),
              .connection = str_c(k->bank),
              .connector = STR("plaid"),
              .operation = STR("transfer.create"),
              .method = STR("POST"),
              .path = STR("/transfer/create"),
              .state = state,
              .tier = 3,
              .revision = 1,
              .payload_hash = STR("sha256:00"),
              .join_hash = STR("x"),
              .binding = STR("sha256:11"),
              .quorum = STR("[{\"count\":2,\"group\":\"finance\"}]"),
              .reasons = STR("[{\"rule\":\"r\",\"effect\":\"tier 3\",\"text\":\"t\"}]"),
              .proposed_at = FAKE_NOW,
              .decide_by = FAKE_NOW + 1000,
              .execute_by = FAKE_NOW + 2000,
              .ended_at = state_ended(state) ? FAKE_NOW + 500 : 0,
              .given = 1,
              .epoch = vault_epoch(FAKE_NOW)}};
    fake_seal(&w, "request", fake_request, &w.request);
    fake_seal(&w, "extra", "{\"note\":\"please\",\"state\":{\"n\":1}}", &w.extra);
    buf_init(&w.result, 0);
    if (body != NULL)
        fake_result(&w, body);
    assert_int_equal(store_tx(k->life.store, fake_insert, &w), 0);
    buf_free(&w.request);
    buf_free(&w.extra);
    buf_free(&w.result);
}

#endif
