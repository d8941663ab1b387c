/* api_forecast.c - what stored series will do next, worked out when somebody asks.
 *
 * Samples are put on a grid of a natural step (their own, or wider so that the horizon is a
 * few hundred steps): the mean of each cell, missing where there is none. Only history and
 * the newest samples are read, never the core.
 */
#include "api/api_int.h"
#include "forecast/forecast.h"
#include "forecast/survey.h"
#include "model/selector.h"

#include <math.h>
#include <stdlib.h>

enum { READ_ARENA_BYTES_MAX = 1 << 20, TEXTS_BYTES_MAX = 16 << 20, STEPS_MOST = 400 };
#define HORIZON_S_MAX (400.0 * 86400.0)

struct ahead {
    struct ql_api *api;
    uint32_t limit;
    double horizon_s;
    struct ql_arena texts, scratch;
    struct ql_series_info *found;
    uint32_t count;
    struct ql_batch read;
    double *cells;                 /* QL_SURVEY_CELLS means, oldest first */
    struct ql_forecast_step *steps; /* STEPS_MOST + 1 */
};

/* ---- the question ------------------------------------------------------------------- */

static bool ahead_find(struct ahead *a, struct ql_http_request *request)
{
    const struct ql_view *view = a->api->env.view;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    ql_str text = ql_http_param(request, "match[]");
    text = text.bytes > 0 ? text : ql_http_param(request, "match");
    if (text.bytes == 0) {
        ql_http_fail(request, 400, "match[]: a selector is required, e.g. match[]=up");
        return false;
    }
    if (ql_selector_parse(text, &selector, why) != QL_OK) {
        ql_http_fail(request, 400, "match[]: '%.*s' is no selector: %s", QL_STR_ARG(text), why);
        return false;
    }
    const ql_err err = view->series_find(view->host, selector.matchers, selector.count,
                                         a->limit + 1, &a->texts, &a->found, &a->count);
    ql_selector_fini(&selector);
    if (err != QL_OK && err != QL_E_NOT_FOUND) {
        api_fail(request, err, "the engine did not answer");
        return false;
    }
    return true;
}

/* ---- the grid ----------------------------------------------------------------------- */

/* The least natural step that is not under the series' own and keeps the horizon short. */
static double ahead_step_s(double own_s, double horizon_s)
{
    static const double natural[] = { 1, 5, 10, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200,
                                      21600, 43200, 86400 };
    for (size_t i = 0; i < QL_COUNT_OF(natural); i++) {
        if (natural[i] >= own_s && horizon_s / natural[i] <= STEPS_MOST) {
            return natural[i];
        }
    }
    return natural[QL_COUNT_OF(natural) - 1];
}

bool api_param_horizon(struct ql_http_request *request, double *ret_s)
{
    const ql_str text = ql_http_param(request, "horizon");
    ql_duration horizon = QL_S(86400);
    if (text.bytes > 0 && ql_str_to_duration(text, &horizon) != QL_OK) {
        ql_http_fail(request, 400, "horizon: '%.*s' is not a duration such as 24h",
                     QL_STR_ARG(text));
        return false;
    }
    *ret_s = ql_duration_s(horizon);
    if (*ret_s < 1.0 || *ret_s > HORIZON_S_MAX) {
        ql_http_fail(request, 400, "horizon: '%.*s' is outside 1s to 400d", QL_STR_ARG(text));
        return false;
    }
    return true;
}

/* ---- the answer --------------------------------------------------------------------- */

