/* dt_signal - hysteresis and a fading memory around one threshold.
 *
 * Good for     few, long signals instead of many short ones.
 * Bad for      two different faults of one series within minutes: they are one signal.
 * Method       open above theta and above the memory of the last alarm, close after a run
 *              two decades below; the memory fades exponentially.
 */
#include "detect/dt_signal.h"

#include "detect/dt_together.h"

const struct ql_dt_rule ql_dt_rule_default = {
    .threshold = 5.0f,
    .close_below = 1.5f,
    .margin_ratio = 1.25f,
    .memory_points = 100.0f,
    .memory_more = 0.5f,
    .habit_points = 5000.0f,
    .calm_count = 5,
    .calm_s = 120.0f,
};

#define SIGNAL_GREW 4.0f /* evidence: about a decade */
#define WAY_SPREADS 4.0f /* nearer to the slow level than that is neither above nor below it */

enum ql_signal_kind ql_dt_kind_of(const struct ql_dt_verdict *v)
{
    switch (v->lead) {
    case QL_DT_SHIFT: return QL_SIGNAL_LEVEL_SHIFT;
    case QL_DT_RANGE:
        return v->parts[QL_DT_SPIKE] > 0.0f ? QL_SIGNAL_RANGE
               : v->seasonal                ? QL_SIGNAL_SEASONAL
                                            : QL_SIGNAL_DRIFT;
    case QL_DT_SEASON: /* without a profile it looks at the mean distance from the slow level */
    case QL_DT_SEASON_SLOW: return v->seasonal ? QL_SIGNAL_SEASONAL : QL_SIGNAL_DRIFT;
    case QL_DT_VOLATILE: return QL_SIGNAL_VOLATILITY;
    case QL_DT_FLAT: return QL_SIGNAL_FLATLINE;
    case QL_DT_NOVEL: return QL_SIGNAL_NEVER_SEEN;
    default: return QL_SIGNAL_SPIKE;
    }
}

static bool signal_calm_enough(const struct ql_dt_series *s, const struct ql_dt_rule *rule,
                               uint32_t step_ms)
{
    const float calm_s = (float)s->quiet_run * (float)step_ms / 1000.0f;
    return s->quiet_run >= rule->calm_count && (step_ms == 0 || calm_s >= rule->calm_s);
}

static struct ql_dt_habit_now signal_now(const struct ql_dt_series *s,
                                         const struct ql_dt_input *in,
                                         const struct ql_dt_verdict *v)
{
    const float off = s->last - s->slow, reach = off < 0.0f ? -off : off;
    return (struct ql_dt_habit_now){
        .at_ns = in->at_ns + in->shift_ns,
        .reach = reach,
        .way = reach <= WAY_SPREADS * s->spread_long ? QL_DT_AROUND
               : off > 0.0f                          ? QL_DT_UP
                                                     : QL_DT_DOWN,
        .stays = v->shifted,
    };
}

enum ql_dt_change ql_dt_signal_open(struct ql_dt_series *s, const struct ql_dt_input *in,
                                    const struct ql_dt_verdict *v)
{
    QL_ASSERT((s->flags & QL_DT_OPEN) == 0);
    const struct ql_dt_habit_now now = signal_now(s, in, v);
    if (ql_dt_habit_knows(&s->week, &now)) {
        return ql_dt_habit_back(&s->week, &now) ? QL_DT_RECURRED : QL_DT_SAME;
    }
    ql_dt_habit_note(&s->week, &now);
    s->flags |= QL_DT_OPEN;
    s->kind = (uint8_t)(v->shifted ? QL_SIGNAL_LEVEL_SHIFT : ql_dt_kind_of(v));
    s->peak = v->evidence;
    s->habit += 1.0f;
    s->quiet_run = 0;
    return QL_DT_OPENED;
}

static enum ql_dt_change signal_try(struct ql_dt_series *s, const struct ql_dt_rule *rule,
                                    const struct ql_dt_input *in, const struct ql_dt_verdict *v)
{
    s->habit *= 1.0f - 1.0f / rule->habit_points;
    s->peak *= 1.0f - 1.0f / (rule->memory_points * (1.0f + rule->memory_more * s->habit));
    if (v->evidence_surprise < rule->threshold - QL_DT_NEAR_DECADES ||
        v->evidence <= s->peak * rule->margin_ratio) {
        return QL_DT_SAME;
    }
    return v->evidence_surprise < rule->threshold ? QL_DT_NEAR : ql_dt_signal_open(s, in, v);
}

enum ql_dt_change ql_dt_signal_step(struct ql_dt_series *s, const struct ql_dt_rule *rule,
                                    const struct ql_dt_input *in, const struct ql_dt_verdict *v)
{
    QL_ASSERT(v->judged);
    if ((s->flags & QL_DT_OPEN) == 0) {
        return signal_try(s, rule, in, v);
    }
    if (v->evidence_surprise >= rule->threshold) {
        const struct ql_dt_habit_now now = signal_now(s, in, v);
        ql_dt_habit_note(&s->week, &now);
    }
    const bool calm = v->evidence_surprise < rule->threshold - rule->close_below;
    s->quiet_run = (uint16_t)(!calm ? 0 : s->quiet_run + (s->quiet_run < UINT16_MAX));
    if (signal_calm_enough(s, rule, in->step_ms)) {
        s->flags &= (uint8_t)~QL_DT_OPEN;
        return QL_DT_CLOSED;
    }
    const bool grew = v->evidence >= s->peak + SIGNAL_GREW;
    if (v->shifted) {
        s->kind = QL_SIGNAL_LEVEL_SHIFT;
    }
    s->peak = grew ? v->evidence : s->peak;
    return grew || v->shifted ? QL_DT_GREW : QL_DT_SAME;
}
