/* api_process.c - about the process: metrics, health, readiness, the API's own document. */
#include "api/api_int.h"
#include "api/openapi.h"

enum { METRICS_BYTES_MAX = 64 << 20 };

/* ---- metrics ------------------------------------------------------------------------ */

static bool process_next_line(ql_str *rest, ql_str *ret_line)
{
    if (rest->bytes == 0) {
        return false;
    }
    const char *end = memchr(rest->at, '\n', rest->bytes);
    const size_t bytes = end != NULL ? (size_t)(end - rest->at) + 1 : rest->bytes;
    *ret_line = (ql_str){ rest->at, bytes };
    rest->at += bytes;
    rest->bytes -= bytes;
    return true;
}

/* "# HELP x_total ..." and "# TYPE x_total counter": OpenMetrics names the family without
 * its suffix; the samples keep it. */
static void process_openmetrics_comment(ql_str line, struct ql_buf *out)
{
    const ql_str tail = QL_STR("_total");
    const char *name_end = memchr(line.at + 7, ' ', line.bytes - 7);
    const ql_str head = { line.at, name_end != NULL ? (size_t)(name_end - line.at) : line.bytes };
    const bool cut = ql_str_ends(head, tail);
    ql_buf_put(out, head.at, head.bytes - (cut ? tail.bytes : 0));
    ql_buf_put(out, head.at + head.bytes, line.bytes - head.bytes);
}

static void process_to_openmetrics(ql_str text, struct ql_buf *out)
{
    ql_str line;
    while (process_next_line(&text, &line)) {
        if (line.bytes > 7 && line.at[0] == '#') {
            process_openmetrics_comment(line, out);
        } else {
            ql_buf_str(out, line);
        }
    }
    ql_buf_text(out, "# EOF\n");
}

void api_metrics_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    static const char plain[] = "text/plain; version=0.0.4; charset=utf-8";
    static const char open[] = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    const ql_str accept = ql_http_header(request, "Accept");
    const bool wants_open =
        memmem(accept.at, accept.bytes, "application/openmetrics-text", 28) != NULL;
    struct ql_buf text, shown;
    (void)id;
    ql_buf_init(&text, METRICS_BYTES_MAX);
    ql_buf_init(&shown, METRICS_BYTES_MAX);
    ql_err err = ql_stats_render(api->env.stats, &text);
    if (err == QL_OK && wants_open) {
        process_to_openmetrics(ql_buf_view(&text), &shown);
        err = ql_buf_check(&shown);
    }
    if (err == QL_OK) {
        const struct ql_http_answer answer = {
            .status = 200,
            .content_type = wants_open ? open : plain,
            .body = ql_buf_view(wants_open ? &shown : &text),
        };
        ql_http_answer(request, &answer);
    } else {
        api_fail(request, err, "rendering metrics");
    }
    ql_buf_fini(&text);
    ql_buf_fini(&shown);
}

/* ---- health ------------------------------------------------------------------------- */

static void process_say(struct ql_http_request *request, unsigned status, ql_str text)
{
    ql_http_answer(request, &(struct ql_http_answer){ .status = status,
                                                      .content_type = "text/plain; charset=utf-8",
                                                      .body = text,
                                                      .body_static = true });
}

void api_healthy(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)api;
    (void)id;
    process_say(request, 200, QL_STR("quell is healthy\n"));
}

void api_ready(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)id;
    if (api->env.view->ready(api->env.view->host)) {
        process_say(request, 200, QL_STR("quell is ready\n"));
    } else {
        process_say(request, 503,
                    QL_STR("quell is not ready: it starts, stops, or cannot write"
                           " its journal\n"));
    }
}

void api_openapi_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)api;
    (void)id;
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200,
                                                      .content_type = "application/json",
                                                      .body = ql_openapi_document(),
                                                      .body_static = true });
}
