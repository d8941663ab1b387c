/* detect - the stage: states in one table, judged batch by batch.
 *
 * Cost  the state of a series is four cache lines apart from everything else, so the
 *       points of a batch are walked with the states of the next few on their way.
 */
#include "detect/detect.h"

#include "base/pages.h"
#include "config/config.h"
#include "detect/dt_budget.h"
#include "detect/dt_series.h"
#include "detect/dt_signal.h"
#include "detect/dt_why.h"
#include "model/model_set.h"
#include "model/series.h"

#include <stdlib.h>

enum {
    PREFETCH_POINTS = 10,
    FAMILY_BUCKETS = 32,
    BAND_EVERY = 16,
    STEADY_MIN = 32,           /* values in a row before silence means anything */
    ABSENT_MAX = 65536,
    PROFILE_DAYS = 3           /* after which a profile must have earned its memory */
};
#define PROFILE_AFTER_S 7200.0 /* life of a series before a profile is tried */
#define PROFILE_REST_DAYS 7.0
#define FORGET_NS (INT64_C(86400) * QL_NS_PER_S)
#define STEP_EW 1e-4
#define STATE_VERSION 1u

struct detect_stage {
    struct ql_series_table *series; /* borrowed from the engine */
    struct ql_dt_series *states;    /* by series index */
    struct ql_dt_slab *slabs;       /* 1-based in states */
    struct ql_dt_pools *pools;      /* [0] of all, then the families' */
    uint32_t *absent;               /* series with an absence signal, unordered */
    uint32_t series_max, slab_max, slab_count, slab_free, absent_count;
    uint32_t active_count;          /* series past warming */
    bool enabled;
    double shard_share;             /* of the instance's budget */
    double step_ms;                 /* mean distance of points of a series */
    int64_t newest_ns;
    struct ql_dt_budget budget;
    struct ql_dt_rule rule;
    struct ql_buf scratch;          /* label blocks and sentences, one at a time */
    struct ql_stat_cell *points, *opened, *closed, *resets, *threshold, *absent_dropped;
    struct ql_stat_cell *signals_dropped, *bands_dropped, *profiles;
};

/* ---- life ----------------------------------------------------------------------- */

static void detect_close(void *stage)
{
    struct detect_stage *d = stage;
    if (d == NULL) {
        return;
    }
    ql_pages_free(d->states, (size_t)d->series_max * sizeof(*d->states));
    ql_pages_free(d->slabs, (size_t)d->slab_max * sizeof(*d->slabs));
    free(d->pools);
    free(d->absent);
    ql_buf_fini(&d->scratch);
    free(d);
}

static void detect_count_cells(struct detect_stage *d, struct ql_stats *stats)
{
    const char *dropped = "ql_detect_dropped_total", *why = "Detections that could not be written.";
    d->points = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_points_total",
                              "Points that were looked at.", "");
    d->opened = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                              "Signals by what happened to them.", "phase=\"open\"");
    d->closed = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                              "Signals by what happened to them.", "phase=\"close\"");
    d->resets = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_resets_total",
                              "Counters that started again from zero.", "");
    d->threshold = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_threshold_millidecades",
                                 "Evidence that opens a signal, -1000 log10 p.", "");
    d->profiles = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_profiles",
                                "Series with a profile of the day.", "");
    d->absent_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"absence\"");
    d->signals_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"signal\"");
    d->bands_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"band\"");
}

static ql_err detect_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->config != NULL);
    QL_ASSERT(env->series != NULL);
    struct detect_stage *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return QL_E_MEMORY;
    }
    d->series = env->series;
    d->series_max = env->config->series_max;
    d->enabled = env->config->detect_enabled;
    d->slab_max = env->config->series_max / 4 + 16;
    d->states = ql_pages_new((size_t)d->series_max * sizeof(*d->states));
    d->slabs = ql_pages_new((size_t)d->slab_max * sizeof(*d->slabs));
    d->pools = malloc((1 + FAMILY_BUCKETS) * sizeof(*d->pools));
    d->absent = malloc(ABSENT_MAX * sizeof(*d->absent));
    ql_buf_init(&d->scratch, 64 * 1024);
    if (d->states == NULL || d->slabs == NULL || d->pools == NULL || d->absent == NULL) {
        detect_close(d);
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i <= FAMILY_BUCKETS; i++) {
        ql_dt_pools_init(&d->pools[i]);
    }
    d->rule = ql_dt_rule_default;
    d->newest_ns = INT64_MIN;
    d->shard_share = 1.0 / (env->shard_count > 0 ? (double)env->shard_count : 1.0);
    ql_dt_budget_init(&d->budget, env->config->signals_per_day * d->shard_share);
    detect_count_cells(d, env->stats);
    *ret_stage = d;
    return QL_OK;
}

