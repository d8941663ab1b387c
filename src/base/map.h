/* map.h - open-addressing tables from a 64- or 128-bit hash to a 32-bit value.
 *
 * The key is the hash itself: equality of 128 bits is taken as identity (at 2^32
 * series the chance of one collision is below 2^-64). 64-bit maps are for ids
 * that are already unique or for tables where a rare collision is harmless.
 *
 * Ownership     init/fini. No pointers into the table are handed out.
 * Errors        put() QL_E_FULL at count_max, QL_E_MEMORY.
 * Bounds        O(1) expected; load factor at most 3/4; 24 B (128), 16 B (64) or 8 B (tag) a slot.
 * Determinism   iteration order is the table's; never let it reach an output.
 */
#ifndef QL_BASE_MAP_H
#define QL_BASE_MAP_H

#include "base/base.h"

#define QL_MAP_NONE UINT32_MAX /* "absent"; never stored */

struct ql_map128_slot { ql_hash128 key; uint32_t value, used; };
struct ql_map128 {
    struct ql_map128_slot *slots;
    uint32_t capacity, count, count_max; /* capacity is 0 or a power of two */
};
void ql_map128_init(struct ql_map128 *map, uint32_t count_max);
void ql_map128_fini(struct ql_map128 *map);
uint32_t ql_map128_get(const struct ql_map128 *map, ql_hash128 key); /* QL_MAP_NONE if absent */
QL_MUST_USE ql_err ql_map128_put(struct ql_map128 *map, ql_hash128 key, uint32_t value);
bool ql_map128_drop(struct ql_map128 *map, ql_hash128 key);
static inline void ql_map128_prefetch(const struct ql_map128 *map, ql_hash128 key)
{
    if (map->capacity != 0) {
        __builtin_prefetch(&map->slots[key.low & (map->capacity - 1)]);
    }
}

/* For owners that keep the keys themselves, by dense index: a slot is 32 bits of the key and the
 * index, and what it finds are candidates, which the owner compares. */
struct ql_map_tag_slot { uint32_t tag, above; }; /* above: index + 1; 0: free */
struct ql_map_tag {
    struct ql_map_tag_slot *slots;
    uint32_t capacity, count, count_max;
};
void ql_map_tag_init(struct ql_map_tag *map, uint32_t count_max);
void ql_map_tag_fini(struct ql_map_tag *map);
/* The next candidate for `key`; `cursor` is 0 at first. QL_MAP_NONE: no more. */
uint32_t ql_map_tag_next(const struct ql_map_tag *map, ql_hash128 key, uint32_t *cursor);
/* Adds a key that is not in it. */
QL_MUST_USE ql_err ql_map_tag_add(struct ql_map_tag *map, ql_hash128 key, uint32_t value);
/* Drops the entry of that key and value; false: there is none. */
bool ql_map_tag_drop(struct ql_map_tag *map, ql_hash128 key, uint32_t value);
static inline void ql_map_tag_prefetch(const struct ql_map_tag *map, ql_hash128 key)
{
    if (map->capacity != 0) {
        __builtin_prefetch(&map->slots[(uint32_t)key.low & (map->capacity - 1)]);
    }
}

struct ql_map64_slot { uint64_t key; uint32_t value, used; };
struct ql_map64 {
    struct ql_map64_slot *slots;
    uint32_t capacity, count, count_max;
};
void ql_map64_init(struct ql_map64 *map, uint32_t count_max);
void ql_map64_fini(struct ql_map64 *map);
uint32_t ql_map64_get(const struct ql_map64 *map, uint64_t key);
QL_MUST_USE ql_err ql_map64_put(struct ql_map64 *map, uint64_t key, uint32_t value);
bool ql_map64_drop(struct ql_map64 *map, uint64_t key);
void ql_map64_clear(struct ql_map64 *map);

#endif
