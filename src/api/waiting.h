/* Holding a request until its action settles, its call lands or the time is up. */
#ifndef CS_API_WAITING_H
#define CS_API_WAITING_H

#include "api/app.h"

#define WAITING_MAX 55 /* seconds that a client may ask for */

struct waiting {
    int64_t flight_until; /* env_mono: how long for the upstream's answer to our own call */
    int64_t until;        /* env_mono: how long for the action to settle */
};
/* Has the call that this exchange started come back? To be asked before the action is read: what
 * lands in between would otherwise be taken for the state that was read. */
bool waiting_landed(const struct exchange *x);
/* Parks the exchange (x->action_id, x->flight) if there is something to wait for and time left;
 * true when parked: the handler then returns 0 and `then` runs later. `landed` is what
 * waiting_landed() said before `settled` was read; if it has changed since, `then` runs at once. */
CS_CHECK bool waiting_park(struct app *app, struct exchange *x, const struct waiting *w,
                           bool settled, bool landed, handler_fn *then);

#endif
