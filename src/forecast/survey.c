/* survey - pairs by the hash of their labels without the name; each judged on its own. */
#include "forecast/survey.h"

#include "config/config.h"
#include "forecast/exhaust.h"
#include "forecast/expiry.h"
#include "model/selector.h"

#include <math.h>
#include <stdlib.h>

enum { STEP_S = 600, LIMIT_CELLS = 144, HOUR_S = 3600, DAY_S = 86400 };
#define SMART_RAW_MAX 281474976710656.0 /* 2^48 */
#define READ_ARENA_BYTES_MAX ((size_t)1 << 20)
#define TEXTS_BYTES_MAX ((size_t)64 << 20)
#define SCRATCH_BYTES_MAX ((size_t)16 << 20)
#define STEP_NS ((int64_t)STEP_S * QL_NS_PER_S)

struct limit_ref { uint64_t key; uint32_t index; };

/* ---- life --------------------------------------------------------------------------- */

ql_err ql_survey_open(const struct ql_view *view, const struct ql_config *config,
                      double horizon_s, struct ql_survey *ret_survey)
{
    struct ql_survey *s = ret_survey;
    *s = (struct ql_survey){ .view = view, .config = config, .horizon_s = horizon_s,
                             .expiry_horizon_s = horizon_s };
    s->cells = calloc(QL_SURVEY_CELLS, sizeof(*s->cells));
    s->pairs = calloc(QL_SURVEY_PAIRS_MAX, sizeof(*s->pairs));
    ql_arena_init(&s->texts, TEXTS_BYTES_MAX);
    ql_arena_init(&s->scratch, SCRATCH_BYTES_MAX);
    ql_batch_init(&s->read, READ_ARENA_BYTES_MAX);
    if (s->cells == NULL || s->pairs == NULL) {
        ql_survey_close(s);
        return QL_E_MEMORY;
    }
    s->now = view->now(view->host);
    s->end = (ql_time){ s->now.ns / STEP_NS * STEP_NS };
    return QL_OK;
}

void ql_survey_close(struct ql_survey *s)
{
    ql_batch_fini(&s->read);
    ql_arena_fini(&s->scratch);
    ql_arena_fini(&s->texts);
    free(s->found);
    free(s->pairs);
    free(s->cells);
    *s = (struct ql_survey){ 0 };
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

static void pair_add(struct ql_survey *s, const struct ql_surveyed *pair)
{
    if (s->pairs_found++ < s->skip || s->pair_count == QL_SURVEY_PAIRS_MAX) {
        s->more = true;
        return;
    }
    s->pairs[s->pair_count++] = *pair;
}

static void pair_try(struct ql_survey *s, uint32_t series, uint32_t limit)
{
    struct ql_surveyed pair = { .series = &s->found[series], .limit_series = &s->found[limit] };
    pair.limit_name = name_of(pair.limit_series);
    if (series != limit && ql_limit_of(name_of(pair.series), pair.limit_name, &pair.kind)) {
        pair_add(s, &pair);
    }
}

/* The first of those whose key is not below. */
static uint32_t limit_place(const struct limit_ref *limits, uint32_t count, uint64_t key)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        low = limits[middle].key < key ? middle + 1 : low;
        high = limits[middle].key < key ? high : middle;
    }
    return low;
}

static ql_err pairs_by_name(struct ql_survey *s)
{
    uint32_t count = 0;
    struct limit_ref *limits = calloc((size_t)s->found_count + 1, sizeof(*limits));
    if (limits == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < s->found_count; i++) {
        if (ql_limit_name(name_of(&s->found[i]))) {
            limits[count++] = (struct limit_ref){ labels_key(s->found[i].labels), i };
        }
    }
    qsort(limits, count, sizeof(*limits), limit_order);
    for (uint32_t i = 0; i < s->found_count; i++) {
        const uint64_t key = count > 0 ? labels_key(s->found[i].labels) : 0;
        for (uint32_t at = limit_place(limits, count, key); at < count && limits[at].key == key;
             at++) {
            pair_try(s, i, limits[at].index);
        }
        if (ql_expiry_name(name_of(&s->found[i]))) {
            pair_add(s, &(struct ql_surveyed){ .series = &s->found[i],
                                               .limit_name = QL_STR("its end"),
                                               .source = QL_SURVEY_EXPIRY });
        }
    }
    free(limits);
    return QL_OK;
}

