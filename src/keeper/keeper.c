/* The keeper's loop: hear, check, journal, send, tell. Refuses to go on after a message that is not
 * gate's or an error of the journal: the process ends, and the journal says what was sent. */
#include "keeper/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "keeper/confine.h"
#include "keeper/dispatch.h"
#include "keeper/execute.h"
#include "keeper/rules.h"

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

void keeper_silence(struct keeper *k)
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
            keeper_silence(k);
            return;
        }
        said_drop(k); /* also what is too large to be said: gate will ask */
    }
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
            keeper_silence(k);
            return true;
        }
        if (r)
            return false;
        bool ok = dispatch_frame(k, &f);
        frame_free(&f);
        if (!ok)
            return false;
    }
    return true;
}

/* What the parent says: a socket to a new gate, or files to read from. ERR_DONE: nothing;
 * ERR_TRUNCATED: it has gone. */
static int control(struct keeper *k)
{
    union {
        char space[CMSG_SPACE(2 * sizeof(int))];
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
        return ERR_DONE;
    if (n <= 0)
        return ERR_TRUNCATED;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    size_t fds = byte == 'P'   ? 1
                 : byte == 'F' ? 2
                               : 0; /* a socket to gate; policy and connectors */
    if (fds == 0 || !c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(fds * sizeof(int)))
        return ERR_MALFORMED;
    int fd[2] = {-1, -1};
    memcpy(fd, CMSG_DATA(c), fds * sizeof(int));
    if (byte == 'F') {
        rules_take_files(k, fd[0], fd[1]);
        return 0;
    }
    keeper_silence(k);
    k->gate_fd = fd[0];
    return 0;
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

enum { FD_SIGNAL, FD_GATE, FD_CONTROL, N_FDS };

/* Once it is to stop, keeper hears nobody: it finishes what is under way and tells gate of it. */
static void wait(struct keeper *k, bool stopping)
{
    bool room = k->waiting_first && sender_load(k->sender) < (size_t)k->cfg->limit_calls;
    bool hears = !stopping && k->said_bytes < SAID_BYTES_MOST;
    int events = (hears ? CURL_WAIT_POLLIN : 0) | (k->said_first ? CURL_WAIT_POLLOUT : 0);
    struct curl_waitfd fds[N_FDS] = {
        [FD_SIGNAL] = {.fd = k->signal_fd, .events = CURL_WAIT_POLLIN}};
    unsigned n = FD_GATE;
    if (k->gate_fd >= 0 && events)
        fds[n++] = (struct curl_waitfd){.fd = k->gate_fd, .events = (short)events};
    if (!stopping)
        fds[n++] = (struct curl_waitfd){.fd = k->control_fd, .events = CURL_WAIT_POLLIN};
    sender_wait(k->sender, fds, n, room ? 0 : TICK_MS);
}

static bool asked_to_stop(const struct keeper *k)
{
    struct signalfd_siginfo info;
    return read(k->signal_fd, &info, sizeof info) == sizeof info;
}

/* DONE records are written at once, but nobody waits for the disk to have them. */
static int sync_now_and_then(struct keeper *k, int64_t *last)
{
    int64_t now = env_mono(k->env);
    if (now - *last <= TICK_MS)
        return 0;
    *last = now;
    return journal_commit(k->journal, true);
}

/* Returns the exit status. */
static int loop(struct keeper *k)
{
    int64_t stop_by = 0, synced = env_mono(k->env); /* stop_by 0: not stopping */
    for (;;) {
        int r = stop_by ? ERR_DONE : control(k);
        /* asked after control: the parent sends SIGTERM before it hangs up */
        if (!stop_by && asked_to_stop(k))
            stop_by = env_mono(k->env) + STOP_MS;
        else if (r == ERR_TRUNCATED)
            return 0; /* the parent was killed; its successor starts another keeper */
        if (r == ERR_MALFORMED || (!stop_by && !hear(k)))
            return 1;
        if (turn(k) || sync_now_and_then(k, &synced)) {
            log_event(LOG_ERROR, "journal_failed");
            return 1;
        }
        bool idle = sender_idle(k->sender) && !k->waiting_first && !k->said_first;
        if (stop_by && (idle || env_mono(k->env) > stop_by))
            return journal_commit(k->journal, true) ? 1 : 0;
        wait(k, stop_by != 0);
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
    static const char *const names[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    return LOG_INFO;
}

int keeper_main(const struct config *cfg, int control_fd)
{
    struct keeper k = {.cfg = cfg,
                       .files = *cfg,
                       .files_fd = {-1, -1},
                       .env = &env_system,
                       .control_fd = control_fd,
                       .gate_fd = -1,
                       .signal_fd = -1};
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
    keeper_silence(&k);
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
