/* detect - the stage: points in, signals and bands out, batch by batch. */
#include "detect/detect.h"

#include "config/config.h"
#include "detect/dt_calendar.h"
#include "detect/dt_judge.h"
#include "detect/dt_policy.h"
#include "detect/dt_why.h"
#include "model/model_set.h"
#include "model/series.h"

#include <stdlib.h>

enum {
    PREFETCH_POINTS = 10,
    BAND_EVERY = 16,
    BOUND_CALM = 3,            /* values in a row inside the range that end a bound signal */
    STEADY_MIN = 32,           /* values in a row before silence means anything */
    ABSENT_MAX = 65536
};
#define FORGET_NS (INT64_C(86400) * QL_NS_PER_S)
#define STATE_VERSION 3u
#define BOUND_SURPRISE 12.0      /* somebody said so: as sure as anything seen */

struct detect_stage {
    struct ql_series_table *series; /* borrowed from the engine */
    struct ql_dt_judge judge;
    struct ql_dt_policy policy;
    struct ql_dt_calendar calendar;
    bool enabled;                   /* by configuration */
    double shard_share;             /* of the instance's budget */
    uint32_t *absent;               /* series with an absence signal, unordered */
    uint32_t absent_count;
    struct ql_buf scratch;          /* label blocks and sentences, one at a time */
    struct ql_stat_cell *points, *opened, *closed, *recurred, *resets, *threshold, *absent_dropped;
    struct ql_stat_cell *signals_dropped, *bands_dropped, *profiles;
};

/* ---- life ----------------------------------------------------------------------- */

static void detect_close(void *stage)
{
    struct detect_stage *d = stage;
    if (d == NULL) {
        return;
    }
    ql_dt_judge_fini(&d->judge);
    ql_dt_policy_close(&d->policy);
    ql_dt_calendar_close(&d->calendar);
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
    d->recurred = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                                "Signals by what happened to them.", "phase=\"recurred\"");
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
    d->enabled = env->config->detect_enabled;
    d->shard_share = 1.0 / (env->shard_count > 0 ? (double)env->shard_count : 1.0);
    d->absent = malloc(ABSENT_MAX * sizeof(*d->absent));
    ql_buf_init(&d->scratch, 64 * 1024);
    if (d->absent == NULL || ql_dt_judge_init(&d->judge, env->config->series_max,
                                              env->config->signals_per_day * d->shard_share) !=
                                 QL_OK ||
        ql_dt_policy_open(&d->policy, env->config, env->series, env->stats) != QL_OK ||
        ql_dt_calendar_open(env->config, &d->calendar) != QL_OK) {
        detect_close(d);
        return QL_E_MEMORY;
    }
    detect_count_cells(d, env->stats);
    *ret_stage = d;
    return QL_OK;
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

/* The same for every phase of a signal; absence, bound and value signals of one onset differ. */
static ql_id finding_id(ql_series_id series, const struct detect_finding *f)
{
    const uint64_t sort = f->kind == QL_SIGNAL_ABSENCE ? 1 : f->kind == QL_SIGNAL_BOUND ? 2 : 0;
    const uint64_t words[4] = { series.h.high, series.h.low, (uint64_t)f->onset_ns, sort };
    return (ql_id){ ql_hash64(words, sizeof(words)) };
}

static ql_str finding_text(struct detect_stage *d, struct ql_batch *bus)
{
    const ql_str text = ql_batch_text(bus, ql_buf_view(&d->scratch));
    ql_buf_reset(&d->scratch);
    return text;
}

/* Says in the sentence who made a signal more or less important, or set the bound. */
static void finding_policy(struct detect_stage *d, const struct detect_finding *f,
                           struct ql_signal *signal)
{
    if (!d->policy.active) {
        return;
    }
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, f->series);
    signal->importance = (enum ql_importance)e->importance;
    if (f->kind == QL_SIGNAL_BOUND && e->by[QL_POLICY_VALID_RANGE] != 0) {
        (void)ql_buf_printf(&d->scratch, " (policy %s)",
                            ql_policy_name(d->policy.set, e->by[QL_POLICY_VALID_RANGE]));
    }
    if (signal->importance != QL_IMPORTANCE_NORMAL) {
        (void)ql_buf_printf(&d->scratch, " (importance %s, policy %s)",
                            ql_importance_text(signal->importance),
                            ql_policy_name(d->policy.set, e->by[QL_POLICY_IMPORTANCE]));
    }
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
    finding_policy(d, f, signal);
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
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_ABSENT) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_ABSENT; /* was never told */
        s->flags &= (uint8_t)~QL_DT_ABSENT;
        s->steady_run = 0;
        return;
    }
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

