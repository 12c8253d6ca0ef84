/* base/buf and base/arena: growth, caps, sticky errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

static void buf_grows_and_ends_in_nul(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 0);
    assert_string_equal(buf_view(&b).p, "");
    for (int i = 0; i < 1000; i++)
        buf_ch(&b, 'x');
    buf_c(&b, "abc");
    buf_str(&b, STR("\0d"));
    buf_put(&b, NULL, 0);
    buf_printf(&b, "%d-%s", 42, "tail");
    assert_int_equal(buf_err(&b), 0);
    assert_int_equal(b.n, 1000 + 3 + 2 + 7);
    assert_memory_equal(b.p + 1000, "abc\0d42-tail", 13);
    buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_string_equal(buf_view(&b).p, "");
    buf_free(&b);
    buf_free(&b);
    buf_wipe(&b);
}

static void buf_stops_at_its_cap_for_good(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 4);
    buf_c(&b, "abcd");
    assert_int_equal(buf_err(&b), 0);
    buf_ch(&b, 'e');
    assert_int_equal(buf_err(&b), ERR_TOO_LARGE);
    assert_int_equal(b.n, 4);
    buf_put(&b, "", 0);
    assert_int_equal(buf_err(&b), ERR_TOO_LARGE);
    buf_clear(&b);
    buf_printf(&b, "%s", "abcde");
    assert_int_equal(buf_err(&b), ERR_TOO_LARGE);
    buf_free(&b);
    buf_init(&b, 4);
    buf_put(&b, "x", 1);
    buf_put(&b, "x", SIZE_MAX); /* refused before anything is read */
    assert_int_equal(buf_err(&b), ERR_TOO_LARGE);
    buf_free(&b);
}

static void a_zeroed_buf_is_usable(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_c(&b, "x");
    assert_int_equal(buf_err(&b), 0);
    buf_wipe(&b);
    assert_null(b.p);
}

static void arena_gives_zeroed_aligned_memory(void **state)
{
    struct arena *a = arena_new(1 << 20);
    (void)state;
    for (size_t n = 1; n < 6000; n += 97) {
        unsigned char *p = arena_alloc(a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_false(arena_overflowed(a));
    arena_free(a);
    arena_free(NULL);
}

static void arena_copies_texts(void **state)
{
    struct arena *a = arena_new(1 << 16);
    (void)state;
    struct str s = arena_str(a, STR("a\0b"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.p, "a\0b", 4);
    assert_string_equal(arena_cstr(a, STR("hello")), "hello");
    assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
    assert_string_equal(arena_cstr(a, (struct str){NULL, 0}), "");
    assert_false(arena_overflowed(a));
    arena_free(a);
}

static void arena_stays_overflowed(void **state)
{
    struct arena *a = arena_new(100);
    (void)state;
    assert_non_null(arena_alloc(a, 64));
    assert_null(arena_alloc(a, 64));
    assert_true(arena_overflowed(a));
    assert_null(arena_alloc(a, 1));
    assert_string_equal(arena_cstr(a, STR("x")), "");
    assert_string_equal(arena_printf(a, "%d", 1), "");
    assert_int_equal(arena_str(a, STR("x")).n, 0);
    arena_free(a);
    a = arena_new(SIZE_MAX);
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_true(arena_overflowed(a));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_ends_in_nul),
        cmocka_unit_test(buf_stops_at_its_cap_for_good),
        cmocka_unit_test(a_zeroed_buf_is_usable),
        cmocka_unit_test(arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(arena_copies_texts),
        cmocka_unit_test(arena_stays_overflowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
