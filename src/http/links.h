/* Connections and the time they may take to deliver a request. libmicrohttpd only knows silence; a
 * client that sends a byte now and then is ended here, with a 408 where one can still be sent. */
#ifndef CS_HTTP_LINKS_H
#define CS_HTTP_LINKS_H

#include <stdatomic.h>

#include "base/env.h"

struct links;

/* One connection. `state` is the only word that both sides change: whoever moves it away from
 * receiving decides whether the request is served or ended. */
struct link {
    struct link *next, **at;
    _Atomic int state;
    _Atomic int64_t since; /* env_mono: when it began to wait for a request, or a request began */
    int fd;                /* borrowed, open while the link is listed */
};

/* `words` is a whole HTTP answer that is sent to those whose request had begun. */
CS_CHECK int links_new(const struct env *env, int64_t limit_ms, struct str words,
                       struct links **ret);
void links_free(struct links *l); /* all links must be gone; NULL is fine */
CS_CHECK int link_open(struct links *l, int fd, struct link **ret);
void link_close(struct links *l, struct link *k); /* NULL is fine */
void link_begun(struct links *l, struct link *k); /* a request line came */
bool link_arrived(struct link *k);                /* the request is whole; false: it was ended */
void link_idle(struct links *l, struct link *k);  /* answered: the next request may come */
/* Writes a whole answer where the HTTP library cannot any more; then the connection must be closed.
 */
void link_last_words(const struct link *k, struct str words);

#endif
