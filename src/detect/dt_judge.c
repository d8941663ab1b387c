/* dt_judge - states, profiles, pools and the threshold, and when which is used.
 *
 * Cost  the state of a series is four cache lines apart from everything else: whoever
 *       walks many points prefetches a few ahead.
 */
#include "detect/dt_judge.h"

#include "base/pages.h"

#include <stdlib.h>

enum {
    PROFILE_DAYS = 5,          /* after which a profile must have earned its memory */
    PROFILE_REST_DAYS = 7      /* before another try, when it had not */
};
#define PROFILE_AFTER_S 7200.0 /* life of a series before a profile is tried */
#define STEP_EW 1e-4
#define DAY_MS 86400000.0

ql_err ql_dt_judge_init(struct ql_dt_judge *j, uint32_t series_max, double signals_per_day)
{
    *j = (struct ql_dt_judge){ .series_max = series_max, .newest_ns = INT64_MIN };
    j->slab_max = series_max / 4 + 16;
    j->states = ql_pages_new((size_t)series_max * sizeof(*j->states));
    j->slabs = ql_pages_new((size_t)j->slab_max * sizeof(*j->slabs));
    j->pools = malloc((1 + QL_DT_FAMILY_BUCKETS) * sizeof(*j->pools));
    if (j->states == NULL || j->slabs == NULL || j->pools == NULL ||
        ql_dt_together_open(&j->together) != QL_OK) {
        ql_dt_judge_fini(j);
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i <= QL_DT_FAMILY_BUCKETS; i++) {
        ql_dt_pools_init(&j->pools[i]);
    }
    j->rule = ql_dt_rule_default;
    ql_dt_budget_init(&j->budget, signals_per_day);
    ql_dt_judge_threshold(j);
    return QL_OK;
}

void ql_dt_judge_fini(struct ql_dt_judge *j)
{
    ql_pages_free(j->states, (size_t)j->series_max * sizeof(*j->states));
    ql_pages_free(j->slabs, (size_t)j->slab_max * sizeof(*j->slabs));
    free(j->pools);
    ql_dt_together_close(&j->together);
    j->states = NULL;
    j->slabs = NULL;
    j->pools = NULL;
}

/* ---- profiles ------------------------------------------------------------------- */

static uint32_t profile_points(double days, uint32_t step_ms)
{
    const double points = days * DAY_MS / (double)step_ms;
    return points < 4e9 ? (uint32_t)points : UINT32_MAX;
}

static void profile_give_up(struct ql_dt_judge *j, struct ql_dt_series *s, uint32_t step_ms)
{
    QL_ASSERT(s->slab > 0);
    j->slabs[s->slab - 1].next_free = j->slab_free;
    j->slab_free = s->slab;
    j->profile_count--;
    s->slab = 0;
    s->season_error = s->slow_error = 0.0f;
    s->rest = profile_points(PROFILE_REST_DAYS, step_ms);
}

static void profile_try(struct ql_dt_judge *j, struct ql_dt_series *s, uint32_t step_ms)
{
    uint32_t slab = j->slab_free;
    if (slab != 0) {
        j->slab_free = j->slabs[slab - 1].next_free;
    } else if (j->slab_count < j->slab_max) {
        slab = ++j->slab_count;
    } else {
        s->rest = profile_points(1.0, step_ms);
        return;
    }
    j->slabs[slab - 1] = (struct ql_dt_slab){ 0 };
    j->profile_count++;
    s->slab = slab;
    s->season_count = 0;
    s->rest = profile_points(PROFILE_DAYS, step_ms);
}

/* `rest` counts down to the next decision: try one, or see whether it was worth it. */
static void profile_manage(struct ql_dt_judge *j, struct ql_dt_series *s, uint32_t step_ms)
{
    if (step_ms == 0) {
        return;
    }
    if (s->count == 1) {
        s->rest = profile_points(PROFILE_AFTER_S * 1000.0 / DAY_MS, step_ms);
    } else if (s->rest > 0) {
        s->rest--;
    } else if (s->slab == 0) {
        profile_try(j, s, step_ms);
    } else if ((s->flags & QL_DT_SEASONAL) == 0) {
        profile_give_up(j, s, step_ms);
    } else {
        s->rest = profile_points(PROFILE_DAYS, step_ms);
    }
}

/* ---- points --------------------------------------------------------------------- */

static void observed_count(struct ql_dt_observed *observed, bool odd, float surprise)
{
    if (odd) {
        return;
    }
    observed->points++;
    for (uint32_t level = 0; level < QL_DT_OBSERVED_LEVELS && surprise >= (float)(level + 2);
         level++) {
        observed->reached[level]++;
    }
}

