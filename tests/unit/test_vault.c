/* The vault: a box opens for its own row and column and for nothing else, and not after its epoch's
 * key is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/vault.h"

struct world {
    char dir[64], keys_path[96], epochs[96];
    struct keyring keys;
    struct vault *v;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_not_equal(sodium_init(), -1);
    snprintf(w->dir, sizeof w->dir, "/tmp/cs-vault-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->keys_path, sizeof w->keys_path, "%s/payload", w->dir);
    snprintf(w->epochs, sizeof w->epochs, "%s/epochs", w->dir);
    assert_int_equal(keyring_create(w->keys_path, NULL), 0);
    assert_int_equal(keyring_read(w->keys_path, &w->keys, NULL), 0);
    assert_int_equal(vault_open(w->epochs, &w->keys, &w->v, NULL), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[160];
    vault_close(w->v);
    keyring_free(&w->keys);
    for (int64_t epoch = 0; epoch < 40; epoch++) {
        snprintf(command, sizeof command, "%s/epoch-%lld", w->epochs, (long long)epoch);
        unlink(command);
    }
    rmdir(w->epochs);
    unlink(w->keys_path);
    rmdir(w->dir);
    free(w);
    return 0;
}

static void seal(struct world *w, int64_t epoch, const char *action, const char *column,
                 const char *clear, struct buf *box)
{
    buf_init(box, 0);
    assert_int_equal(
        vault_seal(w->v, epoch, STR("default"), str_c(action), column, str_c(clear), box), 0);
}

static int open_as(struct world *w, int64_t epoch, const char *workspace, const char *action,
                   const char *column, const struct buf *box, const char *want)
{
    struct buf clear;
    buf_init(&clear, 0);
    int r =
        vault_unseal(w->v, epoch, str_c(workspace), str_c(action), column, buf_view(box), &clear);
    if (r == 0)
        assert_true(str_eq_c(buf_view(&clear), want));
    buf_free(&clear);
    return r;
}

static void opens_for_its_own_place_alone(void **state)
{
    struct world *w = *state;
    struct buf box;
    seal(w, 1, "act_a", "request", "payload", &box);
    assert_int_equal(open_as(w, 1, "default", "act_a", "request", &box, "payload"), 0);
    assert_int_equal(open_as(w, 1, "default", "act_b", "request", &box, ""), ERR_SEAL);
    assert_int_equal(open_as(w, 1, "default", "act_a", "result", &box, ""), ERR_SEAL);
    assert_int_equal(open_as(w, 1, "other", "act_a", "request", &box, ""), ERR_SEAL);
    assert_int_equal(open_as(w, 2, "default", "act_a", "request", &box, ""), ERR_SEAL);
    buf_free(&box);
}

static void every_bit_counts(void **state)
{
    struct world *w = *state;
    struct buf box;
    seal(w, 1, "act_a", "request", "x", &box);
    for (size_t bit = 0; bit < box.n * 8; bit++) {
        box.p[bit / 8] = (char)(box.p[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(open_as(w, 1, "default", "act_a", "request", &box, ""), ERR_SEAL);
        box.p[bit / 8] = (char)(box.p[bit / 8] ^ (1 << bit % 8));
    }
    buf_free(&box);
}

static void survives_a_restart(void **state)
{
    struct world *w = *state;
    struct buf box;
    seal(w, 3, "act_a", "request", "payload", &box);
    vault_close(w->v);
    assert_int_equal(vault_open(w->epochs, &w->keys, &w->v, NULL), 0);
    assert_int_equal(open_as(w, 3, "default", "act_a", "request", &box, "payload"), 0);
    buf_free(&box);
}

static void is_unreadable_once_the_epoch_key_is_gone(void **state)
{
    struct world *w = *state;
    struct buf box;
    char path[128];
    seal(w, 4, "act_a", "request", "payload", &box);
    vault_close(w->v);
    snprintf(path, sizeof path, "%s/epoch-4", w->epochs);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(vault_open(w->epochs, &w->keys, &w->v, NULL), 0);
    assert_int_equal(open_as(w, 4, "default", "act_a", "request", &box, ""), ERR_SEAL);
    buf_free(&box);
}

/* More epochs than are held open at once: the oldest is read again when it is needed. */
static void many_epochs(void **state)
{
    struct world *w = *state;
    struct buf box[30];
    for (int64_t e = 5; e < 35; e++)
        seal(w, e, "act_a", "request", "payload", &box[e - 5]);
    for (int64_t e = 5; e < 35; e++) {
        assert_int_equal(open_as(w, e, "default", "act_a", "request", &box[e - 5], "payload"), 0);
        buf_free(&box[e - 5]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_for_its_own_place_alone),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(survives_a_restart),
        cmocka_unit_test(is_unreadable_once_the_epoch_key_is_gone),
        cmocka_unit_test(many_epochs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
