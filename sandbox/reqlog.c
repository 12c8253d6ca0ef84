/* The last requests, byte for byte; see reqlog.h. */
#include "reqlog.h"

#include <stdlib.h>
#include <string.h>

void reqlog_init(struct reqlog *log)
{
    *log = (struct reqlog){
        .ring = take_zeroed(REQLOG_COUNT * sizeof *log->ring), .next = 1, .oldest = 1};
}

static struct logged *at(const struct reqlog *log, uint64_t seq)
{
    return &log->ring[seq % REQLOG_COUNT];
}

static void drop_oldest(struct reqlog *log)
{
    struct logged *l = at(log, log->oldest++);

    log->bytes -= l->head_n + l->body_n;
    free(l->bytes);
    l->bytes = NULL;
}

void reqlog_add(struct reqlog *log, const struct request *r)
{
    size_t n = r->head.n + r->body.n;
    struct logged *l;

    while (log->next - log->oldest >= REQLOG_COUNT ||
           (log->next > log->oldest && log->bytes + n > REQLOG_BYTES))
        drop_oldest(log);
    l = at(log, log->next);
    *l = (struct logged){.seq = log->next++,
                         .connection = r->connection,
                         .nth = r->nth,
                         .bytes = take(n),
                         .head_n = r->head.n,
                         .body_n = r->body.n};
    memcpy(l->bytes, r->head.s, r->head.n);
    if (r->body.n > 0)
        memcpy(l->bytes + l->head_n, r->body.s, r->body.n);
    log->bytes += n;
}

/* Bytes that are no UTF-8 become null; they are then given in hexadecimal beside it. */
static json_t *text_json(struct text t)
{
    json_t *s = json_stringn(t.n ? t.s : "", t.n);

    return s ? s : json_null();
}

static json_t *hex_json(struct text t)
{
    struct buf hex = {0};
    json_t *out;

    for (size_t i = 0; i < t.n; i++)
        buf_fmt(&hex, "%02x", (unsigned char)t.s[i]);
    out = text_json((struct text){hex.s, hex.n});
    buf_free(&hex);
    return out;
}

static json_t *headers_json(struct text head)
{
    struct text lines = http_header_lines(head), name, value;
    json_t *out = json_array();

    while (http_next_header(&lines, &name, &value)) {
        json_t *pair = json_array();
        json_array_append_new(pair, text_json(name));
        json_array_append_new(pair, text_json(value));
        json_array_append_new(out, pair);
    }
    return out;
}

static json_t *logged_json(const struct logged *l, const struct request *r)
{
    struct text body = {l->bytes + l->head_n, l->body_n};
    json_t *out = json_object();

    json_object_set_new(out, "seq", json_integer((json_int_t)l->seq));
    json_object_set_new(out, "connection", json_integer((json_int_t)l->connection));
    json_object_set_new(out, "nth_on_connection", json_integer((json_int_t)l->nth));
    json_object_set_new(out, "method", text_json(r->method));
    json_object_set_new(out, "target", text_json(r->target));
    json_object_set_new(out, "headers", headers_json(r->head));
    json_object_set_new(out, "body", text_json(body));
    if (json_is_null(json_object_get(out, "body")))
        json_object_set_new(out, "body_hex", hex_json(body));
    return out;
}

json_t *reqlog_json(const struct reqlog *log, struct text path, size_t limit)
{
    json_t *out = json_array();

    for (uint64_t seq = log->next; seq > log->oldest && json_array_size(out) < limit; seq--) {
        const struct logged *l = at(log, seq - 1);
        struct request r = {0};
        http_parse_line((struct text){l->bytes, l->head_n}, &r);
        if (path.n == 0 || (path.n == r.path.n && memcmp(path.s, r.path.s, path.n) == 0))
            json_array_insert_new(out, 0, logged_json(l, &r));
    }
    return out;
}

void reqlog_clear(struct reqlog *log)
{
    while (log->oldest < log->next)
        drop_oldest(log);
    log->next = log->oldest = 1;
}

void reqlog_free(struct reqlog *log)
{
    reqlog_clear(log);
    free(log->ring);
    *log = (struct reqlog){0};
}
