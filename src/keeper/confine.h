/* What keeper gives up: core files, being traced, other users' rights. */
#ifndef CS_KEEPER_CONFINE_H
#define CS_KEEPER_CONFINE_H

#include "base/config.h"

/* Before any secret is read: no core files, no ptrace, memory of libcurl and jansson wiped when
 * freed. */
CS_CHECK int confine_begin(struct fail *f);
/* Opens data_dir/keeper, making it if need be, and gives it to the account that confine_drop takes.
 */
CS_CHECK int confine_folder(const struct config *cfg, int *ret_dirfd, struct fail *f);
/* After files were opened: as root, changes to cfg->user (or nobody) for good; in every case no new
 * privileges. */
CS_CHECK int confine_drop(const struct config *cfg, struct fail *f);

#endif
