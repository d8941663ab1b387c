/* dt_drill - a copy of one series is shown what did not happen.
 *
 * Good for     knowing that thresholds, pools and states still find something, on the
 *              series that there really are.
 * Bad for      the doors before and the incident behind: it tests the judgement only.
 */
#include "detect/dt_drill.h"

#include <stdlib.h>

enum {
    DRILL_MOVES_MIN = 32,      /* a value that hardly moves has no band worth the name */
    DRILL_POINTS_MIN = 256,    /* past its first hours */
    DRILL_CLIMB_POINTS = 10    /* in which a climb grows by one size */
};
#define DRILL_BANDS 4.0        /* half widths of the band: nobody would call it noise */
#define DRILL_SILENT_NS (INT64_C(900) * QL_NS_PER_S)

ql_err ql_dt_drill_open(struct ql_dt_drill *drill, double interval_s)
{
    *drill = (struct ql_dt_drill){ .series = UINT32_MAX, .due_ns = INT64_MIN };
    drill->interval_ns = (int64_t)(interval_s * 1e9);
    drill->pools = malloc(2 * sizeof(*drill->pools));
    return drill->pools != NULL ? QL_OK : QL_E_MEMORY;
}

void ql_dt_drill_close(struct ql_dt_drill *drill)
{
    free(drill->pools);
    drill->pools = NULL;
}

static enum ql_dt_drill_end drill_end(struct ql_dt_drill *drill, int64_t now_ns,
                                      enum ql_dt_drill_end end)
{
    drill->on = false;
    drill->series = UINT32_MAX;
    drill->due_ns = now_ns + drill->interval_ns;
    drill->delay_ns = end == QL_DT_DRILL_FOUND ? now_ns - drill->began_ns : 0;
    return end;
}

enum ql_dt_drill_end ql_dt_drill_break_off(struct ql_dt_drill *drill, int64_t now_ns)
{
    QL_ASSERT(drill->on);
    return drill_end(drill, now_ns, QL_DT_DRILL_BROKEN_OFF);
}

/* ---- beginning ------------------------------------------------------------------- */

static bool drill_fits(const struct ql_dt_series *s, int64_t newest_ns)
{
    return s->count >= DRILL_POINTS_MIN && s->moves >= DRILL_MOVES_MIN &&
           (s->flags & (QL_DT_OPEN | QL_DT_ABSENT)) == 0 &&
           s->evidence <= ql_dt_params_default.odd && newest_ns - s->last_ns <= DRILL_SILENT_NS;
}

static void drill_begin(struct ql_dt_drill *drill, const struct ql_dt_judge *judge,
                        uint32_t series)
{
    struct ql_dt_verdict v;
    drill->on = true;
    drill->series = series;
    drill->points = 0;
    drill->began_ns = judge->newest_ns;
    drill->state = judge->states[series];
    if (drill->state.slab > 0) {
        drill->slab = judge->slabs[drill->state.slab - 1];
    }
    ql_dt_series_expect(&drill->state, &ql_dt_params_default, &v);
    drill->size = DRILL_BANDS * (v.upper - v.expected);
}

enum ql_dt_drill_end ql_dt_drill_tick(struct ql_dt_drill *drill, const struct ql_dt_judge *judge,
                                      uint32_t series_count)
{
    const int64_t now_ns = judge->newest_ns;
    if (drill->interval_ns == 0 || now_ns == INT64_MIN || series_count == 0) {
        return QL_DT_DRILL_GOES_ON;
    }
    if (drill->on) {
        const bool silent = now_ns - drill->state.last_ns > DRILL_SILENT_NS;
        return silent ? drill_end(drill, now_ns, QL_DT_DRILL_BROKEN_OFF) : QL_DT_DRILL_GOES_ON;
    }
    if (drill->due_ns == INT64_MIN) {
        drill->due_ns = now_ns + drill->interval_ns;
    }
    for (uint32_t i = 0; i < QL_DT_DRILL_LOOK && i < series_count && now_ns >= drill->due_ns; i++) {
        drill->cursor = drill->cursor + 1 < series_count ? drill->cursor + 1 : 0;
        if (drill_fits(&judge->states[drill->cursor], now_ns)) {
            drill->shape = (enum ql_dt_drill_shape)((drill->shape + 1) % QL_DT_DRILL_SHAPES);
            drill_begin(drill, judge, drill->cursor);
            return QL_DT_DRILL_GOES_ON;
        }
    }
    return QL_DT_DRILL_GOES_ON;
}

/* ---- going on -------------------------------------------------------------------- */

static double drill_shift(const struct ql_dt_drill *drill)
{
    switch (drill->shape) {
    case QL_DT_DRILL_DOWN: return -drill->size;
    case QL_DT_DRILL_CLIMB:
        return drill->size * (double)(drill->points + 1) / (double)DRILL_CLIMB_POINTS;
    default: return drill->size;
    }
}

enum ql_dt_drill_end ql_dt_drill_value(struct ql_dt_drill *drill, const struct ql_dt_judge *judge,
                                       uint32_t family, const struct ql_dt_input *in)
{
    QL_ASSERT(drill->on);
    if ((judge->states[drill->series].flags & QL_DT_OPEN) != 0) {
        return drill_end(drill, in->at_ns, QL_DT_DRILL_BROKEN_OFF);
    }
    if (drill->points == 0) {
        const struct ql_dt_tenant *tenant = ql_dt_judge_tenant(judge, drill->series);
        drill->pools[0] = *ql_dt_tenant_pools(tenant, family);
        drill->pools[1] = tenant->pools[0];
        drill->began_ns = in->at_ns;
    }
    const struct ql_dt_commons commons = {
        .family = &drill->pools[0],
        .all = &drill->pools[1],
        .slab = drill->state.slab > 0 ? &drill->slab : NULL,
    };
    struct ql_dt_input shown = *in;
    struct ql_dt_verdict v;
    shown.value += drill_shift(drill);
    ql_dt_series_step(&drill->state, &ql_dt_params_default, &commons, &shown, &v);
    drill->points++;
    const struct ql_dt_rule *rule =
        ql_dt_judge_rule(judge, drill->series, ql_dt_quota_of(family));
    if (v.judged && ql_dt_signal_step(&drill->state, rule, &shown, &v) == QL_DT_OPENED) {
        return drill_end(drill, in->at_ns, QL_DT_DRILL_FOUND);
    }
    return drill->points < QL_DT_DRILL_POINTS ? QL_DT_DRILL_GOES_ON
                                              : drill_end(drill, in->at_ns, QL_DT_DRILL_MISSED);
}
