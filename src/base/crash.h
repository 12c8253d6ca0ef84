/* Named places where tests end the process, to prove that recovery holds there. In test builds
 * (CS_TESTING) COUNTERSIGN_CRASH=name[:n] kills the process at the n-th passing (default 1st);
 * in release builds this is nothing. */
#ifndef CS_BASE_CRASH_H
#define CS_BASE_CRASH_H

#ifdef CS_TESTING
void crash_point(const char *name);
#define CRASHPOINT(name) crash_point(#name)
#else
#define CRASHPOINT(name) ((void)0)
#endif

#endif
