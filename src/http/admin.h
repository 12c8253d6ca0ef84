/* The command line's way in: a socket in the data folder, mode 0600, for this user and root. One
 * request a connection: a JSON object {"method","target","workspace","body"}, then the write side
 * is shut down; the answer is "<status>\n" and the body. It goes through the same routes, checks
 * and handlers as HTTP, as WHO_CONSOLE: administration and audit, never a vote. */
#ifndef CS_HTTP_ADMIN_H
#define CS_HTTP_ADMIN_H

#include "api/app.h"

#define ADMIN_SOCKET "admin.sock" /* in data_dir */
#define ADMIN_REQUEST_MAX ((size_t)1 << 20)

struct admin;
/* After server_start, or without a server at all: then nothing can be waited for. ERR_CONFLICT when
 * another process answers on the socket. */
CS_CHECK int admin_start(struct app *app, struct admin **ret, struct fail *f);
/* Before server_stop. Finishes what is in hand; NULL is fine. */
void admin_stop(struct admin *a);

#endif
