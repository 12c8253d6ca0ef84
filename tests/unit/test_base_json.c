/* base/json: what is refused and where, duplicate keys, tables of fields, pointers, the escaper.
 * First our own cases, then JSONTestSuite with a written verdict where it leaves a choice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "base/canon.h"
#include "base/json.h"
#include "base_vectors.h"

/* --- reading -------------------------------------------------------------------------------- */

static void refusals_say_what_and_where(void **state)
{
    static const struct {
        struct str text;
        int err;
        long position;
    } cases[] = {
        {STR(""), ERR_MALFORMED, 0},
        {STR("  "), ERR_MALFORMED, 2},
        {STR("nul"), ERR_MALFORMED, 0},
        {STR("truex"), ERR_MALFORMED, 4},
        {STR("1 2"), ERR_MALFORMED, 2},
        {STR("[1,]"), ERR_MALFORMED, 3},
        {STR("[1 2]"), ERR_MALFORMED, 3},
        {STR("[1"), ERR_MALFORMED, 2},
        {STR("{"), ERR_MALFORMED, 1},
        {STR("{\"a\"}"), ERR_MALFORMED, 4},
        {STR("{\"a\":1,}"), ERR_MALFORMED, 7},
        {STR("{\"a\":1;\"b\":2}"), ERR_MALFORMED, 6},
        {STR("{\"a\\x\":1}"), ERR_MALFORMED, 3},
        {STR("{\"a"), ERR_MALFORMED, 3},
        {STR("{a:1}"), ERR_MALFORMED, 1},
        {STR("'a'"), ERR_MALFORMED, 0},
        {STR("01"), ERR_MALFORMED, 1},
        {STR("-"), ERR_MALFORMED, 1},
        {STR("+1"), ERR_MALFORMED, 0},
        {STR(".5"), ERR_MALFORMED, 0},
        {STR("1."), ERR_MALFORMED, 2},
        {STR("1e"), ERR_MALFORMED, 2},
        {STR("NaN"), ERR_MALFORMED, 0},
        {STR("\"abc"), ERR_MALFORMED, 4},
        {STR("\"a\tb\""), ERR_MALFORMED, 2},
        {STR("\"\\x\""), ERR_MALFORMED, 1},
        {STR("\"\\u12g4\""), ERR_MALFORMED, 1},
        {STR("\"\\u0000\""), ERR_MALFORMED, 1},
        {STR("\"a\0b\""), ERR_MALFORMED, 2},
        {STR("[1]\0"), ERR_MALFORMED, 3},
        {STR("\0[1]"), ERR_MALFORMED, 0},
        {STR("\"\\ud800\""), ERR_MALFORMED, 1},
        {STR("\"\\ud800\\u0041\""), ERR_MALFORMED, 1},
        {STR("\"\\ud800\\ue000\""), ERR_MALFORMED, 1},
        {STR("\"\\udc00\\ud800\""), ERR_MALFORMED, 1},
        {STR("\"\xed\xa0\x80\""), ERR_MALFORMED, 1},
        {STR("\"a\xc0\xaf\""), ERR_MALFORMED, 2},
        {STR("\xef\xbb\xbf{}"), ERR_MALFORMED, 0},
        {STR("{}\xef\xbb\xbf"), ERR_MALFORMED, 2},
        {STR("[1,/**/2]"), ERR_MALFORMED, 3},
        {STR("[9007199254740992]"), ERR_NUMBER_RANGE, 1},
        {STR("[-9007199254740992]"), ERR_NUMBER_RANGE, 1},
        {STR("[18446744073709551616]"), ERR_NUMBER_RANGE, 1},
        {STR("9007199254740992.0"), ERR_NUMBER_RANGE, 0}, /* spelt otherwise, the same integers */
        {STR("9007199254740991.6"), ERR_NUMBER_RANGE, 0},
        {STR("-1e16"), ERR_NUMBER_RANGE, 0},
        {STR("9.9e20"), ERR_NUMBER_RANGE, 0},
        {STR("1e400"), ERR_NUMBER_RANGE, 0},
        {STR("-1E400"), ERR_NUMBER_RANGE, 0},
        {STR("1e-400"), ERR_NUMBER_RANGE, 0},
        {STR("-0.1e-400"), ERR_NUMBER_RANGE, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = NULL;
        struct fail f = {0};
        assert_int_equal(json_read(cases[i].text, &v, &f), cases[i].err);
        assert_int_equal(f.err, cases[i].err);
        assert_int_equal(f.position, cases[i].position);
        assert_true(f.detail[0] != 0);
        assert_null(v);
        assert_int_equal(json_read(cases[i].text, &v, NULL), cases[i].err);
    }
}

static void what_is_accepted_keeps_its_value(void **state)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"null", "null"},
        {" [ true , false ] ", "[true,false]"},
        {"9007199254740991", "9007199254740991"},
        {"-9007199254740991", "-9007199254740991"},
        {"9007199254740991.0", "9007199254740991"},
        {"9.007199254740991e15", "9007199254740991"},
        {"1e21", "1e+21"},
        {"-123E65", "-1.23e+67"},
        {"-0", "0"},
        {"-0.0", "0"},
        {"0e400", "0"},
        {"0.000e-999", "0"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"},
        {"{\"\":{\"\":1}}", "{\"\":{\"\":1}}"},
        {"[\"\\ud83d\\ude00\\/\\u007f\"]", "[\"\xf0\x9f\x98\x80/\x7f\"]"},
        {"{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}",
         "{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = NULL;
        struct buf out = {0};
        assert_int_equal(json_read(str_c(cases[i].text), &v, NULL), 0);
        assert_int_equal(json_write(v, &out), 0);
        assert_string_equal(buf_view(&out).p, cases[i].written);
        buf_free(&out);
        json_decref(v);
    }
}

