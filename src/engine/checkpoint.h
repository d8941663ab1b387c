/* checkpoint.h - the engine's whole state as of one journal record, on disk.
 *
 * A file checkpoint-<sequence>.qlc: magic, sequence, number of parts, then each part behind
 * its length and hash. It is written beside the old ones, synced and renamed, so a crash
 * leaves either the new file or none. The two newest are kept.
 *
 * Errors        write QL_E_IO; read QL_E_NOT_FOUND (none that is whole), QL_E_IO.
 */
#ifndef QL_ENGINE_CHECKPOINT_H
#define QL_ENGINE_CHECKPOINT_H

#include "base/base.h"
#include "base/buf.h"

#define QL_CHECKPOINTS_KEPT 2u

QL_MUST_USE ql_err ql_checkpoint_write(const char *dir, uint64_t sequence, const ql_str *parts,
                                       uint32_t part_count);
/* Newest whole checkpoint with sequence <= at_most; its bytes are appended to `out`. */
QL_MUST_USE ql_err ql_checkpoint_read(const char *dir, uint64_t at_most, struct ql_buf *out,
                                      uint64_t *ret_sequence);
/* Sequence of the oldest checkpoint kept; 0: none. */
uint64_t ql_checkpoint_oldest(const char *dir);

#endif
