/* base/yaml: the tree with its places, everything refused, and reading maps by a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/yaml.h"

/* --- the tree ------------------------------------------------------------------------------- */

static struct yaml_doc *read_good(const char *text)
{
    struct complaints c;
    struct yaml_doc *d = NULL;
    complaints_init(&c);
    int r = yaml_read("t.yaml", str_c(text), &d, &c);
    if (r)
        fail_msg("refused: %s\n%s", text, buf_view(&c.text).p);
    assert_int_equal(c.n, 0);
    complaints_free(&c);
    return d;
}

static void assert_at(const struct yaml_node *v, enum yaml_kind kind, int line, int column)
{
    assert_non_null(v);
    assert_int_equal(v->kind, kind);
    assert_int_equal(v->line, line);
    assert_int_equal(v->column, column);
}

static void nodes_know_their_place(void **state)
{
    (void)state;
    struct yaml_doc *d = read_good("# comment\n"
                                   "name: value\n"
                                   "list:\n"
                                   "  - one\n"
                                   "  - {a: 1, b: [x, y: z]}\n"
                                   "\xc3\xa9: 'q'\n"
                                   "empty:\n"
                                   "last: |\n"
                                   "  text\n");
    const struct yaml_node *root = yaml_root(d), *list = yaml_get(root, "list");
    assert_at(root, YAML_MAP, 2, 1);
    assert_int_equal(root->n, 5);
    assert_at(root->key[0], YAML_SCALAR, 2, 1);
    assert_at(yaml_get(root, "name"), YAML_SCALAR, 2, 7);
    assert_at(list, YAML_LIST, 4, 3);
    assert_int_equal(list->n, 2);
    assert_at(list->item[0], YAML_SCALAR, 4, 5);
    assert_at(list->item[1], YAML_MAP, 5, 5);
    assert_at(yaml_get(list->item[1], "a"), YAML_SCALAR, 5, 9);
    const struct yaml_node *b = yaml_get(list->item[1], "b");
    assert_at(b, YAML_LIST, 5, 15);
    assert_at(b->item[1], YAML_MAP, 5, 19);
    assert_at(b->item[1]->key[0], YAML_SCALAR, 5, 19);
    assert_at(yaml_get(root, "\xc3\xa9"), YAML_SCALAR, 6, 4); /* columns count characters */
    assert_at(yaml_get(root, "empty"), YAML_NULL, 7, 1); /* an absent value has its key's place */
    assert_at(yaml_get(root, "last"), YAML_SCALAR, 9, 1);
    assert_null(yaml_get(root, "nope"));
    assert_null(yaml_get(list, "name"));
    assert_null(yaml_get(NULL, "name"));
    assert_string_equal(yaml_name(d), "t.yaml");
    assert_true(str_starts(yaml_bytes(d), STR("# comment\nname")));
    yaml_free(d);
    yaml_free(NULL);
}