/* ---- profiles ------------------------------------------------------------------- */

static void profile_give_up(struct detect_stage *d, struct ql_dt_series *s, uint32_t step_ms)
{
    QL_ASSERT(s->slab > 0);
    d->slabs[s->slab - 1].next_free = d->slab_free;
    d->slab_free = s->slab;
    s->slab = 0;
    s->season_error = s->slow_error = 0.0f;
    s->season_short = s->season_long = 0.0f;
    s->rest = (uint32_t)(PROFILE_REST_DAYS * 86400000.0 / (double)step_ms);
    ql_stat_add(d->profiles, -1);
}

static void profile_try(struct detect_stage *d, struct ql_dt_series *s, uint32_t step_ms)
{
    uint32_t slab = d->slab_free;
    if (slab != 0) {
        d->slab_free = d->slabs[slab - 1].next_free;
    } else if (d->slab_count < d->slab_max) {
        slab = ++d->slab_count;
    } else {
        s->rest = (uint32_t)(86400000.0 / (double)step_ms);
        return;
    }
    d->slabs[slab - 1] = (struct ql_dt_slab){ 0 };
    s->slab = slab;
    s->season_count = 0;
    s->rest = (uint32_t)(PROFILE_DAYS * 86400000.0 / (double)step_ms);
    ql_stat_add(d->profiles, 1);
}

/* `rest` counts down to the next decision: try one, or see whether it was worth it. */
static void profile_manage(struct detect_stage *d, struct ql_dt_series *s, uint32_t step_ms)
{
    if (s->count == 1) {
        s->rest = step_ms == 0 ? 720 : (uint32_t)(PROFILE_AFTER_S * 1e3 / (double)step_ms);
    }
    if (step_ms == 0 || s->rest-- > 0) {
        return;
    }
    if (s->slab == 0) {
        profile_try(d, s, step_ms);
    } else if (s->season_error > ql_dt_params_default.season_earns * s->slow_error) {
        profile_give_up(d, s, step_ms);
    } else {
        s->rest = (uint32_t)(PROFILE_DAYS * 86400000.0 / (double)step_ms);
    }
}

/* ---- writing -------------------------------------------------------------------- */

struct detect_finding {
    uint32_t series;
    enum ql_signal_kind kind;
    enum ql_phase phase;
    int64_t onset_ns, at_ns;
    double value, surprise;
    const struct ql_dt_verdict *verdict; /* its band */
};

/* The same for every phase of a signal; absence and value signals of one onset differ. */
static ql_id finding_id(ql_series_id series, const struct detect_finding *f)
{
    const bool absence = f->kind == QL_SIGNAL_ABSENCE;
    const uint64_t words[4] = { series.h.high, series.h.low, (uint64_t)f->onset_ns, absence };
    return (ql_id){ ql_hash64(words, sizeof(words)) };
}

static ql_str finding_text(struct detect_stage *d, struct ql_batch *bus)
{
    const ql_str text = ql_batch_text(bus, ql_buf_view(&d->scratch));
    ql_buf_reset(&d->scratch);
    return text;
}

static void finding_write(struct detect_stage *d, struct ql_batch *bus,
                          const struct detect_finding *f)
{
    const struct ql_series *row = ql_series_at(d->series, f->series);
    struct ql_signal *signal = ql_batch_add_signal(bus);
    if (signal == NULL) {
        ql_stat_add(d->signals_dropped, 1);
        return;
    }
    const struct ql_dt_reason reason = {
        .metric = ql_series_name(d->series, f->series),
        .type = (enum ql_metric_type)row->type,
        .kind = f->kind,
        .value = f->value,
        .expected = f->verdict->expected,
        .lower = f->verdict->lower,
        .upper = f->verdict->upper,
        .surprise = f->surprise,
        .silence = { f->at_ns - f->onset_ns },
    };
    *signal = (struct ql_signal){
        .id = finding_id(row->id, f),
        .series = row->id,
        .entity = row->entity,
        .kind = f->kind,
        .phase = f->phase,
        .onset = { f->onset_ns },
        .at = { f->at_ns },
        .value = f->value,
        .expected = reason.expected,
        .lower = reason.lower,
        .upper = reason.upper,
        .surprise = f->surprise,
    };
    signal->metric = ql_batch_text(bus, reason.metric);
    ql_buf_reset(&d->scratch);
    (void)ql_series_labels(d->series, f->series, &d->scratch);
    signal->labels = finding_text(d, bus);
    ql_dt_why(&reason, &d->scratch);
    signal->why = finding_text(d, bus);
    ql_stat_add(f->phase == QL_PHASE_OPEN ? d->opened : d->closed, f->phase != QL_PHASE_UPDATE);
}

