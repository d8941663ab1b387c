#include "base/slab.h"

#include <stdlib.h>

enum { SLAB_COUNT_MIN = 16 };
#define SLAB_NO_FREE UINT32_MAX

void ql_slab_init(struct ql_slab *slab, uint32_t object_bytes, uint32_t count_max)
{
    QL_ASSERT(object_bytes > 0);
    QL_ASSERT(count_max < SLAB_NO_FREE);
    *slab = (struct ql_slab){
        .object_bytes = object_bytes, .count_max = count_max, .free_head = SLAB_NO_FREE
    };
}

void ql_slab_fini(struct ql_slab *slab)
{
    if (slab != NULL) {
        free(slab->objects);
        free(slab->generations);
        free(slab->next_free);
        *slab = (struct ql_slab){ .object_bytes = slab->object_bytes,
                                  .count_max = slab->count_max,
                                  .free_head = SLAB_NO_FREE };
    }
}

/* Each array that grew stays grown when a later one finds no memory: `capacity` is
 * what all three have. */
static ql_err slab_grow(struct ql_slab *slab)
{
    uint32_t capacity = slab->capacity < SLAB_COUNT_MIN ? SLAB_COUNT_MIN : slab->capacity;
    if (slab->capacity >= SLAB_COUNT_MIN) {
        capacity = capacity > slab->count_max / 2 ? slab->count_max : capacity * 2;
    }
    capacity = capacity > slab->count_max ? slab->count_max : capacity;
    void *objects = realloc(slab->objects, (size_t)capacity * slab->object_bytes);
    if (objects == NULL) {
        return QL_E_MEMORY;
    }
    slab->objects = objects;
    uint32_t *generations = realloc(slab->generations, capacity * sizeof(uint32_t));
    if (generations == NULL) {
        return QL_E_MEMORY;
    }
    slab->generations = generations;
    uint32_t *next_free = realloc(slab->next_free, capacity * sizeof(uint32_t));
    if (next_free == NULL) {
        return QL_E_MEMORY;
    }
    slab->next_free = next_free;
    memset(generations + slab->capacity, 0, (capacity - slab->capacity) * sizeof(uint32_t));
    slab->capacity = capacity;
    return QL_OK;
}

static void *slab_object(const struct ql_slab *slab, uint32_t index)
{
    return slab->objects + (size_t)index * slab->object_bytes;
}

ql_err ql_slab_add(struct ql_slab *slab, ql_slab_id *ret_id)
{
    uint32_t index = slab->free_head;
    if (index != SLAB_NO_FREE) {
        slab->free_head = slab->next_free[index];
    } else {
        if (slab->used_count == slab->count_max) {
            return QL_E_FULL;
        }
        if (slab->used_count == slab->capacity) {
            const ql_err err = slab_grow(slab);
            if (err != QL_OK) {
                return err;
            }
        }
        index = slab->used_count++;
    }
    slab->generations[index]++;
    QL_ASSERT((slab->generations[index] & 1) == 1);
    slab->live_count++;
    memset(slab_object(slab, index), 0, slab->object_bytes);
    *ret_id = (ql_slab_id){ index, slab->generations[index] };
    return QL_OK;
}

static bool slab_is_live(const struct ql_slab *slab, ql_slab_id id)
{
    return id.index < slab->used_count && (id.generation & 1) == 1 &&
           slab->generations[id.index] == id.generation;
}

void *ql_slab_get(const struct ql_slab *slab, ql_slab_id id)
{
    return slab_is_live(slab, id) ? slab_object(slab, id.index) : NULL;
}

void ql_slab_drop(struct ql_slab *slab, ql_slab_id id)
{
    QL_ASSERT(slab_is_live(slab, id));
    QL_ASSERT(slab->live_count > 0);
    slab->generations[id.index]++;
    slab->next_free[id.index] = slab->free_head;
    slab->free_head = id.index;
    slab->live_count--;
}

bool ql_slab_next(const struct ql_slab *slab, uint32_t *index, ql_slab_id *ret_id)
{
    for (; *index < slab->used_count; (*index)++) {
        const uint32_t generation = slab->generations[*index];
        if ((generation & 1) == 1) {
            *ret_id = (ql_slab_id){ *index, generation };
            (*index)++;
            return true;
        }
    }
    return false;
}
