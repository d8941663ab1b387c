/* detect_count - the cells of the stage, and whether the judgement is as good as it says. */
#include "detect/detect_int.h"

#include <stdio.h>

/* Whether the judgement is as good as it says, counted. */
static void detect_count_honesty(struct dt_stage *d)
{
    struct ql_stats *stats = d->stats;
    static const char *const levels[QL_DT_OBSERVED_LEVELS] = { "p=\"1e-2\"", "p=\"1e-3\"",
                                                               "p=\"1e-4\"", "p=\"1e-5\"" };
    static const char *const ends[] = { "", "result=\"found\"", "result=\"missed\"",
                                        "result=\"broken_off\"" };
    d->observed_points = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_tested_points_total",
                                       "Points judged of series that were not odd already.", "");
    for (uint32_t i = 0; i < QL_DT_OBSERVED_LEVELS; i++) {
        d->reached[i] = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_tested_reached_total",
                                      "Those called rarer than p; p times the points is nominal.",
                                      levels[i]);
    }
    for (uint32_t i = QL_DT_DRILL_FOUND; i < QL_COUNT_OF(ends); i++) {
        d->drills[i] = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_self_tests_total",
                                     "Made-up anomalies by what became of them.", ends[i]);
    }
    d->drill_delay = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_self_test_delay_milliseconds",
                                   "From the start of the last one found to its signal.", "");
    d->drill_found_at = ql_stats_cell(stats, QL_STAT_GAUGE,
                                      "ql_detect_self_test_found_timestamp_seconds",
                                      "When one was last found.", "");
}

void dt_count_cells(struct dt_stage *d)
{
    struct ql_stats *stats = d->stats;
    const char *dropped = "ql_detect_dropped_total", *why = "Detections that could not be written.";
    d->points = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_points_total",
                              "Points that were looked at.", "");
    d->opened = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                              "Signals by what happened to them.", "phase=\"open\"");
    d->closed = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                              "Signals by what happened to them.", "phase=\"close\"");
    d->recurred = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_signals_total",
                                "Signals by what happened to them.", "phase=\"recurred\"");
    d->resets_seen = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_resets_total",
                              "Counters that started again from zero.", "");
    d->threshold = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_threshold_millidecades",
                                 "Evidence that opens a signal of the default tenant, "
                                 "-1000 log10 p.", "");
    d->profiles = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_profiles",
                                "Series with a profile of the day.", "");
    d->absent_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"absence\"");
    d->resets_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"reset\"");
    d->signals_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"signal\"");
    d->bands_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"band\"");
    d->together = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_together_total",
                                "Signals opened because many series were odd in one tick.", "");
    d->day = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_signals_last_day",
                           "Signals about values that opened in the last 24 hours.", "");
    d->budget = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_budget_millisignals_per_day",
                              "How many may open a day, of all tenants.", "");
    d->groups_cells[QL_DT_GROUP_ENTITY] =
        ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_groups",
                      "Series judged together: metrics of an entity, or replicas.",
                      "kind=\"entity\"");
    d->groups_cells[QL_DT_GROUP_PEERS] =
        ql_stats_cell(stats, QL_STAT_GAUGE, "ql_detect_groups",
                      "Series judged together: metrics of an entity, or replicas.",
                      "kind=\"peers\"");
    d->groups_full = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, why, "what=\"group\"");
    detect_count_honesty(d);
}

void dt_drill_ended(struct dt_stage *d, enum ql_dt_drill_end end)
{
    if (end == QL_DT_DRILL_GOES_ON) {
        return;
    }
    ql_stat_add(d->drills[end], 1);
    if (end == QL_DT_DRILL_FOUND) {
        ql_stat_set(d->drill_delay, d->drill.delay_ns / 1000000);
        ql_stat_set(d->drill_found_at, d->judge.newest_ns / QL_NS_PER_S);
    }
}

/* ---- tenants ---------------------------------------------------------------------- */

void dt_count_tenants(struct dt_stage *d)
{
    for (uint32_t i = 0; i < d->judge.tenants.count; i++) {
        char label[QL_TENANT_NAME_BYTES + 16];
        (void)snprintf(label, sizeof(label), "tenant=\"%s\"", d->judge.tenants.at[i].name);
        d->tenants[i] = (struct dt_tenant_cells){
            .budget = ql_stats_cell(d->stats, QL_STAT_GAUGE,
                                    "ql_detect_tenant_budget_millisignals_per_day",
                                    "How many signals about values may open a day.", label),
            .day = ql_stats_cell(d->stats, QL_STAT_GAUGE, "ql_detect_tenant_signals_last_day",
                                 "How many opened in the last 24 hours.", label),
            .threshold = ql_stats_cell(d->stats, QL_STAT_GAUGE,
                                       "ql_detect_tenant_threshold_millidecades",
                                       "Evidence that opens a signal, -1000 log10 p.", label),
            .raised = ql_stats_cell(d->stats, QL_STAT_GAUGE,
                                    "ql_detect_tenant_family_raised_millidecades",
                                    "By how much the family furthest over its quota needs more.",
                                    label),
        };
        d->shown.days[i] = 0;
    }
}

void dt_uncount_tenants(struct dt_stage *d)
{
    for (uint32_t i = 0; i < d->judge.tenants.count && d->tenants[i].day != NULL; i++) {
        ql_stat_add(d->tenants[i].day, -d->shown.days[i]);
        ql_stat_set(d->tenants[i].budget, 0);
        ql_stat_set(d->tenants[i].threshold, 0);
        ql_stat_set(d->tenants[i].raised, 0);
    }
}

static void tell_tenants(struct dt_stage *d)
{
    int64_t day = 0;
    double budget = 0.0;
    for (uint32_t i = 0; i < d->judge.tenants.count; i++) {
        const struct ql_dt_tenant *tenant = &d->judge.tenants.at[i];
        const struct dt_tenant_cells *cells = &d->tenants[i];
        const double own = tenant->budget.signals_per_day / d->shard_share;
        const int64_t opened = (int64_t)ql_dt_budget_day(&tenant->budget);
        ql_stat_set(cells->budget, (int64_t)(own * 1000.0 + 0.5));
        ql_stat_add(cells->day, opened - d->shown.days[i]);
        ql_stat_set(cells->threshold, (int64_t)(tenant->threshold * 1000.0));
        ql_stat_set(cells->raised, (int64_t)(ql_dt_budget_raised(&tenant->budget) * 1000.0));
        d->shown.days[i] = opened;
        budget += own;
        day += opened;
    }
    ql_stat_set(d->budget, (int64_t)(budget * 1000.0 + 0.5));
    ql_stat_add(d->day, day - d->shown.day);
    d->shown.day = day;
}

void dt_tell_honesty(struct dt_stage *d)
{
    const struct ql_dt_observed *now = &d->judge.observed;
    struct ql_dt_observed *shown = &d->shown.observed;
    tell_tenants(d);
    ql_stat_add(d->observed_points, (int64_t)(now->points - shown->points));
    for (uint32_t i = 0; i < QL_DT_OBSERVED_LEVELS; i++) {
        ql_stat_add(d->reached[i], (int64_t)(now->reached[i] - shown->reached[i]));
    }
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        ql_stat_add(d->groups_cells[k], (int64_t)d->groups.live[k] - d->shown.groups[k]);
        d->shown.groups[k] = d->groups.live[k];
    }
    ql_stat_add(d->groups_full, (int64_t)d->groups.full - d->shown.groups_full);
    d->shown.groups_full = (int64_t)d->groups.full;
    *shown = *now;
}
