/* slab.h - equal-sized objects named by id with generation instead of by pointer.
 *
 * An id of an object that was dropped is never valid again until its slot's
 * 32-bit generation wraps, so a late reference finds nothing instead of a stranger.
 *
 * Ownership     the slab owns the objects; get() borrows until the next add().
 * Errors        add() QL_E_FULL at count_max, QL_E_MEMORY.
 * Bounds        O(1) each; object_bytes + 8 per slot; grows by doubling to count_max.
 */
#ifndef QL_BASE_SLAB_H
#define QL_BASE_SLAB_H

#include "base/base.h"

typedef struct { uint32_t index, generation; } ql_slab_id; /* generation 0 is never given out */

struct ql_slab {
    unsigned char *objects;
    uint32_t *generations; /* odd: live, even: free */
    uint32_t *next_free;
    uint32_t object_bytes, capacity, used_count, live_count, count_max, free_head;
};

void ql_slab_init(struct ql_slab *slab, uint32_t object_bytes, uint32_t count_max);
void ql_slab_fini(struct ql_slab *slab);
QL_MUST_USE ql_err ql_slab_add(struct ql_slab *slab, ql_slab_id *ret_id); /* object is zeroed */
void *ql_slab_get(const struct ql_slab *slab, ql_slab_id id); /* NULL when it is gone */
void ql_slab_drop(struct ql_slab *slab, ql_slab_id id);       /* asserts that it is live */
/* Walks live objects: start with index 0; false at the end. */
bool ql_slab_next(const struct ql_slab *slab, uint32_t *index, ql_slab_id *ret_id);

#endif
