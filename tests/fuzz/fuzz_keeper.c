/* The keeper's decoders, chosen by the first byte: a conversation (HELLO, then any verbs with any
 * fields) through the real dispatcher and checks; a good order altered in a few bytes; bytes as a
 * journal; bytes as a sealed roster; a packet on the socket. Nothing is ever connected: the only
 * connection there is may not have private addresses and points at one. Runs from the repository
 * root. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "connector/request.h"
#include "keeper/dispatch.h"
#include "keeper/execute.h"
#include "keeper/messages.h"
#include "keeper/rules.h"
#include "keeper/seal.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config cfg = {.limit_answer = 1024, .limit_calls = 4, .session_absolute = 3600000};
static struct rules *rules;
static struct keyring kek;
static struct buf roster, order_fields, hello;
static char dir[] = "/tmp/fuzz-keeper-XXXXXX";
static int dirfd_;

static const char roster_text[] =
    "{\"version\":1,\"workspaces\":[{\"id\":\"default\"}],\"people\":["
    "{\"id\":\"apr_01h00000000000000000000000\",\"workspace\":\"default\",\"email\":\"a@b."
    "example\",\"role\":\"admin\",\"groups\":[],"
    "\"enabled\":true,\"password\":\"\",\"tokens\":[],\"since\":1},"
    "{\"id\":\"apr_01h00000000000000000000001\",\"workspace\":\"default\",\"email\":\"c@b."
    "example\",\"role\":\"approver\",\"groups\":[],"
    "\"enabled\":true,\"password\":\"\",\"tokens\":[],\"since\":1}],"
    "\"agents\":[{\"id\":\"agt_01h00000000000000000000000\",\"workspace\":\"default\",\"name\":"
    "\"bot\",\"owner\":"
    "\"apr_01h00000000000000000000000\",\"key_hash\":\"sha256:"
    "0000000000000000000000000000000000000000000000000000000000000001\","
    "\"enabled\":true,\"connections\":[\"con_01h00000000000000000000000\"],\"resume_urls\":["
    "\"https://127.0.0.1:1/hook\"],"
    "\"allow_private\":false,\"since\":1}],"
    "\"connections\":[{\"id\":\"con_01h00000000000000000000000\",\"workspace\":\"default\","
    "\"name\":\"main\",\"connector\":\"crm\","
    "\"base_url\":\"https://"
    "127.0.0.1:1\",\"allow_private\":false,\"credential\":1,\"enabled\":true,\"item_id\":\"\","
    "\"since\":1}]}";

/* A mail that would be checked to the end, but for its votes' grant. */
static void make_order(void)
{
    const struct connector *c = connectors_find(rules->connectors, STR("crm"));
    json_t *body = json_pack("{s:s}", "to", "x@y.example");
    const struct request_input in = {.method = STR("POST"),
                                     .path = STR("/emails"),
                                     .body = body,
                                     .content_type = STR("application/json")};
    struct request req;
    struct buf box = {0};
    char binding[HASH_TEXT], mac[MAC_TEXT];
    unsigned char key[KEY_BYTES];
    const struct credential_place place = {STR("default"), STR("con_01h00000000000000000000000"),
                                           STR("https://127.0.0.1:1"), 1};
    CS_ASSERT(c && body && request_build(c, &in, &req, NULL) == 0);
    CS_ASSERT(seal_credential(&kek, &place, STR("{\"token\":\"0123456789\"}"), &box) == 0);
    struct vote vote = {.person = STR("apr_01h00000000000000000000001"),
                        .decision = VOTE_APPROVE,
                        .at = env_now(&env_system),
                        .auth_time = env_now(&env_system),
                        .session = STR("s"),
                        .evidence = STR("session")};
    struct exec_order o = {.about = {.action = STR("act_01h00000000000000000000000"),
                                     .workspace = STR("default"),
                                     .agent = STR("agt_01h00000000000000000000000"),
                                     .connection = place.connection,
                                     .revision = 1,
                                     .tier = 2,
                                     .quorum = STR("[{\"count\":1}]"),
                                     .evidence = STR("session"),
                                     .payload_hash = str_c(req.hash),
                                     .decide_by = 4102444800000,
                                     .execute_by = 4102444800000,
                                     .nonce = STR("00112233445566778899aabbccddeeff")},
                           .attempt = 1,
                           .request = buf_view(&req.bytes),
                           .credential = buf_view(&box),
                           .epoch = STR("00000000000000000000000000000000"),
                           .vote = &vote,
                           .n_votes = 1};
    CS_ASSERT(binding_hash(&o.about, binding) == 0);
    vote.binding = str_c(binding);
    key_derive(key, kek.key[0], "mac", STR(""));
    CS_ASSERT(vote_mac(key, 1, &vote, mac) == 0);
    vote.mac = str_c(mac);
    messages_put_order(&order_fields, &o);
    json_decref(body);
    request_free(&req);
    buf_free(&box);
}

static void clean_up(void)
{
    (void)unlinkat(dirfd_, "journal", 0);
    (void)rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct fail f = {0};
    log_open("fuzz", (enum log_level)(LOG_ERROR + 1));
    cfg.policy = "conf/policy.yaml";
    cfg.connectors_dir = "connectors";
    CS_ASSERT(rules_load(&cfg, &rules, &f) == 0);
    kek = (struct keyring){.n = 1, .version = {1}};
    kek.key[0] = secret_alloc(KEY_BYTES);
    memset(kek.key[0], 7, KEY_BYTES);
    CS_ASSERT(seal_roster(&kek, 1, str_c(roster_text), &roster) == 0);
    wire_text(&hello, str_c(policy_digest(rules->policy)));
    wire_text(&hello, str_c(connectors_digest(rules->connectors)));
    make_order();
    atexit(clean_up);
    CS_ASSERT(mkdtemp(dir) != NULL && (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) >= 0);
    return 0;
}