static void duplicate_keys_are_compared_decoded(void **state)
{
    static const struct {
        const char *text;
        long position;
    } cases[] = {
        {"{\"a\":1,\"a\":1}", 7},
        {"{\"a\":1,\"\\u0061\":2}", 7},
        {"{\"\\u0061\":1,\"a\":2}", 12},
        {"{\"\\u0061\":1,\"\\u0061\":2}", 12},
        {"{\"\xc3\xa9\":1,\"\\u00E9\":2}", 8},
        {"{\"\xf0\x9f\x98\x80\":1,\"\\uD83D\\uDE00\":2}", 10},
        {"{\"\xe2\x82\xac\":1,\"\\u20ac\":2}", 9},
        {"{\"/\":1,\"\\/\":2}", 7},
        {"{\"\":1,\"\":2}", 6},
        {"{\"x\":{\"k\":1,\"l\":2,\"k\":3}}", 18},
        {"[{\"a\":1},{\"b\":{},\"b\":[]}]", 17},
        {"{\"a\":{\"\\u0062\":0},\"b\":1,\"c\":{\"\\u0064\":1},\"b\":2}", 41},
        {"{\"a\":1,\"b\":2,\"b\":3,\"a\":4}", 13}, /* the first repetition */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *v = NULL;
        struct fail f = {0};
        assert_int_equal(json_read(str_c(cases[i].text), &v, &f), ERR_DUPLICATE_KEY);
        assert_int_equal(f.position, cases[i].position);
    }
}

/* An object of n members "k0", "k1", ...; member `twice` (unless it is n) comes again at the end.
 */
static struct buf many_members(int n, int twice)
{
    struct buf b = {0};
    buf_ch(&b, '{');
    for (int i = 0; i < n; i++)
        buf_printf(&b, "%s\"k%d\":%d", i ? "," : "", i, i);
    if (twice < n)
        buf_printf(&b, ",\"\\u006b%d\":0", twice);
    buf_ch(&b, '}');
    assert_int_equal(buf_err(&b), 0);
    return b;
}

