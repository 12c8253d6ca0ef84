/* gate's boot order: keys, store, rules, life, keeper, then the doors. And the way down, in the
 * opposite order, finishing what is in hand. */
#include "api/session.h"
#include "base/log.h"
#include "cli/cli.h"
#include "http/admin.h"
#include "http/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STOP_MS 20000
#define REFRESH_S 5

struct gate {
    const struct config *cfg;
    int control;
    bool listen;
    struct keyring keys;
    struct vault *vault;
    struct store *store;
    struct rules *rules;
    struct app app;
    struct server *server;
    struct admin *admin;
    pthread_t pairing;
    bool pairing_runs;
    pthread_mutex_t lock; /* files_given */
    pthread_cond_t told;
    unsigned files_given; /* how often the parent has said so */
};

enum told { TOLD_NOTHING = 0, TOLD_PAIR, TOLD_FILES };

/* What the parent says: a fresh socket to keeper, or that keeper has its files anew. TOLD_NOTHING
 * once the parent is gone. */
static enum told hear_parent(int control, int *ret_fd)
{
    char byte = 0;
    struct iovec io = {&byte, 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } u = {0};
    struct msghdr m = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = u.space, .msg_controllen = sizeof u.space};
    ssize_t n;
    do
        n = recvmsg(control, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n == 1 && byte == 'R')
        return TOLD_FILES;
    struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c == NULL || byte != 'P' || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(sizeof *ret_fd))
        return TOLD_NOTHING;
    memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    return TOLD_PAIR;
}

static int say(const char *what, const struct fail *f, int err)
{
    log_event(LOG_ERROR, what, KV_C("why", err_name(err)), KV_C("detail", f->detail));
    return err;
}

static void bind_again(struct gate *g, int fd)
{
    struct fail f = {0};
    int r = life_bind(g->app.life, fd, &f);
    if (r == 0) {
        log_event(LOG_INFO, "gate.keeper_back", KV_N("pid", getpid()));
    } else if (r == ERR_CONFLICT || r == ERR_SEAL) {
        say("gate.keeper_differs", &f, r); /* start over with what is on the disk now */
        kill(getpid(), SIGTERM);
    } else {
        say("gate.keeper_not_bound", &f, r);
    }
}

/* Binds again whenever keeper was restarted; when the parent is gone, so are we. */
static void *pairing(void *arg)
{
    struct gate *g = arg;
    enum told told;
    int fd = -1;
    while ((told = hear_parent(g->control, &fd)) != TOLD_NOTHING) {
        if (told == TOLD_PAIR) {
            bind_again(g, fd);
            continue;
        }
        pthread_mutex_lock(&g->lock);
        g->files_given++;
        pthread_cond_broadcast(&g->told);
        pthread_mutex_unlock(&g->lock);
    }
    kill(getpid(), SIGTERM);
    return NULL;
}

/* Asks the parent to open policy and connectors anew for keeper, and waits until it has. */
static int refresh_files(void *arg)
{
    struct gate *g = arg;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += REFRESH_S;
    pthread_mutex_lock(&g->lock);
    unsigned before = g->files_given;
    int r = send(g->control, "R", 1, MSG_NOSIGNAL) == 1 ? 0 : ETIMEDOUT;
    while (r == 0 && g->files_given == before)
        r = pthread_cond_timedwait(&g->told, &g->lock, &until);
    pthread_mutex_unlock(&g->lock);
    return r == 0 ? 0 : ERR_KEEPER;
}

static void on_changed(void *arg, const struct life_change *c)
{
    struct gate *g = arg;
    if (g->app.waiters != NULL)
        server_changed(&g->app, c);
}

static int render(void *arg, const struct action *a, struct buf *out)
{
    struct gate *g = arg;
    return api_event_data(
        &g->app, &(struct life_change){.workspace = a->workspace, .action = a->id}, false, out);
}

static int open_store(struct gate *g, struct fail *f)
{
    const struct config *cfg = g->cfg;
    char path[4096];
    if (mkdir(cfg->data_dir, 0700) != 0 && errno != EEXIST)
        return fail_set(f, ERR_IO, "cannot make %s: %s", cfg->data_dir, strerror(errno));
    int r = keyring_read(cfg->payload_key_file, &g->keys, f);
    if (r != 0)
        return r;
    snprintf(path, sizeof path, "%s/epochs", cfg->data_dir);
    r = vault_open(path, &g->keys, &g->vault, f);
    if (r != 0)
        return r;
    struct store_options o = {.url = cfg->store, .dir = cfg->data_dir, .readers = 8};
    return store_open(&o, &g->store, f);
}

