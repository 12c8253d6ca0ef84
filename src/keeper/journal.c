/* The journal's file: framing, the chain of MACs, syncing, compaction. What records mean is
 * ledger.c's. Refuses to read on after damage, to share the file, and to go on after an error of
 * the disk. */
#include "keeper/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/messages.h"

enum { MAC = 32, FILE_HEAD = 8, RECORD_HEAD = 8, PAYLOAD_HEAD = 9, RECORD_MOST = 16384 };
enum { LOCK_TRIES = 50, LOCK_PAUSE_US = 100000 };
static const struct str file_magic = {"csj1", 4};

struct journal {
    int dirfd, fd;
    const struct keyring *kek;
    const struct env *env;
    unsigned char key[KEY_BYTES], chain[MAC];
    struct ledger ledger;
    struct buf out;     /* framed, not yet written */
    int64_t size, base; /* bytes in the file; how many after the last compaction */
    bool unsynced, written;
};

const struct ledger *journal_ledger(const struct journal *j)
{
    return &j->ledger;
}

int64_t journal_now(struct journal *j)
{
    int64_t now = env_now(j->env);
    if (now > j->ledger.seen)
        j->ledger.seen = now;
    return j->ledger.seen;
}

/* --- the chain ------------------------------------------------------------------------------ */

static void chain_next(const unsigned char *key, unsigned char chain[MAC], const void *bytes,
                       size_t n)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, KEY_BYTES, MAC);
    crypto_generichash_update(&st, chain, MAC);
    crypto_generichash_update(&st, bytes, n);
    crypto_generichash_final(&st, chain, MAC);
}

static void chain_start(const struct keyring *kek, uint32_t version, const void *head,
                        unsigned char key[KEY_BYTES], unsigned char chain[MAC])
{
    key_derive(key, keyring_find(kek, version), "journal", STR(""));
    memset(chain, 0, MAC);
    chain_next(key, chain, head, FILE_HEAD);
}

static void frame_record(const unsigned char *key, unsigned char chain[MAC], enum record_type type,
                         int64_t at, struct str fields, struct buf *out)
{
    size_t start = out->n;
    uint32_t n = (uint32_t)(PAYLOAD_HEAD + fields.n);
    CS_ASSERT(fields.n <= RECORD_MOST - PAYLOAD_HEAD);
    wire_u32(out, n);
    wire_u32(out, ~n);
    wire_u8(out, (uint8_t)type);
    wire_i64(out, at);
    buf_str(out, fields);
    CS_ASSERT(buf_err(out) == 0);
    chain_next(key, chain, out->p + start, out->n - start);
    buf_put(out, chain, MAC);
    CS_ASSERT(buf_err(out) == 0);
}

/* --- reading -------------------------------------------------------------------------------- */

static bool all_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Was the file cut here by a crash? Either its end came too soon, or blocks that were never written
 * read as zeros up to the end. A length that was altered contradicts its complement. */
static bool cut_short(struct str rest)
{
    struct wire_in in = {(const unsigned char *)rest.p, (const unsigned char *)rest.p + rest.n,
                         false};
    uint32_t n = wire_get_u32(&in), inverse = wire_get_u32(&in);
    if (rest.n < RECORD_HEAD || all_zero(rest.p, rest.n))
        return true;
    if (n != ~inverse)
        return all_zero(rest.p + RECORD_HEAD, rest.n - RECORD_HEAD);
    if (n < PAYLOAD_HEAD || n > RECORD_MOST)
        return false;
    size_t mac = RECORD_HEAD + (size_t)n;
    return rest.n < mac + MAC || all_zero(rest.p + mac, rest.n - mac);
}

/* One record at the start of `rest`: its length, 0 when it is not whole and true. */
static size_t take_record(const unsigned char *key, unsigned char chain[MAC], struct str rest,
                          int64_t place, struct ledger *l)
{
    struct wire_in in = {(const unsigned char *)rest.p, (const unsigned char *)rest.p + rest.n,
                         false};
    uint32_t n = wire_get_u32(&in), inverse = wire_get_u32(&in);
    unsigned char mac[MAC];
    if (in.bad || n != ~inverse || n < PAYLOAD_HEAD || n > RECORD_MOST ||
        rest.n < RECORD_HEAD + (size_t)n + MAC)
        return 0;
    memcpy(mac, chain, MAC);
    chain_next(key, mac, rest.p, RECORD_HEAD + (size_t)n);
    if (sodium_memcmp(mac, rest.p + RECORD_HEAD + n, MAC) != 0)
        return 0;
    enum record_type type = (enum record_type)wire_get_u8(&in);
    int64_t at = wire_get_i64(&in);
    struct str fields = str_sub(rest, RECORD_HEAD + PAYLOAD_HEAD, RECORD_HEAD + (size_t)n);
    if (!ledger_take(l, type, at, fields, place + RECORD_HEAD + PAYLOAD_HEAD))
        return 0;
    memcpy(chain, mac, MAC);
    return RECORD_HEAD + (size_t)n + MAC;
}

