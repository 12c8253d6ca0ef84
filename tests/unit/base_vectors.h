/* Reading test data: the project's own below tests/vectors, public suites below CS_SHARED (default
 * "../shared"). Where a suite is absent its tests skip and say so. */
#ifndef CS_TESTS_BASE_VECTORS_H
#define CS_TESTS_BASE_VECTORS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

static inline const char *shared_folder(void)
{
    const char *dir = getenv("CS_SHARED");
    return dir ? dir : "../shared";
}

/* The whole file into *out (buf_free); false if it cannot be read. */
static inline bool vector_read(const char *path, struct buf *out)
{
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    *out = (struct buf){0};
    if (!f)
        return false;
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        buf_put(out, part, n);
    fclose(f);
    return !buf_err(out);
}

/* The same for a file of the public suites; says so where it is absent. */
static inline bool shared_read(const char *name, struct buf *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/vectors/%s", shared_folder(), name);
    if (vector_read(path, out))
        return true;
    printf("# skipped: %s is not there\n", path);
    return false;
}

#endif
