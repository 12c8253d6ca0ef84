/* The table of messages that keeper takes, made from message.def. */
#ifndef CS_KEEPER_DISPATCH_H
#define CS_KEEPER_DISPATCH_H

#include "keeper/self.h"

/* Takes one frame; what is answered is queued. False: it came at the wrong time or does not decode,
 * so the peer is not gate and the process ends. */
CS_CHECK bool dispatch_frame(struct keeper *k, struct frame *f);

#endif
