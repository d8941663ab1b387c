/* api_prom.c - /api/v1/query and /api/v1/query_range as Prometheus answers them. */
#include "api/prom.h"
#include "model/labels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- envelope -------------------------------------------------------------------------- */

static const char *prom_error_type(ql_err err, unsigned *ret_status)
{
    switch (err) {
    case QL_E_MALFORMED: *ret_status = 400; return "bad_data";
    case QL_E_UNSUPPORTED:
    case QL_E_RANGE:
    case QL_E_FULL: *ret_status = 422; return "execution";
    case QL_E_NOT_FOUND: *ret_status = 404; return "not_found";
    case QL_E_TIMEOUT: *ret_status = 503; return "timeout";
    case QL_E_CLOSED:
    case QL_E_IO: *ret_status = 503; return "unavailable";
    default: *ret_status = 500; return "internal";
    }
}

static const struct ql_http_header prom_headers[] = { { "Cache-Control", "no-store" },
                                                      { "X-Content-Type-Options", "nosniff" },
                                                      { NULL, NULL } };

void prom_fail(struct ql_http_request *request, ql_err err, const char *format, ...)
{
    char text[QL_PROMQL_ERROR_BYTES + 64];
    struct api_answer answer;
    unsigned status;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    api_answer_init(&answer);
    ql_json_out_object(&answer.json, NULL);
    ql_json_out_text(&answer.json, "status", "error");
    ql_json_out_text(&answer.json, "errorType", prom_error_type(err, &status));
    ql_json_out_text(&answer.json, "error", text);
    ql_json_out_end(&answer.json);
    ql_http_answer(request, &(struct ql_http_answer){ .status = status,
                                                      .content_type = "application/json",
                                                      .body = ql_buf_view(&answer.buf),
                                                      .headers = prom_headers });
    api_answer_fini(&answer);
}

void prom_answer_init(struct api_answer *answer)
{
    api_answer_init(answer);
    ql_json_out_object(&answer->json, NULL);
    ql_json_out_text(&answer->json, "status", "success");
}

void prom_answer_send(struct api_answer *answer, struct ql_http_request *request, ql_err err)
{
    if (err == QL_OK) {
        ql_json_out_end(&answer->json);
        err = ql_buf_check(&answer->buf);
    }
    if (err == QL_OK) {
        ql_http_answer(request, &(struct ql_http_answer){ .status = 200,
                                                          .content_type = "application/json",
                                                          .body = ql_buf_view(&answer->buf),
                                                          .headers = prom_headers });
    } else if (err == QL_E_FULL && answer->buf.failed) {
        prom_fail(request, QL_E_RANGE, "the answer would be over %zu MiB: ask for less",
                  QL_API_ANSWER_BYTES_MAX >> 20);
    } else {
        prom_fail(request, err, "%s", ql_err_text(err));
    }
    api_answer_fini(answer);
}

void prom_json_pair(struct ql_json_out *w, const char *key, int64_t at_ms, double value)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    ql_json_out_array(w, key);
    ql_json_out_double(w, NULL, (double)at_ms / 1000.0);
    const size_t bytes = ql_double_text(value, text);
    ql_json_out_str(w, NULL, (ql_str){ text, bytes });
    ql_json_out_end(w);
}

void prom_json_labels(struct ql_json_out *w, const char *key, ql_str block)
{
    struct ql_label label;
    size_t at = 0;
    ql_json_out_object(w, key);
    while (ql_labels_next(block, &at, &label)) {
        ql_json_out_key(w, label.name);
        ql_json_out_str(w, NULL, label.value);
    }
    ql_json_out_end(w);
}

/* ---- parameters -------------------------------------------------------------------------- */

bool prom_param_time(struct ql_http_request *request, const char *name, int64_t otherwise_ms,
                     int64_t *ret_ms)
{
    const ql_str text = ql_http_param(request, name);
    double seconds;
    ql_time at;
    *ret_ms = otherwise_ms;
    if (text.bytes == 0) {
        return true;
    }
    if (ql_str_to_double(text, &seconds) == QL_OK && isfinite(seconds)) {
        /* Clients that mean "from the beginning" write times far outside of what can be. */
        const double ms = round(seconds * 1000.0), limit = 9e12;
        *ret_ms = (int64_t)(ms > limit ? limit : ms < -limit ? -limit : ms);
        return true;
    }
    if (ql_str_to_time(text, &at) == QL_OK) {
        *ret_ms = ql_time_to_ms(ql_time_add(at, (ql_duration){ 500000 }));
        return true;
    }
    prom_fail(request, QL_E_MALFORMED,
              "invalid parameter \"%s\": cannot parse \"%.*s\" to a valid timestamp", name,
              (int)(text.bytes < 100 ? text.bytes : 100), text.at);
    return false;
}