static void absent_tell(struct detect_stage *d, struct ql_batch *bus, uint32_t series,
                        uint32_t steady, int64_t at_ns)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    double surprise = 2.0;
    for (uint32_t n = steady / 10u; n > 0; n /= 10u) {
        surprise += 1.0;
    }
    finding_write(d, bus, &(struct detect_finding){
                              .series = series,
                              .kind = QL_SIGNAL_ABSENCE,
                              .phase = QL_PHASE_OPEN,
                              .onset_ns = s->last_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .surprise = surprise,
                              .verdict = &v,
                          });
}

/* How steady it was is kept with a held absence: it is told later, or never. */
static bool absent_held(struct detect_stage *d, uint32_t series, uint16_t steady, ql_time at)
{
    if (!d->policy.active) {
        return false;
    }
    const enum ql_dt_hold hold = ql_dt_policy_hold(&d->policy, series, at, true);
    if (hold == QL_DT_HOLD_NONE) {
        return false;
    }
    ql_dt_policy_count(&d->policy, hold);
    d->policy.marks[series].flags |= QL_DT_MARK_ABSENT;
    d->judge.states[series].steady_run = steady;
    return true;
}

static void absent_open(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    const uint16_t steady = s->steady_run;
    if ((s->flags & QL_DT_ABSENT) != 0) {
        return;
    }
    s->steady_run = 0;
    if (steady < STEADY_MIN) {
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
    if (!absent_held(d, point->series, steady, point->at)) {
        absent_tell(d, bus, point->series, steady, point->at.ns);
    }
}

/* The silence outlasted what held it back. */
static void absent_late(struct detect_stage *d, struct ql_batch *bus, uint32_t series, ql_time now)
{
    struct ql_dt_mark *mark = &d->policy.marks[series];
    struct ql_dt_series *s = &d->judge.states[series];
    if ((mark->flags & QL_DT_MARK_ABSENT) != 0 &&
        ql_dt_policy_hold(&d->policy, series, now, true) == QL_DT_HOLD_NONE) {
        mark->flags &= (uint8_t)~QL_DT_MARK_ABSENT;
        ql_stat_add(d->policy.told_late, 1);
        absent_tell(d, bus, series, s->steady_run, now.ns);
        s->steady_run = 0;
    }
}

/* Closes a value signal whose series is gone for good. */
static void gone_close(struct detect_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_HELD) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_HELD;
        s->flags &= (uint8_t)~QL_DT_OPEN;
        return;
    }
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    finding_write(d, bus, &(struct detect_finding){
                              .series = series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = QL_PHASE_CLOSE,
                              .onset_ns = s->rise_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .verdict = &v,
                          });
    s->flags &= (uint8_t)~QL_DT_OPEN;
}

/* Drops from the list what came back, and gives up on what is silent for a day. */
static void absent_sweep(struct detect_stage *d, struct ql_batch *bus, ql_time now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->absent_count; i++) {
        const uint32_t series = d->absent[i];
        struct ql_dt_series *s = &d->judge.states[series];
        if ((s->flags & QL_DT_ABSENT) != 0 && d->judge.newest_ns - s->last_ns > FORGET_NS) {
            absent_close(d, bus, series, d->judge.newest_ns);
            if ((s->flags & QL_DT_OPEN) != 0) {
                gone_close(d, bus, series, d->judge.newest_ns);
            }
        }
        if ((s->flags & QL_DT_ABSENT) != 0) {
            if (d->policy.active) {
                absent_late(d, bus, series, now);
            }
            d->absent[kept++] = series;
        } else {
            s->flags &= (uint8_t)~QL_DT_LISTED;
        }
    }
    d->absent_count = kept;
}

/* ---- valid ranges ---------------------------------------------------------------- */

static void bound_write(struct detect_stage *d, struct ql_batch *bus,
                        const struct ql_dt_bound *bound, enum ql_phase phase, double value,
                        int64_t at_ns)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, bound->series);
    struct ql_dt_verdict v = { 0 };
    v.expected = value > e->high ? e->high : value < e->low ? e->low : value;
    v.lower = e->low > -1e300 ? e->low : v.expected; /* an infinite end has no number */
    v.upper = e->high < 1e300 ? e->high : v.expected;
    finding_write(d, bus, &(struct detect_finding){
                              .series = bound->series,
                              .kind = QL_SIGNAL_BOUND,
                              .phase = phase,
                              .onset_ns = bound->onset_ns,
                              .at_ns = at_ns,
                              .value = value,
                              .surprise = BOUND_SURPRISE,
                              .verdict = &v,
                          });
}

