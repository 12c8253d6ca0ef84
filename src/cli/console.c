/* Talks to gate through its admin socket. While `serve` runs, that is the gate asked; otherwise one
 * is started for the time of the call, without listening anywhere. */
#include "base/secret.h"
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_MS 20000

static int connect_admin(const struct config *cfg)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/admin.sock", cfg->data_dir);
    if (n < 0 || (size_t)n >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        int keep = errno;
        close(fd);
        errno = keep;
        return -1;
    }
    return fd;
}

static pid_t start_own(const struct config *cfg, const char *config_path)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(parent_run(cfg, config_path, false));
    return pid;
}

static void stop_own(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static int await_own(const struct config *cfg, pid_t pid)
{
    for (int waited = 0; waited < START_MS; waited += 10) {
        int fd = connect_admin(cfg);
        if (fd >= 0)
            return fd;
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return -1; /* it said why on its own */
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return -1;
}

static bool send_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t k = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        s = str_sub(s, (size_t)k, s.n);
    }
    return shutdown(fd, SHUT_WR) == 0;
}

static int send_request(int fd, const struct console_request *q)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:O?}", "method", q->method, "target", q->target, "workspace",
                  q->workspace != NULL ? q->workspace : "default", "body", q->body);
    struct buf text;
    buf_init(&text, 0);
    int r = o != NULL ? json_write(o, &text) : ERR_NOMEM;
    if (r == 0 && !send_all(fd, buf_view(&text)))
        r = ERR_IO;
    json_decref(o);
    buf_wipe(&text);
    return r;
}

/* "<status>\n", then the body until the end. `sink` gets the body as it comes. */
static int receive(int fd, int *status, int (*sink)(void *arg, const char *p, size_t n), void *arg)
{
    char head[16] = "";
    size_t have = 0;
    char chunk[65536];
    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && *status > 0 ? 0 : ERR_IO;
        size_t from = 0;
        while (*status == 0 && from < (size_t)n) {
            char c = chunk[from++];
            if (c == '\n')
                *status = atoi(head);
            else if (have + 1 < sizeof head)
                head[have++] = c;
        }
        if (from < (size_t)n && sink(arg, chunk + from, (size_t)n - from) != 0)
            return ERR_IO;
    }
}

static int into_buf(void *arg, const char *p, size_t n)
{
    buf_put(arg, p, n);
    return buf_err(arg);
}

static int talk(const struct console_request *q, int *status,
                int (*sink)(void *, const char *, size_t), void *arg)
{
    struct config cfg;
    if (q->config == NULL) {
        fprintf(stderr, "countersign: -c FILE is missing\n");
        return EXIT_USAGE;
    }
    if (!config_load(q->config, &cfg))
        return EXIT_REFUSED;
    pid_t own = 0;
    int fd = connect_admin(&cfg);
    if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
        own = start_own(&cfg, q->config);
        fd = own > 0 ? await_own(&cfg, own) : -1;
    }
    *status = 0;
    int r = fd < 0 ? ERR_IO : send_request(fd, q);
    if (r == 0)
        r = receive(fd, status, sink, arg);
    if (r != 0)
        fprintf(stderr, "countersign: no answer from the admin socket in %s: %s\n", cfg.data_dir,
                fd < 0 ? strerror(errno) : err_title(r));
    if (fd >= 0)
        close(fd);
    stop_own(own);
    config_free(&cfg);
    return r == 0 ? 0 : EXIT_REFUSED;
}

int console_ask(const struct console_request *q, int *status, struct buf *answer)
{
    return talk(q, status, into_buf, answer);
}

static void print_problem(const struct buf *answer)
{
    json_t *p = NULL;
    if (json_read(buf_view(answer), &p, NULL) != 0) {
        fprintf(stderr, "countersign: refused\n");
        return;
    }
    struct str title = json_text(json_object_get(p, "title")),
               detail = json_text(json_object_get(p, "detail"));
    struct str field = json_text(json_object_get(p, "field"));
    fprintf(stderr, "countersign: %.*s", STR_FMT(detail.n > 0 ? detail : title));
    if (field.n > 0)
        fprintf(stderr, " (%.*s)", STR_FMT(field));
    fputc('\n', stderr);
    json_decref(p);
}

int console_call(const struct console_request *q, json_t **ret)
{
    struct buf answer;
    buf_init(&answer, 0);
    int status = 0;
    int code = console_ask(q, &status, &answer);
    if (code == 0 && status >= 300) {
        print_problem(&answer);
        code = EXIT_REFUSED;
    }
    if (code == 0 && (answer.n == 0 || json_read(buf_view(&answer), ret, NULL) != 0))
        *ret = json_object();
    buf_wipe(&answer);
    return code;
}

static int to_stdout(void *arg, const char *p, size_t n)
{
    (void)arg;
    return fwrite(p, 1, n, stdout) == n ? 0 : ERR_IO;
}

int console_stream(const struct console_request *q)
{
    int status = 0;
    int code = talk(q, &status, to_stdout, NULL);
    if (fflush(stdout) != 0)
        code = EXIT_REFUSED;
    return code == 0 && status >= 300 ? EXIT_REFUSED : code;
}

static int read_all(FILE *in, size_t max, struct buf *ret)
{
    char chunk[4096];
    size_t n;
    ret->max = max;
    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
        buf_put(ret, chunk, n);
    secret_wipe(chunk, sizeof chunk);
    return ferror(in) ? ERR_IO : buf_err(ret);
}

int read_stdin(size_t max, bool line, struct buf *ret)
{
    int r = read_all(stdin, max, ret);
    if (r == 0 && line && ret->n > 0 && ret->p[ret->n - 1] == '\n')
        ret->p[--ret->n] = '\0';
    return r;
}

int read_file(const char *path, size_t max, struct buf *ret)
{
    if (strcmp(path, "-") == 0)
        return read_stdin(max, false, ret);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return ERR_IO;
    int r = read_all(in, max, ret);
    fclose(in);
    return r;
}
