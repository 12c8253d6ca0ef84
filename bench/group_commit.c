/* The reference for durable work: the same group commit with nothing else around it. N threads each
 * hand a record to one writer, which appends all that wait with one writev and one fdatasync and
 * then lets their threads go. What a store can do on this disk at most; it checks nothing and can
 * read nothing back. Prints two lines of JSON: lone fdatasyncs, and the group commit. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "latency.h"

#define RECORD 1024
#define BATCH_MAX 512

struct call {
    sem_t done;
    struct call *next;
};

struct writer {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct call *first, **last;
    bool closing;
    size_t commits;
};

struct caller {
    struct writer *writer;
    pthread_t thread;
    struct latencies latencies;
    int64_t from, to;
};

static char record[RECORD];

_Noreturn static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Takes all that wait, at most BATCH_MAX; 0 once nobody ever will. */
static int take(struct writer *w, struct call **batch)
{
    int n = 0;
    pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->closing)
        pthread_cond_wait(&w->arrived, &w->lock);
    for (; w->first != NULL && n < BATCH_MAX; n++) {
        batch[n] = w->first;
        w->first = w->first->next;
    }
    if (w->first == NULL)
        w->last = &w->first;
    pthread_mutex_unlock(&w->lock);
    return n;
}

static void append(int fd, int records)
{
    struct iovec part[BATCH_MAX];
    for (int i = 0; i < records; i++)
        part[i] = (struct iovec){.iov_base = record, .iov_len = RECORD};
    if (writev(fd, part, records) != (ssize_t)records * RECORD || fdatasync(fd) != 0)
        die("group_commit: write");
}

static void *write_loop(void *arg)
{
    struct writer *w = arg;
    struct call *batch[BATCH_MAX];
    for (int n; (n = take(w, batch)) > 0; w->commits++) {
        append(w->fd, n);
        for (int i = 0; i < n; i++)
            sem_post(&batch[i]->done);
    }
    return NULL;
}

static void commit(struct writer *w, struct call *c)
{
    pthread_mutex_lock(&w->lock);
    c->next = NULL;
    *w->last = c;
    w->last = &c->next;
    pthread_cond_signal(&w->arrived);
    pthread_mutex_unlock(&w->lock);
    while (sem_wait(&c->done) != 0)
        if (errno != EINTR)
            die("group_commit: wait");
}

static void *call_loop(void *arg)
{
    struct caller *c = arg;
    struct call call;
    sem_init(&call.done, 0, 0);
    for (int64_t begun = now_ns(), now; begun < c->to; begun = now) {
        commit(c->writer, &call);
        now = now_ns();
        if (now >= c->from && now <= c->to)
            latencies_add(&c->latencies, now - begun);
    }
    sem_destroy(&call.done);
    return NULL;
}

static void lone(int fd, double seconds)
{
    struct latencies l = {0};
    int64_t from = now_ns(), to = from + (int64_t)(seconds * 1e9);
    for (int64_t begun = from, now; begun < to; begun = now) {
        if (write(fd, record, RECORD) != RECORD)
            die("group_commit: write");
        begun = now_ns();
        if (fdatasync(fd) != 0)
            die("group_commit: fdatasync");
        now = now_ns();
        latencies_add(&l, now - begun);
    }
    printf("{\"scenario\":\"fdatasync\",\"clients\":1,");
    latencies_print(&l, (double)(now_ns() - from) / 1e9);
    printf(",\"errors\":0}\n");
    free(l.us);
}

static void group(int fd, size_t threads, double seconds)
{
    struct writer w = {
        .fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER};
    struct caller *caller = calloc(threads, sizeof *caller);
    struct latencies all = {0};
    pthread_t thread;
    int64_t from = now_ns() + (int64_t)(0.2e9), to = from + (int64_t)(seconds * 1e9);

    w.last = &w.first;
    if (caller == NULL || pthread_create(&thread, NULL, write_loop, &w) != 0)
        die("group_commit: thread");
    for (size_t i = 0; i < threads; i++) {
        caller[i] = (struct caller){.writer = &w, .from = from, .to = to};
        if (pthread_create(&caller[i].thread, NULL, call_loop, &caller[i]) != 0)
            die("group_commit: thread");
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(caller[i].thread, NULL);
        for (size_t k = 0; k < caller[i].latencies.n; k++)
            latencies_add(&all, caller[i].latencies.us[k] * INT64_C(1000));
        free(caller[i].latencies.us);
    }
    pthread_mutex_lock(&w.lock);
    w.closing = true;
    pthread_cond_signal(&w.arrived);
    pthread_mutex_unlock(&w.lock);
    pthread_join(thread, NULL);
    printf("{\"scenario\":\"group_commit\",\"clients\":%zu,", threads);
    latencies_print(&all, seconds);
    printf(",\"commits\":%zu,\"errors\":0}\n", w.commits);
    free(all.us);
    free(caller);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: group_commit FILE THREADS SECONDS\n", stderr);
        return 2;
    }
    size_t threads = strtoul(argv[2], NULL, 10);
    double seconds = strtod(argv[3], NULL);
    int fd = open(argv[1], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (threads == 0 || threads > 4096 || !(seconds > 0))
        return 2;
    if (fd < 0)
        die(argv[1]);
    memset(record, 'r', sizeof record);
    lone(fd, seconds / 3);
    group(fd, threads, seconds);
    close(fd);
    return unlink(argv[1]) == 0 ? 0 : 1;
}
