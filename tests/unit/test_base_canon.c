/* base/canon: ECMAScript numbers, UTF-16 order, hashes; then the published RFC 8785 vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/canon.h"
#include "base_vectors.h"

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static void assert_number(double d, const char *expected)
{
    char out[CANON_NUMBER];
    canon_number(out, d);
    assert_string_equal(out, expected);
}

/* Texts by node 20: String(d). The powers of two are those where the nearest decimal of 16 digits
 * does not read back, but the next one up does. */
static void numbers_are_laid_out_as_ecmascript_does(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x0010000000000000, "2.2250738585072014e-308"},
        {0x000fffffffffffff, "2.225073858507201e-308"},
        {0x4340000000000000, "9007199254740992"},
        {0x4340000000000001, "9007199254740994"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
        {0x0060000000000000, "7.120236347223045e-307"},
        {0x3ff0000000000000, "1"},
        {0xbff8000000000000, "-1.5"},
        {0x3fb999999999999a, "0.1"},
        {0x40934a456d5cfaad, "1234.5678"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_number(double_of(cases[i].bits), cases[i].text);
}

static void amounts_take_the_short_way_to_the_same_text(void **state)
{
    (void)state;
    assert_number(12.5, "12.5");
    assert_number(-0.01, "-0.01");
    assert_number(1e8, "100000000");
    assert_number(99999999.99, "99999999.99");
    assert_number(999999999999999.0, "999999999999999");
    assert_number(999999999999999.9, "999999999999999.9");
    assert_number(0.000001, "0.000001");
    assert_number(0.0000011, "0.0000011");
    assert_number(0.00000001, "1e-8");
    assert_number(0.1 + 0.2, "0.30000000000000004");
    assert_number(1.005, "1.005");
    assert_number(4.35, "4.35");
}

/* Whatever the text, it must read back as the same double; and no shorter one may. */
static void texts_read_back(void **state)
{
    uint64_t seed = 88172645463325252;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        double d = double_of(seed);
        char out[CANON_NUMBER], back[CANON_NUMBER];
        if (!isfinite(d))
            continue;
        canon_number(out, d);
        double again = strtod(out, NULL);
        assert_memory_equal(&again, &d, sizeof d);
        canon_number(back, again);
        assert_string_equal(back, out);
    }
}

static void assert_canonical(const char *text, const char *expected)
{
    json_t *v = NULL;
    struct buf out = {0};
    assert_int_equal(json_read(str_c(text), &v, NULL), 0);
    assert_int_equal(canon_write(v, &out), 0);
    assert_string_equal(buf_view(&out).p, expected);
    json_decref(v);
    buf_free(&out);
}

static void members_are_sorted_by_utf16(void **state)
{
    (void)state;
    assert_canonical("{\"b\":1,\"a\":2,\"\":3,\"aa\":4,\"B\":5}",
                     "{\"\":3,\"B\":5,\"a\":2,\"aa\":4,\"b\":1}");
    /* U+1F600 is D83D DE00 and so comes before U+E000, U+FB33 and U+FFFF; after U+D7FF */
    assert_canonical(
        "{\"\xef\xbf\xbf\":1,\"\xf0\x9f\x98\x80\":2,\"\xee\x80\x80\":3,\"\xed\x9f\xbf\":4,"
        "\"\xef\xac\xb3\":5,\"\xc3\xb6\":6,\"1\":7}",
        "{\"1\":7,\"\xc3\xb6\":6,\"\xed\x9f\xbf\":4,\"\xf0\x9f\x98\x80\":2,"
        "\"\xee\x80\x80\":3,\"\xef\xac\xb3\":5,\"\xef\xbf\xbf\":1}");
    /* the same behind a common beginning, and inside nested objects */
    assert_canonical("[{\"a\xee\x80\x80\":{\"z\":1,\"y\":2},\"a\xf0\x9f\x98\x80\":2}]",
                     "[{\"a\xf0\x9f\x98\x80\":2,\"a\xee\x80\x80\":{\"y\":2,\"z\":1}}]");
}

