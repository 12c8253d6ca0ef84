/* The store on one SQLite file, DIR/countersign.db: opening, closing, and the table of functions.
 * It refuses a folder that is not there, a database that another process has open, and anything
 * but a regular file in its place; the file is for its owner alone (0600, also the WAL). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "store/sqlite.h"

struct sqlite_store {
    struct store base; /* first */
    int lock_fd;       /* -1 until taken */
    struct sqlite_writer writer;
    struct sqlite_readers readers;
};

static struct sqlite_store *store_of(struct store *s)
{
    return (struct sqlite_store *)s;
}

static int file_path(char out[4096], const char *dir, const char *name, struct fail *f)
{
    int n = snprintf(out, 4096, "%s/%s", dir, name);
    if (n < 0 || n >= 4096)
        return fail_field(f, ERR_CONFIG, "data_dir", "the path is too long");
    return 0;
}

static int refuse_locked(int fd, const char *path, struct fail *f)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return fail_set(f, ERR_STORE,
                    "%s is locked: another Countersign (process %s) has this database open", path,
                    pid[0] != '\0' ? pid : "unknown");
}

/* SQLite would let a second gate in, and both would believe that they alone write. The lock is on
 * a file of its own, since closing any descriptor of the database drops SQLite's locks on it. The
 * kernel lets it go however the process ends. */
static int lock_take(const char *dir, int *ret_fd, struct fail *f)
{
    char path[4096], pid[16];
    int err = file_path(path, dir, "countersign.lock", f);
    if (err != 0)
        return err;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_field(f, errno == ENOENT || errno == ENOTDIR ? ERR_CONFIG : ERR_IO, "data_dir",
                          "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? refuse_locked(fd, path, f)
                                   : fail_set(f, ERR_IO, "%s: %s", path, strerror(errno));
        (void)close(fd);
        return err;
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    /* only a hint for the next one's message: a full disk must not keep us from starting */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)n, 0) != n)
        (void)!ftruncate(fd, 0);
    *ret_fd = fd;
    return 0;
}

/* Made before SQLite opens it, with the mode that SQLite then gives the WAL and its index. */
static int make_file(const char *path, struct fail *f)
{
    struct stat st;
    int err = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_set(f, ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || fchmod(fd, 0600) != 0)
        err = fail_set(f, ERR_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err = fail_set(f, ERR_CONFIG, "%s is not a regular file", path);
    (void)close(fd);
    return err;
}

static int open_all(struct sqlite_store *s, const struct store_options *o, struct fail *f)
{
    char path[4096];
    struct sqlite_conn *c = NULL;
    int err = file_path(path, o->dir, "countersign.db", f);
    if (err == 0)
        err = lock_take(o->dir, &s->lock_fd, f);
    if (err == 0)
        err = make_file(path, f);
    if (err == 0)
        err = sqlite_conn_open(path, true, &c, f);
    if (err != 0)
        return err;
    err = sqlite_migrate(c, f);
    if (err != 0) {
        sqlite_conn_close(c);
        return err;
    }
    err = sqlite_writer_start(&s->writer, c, f);
    if (err != 0)
        return err;
    return sqlite_readers_open(&s->readers, path, o->readers > 0 ? o->readers : 1, f);
}

static void close_store(struct store *base)
{
    struct sqlite_store *s = store_of(base);
    sqlite_readers_close(&s->readers);
    sqlite_writer_stop(&s->writer); /* last: closing the last connection checkpoints */
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    free(s);
}

static int open_store(const struct store_options *o, struct store **ret, struct fail *f)
{
    /* Both fail, harmlessly, once SQLite has been used in this process: no lock around counting
     * memory, and rollback journals of savepoints in memory, never in a temporary file. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    struct sqlite_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return fail_set(f, ERR_NOMEM, "no memory for the store");
    s->base.backend = &store_sqlite;
    s->lock_fd = -1;
    int err = open_all(s, o, f);
    if (err != 0) {
        close_store(&s->base);
        return err;
    }
    *ret = &s->base;
    return 0;
}

static int run_tx(struct store *s, store_fn *fn, void *arg)
{
    return sqlite_writer_run(&store_of(s)->writer, fn, arg);
}

static int run_read(struct store *s, store_fn *fn, void *arg)
{
    return sqlite_readers_run(&store_of(s)->readers, fn, arg);
}

static void stats(struct store *base, struct store_stats *ret)
{
    struct sqlite_store *s = store_of(base);
    *ret = (struct store_stats){
        .commits = atomic_load(&s->writer.commits),
        .functions = atomic_load(&s->writer.functions),
        .reads = atomic_load(&s->readers.reads),
        .failures = atomic_load(&s->writer.failures) + atomic_load(&s->readers.failures),
    };
}

const struct store_backend store_sqlite = {
    .name = "sqlite",
    .open = open_store,
    .close = close_store,
    .tx = run_tx,
    .read = run_read,
    .stats = stats,
    .exec = sqlite_exec,
    .select = sqlite_select,
    .next = sqlite_next,
    .end = sqlite_end,
    .number = sqlite_number,
    .text = sqlite_text,
    .null = sqlite_null,
};
