/* api_events.c - what happens, as it happens (server-sent events). */
#include "api/api_int.h"
#include "base/clock.h"

#include <stdlib.h>

enum { WAIT_MS = 900 };
#define QUIET_NS_MAX (15 * QL_NS_PER_S) /* proxies close what says nothing for long */

struct events_watch {
    const struct ql_view *view;
    uint64_t cursor;
    int64_t told_ns; /* when something was last sent */
    bool greeted;
};

static ql_err events_next(void *context, struct ql_buf *out)
{
    struct events_watch *watch = context;
    const size_t before = out->bytes;
    if (!watch->greeted) { /* the first bytes tell the client that it is connected */
        ql_err first = watch->view->events(watch->view->host, &watch->cursor, 0, out);
        watch->greeted = true;
        watch->told_ns = ql_clock_mono_ns();
        ql_buf_text(out, "retry: 2000\n: connected\n\n");
        return first == QL_E_TIMEOUT ? QL_OK : first;
    }
    const ql_err err = watch->view->events(watch->view->host, &watch->cursor, WAIT_MS, out);
    if (err != QL_OK && err != QL_E_TIMEOUT) {
        return err;
    }
    const int64_t now_ns = ql_clock_mono_ns();
    if (out->bytes == before && now_ns - watch->told_ns >= QUIET_NS_MAX) {
        ql_buf_text(out, ": quiet\n\n");
    }
    if (out->bytes > before) {
        watch->told_ns = now_ns;
    }
    return QL_OK;
}

void api_events_stream(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)id;
    struct events_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        api_fail(request, QL_E_MEMORY, "watching events");
        return;
    }
    watch->view = api->env.view;
    ql_http_answer_stream(request, &(struct ql_http_stream){ .next = events_next,
                                                             .done = free,
                                                             .context = watch,
                                                             .content_type = "text/event-stream" });
}
