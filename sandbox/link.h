/* Link, in little: tokens for update mode, and the hosted page where a person logs in again.
 * Finishing there mends the Item: every rule that demands a login or an action ends. */
#ifndef SANDBOX_LINK_H
#define SANDBOX_LINK_H

#include "sandbox.h"

#define LINK_PATH "/hosted_link/"

void link_token_create(struct sandbox *sb, const struct call *c, struct reply *out);
/* GET shows the page, POST finishes. */
void link_act(struct sandbox *sb, const struct call *c, struct reply *out);

#endif
