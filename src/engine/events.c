#include "engine/events.h"

#include "base/wait.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

ql_err ql_events_init(struct ql_events *events)
{
    memset(events, 0, sizeof(*events));
    events->next = 1;
    if (pthread_mutex_init(&events->lock, NULL) != 0) {
        return QL_E_MEMORY;
    }
    return ql_wait_cond_init(&events->arrived) != 0 ? QL_E_MEMORY : QL_OK;
}

void ql_events_fini(struct ql_events *events)
{
    for (uint32_t i = 0; i < QL_EVENTS_KEPT; i++) {
        free(events->texts[i]);
    }
    (void)pthread_cond_destroy(&events->arrived);
    (void)pthread_mutex_destroy(&events->lock);
}

void ql_events_close(struct ql_events *events)
{
    (void)pthread_mutex_lock(&events->lock);
    events->closed = true;
    (void)pthread_cond_broadcast(&events->arrived);
    (void)pthread_mutex_unlock(&events->lock);
}

void ql_events_publish(struct ql_events *events, const char *kind, ql_str json)
{
    struct ql_buf text;
    ql_buf_init(&text, 65536);
    (void)pthread_mutex_lock(&events->lock);
    (void)ql_buf_printf(&text, "id: %" PRIu64 "\nevent: %s\ndata: ", events->next, kind);
    (void)ql_buf_str(&text, json);
    (void)ql_buf_text(&text, "\n\n");
    if (ql_buf_check(&text) == QL_OK) {
        char **slot = &events->texts[events->next % QL_EVENTS_KEPT];
        free(*slot);
        *slot = ql_buf_give(&text, &(size_t){ 0 });
        events->next++;
        (void)pthread_cond_broadcast(&events->arrived);
    }
    (void)pthread_mutex_unlock(&events->lock);
    ql_buf_fini(&text);
}

/* Called with the lock held and something to tell. */
static void events_tell(struct ql_events *events, uint64_t *cursor, struct ql_buf *out)
{
    if (events->next - *cursor > QL_EVENTS_KEPT) {
        const uint64_t missed = events->next - *cursor - QL_EVENTS_KEPT;
        (void)ql_buf_printf(out, "event: missed\ndata: {\"count\":%" PRIu64 "}\n\n", missed);
        *cursor = events->next - QL_EVENTS_KEPT;
    }
    for (; *cursor < events->next; ++*cursor) {
        (void)ql_buf_text(out, events->texts[*cursor % QL_EVENTS_KEPT]);
    }
}

ql_err ql_events_wait(struct ql_events *events, uint64_t *cursor, int timeout_ms,
                      struct ql_buf *out)
{
    const struct timespec deadline = ql_wait_deadline_ms(timeout_ms);
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&events->lock);
    if (*cursor == 0) {
        *cursor = events->next;
    }
    while (*cursor >= events->next && !events->closed && err == QL_OK) {
        if (pthread_cond_timedwait(&events->arrived, &events->lock, &deadline) == ETIMEDOUT) {
            err = QL_E_TIMEOUT;
        }
    }
    if (*cursor < events->next) {
        events_tell(events, cursor, out);
        err = QL_OK;
    } else if (events->closed) {
        err = QL_E_CLOSED;
    }
    (void)pthread_mutex_unlock(&events->lock);
    return err;
}
