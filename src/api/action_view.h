/* The action object: for its agent, for people, and shorter in lists. */
#ifndef CS_API_ACTION_VIEW_H
#define CS_API_ACTION_VIEW_H

#include "api/sight.h"

/* Answers longer than this stand only on /proxy/, not in the JSON object. */
#define VIEW_BODY_MAX ((size_t)1 << 20)

/* All give new references. */
/* A line of a list: everything but what is sealed (`state` and `result` are left out). */
CS_CHECK int view_line(struct app *app, const struct roster *r, const struct action *a,
                       json_t **ret);
/* The whole object as its agent sees it. */
CS_CHECK int view_agent(struct app *app, const struct sight *s, json_t **ret);
/* A line of a reviewer's list: with agent, owner, impact and can, recounted. */
CS_CHECK int view_review(struct app *app, const struct sight *s, const struct principal *who,
                         json_t **ret);
/* The whole object for people: request, impact, votes, timeline, can. Needs a sight with events. */
CS_CHECK int view_person(struct app *app, const struct sight *s, const struct principal *who,
                         json_t **ret);

/* Reads the action and gives the view that fits the principal. ERR_NOT_FOUND also for what it may
 * not see. *state (may be NULL) is the action's. Tells life when an outcome goes to its agent. */
CS_CHECK int view_for(struct app *app, const struct principal *who, struct str id, json_t **ret,
                      enum state *state);

#endif
