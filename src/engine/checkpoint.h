/* checkpoint.h - the engine's whole state as of one journal record, on disk.
 *
 * Each owner of state writes a part of its own, checkpoint-<sequence>.<number>.qlp, straight to
 * disk as it is made: a magic, the sequence, then blocks behind their length and hash, the last
 * of them empty. When all are there, checkpoint-<sequence>.qlc, which tells how many, is written,
 * synced and renamed: a crash leaves a whole checkpoint or none. The two newest are kept.
 *
 * Ownership     part_close() frees the part, whatever it returns.
 * Threads       a part belongs to one thread at a time.
 * Errors        QL_E_IO; part_open QL_E_MEMORY; read QL_E_NOT_FOUND (none that is whole).
 * Bounds        a part that is being written holds QL_CHECKPOINT_BLOCK_BYTES in memory, and fails
 *               when less than 8 MiB would be left on the disk.
 */
#ifndef QL_ENGINE_CHECKPOINT_H
#define QL_ENGINE_CHECKPOINT_H

#include "base/base.h"
#include "base/buf.h"

#define QL_CHECKPOINTS_KEPT 2u
#define QL_CHECKPOINT_BLOCK_BYTES ((size_t)1 << 20)

struct ql_checkpoint_part;
QL_MUST_USE ql_err ql_checkpoint_part_open(const char *dir, uint64_t sequence, uint32_t number,
                                           struct ql_checkpoint_part **ret_part);
/* Where its bytes go. */
struct ql_buf *ql_checkpoint_part_buf(struct ql_checkpoint_part *part);
/* Writes the end and syncs. */
QL_MUST_USE ql_err ql_checkpoint_part_close(struct ql_checkpoint_part *part);
/* Parts 0 to part_count - 1 are a checkpoint from now on; older ones than those kept go. */
QL_MUST_USE ql_err ql_checkpoint_commit(const char *dir, uint64_t sequence, uint32_t part_count);
/* Takes back all of one that failed, commit included: a full disk wants its room back. */
void ql_checkpoint_drop(const char *dir, uint64_t sequence, uint32_t part_count);

/* Newest whole checkpoint with sequence <= at_most; the bytes of its parts, in order, are
 * appended to `out`. */
QL_MUST_USE ql_err ql_checkpoint_read(const char *dir, uint64_t at_most, struct ql_buf *out,
                                      uint64_t *ret_sequence);
/* Sequence of the oldest checkpoint kept, and of the newest, readable or not; 0: none. */
uint64_t ql_checkpoint_oldest(const char *dir);
uint64_t ql_checkpoint_newest(const char *dir);

#endif
