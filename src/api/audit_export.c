/* GET /v1/audit/export: the whole log, oldest first, as JSON lines (the stored bytes) or CSV. A
 * thread reads the log in batches and writes it into a socket whose other end the HTTP layer passes
 * on, so memory does not grow with the log; it stops when nobody reads any more or Countersign
 * stops. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "api/app.h"
#include "audit/audit.h"
#include "base/log.h"

enum { AT_ONCE = 4, BATCH = 256, STALLED_SECONDS = 60 };

struct export
{
    struct app *app;
    int fd; /* owned */
    bool csv;
    char workspace[40];
    /* one batch */
    int64_t after;
    size_t n;
    struct buf text;
};

static int add_line(void *arg, int64_t seq, struct str bytes)
{
    struct export *e = arg;
    e->n++;
    e->after = seq;
    if (e->csv)
        return audit_csv_row(bytes, &e->text);
    buf_str(&e->text, bytes);
    buf_ch(&e->text, '\n');
    return buf_err(&e->text);
}

static int read_batch(struct store_tx *tx, void *arg)
{
    struct export *e = arg;
    e->n = 0;
    return audit_export(tx, str_c(e->workspace), e->after, BATCH, add_line, e);
}

static bool send_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        s = str_sub(s, (size_t)n, s.n);
    }
    return true;
}

/* An export that breaks off must not look whole. open_pipe() left one byte unread on our side:
 * while it is there, closing gives the reader ECONNRESET instead of an end; it is taken at the end
 * alone. */
static void end_well(int fd)
{
    char mark;
    if (recv(fd, &mark, 1, MSG_DONTWAIT) != 1)
        log_event(LOG_WARN, "audit.export_end_not_marked", KV_N("fd", fd));
}

static void run(struct export *e)
{
    int r = ERR_OK;
    bool sent = true;
    if (e->csv)
        audit_csv_header(&e->text);
    do {
        r = store_read(life_store(e->app->life), read_batch, e);
        sent = r == ERR_OK && buf_err(&e->text) == ERR_OK && send_all(e->fd, buf_view(&e->text));
        buf_clear(&e->text);
    } while (sent && e->n == BATCH && !e->app->stopping);
    if (sent && e->n < BATCH)
        end_well(e->fd);
    else
        log_event(LOG_WARN, "audit.export_broken_off", KV_N("error", r));
}

static void export_free(struct export *e)
{
    struct app *app = e->app;
    (void)close(e->fd);
    buf_free(&e->text);
    free(e);
    atomic_fetch_sub(&app->exports, 1);
}

static void *main_of_thread(void *arg)
{
    struct export *e = arg;
    run(e);
    export_free(e);
    return NULL;
}

static int start(struct export *e)
{
    pthread_attr_t attr;
    pthread_t id;
    if (pthread_attr_init(&attr) != 0)
        return ERR_NOMEM;
    int r = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (r == 0)
        r = pthread_create(&id, &attr, main_of_thread, e);
    (void)pthread_attr_destroy(&attr);
    return r == 0 ? ERR_OK : ERR_NOMEM;
}

static int open_pipe(struct export *e, int *ret_reader)
{
    int fd[2];
    const struct timeval stalled = {.tv_sec = STALLED_SECONDS};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        return ERR_IO;
    if (setsockopt(fd[1], SOL_SOCKET, SO_SNDTIMEO, &stalled, sizeof stalled) != 0 ||
        send(fd[0], "", 1, MSG_NOSIGNAL) != 1 || shutdown(fd[0], SHUT_WR) != 0) {
        (void)close(fd[0]);
        (void)close(fd[1]);
        return ERR_IO;
    }
    e->fd = fd[1];
    *ret_reader = fd[0];
    return ERR_OK;
}

static int begin(struct app *app, struct str workspace, bool csv, int *ret_reader)
{
    struct export *e = calloc(1, sizeof *e);
    int reader = -1, r = ERR_NOMEM;
    if (e == NULL)
        return r;
    e->app = app;
    e->csv = csv;
    e->fd = -1;
    buf_init(&e->text, 0);
    bool fits = str_copy(e->workspace, sizeof e->workspace, workspace);
    int before = atomic_fetch_add(&app->exports, 1);
    r = !fits ? ERR_MALFORMED : before >= AT_ONCE ? ERR_UNAVAILABLE : open_pipe(e, &reader);
    if (r == ERR_OK)
        r = start(e);
    if (r == ERR_OK) {
        *ret_reader = reader;
        return r;
    }
    if (reader >= 0)
        (void)close(reader);
    export_free(e);
    return r;
}

int api_audit_export(struct app *app, struct exchange *x, struct fail *f)
{
    static const char *const known[] = {"format", NULL};
    struct str format = exchange_query(x, "format");
    bool csv = str_eq_c(format, "csv");
    int fd = -1;
    int r = exchange_query_only(x, known, f);
    if (r != ERR_OK)
        return r;
    if (!csv && format.n > 0 && !str_eq_c(format, "jsonl"))
        return fail_field(f, ERR_MALFORMED, "format", "expected jsonl or csv");
    r = begin(app, x->who.workspace, csv, &fd);
    if (r != ERR_OK)
        return fail_set(f, r, "too many exports at once; try again later");
    x->status = 200;
    x->answer_type = csv ? "text/csv; charset=utf-8; header=present" : "application/jsonl";
    x->stream_fd = fd;
    x->stream_bytes = -1;
    exchange_add_header(x, "Content-Disposition",
                        csv ? STR("attachment; filename=\"audit.csv\"")
                            : STR("attachment; filename=\"audit.jsonl\""));
    return ERR_OK;
}
