/* The keeper's loop and its table of messages. Refuses every message that is not in the table,
 * comes before its time or does not decode: then the process ends, since its peer is not gate. */
#include "keeper/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "keeper/check.h"
#include "keeper/confine.h"
#include "keeper/deliver.h"
#include "keeper/execute.h"
#include "keeper/messages.h"
#include "keeper/seal.h"

enum { FRAMES_A_TURN = 64, SAID_BYTES_MOST = 128 << 20, TICK_MS = 1000, STOP_MS = 20000 };

/* --- what is said to gate --------------------------------------------------------------------- */

struct said {
    struct said *next;
    enum verb verb;
    uint64_t id;
    struct buf fields;
    int stream_fd;
};

static void said_drop(struct keeper *k)
{
    struct said *s = k->said_first;
    k->said_first = s->next;
    if (!k->said_first)
        k->said_last = NULL;
    k->said_bytes -= s->fields.n;
    buf_wipe(&s->fields);
    if (s->stream_fd >= 0)
        close(s->stream_fd);
    free(s);
}

bool keeper_say(struct keeper *k, enum verb verb, uint64_t id, struct buf *fields, int stream_fd)
{
    struct said *s = k->gate_fd >= 0 && !fields->bad ? malloc(sizeof *s) : NULL;
    if (!s) { /* nobody listens, or no memory: gate will ask */
        buf_wipe(fields);
        return false;
    }
    *s = (struct said){.verb = verb, .id = id, .fields = *fields, .stream_fd = stream_fd};
    *fields = (struct buf){0};
    *(k->said_last ? &k->said_last->next : &k->said_first) = s;
    k->said_last = s;
    k->said_bytes += s->fields.n;
    return true;
}

static void gate_gone(struct keeper *k)
{
    while (k->said_first)
        said_drop(k);
    if (k->gate_fd >= 0)
        close(k->gate_fd);
    k->gate_fd = -1;
    k->greeted = false;
}

static void speak(struct keeper *k)
{
    while (k->said_first) {
        const struct said *s = k->said_first;
        if (s->verb == VERB_RESULT)
            CRASHPOINT(keeper_before_result);
        int r = frame_send(k->gate_fd, s->verb, s->id, buf_view(&s->fields), s->stream_fd);
        if (r == ERR_DONE)
            return;
        if (r == ERR_TRUNCATED) {
            gate_gone(k);
            return;
        }
        said_drop(k); /* also what is too large to be said: gate will ask */
    }
}

/* --- policy and connectors -------------------------------------------------------------------- */

static int rules_load(const struct config *cfg, struct rules **ret, struct fail *f)
{
    struct complaints c;
    complaints_init(&c);
    int r = rules_read(cfg, ret, &c);
    if (r) {
        struct str all = buf_view(&c.text);
        fail_set(f, r, "%.*s", STR_FMT(str_sub(all, 0, str_find(all, '\n', 0))));
    }
    complaints_free(&c);
    return r;
}

static bool rules_are(const struct rules *r, struct str policy, struct str connectors)
{
    return str_eq_c(policy, policy_digest(r->policy)) &&
           str_eq_c(connectors, connectors_digest(r->connectors));
}

/* The digests are gate's: both processes must judge by the same files. */
static int rules_agree(struct keeper *k, struct str policy, struct str connectors, struct fail *f)
{
    struct rules *next = NULL;
    if (rules_are(k->rules, policy, connectors))
        return 0;
    int r = rules_load(k->cfg, &next, f);
    if (r)
        return r;
    if (!rules_are(next, policy, connectors)) {
        rules_unref(next);
        return fail_set(f, ERR_CONFLICT,
                        "keeper reads another policy or other connectors than gate");
    }
    rules_unref(k->rules);
    k->rules = next;
    log_event(LOG_INFO, "rules_loaded", KV_S("policy", policy), KV_S("connectors", connectors));
    return 0;
}

/* --- one function a message ------------------------------------------------------------------- */

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

/* False: this did not come from gate as it is written, the process ends. */
static bool take_frame(struct keeper *k, struct frame *f)
{
    struct taking t = {.frame = f, .in = wire_fields(f), .why = {.position = -1}};
    struct buf refused = {0};
    uint64_t id = f->id;
    enum verb verb = f->verb;
    int r = NOT_GATE;
    if (verb_allowed_first(verb) != k->greeted)
        for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
            if (takers[i].verb == verb)
                r = takers[i].take(k, &t);
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

/* --- the loop --------------------------------------------------------------------------------- */

static bool hear(struct keeper *k)
{
    for (int i = 0; i < FRAMES_A_TURN && k->gate_fd >= 0 && k->said_bytes < SAID_BYTES_MOST; i++) {
        struct frame f;
        int r = frame_recv(k->gate_fd, TO_KEEPER, &f);
        if (r == ERR_DONE)
            return true;
        if (r == ERR_TRUNCATED) {
            gate_gone(k);
            return true;
        }
        if (r)
            return false;
        bool ok = take_frame(k, &f);
        frame_free(&f);
        if (!ok)
            return false;
    }
    return true;
}

/* The parent gives a socket to a new gate. False: it is gone, or says something else. */
static bool control(struct keeper *k, bool *gone)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte = 0;
    struct iovec io = {&byte, 1};
    struct msghdr msg = {.msg_iov = &io,
                         .msg_iovlen = 1,
                         .msg_control = control.space,
                         .msg_controllen = sizeof control.space};
    ssize_t n = recvmsg(k->control_fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    *gone = n <= 0;
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (byte != 'P' || !c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof(int)))
        return false;
    gate_gone(k);
    memcpy(&k->gate_fd, CMSG_DATA(c), sizeof k->gate_fd);
    return true;
}