static void ahead_steps(struct ql_json_out *w, const struct ql_forecast_step *steps, uint32_t count,
                        ql_time first, double step_s)
{
    ql_json_out_array(w, "steps");
    for (uint32_t j = 0; j < count; j++) {
        const double row[] = { ql_time_s(first) + step_s * (double)j, steps[j].mean,
                               steps[j].lower80, steps[j].upper80, steps[j].lower95,
                               steps[j].upper95 };
        ql_json_out_array(w, NULL);
        for (size_t i = 0; i < QL_COUNT_OF(row); i++) {
            ql_json_out_double(w, NULL, row[i]);
        }
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
}

static void ahead_about(struct ql_json_out *w, const struct ql_forecast_about *about,
                        double step_s)
{
    ql_json_out_u64(w, "points", about->points);
    ql_json_out_array(w, "seasons_s");
    for (size_t i = 0; i < QL_COUNT_OF(about->period); i++) {
        if (about->period[i] > 0) {
            ql_json_out_double(w, NULL, step_s * (double)about->period[i]);
        }
    }
    ql_json_out_end(w);
    ql_json_out_object(w, "tested");
    ql_json_out_u64(w, "times", about->tests);
    ql_json_out_u64(w, "steps", about->judged);
    ql_json_out_u64(w, "inside80", about->in80);
    ql_json_out_u64(w, "inside95", about->in95);
    ql_json_out_double(w, "mean_error", about->error);
    ql_json_out_end(w);
}

static ql_err ahead_series(struct ahead *a, struct ql_json_out *w,
                           const struct ql_series_info *info)
{
    const struct ql_view *view = a->api->env.view;
    const double step_s = ahead_step_s((double)info->step_ms / 1000.0, a->horizon_s);
    const int64_t step_ns = (int64_t)(step_s * 1e9);
    const uint32_t steps = (uint32_t)fmax(1.0, fmin(ceil(a->horizon_s / step_s), STEPS_MOST + 1));
    const ql_time now = view->now(view->host), end = { now.ns / step_ns * step_ns };
    struct ql_forecast_about about = { 0 };
    ql_batch_reset(&a->read);
    const ql_time begin = { end.ns - (int64_t)QL_SURVEY_CELLS * step_ns };
    ql_err err = view->series_read(view->host, info->id, begin, now, &a->read);
    if (err != QL_OK && err != QL_E_NOT_FOUND) {
        return err;
    }
    ql_survey_means(&a->read, end, step_ns, a->cells);
    const struct ql_forecast_in in = { a->cells, QL_SURVEY_CELLS, step_s, steps };
    ql_arena_reset(&a->scratch);
    err = ql_forecast(&in, &a->scratch, a->steps, &about);
    ql_json_out_object(w, NULL);
    api_json_series(w, "id", info->id);
    ql_json_out_str(w, "metric", ql_labels_get(info->labels, QL_STR("__name__")));
    api_json_labels(w, "labels", info->labels, false);
    ql_json_out_str(w, "entity", info->entity);
    ql_json_out_double(w, "step_s", step_s);
    ahead_about(w, &about, step_s);
    ahead_steps(w, a->steps, err == QL_OK ? steps : 0, end, step_s);
    ql_json_out_end(w);
    return err == QL_E_NOT_FOUND ? QL_OK : err; /* no value at all: no steps */
}

static void ahead_answer(struct ahead *a, struct ql_http_request *request)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    ql_err err = QL_OK;
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_double(w, "horizon_s", a->horizon_s);
    ql_json_out_array(w, "series");
    for (uint32_t i = 0; i < a->count && i < a->limit && err == QL_OK; i++) {
        err = ahead_series(a, w, &a->found[i]);
    }
    ql_json_out_end(w);
    ql_json_out_bool(w, "more", a->count > a->limit);
    ql_json_out_end(w);
    api_answer_send(&answer, request, err);
}

void api_forecast_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ahead a = { .api = api };
    (void)id;
    if (!api_param_u32(request, "limit", 1, 20, 5, &a.limit) ||
        !api_param_horizon(request, &a.horizon_s)) {
        return;
    }
    ql_arena_init(&a.texts, TEXTS_BYTES_MAX);
    ql_arena_init(&a.scratch, QL_FORECAST_SCRATCH);
    ql_batch_init(&a.read, READ_ARENA_BYTES_MAX);
    a.cells = calloc(QL_SURVEY_CELLS, sizeof(*a.cells));
    a.steps = calloc(STEPS_MOST + 1, sizeof(*a.steps));
    if (a.cells == NULL || a.steps == NULL) {
        api_fail(request, QL_E_MEMORY, "forecasting");
    } else if (ahead_find(&a, request)) {
        ahead_answer(&a, request);
    }
    free(a.found);
    free(a.cells);
    free(a.steps);
    ql_batch_fini(&a.read);
    ql_arena_fini(&a.scratch);
    ql_arena_fini(&a.texts);
}