static float narrow(double x)
{
    const double most = 3e38;
    return (float)(x > most ? most : (x < -most ? -most : x));
}

static void band_write(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point,
                       const struct ql_dt_verdict *v)
{
    struct ql_band *band = ql_batch_add_band(bus);
    if (band == NULL) {
        ql_stat_add(d->bands_dropped, 1);
        return;
    }
    *band = (struct ql_band){
        .at = point->at,
        .series = point->series,
        .expected = narrow(v->expected),
        .lower = narrow(v->lower),
        .upper = narrow(v->upper),
        .surprise = v->evidence_surprise,
    };
}

/* ---- absence -------------------------------------------------------------------- */

static void absent_close(struct detect_stage *d, struct ql_batch *bus, uint32_t series,
                         int64_t at_ns)
{
    struct ql_dt_series *s = &d->states[series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    finding_write(d, bus, &(struct detect_finding){
                              .series = series,
                              .kind = QL_SIGNAL_ABSENCE,
                              .phase = QL_PHASE_CLOSE,
                              .onset_ns = s->last_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .verdict = &v,
                          });
    s->flags &= (uint8_t)~QL_DT_ABSENT;
}

static void absent_open(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->states[point->series];
    const uint16_t steady = s->steady_run;
    s->steady_run = 0;
    if (steady < STEADY_MIN || (s->flags & QL_DT_ABSENT) != 0) {
        return;
    }
    if ((s->flags & QL_DT_LISTED) == 0) {
        if (d->absent_count == ABSENT_MAX) {
            ql_stat_add(d->absent_dropped, 1);
            return;
        }
        d->absent[d->absent_count++] = point->series;
        s->flags |= QL_DT_LISTED;
    }
    s->flags |= QL_DT_ABSENT;
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    double surprise = 2.0;
    for (uint32_t n = steady / 10u; n > 0; n /= 10u) {
        surprise += 1.0;
    }
    finding_write(d, bus, &(struct detect_finding){
                              .series = point->series,
                              .kind = QL_SIGNAL_ABSENCE,
                              .phase = QL_PHASE_OPEN,
                              .onset_ns = s->last_ns,
                              .at_ns = point->at.ns,
                              .value = s->origin + (double)s->last,
                              .surprise = surprise,
                              .verdict = &v,
                          });
}

/* Closes a value signal whose series is gone for good. */
static void gone_close(struct detect_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns)
{
    struct ql_dt_series *s = &d->states[series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    finding_write(d, bus, &(struct detect_finding){
                              .series = series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = QL_PHASE_CLOSE,
                              .onset_ns = s->rise_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .surprise = (double)s->peak,
                              .verdict = &v,
                          });
    s->flags &= (uint8_t)~QL_DT_OPEN;
}

/* Drops from the list what came back, and gives up on what is silent for a day. */
static void absent_sweep(struct detect_stage *d, struct ql_batch *bus)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->absent_count; i++) {
        const uint32_t series = d->absent[i];
        struct ql_dt_series *s = &d->states[series];
        if ((s->flags & QL_DT_ABSENT) != 0 && d->newest_ns - s->last_ns > FORGET_NS) {
            absent_close(d, bus, series, d->newest_ns);
            if ((s->flags & QL_DT_OPEN) != 0) {
                gone_close(d, bus, series, d->newest_ns);
            }
        }
        if ((s->flags & QL_DT_ABSENT) != 0) {
            d->absent[kept++] = series;
        } else {
            s->flags &= (uint8_t)~QL_DT_LISTED;
        }
    }
    d->absent_count = kept;
}

/* ---- points --------------------------------------------------------------------- */

