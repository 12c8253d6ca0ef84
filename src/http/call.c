/* The life of a call's memory. What outlives the request is a row in the store. */
#include "http/call.h"

#include <string.h>
#include <unistd.h>

/* Handlers list at most a few hundred rows and show one payload whole, several times encoded. */
static size_t arena_cap(const struct config *cfg)
{
    return ((size_t)16 << 20) + 8 * (size_t)(cfg->limit_body + cfg->limit_answer);
}

int call_init(struct call *c, const struct app *app)
{
    *c = (struct call){.x = {.stream_fd = -1, .stream_bytes = -1}};
    c->x.arena = arena_new(arena_cap(app->cfg));
    if (!c->x.arena)
        return ERR_NOMEM;
    c->x.secure = strncmp(app->cfg->public_url, "https:", 6) == 0;
    return 0;
}

void call_free(struct call *c)
{
    struct exchange *x = &c->x;
    if (!x->arena)
        return;
    if (x->stream_fd >= 0)
        close(x->stream_fd);
    flight_unref(x->flight);
    roster_unref(x->who.roster);
    json_decref(x->query);
    json_decref(x->json);
    json_decref(x->answer_headers);
    buf_free(&x->out);
    arena_free(x->arena);
    *c = (struct call){.x = {.stream_fd = -1}};
}
