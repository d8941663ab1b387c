#include "base/shared.h"

#include <stdlib.h>

enum { SHARED_COUNT_MIN = 64 };
#define SHARED_FREED_BYTES_MIN ((size_t)64 << 10) /* less is not worth moving the others */

void ql_shared_init(struct ql_shared *shared, uint32_t count_max, size_t bytes_max)
{
    *shared = (struct ql_shared){ .count_max = count_max };
    ql_map128_init(&shared->by_hash, count_max);
    ql_arena_init(&shared->arena, bytes_max);
}

void ql_shared_fini(struct ql_shared *shared)
{
    if (shared != NULL) {
        ql_map128_fini(&shared->by_hash);
        ql_arena_fini(&shared->arena);
        free(shared->texts);
        ql_shared_init(shared, shared->count_max, shared->arena.bytes_max);
    }
}

static ql_err shared_grow(struct ql_shared *shared)
{
    uint32_t capacity = shared->capacity < SHARED_COUNT_MIN ? SHARED_COUNT_MIN
                        : shared->capacity > shared->count_max / 2 ? shared->count_max
                                                                   : shared->capacity * 2;
    capacity = capacity > shared->count_max ? shared->count_max : capacity;
    struct ql_shared_text *texts = realloc(shared->texts, capacity * sizeof(*texts));
    if (texts == NULL) {
        return QL_E_MEMORY;
    }
    shared->texts = texts;
    shared->capacity = capacity;
    return QL_OK;
}

/* Held texts move to a new arena. Without memory for it all stays as it is. */
static void shared_move(struct ql_shared *shared)
{
    struct ql_arena next;
    struct ql_shared_text *moved = malloc(((size_t)shared->count + 1) * sizeof(*moved));
    bool whole = moved != NULL;
    ql_arena_init(&next, shared->arena.bytes_max);
    for (uint32_t i = 0; i < shared->count && whole; i++) {
        moved[i] = shared->texts[i];
        if (moved[i].at != NULL) {
            moved[i].at = ql_arena_str(&next, (ql_str){ moved[i].at, moved[i].bytes }).at;
            whole = moved[i].at != NULL;
        }
    }
    if (whole) {
        memcpy(shared->texts, moved, (size_t)shared->count * sizeof(*moved));
        ql_arena_fini(&shared->arena);
        shared->arena = next;
        shared->freed_bytes = 0;
    } else {
        ql_arena_fini(&next);
    }
    free(moved);
}

static const char *shared_keep(struct ql_shared *shared, ql_str text)
{
    const char *at = ql_arena_str(&shared->arena, text).at;
    if (at == NULL && shared->freed_bytes > 0) {
        shared_move(shared);
        at = ql_arena_str(&shared->arena, text).at;
    }
    return at;
}

/* A number for a text that is not there; nothing changes on failure. */
static ql_err shared_add(struct ql_shared *shared, ql_hash128 hash, ql_str text,
                         uint32_t *ret_number)
{
    const uint32_t number = shared->free_head != 0 ? shared->free_head - 1 : shared->count;
    ql_err err = number == shared->count_max ? QL_E_FULL
                 : number == shared->capacity ? shared_grow(shared)
                                              : QL_OK;
    const char *at = err == QL_OK ? shared_keep(shared, text) : NULL;
    if (err != QL_OK || at == NULL) {
        return err != QL_OK ? err : QL_E_FULL;
    }
    err = ql_map128_put(&shared->by_hash, hash, number);
    if (err != QL_OK) {
        return err;
    }
    if (number == shared->count) {
        shared->count++;
    } else {
        shared->free_head = shared->texts[number].bytes;
    }
    shared->texts[number] = (struct ql_shared_text){ at, (uint32_t)text.bytes, 0 };
    *ret_number = number;
    return QL_OK;
}

ql_err ql_shared_take(struct ql_shared *shared, ql_str text, uint32_t *ret_number)
{
    const ql_hash128 hash = ql_hash128_of(text.at, text.bytes);
    uint32_t number = ql_map128_get(&shared->by_hash, hash);
    QL_ASSERT(text.bytes <= UINT32_MAX);
    if (number == QL_MAP_NONE) {
        const ql_err err = shared_add(shared, hash, text, &number);
        if (err != QL_OK) {
            return err;
        }
    }
    shared->texts[number].holders++;
    *ret_number = number;
    return QL_OK;
}