/* One turn: orders in, checked, journalled together, sent; results journalled, then told. */
static int turn(struct keeper *k)
{
    execute_start(k);
    if (journal_unsynced(k->journal)) {
        CRASHPOINT(keeper_before_journal);
        if (journal_commit(k->journal, true))
            return ERR_IO;
        CRASHPOINT(keeper_after_journal);
    }
    bool sending = k->staged != NULL;
    execute_launch(k);
    sender_work(k->sender);
    if (sending)
        CRASHPOINT(keeper_sending);
    if (journal_commit(k->journal, false))
        return ERR_IO;
    if (k->gate_fd >= 0)
        speak(k);
    return 0;
}

enum { FD_CONTROL, FD_SIGNAL, FD_GATE, N_FDS };

static void wait(struct keeper *k, bool stopping)
{
    struct curl_waitfd fds[N_FDS] = {
        [FD_CONTROL] = {.fd = k->control_fd, .events = CURL_WAIT_POLLIN},
        [FD_SIGNAL] = {.fd = k->signal_fd, .events = CURL_WAIT_POLLIN},
        [FD_GATE] = {.fd = k->gate_fd},
    };
    if (!stopping && k->said_bytes < SAID_BYTES_MOST)
        fds[FD_GATE].events = CURL_WAIT_POLLIN;
    if (k->said_first)
        fds[FD_GATE].events = (short)(fds[FD_GATE].events | CURL_WAIT_POLLOUT);
    bool room = k->waiting_first && sender_load(k->sender) < (size_t)k->cfg->limit_calls;
    sender_wait(k->sender, fds, k->gate_fd >= 0 ? N_FDS : FD_GATE, room ? 0 : TICK_MS);
}

static bool asked_to_stop(const struct keeper *k)
{
    struct signalfd_siginfo info;
    return read(k->signal_fd, &info, sizeof info) == sizeof info;
}

/* Returns the exit status. */
static int loop(struct keeper *k)
{
    bool stopping = false, gone = false;
    int64_t stop_by = INT64_MAX, synced = env_mono(k->env);
    for (;;) {
        if (!control(k, &gone))
            return gone ? 0 : 1;
        if (!stopping && !hear(k))
            return 1;
        if (turn(k)) {
            log_event(LOG_ERROR, "journal_failed");
            return 1;
        }
        if (env_mono(k->env) - synced > TICK_MS) { /* DONE records, which nobody waits for */
            if (journal_commit(k->journal, true))
                return 1;
            synced = env_mono(k->env);
        }
        if (stopping && (env_mono(k->env) > stop_by ||
                         (sender_idle(k->sender) && !k->waiting_first && !k->said_first)))
            return journal_commit(k->journal, true) ? 1 : 0;
        wait(k, stopping);
        if (!stopping && asked_to_stop(k)) {
            stopping = true;
            stop_by = env_mono(k->env) + STOP_MS;
        }
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static int open_signals(struct keeper *k)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return ERR_IO;
    k->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return k->signal_fd >= 0 ? 0 : ERR_IO;
}

/* Files first, then the account, then the journal: it is written as the lesser user. */
static int begin(struct keeper *k, int *dirfd, struct fail *f)
{
    const struct config *cfg = k->cfg;
    struct send_limits limits = {(long)cfg->limit_connect_time, (long)cfg->limit_upstream_time,
                                 (long)cfg->limit_calls};
    int r = confine_begin(f);
    if (!r)
        r = keyring_read(cfg->kek_file, &k->kek, f);
    if (!r)
        r = rules_load(cfg, &k->rules, f);
    if (!r)
        r = confine_folder(cfg, dirfd, f);
    if (!r)
        r = confine_drop(cfg, f);
    if (!r)
        r = journal_open(*dirfd, &k->kek, k->env, &k->journal, f);
    if (!r)
        r = sender_new(&limits, &k->sender);
    if (!r)
        r = open_signals(k);
    k->roster = (struct roster_hold){.kek = &k->kek, .journal = k->journal};
    return r;
}

static enum log_level log_least(const char *name)
{
    static const char *const names[] = {[LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

int keeper_main(const struct config *cfg, int control_fd)
{
    struct keeper k = {
        .cfg = cfg, .env = &env_system, .control_fd = control_fd, .gate_fd = -1, .signal_fd = -1};
    struct fail f = {.position = -1};
    int dirfd = -1, status = 1;
    log_open("keeper", log_least(cfg->log_level));
    int r = begin(&k, &dirfd, &f);
    if (r) {
        log_event(LOG_ERROR, "keeper_cannot_start", KV_C("why", err_name(r)),
                  KV_C("detail", f.detail));
    } else {
        log_event(LOG_INFO, "keeper_ready", KV_C("epoch", journal_ledger(k.journal)->epoch),
                  KV_N("roster", journal_ledger(k.journal)->roster_version));
        status = loop(&k);
    }
    gate_gone(&k);
    execute_free(&k);
    roster_hold_free(&k.roster);
    journal_close(k.journal);
    rules_unref(k.rules);
    keyring_free(&k.kek);
    if (k.signal_fd >= 0)
        close(k.signal_fd);
    if (dirfd >= 0)
        close(dirfd);
    return status;
}
