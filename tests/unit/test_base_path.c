/* base/path: one reading or none, for paths, queries and templates. Cases of our own stand in
 * tests/vectors/path-cases.txt; the public URL suite is used for one property, said below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/path.h"
#include "base_vectors.h"

/* --- paths ---------------------------------------------------------------------------------- */

/* The next tab-parted field of a line. */
static struct str next_field(struct str line, size_t *at)
{
    size_t end = str_find(line, '\t', *at);
    struct str field = str_sub(line, *at, end);
    *at = end + 1;
    return field;
}

static struct buf unescape(struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        int v = str_starts(str_sub(s, i, s.n), STR("\\x")) ? hex_pair(s, i + 2) : -1;
        buf_ch(&b, v < 0 ? s.p[i] : (char)v);
        i += v < 0 ? 0 : 3;
    }
    return b;
}

static void check_case(struct str line)
{
    size_t at = 0;
    bool slash_ok = str_eq(next_field(line, &at), STR("/"));
    struct buf in = unescape(next_field(line, &at)), out = {0}, again = {0};
    struct str expected = str_sub(line, at, line.n);
    struct fail f = {.position = -1};
    int r = path_normal(buf_view(&in), slash_ok, &out, &f);
    if (str_eq(expected, STR("-"))) {
        if (r != ERR_UNSAFE_PATH)
            fail_msg("accepted: %.*s", STR_FMT(line));
        assert_int_equal(f.err, ERR_UNSAFE_PATH);
        assert_in_range(f.position, 0, in.n);
        assert_int_equal(out.n, 0);
    } else {
        if (r)
            fail_msg("refused: %.*s: %s", STR_FMT(line), f.detail);
        if (!str_eq(buf_view(&out), expected))
            fail_msg("%.*s: got %s", STR_FMT(line), out.p);
        assert_int_equal(path_normal(buf_view(&out), slash_ok, &again, NULL), 0);
        assert_true(str_eq(buf_view(&again), buf_view(&out)));
    }
    buf_free(&in);
    buf_free(&out);
    buf_free(&again);
}

static void own_cases(void **state)
{
    struct buf text;
    size_t count = 0;
    (void)state;
    assert_true(vector_read("tests/vectors/path-cases.txt", &text));
    for (size_t at = 0, end; at < text.n; at = end + 1) {
        end = str_find(buf_view(&text), '\n', at);
        struct str line = str_sub(buf_view(&text), at, end);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        check_case(line);
        count++;
    }
    assert_true(count >= 90);
    buf_free(&text);
}

/* Every byte in a segment, raw and encoded, against the rule said in one line each. */
static void every_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char raw[] = {'/', 'a', (char)c, 'b'}, encoded[16];
        struct buf out = {0};
        bool literal = c > 0x20 && c < 0x7f && !strchr("\"#%;<>?[\\]^`{|}", (int)c);
        bool escape = c >= 0x20 && c < 0x7f && !strchr("./\\%", (int)c);
        assert_int_equal(path_normal((struct str){raw, 4}, false, &out, NULL) == 0, literal);
        buf_clear(&out);
        snprintf(encoded, sizeof encoded, "/a%%%02xb", c);
        assert_int_equal(path_normal(str_c(encoded), false, &out, NULL) == 0, escape);
        buf_free(&out);
    }
}

static void long_paths_are_refused(void **state)
{
    char path[PATH_MAX_LEN + 1];
    struct buf out = {0};
    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    assert_int_equal(path_normal((struct str){path, PATH_MAX_LEN}, false, &out, NULL), 0);
    assert_int_equal(out.n, PATH_MAX_LEN);
    assert_int_equal(path_normal((struct str){path, PATH_MAX_LEN + 1}, false, &out, NULL),
                     ERR_UNSAFE_PATH);
    buf_free(&out);
}