void ql_shared_drop(struct ql_shared *shared, uint32_t number)
{
    QL_ASSERT(number < shared->count);
    struct ql_shared_text *text = &shared->texts[number];
    QL_ASSERT(text->at != NULL && text->holders > 0);
    if (--text->holders > 0) {
        return;
    }
    (void)ql_map128_drop(&shared->by_hash, ql_hash128_of(text->at, text->bytes));
    shared->freed_bytes += (text->bytes + 16u) & ~(size_t)15; /* as the arena rounds it */
    *text = (struct ql_shared_text){ NULL, shared->free_head, 0 };
    shared->free_head = number + 1;
    if (shared->freed_bytes > SHARED_FREED_BYTES_MIN &&
        shared->freed_bytes > shared->arena.used_bytes / 2) {
        shared_move(shared);
    }
}

uint32_t ql_shared_find(const struct ql_shared *shared, ql_str text)
{
    return ql_map128_get(&shared->by_hash, ql_hash128_of(text.at, text.bytes));
}

ql_str ql_shared_text(const struct ql_shared *shared, uint32_t number)
{
    QL_ASSERT(number < shared->count && shared->texts[number].at != NULL);
    return (ql_str){ shared->texts[number].at, shared->texts[number].bytes };
}

size_t ql_shared_bytes(const struct ql_shared *shared)
{
    return shared->arena.block_bytes +
           (size_t)shared->by_hash.capacity * sizeof(*shared->by_hash.slots) +
           (size_t)shared->capacity * sizeof(*shared->texts);
}

/* ---- state -------------------------------------------------------------------------- */

ql_err ql_shared_save(const struct ql_shared *shared, struct ql_buf *out)
{
    (void)ql_buf_u32(out, shared->count);
    (void)ql_buf_u32(out, shared->free_head);
    for (uint32_t i = 0; i < shared->count; i++) {
        const struct ql_shared_text *text = &shared->texts[i];
        (void)ql_buf_u8(out, text->at != NULL);
        if (text->at != NULL) {
            (void)ql_buf_lstr(out, (ql_str){ text->at, text->bytes });
        } else {
            (void)ql_buf_u32(out, text->bytes);
        }
    }
    return ql_buf_check(out);
}

static ql_err shared_load_one(struct ql_shared *shared, uint32_t number, struct ql_reader *in)
{
    uint32_t given = number;
    if (ql_reader_u8(in) != 0) {
        const ql_str text = ql_reader_lstr(in);
        if (in->failed) {
            return QL_E_MALFORMED;
        }
        const ql_hash128 hash = ql_hash128_of(text.at, text.bytes);
        const bool twice = ql_map128_get(&shared->by_hash, hash) != QL_MAP_NONE;
        return twice ? QL_E_MALFORMED : shared_add(shared, hash, text, &given);
    }
    const uint32_t next = ql_reader_u32(in);
    if (in->failed || number == shared->count_max) {
        return QL_E_MALFORMED;
    }
    if (number == shared->capacity && shared_grow(shared) != QL_OK) {
        return QL_E_MEMORY;
    }
    shared->texts[number] = (struct ql_shared_text){ NULL, next, 0 };
    shared->count++;
    return QL_OK;
}

/* The chain of free numbers has each of them once. */
static bool shared_free_holds(const struct ql_shared *shared, uint32_t free_head)
{
    uint32_t left = shared->count - shared->by_hash.count, next = free_head;
    while (next != 0 && left > 0 && next <= shared->count && shared->texts[next - 1].at == NULL) {
        next = shared->texts[next - 1].bytes;
        left--;
    }
    return next == 0 && left == 0;
}

ql_err ql_shared_load(struct ql_shared *shared, struct ql_reader *in)
{
    QL_ASSERT(shared->count == 0);
    const uint32_t count = ql_reader_u32(in), free_head = ql_reader_u32(in);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        const ql_err err = shared_load_one(shared, i, in);
        if (err != QL_OK) {
            return err;
        }
    }
    if (in->failed || !shared_free_holds(shared, free_head)) {
        return QL_E_MALFORMED;
    }
    shared->free_head = free_head;
    return QL_OK;
}

bool ql_shared_all_held(const struct ql_shared *shared)
{
    for (uint32_t i = 0; i < shared->count; i++) {
        if (shared->texts[i].at != NULL && shared->texts[i].holders == 0) {
            return false;
        }
    }
    return true;
}
