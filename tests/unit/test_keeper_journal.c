/* The journal's file: what a crash may leave, what may not be there, what is carried over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "keeper/journal.h"

#define DAY ((int64_t)86400000)

static int64_t now_ms;

static int64_t fake_now(void *arg)
{
    (void)arg;
    return now_ms;
}
static void fake_random(void *arg, void *out, size_t n)
{
    (void)arg;
    static unsigned char c;
    memset(out, ++c, n);
}
static const struct env env = {fake_now, fake_now, fake_random, NULL};

static char dir[64];
static int dirfd_;
static struct keyring kek;
static struct journal *j;

static void add_key(unsigned char fill)
{
    kek.version[kek.n] = (uint32_t)kek.n + 1;
    kek.key[kek.n] = secret_alloc(KEY_BYTES);
    memset(kek.key[kek.n++], fill, KEY_BYTES);
}

static int begin(void **state)
{
    (void)state;
    now_ms = 1700000000000;
    snprintf(dir, sizeof dir, "/tmp/journal-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
    kek = (struct keyring){0};
    add_key(1);
    struct fail f;
    assert_int_equal(journal_open(dirfd_, &kek, &env, &j, &f), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    journal_close(j);
    j = NULL;
    close(dirfd_);
    keyring_free(&kek);
    assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    return 0;
}

static int reopen_result(struct fail *f)
{
    journal_close(j);
    j = NULL;
    return journal_open(dirfd_, &kek, &env, &j, f);
}

static void reopen(void)
{
    struct fail f;
    if (reopen_result(&f))
        fail_msg("%s", f.detail);
}

static void sent(const char *action, int64_t number, int64_t execute_by)
{
    const struct attempt a = {
        .revision = 1, .number = number, .sent_at = now_ms, .execute_by = execute_by, .same = "fp"};
    journal_sent(j, STR("w"), str_c(action), &a);
}

static void done(const char *action, int64_t number, enum answer_class class)
{
    struct keeper_result r = {.workspace = "w",
                              .attempt = number,
                              .kind = RESULT_ANSWERED,
                              .answer.class = class,
                              .status = 207};
    (void)str_copy(r.action, sizeof r.action, str_c(action));
    journal_done(j, &r);
}

static const struct attempt *attempt(const char *action, int64_t number)
{
    return ledger_attempt(journal_ledger(j), STR("w"), str_c(action), number);
}

static void read_file(struct buf *out)
{
    char path[96], bytes[4096];
    snprintf(path, sizeof path, "%s/journal", dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        buf_put(out, bytes, n);
    fclose(f);
}

static void write_file(struct str s)
{
    char path[96];
    snprintf(path, sizeof path, "%s/journal", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
    fclose(f);
}

static void some_history(void)
{
    sent("act_1", 1, now_ms + 1000);
    done("act_1", 1, ANSWER_RATE_LIMITED);
    sent("act_1", 2, now_ms + 1000);
    sent("act_2", 1, 0);
    done("act_2", 1, ANSWER_SUCCEEDED);
    const struct revocation r = {REVOKE_PERSON, STR("w"), STR("apr_1"), now_ms + 5000, true};
    journal_revoke(j, &r);
    journal_roster(j, 4, "sha256:four");
    assert_true(journal_unsynced(j));
    assert_int_equal(journal_commit(j, true), 0);
    assert_false(journal_unsynced(j));
}

static void assert_history(void)
{
    const struct ledger *l = journal_ledger(j);
    struct keeper_result r = {.status = 0};
    assert_int_equal(attempt("act_1", 1)->class, ANSWER_RATE_LIMITED);
    assert_false(attempt("act_1", 2)->done);
    assert_true(ledger_attempts(l, STR("w"), STR("act_1"))->number == 2);
    assert_int_equal(journal_ending(j, attempt("act_2", 1), &r), 0);
    assert_int_equal(r.status, 207);
    assert_string_equal(r.action, "act_2");
    assert_null(ledger_attempts(l, STR("v"), STR("act_1")));
    assert_true(revoke_holds(&l->revoked, REVOKE_PERSON, STR("w"), STR("apr_1"), now_ms));
    assert_int_equal(l->roster_version, 4);
    assert_string_equal(l->roster_hash, "sha256:four");
    assert_memory_equal(attempt("act_1", 1)->same, "fp", 2);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    char epoch[33];
    some_history();
    assert_history();
    memcpy(epoch, journal_ledger(j)->epoch, sizeof epoch);
    for (int i = 0; i < 3; i++) {
        reopen();
        assert_history();
        assert_string_equal(journal_ledger(j)->epoch, epoch);
    }
}

/* Nothing that was not committed counts after a crash; half a record is dropped. */
static void torn_end_is_dropped(void **state)
{
    (void)state;
    struct buf whole = {0}, zeros = {0};
    some_history();
    read_file(&whole);
    size_t before = whole.n;
    sent("act_3", 1, 0);
    assert_int_equal(journal_commit(j, true), 0);
    buf_clear(&whole);
    read_file(&whole);
    for (size_t n = before; n < whole.n; n++) {
        write_file((struct str){whole.p, n});
        reopen();
        assert_history();
        assert_null(attempt("act_3", 1));
        buf_clear(&zeros); /* the length was written, the bytes were not */
        buf_put(&zeros, whole.p, n);
        while (zeros.n < whole.n)
            buf_ch(&zeros, 0);
        if (n + 32 <= whole.n) {
            write_file(buf_view(&zeros));
            reopen();
            assert_history();
            assert_null(attempt("act_3", 1));
        }
    }
    write_file(buf_view(&whole));
    reopen();
    assert_non_null(attempt("act_3", 1));
    buf_free(&whole);
    buf_free(&zeros);
}

