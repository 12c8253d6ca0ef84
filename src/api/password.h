/* Argon2id, at most a few at a time. password_hash() is in session.h. */
#ifndef CS_API_PASSWORD_H
#define CS_API_PASSWORD_H

#include "base/err.h"
#include "base/str.h"

struct passwords;
CS_CHECK int passwords_new(struct passwords **ret);
void passwords_free(struct passwords *p);
/* Does the password give this hash? With no hash ("") the same work is done and the answer is no.
 * ERR_UNAVAILABLE when too many wait already; 0 with *ret otherwise. */
CS_CHECK int passwords_verify(struct passwords *p, const char *hash, struct str password,
                              bool *ret);

#endif
