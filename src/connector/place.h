/* Places: where in a request something stands (a JSON pointer into the body, a header's name), what
 * may stand there, and texts with {secret} names that are filled in. Shared by the loader, which
 * refuses bad places, and by request and wire, which empty and fill them. */
#ifndef CS_CONNECTOR_PLACE_H
#define CS_CONNECTOR_PLACE_H

#include "base/json.h"

#define PLACE_MAX 256 /* longest pointer */

bool place_pointer_valid(struct str s); /* RFC 6901, not the whole document */
bool place_header_valid(struct str s);  /* a token in lower case */
/* May these bytes be a header's value or part of a URL? Printable ASCII only, so that no line can
 * be broken and no two programs read it differently. */
bool place_text_safe(struct str s);

/* Removes what stands at the pointer, also what slides there in a list. */
void place_drop(json_t *body, struct str pointer);
/* Puts a value at the pointer, making objects on the way (a list where the next step is "0").
 * Takes over the value's reference. ERR_MALFORMED if something else is in the way. */
CS_CHECK int place_set(json_t *body, struct str pointer, json_t *value);

/* The same for forms, lists of [name, value]: only pointers of one step name anything. */
bool place_form_drop(json_t *pairs, struct str pointer); /* did it remove any? */
CS_CHECK int place_form_set(json_t *pairs, struct str pointer, struct str value);

/* Texts with {names}. `next` steps through the names; false at the end or at a stray brace, which
 * sets *bad. */
bool place_name_next(struct str *rest, struct str *name, bool *bad);
/* Fills the names from an object of strings; ERR_K_CREDENTIAL, naming the secret, if one is absent
 * or empty. */
CS_CHECK int place_fill(const char *text, const json_t *secrets, struct buf *out, struct fail *f);

#endif