static void many_members_are_sorted_too(void **state)
{
    struct buf in = {0}, out = {0};
    json_t *v = NULL;
    (void)state;
    buf_ch(&in, '{');
    for (int i = 999; i >= 100; i--)
        buf_printf(&in, "\"%d\":0%s", i, i > 100 ? "," : "}");
    assert_int_equal(json_read(buf_view(&in), &v, NULL), 0);
    assert_int_equal(canon_write(v, &out), 0);
    for (int i = 100; i < 999; i++)
        assert_int_equal(strtol(out.p + 2 + (i - 100) * 8, NULL, 10), i);
    json_decref(v);
    buf_free(&in);
    buf_free(&out);
}

static void spellings_of_one_value_are_one_text(void **state)
{
    (void)state;
    assert_canonical(" { \"a\" : [ 1.0 , 1e0 , 10e-1 , -0 , 1E2 ] } ", "{\"a\":[1,1,1,0,100]}");
    assert_canonical("\"\\u0041\\/\\u00e9\\b\\u0008\\u001F\\u007f\"",
                     "\"A/\xc3\xa9\\b\\b\\u001f\x7f\"");
}

static void hashes(void **state)
{
    char a[HASH_TEXT], b[HASH_TEXT];
    json_t *v = NULL;
    (void)state;
    hash_text(a, STR(""));
    assert_string_equal(a,
                        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(json_read(STR("{\"b\":1.0,\"a\":[]}"), &v, NULL), 0);
    assert_int_equal(canon_hash(v, a), 0);
    hash_text(b, STR("{\"a\":[],\"b\":1}"));
    assert_string_equal(a, b);
    json_decref(v);
    v = json_integer(INT64_MAX);
    memcpy(b, "kept", 5);
    assert_int_equal(canon_hash(v, b), ERR_NUMBER_RANGE);
    assert_string_equal(b, "kept");
    json_decref(v);
}

static void published_files(void **state)
{
    static const char *const names[] = {"arrays",  "french", "structures",
                                        "unicode", "values", "weird"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char in_name[64], out_name[64];
        struct buf in, expected, out = {0};
        json_t *v = NULL;
        snprintf(in_name, sizeof in_name, "jcs/input/%s.json", names[i]);
        snprintf(out_name, sizeof out_name, "jcs/output/%s.json", names[i]);
        if (!shared_read(in_name, &in))
            skip();
        assert_true(shared_read(out_name, &expected));
        assert_int_equal(json_read(buf_view(&in), &v, NULL), 0);
        assert_int_equal(canon_write(v, &out), 0);
        assert_true(str_eq(buf_view(&out), buf_view(&expected)));
        json_decref(v);
        buf_free(&in);
        buf_free(&expected);
        buf_free(&out);
    }
}

static void published_numbers(void **state)
{
    struct buf text;
    size_t count = 0;
    (void)state;
    if (!shared_read("jcs/numbers_1000.txt", &text))
        skip();
    for (size_t at = 0, end; at < text.n; at = end + 1) {
        char expected[CANON_NUMBER];
        end = str_find(buf_view(&text), '\n', at);
        size_t comma = str_find(buf_view(&text), ',', at);
        assert_true(str_copy(expected, sizeof expected, str_sub(buf_view(&text), comma + 1, end)));
        assert_number(double_of(strtoull(text.p + at, NULL, 16)), expected);
        count++;
    }
    assert_int_equal(count, 1000);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_laid_out_as_ecmascript_does),
        cmocka_unit_test(amounts_take_the_short_way_to_the_same_text),
        cmocka_unit_test(texts_read_back),
        cmocka_unit_test(members_are_sorted_by_utf16),
        cmocka_unit_test(many_members_are_sorted_too),
        cmocka_unit_test(spellings_of_one_value_are_one_text),
        cmocka_unit_test(hashes),
        cmocka_unit_test(published_files),
        cmocka_unit_test(published_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
