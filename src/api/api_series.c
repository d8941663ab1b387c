/* api_series.c - which series there are, and what was judged of them over time. */
#include "api/api_int.h"
#include "api/downsample.h"
#include "model/selector.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SELECTORS_MAX = 16, TEXTS_BYTES_MAX = 64 << 20, READ_ARENA_BYTES_MAX = 1 << 20 };

static const char *const series_types[] = { [QL_METRIC_UNKNOWN] = "unknown",
                                            [QL_METRIC_COUNTER] = "counter",
                                            [QL_METRIC_GAUGE] = "gauge",
                                            [QL_METRIC_DELTA] = "delta" };

/* ---- finding ------------------------------------------------------------------------ */

struct series_list {
    struct ql_series_info *at;
    uint32_t count, count_max; /* what the caller may show, and one more */
    struct ql_arena texts;
};

static ql_err series_list_init(struct series_list *list, uint32_t limit)
{
    *list = (struct series_list){ .count_max = limit + 1 };
    ql_arena_init(&list->texts, TEXTS_BYTES_MAX);
    list->at = calloc(list->count_max, sizeof(*list->at));
    return list->at != NULL ? QL_OK : QL_E_MEMORY;
}

static void series_list_fini(struct series_list *list)
{
    free(list->at);
    ql_arena_fini(&list->texts);
}

/* Several selectors may name one series: it stands in the answer once. */
static void series_list_add(struct series_list *list, const struct ql_series_info *info)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (ql_series_id_eq(list->at[i].id, info->id)) {
            return;
        }
    }
    if (list->count < list->count_max) {
        list->at[list->count++] = *info;
    }
}

static ql_err series_find(struct ql_api *api, const struct ql_matcher *matchers, uint32_t count,
                          struct series_list *list)
{
    const struct ql_view *view = api->env.view;
    struct ql_series_info *infos = NULL;
    uint32_t found = 0;
    const ql_err err = view->series_find(view->host, matchers, count, list->count_max, &list->texts,
                                         &infos, &found);
    if (err != QL_OK) {
        return err == QL_E_NOT_FOUND ? QL_OK : err;
    }
    for (uint32_t i = 0; i < found; i++) {
        series_list_add(list, &infos[i]);
    }
    free(infos);
    return QL_OK;
}

static bool series_select(struct ql_api *api, struct ql_http_request *request, const char *name,
                          ql_str text, struct series_list *list)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    ql_err err = ql_selector_parse(text, &selector, why);
    if (err != QL_OK) {
        ql_http_fail(request, 400, "%s: '%.*s' is no selector: %s", name, QL_STR_ARG(text), why);
        return false;
    }
    err = series_find(api, selector.matchers, selector.count, list);
    ql_selector_fini(&selector);
    if (err != QL_OK) {
        api_fail(request, err, "the engine did not answer");
    }
    return err == QL_OK;
}

/* Every selector of match[] and match. */
static bool series_select_all(struct ql_api *api, struct ql_http_request *request,
                              struct series_list *list, uint32_t *ret_selectors)
{
    static const char *const names[] = { "match[]", "match" };
    uint32_t selectors = 0;
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        ql_str text;
        for (uint32_t n = 0; ql_http_param_n(request, names[i], n, &text); n++) {
            if (++selectors > SELECTORS_MAX) {
                ql_http_fail(request, 400, "%s: at most %d are allowed", names[i], SELECTORS_MAX);
                return false;
            }
            if (!series_select(api, request, names[i], text, list)) {
                return false;
            }
        }
    }
    *ret_selectors = selectors;
    return true;
}

static void series_fields(struct ql_json_out *w, const struct ql_series_info *info)
{
    api_json_series(w, "id", info->id);
    ql_json_out_str(w, "metric", ql_labels_get(info->labels, QL_STR("__name__")));
    api_json_labels(w, "labels", info->labels, false);
    ql_json_out_str(w, "entity", info->entity);
    ql_json_out_text(w, "type", series_types[(size_t)info->type % QL_COUNT_OF(series_types)]);
    ql_json_out_double(w, "step_s", (double)info->step_ms / 1000.0);
}

static void series_answer(struct ql_http_request *request, const struct series_list *list,
                          uint32_t limit)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_array(w, "series");
    for (uint32_t i = 0; i < list->count && i < limit; i++) {
        ql_json_out_object(w, NULL);
        series_fields(w, &list->at[i]);
        ql_json_out_time(w, "last_at", list->at[i].last_at);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
    ql_json_out_bool(w, "more", list->count > limit);
    ql_json_out_end(w);
    api_answer_send(&answer, request, QL_OK);
}

void api_series_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    uint32_t limit, selectors;
    struct series_list list;
    (void)id;
    if (!api_param_u32(request, "limit", 1, 100000, 1000, &limit)) {
        return;
    }
    if (series_list_init(&list, limit) != QL_OK) {
        api_fail(request, QL_E_MEMORY, "listing series");
    } else if (series_select_all(api, request, &list, &selectors)) {
        if (selectors == 0) {
            ql_http_fail(request, 400,
                         "match[]: a selector is required, e.g. match[]={job=\"node\"}"
                         " or match[]={} for all");
        } else {
            series_answer(request, &list, limit);
        }
    }
    series_list_fini(&list);
}

/* ---- ranges ------------------------------------------------------------------------- */

