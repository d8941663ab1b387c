/* api_capacity - when will what has a limit be full? Soonest first.
 *
 * A series has a limit when another one with the same labels says it (forecast/limits.h). Pairs
 * are found by the hash of their labels without the name; each is judged from four weeks of
 * history on a grid of ten minutes. The limit is what the last day said last.
 */
#include "api/api_int.h"
#include "forecast/capacity.h"
#include "forecast/limits.h"
#include "model/selector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERIES_MAX = 100000, PAIRS_MAX = 200, STEP_S = 600, LIMIT_CELLS = 144 };
#define READ_ARENA_BYTES_MAX ((size_t)1 << 20)
#define TEXTS_BYTES_MAX ((size_t)64 << 20)
#define SCRATCH_BYTES_MAX ((size_t)16 << 20)

struct limit_ref { uint64_t key; uint32_t index; };
struct limited {
    const struct ql_series_info *series, *limit_series;
    enum ql_limit_kind kind;
    bool judged;
    double limit, used;
    struct ql_capacity capacity;
};
struct survey {
    struct ql_api *api;
    uint32_t shown;
    double horizon_s;
    ql_time end;                /* of the grid */
    struct ql_arena texts, scratch;
    struct ql_series_info *found;
    uint32_t found_count;
    struct limit_ref *limits;
    uint32_t limit_count;
    struct limited pairs[PAIRS_MAX];
    uint32_t pair_count;
    bool more;
    struct ql_batch read;
    double *cells;
};

/* ---- pairs -------------------------------------------------------------------------- */

static uint64_t labels_key(ql_str block)
{
    struct ql_label label;
    uint64_t key = 0;
    for (size_t at = 0; ql_labels_next(block, &at, &label);) {
        if (!ql_str_eq(label.name, QL_STR("__name__"))) {
            const uint64_t parts[] = { key, ql_hash64(label.name.at, label.name.bytes),
                                       ql_hash64(label.value.at, label.value.bytes) };
            key = ql_hash64(parts, sizeof(parts));
        }
    }
    return key;
}

static ql_str name_of(const struct ql_series_info *info)
{
    return ql_labels_get(info->labels, QL_STR("__name__"));
}

static int limit_order(const void *a, const void *b)
{
    const struct limit_ref *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1)
                            : (x->index > y->index) - (x->index < y->index);
}

static void pair_add(struct survey *s, uint32_t series, uint32_t limit)
{
    enum ql_limit_kind kind;
    if (series == limit ||
        !ql_limit_of(name_of(&s->found[series]), name_of(&s->found[limit]), &kind)) {
        return;
    }
    if (s->pair_count == PAIRS_MAX) {
        s->more = true;
        return;
    }
    s->pairs[s->pair_count++] = (struct limited){ .series = &s->found[series],
                                                  .limit_series = &s->found[limit],
                                                  .kind = kind };
}

static ql_err pairs_find(struct survey *s)
{
    s->limits = calloc((size_t)s->found_count + 1, sizeof(*s->limits));
    if (s->limits == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < s->found_count; i++) {
        if (ql_limit_name(name_of(&s->found[i]))) {
            s->limits[s->limit_count++] = (struct limit_ref){ labels_key(s->found[i].labels), i };
        }
    }
    qsort(s->limits, s->limit_count, sizeof(*s->limits), limit_order);
    for (uint32_t i = 0; i < s->found_count && s->limit_count > 0; i++) {
        const uint64_t key = labels_key(s->found[i].labels);
        uint32_t low = 0, high = s->limit_count;
        while (low < high) {
            const uint32_t middle = (low + high) / 2;
            low = s->limits[middle].key < key ? middle + 1 : low;
            high = s->limits[middle].key < key ? high : middle;
        }
        for (; low < s->limit_count && s->limits[low].key == key; low++) {
            pair_add(s, i, s->limits[low].index);
        }
    }
    return QL_OK;
}

/* ---- judging ------------------------------------------------------------------------ */

