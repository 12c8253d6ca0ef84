/* base/secret: key files are refused unless nobody else can read or swap them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static char folder[] = "/tmp/test_base_secret.XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/kek", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Reads the file with this text; the result's detail is left in f. */
static int read_text(const char *text, mode_t mode, struct keyring *k, struct fail *f)
{
    write_file(text, mode);
    int r = keyring_read(file, k, f);
    unlink(file);
    return r;
}

static void versions_are_read_and_found(void **state)
{
    struct keyring k;
    struct fail f;
    unsigned char expected[KEY_BYTES];
    (void)state;
    assert_int_equal(read_text("# keys\n\n1 " KEY_A "\n7 " KEY_B, 0600, &k, &f), 0);
    assert_int_equal(k.n, 2);
    assert_int_equal(keyring_newest(&k), 7);
    for (unsigned char i = 0; i < KEY_BYTES; i++)
        expected[i] = i;
    assert_memory_equal(keyring_find(&k, 1), expected, KEY_BYTES);
    assert_int_equal(keyring_find(&k, 7)[31], 0xff);
    assert_null(keyring_find(&k, 2));
    keyring_free(&k);
    assert_int_equal(k.n, 0);
    keyring_free(&k);
    assert_int_equal(read_text("1 " KEY_A "\n", 0400, &k, &f), 0);
    keyring_free(&k);
}

static void modes_that_let_others_in_are_refused(void **state)
{
    static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0660, 0666, 0440, 0404};
    struct keyring k;
    struct fail f;
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(read_text("1 " KEY_A "\n", modes[i], &k, &f), ERR_CONFIG);
        assert_non_null(strstr(f.detail, file));
        assert_non_null(strstr(f.detail, "0600"));
    }
}

static void only_regular_files(void **state)
{
    struct keyring k;
    struct fail f;
    char link[80];
    (void)state;
    assert_int_equal(keyring_read(file, &k, &f), ERR_CONFIG); /* not there */
    assert_int_equal(keyring_read(folder, &k, &f), ERR_CONFIG);
    write_file("1 " KEY_A "\n", 0600);
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(keyring_read(link, &k, &f), ERR_CONFIG);
    assert_non_null(strstr(f.detail, "symbolic link"));
    unlink(link);
    assert_int_equal(mkfifo(link, 0600), 0);
    assert_int_equal(keyring_read(link, &k, &f), ERR_CONFIG); /* and does not wait for a writer */
    unlink(link);
    unlink(file);
}

static void files_of_another_user_are_refused(void **state)
{
    struct keyring k;
    struct fail f;
    (void)state;
    if (geteuid() != 0) {
        print_message("# skipped: only root can give files away\n");
        skip();
    }
    write_file("1 " KEY_A "\n", 0600);
    assert_int_equal(chown(file, 12345, 0), 0);
    assert_int_equal(keyring_read(file, &k, &f), ERR_CONFIG);
    assert_non_null(strstr(f.detail, "another user"));
    unlink(file);
}

static void malformed_files_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "# nothing\n",
                                      "1\n",
                                      "1 \n",
                                      KEY_A "\n",
                                      "1  " KEY_A "\n",
                                      "0 " KEY_A "\n",
                                      "01 " KEY_A "\n",
                                      "-1 " KEY_A "\n",
                                      "4294967296 " KEY_A "\n",
                                      "1 " KEY_A "00\n",
                                      "1 00" KEY_A "x\n",
                                      "1 g" KEY_B "\n",
                                      "2 " KEY_A "\n1 " KEY_B "\n",
                                      "1 " KEY_A "\n1 " KEY_B "\n",
                                      "1 " KEY_A " # comment\n"};
    struct keyring k = {.n = 99};
    struct fail f;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_text(bad[i], 0600, &k, &f), ERR_CONFIG);
        assert_null(strstr(f.detail, "0001020304"));
        assert_null(strstr(f.detail, "ffff"));
    }
    assert_int_equal(k.n, 99); /* written on success only */
}

