/* An action as it stands: its row, its votes and its audit events, read on one snapshot, with
 * memory of its own, so that a list of large ones is never held whole. */
#ifndef CS_API_SIGHT_H
#define CS_API_SIGHT_H

#include "api/app.h"
#include "audit/audit.h"

#define SIGHT_VOTES 256

struct sight {
    struct action act;
    struct action_vote *vote;
    size_t n_votes;
    json_t *events;     /* stored audit events of the action, oldest first; NULL unless asked for */
    json_t *deliveries; /* webhooks of the action and how far each has come */
    struct roster *roster; /* the one in force now, not the one when the exchange began */
    struct rules *rules;   /* likewise */
    struct arena *arena;
};
/* ERR_NOT_FOUND where the workspace has no such action, also for what is no id at all. */
CS_CHECK int sight_read(struct app *app, struct str workspace, struct str id, bool with_events,
                        struct sight *ret);
void sight_free(struct sight *s); /* safe on a zeroed one */

#endif