static void bound_outside(struct detect_stage *d, struct ql_batch *bus,
                          const struct ql_point *point, struct ql_dt_bound *bound)
{
    const bool first = bound == NULL;
    if (first) {
        bound = ql_dt_policy_bound_add(&d->policy, point->series, point->at.ns);
    }
    if (bound == NULL) {
        return;
    }
    bound->value = point->value;
    bound->last_ns = point->at.ns;
    bound->inside_run = 0;
    if (bound->told != 0) {
        return;
    }
    const enum ql_dt_hold hold = ql_dt_policy_hold(&d->policy, point->series, point->at, false);
    if (hold == QL_DT_HOLD_NONE) {
        bound->told = 1;
        bound_write(d, bus, bound, QL_PHASE_OPEN, point->value, point->at.ns);
        ql_stat_add(d->policy.told_late, first ? 0 : 1);
    } else if (first) {
        ql_dt_policy_count(&d->policy, hold);
    }
}

static void bound_end(struct detect_stage *d, struct ql_batch *bus, uint32_t series, double value,
                      int64_t at_ns)
{
    const struct ql_dt_bound bound = *ql_dt_policy_bound(&d->policy, series);
    ql_dt_policy_bound_drop(&d->policy, series);
    if (bound.told != 0) {
        bound_write(d, bus, &bound, QL_PHASE_CLOSE, value, at_ns);
    }
}

/* True: the value is outside of its range and nothing is to be learnt of it. */
static bool bound_push(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, point->series);
    const bool outside = point->value < e->low || point->value > e->high;
    const bool known = (d->policy.marks[point->series].flags & QL_DT_MARK_BOUND) != 0;
    struct ql_dt_bound *bound = known ? ql_dt_policy_bound(&d->policy, point->series) : NULL;
    if (outside) {
        bound_outside(d, bus, point, bound);
    } else if (bound != NULL && ++bound->inside_run >= BOUND_CALM) {
        bound_end(d, bus, point->series, point->value, point->at.ns);
    }
    return outside;
}

/* Gives up on what is silent for a day. */
static void bound_sweep(struct detect_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < d->policy.bound_count;) {
        const struct ql_dt_bound bound = d->policy.bounds[i];
        if (d->judge.newest_ns - bound.last_ns > FORGET_NS) {
            bound_end(d, bus, bound.series, bound.value, d->judge.newest_ns);
        } else {
            i++;
        }
    }
}

/* ---- points --------------------------------------------------------------------- */

static void value_signal(struct detect_stage *d, struct ql_batch *bus,
                         const struct ql_point *point, enum ql_dt_change change,
                         const struct ql_dt_verdict *v)
{
    const struct ql_dt_series *s = &d->judge.states[point->series];
    const bool closed = change == QL_DT_CLOSED;
    finding_write(d, bus, &(struct detect_finding){
                              .series = point->series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = closed                    ? QL_PHASE_CLOSE
                                       : change == QL_DT_OPENED ? QL_PHASE_OPEN
                                                                : QL_PHASE_UPDATE,
                              .onset_ns = s->rise_ns,
                              .at_ns = point->at.ns,
                              .value = point->value,
                              .surprise = (double)v->evidence_surprise,
                              .verdict = v,
                          });
}

/* What a policy makes of it; a signal that is held is not one of the budget's. */
static enum ql_dt_change value_ruled(struct detect_stage *d, const struct ql_point *point,
                                     enum ql_dt_change change, const struct ql_dt_verdict *v)
{
    const bool open = (d->judge.states[point->series].flags & QL_DT_OPEN) != 0;
    const enum ql_dt_change told = ql_dt_policy_pass(&d->policy, point->series, change, open,
                                                     point, v, d->judge.rule.threshold);
    if (change == QL_DT_OPENED && told == QL_DT_SAME && d->judge.budget.opened > 0) {
        d->judge.budget.opened--;
    }
    return told;
}

static void value_push(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    const struct ql_series *row = ql_series_at(d->series, point->series);
    if ((s->flags & QL_DT_ABSENT) != 0) {
        absent_close(d, bus, point->series, point->at.ns);
    }
    const bool ruled = d->policy.active && !ql_dt_policy_idle(&d->policy, point->series);
    if (ruled && bound_push(d, bus, point)) {
        d->judge.newest_ns =
            point->at.ns > d->judge.newest_ns ? point->at.ns : d->judge.newest_ns;
        return;
    }
    const bool want_band = (s->flags & QL_DT_OPEN) != 0 || s->count % BAND_EVERY == 0;
    const struct ql_dt_input in = { point->at.ns, point->value, row->step_ms, want_band,
                                    ql_dt_calendar_shift(&d->calendar, point->at.ns) };
    struct ql_dt_verdict v;
    enum ql_dt_change change = ql_dt_judge_value(&d->judge, point->series, row->family, &in, &v);
    if (ruled) {
        change = value_ruled(d, point, change, &v);
    }
    s->steady_run = (uint16_t)(s->steady_run < UINT16_MAX ? s->steady_run + 1 : UINT16_MAX);
    if (change == QL_DT_RECURRED) {
        ql_stat_add(d->recurred, 1);
    } else if (change != QL_DT_SAME) {
        value_signal(d, bus, point, change, &v);
    }
    if (v.judged && want_band) {
        band_write(d, bus, point, &v);
    }
}

