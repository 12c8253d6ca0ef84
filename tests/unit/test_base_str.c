/* base/str: comparing, cutting, numbers, hex, UTF-8, globs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"

static void comparing(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(STR(""), (struct str){NULL, 0}));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_c(STR("x"), "x"));
    assert_true(str_eq_c(STR(""), NULL));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("a["), STR("a{"))); /* 0x20 apart, but no letters */
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR("")));
    assert_false(str_ends(STR("c"), STR("bc")));
}

static void secrets_compare_like_texts(void **state)
{
    (void)state;
    assert_true(str_eq_secret(STR("abc"), STR("abc")));
    assert_false(str_eq_secret(STR("abc"), STR("abd")));
    assert_false(str_eq_secret(STR("abc"), STR("Abc")));
    assert_false(str_eq_secret(STR("abc"), STR("abcd")));
    assert_false(str_eq_secret(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_secret(STR(""), STR("")));
}

static void cutting(void **state)
{
    (void)state;
    struct str s = STR("hello");
    assert_true(str_eq_c(str_sub(s, 1, 3), "el"));
    assert_true(str_eq_c(str_sub(s, 3, 99), "lo"));
    assert_true(str_eq_c(str_sub(s, 3, 3), ""));
    assert_true(str_eq_c(str_sub(s, 4, 2), ""));
    assert_true(str_eq_c(str_sub(s, 99, 100), ""));
    assert_int_equal(str_find(s, 'l', 0), 2);
    assert_int_equal(str_find(s, 'l', 3), 3);
    assert_int_equal(str_find(s, 'l', 4), 5);
    assert_int_equal(str_find(s, 'x', 0), 5);
    assert_int_equal(str_find(s, 'h', 99), 5);
    assert_true(str_eq_c(str_trim(STR(" \t a b\t ")), "a b"));
    assert_true(str_eq_c(str_trim(STR("  ")), ""));
    assert_true(str_eq_c(str_trim(STR("\na\n")), "\na\n"));
}

static void an_identity_is_never_cut(void **state)
{
    (void)state;
    char b[4] = "zzz";
    assert_true(str_copy(b, sizeof b, STR("abc")));
    assert_string_equal(b, "abc");
    assert_false(str_copy(b, sizeof b, STR("abcd")));
    assert_string_equal(b, "");
    assert_false(str_copy(b, sizeof b, STR("a\0b")));
    assert_string_equal(b, "");
    assert_true(str_copy(b, sizeof b, STR("")));
    assert_false(str_copy(b, 0, STR("")));
}

static void numbers(void **state)
{
    static const char *const bad[] = {"",
                                      "01",
                                      "+1",
                                      "-1",
                                      "1 ",
                                      " 1",
                                      "1.0",
                                      "0x1",
                                      "1e3",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "184467440737095516150"};
    uint64_t v = 7;
    (void)state;
    assert_true(str_u64(STR("0"), &v) && v == 0);
    assert_true(str_u64(STR("18446744073709551615"), &v) && v == UINT64_MAX);
    v = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(str_u64(str_c(bad[i]), &v));
    assert_false(str_u64(STR("1\0"), &v));
    assert_int_equal(v, 7);
}

static void hex(void **state)
{
    unsigned char b[3] = {0x00, 0xab, 0xff}, back[3] = {1, 1, 1};
    char text[7];
    (void)state;
    hex_encode(text, b, 3);
    assert_string_equal(text, "00abff");
    assert_true(hex_decode(back, 3, STR("00aBFf")));
    assert_memory_equal(back, b, 3);
    assert_false(hex_decode(back, 3, STR("00abf")));
    assert_false(hex_decode(back, 3, STR("00abff0")));
    assert_false(hex_decode(back, 3, STR("00abff00")));
    assert_false(hex_decode(back, 3, STR("00abfg")));
    assert_false(hex_decode(back, 3, STR("00 bff")));
    assert_memory_equal(back, b, 3);
    assert_int_equal(hex_pair(STR("x4f"), 1), 0x4f);
    assert_int_equal(hex_pair(STR("x4"), 1), -1);
    assert_int_equal(hex_pair(STR("x4g"), 1), -1);
    assert_int_equal(hex_pair(STR("x"), 9), -1);
}

static void utf8(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa9z"};
    static const char *const bad[] = {"\x80",             /* continuation alone */
                                      "\xc3",             /* cut */
                                      "\xc0\xaf",         /* overlong '/' */
                                      "\xc1\xbf",         /* overlong */
                                      "\xe0\x80\xaf",     /* overlong */
                                      "\xe0\x9f\xbf",     /* overlong */
                                      "\xf0\x80\x80\xaf", /* overlong */
                                      "\xf0\x8f\xbf\xbf", /* overlong */
                                      "\xed\xa0\x80",     /* surrogate */
                                      "\xed\xbf\xbf",     /* surrogate */
                                      "\xf4\x90\x80\x80", /* past the end */
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xe2\x28\xa1",
                                      "\xf0\x9f\x98",
                                      "\xf0\x9f\x28\x80",
                                      "\xf0\x9f\x98\x28",
                                      "\xe2\x82\xc0",
                                      "\xf0\x9f\x98\xc0",
                                      "a\xc3z"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(str_c(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(str_c(bad[i])));
    assert_true(utf8_valid(STR("a\0b")));
    assert_int_equal(utf8_step(STR("a\xe2\x82\xac"), 1), 3);
    assert_int_equal(utf8_step(STR("a"), 1), 0);
}

static void globs(void **state)
{
    (void)state;
    assert_true(str_glob(STR("*"), STR("")));
    assert_true(str_glob(STR("plaid.*"), STR("plaid.transfer.create")));
    assert_true(str_glob(STR("*.create"), STR("transfer.create")));
    assert_true(str_glob(STR("a*b*c"), STR("aXXbYYbZc")));
    assert_true(str_glob(STR("a?c"), STR("abc")));
    assert_true(str_glob(STR("abc**"), STR("abc")));
    assert_false(str_glob(STR(""), STR("a")));
    assert_false(str_glob(STR("a?c"), STR("ac")));
    assert_false(str_glob(STR("plaid.*"), STR("plaidX")));
    assert_false(str_glob(STR("a*b*c"), STR("aXXbYYbZ")));
    assert_false(str_glob(STR("[a]"), STR("a")));
    assert_false(str_glob(STR("abc"), STR("abcd")));
    assert_false(str_glob(STR("A"), STR("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing), cmocka_unit_test(secrets_compare_like_texts),
        cmocka_unit_test(cutting),   cmocka_unit_test(an_identity_is_never_cut),
        cmocka_unit_test(numbers),   cmocka_unit_test(hex),
        cmocka_unit_test(utf8),      cmocka_unit_test(globs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