/* The newest `count` cells; older ones become missing. */
static ql_err cells_read(struct survey *s, ql_series_id id, uint32_t count)
{
    const struct ql_view *view = s->api->env.view;
    const int64_t step_ns = STEP_S * QL_NS_PER_S;
    ql_batch_reset(&s->read);
    const ql_time begin = { s->end.ns - (int64_t)count * step_ns };
    const ql_err err = view->series_read(view->host, id, begin, s->end, &s->read);
    api_grid_means(&s->read, s->end, step_ns, s->cells);
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

static double cells_last(const double *cells)
{
    for (uint32_t i = API_GRID_CELLS; i-- > 0;) {
        if (isfinite(cells[i])) {
            return cells[i];
        }
    }
    return NAN;
}

static ql_err pair_judge(struct survey *s, struct limited *pair)
{
    ql_err err = cells_read(s, pair->limit_series->id, LIMIT_CELLS);
    pair->limit = cells_last(s->cells);
    if (err != QL_OK || !(pair->limit > 0.0)) {
        return err; /* 0 and -1 are how exporters say "no limit" */
    }
    err = cells_read(s, pair->series->id, API_GRID_CELLS);
    for (uint32_t i = 0; i < API_GRID_CELLS && pair->kind == QL_LIMIT_FREE; i++) {
        s->cells[i] = pair->limit - s->cells[i];
    }
    pair->used = cells_last(s->cells);
    if (err != QL_OK || !isfinite(pair->used)) {
        return err;
    }
    const struct ql_capacity_in in = { s->cells, API_GRID_CELLS, STEP_S, pair->limit,
                                       s->horizon_s };
    ql_arena_reset(&s->scratch);
    err = ql_capacity(&in, &s->scratch, &pair->capacity);
    pair->judged = err == QL_OK;
    return err;
}

/* Likely first, then soon, then by labels, which series_find sorted. */
static int pair_order(const void *a, const void *b)
{
    const struct limited *x = a, *y = b;
    if (x->judged != y->judged) {
        return x->judged ? -1 : 1;
    }
    if (x->capacity.full != y->capacity.full) {
        return x->capacity.full > y->capacity.full ? -1 : 1;
    }
    if (x->capacity.middle_s != y->capacity.middle_s) {
        return x->capacity.middle_s < y->capacity.middle_s ? -1 : 1;
    }
    return x->series != y->series ? (x->series < y->series ? -1 : 1)
                                  : (x->limit_series > y->limit_series) -
                                        (x->limit_series < y->limit_series);
}

/* ---- the answer --------------------------------------------------------------------- */

static ql_time time_in(const struct survey *s, double seconds)
{
    return isfinite(seconds) ? (ql_time){ s->end.ns + (int64_t)(seconds * 1e9) } : QL_TIME_NONE;
}

static void pair_why(struct ql_json_out *w, const struct survey *s, const struct limited *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    char early[QL_TIME_TEXT_BYTES], late[QL_TIME_TEXT_BYTES], right[64] = "";
    if (c->tests > 0) {
        (void)snprintf(right, sizeof(right), "; right %u of %u times", c->right, c->tests);
    }
    if (c->rule == QL_CAPACITY_UNKNOWN) {
        ql_json_out_text(w, "why", "less than three days or clean-up cycles are known");
    } else if (c->rule == QL_CAPACITY_FULL) {
        ql_json_out_printf(w, "why", "%.3g %% full", 100.0 * pair->used / pair->limit);
    } else if (!isfinite(c->early_s)) {
        ql_json_out_printf(w, "why", "not full within a year%s", right);
    } else if (!isfinite(c->late_s)) {
        ql_json_out_printf(w, "why", "not full before %s, 90 %%%s",
                           ql_time_text(time_in(s, c->early_s), early), right);
    } else {
        ql_json_out_printf(w, "why", "full between %s and %s, 80 %%%s",
                           ql_time_text(time_in(s, c->early_s), early),
                           ql_time_text(time_in(s, c->late_s), late), right);
    }
}

static void pair_write(struct ql_json_out *w, const struct survey *s, const struct limited *pair)
{
    static const char *const rules[] = {
        [QL_CAPACITY_UNKNOWN] = "unknown", [QL_CAPACITY_TREND] = "trend",
        [QL_CAPACITY_RECENT] = "recent", [QL_CAPACITY_FAST] = "fast", [QL_CAPACITY_FULL] = "full",
    };
    const struct ql_capacity *c = &pair->capacity;
    ql_json_out_object(w, NULL);
    api_json_series(w, "id", pair->series->id);
    ql_json_out_str(w, "metric", name_of(pair->series));
    ql_json_out_str(w, "limit_metric", name_of(pair->limit_series));
    api_json_labels(w, "labels", pair->series->labels, false);
    ql_json_out_str(w, "entity", pair->series->entity);
    ql_json_out_double(w, "used", pair->used);
    ql_json_out_double(w, "limit", pair->limit);
    ql_json_out_text(w, "rule", rules[c->rule]);
    ql_json_out_double(w, "full", c->full);
    ql_json_out_time(w, "early", time_in(s, c->early_s));
    ql_json_out_time(w, "middle", time_in(s, c->middle_s));
    ql_json_out_time(w, "late", time_in(s, c->late_s));
    ql_json_out_double(w, "growth_per_day", c->growth_per_day);
    ql_json_out_u64(w, "tests", c->tests);
    ql_json_out_u64(w, "right", c->right);
    pair_why(w, s, pair);
    ql_json_out_end(w);
}

static void survey_answer(struct survey *s, struct ql_http_request *request)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    uint32_t shown = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < s->pair_count && err == QL_OK; i++) {
        err = pair_judge(s, &s->pairs[i]);
    }
    qsort(s->pairs, s->pair_count, sizeof(s->pairs[0]), pair_order);
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_double(w, "horizon_s", s->horizon_s);
    ql_json_out_array(w, "limits");
    for (uint32_t i = 0; i < s->pair_count && s->pairs[i].judged; i++) {
        if (shown == s->shown) {
            s->more = true;
            break;
        }
        pair_write(w, s, &s->pairs[i]);
        shown++;
    }
    ql_json_out_end(w);
    ql_json_out_bool(w, "more", s->more);
    ql_json_out_end(w);
    api_answer_send(&answer, request, err);
}

