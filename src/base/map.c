/* map.c - hash maps with linear probing.
 *
 * Good for     lookups that mostly hit, one cache line each; keys that are hashes.
 * Bad for      ordered walks; keeping pointers to values.
 * Method       linear probing with backward-shift deletion (Knuth 6.4, algorithm R), so
 *              there are no tombstones and lookups never slow down with age.
 * Cost         1.5 to 2.5 slots per hit at the load factors used; growth moves every slot.
 */
#include "base/map.h"

#include <stdlib.h>

enum { MAP_COUNT_MIN = 16 };

static uint32_t map_capacity_after(uint32_t capacity)
{
    return capacity == 0 ? MAP_COUNT_MIN : capacity * 2;
}

/* True when one more entry would pass the load factor of 3/4. */
static bool map_is_loaded(uint32_t count, uint32_t capacity)
{
    return (uint64_t)(count + 1) * 4 > (uint64_t)capacity * 3;
}

/* May the entry whose probing starts at `home` be moved from slot `from` back to `hole`? */
static bool map_may_move(uint32_t home, uint32_t hole, uint32_t from, uint32_t mask)
{
    return ((from - home) & mask) >= ((from - hole) & mask);
}

/* ---- 128 bits: the key is its own hash -------------------------------------------- */

/* Zeroed memory is an empty table. */

void ql_map128_init(struct ql_map128 *map, uint32_t count_max)
{
    QL_ASSERT(count_max <= UINT32_C(1) << 30);
    *map = (struct ql_map128){ .count_max = count_max };
}

void ql_map128_fini(struct ql_map128 *map)
{
    if (map != NULL) {
        free(map->slots);
        ql_map128_init(map, map->count_max);
    }
}

/* The slot of `key`, or the free slot where it belongs. */
static uint32_t map128_slot(const struct ql_map128 *map, ql_hash128 key)
{
    const uint32_t mask = map->capacity - 1;
    const struct ql_map128_slot *slots = map->slots;
    uint32_t i = (uint32_t)key.low & mask;
    while (slots[i].used != 0 && !ql_hash128_eq(slots[i].key, key)) {
        i = (i + 1) & mask;
    }
    return i;
}

uint32_t ql_map128_get(const struct ql_map128 *map, ql_hash128 key)
{
    if (map->capacity == 0) {
        return QL_MAP_NONE;
    }
    const struct ql_map128_slot *slot = &map->slots[map128_slot(map, key)];
    return slot->used != 0 ? slot->value : QL_MAP_NONE;
}

static ql_err map128_grow(struct ql_map128 *map)
{
    struct ql_map128 grown = *map;
    grown.capacity = map_capacity_after(map->capacity);
    grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used != 0) {
            grown.slots[map128_slot(&grown, map->slots[i].key)] = map->slots[i];
        }
    }
    free(map->slots);
    *map = grown;
    return QL_OK;
}

ql_err ql_map128_put(struct ql_map128 *map, ql_hash128 key, uint32_t value)
{
    QL_ASSERT(value != QL_MAP_NONE);
    if (map->capacity != 0) {
        struct ql_map128_slot *slot = &map->slots[map128_slot(map, key)];
        if (slot->used != 0) {
            slot->value = value;
            return QL_OK;
        }
    }
    if (map->count == map->count_max) {
        return QL_E_FULL;
    }
    if (map_is_loaded(map->count, map->capacity)) {
        const ql_err err = map128_grow(map);
        if (err != QL_OK) {
            return err;
        }
    }
    map->slots[map128_slot(map, key)] =
        (struct ql_map128_slot){ .key = key, .value = value, .used = 1 };
    map->count++;
    return QL_OK;
}

bool ql_map128_drop(struct ql_map128 *map, ql_hash128 key)
{
    if (map->capacity == 0) {
        return false;
    }
    const uint32_t mask = map->capacity - 1;
    uint32_t hole = map128_slot(map, key);
    if (map->slots[hole].used == 0) {
        return false;
    }
    for (uint32_t i = (hole + 1) & mask; map->slots[i].used != 0; i = (i + 1) & mask) {
        if (map_may_move((uint32_t)map->slots[i].key.low & mask, hole, i, mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct ql_map128_slot){ .used = 0 };
    map->count--;
    return true;
}

/* ---- tags: the owner has the keys ------------------------------------------------ */

/* The tag is also where probing starts, so growth needs no keys. Of a table of 2^n slots it tells
 * keys of one probe run apart by 32 - n bits; the owner compares what is left. */

void ql_map_tag_init(struct ql_map_tag *map, uint32_t count_max)
{
    QL_ASSERT(count_max <= UINT32_C(1) << 30);
    *map = (struct ql_map_tag){ .count_max = count_max };
}

void ql_map_tag_fini(struct ql_map_tag *map)
{
    if (map != NULL) {
        free(map->slots);
        ql_map_tag_init(map, map->count_max);
    }
}

uint32_t ql_map_tag_next(const struct ql_map_tag *map, ql_hash128 key, uint32_t *cursor)
{
    if (map->capacity == 0) {
        return QL_MAP_NONE;
    }
    const uint32_t tag = (uint32_t)key.low, mask = map->capacity - 1;
    for (;;) {
        const struct ql_map_tag_slot *slot = &map->slots[(tag + (*cursor)++) & mask];
        if (slot->above == 0) {
            return QL_MAP_NONE;
        }
        if (slot->tag == tag) {
            return slot->above - 1;
        }
    }
}

static void map_tag_place(struct ql_map_tag *map, struct ql_map_tag_slot entry)
{
    const uint32_t mask = map->capacity - 1;
    uint32_t i = entry.tag & mask;
    while (map->slots[i].above != 0) {
        i = (i + 1) & mask;
    }
    map->slots[i] = entry;
}

static ql_err map_tag_grow(struct ql_map_tag *map)
{
    struct ql_map_tag grown = *map;
    grown.capacity = map_capacity_after(map->capacity);
    grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].above != 0) {
            map_tag_place(&grown, map->slots[i]);
        }
    }
    free(map->slots);
    *map = grown;
    return QL_OK;
}

