/* nm_runs.c - samples to points: the path that every number takes.
 *
 * Method       runs go in blocks: while one block is judged, the next one's hash slots are
 *              fetched, then its rows, because a look-up in a large table is one cache miss
 *              and nothing else (performance.md 1).
 */
#include "normalise/normalise_int.h"

#include "model/counter.h"
#include "model/labels.h"

#include <math.h>

enum { BLOCK = 32 };
#define VALUE_ABS_MAX 1e150
#define STALE_MARKER_BITS UINT64_C(0x7ff0000000000002)

struct runs_pass {
    struct nm *nm;
    ql_time oldest, newest; /* what is not too far from now */
    struct ql_point *point; /* where the next one goes */
    double absence_steps;
    uint32_t source;
    uint64_t accepted, added, dropped[NM_REASON_COUNT], holes;
};

double nm_stale_marker(void)
{
    const uint64_t bits = STALE_MARKER_BITS;
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static bool is_stale_marker(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits == STALE_MARKER_BITS;
}

/* A silence is dated half a step after the last sample, so that what was only delayed
 * still fits behind it. */
static ql_time hole_time(const struct ql_series *row)
{
    const int64_t half_ms = row->step_ms / 2;
    return ql_time_add(row->last_at, QL_MS(half_ms < 1 ? 1 : half_ms));
}

/* A series that is silent by absence already has a point behind its last sample. */
static ql_time series_floor(const struct ql_series *row)
{
    const bool hole = (row->flags & QL_SERIES_STALE) != 0 && (row->learn & NM_MARKED) == 0;
    return hole ? hole_time(row) : row->last_at;
}

static void point_put(struct runs_pass *pass, uint32_t index, struct ql_point point)
{
    point.series = index;
    *pass->point++ = point;
}

/* Only a marker that came is kept for history: a silence is our judgement, not a sample. */
static void hole_put(struct runs_pass *pass, uint32_t index, ql_time at, bool marker)
{
    const struct ql_point hole = { .at = at, .raw = marker ? nm_stale_marker() : __builtin_nan(""),
                                   .kind = QL_POINT_HOLE };
    point_put(pass, index, hole);
    pass->holes++;
}

static void sample_stale_marker(struct runs_pass *pass, struct ql_series *row, uint32_t index,
                                ql_time at)
{
    if ((row->flags & QL_SERIES_STALE) == 0) {
        hole_put(pass, index, at, true);
    } else if ((row->learn & NM_MARKED) == 0) { /* the silence was told before: only kept */
        point_put(pass, index, (struct ql_point){ .at = at, .raw = nm_stale_marker(),
                                                  .kind = QL_POINT_UNJUDGED });
    }
    row->flags |= QL_SERIES_STALE;
    row->learn |= NM_MARKED;
    row->last_at = at;
    pass->accepted++;
}

/* A gap that no tick saw, because the samples came late together, is a hole all the same;
 * the time in which the daemon itself was away is not. */
static void sample_gap(struct runs_pass *pass, const struct ql_series *row, uint32_t index,
                       ql_time at)
{
    const double allowed_ms = pass->absence_steps * (double)row->step_ms;
    if ((double)(at.ns - row->last_at.ns) / 1e6 <= allowed_ms ||
        (row->flags & QL_SERIES_STALE) != 0 || row->seen_count <= 2) {
        return;
    }
    const int64_t silent_ns = at.ns - row->last_at.ns -
                              nm_due_paused_ns(&pass->nm->due, row->last_at, at);
    if ((double)silent_ns / 1e6 > allowed_ms) {
        hole_put(pass, index, hole_time(row), false);
    }
}

/* What cannot be judged is kept for history: a counter's first sample, a series of which
 * it is not known yet whether it counts, a step over so tiny a time that its rate is no number. */
static struct ql_point sample_judge(const struct ql_series *row, const struct ql_sample *previous,
                                    struct ql_sample sample)
{
    struct ql_point point =
        ql_counter_judge((enum ql_metric_type)row->type, previous, sample);
    if (point.kind == QL_POINT_HOLE || nm_type_is_open(row) ||
        !(fabs(point.value) <= VALUE_ABS_MAX)) {
        point.kind = QL_POINT_UNJUDGED;
        point.value = 0.0;
    }
    return point;
}

static void sample_value(struct runs_pass *pass, struct ql_series *row, uint32_t index,
                         struct ql_sample sample)
{
    const struct ql_sample previous = { row->last_at, row->last_raw };
    const bool is_first = row->seen_count == 0 || (row->learn & NM_MARKED) != 0;
    if (!is_first) {
        sample_gap(pass, row, index, sample.at);
        row->step_ms = nm_step_learn(row->step_ms, (sample.at.ns - previous.at.ns) / 1000000,
                                     row->seen_count);
        nm_type_learn(row, previous.value, sample.value);
    }
    struct ql_point point = sample_judge(row, is_first ? NULL : &previous, sample);
    if (is_first && row->type == QL_METRIC_COUNTER && sample.value >= 0.0 &&
        sample.value < row->last_raw) {
        point.kind = QL_POINT_RESET; /* it ended and begins anew; new rows have 0 to fall from */
        point.value = row->last_raw;
    }
    if (point.kind == QL_POINT_RESET && (row->learn & (NM_LEARNT | NM_NAMED)) != 0) {
        point.value = 0.0; /* it may be a gauge after all */
    }
    point_put(pass, index, point);
    row->last_at = sample.at;
    row->last_raw = sample.value;
    row->seen_count += row->seen_count != UINT32_MAX;
    row->flags = (uint8_t)((row->flags & ~QL_SERIES_STALE) | QL_SERIES_FRESH);
    row->learn &= ~NM_MARKED;
    pass->accepted++;
}

static inline void sample_push(struct runs_pass *pass, struct ql_series *row, uint32_t index,
                               struct ql_sample sample)
{
    const ql_time floor = series_floor(row);
    if (sample.at.ns <= floor.ns) {
        pass->dropped[sample.at.ns == row->last_at.ns ? NM_REASON_DUPLICATE : NM_REASON_OLD]++;
    } else if (sample.at.ns > pass->newest.ns) {
        pass->dropped[NM_REASON_FUTURE]++;
    } else if (sample.at.ns < pass->oldest.ns) {
        pass->dropped[NM_REASON_OLD]++;
    } else if (fabs(sample.value) <= VALUE_ABS_MAX) {
        sample_value(pass, row, index, sample);
    } else if (is_stale_marker(sample.value)) {
        sample_stale_marker(pass, row, index, sample.at);
    } else {
        pass->dropped[NM_REASON_NOT_FINITE]++;
    }
}

/* ---- series seen for the first time ----------------------------------------------- */

/* May this source bring one more new series in this minute? Series are spread evenly over the
 * shards, so each shard has an equal share, rounded up. */
static bool quota_is_open(struct nm *nm, uint32_t source)
{
    struct nm_quota *quota = &nm->quotas[source < NM_SOURCE_COUNT ? source : 0];
    const int64_t minute = nm->due.now_s / 60;
    if (quota->minute != minute) {
        *quota = (struct nm_quota){ .minute = minute };
    }
    const uint32_t all = nm->config->series_new_per_min_max;
    return quota->count < all / nm->shard_count + (all % nm->shard_count != 0);
}

/* A block in another form than before may name a series that is known. */
static bool series_is_known(struct nm *nm, ql_str labels)
{
    bool canonical;
    ql_buf_reset(&nm->scratch);
    if (ql_labels_check(labels, &canonical) != QL_OK || canonical ||
        ql_labels_canonical(labels, &nm->scratch) != QL_OK) {
        return false;
    }
    const ql_str block = ql_buf_view(&nm->scratch);
    const ql_series_id id = { ql_hash128_of(block.at, block.bytes) };
    return ql_series_find(nm->table, id) != QL_MAP_NONE;
}

static uint32_t series_make(struct runs_pass *pass, const struct ql_run *run)
{
    struct nm *nm = pass->nm;
    uint32_t index;
    bool is_new;
    const bool open = quota_is_open(nm, pass->source);
    if (!open && !series_is_known(nm, run->labels)) {
        pass->dropped[NM_REASON_CARDINALITY] += run->sample_count;
        return QL_MAP_NONE;
    }
    const ql_err err =
        ql_series_add(nm->table, run->raw, run->labels, run->type, &index, &is_new);
    if (err != QL_OK || index >= nm->due.series_max) {
        const bool bad = ql_err_class_of(err) == QL_CLASS_DATA;
        pass->dropped[bad ? NM_REASON_MALFORMED : NM_REASON_CARDINALITY] += run->sample_count;
        return QL_MAP_NONE;
    }
    if (is_new) {
        struct ql_series *row = ql_series_at(nm->table, index);
        if (row->type == QL_METRIC_UNKNOWN) {
            nm_type_of_name(row, ql_series_name(nm->table, index));
        }
        nm_due_touch(&nm->due, index);
        nm->quotas[pass->source < NM_SOURCE_COUNT ? pass->source : 0].count++;
        pass->added++;
    }
    return index;
}

/* ---- runs ------------------------------------------------------------------------- */

/* The row of the run, which is nearly always the one guessed; NULL: it was refused and counted. */
static struct ql_series *run_row(struct runs_pass *pass, const struct ql_run *run, uint32_t guess,
                                 uint32_t *ret_index)
{
    struct ql_series_table *table = pass->nm->table;
    struct ql_series *row = guess == QL_MAP_NONE ? NULL : ql_series_at(table, guess);
    *ret_index = guess;
    if (row != NULL && ql_hash128_eq(row->id.h, run->raw)) {
        return row;
    }
    *ret_index = ql_series_find_raw(table, run->raw);
    if (*ret_index == QL_MAP_NONE) {
        *ret_index = series_make(pass, run);
    }
    return *ret_index == QL_MAP_NONE ? NULL : ql_series_at(table, *ret_index);
}

static void run_push(struct runs_pass *pass, const struct ql_run *run, uint32_t guess,
                     const struct ql_sample *samples)
{
    uint32_t index;
    struct ql_series *row = run_row(pass, run, guess, &index);
    if (row == NULL) {
        return;
    }
    if (row->type == QL_METRIC_UNKNOWN && run->type != QL_METRIC_UNKNOWN) {
        row->type = (uint8_t)run->type; /* the sender tells by now */
    }
    const struct ql_point *before = pass->point;
    for (uint32_t i = 0; i < run->sample_count; i++) {
        sample_push(pass, row, index, samples[run->sample_first + i]);
    }
    if (pass->point != before) {
        nm_due_seen(&pass->nm->due, row, index, pass->absence_steps);
    }
}

static void block_prefetch(const struct nm *nm, const struct ql_run *runs, uint32_t from,
                           uint32_t count)
{
    for (uint32_t i = from; i < count && i < from + BLOCK; i++) {
        ql_series_prefetch_raw(nm->table, runs[i].raw);
    }
}

static uint64_t block_samples(const struct ql_run *runs, uint32_t count)
{
    uint64_t samples = 0;
    for (uint32_t i = 0; i < count; i++) {
        samples += runs[i].sample_count;
    }
    return samples;
}

static void block_push(struct runs_pass *pass, const struct ql_run *runs, uint32_t count,
                       struct ql_batch *bus)
{
    uint32_t guesses[BLOCK];
    /* Every sample makes at most one point, and one hole before it. */
    const uint64_t samples = block_samples(runs, count);
    pass->point = samples <= UINT32_MAX / 2 ? ql_batch_more_points(bus, (uint32_t)samples * 2)
                                            : NULL;
    if (pass->point == NULL) {
        pass->dropped[NM_REASON_BATCH_FULL] += samples;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        guesses[i] = ql_series_guess_raw(pass->nm->table, runs[i].raw);
        if (guesses[i] != QL_MAP_NONE) {
            nm_due_prefetch(&pass->nm->due, guesses[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        run_push(pass, &runs[i], guesses[i], bus->samples.at);
    }
    bus->points.count = (uint32_t)(pass->point - bus->points.at);
}

/* How far from now a sample may be; settings may be larger than time itself. */
static ql_time time_near(ql_time now, double distance_s)
{
    const double ns = (double)now.ns + distance_s * 1e9;
    return (ql_time){ ns >= 9.2e18 ? INT64_MAX : ns <= -9.2e18 ? INT64_MIN + 1 : (int64_t)ns };
}

static struct runs_pass pass_begin(struct nm *nm, ql_time now, uint32_t source)
{
    return (struct runs_pass){
        .nm = nm,
        .oldest = time_near(now, -nm->config->sample_behind_s_max),
        .newest = time_near(now, nm->config->sample_ahead_s_max),
        .absence_steps = nm->config->absence_steps,
        .source = source,
    };
}

static void pass_end(const struct runs_pass *pass)
{
    struct nm_counts *counts = &pass->nm->counts;
    for (uint32_t reason = 0; reason < NM_REASON_COUNT; reason++) {
        if (pass->dropped[reason] != 0) {
            nm_drop(counts, pass->source, (enum nm_reason)reason, pass->dropped[reason]);
        }
    }
    nm_count_accepted(counts, pass->source, pass->accepted, pass->added);
    ql_stat_add(counts->holes, (int64_t)pass->holes);
}

/* Room for one point a sample at once, and for the holes of one block; more holes grow it. */
static void points_reserve(struct ql_batch *bus, uint32_t samples)
{
    const uint32_t count = bus->points.count;
    if (samples < UINT32_MAX / 2 && ql_batch_more_points(bus, samples + BLOCK) != NULL) {
        bus->points.count = count;
    }
}

void nm_runs_push(struct nm *nm, ql_time now, struct ql_batch *bus)
{
    const struct ql_run *runs = bus->runs.at;
    const uint32_t count = bus->runs.count;
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        QL_ASSERT((uint64_t)runs[i].sample_first + runs[i].sample_count <= bus->samples.count);
    }
    struct runs_pass pass = pass_begin(nm, now, bus->source);
    points_reserve(bus, bus->samples.count);
    block_prefetch(nm, runs, 0, count);
    for (uint32_t from = 0; from < count; from += BLOCK) {
        block_prefetch(nm, runs, from + BLOCK, count);
        block_push(&pass, runs + from, count - from < BLOCK ? count - from : BLOCK, bus);
    }
    pass_end(&pass);
}

/* ---- silence ---------------------------------------------------------------------- */

struct runs_silence { struct nm *nm; struct ql_batch *bus; };

static void series_is_silent(void *context, uint32_t index)
{
    const struct runs_silence *silence = context;
    struct ql_series *row = ql_series_at(silence->nm->table, index);
    if ((row->flags & QL_SERIES_STALE) != 0) {
        return; /* a stale marker said it before */
    }
    struct ql_point *point = ql_batch_add_point(silence->bus);
    if (point == NULL) {
        nm_drop(&silence->nm->counts, NM_SOURCE_DERIVED, NM_REASON_BATCH_FULL, 1);
        return;
    }
    *point = (struct ql_point){
        .at = hole_time(row), .raw = __builtin_nan(""), .series = index, .kind = QL_POINT_HOLE
    };
    row->flags |= QL_SERIES_STALE;
    ql_stat_add(silence->nm->counts.holes, 1);
}

void nm_runs_tick(struct nm *nm, struct ql_batch *bus)
{
    struct runs_silence silence = { nm, bus };
    nm_due_sweep(&nm->due, nm->table, nm->config->absence_steps, series_is_silent, &silence);
}
