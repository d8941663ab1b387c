/* measure - floored robust shift with a background of its own past.
 *
 * Good for     ranking thousands of unlike series after a fault, noticed in time or late.
 * Bad for      a season longer than the past that is given; a series without a past.
 * Method       shift as in math/robust.h; the background is the 98 % quantile of the same
 *              statistic over sliding windows of the past (a conformal idea without its
 *              guarantee: windows overlap). No deviation in any scale: a late onset would
 *              widen it. The past ends a guard before `at`, for the same reason.
 * Cost         two selections and one pass; about 1 us per 30 samples.
 */
#include "diagnose/measure.h"

#include "math/order.h"
#include "math/robust.h"

#include <math.h>

#define PAST_COUNT_MIN 5u
#define RECENT_S 900.0             /* a shift must also stand out against the last quarter hour */
#define RECENT_COUNT_MIN 10u
#define LEVEL_RATIO_MIN 0.005      /* scale >= this share of the new level: z <= 200 */
#define ZERO_PAST_RATIO 0.05       /* a past of zeros: z <= 20 */
#define LOST_SHARE_FLOOR 0.2       /* availability: a fifth of a percent lost is one unit */
#define USUAL_RATIO 0.98
#define LEAD_S 900.0               /* a fault may have begun this long before it was noticed */
#define CLIP_TYPICALS 3.0          /* one wild point of few must not make the mean ... */
#define TYPICAL_RATIO 0.6          /* ... a little over the median: half may have recovered */
#define BEND 4.0

double ql_measure_bend(double strength)
{
    return BEND * log1p(strength / BEND);
}

uint32_t ql_measure_past(uint32_t before_guard, uint32_t before_at)
{
    const uint32_t half = (before_at + 1) / 2;
    return before_guard > half ? before_guard : half;
}

/* One series split in two, in order of rows; values turned so that more is worse where the
 * direction is known. */
struct split {
    double *past, *fault, *room;   /* room: as long as both */
    uint32_t past_count, fault_count, before_at;
    int bad;
    double step_s, top;            /* top: 1 or 100 once turned to a lost share */
};

static double split_step(const struct ql_sample *samples, uint32_t count, double *room)
{
    uint32_t steps = 0;
    for (uint32_t i = 1; i < count; i++) {
        room[steps++] = (double)(samples[i].at.ns - samples[i - 1].at.ns) / 1e9;
    }
    const double step_s = steps == 0 ? 1.0 : ql_median(room, steps);
    return step_s > 0.0 ? step_s : 1.0;
}

static void split_fill(struct split *s, const struct ql_sample *samples, uint32_t count, ql_time at)
{
    const double guard_s = 2.0 * s->step_s > 60.0 ? 2.0 * s->step_s : 60.0;
    const int64_t guard_ns = at.ns - (int64_t)(guard_s * 1e9);
    uint32_t before_guard = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (samples[i].at.ns < at.ns) {
            s->past[s->before_at++] = samples[i].value;
            before_guard += samples[i].at.ns < guard_ns;
        } else {
            s->fault[s->fault_count++] = samples[i].value;
        }
    }
    s->past_count = ql_measure_past(before_guard, s->before_at);
}

/* 99.9 % (or 0.999) becomes 0.1 % lost: a share near its end hides its moves. */
static void split_turn_availability(struct split *s)
{
    memcpy(s->room, s->past, s->before_at * sizeof *s->room);
    const double high = s->before_at == 0 ? 0.0 : ql_quantile(s->room, s->before_at, 0.95);
    const double top = high <= 1.0001 ? 1.0 : 100.0;
    if (high > top * 1.0001) {
        s->bad = -1; /* no share after all */
        return;
    }
    for (uint32_t i = 0; i < s->before_at; i++) {
        s->past[i] = (top - s->past[i]) / top * 100.0;
    }
    for (uint32_t i = 0; i < s->fault_count; i++) {
        s->fault[i] = (top - s->fault[i]) / top * 100.0;
    }
    s->top = top;
    s->bad = 1;
}

static double mean_of(const double *at, uint32_t count)
{
    double mean = 0.0;
    for (uint32_t i = 0; i < count; i++) {
        mean += (at[i] - mean) / (double)(i + 1);
    }
    return mean;
}

