/* detect - the stage: points in, signals and bands out, batch by batch. */
#include "detect/detect.h"

#include "config/config.h"
#include "detect/detect_int.h"
#include "model/model_set.h"

#include <stdlib.h>

enum { PREFETCH_POINTS = 10, BAND_EVERY = 16 };
#define STATE_VERSION 8u

/* ---- life ----------------------------------------------------------------------- */

static void detect_close(void *stage)
{
    struct dt_stage *d = stage;
    if (d == NULL) {
        return;
    }
    ql_dt_judge_fini(&d->judge);
    ql_dt_policy_close(&d->policy);
    ql_dt_calendar_close(&d->calendar);
    ql_dt_drill_close(&d->drill);
    ql_dt_groups_close(&d->groups);
    free(d->absent);
    dt_ended_close(d);
    dt_resets_close(&d->resets);
    ql_buf_fini(&d->scratch);
    free(d);
}

static void detect_tenants(struct dt_stage *d, const struct ql_config *config,
                           struct ql_dt_tenants_next *next)
{
    dt_uncount_tenants(d);
    ql_dt_tenants_adopt(&d->judge.tenants, next, config, d->series, d->shard_share);
    dt_count_tenants(d);
}

static ql_err detect_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->config != NULL);
    QL_ASSERT(env->series != NULL);
    struct dt_stage *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return QL_E_MEMORY;
    }
    struct ql_dt_tenants_next tenants;
    d->series = env->series;
    d->stats = env->stats;
    d->enabled = env->config->detect_enabled;
    d->switched = !d->enabled || !env->config->detect_groups;
    d->shard_share = 1.0 / (env->shard_count > 0 ? (double)env->shard_count : 1.0);
    d->absent = malloc(DT_ABSENT_MAX * sizeof(*d->absent));
    ql_buf_init(&d->scratch, 64 * 1024);
    if (d->absent == NULL || dt_ended_open(d) != QL_OK ||
        dt_resets_open(&d->resets) != QL_OK ||
        ql_dt_judge_init(&d->judge, ql_series_index_max(env->series),
                                              env->config->signals_per_day * d->shard_share) !=
                                 QL_OK ||
        ql_dt_policy_open(&d->policy, env->config, env->series, env->stats) != QL_OK ||
        ql_dt_calendar_open(env->config, &d->calendar) != QL_OK ||
        ql_dt_drill_open(&d->drill, env->config->self_test_s) != QL_OK ||
        ql_dt_groups_open(&d->groups, env->series, ql_series_index_max(env->series),
                          env->config->detect_groups) != QL_OK ||
        ql_dt_tenants_prepare(env->config, &tenants) != QL_OK) {
        detect_close(d);
        return QL_E_MEMORY;
    }
    dt_count_cells(d);
    detect_tenants(d, env->config, &tenants);
    *ret_stage = d;
    return QL_OK;
}

/* ---- points --------------------------------------------------------------------- */

