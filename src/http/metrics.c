/* Names follow Prometheus' habits: _total for what only grows. */
#include "http/metrics.h"

#include "store/store.h"

static void line(struct buf *out, const char *name, const char *type, const char *help, uint64_t v)
{
    buf_printf(out, "# HELP countersign_%s %s\n# TYPE countersign_%s %s\ncountersign_%s %llu\n",
               name, help, name, type, name, (unsigned long long)v);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t v)
{
    line(out, name, "counter", help, v);
}

static void gauge(struct buf *out, const char *name, const char *help, uint64_t v)
{
    line(out, name, "gauge", help, v);
}

static void http_part(struct http_figures *h, const struct http_gauges *g, struct buf *out)
{
    buf_c(out, "# HELP countersign_http_requests_total Requests answered, by class of status.\n"
               "# TYPE countersign_http_requests_total counter\n");
    for (int class = 1; class <= 5; class ++)
        buf_printf(out, "countersign_http_requests_total{class=\"%dxx\"} %llu\n", class,
                   (unsigned long long)atomic_load(&h->answers[class]));
    counter(out, "http_turned_away_total", "Requests answered 503 because the queue was full.",
            atomic_load(&h->turned_away));
    gauge(out, "http_connections", "Open connections.", (uint64_t)atomic_load(&h->connections));
    gauge(out, "http_requests_in_hand", "Requests not answered yet, waiting ones too.",
          (uint64_t)atomic_load(&h->in_hand));
    gauge(out, "http_queue", "Requests that wait for a worker.", g->queued);
    gauge(out, "http_waiters", "Requests that wait for an action to change.", g->waiting);
    gauge(out, "event_streams", "Open streams of server-sent events.", g->event_streams);
}

static void store_part(struct app *app, struct buf *out)
{
    struct store_stats s = {0};
    store_stats(life_store(app->life), &s);
    counter(out, "store_commits_total", "Commits made.", s.commits);
    counter(out, "store_functions_total", "Transactions that went into them.", s.functions);
    counter(out, "store_reads_total", "Reading snapshots taken.", s.reads);
    counter(out, "store_failures_total", "Transactions that failed in the store.", s.failures);
}

static void life_part(struct app *app, struct buf *out)
{
    struct life_stats s = {0};
    life_stats(app->life, &s);
    const struct {
        const char *name, *help;
        uint64_t value;
    } rows[] = {
        {"actions_proposed_total", "Proposals stored.", s.proposed},
        {"actions_joined_total", "Proposals that joined an action.", s.joined},
        {"actions_held_total", "Actions held for people.", s.held},
        {"actions_denied_total", "Actions that policy never allows.", s.denied},
        {"actions_executed_total", "Calls handed to keeper.", s.executed},
        {"actions_succeeded_total", "Actions that succeeded.", s.succeeded},
        {"actions_failed_total", "Actions that failed.", s.failed},
        {"actions_declined_total", "Actions that the provider declined.", s.declined},
        {"actions_unknown_total", "Actions whose outcome was unknown.", s.unknown},
        {"actions_rejected_total", "Actions that people rejected.", s.rejected},
        {"actions_expired_total", "Actions that expired.", s.expired},
        {"actions_cancelled_total", "Actions that were cancelled.", s.cancelled},
        {"votes_total", "Votes cast.", s.votes},
        {"votes_refused_total", "Votes refused.", s.votes_refused},
        {"deliveries_total", "Webhook deliveries made.", s.deliveries},
        {"delivery_failures_total", "Webhook deliveries that failed.", s.delivery_failures},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        counter(out, rows[i].name, rows[i].help, rows[i].value);
    gauge(out, "calls_in_flight", "Upstream calls in flight.", s.in_flight);
}

int metrics_write(struct app *app, struct http_figures *h, const struct http_gauges *g,
                  struct buf *out)
{
    http_part(h, g, out);
    store_part(app, out);
    life_part(app, out);
    return buf_err(out);
}
