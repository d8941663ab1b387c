/* shared.h - each distinct text once for as long as somebody holds it, named by a number.
 *
 * take() counts a holder, drop() takes one away, and the number of a text that nobody holds is
 * given to a later one, the newest freed first. What was freed lies in the arena until it is more
 * than what is held; then the held texts move.
 *
 * Ownership     the table owns the bytes; a view is valid until the next take() or drop().
 * Errors        take: QL_E_FULL at count_max or bytes_max, QL_E_MEMORY. load: QL_E_MALFORMED.
 * Bounds        O(bytes) each, amortised; about 28 B a text on top of its bytes, and while texts
 *               go up to as much again of bytes.
 * Determinism   numbers follow from the order of calls; save() keeps them and the free ones.
 */
#ifndef QL_BASE_SHARED_H
#define QL_BASE_SHARED_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/map.h"

struct ql_shared_text { const char *at; uint32_t bytes, holders; }; /* at NULL: bytes is the next */
struct ql_shared {
    struct ql_map128 by_hash;
    struct ql_arena arena;
    struct ql_shared_text *texts;
    uint32_t count, capacity, count_max; /* numbers below count were given */
    uint32_t free_head;                  /* 1 + number; 0: none */
    size_t freed_bytes;                  /* of the arena */
};

void ql_shared_init(struct ql_shared *shared, uint32_t count_max, size_t bytes_max);
void ql_shared_fini(struct ql_shared *shared);
QL_MUST_USE ql_err ql_shared_take(struct ql_shared *shared, ql_str text, uint32_t *ret_number);
void ql_shared_drop(struct ql_shared *shared, uint32_t number);
uint32_t ql_shared_find(const struct ql_shared *shared, ql_str text); /* QL_MAP_NONE if absent */
ql_str ql_shared_text(const struct ql_shared *shared, uint32_t number); /* asserts that it is held */
size_t ql_shared_bytes(const struct ql_shared *shared);

/* Numbers and texts without their holders, who take them again after load; then all_held() tells
 * whether each has one. */
ql_err ql_shared_save(const struct ql_shared *shared, struct ql_buf *out);
QL_MUST_USE ql_err ql_shared_load(struct ql_shared *shared, struct ql_reader *in);
bool ql_shared_all_held(const struct ql_shared *shared);

#endif
