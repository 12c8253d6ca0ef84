/* Orders on their way: waiting for room, being sent, ended and not yet acknowledged by gate. */
#ifndef CS_KEEPER_EXECUTE_H
#define CS_KEEPER_EXECUTE_H

#include "keeper/self.h"

/* Takes an EXECUTE frame's fields, and its result follows. ERR_MALFORMED: not an order. */
CS_CHECK int execute_take(struct keeper *k, struct frame *f);
/* Checks waiting orders while there is room; reads leave at once, what is journalled is staged. */
void execute_start(struct keeper *k);
/* Hands over what was staged; call it once the journal has been synced. */
void execute_launch(struct keeper *k);
/* What is known of an attempt. *ret is a copy for ATTEMPT_DONE, to be freed. */
CS_CHECK int execute_query(struct keeper *k, struct str workspace, struct str action,
                           int64_t attempt, struct str epoch, enum attempt_state *ret_state,
                           struct keeper_result *ret);
void execute_ack(struct keeper *k, struct str workspace, struct str action, int64_t attempt);
void execute_free(struct keeper *k);

#endif