static void texts_of_all_styles(void **state)
{
    static const struct {
        const char *yaml;
        struct str text;
        bool quoted;
    } cases[] = {
        {"plain text", STR("plain text"), false},
        {"a\n b\n\n c", STR("a b\nc"), false},
        {"'single'", STR("single"), true},
        {"'it''s'", STR("it's"), true},
        {"'a ''b'' ''c'' ''d'' ''e'' ''f'''", STR("a 'b' 'c' 'd' 'e' 'f'"), true},
        {"'a\n  b\n\n  c'", STR("a b\nc"), true},
        {"\"a\\n\\t\\\"\\\\\\x41\\u20ac\\U0001F600\"",
         STR("a\n\t\"\\A\xe2\x82\xac\xf0\x9f\x98\x80"), true},
        {"\"a\n  b \\\n  c\"", STR("a b c"), true},
        {"|\n  a\n   b\n\n  c\n", STR("a\n b\n\nc\n"), true},
        {"|-\n  a\n  b\n\n", STR("a\nb"), true},
        {"|+\n  a\n", STR("a\n\n"), true},
        {"|2\n   a\n", STR(" a\n"), true},
        {">\n  a\n  b\n\n  c\n", STR("a b\nc\n"), true},
        {">-\n  a\n  b\n", STR("a b"), true},
        {"\"\"", STR(""), true},
        {"''", STR(""), true},
        {"'null'", STR("null"), true},
        {"\"\\u202e\"", STR("\xe2\x80\xae"), true}, /* spelt out it can be seen */
        {"a # comment", STR("a"), false},
        {"a#b", STR("a#b"), false},
        {"http://x:1/?a=b", STR("http://x:1/?a=b"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "k: %s\n", cases[i].yaml);
        struct yaml_doc *d = read_good(text);
        const struct yaml_node *v = yaml_get(yaml_root(d), "k");
        assert_int_equal(v->kind, YAML_SCALAR);
        if (!str_eq(v->text, cases[i].text))
            fail_msg("%s: got '%s'", cases[i].yaml, v->text.p);
        assert_int_equal(v->text.p[v->text.n], 0);
        assert_int_equal(v->quoted, cases[i].quoted);
        yaml_free(d);
    }
}

static void long_texts_are_whole(void **state)
{
    static const char *const styles[] = {"|", ">", "'", "\""};
    (void)state;
    for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
        struct buf b = {0};
        bool quote = i >= 2;
        buf_printf(&b, "k: %s%s", styles[i], quote ? "" : "\n");
        for (int line = 0; line < 3000; line++)
            buf_printf(&b, "  line %d of a longer text\n", line);
        buf_printf(&b, "  end%s\n", quote ? styles[i] : "");
        struct yaml_doc *d = read_good(b.p);
        struct str text = yaml_get(yaml_root(d), "k")->text;
        assert_true(text.n > 3000 * 20);
        assert_true(str_ends(text, quote ? STR("end") : STR("end\n")));
        yaml_free(d);
        buf_free(&b);
    }
}

static void nulls(void **state)
{
    static const char *const spelt[] = {"", "~", "null", "Null", "NULL"};
    (void)state;
    for (size_t i = 0; i < sizeof spelt / sizeof *spelt; i++) {
        char text[32];
        snprintf(text, sizeof text, "k: %s\n", spelt[i]);
        struct yaml_doc *d = read_good(text);
        assert_int_equal(yaml_get(yaml_root(d), "k")->kind, YAML_NULL);
        yaml_free(d);
    }
    static const char *const empty[] = {"", "# only a comment\n", "---\n", "\n\n"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct yaml_doc *d = read_good(empty[i]);
        assert_int_equal(yaml_root(d)->kind, YAML_NULL);
        yaml_free(d);
    }
}

/* --- refusals ------------------------------------------------------------------------------- */

static void assert_refused(struct str text, const char *complaint)
{
    struct complaints c;
    struct yaml_doc *d = NULL;
    complaints_init(&c);
    int r = yaml_read("t.yaml", text, &d, &c);
    if (r != ERR_CONFIG || !strstr(buf_view(&c.text).p, complaint))
        fail_msg("%.*s: %d, wanted '%s', got '%s'", STR_FMT(text), r, complaint,
                 buf_view(&c.text).p);
    assert_null(d);
    assert_true(c.n > 0);
    complaints_free(&c);
}

