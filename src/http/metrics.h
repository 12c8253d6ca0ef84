/* What /metrics shows: Prometheus text (exposition format 0.0.4). Counts only; no ids, no names. */
#ifndef CS_HTTP_METRICS_H
#define CS_HTTP_METRICS_H

#include <stdatomic.h>

#include "api/app.h"

/* What the server counts itself. */
struct http_figures {
    _Atomic uint64_t answers[6];  /* by status class; [0] is unused */
    _Atomic uint64_t turned_away; /* the queue was full */
    _Atomic int64_t connections, in_hand;
};
/* What is asked for at the moment of rendering. */
struct http_gauges {
    size_t queued, waiting, event_streams;
};
CS_CHECK int metrics_write(struct app *app, struct http_figures *h, const struct http_gauges *g,
                           struct buf *out);

#endif