static bool survey_find(struct survey *s, struct ql_http_request *request)
{
    const struct ql_view *view = s->api->env.view;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    ql_str text = ql_http_param(request, "match[]");
    text = text.bytes > 0 ? text : ql_http_param(request, "match");
    text = text.bytes > 0 ? text : QL_STR("{}");
    if (ql_selector_parse(text, &selector, why) != QL_OK) {
        ql_http_fail(request, 400, "match[]: '%.*s' is no selector: %s", QL_STR_ARG(text), why);
        return false;
    }
    ql_err err = view->series_find(view->host, selector.matchers, selector.count, SERIES_MAX,
                                   &s->texts, &s->found, &s->found_count);
    ql_selector_fini(&selector);
    s->more = s->found_count == SERIES_MAX;
    err = err == QL_OK || err == QL_E_NOT_FOUND ? pairs_find(s) : err;
    if (err != QL_OK) {
        api_fail(request, err, "the engine did not answer");
    }
    return err == QL_OK;
}

void api_capacity_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)id;
    struct survey *s = calloc(1, sizeof(*s));
    double *cells = calloc(API_GRID_CELLS, sizeof(*cells));
    if (s == NULL || cells == NULL) {
        api_fail(request, QL_E_MEMORY, "judging limits");
        free(s);
        free(cells);
        return;
    }
    s->api = api;
    s->cells = cells;
    ql_arena_init(&s->texts, TEXTS_BYTES_MAX);
    ql_arena_init(&s->scratch, SCRATCH_BYTES_MAX);
    ql_batch_init(&s->read, READ_ARENA_BYTES_MAX);
    const int64_t step_ns = STEP_S * QL_NS_PER_S;
    s->end = (ql_time){ api->env.view->now(api->env.view->host).ns / step_ns * step_ns };
    if (api_param_u32(request, "limit", 1, PAIRS_MAX, 20, &s->shown) &&
        api_param_horizon(request, &s->horizon_s) && survey_find(s, request)) {
        survey_answer(s, request);
    }
    ql_batch_fini(&s->read);
    ql_arena_fini(&s->scratch);
    ql_arena_fini(&s->texts);
    free(s->found);
    free(s->limits);
    free(s->cells);
    free(s);
}
