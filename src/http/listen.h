/* Listening sockets. */
#ifndef CS_HTTP_LISTEN_H
#define CS_HTTP_LISTEN_H

#include "base/err.h"
#include "base/str.h"

/* Binds "host:port" (numeric, or localhost) and listens; port 0 takes any. ERR_CONFLICT when the
 * address is taken, ERR_CONFIG when it cannot be had. */
CS_CHECK int listen_on(struct str address, int *ret_fd, uint16_t *ret_port, struct fail *f);
/* Raises the limit of open files towards the hard limit, so that `connections` fit. */
void listen_raise_limit(int64_t connections);

#endif
