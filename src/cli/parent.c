/* The parent: starts keeper and gate, gives each one end of a socketpair, and a fresh pair when
 * either is started again. It reads no request, holds no key and no database. A child that dies is
 * restarted; one that says it is misconfigured, or that dies again and again, ends the whole. */
#include "base/log.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_FD 3
#define QUICK_MS 10000 /* a child that lived shorter counts as dying quickly */
#define QUICK_MAX 5
#define STOP_GATE_MS 35000
#define STOP_KEEPER_MS 25000

enum child { KEEPER, GATE, CHILDREN };
struct process {
    const char *role;
    pid_t pid;
    int control;
    int64_t started;
    int quick;
};
struct parent {
    const struct config *cfg;
    const char *config;
    bool listen;
    sigset_t old;
    struct process child[CHILDREN];
};

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* In the child: its control socket becomes fd 3, everything else but the standard ones is closed.
 */
static _Noreturn void become(const struct parent *p, const char *role, int control)
{
    const char *argv[] = {"countersign", role, "-c", p->config, p->listen ? NULL : "--no-listen",
                          NULL};
    if (control == CONTROL_FD)
        fcntl(control, F_SETFD, 0);
    else
        dup2(control, CONTROL_FD);
    close_range(CONTROL_FD + 1, ~0U, 0);
    sigprocmask(SIG_SETMASK, &p->old, NULL);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool start(struct parent *p, enum child which)
{
    struct process *c = &p->child[which];
    int pair[2];
    if (c->control >= 0)
        close(c->control);
    c->control = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    c->pid = fork();
    if (c->pid == 0)
        become(p, c->role, pair[1]);
    close(pair[1]);
    if (c->pid < 0) {
        close(pair[0]);
        return false;
    }
    c->control = pair[0];
    c->started = mono_ms();
    return true;
}

/* One byte with up to two descriptors. */
static void give(int control, char byte, const int *fd, size_t n)
{
    struct iovec io = {&byte, 1};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } u = {0};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    if (n > 0) {
        m.msg_control = u.space;
        m.msg_controllen = CMSG_SPACE(n * sizeof *fd);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof *fd);
        memcpy(CMSG_DATA(c), fd, n * sizeof *fd);
    }
    if (sendmsg(control, &m, MSG_NOSIGNAL) != 1)
        log_event(LOG_ERROR, "parent.not_given", KV_C("why", strerror(errno)));
}

/* keeper has changed to an account that may not be able to reach them: the parent opens them for
 * it. */
static void give_files(const struct parent *p)
{
    int fd[2] = {open(p->cfg->policy, O_RDONLY | O_CLOEXEC),
                 open(p->cfg->connectors_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (fd[0] >= 0 && fd[1] >= 0)
        give(p->child[KEEPER].control, 'F', fd, 2);
    for (int i = 0; i < 2; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

static bool pair_up(struct parent *p)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    give(p->child[KEEPER].control, 'P', &pair[0], 1);
    give(p->child[GATE].control, 'P', &pair[1], 1);
    close(pair[0]);
    close(pair[1]);
    return true;
}

/* 0: started again; otherwise the exit status of the whole. */
static int restart(struct parent *p, enum child which, int status)
{
    struct process *c = &p->child[which];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (code == EXIT_MISCONFIGURED)
        return EXIT_REFUSED;
    c->quick = mono_ms() - c->started < QUICK_MS ? c->quick + 1 : 0;
    log_event(LOG_ERROR, "parent.child_ended", KV_C("child", c->role), KV_N("exit", code),
              KV_N("signal", sig));
    if (c->quick >= QUICK_MAX) {
        log_event(LOG_ERROR, "parent.gives_up", KV_C("child", c->role));
        return EXIT_REFUSED;
    }
    nanosleep(&(struct timespec){.tv_nsec = 50000000L << c->quick}, NULL);
    return start(p, which) && pair_up(p) ? 0 : EXIT_REFUSED;
}

static void stop(struct process *c, int64_t ms)
{
    if (c->pid <= 0)
        return;
    kill(c->pid, SIGTERM);
    if (c->control >= 0)
        close(c->control);
    c->control = -1;
    for (int64_t until = mono_ms() + ms; waitpid(c->pid, NULL, WNOHANG) == 0;) {
        if (mono_ms() >= until) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, NULL, 0);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    c->pid = 0;
}

/* -1: go on; otherwise the exit status. */
static int reap(struct parent *p)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < CHILDREN; i++)
            if (p->child[i].pid == pid) {
                p->child[i].pid = 0;
                int r = restart(p, (enum child)i, status);
                if (r != 0)
                    return r;
            }
    return -1;
}

static int on_signal(struct parent *p, int sig)
{
    switch (sig) {
    case SIGCHLD:
        return reap(p);
    case SIGHUP:
        if (p->child[GATE].pid > 0)
            kill(p->child[GATE].pid, SIGHUP);
        return -1;
    default:
        return 0; /* SIGTERM, SIGINT */
    }
}

/* gate asks for one thing: that keeper gets its files anew, before a reload. Anything else, or its
 * end, is left to SIGCHLD. */
static void hear_gate(struct parent *p)
{
    char byte = 0;
    int *control = &p->child[GATE].control;
    ssize_t n = recv(*control, &byte, 1, MSG_DONTWAIT);
    if (n == 1 && byte == 'R') {
        give_files(p);
        give(*control, 'R', NULL, 0);
    } else if (n == 0 || byte != 0) {
        close(*control);
        *control = -1;
    }
}

static int watch(struct parent *p, int signals)
{
    struct signalfd_siginfo info;
    int r = -1;
    while (r < 0) {
        struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                               {.fd = p->child[GATE].control, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return EXIT_REFUSED;
        if (fds[1].revents != 0)
            hear_gate(p);
        if (fds[0].revents != 0 && read(signals, &info, sizeof info) == (ssize_t)sizeof info)
            r = on_signal(p, (int)info.ssi_signo);
    }
    return r;
}

int parent_run(const struct config *cfg, const char *config_path, bool listen)
{
    struct parent p = {.cfg = cfg, .config = config_path, .listen = listen};
    p.child[KEEPER] = (struct process){.role = "keeper", .control = -1};
    p.child[GATE] = (struct process){.role = "gate", .control = -1};
    log_open("parent", LOG_INFO);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &p.old);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    int r = EXIT_REFUSED;
    if (signals >= 0 && start(&p, KEEPER) && start(&p, GATE) && pair_up(&p))
        r = watch(&p, signals);
    /* gate first: what it has in hand may still need keeper. */
    stop(&p.child[GATE], STOP_GATE_MS);
    stop(&p.child[KEEPER], STOP_KEEPER_MS);
    if (signals >= 0)
        close(signals);
    return r;
}
