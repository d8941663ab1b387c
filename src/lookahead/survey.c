/* survey - pairs by their labels, history on a grid, and capacity.h. */
#include "lookahead/survey.h"

#include "model/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_CELLS = 144 };
#define READ_ARENA_BYTES_MAX ((size_t)1 << 20)
#define TEXTS_BYTES_MAX ((size_t)64 << 20)
#define SCRATCH_BYTES_MAX ((size_t)16 << 20)

struct survey_limit { uint64_t key; uint32_t index; };

ql_err ql_survey_open(struct ql_survey *s, const struct ql_view *view, uint32_t pairs_max,
                      double horizon_s)
{
    const int64_t step_ns = QL_SURVEY_STEP_S * QL_NS_PER_S;
    *s = (struct ql_survey){ .view = view, .horizon_s = horizon_s, .pairs_max = pairs_max };
    s->end = (ql_time){ view->now(view->host).ns / step_ns * step_ns };
    ql_arena_init(&s->texts, TEXTS_BYTES_MAX);
    ql_arena_init(&s->scratch, SCRATCH_BYTES_MAX);
    ql_batch_init(&s->read, READ_ARENA_BYTES_MAX);
    s->pairs = calloc(pairs_max, sizeof(*s->pairs));
    s->cells = calloc(QL_SURVEY_CELLS, sizeof(*s->cells));
    return s->pairs != NULL && s->cells != NULL ? QL_OK : QL_E_MEMORY;
}

void ql_survey_close(struct ql_survey *s)
{
    ql_batch_fini(&s->read);
    ql_arena_fini(&s->scratch);
    ql_arena_fini(&s->texts);
    free(s->found);
    free(s->limits);
    free(s->pairs);
    free(s->cells);
}

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

ql_str ql_survey_name(const struct ql_series_info *info)
{
    return ql_labels_get(info->labels, QL_STR("__name__"));
}

static int limit_order(const void *a, const void *b)
{
    const struct survey_limit *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1)
                            : (x->index > y->index) - (x->index < y->index);
}

static void pair_add(struct ql_survey *s, uint32_t series, uint32_t limit)
{
    enum ql_limit_kind kind;
    if (series == limit ||
        !ql_limit_of(ql_survey_name(&s->found[series]), ql_survey_name(&s->found[limit]), &kind)) {
        return;
    }
    if (s->pair_count == s->pairs_max) {
        s->more = true;
        return;
    }
    s->pairs[s->pair_count++] = (struct ql_limited){ .series = &s->found[series],
                                                  .limit_series = &s->found[limit],
                                                  .kind = kind };
}

static ql_err survey_pairs(struct ql_survey *s)
{
    s->limits = calloc((size_t)s->found_count + 1, sizeof(*s->limits));
    if (s->limits == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < s->found_count; i++) {
        if (ql_limit_name(ql_survey_name(&s->found[i]))) {
            s->limits[s->limit_count++] = (struct survey_limit){ labels_key(s->found[i].labels), i };
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
static ql_err cells_read(struct ql_survey *s, ql_series_id id, uint32_t count)
{
    const struct ql_view *view = s->view;
    const int64_t step_ns = QL_SURVEY_STEP_S * QL_NS_PER_S;
    ql_batch_reset(&s->read);
    const ql_time begin = { s->end.ns - (int64_t)count * step_ns };
    const ql_err err = view->series_read(view->host, id, begin, s->end, &s->read);
    ql_survey_means(&s->read, s->end, step_ns, s->cells);
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

static double cells_last(const double *cells)
{
    for (uint32_t i = QL_SURVEY_CELLS; i-- > 0;) {
        if (isfinite(cells[i])) {
            return cells[i];
        }
    }
    return NAN;
}

ql_err ql_survey_judge(struct ql_survey *s, struct ql_limited *pair)
{
    ql_err err = cells_read(s, pair->limit_series->id, LIMIT_CELLS);
    pair->limit = cells_last(s->cells);
    if (err != QL_OK || !(pair->limit > 0.0)) {
        return err; /* 0 and -1 are how exporters say "no limit" */
    }
    err = cells_read(s, pair->series->id, QL_SURVEY_CELLS);
    for (uint32_t i = 0; i < QL_SURVEY_CELLS && pair->kind == QL_LIMIT_FREE; i++) {
        s->cells[i] = pair->limit - s->cells[i];
    }
    pair->used = cells_last(s->cells);
    if (err != QL_OK || !isfinite(pair->used)) {
        return err;
    }
    const struct ql_capacity_in in = { s->cells, QL_SURVEY_CELLS, QL_SURVEY_STEP_S, pair->limit,
                                       s->horizon_s };
    ql_arena_reset(&s->scratch);
    err = ql_capacity(&in, &s->scratch, &pair->capacity);
    pair->judged = err == QL_OK;
    return err;
}

/* Likely first, then soon, then by labels, which series_find sorted. */
static int survey_order(const void *a, const void *b)
{
    const struct ql_limited *x = a, *y = b;
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

void ql_survey_sort(struct ql_survey *s)
{
    qsort(s->pairs, s->pair_count, sizeof(s->pairs[0]), survey_order);
}

ql_err ql_survey_find(struct ql_survey *s, const struct ql_matcher *matchers,
                      uint32_t matcher_count)
{
    const ql_err err = s->view->series_find(s->view->host, matchers, matcher_count,
                                            QL_SURVEY_SERIES_MAX, &s->texts, &s->found,
                                            &s->found_count);
    s->more = s->found_count == QL_SURVEY_SERIES_MAX;
    return err == QL_OK || err == QL_E_NOT_FOUND ? survey_pairs(s) : err;
}

ql_time ql_survey_time(const struct ql_survey *s, double seconds)
{
    return isfinite(seconds) ? (ql_time){ s->end.ns + (int64_t)(seconds * 1e9) } : QL_TIME_NONE;
}

/* ---- the grid ----------------------------------------------------------------------- */

void ql_survey_means(const struct ql_batch *read, ql_time end, int64_t step_ns,
                    double cells[QL_SURVEY_CELLS])
{
    uint32_t counts[QL_SURVEY_CELLS] = { 0 };
    memset(cells, 0, QL_SURVEY_CELLS * sizeof(*cells));
    const int64_t begin = end.ns - (int64_t)QL_SURVEY_CELLS * step_ns;
    for (uint32_t i = 0; i < read->samples.count; i++) {
        const struct ql_sample *s = &read->samples.at[i];
        if (s->at.ns >= begin && s->at.ns < end.ns && isfinite(s->value)) {
            const size_t cell = (size_t)((s->at.ns - begin) / step_ns);
            counts[cell]++;
            cells[cell] += (s->value - cells[cell]) / (double)counts[cell];
        }
    }
    for (uint32_t i = 0; i < QL_SURVEY_CELLS; i++) {
        cells[i] = counts[i] > 0 ? cells[i] : NAN;
    }
}
