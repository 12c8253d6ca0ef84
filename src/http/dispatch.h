/* From a request to its answer: the route's row decides who may call, with which body; the handler
 * only ever sees what has passed. Everything that fails before it answers problem+json. */
#ifndef CS_HTTP_DISPATCH_H
#define CS_HTTP_DISPATCH_H

#include "http/call.h"

/* Judges what the head alone tells: framing, target, method, length. False: the answer (a refusal,
 * or OPTIONS) is there already. */
bool dispatch_head(struct app *app, struct call *c, struct str version);
/* The rest, on a worker: query, caller, body, handler. Afterwards the answer is there, or
 * x.park.set and dispatch_park is to be called. */
void dispatch_run(struct app *app, struct call *c);
/* Parks a call; c->woken may run before this returns, so that the caller must not touch c after. */
void dispatch_park(struct app *app, struct call *c);
/* Goes on with a parked call on a worker, after c->woken; x.timed_out says why. */
void dispatch_resume(struct app *app, struct call *c);
/* Makes the error the answer, whatever stood there before. */
void dispatch_refuse(struct call *c, int err, const struct fail *f);

#endif