/* The words matter where a developer has to find the one offending character. */
static void refusals_say_what(void **state)
{
    static const struct {
        const char *path, *detail;
        long position;
    } cases[] = {
        {"/a\\b", "a backslash", 2},
        {"/ab;c", "path parameters", 3},
        {"/a?b", "a path ends before", 2},
        {"/a#b", "a path ends before", 2},
        {"/a/../b", "a dot segment", 5},
        {"/a//b", "an empty segment", 3},
        {"/a%2fb", "an encoded slash", 2},
        {"/a%2eb", "an encoded dot", 2},
        {"/%252e", "encoded again", 1},
        {"/%5c", "an encoded backslash", 1},
        {"/%00", "control character", 1},
        {"/%4", "without two hex digits", 1},
        {"/a b", "must be percent-encoded", 2},
        {"", "starts with '/'", 0},
        {"/%ff", "not UTF-8", 4},
    };
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fail f = {0};
        assert_int_equal(path_normal(str_c(cases[i].path), false, &out, &f), ERR_UNSAFE_PATH);
        assert_non_null(strstr(f.detail, cases[i].detail));
        assert_int_equal(f.position, cases[i].position);
    }
    /* nothing behind an empty text is looked at */
    char *one = malloc(1);
    assert_non_null(one);
    assert_int_equal(path_normal((struct str){one + 1, 0}, false, &out, NULL), ERR_UNSAFE_PATH);
    free(one);
    buf_free(&out);
}

/* --- the public URL suite ------------------------------------------------------------------- */

/* The raw path that stands in an absolute http(s) URL, as a client would put it on the request
 * line; empty where the input is something else (relative, with authority spelt oddly, ...). */
static struct str raw_path(struct str url)
{
    size_t host = str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
    if (host == 0)
        return STR("");
    size_t slash = host;
    while (slash < url.n && !strchr("/\\?#", url.p[slash]))
        slash++;
    if (slash == url.n || url.p[slash] != '/')
        return STR("");
    size_t end = str_find(url, '#', slash), query = str_find(url, '?', slash);
    return str_sub(url, slash, query < end ? query : end);
}

static struct buf percent_decoded(struct str s)
{
    struct buf b = {0};
    for (size_t i = 0; i < s.n; i++) {
        int v = s.p[i] == '%' ? hex_pair(s, i + 1) : -1;
        buf_ch(&b, v < 0 ? s.p[i] : (char)v);
        i += v < 0 ? 0 : 2;
    }
    return b;
}

static size_t count_slashes(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '/';
    return n;
}

/* Normalises `path`. If it is accepted, the result is idempotent and means what a browser's URL
 * parser made of the URL: the same number of segments and, percent-decoded, the same bytes. */
static bool reads_like_a_browser(struct str path, struct str pathname)
{
    struct buf out = {0}, again = {0};
    bool accepted = path_normal(path, false, &out, NULL) == 0;
    if (accepted) {
        struct buf ours = percent_decoded(buf_view(&out)), theirs = percent_decoded(pathname);
        assert_int_equal(path_normal(buf_view(&out), false, &again, NULL), 0);
        assert_true(str_eq(buf_view(&again), buf_view(&out)));
        assert_int_equal(count_slashes(buf_view(&out)), count_slashes(pathname));
        assert_true(str_eq(buf_view(&ours), buf_view(&theirs)));
        buf_free(&ours);
        buf_free(&theirs);
    }
    buf_free(&out);
    buf_free(&again);
    return accepted;
}

static void public_urls(void **state)
{
    struct buf text;
    size_t i, raw_accepted = 0, raw_refused = 0, normal_accepted = 0, normal_refused = 0;
    json_t *cases, *c;
    (void)state;
    if (!shared_read("wpt-url/urltestdata.json", &text))
        skip();
    cases = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    assert_non_null(cases);
    json_array_foreach(cases, i, c)
    {
        struct str protocol = json_text(json_object_get(c, "protocol"));
        struct str pathname = json_text(json_object_get(c, "pathname"));
        struct str raw = raw_path(json_text(json_object_get(c, "input")));
        if (!str_eq(protocol, STR("http:")) && !str_eq(protocol, STR("https:")))
            continue;
        *(reads_like_a_browser(pathname, pathname) ? &normal_accepted : &normal_refused) += 1;
        if (raw.n > 0)
            *(reads_like_a_browser(raw, pathname) ? &raw_accepted : &raw_refused) += 1;
    }
    /* the property must not hold for want of cases */
    assert_true(normal_accepted > 200 && normal_refused > 20);
    assert_true(raw_accepted > 20 && raw_refused > 30);
    json_decref(cases);
    buf_free(&text);
}

