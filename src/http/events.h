/* Streams of server-sent events. A change is rendered once for agents and once for people, on a
 * worker, and shared by all streams that may see it. A reader that is too slow is dropped: it comes
 * back with Last-Event-ID and gets what it missed from the store. */
#ifndef CS_HTTP_EVENTS_H
#define CS_HTTP_EVENTS_H

#include "http/body.h"
#include "http/call.h"
#include "http/workers.h"

struct events;
CS_CHECK int events_new(struct app *app, struct workers *workers, struct events **ret);
/* Never blocks. */
void events_changed(struct events *e, const struct life_change *c);
/* Opens a stream for c->x.who, beginning after c->x.events_after; on a worker. */
CS_CHECK int events_open(struct events *e, const struct call *c, struct body **ret);
size_t events_count(struct events *e);
void events_end(struct events *e);  /* all streams end after what they have queued */
void events_free(struct events *e); /* all bodies must be closed, workers stopped; NULL is fine */

#endif
