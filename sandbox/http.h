/* HTTP/1.1 on paper: a request out of bytes, a reply into bytes. No sockets here.
 * Refuses what it cannot serve exactly (bad framing, over-long heads and bodies). */
#ifndef SANDBOX_HTTP_H
#define SANDBOX_HTTP_H

#include "buf.h"

#include <stdint.h>

#define HTTP_HEAD_MAX ((size_t)64 << 10)
#define HTTP_BODY_MAX ((size_t)16 << 20)

/* Every text points into the bytes given to http_parse. */
struct request {
    struct text method, target, path, query;
    struct text head; /* request line and header lines as received, with the empty line */
    struct text body; /* without chunk framing */
    uint64_t connection;
    uint64_t nth; /* on its connection, from 1 */
    bool keep_alive;
    bool expects; /* "Expect: 100-continue" */
};

enum http_parsed {
    HTTP_MORE = 0, /* not all there yet; out->expects is set if a 100 would help */
    HTTP_READY,
    HTTP_MALFORMED,
    HTTP_TOO_LARGE,
};

/* `*ret_used` bytes belong to the request. A chunked body is joined in place. */
enum http_parsed http_parse(struct text in, char *bytes, struct request *out, size_t *ret_used);

/* The request line and header lines alone; false if they are malformed. */
bool http_parse_line(struct text head, struct request *out);
/* The next header line of `*lines`; false at the end or at a line without a colon. */
bool http_next_header(struct text *lines, struct text *name, struct text *value);
/* Where the header lines of a head start. */
struct text http_header_lines(struct text head);
/* A header's value; n is 0 if it is absent. */
struct text http_header(const struct request *r, const char *name);
/* A query parameter's value, as written; n is 0 if it is absent. */
struct text http_query(const struct request *r, const char *name);

struct reply {
    int status;       /* 0 is 500: nobody answered */
    const char *type; /* Content-Type; NULL is JSON */
    struct buf extra; /* further header lines, each with CRLF */
    struct buf body;
    uint64_t stream_bytes; /* if not 0: a made-up body of that many bytes instead */
    bool chunked;          /* how a streamed body is framed */
};

void http_reply_head(const struct reply *r, bool keep_alive, struct buf *out);
void http_reply_free(struct reply *r);

#endif
