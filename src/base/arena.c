#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_ALIGN = 16, ARENA_BLOCK_MIN = 4096, ARENA_BLOCK_MAX = 1 << 20,
       ARENA_KEPT_BYTES = 2 << 20 };

struct ql_arena_block {
    struct ql_arena_block *next;
    size_t bytes, used; /* both count what follows this header only */
    size_t pad;
};
_Static_assert(sizeof(struct ql_arena_block) % ARENA_ALIGN == 0, "what follows is aligned");

static inline char *block_data(struct ql_arena_block *block)
{
    return (char *)block + sizeof(*block);
}

void ql_arena_init(struct ql_arena *arena, size_t bytes_max)
{
    *arena = (struct ql_arena){ .bytes_max = bytes_max };
}

static void arena_free_from(struct ql_arena *arena, struct ql_arena_block *block)
{
    while (block != NULL) {
        struct ql_arena_block *next = block->next;
        arena->block_bytes -= sizeof(*block) + block->bytes;
        free(block);
        block = next;
    }
}

void ql_arena_fini(struct ql_arena *arena)
{
    if (arena != NULL) {
        arena_free_from(arena, arena->first);
        QL_ASSERT(arena->block_bytes == 0);
        ql_arena_init(arena, arena->bytes_max);
    }
}

/* Only the first block is touched: the others are emptied when they are reached, and given back
 * when there are many of which few were used. */
void ql_arena_reset(struct ql_arena *arena)
{
    if (arena->block_bytes > ARENA_KEPT_BYTES && arena->used_bytes < arena->block_bytes / 8) {
        arena_free_from(arena, arena->first->next);
        arena->first->next = NULL;
    }
    arena->current = arena->first;
    arena->used_bytes = 0;
    if (arena->first != NULL) {
        arena->first->used = 0;
    }
}

/* A block of at least `need` bytes: doubling with what is there, within the maximum. */
static struct ql_arena_block *arena_block_new(struct ql_arena *arena, size_t need)
{
    size_t room = arena->bytes_max - arena->block_bytes;
    if (room < sizeof(struct ql_arena_block)) {
        return NULL;
    }
    room = (room - sizeof(struct ql_arena_block)) & ~(size_t)(ARENA_ALIGN - 1);
    size_t bytes = arena->block_bytes;
    bytes = bytes < ARENA_BLOCK_MIN ? ARENA_BLOCK_MIN - sizeof(struct ql_arena_block) : bytes;
    bytes = bytes > ARENA_BLOCK_MAX ? ARENA_BLOCK_MAX : bytes;
    bytes = (bytes < need ? need : bytes) & ~(size_t)(ARENA_ALIGN - 1);
    bytes = bytes > room ? room : bytes;
    if (bytes < need) {
        return NULL;
    }
    struct ql_arena_block *block = malloc(sizeof(*block) + bytes);
    if (block != NULL) {
        *block = (struct ql_arena_block){ .bytes = bytes };
        arena->block_bytes += sizeof(*block) + bytes;
    }
    return block;
}

/* Makes `current` a block with room: the next one kept from before, or a new one in
 * front of it. The same sequence of takes after a reset then finds the same blocks. */
static bool arena_advance(struct ql_arena *arena, size_t need)
{
    struct ql_arena_block **link = arena->current != NULL ? &arena->current->next : &arena->first;
    struct ql_arena_block *next = *link;
    if (next == NULL || next->bytes < need) {
        struct ql_arena_block *block = arena_block_new(arena, need);
        if (block == NULL && next != NULL) {
            /* Smaller empty blocks hold the memory that one large one needs. */
            *link = NULL;
            arena_free_from(arena, next);
            next = NULL;
            block = arena_block_new(arena, need);
        }
        if (block == NULL) {
            return false;
        }
        block->next = next;
        *link = block;
        next = block;
    }
    next->used = 0;
    arena->current = next;
    return true;
}

void *ql_arena_take(struct ql_arena *arena, size_t bytes)
{
    if (bytes > arena->bytes_max) {
        return NULL;
    }
    const size_t need = (bytes + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
    struct ql_arena_block *block = arena->current;
    if (block == NULL || need > block->bytes - block->used) {
        if (!arena_advance(arena, need)) {
            return NULL;
        }
        block = arena->current;
    }
    void *at = block_data(block) + block->used;
    block->used += need;
    arena->used_bytes += need;
    QL_ASSERT(block->used <= block->bytes);
    return at;
}

ql_str ql_arena_str(struct ql_arena *arena, ql_str s)
{
    char *at = s.bytes < SIZE_MAX ? ql_arena_take(arena, s.bytes + 1) : NULL;
    if (at == NULL) {
        return (ql_str){ NULL, 0 };
    }
    if (s.bytes > 0) {
        memcpy(at, s.at, s.bytes);
    }
    at[s.bytes] = '\0';
    return (ql_str){ at, s.bytes };
}

ql_str ql_arena_printf(struct ql_arena *arena, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    const int wanted = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (wanted < 0) {
        return (ql_str){ NULL, 0 };
    }
    const size_t bytes = (size_t)wanted;
    if (bytes < sizeof(small)) {
        return ql_arena_str(arena, (ql_str){ small, bytes });
    }
    char *at = ql_arena_take(arena, bytes + 1);
    if (at == NULL) {
        return (ql_str){ NULL, 0 };
    }
    va_start(args, format);
    (void)vsnprintf(at, bytes + 1, format, args);
    va_end(args);
    return (ql_str){ at, bytes };
}