static void what_a_reviewer_could_overlook(void **state)
{
    static const struct {
        struct str text;
        const char *complaint;
    } cases[] = {
        {STR("a: &x 1\n"), "t.yaml:1:4: anchors are not allowed"},
        {STR("a: &x [1]\n"), "t.yaml:1:4: anchors"},
        {STR("a: &x {b: 1}\n"), "t.yaml:1:4: anchors"},
        {STR("&x a: 1\n"), "anchors are not allowed"},
        {STR("a: 1\nb: *x\n"), "t.yaml:2:4: aliases are not allowed"},
        {STR("a: [1, *x]\n"), "aliases are not allowed"},
        {STR("a: !!str 1\n"), "t.yaml:1:4: tags are not allowed"},
        {STR("a: !x [1]\n"), "tags are not allowed"},
        {STR("!x\na: 1\n"), "tags are not allowed"},
        {STR("a: ! 1\n"), "tags are not allowed"},
        {STR("<<: {b: 1}\n"), "t.yaml:1:1: merge keys are not allowed"},
        {STR("a: 1\n---\nb: 2\n"), "t.yaml:2:1: a further document"},
        {STR("a: 1\n...\n---\nb: 2\n"), "a further document"},
        {STR("%YAML 1.1\n---\na: 1\n"), "directives are not allowed"},
        {STR("%TAG ! tag:x,2000:\n---\na: 1\n"), "directives are not allowed"},
        {STR("a: 1\nb: 2\na: 3\n"), "t.yaml:3:1: key 'a' stands twice, first in line 1"},
        {STR("a: 1\n'a': 3\n"), "t.yaml:2:1: key 'a' stands twice"},
        {STR("x: {a: 1, \"\\x61\": 2}\n"), "t.yaml:1:11: key 'a' stands twice"},
        {STR("? [1]\n: 2\n"), "a key must be a plain text"},
        {STR("? {a: 1}\n: 2\n"), "a key must be a plain text"},
        {STR(": 1\n"), "a key must be a plain text"},
        {STR("~: 1\n"), "a key must be a plain text"},
        {STR("a: \"\\0\"\n"), "NUL is not allowed"},
        {STR("a: ''''''\n"), "two readings"}, /* a defect of libfyaml 0.7.12 */
        {STR("a: 1\0b: 2\n"), "t.yaml:1:5: a character that cannot be seen"},
        {STR("a: \x1b[31m\n"), "t.yaml:1:4: a character that cannot be seen"},
        {STR("a: 1\nb: x\xe2\x80\xaey\n"), "t.yaml:2:5: a character that cannot be seen"},
        {STR("a: x\xe2\x81\xa6y\n"), "cannot be seen"},
        {STR("a: x\xe2\x80\x8by\n"), "cannot be seen"},
        {STR("a: x\xc2\x85y\n"), "cannot be seen"},
        {STR("\xef\xbb\xbf"
             "a: 1\n"),
         "t.yaml:1:1: a character that cannot be seen"},
        {STR("a: \xf3\xa0\x81\x81\n"), "cannot be seen"},
        {STR("a: \xff\n"), "t.yaml:1:4: invalid UTF-8"},
        {STR("a: \xc0\xaf\n"), "invalid UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].text, cases[i].complaint);
}

static void syntax_errors_have_a_place(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"a: 1\nb: \"x\n", "t.yaml:2:"}, /* where the text starts */
        {"a: [1, 2\n", "t.yaml:2:1: "},
        {"a: 1\n  b: 2\n", "t.yaml:1:4: "},
        {"a: {b: 1\nc: 2\n", "t.yaml:2:2: "},
        {"a: 1\n\tb: 2\n", "t.yaml:1:4: "},
        {"- a\nb: 1\n", "t.yaml:2:"},
        {"a: @x\n", "t.yaml:1:4: "},
        {"a: 'x\n", "t.yaml:1:5: "},
        {"a: \"\\q\"\n", "t.yaml:1:"},
        {"]", "t.yaml:1:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(str_c(cases[i].text), cases[i].complaint);
}

static void all_complaints_are_collected(void **state)
{
    struct complaints c;
    struct yaml_doc *d = NULL;
    (void)state;
    complaints_init(&c);
    assert_int_equal(yaml_read("t.yaml", STR("a: &x 1\nb: *x\nc: !t 2\na: 3\n"), &d, &c),
                     ERR_CONFIG);
    assert_int_equal(c.n, 4);
    assert_string_equal(c.text.p, "t.yaml:1:4: anchors are not allowed\n"
                                  "t.yaml:2:4: aliases are not allowed\n"
                                  "t.yaml:3:4: tags are not allowed\n"
                                  "t.yaml:4:1: key 'a' stands twice, first in line 1\n");
    complaints_free(&c);
}

static void a_complaint_is_one_line(void **state)
{
    struct complaints c;
    (void)state;
    complaints_init(&c);
    complain(&c, "a\nb.yaml", 1, 2, "key '%s'", "x\n\x1b[31mb.yaml:1:1: forged");
    assert_string_equal(c.text.p, "a?b.yaml:1:2: key 'x??[31mb.yaml:1:1: forged'\n");
    for (int i = 0; i < 1000; i++)
        complain(&c, "f", 1, 1, "again");
    assert_int_equal(c.n, 1001);
    assert_true(c.text.n < 10000);
    assert_int_equal(buf_err(&c.text), 0);
    complaints_free(&c);
}

static int read_nested(int depth, const char *open, char close)
{
    struct buf b = {0};
    struct complaints c;
    struct yaml_doc *d = NULL;
    complaints_init(&c);
    for (int i = 0; i < depth; i++)
        buf_c(&b, open);
    buf_ch(&b, 'x');
    for (int i = 0; i < depth && close; i++)
        buf_ch(&b, close);
    int r = yaml_read("t.yaml", buf_view(&b), &d, &c);
    yaml_free(d);
    complaints_free(&c);
    buf_free(&b);
    return r;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_nested(32, "[", ']'), 0);
    assert_int_equal(read_nested(33, "[", ']'), ERR_CONFIG);
    assert_int_equal(read_nested(32, "{a: ", '}'), 0);
    assert_int_equal(read_nested(33, "{a: ", '}'), ERR_CONFIG);
    assert_int_equal(read_nested(33, "- ", 0), ERR_CONFIG);
    assert_int_equal(read_nested(100000, "[", 0), ERR_CONFIG);
}

/* `n` bytes: a beginning, then one byte over and over, a newline after every `width` of them. */
static struct buf long_text(const char *start, char c, size_t n, size_t width)
{
    struct buf b = {0};
    buf_c(&b, start);
    while (b.n < n)
        buf_ch(&b, b.n % (width + 1) == width ? '\n' : c);
    assert_int_equal(buf_err(&b), 0);
    return b;
}

static void assert_long(const char *start, char c, size_t n, size_t width, const char *complaint)
{
    struct buf b = long_text(start, c, n, width);
    struct complaints complaints;
    struct yaml_doc *d = NULL;
    complaints_init(&complaints);
    if (complaint)
        assert_refused(buf_view(&b), complaint);
    else
        assert_int_equal(yaml_read("t.yaml", buf_view(&b), &d, &complaints), 0);
    yaml_free(d);
    complaints_free(&complaints);
    buf_free(&b);
}

static void size_is_bounded(void **state)
{
    enum { LIMIT = 4 << 20 };
    (void)state;
    assert_long("", 'x', LIMIT, 1000, NULL);
    assert_long("", 'x', LIMIT + 1, 1000, "t.yaml:1:1: the file is larger");
    assert_long("", 'x', 65000, SIZE_MAX - 1, NULL);
    assert_long("", 'x', 66000, SIZE_MAX - 1, "the line is too long");
    assert_long("a: |-\n  x", '\n', 60, 1, NULL);
    assert_long("a: |-\n  x", '\n', LIMIT, 1, "too many blank lines");
    assert_long("", '[', LIMIT, 64, "too many brackets");
    assert_long("", '{', 2000, 64, "too many brackets");
}

/* `times` times the same line. */
static struct buf repeated(const char *line, int times)
{
    struct buf b = {0};
    for (int i = 0; i < times; i++)
        buf_c(&b, line);
    assert_int_equal(buf_err(&b), 0);
    return b;
}

static void many_nodes(void **state)
{
    struct buf b = repeated("- [[], {}]\n", 3000); /* brackets that close may be many */
    (void)state;
    struct yaml_doc *d = read_good(b.p);
    assert_int_equal(yaml_root(d)->n, 3000);
    yaml_free(d);
    buf_free(&b);
    b = repeated("-\n", 1000000);
    assert_refused(buf_view(&b), "too many nodes");
    buf_free(&b);
}

static void files(void **state)
{
    char path[] = "/tmp/test_base_yaml.XXXXXX";
    int fd = mkstemp(path);
    struct complaints c;
    struct yaml_doc *d = NULL;
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "a: 1\n", 5), 5);
    close(fd);
    complaints_init(&c);
    assert_int_equal(yaml_read_file(path, &d, &c), 0);
    assert_string_equal(yaml_name(d), path);
    yaml_free(d);
    d = NULL;
    unlink(path);
    assert_int_equal(yaml_read_file(path, &d, &c), ERR_CONFIG);
    assert_int_equal(yaml_read_file("/tmp", &d, &c), ERR_CONFIG);
    assert_int_equal(c.n, 2);
    assert_null(d);
    complaints_free(&c);
}