/* --- a conversation --------------------------------------------------------------------------- */

struct talk {
    struct keeper k;
    int peer;
};

static bool say(struct talk *t, enum verb verb, struct str fields)
{
    struct frame f = {.verb = verb, .id = 1, .stream_fd = -1};
    buf_str(&f.fields, fields);
    bool ok = dispatch_frame(&t->k, &f);
    frame_free(&f);
    return ok;
}

static void fixed_random(void *arg, void *out, size_t n)
{
    (void)arg;
    memset(out, 0, n); /* the epoch that the order names */
}

static void talk_begin(struct talk *t)
{
    static struct env env;
    const struct send_limits limits = {100, 100, 4};
    int pair[2];
    env = env_system;
    env.random = fixed_random;
    CS_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
    *t = (struct talk){.k = {.cfg = &cfg,
                             .files = cfg,
                             .files_fd = {-1, -1},
                             .env = &env_system,
                             .rules = rules_ref(rules),
                             .control_fd = -1,
                             .signal_fd = -1,
                             .gate_fd = pair[0]},
                       .peer = pair[1]};
    t->k.kek = kek;
    (void)unlinkat(dirfd_, "journal", 0);
    CS_ASSERT(journal_open(dirfd_, &kek, &env, &t->k.journal, NULL) == 0);
    CS_ASSERT(sender_new(&limits, &t->k.sender) == 0);
    t->k.roster = (struct roster_hold){.kek = &t->k.kek, .journal = t->k.journal};
    struct buf load = {0};
    wire_text(&load, buf_view(&roster));
    CS_ASSERT(say(t, VERB_HELLO, buf_view(&hello)) && say(t, VERB_ROSTER_LOAD, buf_view(&load)));
    buf_free(&load);
}

static void talk_end(struct talk *t)
{
    execute_start(&t->k);
    CS_ASSERT(journal_commit(t->k.journal, false) == 0);
    execute_launch(&t->k);
    sender_work(t->k.sender);
    keeper_silence(&t->k);
    execute_free(&t->k);
    roster_hold_free(&t->k.roster);
    journal_close(t->k.journal);
    rules_unref(t->k.rules);
    close(t->peer);
}

/* verb, two bytes of length, fields; again. */
static void as_conversation(const uint8_t *p, size_t n)
{
    struct talk t;
    talk_begin(&t);
    while (n >= 3) {
        size_t length = (size_t)p[1] << 8 | p[2];
        length = length < n - 3 ? length : n - 3;
        if (!say(&t, (enum verb)p[0], (struct str){(const char *)p + 3, length}))
            break;
        p += 3 + length;
        n -= 3 + length;
    }
    talk_end(&t);
}

/* Triples of place and byte. A grant is asked for and the order given, whatever has become of it.
 */
static void as_altered_order(const uint8_t *p, size_t n)
{
    struct talk t;
    struct buf fields = {0};
    buf_str(&fields, buf_view(&order_fields));
    for (; n >= 3; p += 3, n -= 3)
        fields.p[((size_t)p[0] << 8 | p[1]) % fields.n] = (char)p[2];
    talk_begin(&t);
    if (say(&t, VERB_GRANT, buf_view(&fields)))
        (void)!say(&t, VERB_EXECUTE, buf_view(&fields));
    execute_start(&t.k);
    CS_ASSERT(sender_load(t.k.sender) == 0); /* there is no grant in it: nothing is sent */
    talk_end(&t);
    buf_free(&fields);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void as_journal(const uint8_t *p, size_t n)
{
    struct ledger l;
    size_t good;
    if (journal_read(&kek, (struct str){(const char *)p, n}, &l, &good, NULL) == 0)
        ledger_free(&l);
}

/* Records with true MACs are beyond a fuzzer, so their fields are fed by themselves. */
static void as_records(const uint8_t *p, size_t n)
{
    struct ledger l = {.id = "i", .epoch = "e"};
    while (n >= 2) {
        size_t length = p[1] < n - 2 ? p[1] : n - 2;
        if (!ledger_take(&l, (enum record_type)p[0], 1, (struct str){(const char *)p + 2, length},
                         0))
            break;
        p += 2 + length;
        n -= 2 + length;
    }
    ledger_free(&l);
}

static void as_roster(const uint8_t *p, size_t n)
{
    struct buf clear = {0};
    int64_t version;
    CS_ASSERT(seal_open_roster(&kek, (struct str){(const char *)p, n}, &version, &clear) != 0);
}

static void as_packet(const uint8_t *p, size_t n)
{
    int pair[2];
    struct frame f;
    CS_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
    if (send(pair[0], p, n, 0) == (ssize_t)n && frame_recv(pair[1], TO_KEEPER, &f) == 0)
        frame_free(&f);
    close(pair[0]);
    close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const uint8_t *, size_t) = {
        as_conversation, as_altered_order, as_journal, as_records, as_roster, as_packet};
    if (size > 0)
        targets[data[0] % (sizeof targets / sizeof *targets)](data + 1, size - 1);
    return 0;
}
