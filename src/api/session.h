/* Sessions of people: a random token in a cookie, its hash in a row, and a MAC over the row under a
 * key that is not in the database, so that a row made or edited by SQL is nobody. Idle and absolute
 * limits; ended for good when the person is disabled. Also the throttle of failed sign-ins. */
#ifndef CS_API_SESSION_H
#define CS_API_SESSION_H

#include "api/exchange.h"

struct sessions;

CS_CHECK int sessions_new(struct life *l, const struct config *cfg, struct sessions **ret);
void sessions_free(struct sessions *s);

/* Password check (Argon2id, at most two at a time; the same time for unknown emails), throttle,
 * audit event, new session. *ret_token goes into the cookie. */
struct session_made {
    char token[TOKEN_SIZE], csrf[TOKEN_SIZE], id[ID_SIZE];
};
CS_CHECK int session_login(struct sessions *s, const struct roster *r, struct str workspace,
                           struct str email, struct str password, struct str remote,
                           struct session_made *ret, struct fail *f);
/* Fills who->person, session, csrf, auth_time (arena memory). ERR_LOGIN_REQUIRED if it is no live
 * session. */
CS_CHECK int session_find(struct sessions *s, struct arena *a, struct str token,
                          struct principal *who);
CS_CHECK int session_end(struct sessions *s, const struct principal *who);
/* Ends and revokes all of a person's sessions. */
CS_CHECK int session_end_all(struct sessions *s, struct str workspace, struct str person);

/* Argon2id text of a password ("$argon2id$..."), for the roster. Passwords of 12 to 256 bytes. */
CS_CHECK int password_hash(struct str password, char out[128], struct fail *f);

/* "countersign" or "__Host-countersign". */
const char *session_cookie_name(bool secure);

#endif