/* ---- pairs from the settings ---------------------------------------------------------- */

static bool resource_known(const struct ql_survey *s, const struct ql_series_info *series,
                           ql_str limit_name, uint32_t from)
{
    for (uint32_t i = from; i < s->pair_count; i++) {
        if (s->pairs[i].series == series && ql_str_eq(s->pairs[i].limit_name, limit_name)) {
            return true;
        }
    }
    return false;
}

/* Each series that is matched, with the value, or with the one series of the limit's selector
 * that has the same labels (or is the only one). */
static const struct ql_series_info *resource_limit(const struct ql_survey *s,
                                                   const struct ql_series_info *series,
                                                   struct ql_selector *limit)
{
    const struct ql_series_info *only = NULL;
    const uint64_t key = labels_key(series->labels);
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->found_count; i++) {
        if (ql_selector_matches(limit, s->found[i].labels)) {
            if (labels_key(s->found[i].labels) == key) {
                return &s->found[i];
            }
            only = &s->found[i];
            count++;
        }
    }
    return count == 1 ? only : NULL;
}

static void resource_add(struct ql_survey *s, const struct ql_resource *r,
                         struct ql_selector *match, struct ql_selector *limit)
{
    const uint32_t from = s->pair_count;
    for (uint32_t i = 0; i < s->found_count; i++) {
        struct ql_surveyed pair = { .series = &s->found[i], .limit_name = ql_str_of(r->name),
                                    .source = QL_SURVEY_SETTINGS, .limit = r->limit,
                                    .kind = r->free ? QL_LIMIT_FREE : QL_LIMIT_USED };
        if (!ql_selector_matches(match, pair.series->labels) ||
            resource_known(s, pair.series, pair.limit_name, from)) {
            continue;
        }
        if (limit != NULL) {
            pair.limit_series = resource_limit(s, pair.series, limit);
        }
        if (limit == NULL || pair.limit_series != NULL) {
            pair_add(s, &pair);
        }
    }
}

static ql_err pairs_by_settings(struct ql_survey *s)
{
    char why[QL_SELECTOR_WHY_BYTES];
    for (uint32_t i = 0; s->config != NULL && i < s->config->resource_count; i++) {
        const struct ql_resource *r = &s->config->resources[i];
        const bool by_series = r->limit_match != NULL;
        struct ql_selector match, limit;
        if (ql_selector_parse(ql_str_of(r->match), &match, why) != QL_OK) {
            return QL_E_CONFIG;
        }
        if (by_series && ql_selector_parse(ql_str_of(r->limit_match), &limit, why) != QL_OK) {
            ql_selector_fini(&match);
            return QL_E_CONFIG;
        }
        resource_add(s, r, &match, by_series ? &limit : NULL);
        ql_selector_fini(&match);
        if (by_series) {
            ql_selector_fini(&limit);
        }
    }
    return QL_OK;
}

/* ---- disks -------------------------------------------------------------------------- */

struct disk_ref { uint64_t disk; enum ql_disk_counter counter; uint32_t index; };

