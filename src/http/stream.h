/* Bodies that come out of a socket (a provider's answer that is too large to keep): constant
 * memory, no thread each. One thread watches all sockets that had nothing to give. */
#ifndef CS_HTTP_STREAM_H
#define CS_HTTP_STREAM_H

#include "base/err.h"
#include "http/body.h"

struct streams;
CS_CHECK int streams_new(struct streams **ret);
/* Takes fd over, also on error. */
CS_CHECK int stream_open(struct streams *s, int fd, struct body **ret);
void streams_end(struct streams *s);  /* those that still wait break off */
void streams_free(struct streams *s); /* all bodies must be closed; NULL is fine */

#endif
