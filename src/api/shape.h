/* Small JSON makers that the views share. All give new references; NULL means out of memory. */
#ifndef CS_API_SHAPE_H
#define CS_API_SHAPE_H

#include "api/app.h"

json_t *shape_text(struct str s);      /* a string, also the empty one */
json_t *shape_opt(struct str s);       /* null for the empty string */
json_t *shape_time(int64_t ms);        /* RFC 3339; null for 0 */
json_t *shape_parsed(struct str text); /* stored JSON text; [] for the empty string */
json_t *shape_texts(const char *const *p, size_t n);
/* {"required","given","quorum"}; the quorum is borrowed. */
json_t *shape_approvals(json_t *quorum, int64_t given);
/* {"id","email"} of a person, or {"id"} alone where the roster does not know them. */
json_t *shape_person(const struct roster *r, struct str id);
/* The operation's name, or "unknown" where the connector does not list it. */
json_t *shape_operation(struct str name);
struct str shape_agent_name(const struct roster *r, struct str id);      /* the id where unknown */
struct str shape_connection_name(const struct roster *r, struct str id); /* likewise */

#endif
