/* A whole answer as bytes, for where the HTTP library can give none: a request that takes too long
 * to arrive, a refused body without end. The connection is closed behind it. */
#ifndef CS_HTTP_LAST_WORDS_H
#define CS_HTTP_LAST_WORDS_H

#include "http/call.h"

CS_CHECK int last_words_write(const struct call *c, struct buf *out);
/* The same for an error without a request. */
CS_CHECK int last_words_of(int err, const struct app *app, struct buf *out);

#endif
