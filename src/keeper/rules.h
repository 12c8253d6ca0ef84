/* Keeper's own copy of policy and connectors. Calls in flight keep theirs over a reload. */
#ifndef CS_KEEPER_RULES_H
#define CS_KEEPER_RULES_H

#include "keeper/self.h"

/* *f names the first complaint. */
CS_CHECK int rules_load(const struct config *cfg, struct rules **ret, struct fail *f);
/* Reads the files again if those in force are not gate's: both processes must judge by the same.
 * ERR_CONFLICT: they still are not, and what was in force stays so. */
CS_CHECK int rules_agree(struct keeper *k, struct str policy, struct str connectors,
                         struct fail *f);

/* Where to read from next time: an open policy file and an open folder of connectors, from the
 * parent. Takes both descriptors. */
void rules_take_files(struct keeper *k, int policy, int connectors);

#endif
