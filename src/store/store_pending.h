/* store_pending.h - ticks that could not be written yet, in order. Private to src/store.
 *
 * While the disk is full the engine goes on; its conclusions wait here as deep copies and
 * are written as soon as there is room.
 *
 * Ownership     init/fini; ticks are copied.
 * Errors        QL_E_FULL (no memory included): the tick did not fit, and nothing changed.
 * Bounds        QL_PENDING_TICKS_MAX ticks of at most QL_PENDING_TEXT_BYTES_MAX of texts each.
 */
#ifndef QL_STORE_STORE_PENDING_H
#define QL_STORE_STORE_PENDING_H

#include "base/base.h"
#include "model/batch.h"

#define QL_PENDING_TICKS_MAX 512u
#define QL_PENDING_TEXT_BYTES_MAX ((size_t)4 << 20)

struct ql_pending_tick {
    uint64_t sequence;
    ql_time now;
    struct ql_batch bus;
};
struct ql_pending {
    struct ql_pending_tick *ticks[QL_PENDING_TICKS_MAX];
    uint32_t first, count;
};

void ql_pending_init(struct ql_pending *pending);
void ql_pending_fini(struct ql_pending *pending);
QL_MUST_USE ql_err ql_pending_add(struct ql_pending *pending, uint64_t sequence, ql_time now,
                                  const struct ql_batch *bus);
const struct ql_pending_tick *ql_pending_first(const struct ql_pending *pending); /* or NULL */
void ql_pending_drop_first(struct ql_pending *pending);

#endif