static void duplicates_are_found_among_many(void **state)
{
    static const int sizes[] = {1, 7, 8, 9, 10, 100, 70000};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int third = 0; third < 3; third++) {
            int n = sizes[i], twice = third * (n - 1) / 2;
            struct buf b = many_members(n, twice);
            json_t *v = NULL;
            struct fail f = {0};
            assert_int_equal(json_read(buf_view(&b), &v, &f), ERR_DUPLICATE_KEY);
            assert_memory_equal(b.p + f.position, "\"\\u006b", 7);
            buf_free(&b);
            b = many_members(n, n);
            assert_int_equal(json_read(buf_view(&b), &v, NULL), 0);
            assert_int_equal(json_object_size(v), n);
            json_decref(v);
            buf_free(&b);
        }
}

static int read_nested(int depth, char open, struct fail *f)
{
    struct buf b = {0};
    json_t *v = NULL;
    for (int i = 0; i < depth; i++)
        buf_c(&b, open == '[' ? "[" : "{\"a\":");
    buf_ch(&b, '1');
    for (int i = 0; i < depth; i++)
        buf_ch(&b, open == '[' ? ']' : '}');
    int r = json_read(buf_view(&b), &v, f);
    json_decref(v);
    buf_free(&b);
    return r;
}

static void depth_is_bounded(void **state)
{
    struct fail f = {0};
    (void)state;
    assert_int_equal(read_nested(JSON_DEPTH, '[', &f), 0);
    assert_int_equal(read_nested(JSON_DEPTH, '{', &f), 0);
    assert_int_equal(read_nested(JSON_DEPTH + 1, '[', &f), ERR_MALFORMED);
    assert_int_equal(f.position, JSON_DEPTH);
    assert_int_equal(read_nested(JSON_DEPTH + 1, '{', &f), ERR_MALFORMED);
    assert_int_equal(read_nested(100000, '[', &f), ERR_MALFORMED);
}

/* --- writing -------------------------------------------------------------------------------- */

static void the_escaper_writes_json_whatever_comes(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char one[3] = {'a', (char)c, 'z'};
        struct buf out = {0};
        json_escape(&out, (struct str){one, 3});
        json_t *v = json_loadb(out.p, out.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        if (c < 0x80)
            assert_true(str_eq(json_text(v), ((struct str){one, 3})));
        else
            assert_true(str_eq(json_text(v), STR("a\xef\xbf\xbdz")));
        json_decref(v);
        buf_free(&out);
    }
    struct buf out = {0};
    json_escape(&out, STR("\"\\/\b\f\n\r\t\x01\xc3\xa9\xf0\x9f\x98\x80"));
    assert_string_equal(out.p, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\xc3\xa9\xf0\x9f\x98\x80\"");
    buf_free(&out);
}

static void values_too_deep_or_large_are_not_written(void **state)
{
    struct buf out = {0};
    json_t *v = json_integer(INT64_MIN);
    (void)state;
    assert_int_equal(json_write(v, &out), ERR_NUMBER_RANGE);
    json_decref(v);
    v = json_pack("{s:[{s:f}]}", "a", "b", 1e20);
    assert_int_equal(json_write(v, &out), ERR_NUMBER_RANGE);
    json_decref(v);
    v = json_array();
    for (int i = 0; i < 200; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, v);
        v = outer;
    }
    assert_int_equal(json_write(v, &out), ERR_MALFORMED);
    json_decref(v);
    buf_free(&out);
    buf_init(&out, 3);
    v = json_string("abc");
    assert_int_equal(json_write(v, &out), ERR_TOO_LARGE);
    json_decref(v);
    buf_free(&out);
}

/* --- fields --------------------------------------------------------------------------------- */

struct taken {
    struct str name;
    int64_t wait, total;
    bool on;
    json_t *object, *array, *any;
};