/* --- fields --------------------------------------------------------------------------------- */

struct sample {
    const char *text;
    int64_t count, time, size, free;
    bool on;
    const struct yaml_node *list, *map, *any;
};

static const struct yaml_field table[] = {
    {.name = "text", .want = YW_STR, .offset = offsetof(struct sample, text), .required = true},
    {.name = "count",
     .want = YW_INT,
     .offset = offsetof(struct sample, count),
     .min = -5,
     .max = 5},
    {.name = "time",
     .want = YW_DURATION,
     .offset = offsetof(struct sample, time),
     .min = 1000,
     .max = 60000},
    {.name = "size",
     .want = YW_SIZE,
     .offset = offsetof(struct sample, size),
     .min = 1024,
     .max = 1 << 30},
    {.name = "free", .want = YW_INT, .offset = offsetof(struct sample, free)},
    {.name = "on", .want = YW_BOOL, .offset = offsetof(struct sample, on)},
    {.name = "list", .want = YW_LIST, .offset = offsetof(struct sample, list)},
    {.name = "map", .want = YW_MAP, .offset = offsetof(struct sample, map)},
    {.name = "anything", .want = YW_ANY, .offset = offsetof(struct sample, any)},
};

/* Reads text by the table; the document is left in *d, since what is taken points into it. */
static int take(const char *text, struct sample *s, struct yaml_doc **d, struct complaints *c)
{
    *d = read_good(text);
    complaints_init(c);
    return yaml_fields(*d, yaml_root(*d), table, sizeof table / sizeof *table, s, c);
}

