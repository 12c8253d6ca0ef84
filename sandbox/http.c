/* HTTP/1.1 on paper; see http.h. */
#include "http.h"

#include <inttypes.h>
#include <string.h>

/* What the header lines say about the body. */
struct framing {
    size_t length;
    bool chunked;
};

bool http_next_header(struct text *lines, struct text *name, struct text *value)
{
    struct text line = text_trim(text_until(*lines, '\n', lines));
    struct text rest;

    if (line.n == 0 || memchr(line.s, ':', line.n) == NULL)
        return false;
    *name = text_until(line, ':', &rest);
    *value = text_trim(rest);
    return true;
}

struct text http_header_lines(struct text head)
{
    struct text lines;

    text_until(head, '\n', &lines);
    return lines;
}

struct text http_header(const struct request *r, const char *wanted)
{
    struct text lines = http_header_lines(r->head), name, value;

    while (http_next_header(&lines, &name, &value))
        if (text_is_nocase(name, wanted))
            return value;
    return (struct text){"", 0};
}

struct text http_query(const struct request *r, const char *wanted)
{
    struct text rest = r->query;

    while (rest.n > 0) {
        struct text value, pair = text_until(rest, '&', &rest);
        if (text_is(text_until(pair, '=', &value), wanted))
            return value;
    }
    return (struct text){"", 0};
}

bool http_parse_line(struct text head, struct request *out)
{
    struct text rest, version, line = text_trim(text_until(head, '\n', &rest));

    out->head = head;
    out->method = text_until(line, ' ', &rest);
    out->target = text_until(rest, ' ', &version);
    out->path = text_until(out->target, '?', &out->query);
    out->keep_alive = text_is(version, "HTTP/1.1");
    return out->method.n > 0 && out->target.n > 0 && out->target.s[0] == '/' &&
           (out->keep_alive || text_is(version, "HTTP/1.0"));
}

static bool parse_size(struct text t, int base, size_t *out)
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t n = 0;

    if (t.n == 0 || t.n > 15)
        return false;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.s[i];
        const char *at = memchr(DIGITS, c >= 'A' && c <= 'F' ? c + 32 : c, (size_t)base);
        if (at == NULL)
            return false;
        n = n * (size_t)base + (size_t)(at - DIGITS);
    }
    *out = n;
    return true;
}

static bool parse_headers(struct request *out, struct framing *framing)
{
    struct text lines = http_header_lines(out->head), name, value;
    bool length_seen = false;

    while (http_next_header(&lines, &name, &value)) {
        if (text_is_nocase(name, "content-length")) {
            if (length_seen || !parse_size(value, 10, &framing->length))
                return false;
            length_seen = true;
        } else if (text_is_nocase(name, "transfer-encoding")) {
            if (!text_is_nocase(value, "chunked"))
                return false;
            framing->chunked = true;
        } else if (text_is_nocase(name, "connection")) {
            if (text_is_nocase(value, "close"))
                out->keep_alive = false;
        } else if (text_is_nocase(name, "expect")) {
            out->expects = true;
        }
    }
    return !(length_seen && framing->chunked);
}

/* Looks through the chunks, or with `to` also joins them there. */
static enum http_parsed walk_chunks(struct text in, char *to, size_t *ret_body, size_t *ret_used)
{
    size_t body = 0;
    struct text rest = in;

    for (;;) {
        struct text after, semicolon, line = text_until(rest, '\n', &after);
        size_t n;
        if (line.n == rest.n)
            return rest.n > 64 ? HTTP_MALFORMED : HTTP_MORE;
        if (!parse_size(text_trim(text_until(line, ';', &semicolon)), 16, &n))
            return HTTP_MALFORMED;
        if (body + n > HTTP_BODY_MAX)
            return HTTP_TOO_LARGE;
        if (after.n < n + 2) /* the chunk and its CRLF; after the last, the empty line */
            return HTTP_MORE;
        if (memcmp(after.s + n, "\r\n", 2) != 0)
            return HTTP_MALFORMED; /* trailers too: no client here sends any */
        if (to != NULL)
            memmove(to + body, after.s, n);
        body += n;
        rest = (struct text){after.s + n + 2, after.n - n - 2};
        if (n == 0)
            break;
    }
    *ret_body = body;
    *ret_used = in.n - rest.n;
    return HTTP_READY;
}

static enum http_parsed parse_body(struct text rest, char *bytes, const struct framing *framing,
                                   struct request *out, size_t *ret_used)
{
    enum http_parsed r;

    if (!framing->chunked) {
        if (framing->length > HTTP_BODY_MAX)
            return HTTP_TOO_LARGE;
        if (rest.n < framing->length)
            return HTTP_MORE;
        out->body = (struct text){rest.s, framing->length};
        *ret_used = framing->length;
        return HTTP_READY;
    }
    r = walk_chunks(rest, NULL, &out->body.n, ret_used);
    if (r != HTTP_READY)
        return r;
    out->body.s = bytes;
    return walk_chunks(rest, bytes, &out->body.n, ret_used);
}

enum http_parsed http_parse(struct text in, char *bytes, struct request *out, size_t *ret_used)
{
    const char *end = in.n ? memmem(in.s, in.n, "\r\n\r\n", 4) : NULL;
    struct framing framing = {0};
    size_t head, body;
    enum http_parsed r;

    *out = (struct request){0};
    if (end == NULL)
        return in.n > HTTP_HEAD_MAX ? HTTP_TOO_LARGE : HTTP_MORE;
    head = (size_t)(end - in.s) + 4;
    if (head > HTTP_HEAD_MAX)
        return HTTP_TOO_LARGE;
    if (!http_parse_line((struct text){in.s, head}, out) || !parse_headers(out, &framing))
        return HTTP_MALFORMED;
    r = parse_body((struct text){in.s + head, in.n - head}, bytes + head, &framing, out, &body);
    if (r == HTTP_READY)
        *ret_used = head + body;
    return r;
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } REASONS[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
    };

    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (REASONS[i].status == status)
            return REASONS[i].reason;
    return "Answer";
}

void http_reply_head(const struct reply *r, bool keep_alive, struct buf *out)
{
    int status = r->status ? r->status : 500;
    uint64_t length = r->stream_bytes ? r->stream_bytes : r->body.n;

    buf_fmt(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", status, reason_of(status),
            r->type ? r->type : "application/json");
    if (r->stream_bytes && r->chunked)
        buf_str(out, "Transfer-Encoding: chunked\r\n");
    else if (status != 204)
        buf_fmt(out, "Content-Length: %" PRIu64 "\r\n", length);
    if (!keep_alive)
        buf_str(out, "Connection: close\r\n");
    if (r->extra.n)
        buf_add(out, r->extra.s, r->extra.n);
    buf_str(out, "\r\n");
}

void http_reply_free(struct reply *r)
{
    buf_free(&r->extra);
    buf_free(&r->body);
    *r = (struct reply){0};
}
