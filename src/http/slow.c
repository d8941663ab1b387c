/* slow.c - the pool of threads for routes marked slow.
 *
 * A connection belongs to one of the server's threads, so a handler that takes seconds there
 * holds up every other connection of that thread: doors and health, too. Slow handlers run
 * here instead, while their connections sleep.
 */
#include "http/http_int.h"

#include <stdlib.h>

#define SLOW_QUEUE_MAX 64u
#define SLOW_THREADS_MAX 64u

struct http_slow {
    pthread_mutex_t lock;
    pthread_cond_t more;
    bool closing;
    uint32_t first, count; /* of the ring */
    struct ql_http_request *queue[SLOW_QUEUE_MAX];
    uint32_t thread_count;
    pthread_t threads[SLOW_THREADS_MAX];
};

/* What waits when the server closes is still handled: each has an answer coming. */
static struct ql_http_request *slow_next(struct http_slow *slow)
{
    struct ql_http_request *request = NULL;
    (void)pthread_mutex_lock(&slow->lock);
    while (slow->count == 0 && !slow->closing) {
        (void)pthread_cond_wait(&slow->more, &slow->lock);
    }
    if (slow->count > 0) {
        request = slow->queue[slow->first];
        slow->first = (slow->first + 1) % SLOW_QUEUE_MAX;
        slow->count--;
    }
    (void)pthread_mutex_unlock(&slow->lock);
    return request;
}

static void *slow_run(void *context)
{
    struct http_slow *slow = context;
    struct ql_http_request *request;
    while ((request = slow_next(slow)) != NULL) {
        if (atomic_load(&request->state) == HTTP_ABANDONED) {
            ql_http_fail(request, 503, "the server is shutting down"); /* nobody reads it */
        } else {
            request->route->handle(request->route->host, request);
        }
    }
    return NULL;
}

struct http_slow *ql_http_slow_new(uint32_t threads)
{
    struct http_slow *slow = calloc(1, sizeof(*slow));
    if (slow == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&slow->lock, NULL);
    (void)pthread_cond_init(&slow->more, NULL);
    threads = threads == 0 ? 1 : threads > SLOW_THREADS_MAX ? SLOW_THREADS_MAX : threads;
    while (slow->thread_count < threads &&
           pthread_create(&slow->threads[slow->thread_count], NULL, slow_run, slow) == 0) {
        slow->thread_count++;
    }
    if (slow->thread_count < threads) {
        ql_http_slow_free(slow);
        return NULL;
    }
    return slow;
}

void ql_http_slow_free(struct http_slow *slow)
{
    if (slow == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&slow->lock);
    slow->closing = true;
    (void)pthread_cond_broadcast(&slow->more);
    (void)pthread_mutex_unlock(&slow->lock);
    for (uint32_t i = 0; i < slow->thread_count; i++) {
        (void)pthread_join(slow->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&slow->more);
    (void)pthread_mutex_destroy(&slow->lock);
    free(slow);
}

bool ql_http_slow_add(struct http_slow *slow, struct ql_http_request *request)
{
    (void)pthread_mutex_lock(&slow->lock);
    const bool room = slow->count < SLOW_QUEUE_MAX;
    if (room) {
        slow->queue[(slow->first + slow->count) % SLOW_QUEUE_MAX] = request;
        slow->count++;
        (void)pthread_cond_signal(&slow->more);
    }
    (void)pthread_mutex_unlock(&slow->lock);
    return room;
}
