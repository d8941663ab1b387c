/* block.h - a canonical label block put together from labels that come in any order.
 *
 * Parts are kept sorted as they are added, so writing is one pass. Labels that many
 * blocks share (a resource's, a scrape target's) are added once to a base and copied.
 *
 * Ownership     names and values are borrowed until write(); the block lives in the arena.
 * Errors        put: QL_E_CONFLICT (the name is there), QL_E_RANGE (over the limits of
 *               model/labels.h), QL_E_MALFORMED (no name, or not UTF-8); nothing is added.
 *               write: QL_E_FULL.
 * Bounds        put O(labels); write O(bytes).
 */
#ifndef QL_WIRE_BLOCK_H
#define QL_WIRE_BLOCK_H

#include "base/arena.h"
#include "base/base.h"
#include "model/labels.h"

struct ql_block {
    uint32_t count;
    size_t bytes; /* of the block as it will be written */
    struct ql_label parts[QL_LABELS_COUNT_MAX];
};

static inline void ql_block_init(struct ql_block *block)
{
    block->count = 0;
    block->bytes = 0;
}
void ql_block_copy(struct ql_block *to, const struct ql_block *from);
/* An empty value means "no such label" and adds nothing. */
QL_MUST_USE ql_err ql_block_put(struct ql_block *block, ql_str name, ql_str value);
/* All labels of a well-formed block. */
QL_MUST_USE ql_err ql_block_put_block(struct ql_block *block, ql_str labels);
/* The part with that name, or NULL. */
const struct ql_label *ql_block_find(const struct ql_block *block, ql_str name);
/* Replaces the value of a label that is there; asserts that it is. */
QL_MUST_USE ql_err ql_block_set(struct ql_block *block, ql_str name, ql_str value);
QL_MUST_USE ql_err ql_block_write(const struct ql_block *block, struct ql_arena *arena,
                                  ql_str *ret_labels);

#endif
