/* A pool of threads that run straight-line handlers, and the bounded queue before it. What is new
 * may be turned away; what was taken on and waited comes back without being asked. */
#ifndef CS_HTTP_WORKERS_H
#define CS_HTTP_WORKERS_H

#include "base/err.h"
#include "base/str.h"

struct job {
    struct job *next;
    void (*run)(struct job *j); /* may free j */
};

struct workers;
CS_CHECK int workers_new(size_t threads, size_t queue, struct workers **ret);
bool workers_offer(struct workers *w, struct job *j); /* false: the queue is full, or it is over */
void workers_put(struct workers *w, struct job *j);   /* work taken on before; never refused */
size_t workers_queued(struct workers *w);
void workers_end(struct workers *w);  /* runs what is queued and joins; NULL is fine */
void workers_free(struct workers *w); /* after workers_end; NULL is fine */

#endif