static void fault_clip(struct split *s)
{
    memcpy(s->room, s->fault, s->fault_count * sizeof *s->room);
    const double most = CLIP_TYPICALS * ql_quantile(s->room, s->fault_count, TYPICAL_RATIO);
    for (uint32_t i = 0; most >= 0.0 && i < s->fault_count; i++) {
        s->fault[i] = s->fault[i] > most ? most : s->fault[i];
    }
}

static double past_high(struct split *s)
{
    for (uint32_t i = 0; i < s->past_count; i++) {
        s->room[i] = fabs(s->past[i]);
    }
    return ql_quantile(s->room, s->past_count, 0.95);
}

static struct ql_robust_shift split_shift(struct split *s, bool is_share)
{
    const double level = fabs(mean_of(s->fault, s->fault_count));
    struct ql_robust_window window = {
        .baseline = s->past, .fault = s->fault, .baseline_count = s->past_count,
        .fault_count = s->fault_count, .scratch = s->room,
        .floor_unit = is_share ? LOST_SHARE_FLOOR : 0.0,
    };
    struct ql_robust_shift shift = ql_robust_shift(&window);
    double floor = LEVEL_RATIO_MIN * level;
    if (shift.scale <= 1e-11) {
        const double high = past_high(s);
        floor = ZERO_PAST_RATIO * (high > level ? high : level);
    }
    if (floor > shift.scale) {
        window.floor_unit = floor > window.floor_unit ? floor : window.floor_unit;
        shift = ql_robust_shift(&window);
    }
    return shift;
}

static double toward_bad(double z, int bad)
{
    const double turned = bad == 0 ? fabs(z) : (double)bad * z;
    return turned > 0.0 ? turned : 0.0;
}

/* The level of the last quarter hour of the past. */
static double past_recent(struct split *s)
{
    const double wanted = RECENT_S / s->step_s;
    uint32_t count = wanted < (double)s->past_count ? (uint32_t)wanted : s->past_count;
    count = count < RECENT_COUNT_MIN ? RECENT_COUNT_MIN : count;
    count = count < s->past_count ? count : s->past_count;
    memcpy(s->room, s->past + s->past_count - count, count * sizeof *s->room);
    return ql_median(s->room, count);
}

static double past_usual(struct split *s, const struct ql_robust_shift *shift)
{
    const uint32_t eighth = s->past_count / 8 > 0 ? s->past_count / 8 : 1;
    const uint32_t width = s->fault_count < eighth ? s->fault_count : eighth;
    double sum = 0.0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->past_count; i++) {
        sum += s->past[i];
        if (i + 1 >= width) {
            const double z = (sum / (double)width - shift->median) / shift->scale;
            s->room[count++] = toward_bad(z, s->bad);
            sum -= s->past[i + 1 - width];
        }
    }
    return ql_quantile(s->room, count, USUAL_RATIO);
}

struct onset_rule { double level, reach; }; /* beyond: (value - level) has reach's sign and size */

static bool is_beyond(const struct onset_rule *rule, double value)
{
    return rule->reach > 0.0 ? value - rule->level >= rule->reach
                             : value - rule->level <= rule->reach;
}

/* From the first moved point of the fault window back to where the move began; one point
 * that fell back does not end it. */
static ql_time onset_find(const struct ql_sample *samples, uint32_t count, ql_time at,
                          const struct onset_rule *rule)
{
    uint32_t i = 0;
    while (i < count && (samples[i].at.ns < at.ns || !is_beyond(rule, samples[i].value))) {
        i++;
    }
    if (i == count) {
        return at;
    }
    while (i > 0 && (is_beyond(rule, samples[i - 1].value) ||
                     (i > 1 && is_beyond(rule, samples[i - 2].value)))) {
        i--;
    }
    return is_beyond(rule, samples[i].value) || i + 1 == count ? samples[i].at
                                                               : samples[i + 1].at;
}

static ql_time measure_onset(const struct split *s, const struct ql_sample *samples,
                             uint32_t count, ql_time at, const struct ql_robust_shift *shift)
{
    const double delta = shift->mean - shift->median;
    const double step = fabs(delta) * 0.1 > 2.0 * shift->scale ? fabs(delta) * 0.1
                                                               : 2.0 * shift->scale;
    const double reach = step < fabs(delta) ? step : fabs(delta) * 0.5;
    struct onset_rule rule = { shift->median, delta < 0.0 ? -reach : reach };
    if (s->top > 0.0) { /* measured as lost %, looked for in the samples */
        rule = (struct onset_rule){ s->top - shift->median * s->top / 100.0,
                                    -rule.reach * s->top / 100.0 };
    }
    return delta < 0.0 || delta > 0.0 ? onset_find(samples, count, at, &rule) : at;
}