static void every_altered_bit_is_found(void **state)
{
    (void)state;
    struct buf whole = {0};
    struct ledger l;
    size_t good;
    some_history();
    read_file(&whole);
    for (size_t i = 0; i < whole.n; i++) {
        whole.p[i] ^= 0x10;
        int r = journal_read(&kek, buf_view(&whole), &l, &good, NULL);
        if (r != ERR_SEAL)
            fail_msg("byte %zu of %zu altered: %s", i, whole.n, err_name(r));
        whole.p[i] ^= 0x10;
    }
    assert_int_equal(journal_read(&kek, buf_view(&whole), &l, &good, NULL), 0);
    assert_int_equal(good, whole.n);
    ledger_free(&l);
    buf_free(&whole);
}

/* A record taken out, doubled, or moved breaks the chain. */
static void records_cannot_be_rearranged(void **state)
{
    (void)state;
    struct buf whole = {0}, cut = {0};
    struct ledger l;
    size_t good, at[16], n = 0;
    some_history();
    read_file(&whole);
    for (size_t p = 8; p < whole.n && n < 16; n++) {
        struct wire_in in = {(unsigned char *)whole.p + p, (unsigned char *)whole.p + whole.n,
                             false};
        at[n] = p;
        p += 8 + wire_get_u32(&in) + 32;
    }
    assert_true(n >= 6);
    for (size_t i = 0; i + 1 < n; i++) {
        buf_clear(&cut);
        buf_put(&cut, whole.p, at[i]);
        buf_put(&cut, whole.p + at[i + 1], whole.n - at[i + 1]);
        assert_int_equal(journal_read(&kek, buf_view(&cut), &l, &good, NULL), ERR_SEAL);
        buf_clear(&cut);
        buf_put(&cut, whole.p, at[i + 1]);
        buf_put(&cut, whole.p + at[i], whole.n - at[i]);
        assert_int_equal(journal_read(&kek, buf_view(&cut), &l, &good, NULL), ERR_SEAL);
    }
    buf_free(&whole);
    buf_free(&cut);
}

static void what_no_longer_matters_is_left_behind(void **state)
{
    (void)state;
    some_history();
    now_ms += 2 * DAY;
    reopen();
    assert_null(attempt("act_1", 1)); /* execute_by and a day have passed */
    assert_non_null(attempt("act_2", 1));
    assert_false(
        revoke_holds(&journal_ledger(j)->revoked, REVOKE_PERSON, STR("w"), STR("apr_1"), 0));
    assert_int_equal(journal_ledger(j)->roster_version, 4);
    now_ms += 7 * DAY;
    reopen();
    assert_null(attempt("act_2", 1));
}

static void time_does_not_go_back(void **state)
{
    (void)state;
    some_history();
    now_ms += 10 * DAY;
    int64_t seen = journal_now(j);
    sent("act_9", 1, 0);
    assert_int_equal(journal_commit(j, true), 0);
    now_ms -= 20 * DAY;
    assert_int_equal(journal_now(j), seen);
    reopen();
    assert_int_equal(journal_now(j), seen);
}

static void keys_rotate(void **state)
{
    (void)state;
    struct fail f;
    some_history();
    add_key(2);
    reopen(); /* read under the old key, written again under the new */
    assert_history();
    memset(kek.key[0], 9, KEY_BYTES); /* the old one is not needed any more */
    reopen();
    assert_history();
    memset(kek.key[1], 9, KEY_BYTES);
    assert_int_equal(reopen_result(&f), ERR_SEAL);
    memset(kek.key[1], 2, KEY_BYTES);
    kek.version[1] = 3;
    assert_int_equal(reopen_result(&f), ERR_SEAL);
    kek.version[1] = 2;
    reopen();
}

static void lost_file_is_a_new_epoch(void **state)
{
    (void)state;
    char epoch[33], path[96];
    some_history();
    memcpy(epoch, journal_ledger(j)->epoch, sizeof epoch);
    snprintf(path, sizeof path, "%s/journal", dir);
    assert_int_equal(unlink(path), 0);
    now_ms += 1;
    reopen();
    assert_string_not_equal(journal_ledger(j)->epoch, epoch);
    assert_int_equal(journal_ledger(j)->epoch_started, now_ms);
    assert_null(attempt("act_1", 1));
    struct fail f;
    write_file(STR("")); /* an empty file is none that keeper has written */
    assert_int_equal(reopen_result(&f), ERR_SEAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(reopen_result(&f), ERR_IO);
    assert_int_equal(unlink(path), 0);
    reopen();
}

static void folder_is_locked(void **state)
{
    (void)state;
    struct journal *other;
    struct fail f;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(journal_open(fd, &kek, &env, &other, &f), ERR_CONFLICT);
    close(fd);
}

int main(void)
{
    log_open("test", LOG_ERROR);
#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(what_was_written_is_read),
        CASE(torn_end_is_dropped),
        CASE(every_altered_bit_is_found),
        CASE(records_cannot_be_rearranged),
        CASE(what_no_longer_matters_is_left_behind),
        CASE(time_does_not_go_back),
        CASE(keys_rotate),
        CASE(lost_file_is_a_new_epoch),
        CASE(folder_is_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