static bool series_id_parse(ql_str text, ql_series_id *ret_id)
{
    uint64_t halves[2] = { 0, 0 };
    if (text.bytes != 32) {
        return false;
    }
    for (size_t i = 0; i < 32; i++) {
        const char c = text.at[i];
        const uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                               : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (uint64_t)(c - 'A' + 10)
                                                      : 16;
        if (digit == 16) {
            return false;
        }
        halves[i / 16] = halves[i / 16] << 4 | digit;
    }
    *ret_id = (ql_series_id){ { halves[0], halves[1] } };
    return true;
}

static bool series_by_id(struct ql_api *api, struct ql_http_request *request,
                         struct series_list *list)
{
    const struct ql_view *view = api->env.view;
    ql_str text;
    for (uint32_t n = 0; ql_http_param_n(request, "series", n, &text); n++) {
        ql_series_id id;
        struct ql_series_info info;
        if (!series_id_parse(text, &id)) {
            ql_http_fail(request, 400, "series: '%.*s' is not an id of 32 hexadecimal digits",
                         QL_STR_ARG(text));
            return false;
        }
        const ql_err err = view->series_get(view->host, id, &list->texts, &info);
        if (err == QL_OK) {
            series_list_add(list, &info);
        } else if (err != QL_E_NOT_FOUND) { /* an unknown one is left out */
            api_fail(request, err, "the engine did not answer");
            return false;
        }
    }
    return true;
}

struct series_range {
    ql_time from, to;
    uint32_t points_max, limit;
};

static bool series_range_params(struct ql_api *api, struct ql_http_request *request,
                                struct series_range *range)
{
    const ql_time now = api->env.view->now(api->env.view->host);
    if (!api_param_time(api, request, "end", now, &range->to) ||
        !api_param_time(api, request, "start", ql_time_add(range->to, QL_S(-3600)), &range->from) ||
        !api_param_u32(request, "max_points", 100, 20000, 4000, &range->points_max) ||
        !api_param_u32(request, "limit", 1, 100, 20, &range->limit)) {
        return false;
    }
    if (ql_time_before(range->to, range->from)) {
        ql_http_fail(request, 400, "start: it lies after end");
        return false;
    }
    return true;
}

static void series_points(struct ql_json_out *w, struct ql_batch *read, uint32_t points_max)
{
    const uint32_t count = ql_downsample(read->samples.at, read->samples.count, points_max);
    ql_json_out_array(w, "points");
    for (uint32_t i = 0; i < count; i++) {
        ql_json_out_array(w, NULL);
        ql_json_out_double(w, NULL, ql_time_s(read->samples.at[i].at));
        ql_json_out_double(w, NULL, read->samples.at[i].value);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
    /* A band moves slowly: every n-th one draws it as well as all. */
    const uint32_t stride = read->bands.count / points_max + 1;
    ql_json_out_array(w, "bands");
    for (uint32_t i = 0; i < read->bands.count; i += stride) {
        const struct ql_band *band = &read->bands.at[i];
        ql_json_out_array(w, NULL);
        ql_json_out_double(w, NULL, ql_time_s(band->at));
        ql_json_out_double(w, NULL, (double)band->expected);
        ql_json_out_double(w, NULL, (double)band->lower);
        ql_json_out_double(w, NULL, (double)band->upper);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
}

static ql_err series_ranges(struct ql_api *api, struct ql_json_out *w,
                            const struct series_list *list, const struct series_range *range)
{
    const struct ql_view *view = api->env.view;
    struct ql_batch read;
    ql_err err = QL_OK;
    ql_batch_init(&read, READ_ARENA_BYTES_MAX);
    for (uint32_t i = 0; i < list->count && i < range->limit && err == QL_OK; i++) {
        ql_batch_reset(&read);
        err = view->series_read(view->host, list->at[i].id, range->from, range->to, &read);
        err = err == QL_E_NOT_FOUND ? QL_OK : err; /* gone since it was found: no points */
        ql_json_out_object(w, NULL);
        series_fields(w, &list->at[i]);
        ql_json_out_double(w, "cell_s", (double)read.cell_ms / 1000.0);
        series_points(w, &read, range->points_max);
        ql_json_out_end(w);
    }
    ql_batch_fini(&read);
    return err;
}

static void series_ranges_answer(struct ql_api *api, struct ql_http_request *request,
                                 const struct series_list *list, const struct series_range *range)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_double(w, "start", ql_time_s(range->from));
    ql_json_out_double(w, "end", ql_time_s(range->to));
    ql_json_out_array(w, "series");
    const ql_err err = series_ranges(api, w, list, range);
    ql_json_out_end(w);
    ql_json_out_bool(w, "more", list->count > range->limit);
    ql_json_out_end(w);
    api_answer_send(&answer, request, err);
}

void api_bands_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct series_range range = { .limit = 0 };
    struct series_list list;
    uint32_t selectors;
    (void)id;
    if (!series_range_params(api, request, &range)) {
        return;
    }
    if (series_list_init(&list, range.limit) != QL_OK) {
        api_fail(request, QL_E_MEMORY, "listing series");
    } else if (series_by_id(api, request, &list) &&
               series_select_all(api, request, &list, &selectors)) {
        if (selectors == 0 && ql_http_param(request, "series").bytes == 0) {
            ql_http_fail(request, 400, "series or match[]: one of them is required");
        } else {
            series_ranges_answer(api, request, &list, &range);
        }
    }
    series_list_fini(&list);
}