/* --- templates ------------------------------------------------------------------------------ */

static void templates_match_whole_segments(void **state)
{
    static const struct {
        const char *template, *path, *values; /* values joined by '|', NULL: no match */
    } cases[] = {
        {"/", "/", ""},
        {"/a/b", "/a/b", ""},
        {"/contacts/{id}/notes", "/contacts/42/notes", "id=42|"},
        {"/{a}/{b}", "/x/y%2Fz", "a=x|b=y%2Fz|"},
        {"/a/", "/a/", ""},
        {"/a", "/a/", NULL},
        {"/a/", "/a", NULL},
        {"/", "/a", NULL},
        {"/a", "/", NULL},
        {"/a", "/A", NULL},
        {"/a/{id}", "/a/", NULL},
        {"/a/{id}", "/a", NULL},
        {"/a/{id}", "/a/b/c", NULL},
        {"/a/{id}/", "/a/b", NULL},
        {"/{id}", "/", NULL},
        {"/a/b", "/a/bc", NULL},
        {"/a/bc", "/a/b", NULL},
        {"/{}", "/x", NULL},
        {"a", "/a", NULL},
        {"xa", "ya", NULL},
        {"/a", "xa", NULL},
        {"xa", "/a", NULL},
        {"", "", NULL},
        {"", "/", NULL},
        {"/", "", NULL},
        {"/{a}/{b}/{c}", "/1/2/3", NULL}, /* more than there is room for */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct path_param p[2];
        struct buf got = {0};
        size_t n = 99;
        bool matched = path_match(str_c(cases[i].template), str_c(cases[i].path), p, 2, &n);
        assert_int_equal(matched, cases[i].values != NULL);
        if (!matched) {
            assert_int_equal(n, 99);
            continue;
        }
        for (size_t k = 0; k < n; k++)
            buf_printf(&got, "%.*s=%.*s|", STR_FMT(p[k].name), STR_FMT(p[k].value));
        assert_string_equal(buf_view(&got).p, cases[i].values);
        buf_free(&got);
    }
}

/* --- queries -------------------------------------------------------------------------------- */

