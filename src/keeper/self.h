/* What keeper has: one struct, made by keeper.c, lent to the files that do one thing with it.
 * Private to src/keeper. */
#ifndef CS_KEEPER_SELF_H
#define CS_KEEPER_SELF_H

#include "base/config.h"
#include "keeper/roster_hold.h"
#include "keeper/send.h"
#include "policy/in_force.h"

struct execution;
struct said;

struct keeper {
    const struct config *cfg;
    struct config files; /* cfg, but policy and connectors where the parent opened them last */
    int files_fd[2];
    char connectors_at[32], policy_at[32];
    const struct env *env;
    struct keyring kek;
    struct journal *journal;
    struct roster_hold roster;
    struct rules *rules;
    struct sender *sender;
    /* to gate */
    int control_fd, signal_fd, gate_fd; /* gate_fd: -1 while there is no gate */
    bool greeted;                       /* HELLO is done */
    struct said *said_first, *said_last;
    size_t said_bytes;
    /* orders */
    void *executions; /* tsearch tree: waiting, being sent, or ended and not yet acknowledged */
    struct execution *waiting_first, *waiting_last, *staged;
    size_t n_executions, kept_bytes, n_deliveries;
};

/* Queues a frame for gate, if there is one; takes the fields, and the descriptor unless it returns
 * false. It leaves after the turn's journal commit. */
bool keeper_say(struct keeper *k, enum verb verb, uint64_t id, struct buf *fields, int stream_fd);
/* Gate has gone: closes its socket and drops what was not said. */
void keeper_silence(struct keeper *k);

#endif