static void fields_are_taken(void **state)
{
    struct sample s = {.count = 3, .on = true};
    struct yaml_doc *d;
    struct complaints c;
    (void)state;
    assert_int_equal(
        take("text: 61.0\ntime: 15s\nsize: 16KiB\nlist: []\nmap: {}\nanything:\n", &s, &d, &c), 0);
    assert_string_equal(s.text, "61.0"); /* as written */
    assert_int_equal(s.time, 15000);
    assert_int_equal(s.size, 16384);
    assert_int_equal(s.count, 3); /* absent: left alone */
    assert_true(s.on);
    assert_int_equal(s.list->kind, YAML_LIST);
    assert_int_equal(s.map->kind, YAML_MAP);
    assert_int_equal(s.any->kind, YAML_NULL);
    yaml_free(d);
    assert_int_equal(
        take("text: 'a'\ncount: -5\nsize: 1GiB\non: false\nfree: 99999999999\n", &s, &d, &c), 0);
    assert_int_equal(s.free, 99999999999);
    assert_int_equal(s.count, -5);
    assert_int_equal(s.size, 1 << 30);
    assert_false(s.on);
    yaml_free(d);
}

static void wrong_fields_are_complained_about(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"text: a\ncuont: 1\n", "t.yaml:2:1: 'cuont' is not known here; did you mean 'count'?\n"},
        {"text: a\nTime: 1s\n", "t.yaml:2:1: 'Time' is not known here; did you mean 'time'?\n"},
        {"text: a\nanythin: 1\n", "did you mean 'anything'?"},
        {"text: a\nno: true\n", "did you mean 'on'?"},
        {"text: a\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: "
         "1\n",
         "aaaa' is not known here\n"},
        {"text: a\nzzzzzz: 1\n", "t.yaml:2:1: 'zzzzzz' is not known here\n"},
        {"text: a\n'x\\n': 1\n", "is not known here"},
        {"anything: 1\n", "t.yaml:1:1: 'text' is missing\n"},
        {"text:\n", "text must be a text"},
        {"text: [a]\n", "t.yaml:1:7: text must be a text\n"},
        {"text: a\ncount: 6\n", "t.yaml:2:8: count must be between -5 and 5\n"},
        {"text: a\ncount: -6\n", "between -5 and 5"},
        {"text: a\ncount: '1'\n", "count must be a whole number"},
        {"text: a\ncount: 1.0\n", "count must be a whole number"},
        {"text: a\ncount: 0x1\n", "count must be a whole number"},
        {"text: a\ncount: 01\n", "count must be a whole number"},
        {"text: a\ncount: 9223372036854775808\n", "count must be a whole number"},
        {"text: a\ntime: 15\n", "time must be a duration"},
        {"text: a\ntime: 2m\n", "time must be between 1s and 1m\n"},
        {"text: a\nsize: 16KB\n", "size must be a size"},
        {"text: a\nsize: -1\n", "size must be a size"},
        {"text: a\nsize: 1\n", "size must be between 1KiB and 1GiB\n"},
        {"text: a\nsize: 9223372036854775807GiB\n", "size must be a size"},
        {"text: a\non: yes\n", "on must be true or false"},
        {"text: a\non: 'true'\n", "on must be true or false"},
        {"text: a\non: True\n", "on must be true or false"},
        {"text: a\nlist: {}\n", "list must be a list"},
        {"text: a\nlist:\n", "list must be a list"},
        {"text: a\nmap: []\n", "map must be a map"},
        {"[]", "t.yaml:1:1: expected a map"},
        {"word", "t.yaml:1:1: expected a map"},
        {"", "'text' is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample s = {.count = 3, .time = 3, .size = 3, .on = true};
        struct yaml_doc *d;
        struct complaints c;
        assert_int_equal(take(cases[i].text, &s, &d, &c), ERR_CONFIG);
        if (!strstr(buf_view(&c.text).p, cases[i].complaint))
            fail_msg("%s: wanted '%s', got '%s'", cases[i].text, cases[i].complaint, c.text.p);
        assert_int_equal(c.n, 1);
        assert_true(s.count == 3 && s.time == 3 && s.size == 3 &&
                    s.on); /* nothing wrong is taken */
        complaints_free(&c);
        yaml_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_know_their_place),
        cmocka_unit_test(texts_of_all_styles),
        cmocka_unit_test(long_texts_are_whole),
        cmocka_unit_test(nulls),
        cmocka_unit_test(what_a_reviewer_could_overlook),
        cmocka_unit_test(syntax_errors_have_a_place),
        cmocka_unit_test(all_complaints_are_collected),
        cmocka_unit_test(a_complaint_is_one_line),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(many_nodes),
        cmocka_unit_test(files),
        cmocka_unit_test(fields_are_taken),
        cmocka_unit_test(wrong_fields_are_complained_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
