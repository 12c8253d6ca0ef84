/* Changing the roster: the next version is made from a copy of the one in force, and put in force
 * by life_roster_change(), which keeper seals and the audit log tells of. */
#ifndef CS_API_ROSTER_EDIT_H
#define CS_API_ROSTER_EDIT_H

#include "api/app.h"

struct roster_edit {
    struct roster *from; /* reference: the version that is being changed */
    json_t *doc;         /* a copy, to be changed */
};
CS_CHECK int roster_edit_begin(struct app *app, struct roster_edit *ret, struct fail *f);
void roster_edit_end(struct roster_edit *e); /* safe on a zeroed one */
/* The entry with this id in "people", "agents" or "connections"; borrowed, NULL where there is
 * none. */
json_t *roster_edit_entry(const struct roster_edit *e, const char *list, const char *id);
/* Appends an entry (reference taken over, NULL is ERR_NOMEM). */
CS_CHECK int roster_edit_add(struct roster_edit *e, const char *list, json_t *entry);
/* Puts it in force; `what` names the change for the audit log. `extra` as in life_roster_change().
 */
CS_CHECK int roster_edit_commit(struct app *app, const struct exchange *x, struct roster_edit *e,
                                const char *what, store_fn *extra, void *extra_arg, struct fail *f);

/* Names of agents, connections, groups and workspaces: [a-z0-9][a-z0-9-]{0,62}. */
bool roster_name_valid(struct str s);
/* One @ with something on both sides, at most 254 bytes, no spaces or control bytes. */
bool roster_email_valid(struct str s);
/* A list of strings from a request; ERR_MALFORMED naming the field otherwise, or if one fails
 * `valid`. */
CS_CHECK int roster_texts(const json_t *list, const char *field, bool (*valid)(struct str s),
                          struct fail *f);

#endif
