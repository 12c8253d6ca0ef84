/* base/config: defaults, bounds, paths, checks, and the reference that is itself a configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/config.h"

static char folder[] = "/tmp/test_base_config.XXXXXX";
static char file[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/countersign.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static void write_file(struct str text)
{
    FILE *f = fopen(file, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    fclose(f);
}

static struct config read_good(const char *text)
{
    struct config config;
    struct complaints c;
    complaints_init(&c);
    write_file(str_c(text));
    if (config_read(file, &config, &c))
        fail_msg("%s: %s", text, buf_view(&c.text).p);
    assert_int_equal(c.n, 0);
    complaints_free(&c);
    return config;
}

/* A path below the test's folder. */
static const char *below(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void an_empty_file_is_all_defaults(void **state)
{
    struct config c = read_good("");
    (void)state;
    assert_string_equal(c.listen, "127.0.0.1:8480");
    assert_string_equal(c.public_url, "http://127.0.0.1:8480");
    assert_string_equal(c.data_dir, below("data"));
    assert_string_equal(c.kek_file, below("keys/kek"));
    assert_string_equal(c.store, "sqlite");
    assert_string_equal(c.log_level, "info");
    assert_int_equal(c.limit_body, 1 << 20);
    assert_int_equal(c.limit_request_time, 30000);
    assert_int_equal(c.limit_pending, 10000);
    assert_int_equal(c.session_idle, 3600000);
    config_free(&c);
    assert_null(c.arena);
    config_free(&c);
}

static void what_is_set_is_taken(void **state)
{
    struct config c = read_good("listen: '[::1]:80'\n"
                                "public_url: https://approve.example.com:8443\n"
                                "data_dir: /var/lib/countersign\n"
                                "kek_file: credential:kek\n"
                                "policy: sub/p.yaml\n"
                                "limits: {body: 2MiB, upstream_time: 5s, workers: 4}\n"
                                "sessions:\n"
                                "  idle: 15m\n");
    (void)state;
    assert_string_equal(c.listen, "[::1]:80");
    assert_string_equal(c.public_url, "https://approve.example.com:8443");
    assert_string_equal(c.data_dir, "/var/lib/countersign");
    assert_string_equal(c.kek_file, "credential:kek");
    assert_string_equal(c.policy, below("sub/p.yaml"));
    assert_int_equal(c.limit_body, 2 << 20);
    assert_int_equal(c.limit_upstream_time, 5000);
    assert_int_equal(c.limit_workers, 4);
    assert_int_equal(c.limit_queue, 4096);
    assert_int_equal(c.session_idle, 900000);
    assert_int_equal(c.session_absolute, 28800000);
    config_free(&c);
    c = read_good("public_url: http://countersign.local:8480\n");
    assert_string_equal(c.public_url, "http://countersign.local:8480");
    config_free(&c);
    c = read_good("listen: 0.0.0.0:9000\n");
    assert_string_equal(c.public_url, "http://0.0.0.0:9000");
    config_free(&c);
}

static void complaints_name_place_and_rule(void **state)
{
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"lisen: x\n", ":1:1: 'lisen' is not known here; did you mean 'listen'?"},
        {"limits:\n  bdy: 1MiB\n", ":2:3: 'bdy' is not known here; did you mean 'body'?"},
        {"body: 1MiB\n", ":1:1: 'body' is not known here"},
        {"limits: 3\n", ":1:9: limits must be a map"},
        {"limits:\n", "limits must be a map"},
        {"limits: {body: 1}\n", ":1:16: body must be between 1KiB and 16MiB"},
        {"limits: {workers: 0}\n", "workers must be between 1 and 512"},
        {"limits: {request_time: 1h}\n", "request_time must be between 1s and 10m"},
        {"listen: 8480\n", ":1:9: listen must be host:port"},
        {"listen: localhost\n", "listen must be host:port"},
        {"metrics_listen: ''\n", "metrics_listen must be host:port"},
        {"public_url: https://x/y\n", ":1:13: public_url must be http"},
        {"public_url: https://x/\n", "public_url must be http"},
        {"public_url: ftp://x\n", "public_url must be http"},
        {"public_url: https://\n", "public_url must be http"},
        {"public_url: https://a@b\n", "public_url must be http"},
        {"public_url: 'https://a b'\n", "public_url must be http"},
        {"public_url: \"https://a\\r\\nSet-Cookie: x\"\n", "public_url must be http"},
        {"store: mysql://x\n", "store must be sqlite"},
        {"log_level: loud\n", "log_level must be debug"},
        {"user: ''\n", "user must be the name"},
        {"kek_file: ''\n", "kek_file must be a file"},
        {"policy: [a]\n", "policy must be a text"},
        {"listen: \"127.0.0.1:1\n", ":1:"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config = {.limit_body = 77};
        struct complaints c;
        complaints_init(&c);
        write_file(str_c(cases[i].text));
        assert_int_equal(config_read(file, &config, &c), ERR_CONFIG);
        if (!strstr(buf_view(&c.text).p, cases[i].complaint))
            fail_msg("%s: wanted '%s', got '%s'", cases[i].text, cases[i].complaint,
                     buf_view(&c.text).p);
        assert_true(str_starts(buf_view(&c.text), str_c(file)));
        assert_int_equal(config.limit_body, 77); /* written on success only */
        complaints_free(&c);
    }
}