enum ql_dt_change ql_dt_judge_value(struct ql_dt_judge *j, uint32_t series, uint32_t family,
                                    const struct ql_dt_input *in,
                                    struct ql_dt_verdict *ret_verdict)
{
    QL_ASSERT(series < j->series_max);
    struct ql_dt_series *s = &j->states[series];
    const struct ql_dt_commons commons = {
        .family = &j->pools[1 + family % QL_DT_FAMILY_BUCKETS],
        .all = &j->pools[0],
        .slab = s->slab > 0 ? &j->slabs[s->slab - 1] : NULL,
    };
    const bool odd = s->evidence > ql_dt_params_default.odd || (s->flags & QL_DT_OPEN) != 0;
    ql_dt_series_step(s, &ql_dt_params_default, &commons, in, ret_verdict);
    profile_manage(j, s, in->step_ms);
    j->newest_ns = in->at_ns > j->newest_ns ? in->at_ns : j->newest_ns;
    if (!ret_verdict->judged) {
        j->active_count += s->count == ql_dt_params_default.warm_count + 1;
        return QL_DT_SAME;
    }
    if (in->step_ms != 0) {
        j->step_ms += (j->step_ms > 0.0 ? STEP_EW : 1.0) * ((double)in->step_ms - j->step_ms);
    }
    observed_count(&j->observed, odd, ret_verdict->surprise);
    const enum ql_dt_change change = ql_dt_signal_step(s, &j->rule, in, ret_verdict);
    if (change == QL_DT_OPENED) {
        ql_dt_budget_opened(&j->budget);
        j->together.alone++;
    } else if (change == QL_DT_NEAR) {
        ql_dt_together_note(&j->together, series, in, ret_verdict);
        return QL_DT_SAME;
    }
    return change;
}

uint32_t ql_dt_judge_together(struct ql_dt_judge *j)
{
    const uint32_t count = ql_dt_together_pick(&j->together, j->states, j->rule.threshold);
    uint32_t opened = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_dt_near near = j->together.near[i];
        struct ql_dt_series *s = &j->states[near.series];
        if (ql_dt_signal_open(s, &near.in, &near.verdict) == QL_DT_OPENED) {
            ql_dt_budget_opened(&j->budget);
            j->together.near[opened++] = near;
        }
    }
    return opened;
}

void ql_dt_judge_threshold(struct ql_dt_judge *j)
{
    const double steps = j->step_ms > 0.0 ? DAY_MS / j->step_ms : 0.0;
    if (j->newest_ns != INT64_MIN) {
        ql_dt_budget_pass(&j->budget, j->newest_ns, steps * (double)j->active_count);
    }
    j->rule.threshold = (float)ql_dt_budget_threshold(&j->budget);
}

/* ---- checkpoint ----------------------------------------------------------------- */

ql_err ql_dt_judge_save(const struct ql_dt_judge *j, uint32_t series_count, struct ql_buf *out)
{
    QL_ASSERT(series_count <= j->series_max);
    (void)ql_buf_u32(out, series_count);
    (void)ql_buf_put(out, j->states, (size_t)series_count * sizeof(*j->states));
    (void)ql_buf_u32(out, j->slab_count);
    (void)ql_buf_u32(out, j->slab_free);
    (void)ql_buf_u32(out, j->profile_count);
    (void)ql_buf_put(out, j->slabs, (size_t)j->slab_count * sizeof(*j->slabs));
    (void)ql_buf_put(out, j->pools, (1 + QL_DT_FAMILY_BUCKETS) * sizeof(*j->pools));
    (void)ql_buf_u32(out, j->active_count);
    (void)ql_buf_f64(out, j->step_ms);
    (void)ql_buf_i64(out, j->newest_ns);
    (void)ql_buf_put(out, &j->budget, sizeof(j->budget));
    return ql_buf_f64(out, (double)j->rule.threshold);
}

/* Every index that will be followed points into its table. */
static bool load_holds(const struct ql_dt_judge *j, uint32_t series_count)
{
    bool hold = j->slab_free <= j->slab_count;
    for (uint32_t i = 0; i < series_count && hold; i++) {
        hold = j->states[i].slab <= j->slab_count;
    }
    for (uint32_t i = 0; i < j->slab_count && hold; i++) {
        hold = j->slabs[i].next_free <= j->slab_count;
    }
    return hold;
}

ql_err ql_dt_judge_load(struct ql_dt_judge *j, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > j->series_max) {
        return QL_E_MALFORMED;
    }
    (void)ql_reader_copy(in, j->states, (size_t)count * sizeof(*j->states));
    j->slab_count = ql_reader_u32(in);
    j->slab_free = ql_reader_u32(in);
    j->profile_count = ql_reader_u32(in);
    if (in->failed || j->slab_count > j->slab_max) {
        return QL_E_MALFORMED;
    }
    (void)ql_reader_copy(in, j->slabs, (size_t)j->slab_count * sizeof(*j->slabs));
    (void)ql_reader_copy(in, j->pools, (1 + QL_DT_FAMILY_BUCKETS) * sizeof(*j->pools));
    j->active_count = ql_reader_u32(in);
    j->step_ms = ql_reader_f64(in);
    j->newest_ns = ql_reader_i64(in);
    (void)ql_reader_copy(in, &j->budget, sizeof(j->budget));
    j->rule.threshold = (float)ql_reader_f64(in);
    return in->failed || !load_holds(j, count) ? QL_E_MALFORMED : QL_OK;
}