static void more_keys_than_there_is_room_for(void **state)
{
    char text[2048] = "";
    struct keyring k;
    struct fail f;
    (void)state;
    for (int i = 1; i <= KEY_VERSIONS; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d " KEY_A "\n", i);
    assert_int_equal(read_text(text, 0600, &k, &f), 0);
    assert_int_equal(k.n, KEY_VERSIONS);
    keyring_free(&k);
    snprintf(text + strlen(text), sizeof text - strlen(text), "99 " KEY_A "\n");
    assert_int_equal(read_text(text, 0600, &k, &f), ERR_CONFIG);
    char *large = malloc(20001);
    assert_non_null(large);
    memset(large, '#', 20000);
    large[20000] = 0;
    assert_int_equal(read_text(large, 0600, &k, &f), ERR_CONFIG);
    free(large);
}

/* Cut at what the kernel takes, this path would name a good key file. */
static void long_paths_are_not_cut(void **state)
{
    char path[4200];
    size_t end = 4095 - strlen("kek");
    struct keyring k;
    struct fail f;
    (void)state;
    write_file("1 " KEY_A "\n", 0600);
    memset(path, '/', sizeof path);
    memcpy(path, folder, strlen(folder));
    memcpy(path + end, "kek", 4);
    assert_int_equal(keyring_read(path, &k, &f), 0);
    keyring_free(&k);
    memcpy(path + end, "kek2", 5);
    assert_int_equal(keyring_read(path, &k, &f), ERR_CONFIG);
    unlink(file);
}

static void systemd_credentials(void **state)
{
    struct keyring k;
    struct fail f;
    char around[64];
    (void)state;
    write_file("1 " KEY_A "\n", 0440); /* how systemd's ACL shows */
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(keyring_read("credential:kek", &k, &f), ERR_CONFIG);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_int_equal(keyring_read("credential:kek", &k, &f), 0);
    keyring_free(&k);
    assert_int_equal(keyring_read("credential:", &k, &f), ERR_CONFIG);
    assert_int_equal(keyring_read("credential:..", &k, &f), ERR_CONFIG);
    snprintf(around, sizeof around, "credential:../%s/kek", folder + strlen("/tmp/"));
    assert_int_equal(keyring_read(around, &k, &f), ERR_CONFIG);
    assert_non_null(strstr(f.detail, "not a credential's name"));
    assert_int_equal(chmod(file, 0444), 0);
    assert_int_equal(keyring_read("credential:kek", &k, &f), ERR_CONFIG);
    assert_int_equal(chmod(file, 0400), 0);
    int home = open(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(chdir(folder), 0);
    setenv("CREDENTIALS_DIRECTORY", ".", 1); /* systemd's is absolute */
    assert_int_equal(keyring_read("credential:kek", &k, &f), ERR_CONFIG);
    assert_int_equal(fchdir(home), 0);
    close(home);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(file);
}

static void created_files_are_private_and_never_replaced(void **state)
{
    struct keyring k, again;
    struct fail f;
    struct stat st;
    unsigned char zero[KEY_BYTES] = {0};
    (void)state;
    mode_t old = umask(0);
    assert_int_equal(keyring_create(file, &f), 0);
    umask(old);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(keyring_read(file, &k, &f), 0);
    assert_int_equal(k.n, 1);
    assert_int_equal(k.version[0], 1);
    assert_memory_not_equal(k.key[0], zero, KEY_BYTES);
    assert_int_equal(keyring_create(file, &f), ERR_CONFLICT);
    assert_int_equal(keyring_read(file, &again, &f), 0);
    assert_memory_equal(k.key[0], again.key[0], KEY_BYTES);
    keyring_free(&k);
    keyring_free(&again);
    unlink(file);
    assert_int_equal(keyring_create("/nonexistent/kek", &f), ERR_IO);
}

static void subkeys_depend_on_all_their_parts(void **state)
{
    unsigned char key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2}, a[KEY_BYTES], b[KEY_BYTES];
    (void)state;
    key_derive(a, key, "session", STR("data"));
    key_derive(b, key, "session", STR("data"));
    assert_memory_equal(a, b, KEY_BYTES);
    key_derive(b, other, "session", STR("data"));
    assert_memory_not_equal(a, b, KEY_BYTES);
    key_derive(b, key, "sessiond", STR("ata"));
    assert_memory_not_equal(a, b, KEY_BYTES);
    key_derive(b, key, "session", STR("datb"));
    assert_memory_not_equal(a, b, KEY_BYTES);
}

static void secrets_are_wiped(void **state)
{
    unsigned char *p = secret_alloc(16);
    (void)state;
    memset(p, 0xaa, 16);
    secret_wipe(p, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(p[i], 0);
    secret_free(p);
    secret_free(NULL);
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_read_and_found),
        cmocka_unit_test(modes_that_let_others_in_are_refused),
        cmocka_unit_test(only_regular_files),
        cmocka_unit_test(files_of_another_user_are_refused),
        cmocka_unit_test(malformed_files_are_refused),
        cmocka_unit_test(more_keys_than_there_is_room_for),
        cmocka_unit_test(long_paths_are_not_cut),
        cmocka_unit_test(systemd_credentials),
        cmocka_unit_test(created_files_are_private_and_never_replaced),
        cmocka_unit_test(subkeys_depend_on_all_their_parts),
        cmocka_unit_test(secrets_are_wiped),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