static void value_signal(struct dt_stage *d, struct ql_batch *bus,
                         const struct ql_point *point, enum ql_dt_change change,
                         const struct ql_dt_verdict *v)
{
    const struct ql_dt_series *s = &d->judge.states[point->series];
    const bool closed = change == QL_DT_CLOSED;
    dt_finding_write(d, bus, &(struct dt_finding){
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
static enum ql_dt_change value_ruled(struct dt_stage *d, const struct ql_point *point,
                                     enum ql_dt_change change, const struct ql_dt_verdict *v)
{
    const struct ql_dt_series *s = &d->judge.states[point->series];
    const uint32_t quota = ql_dt_quota_of(ql_series_at(d->series, point->series)->family);
    struct ql_dt_tenant *tenant = ql_dt_judge_tenant(&d->judge, point->series);
    const struct ql_dt_passing passing = {
        .change = change, .open = (s->flags & QL_DT_OPEN) != 0, .point = point, .verdict = v,
        .kind = (enum ql_signal_kind)s->kind, .threshold = tenant->rules[quota].threshold,
    };
    const enum ql_dt_change told = ql_dt_policy_pass(&d->policy, point->series, &passing);
    if (change == QL_DT_OPENED && told == QL_DT_SAME) {
        ql_dt_budget_held(&tenant->budget, quota);
    }
    return told;
}

/* What a policy makes of it: SAME is not told. What is held opens late while it is odd. */
static enum ql_dt_change group_ruled(struct dt_stage *d, const struct ql_dt_group_finding *f,
                                     enum ql_signal_kind kind)
{
    const bool was_held = f->group->told == QL_DT_GROUP_HELD;
    if (f->change == QL_DT_CLOSED) {
        return f->group->told == QL_DT_GROUP_TOLD ? QL_DT_CLOSED : QL_DT_SAME;
    }
    if (f->change != QL_DT_OPENED && !was_held) {
        return f->group->told == QL_DT_GROUP_TOLD ? f->change : QL_DT_SAME;
    }
    const enum ql_held hold =
        d->policy.active ? ql_dt_policy_hold(&d->policy, f->series, (ql_time){ f->at_ns }, true)
                         : QL_HELD_NONE;
    f->group->told = hold == QL_HELD_NONE ? QL_DT_GROUP_TOLD : QL_DT_GROUP_HELD;
    if (hold != QL_HELD_NONE && f->change == QL_DT_OPENED) {
        ql_dt_policy_count(&d->policy, f->series, hold, kind);
    }
    if (hold != QL_HELD_NONE) {
        return QL_DT_SAME;
    }
    if (f->change == QL_DT_OPENED) {
        ql_dt_budget_opened(&ql_dt_judge_tenant(&d->judge, f->series)->budget, QL_DT_OF_GROUPS);
    } else {
        ql_stat_add(d->policy.counts.told_late, 1);
    }
    return QL_DT_OPENED;
}

static void group_signal(struct dt_stage *d, struct ql_batch *bus,
                         const struct ql_dt_group_finding *f)
{
    const enum ql_signal_kind kind = f->kind == QL_DT_GROUP_PEERS ? QL_SIGNAL_PEER
                                                                  : QL_SIGNAL_FUSED;
    const enum ql_dt_change told = group_ruled(d, f, kind);
    if (f->change == QL_DT_CLOSED) {
        f->group->told = QL_DT_GROUP_UNTOLD;
    }
    if (told == QL_DT_SAME) {
        return;
    }
    dt_finding_write(d, bus, &(struct dt_finding){
                                 .series = f->series,
                                 .kind = kind,
                                 .phase = told == QL_DT_OPENED   ? QL_PHASE_OPEN
                                          : told == QL_DT_CLOSED ? QL_PHASE_CLOSE
                                                                 : QL_PHASE_UPDATE,
                                 .onset_ns = f->onset_ns,
                                 .at_ns = f->at_ns,
                                 .value = f->value,
                                 .surprise = (double)f->verdict.evidence_surprise,
                                 .verdict = &f->verdict,
                                 .group = f,
                             });
}

static struct dt_end group_end_of(const struct ql_dt_group_finding *f)
{
    return (struct dt_end){ .why = f->lapse == QL_DT_GROUP_FEW ? DT_END_FEW : DT_END_AWAY,
                            .present = f->peers, .count = f->count };
}

/* A group may be of several tenants: whose value ends the row, by their rule it is judged, and
 * whom the signal is about, on their budget it is. */
static void groups_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point,
                        const struct ql_dt_series *s)
{
    struct ql_dt_group_finding finding;
    const struct ql_dt_rule *rule = ql_dt_judge_rule(&d->judge, point->series, QL_DT_OF_GROUPS);
    ql_dt_groups_meet(&d->groups, point->series, s, point->at.ns);
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        if (ql_dt_groups_value(&d->groups, (enum ql_dt_group_kind)k, point->series, point->at.ns,
                               point->value, rule, &finding)) {
            if (finding.lapse == QL_DT_GROUP_JUDGED) {
                group_signal(d, bus, &finding);
            } else {
                dt_end_group(d, bus, &finding, group_end_of(&finding));
            }
        }
    }
}

static void steady_count(struct ql_dt_series *s)
{
    s->steady_run = (uint16_t)(s->steady_run < UINT16_MAX ? s->steady_run + 1 : UINT16_MAX);
}

static void value_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    const struct ql_series *row = ql_series_at(d->series, point->series);
    if (ql_dt_tenants_unknown(&d->judge.tenants, point->series)) {
        ql_dt_judge_find(&d->judge, point->series);
    }
    if ((s->flags & (QL_DT_ABSENT | QL_DT_ENDED)) != 0) {
        dt_absent_value(d, bus, point);
    }
    const bool ruled = d->policy.active && !ql_dt_policy_idle(&d->policy, point->series);
    if (ruled && dt_bound_push(d, bus, point)) {
        d->judge.newest_ns =
            point->at.ns > d->judge.newest_ns ? point->at.ns : d->judge.newest_ns;
        steady_count(s);
        return;
    }
    const bool want_band = (s->flags & QL_DT_OPEN) != 0 || s->count % BAND_EVERY == 0;
    const struct ql_dt_input in = { point->at.ns, point->value, row->step_ms, want_band,
                                    ql_dt_calendar_shift(&d->calendar, point->at.ns) };
    struct ql_dt_verdict v;
    if (point->series == d->drill.series) {
        dt_drill_ended(d, ql_dt_drill_value(&d->drill, &d->judge, row->family, &in));
    }
    enum ql_dt_change change = ql_dt_judge_value(&d->judge, point->series, row->family, &in, &v);
    if (ruled) {
        change = value_ruled(d, point, change, &v);
    }
    steady_count(s);
    if (change == QL_DT_RECURRED) {
        ql_stat_add(d->recurred, 1);
    } else if (change != QL_DT_SAME) {
        value_signal(d, bus, point, change, &v);
    }
    if (d->groups.enabled) {
        groups_push(d, bus, point, s);
    }
    if (v.judged && want_band) {
        dt_band_write(d, bus, point, &v);
    }
}