static int disk_order(const void *a, const void *b)
{
    const struct disk_ref *x = a, *y = b;
    if (x->disk != y->disk) {
        return x->disk < y->disk ? -1 : 1;
    }
    if (x->counter != y->counter) {
        return x->counter < y->counter ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

static int series_order(const void *a, const void *b)
{
    const struct ql_surveyed *x = a, *y = b;
    return (x->series > y->series) - (x->series < y->series);
}

/* The counters of one disk stand together, the one it is known by first. */
static uint32_t disk_add(struct ql_survey *s, const struct disk_ref *refs, uint32_t count)
{
    struct ql_surveyed disk = { .series = &s->found[refs[0].index],
                                .limit_name = QL_STR("its failure"),
                                .source = QL_SURVEY_DISK };
    uint32_t taken = 0;
    for (; taken < count && refs[taken].disk == refs[0].disk; taken++) {
        const struct disk_ref *ref = &refs[taken];
        if (disk.counters[ref->counter] == NULL) {
            disk.counters[ref->counter] = &s->found[ref->index];
        }
    }
    pair_add(s, &disk);
    return taken;
}

static ql_err disks_find(struct ql_survey *s)
{
    uint32_t count = 0;
    const uint32_t from = s->pair_count;
    struct disk_ref *refs = calloc((size_t)s->found_count + 1, sizeof(*refs));
    if (refs == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < s->found_count; i++) {
        struct disk_ref *ref = &refs[count];
        if (ql_smart_counter(s->found[i].labels, &ref->counter)) {
            ref->disk = ql_smart_disk(s->found[i].labels);
            ref->index = i;
            count++;
        }
    }
    qsort(refs, count, sizeof(*refs), disk_order);
    for (uint32_t i = 0; i < count;) {
        i += disk_add(s, &refs[i], count - i);
    }
    qsort(&s->pairs[from], s->pair_count - from, sizeof(s->pairs[0]), series_order);
    free(refs);
    return QL_OK;
}

ql_err ql_survey_find(struct ql_survey *s, const struct ql_selector *selector)
{
    ql_err err = s->view->series_find(s->view->host, selector->matchers, selector->count,
                                      QL_SURVEY_SERIES_MAX, &s->texts, &s->found,
                                      &s->found_count);
    if (err == QL_E_NOT_FOUND) {
        return QL_OK;
    }
    s->more = s->found_count == QL_SURVEY_SERIES_MAX;
    err = err == QL_OK ? pairs_by_settings(s) : err;
    err = err == QL_OK ? pairs_by_name(s) : err;
    const bool disks = s->config == NULL || s->config->forecast_disks;
    return err == QL_OK && disks ? disks_find(s) : err;
}

/* ---- judging ------------------------------------------------------------------------ */

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

/* The newest `count` cells; older ones become missing. */
static ql_err cells_read(struct ql_survey *s, ql_series_id id, uint32_t count)
{
    ql_batch_reset(&s->read);
    const ql_time begin = { s->end.ns - (int64_t)count * STEP_NS };
    const ql_err err = s->view->series_read(s->view->host, id, begin, s->end, &s->read);
    ql_survey_means(&s->read, s->end, STEP_NS, s->cells);
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

/* QL_SURVEY_CELLS when there is none. */
static uint32_t cells_last(const double *cells)
{
    for (uint32_t i = QL_SURVEY_CELLS; i-- > 0;) {
        if (isfinite(cells[i])) {
            return i;
        }
    }
    return QL_SURVEY_CELLS;
}

/* As far ahead as no such claim of its own was ever wrong. What is renewed three days before each
 * end breaks claims of two weeks and keeps those of a day; what is known for ten days has no claim
 * of two weeks that could have been wrong. */
static ql_err judge_expiry(struct ql_survey *s, struct ql_surveyed *pair)
{
    struct ql_expiry_in in = { s->cells, QL_SURVEY_CELLS, STEP_S, (double)s->end.ns * 1e-9,
                               s->expiry_horizon_s };
    ql_err err = ql_expiry(&in, &pair->capacity);
    while (err == QL_OK && in.horizon_s > s->horizon_s &&
           (pair->capacity.tests < QL_EXHAUST_TESTS_LEAST ||
            pair->capacity.right < pair->capacity.tests)) {
        in.horizon_s = in.horizon_s / 2.0 > s->horizon_s ? in.horizon_s / 2.0 : s->horizon_s;
        err = ql_expiry(&in, &pair->capacity);
    }
    pair->horizon_s = in.horizon_s;
    pair->judged = err == QL_OK;
    pair->at = s->end;
    pair->limit = 1.0; /* seconds that must be left: what is said is minus what is left */
    pair->used = -pair->capacity.middle_s;
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

/* The newest value of the last `back_s` seconds as it came; none where the series ended. */
static ql_err newest_read(struct ql_survey *s, ql_series_id id, int64_t back_s,
                          struct ql_sample *ret_newest)
{
    const ql_time begin = { s->now.ns - back_s * QL_NS_PER_S };
    *ret_newest = (struct ql_sample){ QL_TIME_NONE, QL_SMART_NONE };
    ql_batch_reset(&s->read);
    const ql_err err = s->view->series_raw(s->view->host, id, begin, s->now, &s->read);
    for (uint32_t i = 0; err == QL_OK && i < s->read.samples.count; i++) {
        const struct ql_sample *sample = &s->read.samples.at[i];
        if (isfinite(sample->value) || ql_is_stale_marker(sample->value)) {
            *ret_newest = *sample;
        }
    }
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

/* A counter that is an hour older than the newest is of a disk that was there before. */
static void disk_forget_old(const struct ql_sample newest[QL_DISK_COUNTERS],
                            struct ql_surveyed *pair)
{
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        const struct ql_sample *sample = &newest[i];
        const bool there = sample->at.ns != QL_TIME_NONE.ns && isfinite(sample->value) &&
                           sample->value >= 0.0 && sample->value <= SMART_RAW_MAX &&
                           pair->at.ns - sample->at.ns <= HOUR_S * QL_NS_PER_S;
        pair->smart[i] = there ? sample->value : QL_SMART_NONE;
        pair->judged |= there;
    }
}

static ql_err judge_disk(struct ql_survey *s, struct ql_surveyed *pair)
{
    struct ql_sample newest[QL_DISK_COUNTERS];
    ql_err err = QL_OK;
    pair->at = QL_TIME_NONE;
    for (uint32_t i = 0; i < QL_DISK_COUNTERS && err == QL_OK; i++) {
        const struct ql_series_info *info = pair->counters[i];
        newest[i] = (struct ql_sample){ QL_TIME_NONE, QL_SMART_NONE };
        if (info != NULL) {
            err = newest_read(s, info->id, HOUR_S, &newest[i]);
        }
        if (info != NULL && err == QL_OK && newest[i].at.ns == QL_TIME_NONE.ns) {
            err = newest_read(s, info->id, DAY_S, &newest[i]);
        }
        pair->at = newest[i].at.ns > pair->at.ns ? newest[i].at : pair->at;
    }
    if (err != QL_OK) {
        return err;
    }
    disk_forget_old(newest, pair);
    const struct ql_disk_verdict verdict = ql_disk_judge(pair->smart);
    pair->used = verdict.score;
    pair->limit = 1.0; /* none: a score has no limit, and nobody knows when */
    pair->capacity = (struct ql_capacity){ .rule = QL_CAPACITY_TREND, .early_s = INFINITY,
                                           .full = verdict.failing ? 1.0 : 0.0,
                                           .middle_s = INFINITY, .late_s = INFINITY };
    return QL_OK;
}

ql_err ql_survey_judge(struct ql_survey *s, struct ql_surveyed *pair)
{
    ql_err err = QL_OK;
    pair->horizon_s = s->horizon_s;
    if (pair->source == QL_SURVEY_DISK) {
        return judge_disk(s, pair);
    }
    if (pair->limit_series != NULL) {
        err = cells_read(s, pair->limit_series->id, LIMIT_CELLS);
        const uint32_t at = cells_last(s->cells);
        pair->limit = at < QL_SURVEY_CELLS ? s->cells[at] : NAN;
    }
    if (err != QL_OK || (pair->source != QL_SURVEY_EXPIRY && !(pair->limit > 0.0))) {
        return err; /* 0 and -1 are how exporters say "no limit" */
    }
    err = cells_read(s, pair->series->id, QL_SURVEY_CELLS);
    const uint32_t last = cells_last(s->cells);
    if (err != QL_OK || last == QL_SURVEY_CELLS) {
        return err;
    }
    if (pair->source == QL_SURVEY_EXPIRY) {
        return judge_expiry(s, pair);
    }
    for (uint32_t i = 0; i < QL_SURVEY_CELLS && pair->kind == QL_LIMIT_FREE; i++) {
        s->cells[i] = pair->limit - s->cells[i];
    }
    pair->used = s->cells[last];
    pair->at = (ql_time){ s->end.ns - (int64_t)(QL_SURVEY_CELLS - 1 - last) * STEP_NS };
    const struct ql_capacity_in in = { s->cells, QL_SURVEY_CELLS, STEP_S, pair->limit,
                                       s->horizon_s };
    ql_arena_reset(&s->scratch);
    err = ql_capacity(&in, &s->scratch, &pair->capacity);
    pair->judged = err == QL_OK;
    return err;
}
