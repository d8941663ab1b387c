/* dt_judge - states, profiles, pools and thresholds, and when which is used.
 *
 * Cost  the state of a series is four cache lines apart from everything else: whoever
 *       walks many points prefetches a few ahead.
 */
#include "detect/dt_judge.h"

#include "base/pages.h"

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
    if (j->states == NULL || j->slabs == NULL ||
        ql_dt_together_open(&j->together) != QL_OK ||
        ql_dt_tenants_open(&j->tenants, series_max, signals_per_day) != QL_OK) {
        ql_dt_judge_fini(j);
        return QL_E_MEMORY;
    }
    return QL_OK;
}

void ql_dt_judge_fini(struct ql_dt_judge *j)
{
    ql_pages_free(j->states, (size_t)j->series_max * sizeof(*j->states));
    ql_pages_free(j->slabs, (size_t)j->slab_max * sizeof(*j->slabs));
    ql_dt_together_close(&j->together);
    ql_dt_tenants_close(&j->tenants);
    j->states = NULL;
    j->slabs = NULL;
}

size_t ql_dt_judge_bytes(const struct ql_dt_judge *j, uint32_t series_count)
{
    return (size_t)series_count * sizeof(*j->states) + (size_t)j->slab_count * sizeof(*j->slabs) +
           ql_dt_tenants_bytes(&j->tenants);
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
    if (s->count == 0) {
        ql_pages_ready(j->states, (size_t)j->series_max * sizeof(*s), &j->states_ready,
                       ((size_t)series + 1) * sizeof(*s));
    }
    const uint32_t quota = ql_dt_quota_of(family);
    struct ql_dt_tenant *tenant = ql_dt_judge_tenant(j, series);
    const struct ql_dt_commons commons = {
        .family = ql_dt_tenant_pools(tenant, family),
        .all = &tenant->pools[0],
        .slab = s->slab > 0 ? &j->slabs[s->slab - 1] : NULL,
    };
    const bool odd = s->evidence > ql_dt_params_default.odd || (s->flags & QL_DT_OPEN) != 0;
    ql_dt_series_step(s, &ql_dt_params_default, &commons, in, ret_verdict);
    profile_manage(j, s, in->step_ms);
    j->newest_ns = in->at_ns > j->newest_ns ? in->at_ns : j->newest_ns;
    if (!ret_verdict->judged) {
        if (s->count == ql_dt_params_default.warm_count + 1) {
            j->active_count++;
            ql_dt_tenants_judged(&j->tenants, series, in->step_ms);
        }
        return QL_DT_SAME;
    }
    if (in->step_ms != 0) {
        j->step_ms += (j->step_ms > 0.0 ? STEP_EW : 1.0) * ((double)in->step_ms - j->step_ms);
    }
    observed_count(&j->observed, odd, ret_verdict->surprise);
    if (!odd && ret_verdict->sum > 0.0f) {
        ql_dt_budget_alive(&tenant->budget, quota);
    }
    const struct ql_dt_rule *rule = &tenant->rules[quota];
    const enum ql_dt_change change = ql_dt_signal_step(s, rule, in, ret_verdict);
    if (change != QL_DT_OPENED && change != QL_DT_NEAR) {
        return change;
    }
    const uint32_t index = ql_dt_tenant_index(&j->tenants, series);
    if (change == QL_DT_NEAR) {
        const float past = ret_verdict->evidence_surprise - rule->threshold;
        const struct ql_dt_near near = { series, index, quota, past, *in, *ret_verdict };
        ql_dt_together_note(&j->together, j->tenants.count, &near);
        return QL_DT_SAME;
    }
    ql_dt_budget_opened(&tenant->budget, quota);
    j->together.alone[index]++;
    return change;
}

uint32_t ql_dt_judge_together(struct ql_dt_judge *j)
{
    const uint32_t count = ql_dt_together_pick(&j->together, j->states);
    uint32_t opened = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_dt_near near = j->together.near[i];
        struct ql_dt_series *s = &j->states[near.series];
        if (ql_dt_signal_open(s, &near.in, &near.verdict) == QL_DT_OPENED) {
            ql_dt_budget_opened(&ql_dt_judge_tenant(j, near.series)->budget, near.quota);
            j->together.near[opened++] = near;
        }
    }
    return opened;
}

void ql_dt_judge_threshold(struct ql_dt_judge *j)
{
    const double steps = j->step_ms > 0.0 ? DAY_MS / j->step_ms : 0.0;
    if (j->newest_ns != INT64_MIN) {
        ql_dt_tenants_pass(&j->tenants, j->newest_ns, steps * (double)j->active_count,
                           j->active_count);
    }
}

/* ---- whose ----------------------------------------------------------------------- */

void ql_dt_judge_find(struct ql_dt_judge *j, uint32_t series)
{
    if (ql_dt_tenants_unknown(&j->tenants, series)) {
        const bool judged = j->states[series].count > ql_dt_params_default.warm_count;
        ql_dt_tenants_find(&j->tenants, series, judged);
    }
}

void ql_dt_judge_sweep(struct ql_dt_judge *j, uint32_t series_count)
{
    struct ql_dt_tenants *t = &j->tenants;
    const uint32_t most = QL_DT_SWEEP / t->count;
    if (t->count == 1 || t->known >= j->active_count) {
        return;
    }
    for (uint32_t i = 0; i < most && i < series_count; i++) {
        t->cursor = t->cursor + 1 < series_count ? t->cursor + 1 : 0;
        if (ql_series_is_live(t->series, t->cursor)) {
            ql_dt_judge_find(j, t->cursor);
        }
    }
}

/* ---- forgetting ------------------------------------------------------------------ */

void ql_dt_judge_forget(struct ql_dt_judge *j, uint32_t series, uint32_t step_ms)
{
    struct ql_dt_series *s = &j->states[series];
    const bool judged = s->count > ql_dt_params_default.warm_count;
    QL_ASSERT((s->flags & (QL_DT_OPEN | QL_DT_ABSENT | QL_DT_LISTED)) == 0);
    if (s->slab > 0) {
        profile_give_up(j, s, step_ms > 0 ? step_ms : 1);
    }
    j->active_count -= judged;
    ql_dt_tenants_forget(&j->tenants, series, judged, step_ms);
    memset(s, 0, sizeof(*s));
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
    (void)ql_buf_u32(out, j->active_count);
    (void)ql_buf_f64(out, j->step_ms);
    (void)ql_buf_i64(out, j->newest_ns);
    return ql_dt_tenants_save(&j->tenants, series_count, out);
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
    j->active_count = ql_reader_u32(in);
    j->step_ms = ql_reader_f64(in);
    j->newest_ns = ql_reader_i64(in);
    if (in->failed || !load_holds(j, count)) {
        return QL_E_MALFORMED;
    }
    return ql_dt_tenants_load(&j->tenants, count, in);
}
