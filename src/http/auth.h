/* Who is calling, and whether the route's row lets them in. Zero denies: a row without an admission
 * admits nobody. */
#ifndef CS_HTTP_AUTH_H
#define CS_HTTP_AUTH_H

#include "http/call.h"

/* Fills x->who from a key, a token or a session. Nobody is no error here; a key, token or session
 * that is not valid is. */
CS_CHECK int auth_identify(struct app *app, struct call *c, struct fail *f);
/* May this caller use the row: ERR_UNAUTHENTICATED, ERR_LOGIN_REQUIRED, ERR_CSRF,
 * ERR_WRONG_PRINCIPAL, in this order. */
CS_CHECK int auth_permit(const struct app *app, const struct call *c, struct fail *f);

#endif