static int read_rules(struct gate *g, struct fail *f)
{
    struct complaints c;
    complaints_init(&c);
    int r = rules_read(g->cfg, &g->rules, &c);
    if (r != 0) {
        fwrite(buf_view(&c.text).p, 1, c.text.n, stderr);
        fail_set(f, r, "policy or connectors are refused; see above");
    }
    complaints_free(&c);
    return r;
}

static int open_life(struct gate *g, struct fail *f)
{
    struct life_options o = {.cfg = g->cfg,
                             .env = &env_system,
                             .store = g->store,
                             .vault = g->vault,
                             .rules = g->rules,
                             .changed = on_changed,
                             .render = render,
                             .refresh_files = refresh_files,
                             .arg = g};
    int r = life_new(&o, &g->app.life);
    if (r != 0)
        return fail_set(f, r, "cannot start");
    g->rules = NULL; /* life's now */
    int fd = -1;
    if (hear_parent(g->control, &fd) != TOLD_PAIR)
        return fail_set(f, ERR_KEEPER, "the parent is gone");
    r = life_bind(g->app.life, fd, f);
    return r == 0 ? sessions_new(g->app.life, g->cfg, &g->app.sessions) : r;
}

static int open_doors(struct gate *g, struct fail *f)
{
    int r = 0;
    if (g->listen)
        r = server_start(&g->app, &g->server, f);
    if (r == 0)
        r = admin_start(&g->app, &g->admin, f);
    if (r == 0 && pthread_create(&g->pairing, NULL, pairing, g) != 0)
        r = ERR_NOMEM;
    if (r != 0)
        return r;
    g->pairing_runs = true;
    if (g->listen)
        log_event(LOG_INFO, "gate.ready", KV_C("listen", g->cfg->listen),
                  KV_C("url", g->cfg->public_url), KV_N("port", server_port(g->server)));
    return 0;
}

static void reload(struct gate *g)
{
    struct complaints c;
    struct fail f = {0};
    complaints_init(&c);
    int r = life_reload(g->app.life, &c, &f);
    if (c.n > 0)
        fwrite(buf_view(&c.text).p, 1, c.text.n, stderr);
    if (r == 0)
        log_event(LOG_INFO, "gate.reloaded", KV_C("policy", g->cfg->policy));
    else
        say("gate.not_reloaded", &f, r);
    complaints_free(&c);
}

static void close_all(struct gate *g)
{
    g->app.stopping = true;
    if (g->pairing_runs) {
        shutdown(g->control, SHUT_RDWR);
        pthread_join(g->pairing, NULL);
    }
    admin_stop(g->admin);
    if (g->server != NULL)
        server_stop(g->server, STOP_MS);
    /* Their readers are gone with the server, so they end at once. */
    while (g->app.exports > 0)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (g->app.life != NULL)
        life_drain(g->app.life, STOP_MS);
    sessions_free(g->app.sessions);
    life_free(g->app.life);
    rules_unref(g->rules);
    store_close(g->store);
    vault_close(g->vault);
    keyring_free(&g->keys);
}

static bool lasting(int err)
{
    return err == ERR_CONFIG || err == ERR_SEAL || err == ERR_CONFLICT;
}

int gate_main(const struct config *cfg, int control_fd, bool listen)
{
    struct gate g = {.cfg = cfg, .control = control_fd, .listen = listen};
    g.app.cfg = cfg;
    g.app.env = &env_system;
    pthread_mutex_init(&g.lock, NULL);
    pthread_cond_init(&g.told, NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the first thread: they all inherit it */
    struct fail f = {0};
    int r = open_store(&g, &f);
    if (r == 0)
        r = read_rules(&g, &f);
    if (r == 0)
        r = open_life(&g, &f);
    if (r == 0)
        r = open_doors(&g, &f);
    if (r != 0)
        say("gate.not_started", &f, r);
    for (int sig = 0; r == 0 && sigwait(&set, &sig) == 0 && sig == SIGHUP;)
        reload(&g);
    close_all(&g);
    return r == 0 ? 0 : lasting(r) ? EXIT_MISCONFIGURED : EXIT_REFUSED;
}
