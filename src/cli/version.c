/* The version that the build was given. */
#include "cli/cli.h"

#ifndef CS_VERSION
#define CS_VERSION "unknown"
#endif

const char *cs_version(void)
{
    return CS_VERSION;
}