ql_err ql_map_tag_add(struct ql_map_tag *map, ql_hash128 key, uint32_t value)
{
    QL_ASSERT(value < QL_MAP_NONE - 1);
    if (map->count == map->count_max) {
        return QL_E_FULL;
    }
    if (map_is_loaded(map->count, map->capacity)) {
        const ql_err err = map_tag_grow(map);
        if (err != QL_OK) {
            return err;
        }
    }
    map_tag_place(map, (struct ql_map_tag_slot){ (uint32_t)key.low, value + 1 });
    map->count++;
    return QL_OK;
}

bool ql_map_tag_drop(struct ql_map_tag *map, ql_hash128 key, uint32_t value)
{
    if (map->capacity == 0) {
        return false;
    }
    const uint32_t mask = map->capacity - 1;
    uint32_t hole = (uint32_t)key.low & mask;
    while (map->slots[hole].above != 0 && map->slots[hole].above != value + 1) {
        hole = (hole + 1) & mask;
    }
    if (map->slots[hole].above == 0) {
        return false;
    }
    for (uint32_t i = (hole + 1) & mask; map->slots[i].above != 0; i = (i + 1) & mask) {
        if (map_may_move(map->slots[i].tag & mask, hole, i, mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct ql_map_tag_slot){ .above = 0 };
    map->count--;
    return true;
}

/* ---- 64 bits: ids that may be dense, so they are mixed first ----------------------- */

void ql_map64_init(struct ql_map64 *map, uint32_t count_max)
{
    QL_ASSERT(count_max <= UINT32_C(1) << 30);
    *map = (struct ql_map64){ .count_max = count_max };
}

void ql_map64_fini(struct ql_map64 *map)
{
    if (map != NULL) {
        free(map->slots);
        ql_map64_init(map, map->count_max);
    }
}

/* The high half of a multiplication by 2^64 / golden ratio spreads ids that differ only
 * in low or only in high bits. */
static inline uint32_t map64_home(uint64_t key, uint32_t mask)
{
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & mask;
}

static uint32_t map64_slot(const struct ql_map64 *map, uint64_t key)
{
    const uint32_t mask = map->capacity - 1;
    const struct ql_map64_slot *slots = map->slots;
    uint32_t i = map64_home(key, mask);
    while (slots[i].used != 0 && slots[i].key != key) {
        i = (i + 1) & mask;
    }
    return i;
}

uint32_t ql_map64_get(const struct ql_map64 *map, uint64_t key)
{
    if (map->capacity == 0) {
        return QL_MAP_NONE;
    }
    const struct ql_map64_slot *slot = &map->slots[map64_slot(map, key)];
    return slot->used != 0 ? slot->value : QL_MAP_NONE;
}

static ql_err map64_grow(struct ql_map64 *map)
{
    struct ql_map64 grown = *map;
    grown.capacity = map_capacity_after(map->capacity);
    grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
    if (grown.slots == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used != 0) {
            grown.slots[map64_slot(&grown, map->slots[i].key)] = map->slots[i];
        }
    }
    free(map->slots);
    *map = grown;
    return QL_OK;
}

ql_err ql_map64_put(struct ql_map64 *map, uint64_t key, uint32_t value)
{
    QL_ASSERT(value != QL_MAP_NONE);
    if (map->capacity != 0) {
        struct ql_map64_slot *slot = &map->slots[map64_slot(map, key)];
        if (slot->used != 0) {
            slot->value = value;
            return QL_OK;
        }
    }
    if (map->count == map->count_max) {
        return QL_E_FULL;
    }
    if (map_is_loaded(map->count, map->capacity)) {
        const ql_err err = map64_grow(map);
        if (err != QL_OK) {
            return err;
        }
    }
    map->slots[map64_slot(map, key)] =
        (struct ql_map64_slot){ .key = key, .value = value, .used = 1 };
    map->count++;
    return QL_OK;
}

bool ql_map64_drop(struct ql_map64 *map, uint64_t key)
{
    if (map->capacity == 0) {
        return false;
    }
    const uint32_t mask = map->capacity - 1;
    uint32_t hole = map64_slot(map, key);
    if (map->slots[hole].used == 0) {
        return false;
    }
    for (uint32_t i = (hole + 1) & mask; map->slots[i].used != 0; i = (i + 1) & mask) {
        if (map_may_move(map64_home(map->slots[i].key, mask), hole, i, mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct ql_map64_slot){ .used = 0 };
    map->count--;
    return true;
}

void ql_map64_clear(struct ql_map64 *map)
{
    if (map->capacity != 0) {
        memset(map->slots, 0, (size_t)map->capacity * sizeof(*map->slots));
    }
    map->count = 0;
}
