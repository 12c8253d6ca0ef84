/* The vendor's own SDK pointed at us. */
#ifndef CS_PROXY_PROXY_H
#define CS_PROXY_PROXY_H

#include "api/app.h"

/* Finds the agent by the key in Authorization or in the header where the vendor's client puts its
 * key. ERR_KEY_MISMATCH for two different keys; ERR_UNAUTHENTICATED otherwise, with a detail that
 * warns of a leaked vendor's secret if something there is no csa_ key (it is never logged). */
CS_CHECK int proxy_authenticate(struct app *app, const struct exchange *x, const struct agent **ret,
                                struct fail *f);

#endif