static void queries_become_pairs_and_back(void **state)
{
    static const struct {
        const char *raw, *pairs, *written;
    } cases[] = {
        {"", "[]", ""},
        {"a=1", "[[\"a\",\"1\"]]", "a=1"},
        {"b=2&a=1&b=1", "[[\"b\",\"2\"],[\"a\",\"1\"],[\"b\",\"1\"]]", "b=2&a=1&b=1"},
        {"a", "[[\"a\",\"\"]]", "a="},
        {"=", "[[\"\",\"\"]]", "="},
        {"a=b=c", "[[\"a\",\"b=c\"]]", "a=b%3Dc"},
        {"a+b=c+d", "[[\"a b\",\"c d\"]]", "a%20b=c%20d"},
        {"a%2Bb=%26%3D", "[[\"a+b\",\"&=\"]]", "a%2Bb=%26%3D"},
        {"&&a=1&&", "[[\"a\",\"1\"]]", "a=1"},
        {"q=%e2%82%ac", "[[\"q\",\"\xe2\x82\xac\"]]", "q=%E2%82%AC"},
        {"q=%2541", "[[\"q\",\"%41\"]]", "q=%2541"}, /* decoded once */
        {"q=1;r=2", "[[\"q\",\"1;r=2\"]]", "q=1%3Br%3D2"},
        {"n=%0A", "[[\"n\",\"\\n\"]]", "n=%0A"},
        {"a[]=/?:@!$'()*,~", "[[\"a[]\",\"/?:@!$'()*,~\"]]",
         "a%5B%5D=%2F%3F%3A%40%21%24%27%28%29%2A%2C~"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *pairs = NULL, *again = NULL;
        struct buf text = {0}, written = {0};
        assert_int_equal(query_parse(str_c(cases[i].raw), &pairs, NULL), 0);
        assert_int_equal(json_write(pairs, &text), 0);
        assert_string_equal(buf_view(&text).p, cases[i].pairs);
        assert_int_equal(query_write(pairs, &written), 0);
        assert_string_equal(buf_view(&written).p, cases[i].written);
        assert_int_equal(query_parse(buf_view(&written), &again, NULL), 0);
        assert_true(json_equal(pairs, again));
        json_decref(pairs);
        json_decref(again);
        buf_free(&text);
        buf_free(&written);
    }
}

static void queries_that_are_refused(void **state)
{
    static const struct {
        struct str raw;
        long position;
    } cases[] = {
        {STR("a=%"), 2},        {STR("a=%4"), 2},      {STR("a=%4g"), 2},
        {STR("%zz=1"), 0},      {STR("a=%4&1=2"), 2},  {STR("a=%00"), 2},
        {STR("a=x%00y"), 3},    {STR("a=\0"), 2},      {STR("a=%ff"), 2},
        {STR("a=%c0%af"), 2},   {STR("%ed%a0%80"), 0}, {STR("a=b c"), 3},
        {STR("a=\xc3\xa9"), 2}, {STR("a=1&b=#x"), 6},  {STR("a=\n"), 2},
        {STR("a=\x7f"), 2},     {STR("a%3"), 1},       {STR("a=%e2&b=%82%ac"), 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *pairs = NULL;
        struct fail f = {0};
        assert_int_equal(query_parse(cases[i].raw, &pairs, &f), ERR_UNSAFE_PATH);
        assert_int_equal(f.position, cases[i].position);
        assert_null(pairs);
    }
}

static void at_most_256_pairs(void **state)
{
    struct buf raw = {0}, out = {0};
    json_t *pairs = NULL;
    (void)state;
    for (int i = 0; i < 256; i++)
        buf_printf(&raw, "a=%d&", i);
    assert_int_equal(query_parse(buf_view(&raw), &pairs, NULL), 0);
    assert_int_equal(json_array_size(pairs), 256);
    json_array_append_new(pairs, json_pack("[ss]", "a", "b"));
    assert_int_equal(query_write(pairs, &out), ERR_MALFORMED);
    json_decref(pairs);
    pairs = NULL;
    buf_c(&raw, "a");
    assert_int_equal(query_parse(buf_view(&raw), &pairs, NULL), ERR_UNSAFE_PATH);
    assert_null(pairs);
    buf_free(&raw);
    buf_free(&out);
}

static void pairs_that_are_not_written(void **state)
{
    static const char *const bad[] = {"{}",
                                      "[1]",
                                      "[[]]",
                                      "[[\"a\"]]",
                                      "[[\"a\",1]]",
                                      "[[\"a\",\"b\",\"c\"]]",
                                      "[[\"a\",null]]",
                                      "[[null,\"a\"]]",
                                      "[\"ab\"]"};
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *v = NULL;
        assert_int_equal(json_read(str_c(bad[i]), &v, NULL), 0);
        assert_int_equal(query_write(v, &out), ERR_MALFORMED);
        assert_int_equal(out.n, 0);
        json_decref(v);
    }
    json_t *nul = json_pack("[[s,s%]]", "a", "x\0y", (size_t)3);
    assert_non_null(nul);
    assert_int_equal(query_write(nul, &out), ERR_MALFORMED);
    json_decref(nul);
    nul = json_pack("[[s%,s]]", "x\0y", (size_t)3, "a");
    assert_non_null(nul);
    assert_int_equal(query_write(nul, &out), ERR_MALFORMED);
    json_decref(nul);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cases),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test(refusals_say_what),
        cmocka_unit_test(public_urls),
        cmocka_unit_test(templates_match_whole_segments),
        cmocka_unit_test(queries_become_pairs_and_back),
        cmocka_unit_test(queries_that_are_refused),
        cmocka_unit_test(at_most_256_pairs),
        cmocka_unit_test(pairs_that_are_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
