/* base/id: form, order, uniqueness over threads, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"

struct fake {
    int64_t now;
    unsigned char fill;
};

static int64_t fake_now(void *arg)
{
    return ((struct fake *)arg)->now;
}

static void fake_random(void *arg, void *out, size_t n)
{
    memset(out, ((struct fake *)arg)->fill, n);
}

static struct env env_of(struct fake *fake)
{
    return (struct env){
        .now_ms = fake_now, .mono_ms = fake_now, .random = fake_random, .arg = fake};
}

/* Zero for all free bits; the texts were worked out by a separate program from RFC 9562 and
 * Crockford's alphabet. */
static void known_id(void **state)
{
    struct fake fake = {.now = 0x0123456789ab};
    struct env env = env_of(&fake);
    char id[ID_SIZE], uuid[UUID_SIZE];
    (void)state;
    id_new(&env, "act", id);
    assert_string_equal(id, "act_014d2pf2dbe008000000000000");
    assert_int_equal(id_time(str_c(id)), 0x0123456789ab);
    fake.now++;
    uuid_new(&env, uuid);
    assert_string_equal(uuid, "01234567-89ac-7000-8000-000000000000");
}

static void bits_of_version_and_variant_survive_any_random_number(void **state)
{
    struct fake fake = {.now = 1};
    struct env env = env_of(&fake);
    (void)state;
    for (int fill = 0; fill < 256; fill++) {
        char id[ID_SIZE], uuid[UUID_SIZE];
        fake.fill = (unsigned char)fill;
        fake.now++;
        id_new(&env, "act", id);
        assert_true(id_valid("act", str_c(id)));
        assert_int_equal(id_time(str_c(id)), fake.now);
        uuid_new(&env, uuid);
        assert_int_equal(uuid[14], '7');
        assert_non_null(strchr("89ab", uuid[19]));
    }
}

static void ids_of_one_millisecond_grow(void **state)
{
    struct fake fake = {.now = 1795340096789};
    struct env env = env_of(&fake);
    char last[ID_SIZE], id[ID_SIZE];
    (void)state;
    env.random = env_system.random;
    id_new(&env, "act", last);
    for (int i = 0; i < 100000; i++) {
        id_new(&env, "act", id);
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof id);
    }
    fake.now++;
    id_new(&env, "act", id);
    assert_true(strcmp(last, id) < 0);
}

/* Steps of the largest size use up the bits of a millisecond: a new draw follows, not a bad id. */
static void used_up_bits_are_drawn_anew(void **state)
{
    struct fake fake = {.now = 5, .fill = 0xff};
    struct env env = env_of(&fake);
    char id[ID_SIZE];
    (void)state;
    id_new(&env, "act", id);
    for (int i = 0; i < 100; i++) {
        id_new(&env, "act", id);
        assert_true(id_valid("act", str_c(id)));
    }
}

static void what_is_no_id(void **state)
{
    char id[ID_SIZE], bad[ID_SIZE];
    (void)state;
    id_new(&env_system, "act", id);
    assert_true(id_valid("act", str_c(id)));
    assert_false(id_valid("apr", str_c(id)));
    assert_false(id_valid("act", str_sub(str_c(id), 0, 29)));
    assert_false(id_valid("act", STR("")));
    char longer[ID_SIZE + 1];
    snprintf(longer, sizeof longer, "%s0", id);
    assert_false(id_valid("act", str_c(longer)));
    static const struct {
        size_t at;
        char c;
    } spoil[] = {{3, '-'},  {4, '8'}, {10, 'i'}, {10, 'l'}, {10, 'o'}, {10, 'u'},
                 {10, 'A'}, {10, 0},  {10, '_'}, {29, ' '}, {14, '0'}, {0, 'A'}};
    for (size_t i = 0; i < sizeof spoil / sizeof *spoil; i++) {
        memcpy(bad, id, sizeof id);
        bad[spoil[i].at] = spoil[i].c;
        assert_false(id_valid("act", (struct str){bad, ID_SIZE - 1}));
    }
}

enum { THREADS = 4, EACH = 5000 };

static void *make_many(void *arg)
{
    char(*out)[ID_SIZE] = arg;
    for (int i = 0; i < EACH; i++)
        id_new(&env_system, "act", out[i]);
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void threads_make_different_ids(void **state)
{
    static char made[THREADS * EACH][ID_SIZE];
    pthread_t t[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, make_many, made[i * EACH]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    qsort(made, THREADS * EACH, ID_SIZE, by_text);
    for (int i = 1; i < THREADS * EACH; i++)
        assert_string_not_equal(made[i - 1], made[i]);
}

static void tokens(void **state)
{
    char a[TOKEN_SIZE], b[TOKEN_SIZE];
    (void)state;
    token_new(&env_system, "csa_", a);
    token_new(&env_system, "csa_", b);
    assert_int_equal(strlen(a), 47);
    assert_int_equal(strncmp(a, "csa_", 4), 0);
    assert_int_equal(
        strspn(a + 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_id),
        cmocka_unit_test(bits_of_version_and_variant_survive_any_random_number),
        cmocka_unit_test(ids_of_one_millisecond_grow),
        cmocka_unit_test(used_up_bits_are_drawn_anew),
        cmocka_unit_test(what_is_no_id),
        cmocka_unit_test(threads_make_different_ids),
        cmocka_unit_test(tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
