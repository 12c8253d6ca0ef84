/* base/crash: the process ends at the named passing and at no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash.h"

/* Passes three points "here" and one "there" in a child; how many it survived, or -1 if none ended
 * it. */
static int passed_before_end(const char *setting)
{
    int ends[2], status = 0, n = 0;
    char c;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("COUNTERSIGN_CRASH", setting, 1);
        for (int i = 0; i < 3; i++) {
            CRASHPOINT(here);
            if (write(ends[1], "x", 1) != 1)
                _exit(2);
        }
        CRASHPOINT(there);
        _exit(0);
    }
    close(ends[1]);
    while (read(ends[0], &c, 1) == 1)
        n++;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return -1;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return n;
}

static void ends_at_the_named_passing(void **state)
{
    (void)state;
#ifdef CS_TESTING
    assert_int_equal(passed_before_end("here"), 0);
    assert_int_equal(passed_before_end("here:1"), 0);
    assert_int_equal(passed_before_end("here:3"), 2);
    assert_int_equal(passed_before_end("there"), 3);
#else
    assert_int_equal(passed_before_end("here"), -1);
#endif
}

static void ends_nowhere_else(void **state)
{
    (void)state;
    assert_int_equal(passed_before_end(""), -1);
    assert_int_equal(passed_before_end("her"), -1);
    assert_int_equal(passed_before_end("here:4"), -1);
    assert_int_equal(passed_before_end("there:2"), -1);
    assert_int_equal(passed_before_end("other"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_the_named_passing),
        cmocka_unit_test(ends_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
