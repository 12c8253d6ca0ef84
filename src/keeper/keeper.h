/* The keeper: the only process that holds credentials and the only one that connects outwards. It
 * has no listening socket and no database. Before any call it parses the frozen payload again,
 * hashes it, and derives the tier with its own copy of policy and connectors; tier 2 or more needs
 * a grant whose quorum of votes it verifies against its own roster. */
#ifndef CS_KEEPER_KEEPER_H
#define CS_KEEPER_KEEPER_H

#include "base/config.h"

/* Runs until its control socket closes or SIGTERM; returns the exit status. control_fd is the
 * parent's SOCK_SEQPACKET pair: one-byte messages, 'P' brings a fresh socket to gate by SCM_RIGHTS,
 * 'F' the policy file and the connectors folder, opened anew for a reload.
 */
int keeper_main(const struct config *cfg, int control_fd);

#endif
