/* One HTTP request out, one answer in, many at a time on one thread (libcurl's multi interface).
 * At most one send: when a reused connection dies before the answer, libcurl would send again by
 * itself; here that ends the exchange instead, unless it is repeatable. No redirects, no proxy, no
 * cookies, no netrc; every address is judged when it is connected and again when it is reused. */
#ifndef CS_KEEPER_SEND_H
#define CS_KEEPER_SEND_H

#include <curl/curl.h>
#include "base/json.h"

struct sender;
struct exchange;

struct send_limits {
    long connect_ms, total_ms, calls;
};
struct send_order {
    const char *method;
    struct str url, headers, body; /* headers: "Name: value\n" lines; all copied */
    bool has_body;
    bool allow_private;  /* addresses that are not public */
    bool allow_plain;    /* http beside https */
    bool repeatable;     /* may reach the other side twice */
    size_t keep;         /* most bytes of the answer's body to keep */
    const json_t *blank; /* object of strings that must not come back; NULL: none */
    /* Called once when the body grows over `keep`: a socket to the caller, who returns whether it
     * took it. NULL: the rest is counted and dropped. */
    bool (*on_stream)(void *arg, struct exchange *x, int fd);
    void (*on_end)(void *arg, struct exchange *x); /* x is freed after; take what is needed */
    void *arg;
};

/* Zero is the one that promises nothing. */
enum send_fate { SEND_UNKNOWN = 0, SEND_ANSWERED, SEND_NOT_SENT };
struct exchange {
    enum send_fate fate;
    bool address_refused;
    char detail[160];
    int status;
    json_t *headers; /* [[name, value]] as received, names in lower case */
    struct buf body; /* what was kept, secrets blanked */
    int64_t body_bytes;
    bool body_omitted;
};

CS_CHECK int sender_new(const struct send_limits *limits, struct sender **ret);
void sender_free(struct sender *s); /* open exchanges are dropped without a word */
CS_CHECK int sender_start(struct sender *s, const struct send_order *o);
size_t sender_load(const struct sender *s); /* exchanges not ended */
bool sender_idle(const struct sender *s);   /* none, and no stream left to drain */
/* Works and waits: `fds` are the caller's. */
void sender_wait(struct sender *s, struct curl_waitfd *fds, unsigned n, int timeout_ms);
void sender_work(struct sender *s);

#endif
