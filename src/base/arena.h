/* arena.h - memory that is given out piece by piece and taken back all at once.
 *
 * Made for a batch or a request: everything in it dies together at reset().
 * Blocks are kept across reset, so a warm arena allocates nothing.
 *
 * Ownership     init/fini; every pointer is borrowed until reset or fini.
 * Errors        NULL past bytes_max or without memory: check it.
 * Bounds        O(1); never more than bytes_max allocated in all. What is left over at the
 *               end of a block is lost until reset, so leave some room.
 */
#ifndef QL_BASE_ARENA_H
#define QL_BASE_ARENA_H

#include "base/base.h"

struct ql_arena_block;
struct ql_arena {
    struct ql_arena_block *first, *current;
    size_t used_bytes;  /* given out since the last reset */
    size_t block_bytes; /* allocated, headers included; <= bytes_max */
    size_t bytes_max;
};

void ql_arena_init(struct ql_arena *arena, size_t bytes_max);
void ql_arena_fini(struct ql_arena *arena);
void ql_arena_reset(struct ql_arena *arena);
void *ql_arena_take(struct ql_arena *arena, size_t bytes); /* 16-aligned, not zeroed */
/* Copies; adds a NUL after it. {NULL,0} when there is no room. */
ql_str ql_arena_str(struct ql_arena *arena, ql_str s);
ql_str ql_arena_printf(struct ql_arena *arena, const char *format, ...) QL_PRINTF(2, 3);

#endif
