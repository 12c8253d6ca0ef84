/* /_control: how a test moves the clock, makes things go wrong, and sees what happened.
 * Open to anyone on this machine: the sandbox listens on the loopback address only. */
#ifndef SANDBOX_CONTROL_H
#define SANDBOX_CONTROL_H

#include "sandbox.h"

void control_act(struct sandbox *sb, const struct call *c, struct reply *out);

#endif
