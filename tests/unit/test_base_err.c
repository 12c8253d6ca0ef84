/* base/err: the catalogue has no holes or doubles, and a struct fail is always readable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

static const int all[] = {
#define ERR(name, number, http, code, title) number,
#include "base/err.def"
#undef ERR
};

enum { COUNT = sizeof all / sizeof *all };

static void numbers_and_codes_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(all[i], all[j]);
            assert_string_not_equal(err_name(all[i]), err_name(all[j]));
        }
}

static void every_error_has_a_status_a_client_may_see(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_in_range(err_http(all[i]), 400, 503);
        assert_true(err_title(all[i])[0] != 0);
        assert_true(all[i] != ERR_OK);
    }
}

static void internal_errors_look_unavailable(void **state)
{
    (void)state;
    assert_int_equal(err_http(ERR_STORE), 503);
    assert_string_equal(err_code(ERR_STORE), "unavailable");
    assert_string_equal(err_name(ERR_STORE), "store");
    assert_int_equal(err_http(ERR_MALFORMED), 400);
    assert_string_equal(err_code(ERR_DUPLICATE_KEY), "duplicate-key");
}

static void fail_is_filled_and_the_number_returned(void **state)
{
    struct fail f;
    (void)state;
    assert_int_equal(fail_set(&f, ERR_CONFIG, "no %s", "luck"), ERR_CONFIG);
    assert_int_equal(f.err, ERR_CONFIG);
    assert_int_equal(f.position, -1);
    assert_string_equal(f.detail, "no luck");
    assert_string_equal(f.field, "");
    assert_string_equal(f.action, "");
    assert_int_equal(fail_field(&f, ERR_MALFORMED, "wait", "expected %d", 7), ERR_MALFORMED);
    assert_string_equal(f.field, "wait");
    assert_string_equal(f.detail, "expected 7");
    assert_int_equal(fail_at(&f, ERR_MALFORMED, 42, "here"), ERR_MALFORMED);
    assert_int_equal(f.position, 42);
    assert_string_equal(f.field, "");
    assert_int_equal(fail_at(NULL, ERR_NOMEM, 1, "nobody reads this"), ERR_NOMEM);
}

static void texts_are_cut_between_characters(void **state)
{
    struct fail f;
    char text[400], name[80];
    (void)state;
    memset(text, 'x', sizeof text);
    text[sizeof f.detail - 2] = (char)0xc3; /* its second byte does not fit */
    text[sizeof f.detail - 1] = (char)0xa9;
    text[sizeof text - 1] = 0;
    memset(name, 'n', sizeof name);
    name[sizeof f.field - 2] = (char)0xc3;
    name[sizeof f.field - 1] = (char)0xa9;
    name[sizeof name - 1] = 0;
    fail_field(&f, ERR_MALFORMED, name, "%s", text);
    assert_int_equal(strlen(f.detail), sizeof f.detail - 2);
    assert_true(utf8_valid(str_c(f.detail)));
    assert_int_equal(strlen(f.field), sizeof f.field - 2);
    assert_true(utf8_valid(str_c(f.field)));
    fail_set(&f, ERR_MALFORMED, "a\xff%s", "b");
    assert_string_equal(f.detail, "ab");
}

/* How a child that does `what` ends. */
static int end_of_child(void (*what)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        what();
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void failed_assertion(void)
{
    CS_ASSERT(COUNT == 0);
}

static void unknown_number(void)
{
    (void)err_http(9999);
}

static void bugs_end_the_process(void **state)
{
    (void)state;
    int status = end_of_child(failed_assertion);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = end_of_child(unknown_number);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_codes_are_unique),
        cmocka_unit_test(every_error_has_a_status_a_client_may_see),
        cmocka_unit_test(internal_errors_look_unavailable),
        cmocka_unit_test(fail_is_filled_and_the_number_returned),
        cmocka_unit_test(texts_are_cut_between_characters),
        cmocka_unit_test(bugs_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