static int read_all(const struct keyring *kek, struct str bytes, struct ledger *l,
                    unsigned char key[KEY_BYTES], unsigned char chain[MAC], size_t *ret_good,
                    struct fail *f)
{
    struct wire_in in = {(const unsigned char *)bytes.p + file_magic.n,
                         (const unsigned char *)bytes.p + bytes.n, false};
    if (bytes.n < FILE_HEAD || !str_starts(bytes, file_magic))
        return fail_set(f, ERR_SEAL, "the journal does not begin as one");
    uint32_t version = wire_get_u32(&in);
    if (!keyring_find(kek, version))
        return fail_set(f, ERR_SEAL,
                        "the journal was written under key version %u, which kek_file lacks",
                        version);
    chain_start(kek, version, bytes.p, key, chain);
    size_t at = FILE_HEAD;
    while (at < bytes.n) {
        struct str rest = str_sub(bytes, at, bytes.n);
        size_t n = take_record(key, chain, rest, (int64_t)at, l);
        if (n == 0 && !cut_short(rest))
            return fail_at(f, ERR_SEAL, (long)at, "the journal is damaged at byte %zu of %zu", at,
                           bytes.n);
        if (n == 0)
            break;
        at += n;
    }
    if (l->epoch[0] == 0)
        return fail_set(f, ERR_SEAL, "the journal names no epoch");
    *ret_good = at;
    return 0;
}

int journal_read(const struct keyring *kek, struct str bytes, struct ledger *ret, size_t *ret_good,
                 struct fail *f)
{
    struct ledger l = {0};
    unsigned char key[KEY_BYTES], chain[MAC];
    int r = read_all(kek, bytes, &l, key, chain, ret_good, f);
    secret_wipe(key, sizeof key);
    if (r)
        ledger_free(&l);
    else
        *ret = l;
    return r;
}

/* --- writing -------------------------------------------------------------------------------- */

static int write_out(int fd, struct buf *out, int64_t *size)
{
    for (size_t at = 0; at < out->n;) {
        ssize_t n = write(fd, out->p + at, out->n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        at += (size_t)n;
        *size += n;
    }
    buf_clear(out);
    return 0;
}

/* Memory takes the record first: what could not be read back is never written. */
static void append(struct journal *j, enum record_type type, struct buf *fields, bool must_sync)
{
    int64_t now = journal_now(j), place = j->size + (int64_t)j->out.n + RECORD_HEAD + PAYLOAD_HEAD;
    CS_ASSERT(buf_err(fields) == 0 && ledger_take(&j->ledger, type, now, buf_view(fields), place));
    frame_record(j->key, j->chain, type, now, buf_view(fields), &j->out);
    j->unsynced = j->unsynced || must_sync;
    buf_free(fields);
}

void journal_sent(struct journal *j, struct str workspace, struct str action,
                  const struct attempt *a)
{
    struct buf fields = {0};
    ledger_put_sent(&fields, workspace, action, a);
    append(j, RECORD_SENT, &fields, true);
}

void journal_done(struct journal *j, const struct keeper_result *r)
{
    struct buf fields = {0};
    messages_put_ending(&fields, r);
    append(j, RECORD_DONE, &fields, false);
}

void journal_revoke(struct journal *j, const struct revocation *r)
{
    struct buf fields = {0};
    messages_put_revocation(&fields, r);
    append(j, RECORD_REVOKE, &fields, true);
}

void journal_roster(struct journal *j, int64_t version, const char *hash)
{
    struct buf fields = {0};
    ledger_put_roster(&fields, version, hash);
    append(j, RECORD_ROSTER, &fields, true);
}

bool journal_unsynced(const struct journal *j)
{
    return j->unsynced;
}

int journal_ending(struct journal *j, const struct attempt *a, struct keeper_result *ret)
{
    char bytes[RECORD_MOST];
    int r = journal_commit(j, false);
    if (r)
        return r;
    if (a->done_len > sizeof bytes ||
        pread(j->fd, bytes, a->done_len, a->done_at) != (ssize_t)a->done_len)
        return ERR_IO;
    struct wire_in in = {(unsigned char *)bytes, (unsigned char *)bytes + a->done_len, false};
    struct keeper_result got = {0};
    messages_get_ending(&in, &got);
    if (!wire_done(&in))
        return ERR_IO;
    *ret = got;
    return 0;
}

/* --- compaction: a new file with what still matters, then read back as at a start ------------- */

struct carry {
    struct journal *j; /* the old file, for DONE records */
    int fd;
    unsigned char key[KEY_BYTES], chain[MAC];
    struct buf out;
    int64_t size;
    int err;
};

static void carry_record(void *arg, enum record_type type, struct str fields,
                         const struct attempt *a)
{
    struct carry *c = arg;
    char done[RECORD_MOST];
    if (c->err)
        return;
    if (type == RECORD_DONE) {
        if (a->done_len > sizeof done ||
            pread(c->j->fd, done, a->done_len, a->done_at) != (ssize_t)a->done_len) {
            c->err = ERR_IO;
            return;
        }
        fields = (struct str){done, a->done_len};
    }
    frame_record(c->key, c->chain, type, c->j->ledger.seen, fields, &c->out);
    if (c->out.n > RECORD_MOST * 4)
        c->err = write_out(c->fd, &c->out, &c->size);
}

static int write_new(struct journal *j, int fd)
{
    struct carry c = {.j = j, .fd = fd};
    uint32_t version = keyring_newest(j->kek);
    buf_str(&c.out, file_magic);
    wire_u32(&c.out, version);
    CS_ASSERT(buf_err(&c.out) == 0);
    chain_start(j->kek, version, c.out.p, c.key, c.chain);
    ledger_each(&j->ledger, journal_now(j), carry_record, &c);
    if (!c.err)
        c.err = write_out(fd, &c.out, &c.size);
    if (!c.err && (fsync(fd) != 0 || renameat(j->dirfd, "journal.new", j->dirfd, "journal") != 0 ||
                   fsync(j->dirfd) != 0))
        c.err = ERR_IO;
    secret_wipe(c.key, sizeof c.key);
    buf_free(&c.out);
    return c.err;
}

/* Reads j->fd into j->ledger and stands at the end of the last whole record. */
static int read_file(struct journal *j, struct fail *f)
{
    struct stat st;
    size_t good = 0;
    ledger_free(&j->ledger);
    if (fstat(j->fd, &st) != 0 || st.st_size == 0)
        return fail_set(f, ERR_SEAL, "the journal is empty");
    char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, j->fd, 0);
    if (p == MAP_FAILED)
        return fail_set(f, ERR_IO, "the journal cannot be mapped: %s", strerror(errno));
    int r = read_all(j->kek, (struct str){p, (size_t)st.st_size}, &j->ledger, j->key, j->chain,
                     &good, f);
    munmap(p, (size_t)st.st_size);
    if (r)
        return r;
    if (good < (size_t)st.st_size)
        log_event(LOG_WARN, "journal_cut_short", KV_N("bytes_dropped", st.st_size - (off_t)good));
    j->size = (int64_t)good;
    return 0;
}