static void value_signal(struct detect_stage *d, struct ql_batch *bus,
                         const struct ql_point *point, const struct ql_dt_verdict *v,
                         uint32_t step_ms)
{
    struct ql_dt_series *s = &d->states[point->series];
    const enum ql_dt_change change = ql_dt_signal_step(s, &d->rule, v, step_ms);
    if (change == QL_DT_SAME) {
        return;
    }
    if (change == QL_DT_OPENED) {
        ql_dt_budget_opened(&d->budget);
    }
    finding_write(d, bus, &(struct detect_finding){
                              .series = point->series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = change == QL_DT_OPENED ? QL_PHASE_OPEN
                                       : change == QL_DT_GREW ? QL_PHASE_UPDATE
                                                              : QL_PHASE_CLOSE,
                              .onset_ns = s->rise_ns,
                              .at_ns = point->at.ns,
                              .value = point->value,
                              .surprise = (double)(change == QL_DT_CLOSED ? s->peak
                                                                          : v->evidence_surprise),
                              .verdict = v,
                          });
}

static void value_push(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->states[point->series];
    const struct ql_series *row = ql_series_at(d->series, point->series);
    if ((s->flags & QL_DT_ABSENT) != 0) {
        absent_close(d, bus, point->series, point->at.ns);
    }
    const bool open = (s->flags & QL_DT_OPEN) != 0;
    const bool want_band = open || s->count % BAND_EVERY == 0;
    const struct ql_dt_commons commons = {
        .family = &d->pools[1 + row->family % FAMILY_BUCKETS],
        .all = &d->pools[0],
        .slab = s->slab > 0 ? &d->slabs[s->slab - 1] : NULL,
    };
    const struct ql_dt_input in = { point->at.ns, point->value, row->step_ms, want_band };
    struct ql_dt_verdict v;
    ql_dt_series_step(s, &ql_dt_params_default, &commons, &in, &v);
    profile_manage(d, s, row->step_ms);
    s->steady_run = (uint16_t)(s->steady_run < UINT16_MAX ? s->steady_run + 1 : UINT16_MAX);
    if (!v.judged) {
        d->active_count += s->count == ql_dt_params_default.warm_count + 1;
        return;
    }
    value_signal(d, bus, point, &v, row->step_ms);
    if (want_band) {
        band_write(d, bus, point, &v);
    }
    if (row->step_ms != 0) {
        d->step_ms += (d->step_ms > 0.0 ? STEP_EW : 1.0) * ((double)row->step_ms - d->step_ms);
    }
}

static void point_prefetch(const struct detect_stage *d, const struct ql_batch *bus, uint32_t at)
{
    if (at < bus->points.count) {
        const char *state = (const char *)&d->states[bus->points.at[at].series];
        for (size_t line = 0; line < sizeof(*d->states); line += 64) {
            __builtin_prefetch(state + line, 1);
        }
    }
}

static void point_push(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    QL_ASSERT(point->series < d->series_max);
    struct ql_dt_series *s = &d->states[point->series];
    switch (point->kind) {
    case QL_POINT_VALUE: value_push(d, bus, point); break;
    case QL_POINT_HOLE:
        if (s->count > 0) {
            absent_open(d, bus, point);
        }
        break;
    case QL_POINT_RESET: ql_stat_add(d->resets, 1); break;
    }
    d->newest_ns = point->at.ns > d->newest_ns ? point->at.ns : d->newest_ns;
}

static void detect_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct detect_stage *d = stage;
    (void)now;
    if (!d->enabled) {
        return;
    }
    for (uint32_t i = 0; i < bus->points.count; i++) {
        point_prefetch(d, bus, i + PREFETCH_POINTS);
        const struct ql_point point = bus->points.at[i];
        point_push(d, bus, &point);
    }
    ql_stat_add(d->points, bus->points.count);
}

static void detect_threshold(struct detect_stage *d)
{
    const double steps = d->step_ms > 0.0 ? 86400000.0 / d->step_ms : 0.0;
    if (d->newest_ns != INT64_MIN) {
        ql_dt_budget_pass(&d->budget, d->newest_ns, steps * (double)d->active_count);
    }
    d->rule.threshold = (float)ql_dt_budget_threshold(&d->budget);
    ql_stat_set(d->threshold, (int64_t)(d->rule.threshold * 1000.0f));
}

static void detect_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct detect_stage *d = stage;
    (void)now;
    detect_threshold(d);
    absent_sweep(d, bus);
}

static void detect_adopt(void *stage, const struct ql_model_set *set)
{
    struct detect_stage *d = stage;
    d->budget.offset = set->threshold_offset_decades;
    detect_threshold(d);
}

