/* The one registry of connections that wait: for an upstream's answer, or for an action to change
 * (`wait`). A waiting connection is suspended and holds no worker. A wake-up is never lost: every
 * change raises one counter and leaves its value with the action's bucket; an exchange notes the
 * counter before its handler looks at the store, and is woken at once if the bucket has been
 * stamped later than that by the time it is parked. Streams of events are kept in http/events.h. */
#ifndef CS_HTTP_WAITERS_H
#define CS_HTTP_WAITERS_H

#include "api/exchange.h"

struct waiters;
/* wake is called, from any thread, with what was given to waiters_park; it must only queue it. */
CS_CHECK int waiters_new(const struct env *env,
                         void (*wake)(void *arg, void *parked, bool timed_out), void *arg,
                         struct waiters **ret);
void waiters_free(struct waiters *w); /* nobody may be parked any more */
uint64_t waiters_mark(struct waiters *w);
/* Parks until the action changes (after `mark` was taken) or `until` (env_mono) has come. Once
 * waiters_wake_all was called nobody is kept: it wakes at once, as if the time were up. */
CS_CHECK int waiters_park(struct waiters *w, struct str action, uint64_t mark, int64_t until,
                          void *parked);
void waiters_wake(struct waiters *w, struct str action); /* the action changed */
void waiters_wake_all(struct waiters *w);                /* at shutdown: as if the time were up */
size_t waiters_count(struct waiters *w);

#endif