static int compact(struct journal *j, struct fail *f)
{
    int fd =
        openat(j->dirfd, "journal.new", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_set(f, ERR_IO, "journal.new: %s", strerror(errno));
    int r = write_new(j, fd);
    if (r) {
        close(fd);
        return fail_set(f, r, "the journal cannot be written: %s", strerror(errno));
    }
    if (j->fd >= 0)
        close(j->fd);
    j->fd = fd;
    r = read_file(j, f);
    j->base = j->size;
    if (!r && lseek(fd, j->size, SEEK_SET) != j->size)
        r = fail_set(f, ERR_IO, "the journal cannot be positioned");
    return r;
}

int journal_commit(struct journal *j, bool synced)
{
    if (j->out.n > 0) {
        int r = write_out(j->fd, &j->out, &j->size);
        if (r)
            return r;
        j->written = true;
    }
    if (synced && j->written) {
        if (fdatasync(j->fd) != 0)
            return ERR_IO;
        j->written = j->unsynced = false;
    }
    if (synced && j->size > JOURNAL_GROWN && j->size > 2 * j->base)
        return compact(j, NULL);
    return 0;
}

/* --- opening -------------------------------------------------------------------------------- */

static void new_epoch(struct journal *j)
{
    unsigned char random[16];
    j->env->random(j->env->arg, random, sizeof random);
    hex_encode(j->ledger.id, random, sizeof random);
    j->env->random(j->env->arg, random, sizeof random);
    hex_encode(j->ledger.epoch, random, sizeof random);
    j->ledger.epoch_started = journal_now(j);
}

/* One that was killed may take a moment to let go. */
static int lock_folder(int dirfd, struct fail *f)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(dirfd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        usleep(LOCK_PAUSE_US);
    }
    return fail_set(f, ERR_CONFLICT, "another keeper uses this data_dir");
}

static int open_or_begin(struct journal *j, struct fail *f)
{
    int r = lock_folder(j->dirfd, f);
    if (r)
        return r;
    j->fd = openat(j->dirfd, "journal", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (j->fd < 0 && errno != ENOENT)
        return fail_set(f, ERR_IO, "the journal cannot be opened: %s", strerror(errno));
    if (j->fd < 0) {
        new_epoch(j);
        log_event(LOG_WARN, "journal_new_epoch", KV_C("epoch", j->ledger.epoch));
    } else {
        r = read_file(j, f);
    }
    return r ? r : compact(j, f);
}

int journal_open(int dirfd, const struct keyring *kek, const struct env *env, struct journal **ret,
                 struct fail *f)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return fail_set(f, ERR_NOMEM, "no memory for the journal");
    *j = (struct journal){.dirfd = dirfd, .fd = -1, .kek = kek, .env = env};
    int r = open_or_begin(j, f);
    if (r) {
        journal_close(j);
        return r;
    }
    *ret = j;
    return 0;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    ledger_free(&j->ledger);
    buf_free(&j->out);
    secret_wipe(j->key, sizeof j->key);
    free(j);
}