static bool param_step(struct ql_http_request *request, int64_t *ret_ms)
{
    const ql_str text = ql_http_param(request, "step");
    double seconds;
    if (ql_str_to_double(text, &seconds) == QL_OK && fabs(seconds) < 9e9) {
        *ret_ms = (int64_t)(seconds * 1000.0);
    } else if (ql_promql_duration(text, ret_ms) != QL_OK) {
        prom_fail(request, QL_E_MALFORMED,
                  "invalid parameter \"step\": cannot parse \"%.*s\" to a valid duration",
                  (int)(text.bytes < 100 ? text.bytes : 100), text.at);
        return false;
    }
    if (*ret_ms <= 0) {
        prom_fail(request, QL_E_MALFORMED,
                  "invalid parameter \"step\": zero or negative query resolution step widths are"
                  " not accepted. Try a positive integer");
        return false;
    }
    return true;
}

/* ---- results ------------------------------------------------------------------------------- */

int prom_labels_order(ql_str a, ql_str b)
{
    struct ql_label x, y;
    size_t at_a = 0, at_b = 0;
    for (;;) {
        const bool more_a = ql_labels_next(a, &at_a, &x), more_b = ql_labels_next(b, &at_b, &y);
        if (!more_a || !more_b) {
            return (int)more_a - (int)more_b;
        }
        const int names = ql_str_cmp(x.name, y.name);
        const int order = names != 0 ? names : ql_str_cmp(x.value, y.value);
        if (order != 0) {
            return order;
        }
    }
}

static int row_order(const void *a, const void *b)
{
    return prom_labels_order(((const struct ql_promql_row *)a)->labels,
                             ((const struct ql_promql_row *)b)->labels);
}

static void result_vector(struct ql_json_out *w, const struct ql_promql_result *result,
                          int64_t at_ms)
{
    for (uint32_t i = 0; i < result->row_count; i++) {
        ql_json_out_object(w, NULL);
        prom_json_labels(w, "metric", result->rows[i].labels);
        prom_json_pair(w, "value", at_ms, result->rows[i].values[0]);
        ql_json_out_end(w);
    }
}

static void result_matrix(struct ql_json_out *w, const struct ql_promql_result *result,
                          const struct ql_promql_grid *grid)
{
    for (uint32_t i = 0; i < result->row_count; i++) {
        const struct ql_promql_row *row = &result->rows[i];
        ql_json_out_object(w, NULL);
        prom_json_labels(w, "metric", row->labels);
        ql_json_out_array(w, "values");
        for (uint32_t k = 0; row->samples != NULL && k < row->sample_count; k++) {
            prom_json_pair(w, NULL, ql_time_to_ms(row->samples[k].at), row->samples[k].value);
        }
        for (uint32_t s = 0; row->samples == NULL && s < result->step_count; s++) {
            if (!ql_promql_is_absent(row->values[s])) {
                prom_json_pair(w, NULL, grid->start_ms + (int64_t)s * grid->step_ms,
                               row->values[s]);
            }
        }
        ql_json_out_end(w);
        ql_json_out_end(w);
    }
}

