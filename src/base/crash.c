/* Ends the process at a named place, as a power cut would: SIGKILL runs no handler and flushes
 * nothing. Exists in test builds only. */
#include "base/crash.h"

#ifdef CS_TESTING

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

void crash_point(const char *name)
{
    static atomic_ullong passed;
    struct str wanted = str_c(getenv("COUNTERSIGN_CRASH"));
    size_t colon = str_find(wanted, ':', 0);
    uint64_t nth = 1;
    if (!str_eq_c(str_sub(wanted, 0, colon), name))
        return;
    if (colon < wanted.n)
        CS_ASSERT(str_u64(str_sub(wanted, colon + 1, wanted.n), &nth));
    if (atomic_fetch_add(&passed, 1) + 1 != nth)
        return;
    kill(getpid(), SIGKILL);
    pause();
}

#endif
