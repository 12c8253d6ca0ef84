/* The keeper's journal: an append-only file that says what was sent, before it was sent. Format:
 *   header: "csj1", u32 key version
 *   record: u32 length, u32 ~length, payload (u8 type, i64 time, fields), 32 bytes MAC
 * The MAC is keyed BLAKE2b over the record before's MAC (the first: over the header), length and
 * payload, so a record cannot be altered, left out or moved. A record cut short at the end is what
 * a crash leaves and is dropped; any other damage keeps keeper from starting. Only what still
 * matters is carried over at each start. A file that is lost begins a new epoch. */
#ifndef CS_KEEPER_JOURNAL_H
#define CS_KEEPER_JOURNAL_H

#include "base/env.h"
#include "base/secret.h"
#include "keeper/ledger.h"

#define JOURNAL_GROWN ((int64_t)64 << 20) /* compacted once it is larger */

struct journal;

/* dirfd is data_dir/keeper, kept by the caller; it is locked against a second keeper. ERR_CONFLICT:
 * another has it. ERR_SEAL: the file is damaged. */
CS_CHECK int journal_open(int dirfd, const struct keyring *kek, const struct env *env,
                          struct journal **ret, struct fail *f);
void journal_close(struct journal *j);
const struct ledger *journal_ledger(const struct journal *j);
/* The highest time seen: a clock set back revives nothing. */
int64_t journal_now(struct journal *j);

/* These write into memory; nothing counts before journal_commit. */
void journal_sent(struct journal *j, struct str workspace, struct str action,
                  const struct attempt *a);
void journal_done(struct journal *j, const struct keeper_result *r);
void journal_revoke(struct journal *j, const struct revocation *r);
void journal_roster(struct journal *j, int64_t version, const char *hash);
/* Writes; synced says whether it must survive a power cut too. An error means that nobody knows
 * what is on disk: the caller ends the process. */
CS_CHECK int journal_commit(struct journal *j, bool synced);
bool journal_unsynced(const struct journal *j); /* SENT, REVOKE or ROSTER since the last sync */
CS_CHECK int journal_ending(struct journal *j, const struct attempt *a, struct keeper_result *ret);

/* Pure: reads a whole file's bytes. *ret_good: bytes up to a record cut short. For tests and
 * fuzzing. */
CS_CHECK int journal_read(const struct keyring *kek, struct str bytes, struct ledger *ret,
                          size_t *ret_good, struct fail *f);

#endif