static void result_write(struct ql_json_out *w, struct ql_promql_result *result,
                         const struct ql_promql_grid *grid)
{
    static const char *const names[] = { [QL_PROMQL_SCALAR] = "scalar",
                                         [QL_PROMQL_VECTOR] = "vector",
                                         [QL_PROMQL_MATRIX] = "matrix",
                                         [QL_PROMQL_STRING] = "string" };
    const bool matrix = grid->step_ms > 0 || result->type == QL_PROMQL_MATRIX;
    ql_json_out_object(w, "data");
    ql_json_out_text(w, "resultType", matrix ? "matrix" : names[result->type]);
    if (matrix || result->type == QL_PROMQL_VECTOR) {
        if (result->row_count > 1 && (matrix || !result->sorted)) {
            qsort(result->rows, result->row_count, sizeof(*result->rows), row_order);
        }
        ql_json_out_array(w, "result");
        if (matrix) {
            result_matrix(w, result, grid);
        } else {
            result_vector(w, result, grid->start_ms);
        }
        ql_json_out_end(w);
    } else if (result->type == QL_PROMQL_SCALAR) {
        prom_json_pair(w, "result", grid->start_ms, result->rows[0].values[0]);
    } else {
        ql_json_out_array(w, "result");
        ql_json_out_double(w, NULL, (double)grid->start_ms / 1000.0);
        ql_json_out_str(w, NULL, result->text);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
}

/* Prometheus' own clients show warnings. */
static void result_warn(struct ql_json_out *w, int64_t cell_ms)
{
    if (cell_ms > 0) {
        ql_json_out_array(w, "warnings");
        ql_json_out_printf(w, NULL, "part of the range is kept as cells of %lld minutes: means of"
                           " gauges, lines through counters", (long long)(cell_ms / 60000));
        ql_json_out_end(w);
    }
}

static void query_answer(struct ql_api *api, struct ql_http_request *request,
                         const struct ql_promql *expression, const struct ql_promql_grid *grid)
{
    struct ql_promql_error error;
    struct ql_promql_result result;
    struct prom_source *source;
    struct api_answer answer;
    if (prom_source_new(api->env.view, api->env.data_dir, &source) != QL_OK) {
        prom_fail(request, QL_E_MEMORY, "no memory");
        return;
    }
    const ql_err err =
        ql_promql_eval(expression, prom_source_of(source), grid, &result, &error);
    if (err == QL_OK) {
        prom_answer_init(&answer);
        result_write(&answer.json, &result, grid);
        ql_promql_result_fini(&result);
        result_warn(&answer.json, prom_source_cell_ms(source));
        prom_answer_send(&answer, request, QL_OK);
    } else {
        prom_fail(request, err, "%s", error.text);
    }
    prom_source_free(source);
}

static void query_run(struct ql_api *api, struct ql_http_request *request,
                      const struct ql_promql_grid *grid)
{
    const ql_str text = ql_http_param(request, "query");
    struct ql_promql_error error;
    struct ql_promql *expression;
    const ql_err err = ql_promql_parse(text, &expression, &error);
    if (err == QL_OK) {
        query_answer(api, request, expression, grid);
        ql_promql_free(expression);
    } else if (err == QL_E_MALFORMED) {
        prom_fail(request, err, "invalid parameter \"query\": %s", error.text);
    } else {
        prom_fail(request, err, "%s", error.text);
    }
}

/* ---- handlers --------------------------------------------------------------------------------- */

void api_prom_query(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const int64_t now_ms = ql_time_to_ms(api->env.view->now(api->env.view->host));
    struct ql_promql_grid grid = { .step_ms = 0 };
    (void)id;
    if (prom_param_time(request, "time", now_ms, &grid.start_ms)) {
        grid.end_ms = grid.start_ms;
        query_run(api, request, &grid);
    }
}

void api_prom_query_range(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    static const char *const times[] = { "start", "end" };
    struct ql_promql_grid grid = { .step_ms = 0 };
    (void)id;
    for (size_t i = 0; i < QL_COUNT_OF(times); i++) {
        if (ql_http_param(request, times[i]).bytes == 0) {
            prom_fail(request, QL_E_MALFORMED,
                      "invalid parameter \"%s\": cannot parse \"\" to a valid timestamp", times[i]);
            return;
        }
    }
    if (!prom_param_time(request, "start", 0, &grid.start_ms) ||
        !prom_param_time(request, "end", 0, &grid.end_ms)) {
        return;
    }
    if (grid.end_ms < grid.start_ms) {
        prom_fail(request, QL_E_MALFORMED,
                  "invalid parameter \"end\": end timestamp must not be before start time");
        return;
    }
    if (!param_step(request, &grid.step_ms)) {
        return;
    }
    if ((grid.end_ms - grid.start_ms) / grid.step_ms > QL_PROMQL_STEPS_MAX - 1) {
        prom_fail(request, QL_E_MALFORMED,
                  "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the"
                  " query resolution (?step=XX)");
        return;
    }
    query_run(api, request, &grid);
}
