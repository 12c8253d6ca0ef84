/* Secret memory and key files. A key file that others could read or replace is refused: the check
 * is made on the opened file, so that nobody can swap it in between. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16384, HEX_KEY = 2 * KEY_BYTES };

static const struct str credential_scheme = {"credential:", 11};

void *secret_alloc(size_t n)
{
    CS_ASSERT(sodium_init() >= 0);
    void *p = sodium_malloc(n);
    CS_ASSERT(p);
    return p;
}

void secret_free(void *p)
{
    sodium_free(p);
}

void secret_wipe(void *p, size_t n)
{
    if (p)
        sodium_memzero(p, n);
}

/* The context's NUL is hashed too: no context and data read as another pair. */
void key_derive(unsigned char out[KEY_BYTES], const unsigned char *key, const char *context,
                struct str data)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, KEY_BYTES, KEY_BYTES);
    crypto_generichash_update(&st, (const unsigned char *)context, strlen(context) + 1);
    crypto_generichash_update(&st, (const unsigned char *)data.p, data.n);
    crypto_generichash_final(&st, out, KEY_BYTES);
    sodium_memzero(&st, sizeof st);
}

void keyring_free(struct keyring *k)
{
    for (size_t i = 0; i < k->n; i++)
        secret_free(k->key[i]);
    *k = (struct keyring){0};
}

const unsigned char *keyring_find(const struct keyring *k, uint32_t version)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->version[i] == version)
            return k->key[i];
    return NULL;
}

uint32_t keyring_newest(const struct keyring *k)
{
    CS_ASSERT(k->n > 0);
    return k->version[k->n - 1];
}

/* Resolves "credential:NAME"; other paths are taken as they are. */
static int locate(const char *path, char *out, size_t size, struct fail *f)
{
    struct str s = str_c(path), name = str_sub(s, credential_scheme.n, s.n);
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    int n;
    if (!str_starts(s, credential_scheme)) {
        n = snprintf(out, size, "%s", path);
    } else {
        if (str_find(name, '/', 0) != name.n) /* "", "." and ".." are folders: no key files */
            return fail_set(f, ERR_CONFIG, "%s: not a credential's name", path);
        if (!dir || dir[0] != '/')
            return fail_set(f, ERR_CONFIG, "%s: CREDENTIALS_DIRECTORY is not set", path);
        n = snprintf(out, size, "%s/%.*s", dir, STR_FMT(name));
    }
    if (n < 0 || (size_t)n >= size)
        return fail_set(f, ERR_CONFIG, "the path of a key file is too long");
    return 0;
}

/* systemd gives a credential to an unprivileged service by an ACL, whose mask shows as the group's
 * read bit; the folder around it is closed to others. So that one bit is no fault there. */
static int check_file(int fd, const char *path, bool credential, struct fail *f)
{
    struct stat st;
    mode_t others =
        credential ? (mode_t)(S_IRWXO | S_IWGRP | S_IXGRP) : (mode_t)(S_IRWXO | S_IRWXG);
    if (fstat(fd, &st) != 0)
        return fail_set(f, ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail_set(f, ERR_CONFIG, "%s: a key file must be a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return fail_set(f, ERR_CONFIG, "%s: the file belongs to another user", path);
    if (st.st_mode & others)
        return fail_set(f, ERR_CONFIG, "%s: mode is %04o and must be 0600: chmod 600 it", path,
                        (unsigned)st.st_mode & 07777U);
    if (st.st_size > FILE_MAX)
        return fail_set(f, ERR_CONFIG, "%s: too large for a key file", path);
    return 0;
}

/* Reads up to size bytes; the file may not be longer. */
static int read_all(int fd, char *bytes, size_t size, size_t *ret)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, bytes + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || n + (size_t)got == size)
            return ERR_IO;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret = n;
    return 0;
}

static bool parse_line(struct str line, struct keyring *k)
{
    uint64_t version;
    size_t space = str_find(line, ' ', 0);
    struct str hex = str_sub(line, space + 1, line.n);
    if (k->n == KEY_VERSIONS || hex.n != HEX_KEY || !str_u64(str_sub(line, 0, space), &version) ||
        version == 0 || version > UINT32_MAX || (k->n > 0 && version <= k->version[k->n - 1]))
        return false;
    unsigned char *key = secret_alloc(KEY_BYTES);
    if (!hex_decode(key, KEY_BYTES, hex)) {
        secret_free(key);
        return false;
    }
    sodium_mprotect_readonly(key);
    k->version[k->n] = (uint32_t)version;
    k->key[k->n++] = key;
    return true;
}

static int parse_file(struct str text, const char *path, struct keyring *k, struct fail *f)
{
    unsigned number = 0;
    for (size_t at = 0; at < text.n;) {
        size_t end = str_find(text, '\n', at);
        struct str line = str_trim(str_sub(text, at, end));
        at = end + 1;
        number++;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (!parse_line(line, k))
            return fail_set(f, ERR_CONFIG,
                            "%s:%u: expected a rising version and 64 hex digits, at most %d lines",
                            path, number, KEY_VERSIONS);
    }
    if (k->n == 0)
        return fail_set(f, ERR_CONFIG, "%s: no key in the file", path);
    return 0;
}

int keyring_read(const char *path, struct keyring *ret, struct fail *f)
{
    struct keyring k = {0};
    char file[4096], *bytes = NULL;
    size_t n = 0;
    int fd = -1, r = locate(path, file, sizeof file, f);
    if (r)
        return r;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer */
    fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_set(f, ERR_CONFIG, "%s: %s", file,
                        errno == ELOOP ? "a key file may not be a symbolic link" : strerror(errno));
    r = check_file(fd, file, str_starts(str_c(path), credential_scheme), f);
    if (r)
        goto out;
    bytes = secret_alloc(FILE_MAX + 1);
    r = read_all(fd, bytes, FILE_MAX + 1, &n);
    if (r) {
        r = fail_set(f, r, "%s: cannot be read", file);
        goto out;
    }
    r = parse_file((struct str){bytes, n}, file, &k, f);
    if (r)
        goto out;
    *ret = k;
    k = (struct keyring){0};
out:
    keyring_free(&k);
    secret_free(bytes);
    close(fd);
    return r;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* The new name itself must survive a power cut: a lost key file is lost data. */
static bool sync_folder(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof dir)
        return false;
    if (n > 0)
        memcpy(dir, path, n);
    else
        dir[n++] = slash ? '/' : '.';
    dir[n] = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

int keyring_create(const char *path, struct fail *f)
{
    unsigned char *key = secret_alloc(KEY_BYTES);
    char *line = secret_alloc(HEX_KEY + 4);
    int r = 0, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        r = fail_set(f, errno == EEXIST ? ERR_CONFLICT : ERR_IO, "%s: %s", path, strerror(errno));
        goto out;
    }
    randombytes_buf(key, KEY_BYTES);
    memcpy(line, "1 ", 2);
    hex_encode(line + 2, key, KEY_BYTES);
    line[2 + HEX_KEY] = '\n';
    bool ok = write_all(fd, line, 3 + HEX_KEY) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok && sync_folder(path);
    if (!ok) {
        r = fail_set(f, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
        unlink(path);
    }
out:
    secret_free(line);
    secret_free(key);
    return r;
}