/* json_fields over a text; the value stays alive in *v, since what is taken is borrowed. */
static int take(const char *text, struct taken *t, json_t **v, struct fail *f)
{
    const struct json_field table[] = {
        {.name = "name", .want = JSON_WANT_STR, .at = &t->name, .required = true, .max = 5},
        {.name = "wait", .want = JSON_WANT_INT, .at = &t->wait, .max = 55},
        {.name = "total", .want = JSON_WANT_INT, .at = &t->total},
        {.name = "on", .want = JSON_WANT_BOOL, .at = &t->on},
        {.name = "object", .want = JSON_WANT_OBJ, .at = &t->object},
        {.name = "array", .want = JSON_WANT_ARR, .at = &t->array},
        {.name = "any", .want = JSON_WANT_ANY, .at = &t->any},
    };
    assert_int_equal(json_read(str_c(text), v, NULL), 0);
    return json_fields(*v, table, sizeof table / sizeof *table, f);
}

static void fields_are_taken(void **state)
{
    struct taken t = {.wait = 7, .on = true};
    json_t *v = NULL;
    (void)state;
    assert_int_equal(
        take("{\"name\":\"abcde\",\"object\":{},\"array\":[1],\"any\":null}", &t, &v, NULL), 0);
    assert_true(str_eq_c(t.name, "abcde"));
    assert_int_equal(t.wait, 7); /* absent: left alone */
    assert_true(t.on);
    assert_true(json_is_object(t.object) && json_is_array(t.array) && json_is_null(t.any));
    json_decref(v);
    assert_int_equal(
        take("{\"name\":\"\",\"wait\":55.0,\"on\":false,\"object\":null}", &t, &v, NULL), 0);
    assert_int_equal(t.wait, 55);
    assert_false(t.on);
    json_decref(v);
}

static void wrong_fields_are_named(void **state)
{
    static const struct {
        const char *text;
        int err;
        const char *field;
    } cases[] = {
        {"[]", ERR_MALFORMED, ""},
        {"{}", ERR_MALFORMED, "name"},
        {"{\"name\":null}", ERR_MALFORMED, "name"},
        {"{\"name\":1}", ERR_MALFORMED, "name"},
        {"{\"name\":\"abcdef\"}", ERR_MALFORMED, "name"},
        {"{\"name\":\"a\",\"wait\":-1}", ERR_MALFORMED, "wait"},
        {"{\"name\":\"a\",\"wait\":56}", ERR_MALFORMED, "wait"},
        {"{\"name\":\"a\",\"total\":-1}", ERR_MALFORMED, "total"},
        {"{\"name\":\"a\",\"total\":1e21}", ERR_MALFORMED, "total"},
        {"{\"name\":\"a\",\"wait\":1.5}", ERR_MALFORMED, "wait"},
        {"{\"name\":\"a\",\"wait\":1e300}", ERR_MALFORMED, "wait"},
        {"{\"name\":\"a\",\"wait\":\"1\"}", ERR_MALFORMED, "wait"},
        {"{\"name\":\"a\",\"on\":1}", ERR_MALFORMED, "on"},
        {"{\"name\":\"a\",\"object\":[]}", ERR_MALFORMED, "object"},
        {"{\"name\":\"a\",\"array\":{}}", ERR_MALFORMED, "array"},
        {"{\"name\":\"a\",\"Name\":\"a\"}", ERR_UNKNOWN_FIELD, "Name"},
        {"{\"name\":\"a\",\"approved\":true}", ERR_UNKNOWN_FIELD, "approved"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct taken t = {0};
        struct fail f = {0};
        json_t *v = NULL;
        assert_int_equal(take(cases[i].text, &t, &v, &f), cases[i].err);
        assert_string_equal(f.field, cases[i].field);
        json_decref(v);
    }
}

static void pointers(void **state)
{
    static const struct {
        const char *pointer, *found;
    } cases[] = {
        /* the cases of RFC 6901, section 5 */
        {"/foo", "[\"bar\",\"baz\"]"},
        {"/foo/0", "\"bar\""},
        {"/", "0"},
        {"/a~1b", "1"},
        {"/c%d", "2"},
        {"/e^f", "3"},
        {"/g|h", "4"},
        {"/i\\j", "5"},
        {"/k\"l", "6"},
        {"/ ", "7"},
        {"/m~0n", "8"},
        /* what is not there */
        {"foo", NULL},
        {"xfoo", NULL},
        {"/foo/2", NULL},
        {"/foo/-", NULL},
        {"/foo/00", NULL},
        {"/foo/+0", NULL},
        {"/foo/0/x", NULL},
        {"/m~n", NULL},
        {"/m~", NULL},
        {"/m~2n", NULL},
        {"/nope", NULL},
        {"/foo/", NULL},
        {"/foo/18446744073709551616", NULL},
    };
    json_t *v = NULL;
    (void)state;
    assert_int_equal(
        json_read(STR("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,"
                      "\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,\"m/n\":9,\"m/\":10}"),
                  &v, NULL),
        0);
    assert_ptr_equal(json_at(v, STR("")), v);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        json_t *found = json_at(v, str_c(cases[i].pointer));
        assert_true((found == NULL) == (cases[i].found == NULL));
        if (found) {
            assert_int_equal(json_write(found, &out), 0);
            assert_string_equal(out.p, cases[i].found);
        }
        buf_free(&out);
    }
    json_decref(v);
    assert_true(json_text(NULL).n == 0);
}