static ql_err detect_adopt_config(void *stage, const struct ql_config *config)
{
    struct detect_stage *d = stage;
    d->enabled = config->detect_enabled;
    /* The control belongs to the old budget; the new one starts from its own. */
    const double share = config->signals_per_day * d->shard_share;
    if (share > d->budget.signals_per_day || share < d->budget.signals_per_day) {
        const double offset = d->budget.offset;
        ql_dt_budget_init(&d->budget, share);
        d->budget.offset = offset;
    }
    detect_threshold(d);
    return QL_OK;
}

/* ---- checkpoint ----------------------------------------------------------------- */

static ql_err detect_save(const void *stage, struct ql_buf *out)
{
    const struct detect_stage *d = stage;
    const uint32_t count = ql_series_count(d->series);
    (void)ql_buf_u32(out, count);
    (void)ql_buf_put(out, d->states, (size_t)count * sizeof(*d->states));
    (void)ql_buf_u32(out, d->slab_count);
    (void)ql_buf_u32(out, d->slab_free);
    (void)ql_buf_put(out, d->slabs, (size_t)d->slab_count * sizeof(*d->slabs));
    (void)ql_buf_put(out, d->pools, (1 + FAMILY_BUCKETS) * sizeof(*d->pools));
    (void)ql_buf_u32(out, d->absent_count);
    (void)ql_buf_put(out, d->absent, d->absent_count * sizeof(*d->absent));
    (void)ql_buf_u32(out, d->active_count);
    (void)ql_buf_f64(out, d->step_ms);
    (void)ql_buf_i64(out, d->newest_ns);
    (void)ql_buf_put(out, &d->budget, sizeof(d->budget));
    return ql_buf_f64(out, (double)d->rule.threshold);
}

/* Copies `bytes` of the checkpoint to `at`; a short one sticks in the reader. */
static void load_bytes(struct ql_reader *in, void *at, size_t bytes)
{
    const char *from = ql_reader_bytes(in, bytes);
    if (from != NULL && bytes > 0) {
        memcpy(at, from, bytes);
    }
}

static bool load_indexes_hold(const struct detect_stage *d, uint32_t count)
{
    bool hold = d->slab_free <= d->slab_count;
    for (uint32_t i = 0; i < count && hold; i++) {
        hold = d->states[i].slab <= d->slab_count;
    }
    for (uint32_t i = 0; i < d->slab_count && hold; i++) {
        hold = d->slabs[i].next_free <= d->slab_count;
    }
    for (uint32_t i = 0; i < d->absent_count && hold; i++) {
        hold = d->absent[i] < count;
    }
    return hold;
}

static ql_err detect_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct detect_stage *d = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > d->series_max) {
        return QL_E_MALFORMED;
    }
    load_bytes(in, d->states, (size_t)count * sizeof(*d->states));
    d->slab_count = ql_reader_u32(in);
    d->slab_free = ql_reader_u32(in);
    if (in->failed || d->slab_count > d->slab_max) {
        return QL_E_MALFORMED;
    }
    load_bytes(in, d->slabs, (size_t)d->slab_count * sizeof(*d->slabs));
    load_bytes(in, d->pools, (1 + FAMILY_BUCKETS) * sizeof(*d->pools));
    d->absent_count = ql_reader_u32(in);
    if (in->failed || d->absent_count > ABSENT_MAX) {
        return QL_E_MALFORMED;
    }
    load_bytes(in, d->absent, d->absent_count * sizeof(*d->absent));
    d->active_count = ql_reader_u32(in);
    d->step_ms = ql_reader_f64(in);
    d->newest_ns = ql_reader_i64(in);
    load_bytes(in, &d->budget, sizeof(d->budget));
    d->rule.threshold = (float)ql_reader_f64(in);
    return in->failed || !load_indexes_hold(d, count) ? QL_E_MALFORMED : QL_OK;
}

const struct ql_stage_type ql_detect_stage = {
    .name = "detect",
    .reads = QL_LIST_BIT(points),
    .writes = QL_LIST_BIT(signals) | QL_LIST_BIT(bands),
    .state_version = STATE_VERSION,
    .open = detect_open,
    .close = detect_close,
    .push = detect_push,
    .tick = detect_tick,
    .adopt = detect_adopt,
    .adopt_config = detect_adopt_config,
    .save = detect_save,
    .load = detect_load,
};
