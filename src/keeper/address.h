/* What kind of network address a name resolved to, asked of the very address being connected. */
#ifndef CS_KEEPER_ADDRESS_H
#define CS_KEEPER_ADDRESS_H

#include <sys/socket.h>

/* Zero: never, not even where private addresses are allowed (cloud metadata, other families). */
enum address_kind { ADDRESS_NEVER = 0, ADDRESS_PRIVATE, ADDRESS_PUBLIC };

enum address_kind address_kind(const struct sockaddr *sa);
enum address_kind address_kind_text(const char *ip); /* "10.0.0.1", "fe80::1%eth0" */

#endif
