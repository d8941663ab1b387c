/* ring.h - a bounded queue of pointers between threads: many may push, one pops.
 *
 * A full ring refuses, so back-pressure reaches the sender instead of memory.
 * The popping thread sleeps without using CPU while the ring is empty.
 *
 * Ownership     a pushed pointer belongs to the ring until it is popped.
 * Threads       push from any thread; pop, drain from one.
 * Errors        push QL_E_FULL, QL_E_CLOSED; pop QL_E_TIMEOUT, QL_E_CLOSED (closed and empty).
 * Bounds        O(1); capacity fixed at init.
 */
#ifndef QL_BASE_RING_H
#define QL_BASE_RING_H

#include "base/base.h"

#include <pthread.h>

struct ql_ring {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    void **items;
    uint32_t capacity, head, count;
    bool closed;
};

QL_MUST_USE ql_err ql_ring_init(struct ql_ring *ring, uint32_t capacity);
void ql_ring_fini(struct ql_ring *ring);
QL_MUST_USE ql_err ql_ring_push(struct ql_ring *ring, void *item);
/* Waits up to timeout_ms (-1: for ever). */
QL_MUST_USE ql_err ql_ring_pop(struct ql_ring *ring, int timeout_ms, void **ret_item);
void ql_ring_close(struct ql_ring *ring); /* pushes fail from now on; pops drain the rest */
uint32_t ql_ring_count(struct ql_ring *ring);

#endif
