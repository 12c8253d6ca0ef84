/* The one place that parks. It looks at clocks and at what has been recorded, never at why it was
 * woken, so a wake-up too many costs a look and one too few only time. */
#include "api/waiting.h"

bool waiting_landed(const struct exchange *x)
{
    return x->flight == NULL || flight_result(x->flight) != NULL;
}

bool waiting_park(struct app *app, struct exchange *x, const struct waiting *w, bool settled,
                  bool landed, handler_fn *then)
{
    int64_t until = landed ? w->until : w->flight_until;
    x->park.set = false;
    if ((settled && landed) || x->timed_out || app->stopping || env_mono(app->env) >= until)
        return false;
    struct str id = arena_str(x->arena, str_c(x->action_id));
    if (arena_overflowed(x->arena))
        return false;
    x->park = (struct park){
        .set = true, .action = id, .until = until, .then = then, .flight_only = !landed};
    return true;
}