/* A fault that began before it was noticed stands in its own past: the past is cut where
 * the move began, as long as half of it stays. Returns true when it was cut. */
static bool past_cut(struct split *s, const struct ql_sample *samples, uint32_t count, ql_time at,
                     ql_time onset)
{
    uint32_t kept = 0;
    if (onset.ns >= at.ns || (double)(at.ns - onset.ns) / 1e9 > LEAD_S) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        kept += samples[i].at.ns < onset.ns;
    }
    const uint32_t half = (s->before_at + 1) / 2;
    kept = kept < half ? half : kept;
    if (kept >= s->past_count || kept < PAST_COUNT_MIN) {
        return false;
    }
    s->past_count = kept;
    return true;
}

static double raw_shift(struct split *s, const struct ql_robust_shift *shift)
{
    memcpy(s->room, s->past, s->past_count * sizeof *s->room);
    const double range = ql_quantile(s->room, s->past_count, 0.75) -
                         ql_quantile(s->room, s->past_count, 0.25);
    const double least = 1e-6 * (fabs(shift->median) > fabs(shift->mean) ? fabs(shift->median)
                                                                         : fabs(shift->mean));
    const double scale = range > least ? range : least > 0.0 ? least : 1.0;
    return toward_bad((shift->mean - shift->median) / scale, s->bad);
}

bool ql_measure_series(const struct ql_sample *samples, uint32_t count, ql_time at, ql_str metric,
                       double *scratch, struct ql_measure *ret_measure)
{
    struct split s = { .past = scratch, .fault = scratch + count, .room = scratch + 2 * count };
    const bool is_share = ql_metric_kind_of(metric) == QL_METRIC_KIND_AVAILABILITY;
    s.bad = ql_metric_bad_direction(metric);
    s.step_s = split_step(samples, count, s.room);
    split_fill(&s, samples, count, at);
    s.past_count = s.past_count < PAST_COUNT_MIN ? s.before_at : s.past_count;
    if (s.past_count < PAST_COUNT_MIN || s.fault_count == 0) {
        return false;
    }
    if (is_share) {
        split_turn_availability(&s);
    }
    fault_clip(&s);
    struct ql_robust_shift shift = split_shift(&s, is_share);
    ql_time onset = measure_onset(&s, samples, count, at, &shift);
    if (past_cut(&s, samples, count, at, onset)) {
        shift = split_shift(&s, is_share);
        onset = measure_onset(&s, samples, count, at, &shift);
    }
    const double recent = (shift.mean - past_recent(&s)) / shift.scale;
    const double far = toward_bad(shift.z, s.bad), near = toward_bad(recent, s.bad);
    struct ql_measure m = { .z = far < near ? far : near };
    m.usual = past_usual(&s, &shift);
    const double over = log1p(m.z) - log1p(m.usual);
    m.strength = over > 0.0 ? ql_measure_bend(over) : 0.0;
    m.raw_z = raw_shift(&s, &shift);
    m.onset = onset;
    m.worse = s.bad == 0 ? fabs(shift.mean - shift.median)
                         : (double)s.bad * (shift.mean - shift.median);
    m.worse = m.worse > 0.0 ? m.worse : 0.0;
    const bool turned = s.top > 0.0;
    m.before = turned ? 100.0 - shift.median : shift.median; /* as a share in %, whatever the unit */
    m.after = turned ? 100.0 - shift.mean : shift.mean;
    m.rose = m.after > m.before;
    *ret_measure = m;
    return true;
}

double ql_measure_durations(double *baseline, uint32_t baseline_count, double *fault,
                            uint32_t fault_count, double floor_ratio)
{
    const double median = ql_median(baseline, baseline_count);
    const double high = ql_quantile(baseline, baseline_count, 0.75);
    const double range = high - ql_quantile(baseline, baseline_count, 0.25);
    double scale = range / 1.349;
    scale = scale > floor_ratio * median ? scale : floor_ratio * median;
    scale = scale > 1e-3 ? scale : 1e-3; /* a microsecond: below it clocks do not tell */
    const double z = (ql_quantile(fault, fault_count, 0.75) - high) / scale;
    return z > 0.0 ? z : 0.0;
}
