/* Identifiers: a prefix and a UUIDv7 (RFC 9562 section 5.7) in Crockford base 32, lower case,
 * 26 characters: sorted by time of making, unguessable in 74 bits. */
#ifndef CS_BASE_ID_H
#define CS_BASE_ID_H

#include "base/env.h"

#define ID_SIZE 31 /* "act_" + 26 + NUL */
#define UUID_SIZE 37

/* Makes e.g. "act_01j..." ; prefix is three letters. Ids made by one process at one time grow. */
void id_new(const struct env *env, const char *prefix, char out[ID_SIZE]);
bool id_valid(const char *prefix, struct str s);
int64_t id_time(struct str s); /* the time inside a valid id, ms */
/* A UUIDv7 as 8-4-4-4-12 hex, for audit events. */
void uuid_new(const struct env *env, char out[UUID_SIZE]);
/* An unguessable token: prefix ("csa_") and 43 base64url characters (256 bits). */
#define TOKEN_SIZE 52
void token_new(const struct env *env, const char *prefix, char out[TOKEN_SIZE]);

#endif