static void all_complaints_are_collected(void **state)
{
    struct config config;
    struct complaints c;
    (void)state;
    complaints_init(&c);
    write_file(STR("a: 1\nlimits: {b: 1, body: x}\nsessions: {c: 1}\n"));
    assert_int_equal(config_read(file, &config, &c), ERR_CONFIG);
    assert_int_equal(c.n, 4);
    assert_int_equal(config_read("/nonexistent/c.yaml", &config, &c), ERR_CONFIG);
    assert_int_equal(c.n, 5);
    complaints_free(&c);
}

static void addresses(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {{"127.0.0.1:8480", "127.0.0.1", 8480},
                {"localhost:0", "localhost", 0},
                {"a-b.example:65535", "a-b.example", 65535},
                {"[::1]:80", "::1", 80},
                {"[2001:db8::1]:443", "2001:db8::1", 443}};
    static const char *const bad[] = {
        "",         ":80",       "host",       "host:",     "host:65536",
        "host:-1",  "host:08",   "host: 80",   "::1:80",    "[::1]",
        "[::1]80",  "[::1",      "[]:80",      "[host]:80", "[127.0.0.1]:80",
        "ho st:80", "host/x:80", "host:80:90", "a@b:80"};
    char host[64];
    uint16_t port;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(config_address(str_c(good[i].text), host, &port));
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (config_address(str_c(bad[i]), host, &port))
            fail_msg("accepted %s", bad[i]);
    char longest[80];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + 63, ":80", 4);
    assert_true(config_address(str_c(longest), host, &port));
    memcpy(longest + 64, ":80", 4);
    longest[63] = 'a';
    assert_false(config_address(str_c(longest), host, &port));
}

/* Without the '#'s of its settings the reference is a configuration that sets every default. */
static void the_reference_reads_as_the_defaults(void **state)
{
    char *text = NULL;
    size_t n = 0;
    struct buf bare = {0};
    FILE *f = open_memstream(&text, &n);
    (void)state;
    assert_non_null(f);
    config_reference(f);
    fclose(f);
    struct str reference = {text, n};
    for (size_t at = 0, end; at < n; at = end + 1) {
        end = str_find(reference, '\n', at);
        struct str line = str_sub(reference, at, end);
        bool is_comment = str_starts(line, STR("# ")) && !str_starts(line, STR("#  "));
        bool is_help = str_starts(line, STR("#   ")) || is_comment || line.n == 0;
        if (!is_help)
            buf_printf(&bare, "%.*s\n", STR_FMT(str_sub(line, 1, line.n)));
    }
    struct config c = read_good(buf_view(&bare).p), standard = read_good("");
    assert_true(str_find(buf_view(&bare), ':', 0) < bare.n);
    assert_string_equal(c.listen, standard.listen);
    assert_string_equal(c.connectors_dir, standard.connectors_dir);
    assert_int_equal(c.limit_answer, standard.limit_answer);
    assert_int_equal(c.login_attempts, standard.login_attempts);
    assert_non_null(strstr(text, "Largest request body."));
    config_free(&c);
    config_free(&standard);
    buf_free(&bare);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_all_defaults),
        cmocka_unit_test(what_is_set_is_taken),
        cmocka_unit_test(complaints_name_place_and_rule),
        cmocka_unit_test(all_complaints_are_collected),
        cmocka_unit_test(addresses),
        cmocka_unit_test(the_reference_reads_as_the_defaults),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
