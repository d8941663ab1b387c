#include "base/ring.h"

#include "base/wait.h"

#include <errno.h>
#include <stdlib.h>

ql_err ql_ring_init(struct ql_ring *ring, uint32_t capacity)
{
    QL_ASSERT(capacity > 0);
    *ring = (struct ql_ring){ .capacity = capacity };
    ring->items = calloc(capacity, sizeof(*ring->items));
    if (ring->items == NULL) {
        return QL_E_MEMORY;
    }
    /* Timeouts must not move when somebody sets the wall clock. These calls cannot fail
     * on Linux with these arguments. */
    (void)pthread_mutex_init(&ring->lock, NULL);
    (void)ql_wait_cond_init(&ring->not_empty);
    return QL_OK;
}

void ql_ring_fini(struct ql_ring *ring)
{
    if (ring != NULL && ring->items != NULL) {
        (void)pthread_mutex_destroy(&ring->lock);
        (void)pthread_cond_destroy(&ring->not_empty);
        free(ring->items);
        ring->items = NULL;
    }
}

ql_err ql_ring_push(struct ql_ring *ring, void *item)
{
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&ring->lock);
    if (ring->closed) {
        err = QL_E_CLOSED;
    } else if (ring->count == ring->capacity) {
        err = QL_E_FULL;
    } else {
        const uint64_t tail = ((uint64_t)ring->head + ring->count) % ring->capacity;
        ring->items[tail] = item;
        ring->count++;
        /* The one consumer can only be waiting when there was nothing. */
        if (ring->count == 1) {
            (void)pthread_cond_signal(&ring->not_empty);
        }
    }
    (void)pthread_mutex_unlock(&ring->lock);
    return err;
}

/* With the lock held: waits until there is an item, the ring is closed or time is up. */
static ql_err ring_wait(struct ql_ring *ring, int timeout_ms)
{
    const struct timespec deadline = timeout_ms > 0 ? ql_wait_deadline_ms(timeout_ms)
                                                    : (struct timespec){ 0 };
    while (ring->count == 0) {
        if (ring->closed) {
            return QL_E_CLOSED;
        }
        if (timeout_ms == 0) {
            return QL_E_TIMEOUT;
        }
        if (timeout_ms < 0) {
            (void)pthread_cond_wait(&ring->not_empty, &ring->lock);
        } else if (pthread_cond_timedwait(&ring->not_empty, &ring->lock, &deadline) == ETIMEDOUT &&
                   ring->count == 0) {
            return ring->closed ? QL_E_CLOSED : QL_E_TIMEOUT;
        }
    }
    return QL_OK;
}

ql_err ql_ring_pop(struct ql_ring *ring, int timeout_ms, void **ret_item)
{
    (void)pthread_mutex_lock(&ring->lock);
    const ql_err err = ring_wait(ring, timeout_ms);
    if (err == QL_OK) {
        *ret_item = ring->items[ring->head];
        ring->head = ring->head + 1 == ring->capacity ? 0 : ring->head + 1;
        ring->count--;
    }
    (void)pthread_mutex_unlock(&ring->lock);
    return err;
}

void ql_ring_close(struct ql_ring *ring)
{
    (void)pthread_mutex_lock(&ring->lock);
    ring->closed = true;
    (void)pthread_cond_broadcast(&ring->not_empty);
    (void)pthread_mutex_unlock(&ring->lock);
}

uint32_t ql_ring_count(struct ql_ring *ring)
{
    (void)pthread_mutex_lock(&ring->lock);
    const uint32_t count = ring->count;
    (void)pthread_mutex_unlock(&ring->lock);
    return count;
}
