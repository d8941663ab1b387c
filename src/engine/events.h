/* events.h - the newest happenings, for whoever watches live (SSE).
 *
 * Ownership     init/fini; texts are copied in and out.
 * Threads       any.
 * Bounds        the newest QL_EVENTS_KEPT events; a slow watcher misses older ones and is
 *               told how many with an event of its own.
 */
#ifndef QL_ENGINE_EVENTS_H
#define QL_ENGINE_EVENTS_H

#include "base/base.h"
#include "base/buf.h"

#include <pthread.h>

#define QL_EVENTS_KEPT 1024u
struct ql_events {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    char *texts[QL_EVENTS_KEPT];
    uint64_t next; /* number of the event to come; events count from 1 */
    bool closed;
};

QL_MUST_USE ql_err ql_events_init(struct ql_events *events);
void ql_events_fini(struct ql_events *events);
void ql_events_close(struct ql_events *events); /* wakes all watchers for good */
void ql_events_publish(struct ql_events *events, const char *kind, ql_str json);
/* As ql_view.events: QL_E_TIMEOUT, QL_E_CLOSED. */
QL_MUST_USE ql_err ql_events_wait(struct ql_events *events, uint64_t *cursor, int timeout_ms,
                                  struct ql_buf *out);

#endif