static void point_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    QL_ASSERT(point->series < d->judge.series_max);
    struct ql_dt_series *s = &d->judge.states[point->series];
    switch (point->kind) {
    case QL_POINT_VALUE: value_push(d, bus, point); break;
    case QL_POINT_HOLE:
        if (s->count > 0) {
            dt_absent_open(d, bus, point);
        }
        break;
    case QL_POINT_RESET:
        ql_stat_add(d->resets_seen, 1);
        dt_reset_push(d, bus, point);
        break;
    case QL_POINT_UNJUDGED: break;
    }
}

static void detect_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct dt_stage *d = stage;
    d->now_ns = now.ns;
    if (!d->enabled) {
        return;
    }
    for (uint32_t i = 0; i < bus->changes.count; i++) {
        ql_dt_changes_note(&d->changes, &bus->changes.at[i]);
    }
    for (uint32_t i = 0; d->policy.active && i < bus->changes.count; i++) {
        ql_dt_policy_change(&d->policy, bus->changes.at[i].entity, bus->changes.at[i].at);
    }
    for (uint32_t i = 0; i < bus->points.count; i++) {
        if (i + PREFETCH_POINTS < bus->points.count) {
            const struct ql_point *ahead = &bus->points.at[i];
            ql_dt_judge_prefetch(&d->judge, ahead[PREFETCH_POINTS].series);
            if (d->groups.enabled) {
                ql_dt_groups_prefetch_member(&d->groups, ahead[PREFETCH_POINTS].series);
                ql_dt_groups_prefetch_row(&d->groups, ahead[PREFETCH_POINTS / 2].series);
            }
        }
        const struct ql_point point = bus->points.at[i];
        point_push(d, bus, &point);
    }
    ql_stat_add(d->points, bus->points.count);
}

/* Tells what opens because many are odd at once. */
static void together_push(struct dt_stage *d, struct ql_batch *bus)
{
    const uint32_t count = ql_dt_judge_together(&d->judge);
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_dt_near *near = &d->judge.together.near[i];
        const struct ql_point point = {
            .at = { near->in.at_ns }, .series = near->series, .value = near->in.value,
            .kind = QL_POINT_VALUE,
        };
        const bool ruled = d->policy.active && !ql_dt_policy_idle(&d->policy, near->series);
        if (!ruled || value_ruled(d, &point, QL_DT_OPENED, &near->verdict) != QL_DT_SAME) {
            value_signal(d, bus, &point, QL_DT_OPENED, &near->verdict);
        }
    }
    ql_stat_add(d->together, count);
}

static void detect_threshold(struct dt_stage *d)
{
    ql_dt_judge_threshold(&d->judge);
    ql_stat_set(d->threshold, (int64_t)((float)d->judge.tenants.at[0].threshold * 1000.0f));
    ql_stat_set(d->profiles, d->judge.profile_count);
}

