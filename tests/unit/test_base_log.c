/* base/log: every line is one JSON object, whatever it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"

enum { HUGE_TEXT = 40000 };

/* Standard error into a file while `what` runs; the bytes it wrote come back. */
static void capture(void (*what)(void), struct buf *out)
{
    char path[] = "/tmp/test_base_log.XXXXXX", part[4096];
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);
    ssize_t n;
    assert_true(fd >= 0 && saved >= 0);
    unlink(path);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    what();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    buf_init(out, 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    while ((n = read(fd, part, sizeof part)) > 0)
        buf_put(out, part, (size_t)n);
    close(fd);
}

/* The one line that `what` logs, parsed. */
static json_t *logged(void (*what)(void))
{
    struct buf text;
    json_t *v = NULL;
    capture(what, &text);
    assert_int_equal(str_find(buf_view(&text), '\n', 0), text.n - 1);
    assert_int_equal(json_read(str_sub(buf_view(&text), 0, text.n - 1), &v, NULL), 0);
    buf_free(&text);
    return v;
}

static const char *text_of(const json_t *v, const char *key)
{
    return json_string_value(json_object_get(v, key));
}

static void write_plain(void)
{
    log_event(LOG_WARN, "action.held", KV_C("action", "act_1"), KV_N("tier", -3),
              KV_S("code", STR("x")));
}

static void fields_arrive(void **state)
{
    (void)state;
    log_open("gate", LOG_INFO);
    json_t *v = logged(write_plain);
    assert_string_equal(text_of(v, "level"), "warn");
    assert_string_equal(text_of(v, "part"), "gate");
    assert_string_equal(text_of(v, "event"), "action.held");
    assert_string_equal(text_of(v, "action"), "act_1");
    assert_int_equal(json_integer_value(json_object_get(v, "tier")), -3);
    assert_int_equal(strlen(text_of(v, "time")), 24);
    json_decref(v);
}

static void write_hostile(void)
{
    log_event(LOG_ERROR, "bad\n{\"", KV_S("v", STR("a\nb\"c\\d\0e\x1b[31m\xff\xc0\xaf")));
}

static void hostile_text_stays_inside_its_string(void **state)
{
    (void)state;
    struct buf text;
    log_open("gate", LOG_INFO);
    capture(write_hostile, &text);
    struct str line = buf_view(&text);
    assert_int_equal(str_find(line, '\n', 0), line.n - 1);
    assert_true(utf8_valid(line));
    for (size_t i = 0; i + 1 < line.n; i++)
        assert_true((unsigned char)line.p[i] >= 0x20);
    assert_non_null(strstr(line.p, "\\u0000e\\u001b[31m\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
    buf_free(&text);
}

static void write_debug(void)
{
    log_event(LOG_DEBUG, "noise", KV_N("n", 1));
    log_event(LOG_INFO, "noise", KV_N("n", 1));
}

static void lesser_levels_are_silent(void **state)
{
    (void)state;
    struct buf text;
    log_open("gate", LOG_WARN);
    capture(write_debug, &text);
    assert_int_equal(text.n, 0);
    buf_free(&text);
    log_open("gate", LOG_INFO);
    json_t *v = logged(write_debug);
    assert_string_equal(text_of(v, "level"), "info");
    json_decref(v);
}

static void write_huge(void)
{
    char *p = malloc(HUGE_TEXT);
    assert_non_null(p);
    memset(p, 'x', HUGE_TEXT);
    log_event(LOG_ERROR, "huge", KV_S("v", ((struct str){p, HUGE_TEXT})));
    free(p);
}

static void a_line_too_long_says_so(void **state)
{
    (void)state;
    log_open("gate", LOG_INFO);
    json_t *v = logged(write_huge);
    assert_string_equal(text_of(v, "event"), "huge");
    assert_non_null(text_of(v, "log"));
    assert_null(text_of(v, "v"));
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_arrive),
        cmocka_unit_test(hostile_text_stays_inside_its_string),
        cmocka_unit_test(lesser_levels_are_silent),
        cmocka_unit_test(a_line_too_long_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
