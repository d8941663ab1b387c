#include "base/intern.h"

#include <stdlib.h>

enum { INTERN_COUNT_MIN = 64 };

void ql_intern_init(struct ql_intern *in, uint32_t count_max, size_t bytes_max)
{
    *in = (struct ql_intern){ .count_max = count_max };
    ql_map128_init(&in->by_hash, count_max);
    ql_arena_init(&in->arena, bytes_max);
}

void ql_intern_fini(struct ql_intern *in)
{
    if (in != NULL) {
        ql_map128_fini(&in->by_hash);
        ql_arena_fini(&in->arena);
        free(in->texts);
        ql_intern_init(in, in->count_max, in->arena.bytes_max);
    }
}

static ql_err intern_grow(struct ql_intern *in)
{
    uint32_t capacity = in->capacity < INTERN_COUNT_MIN ? INTERN_COUNT_MIN : in->capacity * 2;
    capacity = capacity > in->count_max ? in->count_max : capacity;
    ql_str *texts = realloc(in->texts, capacity * sizeof(*texts));
    if (texts == NULL) {
        return QL_E_MEMORY;
    }
    in->texts = texts;
    in->capacity = capacity;
    return QL_OK;
}

ql_err ql_intern_put(struct ql_intern *in, ql_str text, uint32_t *ret_number)
{
    const ql_hash128 hash = ql_hash128_of(text.at, text.bytes);
    const uint32_t known = ql_map128_get(&in->by_hash, hash);
    if (known != QL_MAP_NONE) {
        *ret_number = known;
        return QL_OK;
    }
    if (in->count == in->count_max) {
        return QL_E_FULL;
    }
    if (in->count == in->capacity) {
        const ql_err err = intern_grow(in);
        if (err != QL_OK) {
            return err;
        }
    }
    const ql_str kept = ql_arena_str(&in->arena, text);
    if (kept.at == NULL) {
        return QL_E_FULL;
    }
    const ql_err err = ql_map128_put(&in->by_hash, hash, in->count);
    if (err != QL_OK) {
        return err;
    }
    in->texts[in->count] = kept;
    *ret_number = in->count++;
    return QL_OK;
}

uint32_t ql_intern_find(const struct ql_intern *in, ql_str text)
{
    return ql_map128_get(&in->by_hash, ql_hash128_of(text.at, text.bytes));
}

ql_str ql_intern_text(const struct ql_intern *in, uint32_t number)
{
    QL_ASSERT(number < in->count);
    return in->texts[number];
}

size_t ql_intern_bytes(const struct ql_intern *in)
{
    return in->arena.block_bytes + (size_t)in->by_hash.capacity * sizeof(*in->by_hash.slots) +
           (size_t)in->capacity * sizeof(*in->texts);
}