/* --- JSONTestSuite -------------------------------------------------------------------------- */

static const struct verdict {
    const char *folder, *file;
    int err;
    long position;
    const char *canonical, *reason;
} verdicts[] = {
#define VERDICT(folder, file, err, position, canonical, reason) \
    {folder, file, err, position, canonical, reason},
#include "json_verdicts.def"
#undef VERDICT
};

static const struct verdict *verdict_of(const char *file)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (strcmp(verdicts[i].file, file) == 0)
            return &verdicts[i];
    return NULL;
}

static void suite_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        const struct verdict *w = &verdicts[i];
        char name[256];
        struct buf text, out = {0};
        struct fail f = {.position = -1};
        json_t *v = NULL;
        snprintf(name, sizeof name, "JSONTestSuite/%s/%s", w->folder, w->file);
        if (!shared_read(name, &text))
            skip();
        assert_true(w->reason[0] != 0);
        assert_int_equal(json_read(buf_view(&text), &v, &f), w->err);
        assert_int_equal(f.position, w->position);
        if (v)
            assert_int_equal(canon_write(v, &out), 0);
        assert_string_equal(buf_view(&out).p, w->canonical);
        json_decref(v);
        buf_free(&out);
        buf_free(&text);
    }
}

/* Every file must, by its first letter or by its verdict, be accepted or refused. */
static void suite_complete(void **state)
{
    char path[1024];
    size_t refused = 0, accepted = 0, chosen = 0;
    struct dirent *e;
    (void)state;
    snprintf(path, sizeof path, "%s/vectors/JSONTestSuite/test_parsing", shared_folder());
    DIR *dir = opendir(path);
    if (!dir) {
        printf("# skipped: %s is not there\n", path);
        skip();
    }
    while ((e = readdir(dir))) {
        char name[512];
        struct buf text;
        json_t *v = NULL;
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "JSONTestSuite/test_parsing/%s", e->d_name);
        assert_true(shared_read(name, &text));
        bool ok = json_read(buf_view(&text), &v, NULL) == 0;
        if (verdict_of(e->d_name))
            chosen++;
        else if (e->d_name[0] == 'n' && !ok)
            refused++;
        else if (e->d_name[0] == 'y' && ok)
            accepted++;
        else
            fail_msg("%s: %s", e->d_name, ok ? "accepted" : "refused");
        json_decref(v);
        buf_free(&text);
    }
    closedir(dir);
    assert_int_equal(refused, 188);
    assert_int_equal(accepted, 91);
    assert_int_equal(chosen, 35 + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_say_what_and_where),
        cmocka_unit_test(what_is_accepted_keeps_its_value),
        cmocka_unit_test(duplicate_keys_are_compared_decoded),
        cmocka_unit_test(duplicates_are_found_among_many),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(the_escaper_writes_json_whatever_comes),
        cmocka_unit_test(values_too_deep_or_large_are_not_written),
        cmocka_unit_test(fields_are_taken),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(pointers),
        cmocka_unit_test(suite_verdicts),
        cmocka_unit_test(suite_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
