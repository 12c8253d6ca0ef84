/* The headers of every answer, errors too. What protects the page and people's browsers is not left
 * to handlers, and a handler (or a provider whose answer it passes on) cannot weaken it; nor can it
 * touch what frames a message. */
#ifndef CS_HTTP_HEADERS_H
#define CS_HTTP_HEADERS_H

#include "http/call.h"

typedef void header_fn(void *arg, const char *name, const char *value);
/* Calls fn for each header of the answer but those that the HTTP library writes itself. */
void headers_each(const struct call *c, header_fn *fn, void *arg);

#endif