static void detect_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct dt_stage *d = stage;
    d->now_ns = now.ns;
    if (d->enabled) {
        together_push(d, bus);
    } else {
        (void)ql_dt_together_pick(&d->judge.together, d->judge.states); /* came before */
    }
    ql_dt_judge_sweep(&d->judge, ql_series_count(d->series));
    detect_threshold(d);
    dt_tell_honesty(d);
    dt_drill_ended(d, ql_dt_drill_tick(&d->drill, &d->judge, ql_series_count(d->series)));
    dt_forget_close(d, bus);
    dt_end_switched(d, bus);
    dt_absent_sweep(d, bus, now);
    if (d->policy.active) {
        ql_dt_policy_sweep(&d->policy, now);
        dt_bound_sweep(d, bus);
    }
    dt_reset_sweep(d, bus);
    dt_forget_drop(d, bus);
}

static void detect_adopt(void *stage, const struct ql_model_set *set)
{
    struct dt_stage *d = stage;
    for (uint32_t i = 0; i < d->judge.tenants.count; i++) {
        d->judge.tenants.at[i].budget.offset = set->threshold_offset_decades;
    }
    detect_threshold(d);
}

static ql_err detect_adopt_config(void *stage, const struct ql_config *config)
{
    struct dt_stage *d = stage;
    struct ql_dt_calendar calendar;
    if (ql_dt_calendar_open(config, &calendar) != QL_OK) {
        return QL_E_MEMORY;
    }
    struct ql_dt_tenants_next tenants;
    ql_err err = ql_dt_tenants_prepare(config, &tenants);
    if (err == QL_OK) {
        err = ql_dt_policy_adopt(&d->policy, config);
    }
    if (err != QL_OK) {
        ql_dt_tenants_discard(&tenants);
        ql_dt_calendar_close(&calendar);
        return err;
    }
    detect_tenants(d, config, &tenants);
    ql_dt_calendar_close(&d->calendar);
    d->calendar = calendar;
    d->enabled = config->detect_enabled;
    d->groups.enabled = config->detect_groups;
    d->switched = !d->enabled || !d->groups.enabled;
    d->drill.interval_ns = (int64_t)(config->self_test_s * 1e9);
    detect_threshold(d);
    return QL_OK;
}

static ql_err detect_save(const void *stage, struct ql_buf *out)
{
    const struct dt_stage *d = stage;
    (void)ql_dt_judge_save(&d->judge, ql_series_count(d->series), out);
    (void)ql_buf_u32(out, d->absent_count);
    (void)ql_buf_put(out, d->absent, d->absent_count * sizeof(*d->absent));
    (void)ql_buf_i64(out, d->ended_next_ns);
    (void)dt_resets_save(&d->resets, out);
    (void)ql_dt_groups_save(&d->groups, out);
    (void)ql_dt_changes_save(&d->changes, out);
    return ql_dt_policy_save(&d->policy, ql_series_count(d->series), out);
}

static ql_err detect_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct dt_stage *d = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    const ql_err err = ql_dt_judge_load(&d->judge, in);
    if (err != QL_OK) {
        return err;
    }
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > DT_ABSENT_MAX) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        d->absent[i] = ql_reader_u32(in);
        if (d->absent[i] >= d->judge.series_max) {
            return QL_E_MALFORMED;
        }
    }
    d->absent_count = count;
    d->ended_next_ns = ql_reader_i64(in);
    if (in->failed || dt_resets_load(&d->resets, ql_series_count(d->series), in) != QL_OK ||
        ql_dt_groups_load(&d->groups, in) != QL_OK ||
        ql_dt_changes_load(&d->changes, in) != QL_OK) {
        return QL_E_MALFORMED;
    }
    return ql_dt_policy_load(&d->policy, in);
}

/* States, profiles and groups of the series; marks of policies, which are a few bytes, left out. */
static size_t detect_bytes(const void *stage)
{
    const struct dt_stage *d = stage;
    return d->enabled ? ql_dt_judge_bytes(&d->judge, ql_series_count(d->series)) +
                            ql_dt_groups_bytes(&d->groups)
                      : 0;
}

const struct ql_stage_type ql_detect_stage = {
    .name = "detect",
    .reads = QL_LIST_BIT(points) | QL_LIST_BIT(retired) | QL_LIST_BIT(changes),
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
    .bytes = detect_bytes,
};