static void point_push(struct detect_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    QL_ASSERT(point->series < d->judge.series_max);
    struct ql_dt_series *s = &d->judge.states[point->series];
    switch (point->kind) {
    case QL_POINT_VALUE: value_push(d, bus, point); break;
    case QL_POINT_HOLE:
        if (s->count > 0) {
            absent_open(d, bus, point);
        }
        break;
    case QL_POINT_RESET: ql_stat_add(d->resets, 1); break;
    case QL_POINT_UNJUDGED: break;
    }
}

static void detect_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct detect_stage *d = stage;
    (void)now;
    if (!d->enabled) {
        return;
    }
    for (uint32_t i = 0; d->policy.active && i < bus->changes.count; i++) {
        ql_dt_policy_change(&d->policy, bus->changes.at[i].entity, bus->changes.at[i].at);
    }
    for (uint32_t i = 0; i < bus->points.count; i++) {
        if (i + PREFETCH_POINTS < bus->points.count) {
            ql_dt_judge_prefetch(&d->judge, bus->points.at[i + PREFETCH_POINTS].series);
        }
        const struct ql_point point = bus->points.at[i];
        point_push(d, bus, &point);
    }
    ql_stat_add(d->points, bus->points.count);
}

static void detect_threshold(struct detect_stage *d)
{
    ql_dt_judge_threshold(&d->judge);
    ql_stat_set(d->threshold, (int64_t)(d->judge.rule.threshold * 1000.0f));
    ql_stat_set(d->profiles, d->judge.profile_count);
}

static void detect_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct detect_stage *d = stage;
    detect_threshold(d);
    absent_sweep(d, bus, now);
    if (d->policy.active) {
        ql_dt_policy_sweep(&d->policy, now);
        bound_sweep(d, bus);
    }
}

static void detect_adopt(void *stage, const struct ql_model_set *set)
{
    struct detect_stage *d = stage;
    d->judge.budget.offset = set->threshold_offset_decades;
    detect_threshold(d);
}

static ql_err detect_adopt_config(void *stage, const struct ql_config *config)
{
    struct detect_stage *d = stage;
    struct ql_dt_budget *budget = &d->judge.budget;
    struct ql_dt_calendar calendar;
    if (ql_dt_calendar_open(config, &calendar) != QL_OK) {
        return QL_E_MEMORY;
    }
    const ql_err err = ql_dt_policy_adopt(&d->policy, config);
    if (err != QL_OK) {
        ql_dt_calendar_close(&calendar);
        return err;
    }
    ql_dt_calendar_close(&d->calendar);
    d->calendar = calendar;
    d->enabled = config->detect_enabled;
    /* The control belongs to the old budget; a new one starts from its own. */
    const double share = config->signals_per_day * d->shard_share;
    if (share > budget->signals_per_day || share < budget->signals_per_day) {
        const double offset = budget->offset;
        ql_dt_budget_init(budget, share);
        budget->offset = offset;
    }
    detect_threshold(d);
    return QL_OK;
}

static ql_err detect_save(const void *stage, struct ql_buf *out)
{
    const struct detect_stage *d = stage;
    (void)ql_dt_judge_save(&d->judge, ql_series_count(d->series), out);
    (void)ql_buf_u32(out, d->absent_count);
    (void)ql_buf_put(out, d->absent, d->absent_count * sizeof(*d->absent));
    return ql_dt_policy_save(&d->policy, ql_series_count(d->series), out);
}

static ql_err detect_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct detect_stage *d = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    const ql_err err = ql_dt_judge_load(&d->judge, in);
    if (err != QL_OK) {
        return err;
    }
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > ABSENT_MAX) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        d->absent[i] = ql_reader_u32(in);
        if (d->absent[i] >= d->judge.series_max) {
            return QL_E_MALFORMED;
        }
    }
    d->absent_count = count;
    return in->failed ? QL_E_MALFORMED : ql_dt_policy_load(&d->policy, in);
}

const struct ql_stage_type ql_detect_stage = {
    .name = "detect",
    .reads = QL_LIST_BIT(points) | QL_LIST_BIT(changes),
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
