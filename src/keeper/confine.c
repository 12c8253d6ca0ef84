/* Privileges. Refuses to run on when anything of this fails: a keeper that could be read by others
 * is none. */
#include "keeper/confine.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <malloc.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- memory of libraries that see secrets ----------------------------------------------------- */

static void wiping_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

/* Not realloc: it would leave an unwiped copy behind. */
static void *wiping_realloc(void *p, size_t n)
{
    void *larger = malloc(n ? n : 1);
    if (larger && p) {
        size_t had = malloc_usable_size(p);
        memcpy(larger, p, had < n ? had : n);
        wiping_free(p);
    }
    return larger;
}

int confine_begin(struct fail *f)
{
    struct rlimit none = {0, 0}, files;
    umask(077);
    json_set_alloc_funcs(malloc, wiping_free);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return fail_set(f, ERR_IO, "core files cannot be turned off: %s", strerror(errno));
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (curl_global_init_mem(CURL_GLOBAL_ALL, malloc, wiping_free, wiping_realloc, strdup,
                             calloc) != CURLE_OK)
        return fail_set(f, ERR_NOMEM, "libcurl cannot be started");
    return 0;
}

/* --- the account ------------------------------------------------------------------------------ */

/* Whom keeper becomes; itself when it is not root. */
static int account(const struct config *cfg, uid_t *uid, gid_t *gid, struct fail *f)
{
    *uid = geteuid();
    *gid = getegid();
    if (*uid != 0)
        return 0;
    const struct passwd *p = getpwnam(cfg->user);
    if (!p)
        p = getpwnam("nobody");
    if (!p || p->pw_uid == 0)
        return fail_set(f, ERR_CONFIG,
                        "neither %s nor nobody is an account that keeper could change to",
                        cfg->user);
    *uid = p->pw_uid;
    *gid = p->pw_gid;
    return 0;
}

/* Gives one file of the folder to the account, where there is one. */
static bool give(int dirfd, const char *name, uid_t uid, gid_t gid)
{
    return fchownat(dirfd, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT;
}

int confine_folder(const struct config *cfg, int *ret_dirfd, struct fail *f)
{
    struct buf path = {0};
    uid_t uid;
    gid_t gid;
    int fd = -1, r = account(cfg, &uid, &gid, f);
    if (r)
        return r;
    buf_printf(&path, "%s/keeper", cfg->data_dir);
    r = buf_err(&path);
    if (r)
        goto out;
    (void)mkdir(cfg->data_dir, 0700);
    (void)mkdir(path.p, 0700);
    fd = open(path.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0700) != 0 ||
        (uid != geteuid() && (fchown(fd, uid, gid) != 0 || !give(fd, "journal", uid, gid) ||
                              !give(fd, "journal.new", uid, gid)))) {
        r = fail_set(f, ERR_IO, "%s: %s", path.p, strerror(errno));
        goto out;
    }
    *ret_dirfd = fd;
    fd = -1;
out:
    if (fd >= 0)
        close(fd);
    buf_free(&path);
    return r;
}

int confine_drop(const struct config *cfg, struct fail *f)
{
    uid_t uid;
    gid_t gid;
    bool was_root = geteuid() == 0;
    int r = account(cfg, &uid, &gid, f);
    if (r)
        return r;
    if (was_root &&
        (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0))
        return fail_set(f, ERR_IO, "keeper cannot change its account: %s", strerror(errno));
    if (was_root && (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0 || geteuid() == 0))
        return fail_set(f, ERR_IO, "keeper could become root again");
    /* changing the account may have turned dumping on again */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail_set(f, ERR_IO, "keeper cannot give up privileges: %s", strerror(errno));
    return 0;
}
