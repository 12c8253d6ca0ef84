/* The last requests, byte for byte, so that a test can compare what was really sent.
 * Bounded twice: by count and by bytes; the oldest go first. */
#ifndef SANDBOX_REQLOG_H
#define SANDBOX_REQLOG_H

#include "http.h"

#include <jansson.h>

#define REQLOG_COUNT 10000u
#define REQLOG_BYTES ((size_t)64 << 20)

struct logged {
    uint64_t seq;
    uint64_t connection;
    uint64_t nth;
    char *bytes; /* head, then body */
    size_t head_n, body_n;
};

struct reqlog {
    struct logged *ring; /* REQLOG_COUNT places */
    uint64_t next;       /* sequence number of the next request, from 1 */
    uint64_t oldest;
    size_t bytes;
};

void reqlog_init(struct reqlog *log);
void reqlog_add(struct reqlog *log, const struct request *r);
/* Oldest first; only those of `path` if it is not empty, at most the `limit` last ones. */
json_t *reqlog_json(const struct reqlog *log, struct text path, size_t limit);
void reqlog_clear(struct reqlog *log);
void reqlog_free(struct reqlog *log);

#endif
