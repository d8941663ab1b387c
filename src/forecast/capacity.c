/* capacity - peaks of blocks, their drift, and the first passage of the limit.
 *
 * First passage of a Brownian motion with drift: Schroedinger 1915; slopes: Sen 1968; whether
 * the last hour rises at all: Mann 1945.
 */
#include "forecast/capacity.h"

#include "math/order.h"
#include "math/robust.h"

#include <math.h>

#define DAY_S 86400.0
#define HOUR_S 3600.0
#define YEAR_S (366.0 * DAY_S)
#define BLOCKS_MAX 28u
#define BLOCKS_LEAST 3u
#define CLEANUP_RATIO 0.05      /* of the limit: a drop of this size is a clean-up */
#define CYCLE_MARGIN 1.05       /* a block holds the longest cycle and a little more */
#define ABOVE_RATIO 0.01        /* of the limit above old peaks: this never happened before */
#define SLOPE_POINTS 24u
#define LEAK_POINTS_LEAST 10u   /* fewer cannot reach the p below */
#define FAST_P_Z 3.72           /* one-sided p = 1e-4 */
#define FAST_FULL_S (4.0 * HOUR_S)
#define RECENT_S (6.0 * HOUR_S)
#define STEP_SHARE 0.5          /* of a rise in one stride: that is a step, no leak */
#define GROWTH_MARGIN 1.5       /* times what peaks grow anyway, to be above them */
#define RISE_MARGIN 1.5         /* times the largest rise ever seen in such a time */
#define OUT_OF_REACH 0.05       /* P(full) when it would take more than that */

struct cap {
    const struct ql_capacity_in *in;
    const double *y;            /* gaps held */
    double ceiling;             /* what is called full */
    const double *rise;         /* the largest within the horizon that was seen up to a point */
    double *slopes;             /* SLOPE_POINTS * (SLOPE_POINTS - 1) / 2 */
};

/* ---- reading --------------------------------------------------------------------- */

static ql_err cap_read(const struct ql_capacity_in *in, struct ql_arena *scratch, double **ret_y,
                       uint32_t *ret_n)
{
    uint32_t from = in->count > QL_CAPACITY_POINTS_MAX ? in->count - QL_CAPACITY_POINTS_MAX : 0;
    while (from < in->count && !isfinite(in->used[from])) {
        from++;
    }
    if (from == in->count) {
        return QL_E_NOT_FOUND;
    }
    const uint32_t n = in->count - from;
    double *y = ql_arena_take(scratch, n * sizeof(*y));
    if (y == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) { /* a gap holds: growth is not invented */
        y[i] = isfinite(in->used[from + i]) ? in->used[from + i] : y[i - 1];
    }
    *ret_y = y;
    *ret_n = n;
    return QL_OK;
}

static uint32_t cap_points(const struct cap *c, double seconds)
{
    const double points = seconds / c->in->step_s;
    return points < 1.0 ? 1 : (points > 1e9 ? 1000000000u : (uint32_t)(points + 0.5));
}

/* Rises from the lowest of the horizon before each point; `low` keeps candidates for it. */
static ql_err cap_rises(struct cap *c, uint32_t n, struct ql_arena *scratch)
{
    double *rise = ql_arena_take(scratch, n * sizeof(*rise));
    uint32_t *low = ql_arena_take(scratch, n * sizeof(*low));
    const uint32_t ahead = cap_points(c, c->in->horizon_s);
    uint32_t first = 0, count = 0;
    if (rise == NULL || low == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        while (count > first && c->y[low[count - 1]] >= c->y[i]) {
            count--;
        }
        low[count++] = i;
        while (i - low[first] > ahead) {
            first++;
        }
        const double risen = c->y[i] - c->y[low[first]];
        rise[i] = i > 0 && rise[i - 1] > risen ? rise[i - 1] : risen;
    }
    c->rise = rise;
    return QL_OK;
}

/* ---- peaks ----------------------------------------------------------------------- */

/* Longest time between two clean-ups, in points; 0 with fewer than two of them. */
static uint32_t cap_cycle(const struct cap *c, uint32_t n)
{
    const double drop = CLEANUP_RATIO * c->in->limit;
    const uint32_t hour = cap_points(c, HOUR_S);
    uint32_t last = 0, longest = 0, count = 0;
    double high = c->y[0];
    for (uint32_t i = 1; i < n; i++) {
        if (c->y[i] < high - drop) {
            /* A fall that takes an hour is one clean-up, not many. */
            if (count > 0 && i - last > hour) {
                longest = i - last > longest ? i - last : longest;
            }
            count += count == 0 || i - last > hour;
            last = i;
            high = c->y[i];
        }
        high = c->y[i] > high ? c->y[i] : high;
    }
    return count >= 2 ? longest : 0;
}

/* Peaks of whole blocks that end at n, newest first. */
static uint32_t cap_peaks(const struct cap *c, uint32_t n, uint32_t block, double *peaks)
{
    uint32_t count = 0;
    for (uint32_t end = n; end >= block && count < BLOCKS_MAX; end -= block) {
        double peak = c->y[end - 1];
        for (uint32_t i = end - block; i < end; i++) {
            peak = c->y[i] > peak ? c->y[i] : peak;
        }
        peaks[count++] = peak;
    }
    return count;
}

/* Since the newest peak: a daily one comes again a day after, not a day from now. */
static double cap_since_s(const struct cap *c, uint32_t n, uint32_t block)
{
    uint32_t at = n - 1;
    for (uint32_t i = n - 1; i > n - block; i--) {
        at = c->y[i - 1] > c->y[at] ? i - 1 : at;
    }
    return (double)(n - 1 - at) * c->in->step_s;
}

/* ---- first passage --------------------------------------------------------------- */

/* Per block; unsure: of the drift; since: blocks since `way` was all that was left. */
struct passage { double way, drift, noise, unsure, since; };

static double normal_below(double z) { return 0.5 * erfc(-z * 0.70710678118654752); }

static double passage_known(double way, double drift, double noise, double t)
{
    if (noise <= 1e-9 * way) {
        return drift > 0.0 && drift * t >= way ? 1.0 : 0.0;
    }
    const double root = noise * sqrt(t), power = 2.0 * drift * way / (noise * noise);
    const double back = normal_below((-way - drift * t) / root);
    /* The second term is a huge factor times a tiny share; past e^600 it is nothing. */
    const double again = back > 0.0 && power < 600.0 ? exp(power) * back : 0.0;
    const double p = normal_below((drift * t - way) / root) + again;
    return p > 1.0 ? 1.0 : p;
}

/* P(full within t blocks), over seven likely drifts. */
static double passage_by(const struct passage *p, double t)
{
    static const double place[] = { -1.803, -1.068, -0.512, 0.0, 0.512, 1.068, 1.803 };
    double sum = 0.0;
    for (size_t i = 0; i < QL_COUNT_OF(place); i++) {
        sum += passage_known(p->way, p->drift + place[i] * p->unsure, p->noise, t);
    }
    return sum / (double)QL_COUNT_OF(place);
}

static double passage_time(const struct passage *p, double share, double t_max)
{
    double low = 0.0, high = t_max;
    if (passage_by(p, t_max) < share) {
        return INFINITY;
    }
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        if (middle > 0.0 && passage_by(p, middle) >= share) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

static void cap_tell(const struct cap *c, const struct passage *p, double block_s,
                     struct ql_capacity *ret)
{
    const double year = YEAR_S / block_s;
    double *const times[] = { &ret->early_s, &ret->middle_s, &ret->late_s };
    static const double shares[] = { 0.1, 0.5, 0.9 };
    ret->full = passage_by(p, c->in->horizon_s / block_s + p->since);
    for (size_t i = 0; i < QL_COUNT_OF(times); i++) {
        const double t = passage_time(p, shares[i], year) - p->since;
        *times[i] = t > 0.0 ? t * block_s : 0.0;
    }
    ret->growth_per_day = p->drift * DAY_S / block_s;
}

/* P(full) is no more than this, and the times agree. */
static void cap_at_most(const struct cap *c, double full, struct ql_capacity *ret)
{
    double *const times[] = { &ret->early_s, &ret->middle_s, &ret->late_s };
    static const double shares[] = { 0.1, 0.5, 0.9 };
    ret->full = ret->full < full ? ret->full : full;
    for (size_t i = 0; i < QL_COUNT_OF(times); i++) {
        const bool sooner = *times[i] < c->in->horizon_s;
        *times[i] = sooner && full < shares[i] ? c->in->horizon_s : *times[i];
    }
}

/* It was full lately and is not now. How often blocks got there says more than that one did:
 * a leak that was mended is not a rotation that fills it every day. */
static void cap_again(const struct cap *c, const double *peaks, uint32_t count,
                      struct ql_capacity *ret)
{
    uint32_t reached = 0;
    for (uint32_t i = 0; i < count; i++) {
        reached += peaks[i] >= c->ceiling;
    }
    cap_at_most(c, ((double)reached + 1.0) / ((double)count + 2.0), ret);
}

/* A trend of peaks knows no level: what was just cleaned up cannot be full before its next
 * peak, unless it rises as it never did, which is for the other rules to see. */
static void cap_reach(const struct cap *c, uint32_t n, struct ql_capacity *ret)
{
    if (ret->full <= OUT_OF_REACH ||
        c->y[n - 1] + RISE_MARGIN * c->rise[n - 1] >= c->ceiling) {
        return;
    }
    cap_at_most(c, OUT_OF_REACH, ret);
}

/* ---- rules ----------------------------------------------------------------------- */

static void cap_trend(const struct cap *c, uint32_t n_now, const double *peaks, uint32_t count,
                      double block_s, double since_s, struct ql_capacity *ret)
{
    double change[BLOCKS_MAX];
    const uint32_t n = count - 1;
    for (uint32_t i = 0; i < n; i++) {
        change[i] = peaks[i] - peaks[i + 1];
    }
    struct passage p = { .way = c->ceiling - peaks[0], .since = since_s / block_s };
    /* Growth is between the two ends and the middle of what days brought: one large day is
     * neither everything nor nothing. */
    const double ends = (peaks[0] - peaks[n]) / (double)n;
    const double middle = ql_median(change, n);
    p.drift = fabs(middle) < fabs(ends) || middle * ends < 0.0 ? middle
                                                              : 0.5 * (middle + ends);
    p.noise = 1.4826 * ql_mad(change, n, middle) + 0.001 * c->in->limit;
    p.unsure = p.noise / sqrt((double)n);
    ret->rule = QL_CAPACITY_TREND;
    const bool again = p.way <= 0.0;
    if (again) { /* it was as full as this lately: what counts is where it is now */
        p.way = 1e-3 * c->in->limit;
        p.drift = p.drift > 0.0 ? p.drift : 0.0;
    }
    cap_tell(c, &p, block_s, ret);
    if (again && p.drift <= 2.0 * p.unsure) { /* no growth that is sure */
        cap_again(c, peaks, count, ret);
    }
    cap_reach(c, n_now, ret);
}

/* Median slope a point over the newest `window` points, and Mann's z of its rise; 0 for what
 * rose in one stride. */
static double cap_slope(const struct cap *c, uint32_t n, uint32_t window, double *ret_z)
{
    double x[SLOPE_POINTS], y[SLOPE_POINTS], rises = 0.0, stride = 0.0;
    const uint32_t count = window < SLOPE_POINTS ? window : SLOPE_POINTS;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t back = (window - 1) * (count - 1 - i) / (count > 1 ? count - 1 : 1);
        x[i] = -(double)back;
        y[i] = c->y[n - 1 - back];
        stride = i > 0 && y[i] - y[i - 1] > stride ? y[i] - y[i - 1] : stride;
        for (uint32_t j = 0; j < i; j++) {
            rises += y[i] > y[j] ? 1.0 : (y[i] < y[j] ? -1.0 : 0.0);
        }
    }
    const double k = (double)count;
    *ret_z = rises / sqrt(k * (k - 1.0) * (2.0 * k + 5.0) / 18.0);
    if (stride > STEP_SHARE * (y[count - 1] - y[0])) {
        return 0.0;
    }
    return ql_theil_sen(x, y, count, c->slopes);
}

/* A leak seen over `window_s`; true when it fills within `within_s`. */
static bool cap_leak(const struct cap *c, uint32_t n, double window_s, double within_s,
                     struct ql_capacity *ret)
{
    const uint32_t wanted = cap_points(c, window_s);
    const uint32_t window = wanted > LEAK_POINTS_LEAST ? wanted : LEAK_POINTS_LEAST;
    double z;
    if (window > n) {
        return false;
    }
    const double slope = cap_slope(c, n, window, &z) / c->in->step_s;
    const double left_s = slope > 0.0 ? (c->ceiling - c->y[n - 1]) / slope : INFINITY;
    if (z < FAST_P_Z || left_s > within_s) {
        return false;
    }
    const struct passage p = { .way = c->ceiling - c->y[n - 1], .drift = slope * window_s,
                               .noise = 0.1 * slope * window_s, .unsure = 0.15 * slope * window_s };
    cap_tell(c, &p, window_s, ret);
    return true;
}

/* What stands above this much more than old peaks is not their usual growth. */
static double cap_margin(const struct cap *c, const double *peaks, uint32_t count)
{
    double change[BLOCKS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 1; i + 1 < count; i++) { /* the newest peak may be the leak itself */
        change[n++] = peaks[i] - peaks[i + 1];
    }
    const double growth = n > 0 ? ql_median(change, n) : 0.0;
    return ABOVE_RATIO * c->in->limit + (growth > 0.0 ? GROWTH_MARGIN * growth : 0.0);
}

/* Stands clearly above every peak before the newest `window`: no clean-up ever helped here. */
static bool cap_above(const struct cap *c, uint32_t n, uint32_t window, uint32_t block,
                      double margin)
{
    const uint32_t end = n > window ? n - window : 0;
    const uint32_t start = end > BLOCKS_MAX * block ? end - BLOCKS_MAX * block : 0;
    for (uint32_t i = start; i < end; i++) {
        if (c->y[n - 1] < c->y[i] + margin) {
            return false;
        }
    }
    return true;
}

static void cap_judge(const struct cap *c, uint32_t n, struct ql_capacity *ret)
{
    double peaks[BLOCKS_MAX];
    uint32_t block = cap_points(c, DAY_S);
    const uint32_t cycle = (uint32_t)(CYCLE_MARGIN * (double)cap_cycle(c, n));
    block = cycle > block ? cycle : block;
    *ret = (struct ql_capacity){ .early_s = INFINITY, .middle_s = INFINITY, .late_s = INFINITY };
    if (c->y[n - 1] >= c->ceiling) {
        ret->rule = QL_CAPACITY_FULL;
        ret->full = 1.0;
        ret->early_s = ret->middle_s = ret->late_s = 0.0;
        return;
    }
    const uint32_t count = cap_peaks(c, n, block, peaks);
    const double margin = cap_margin(c, peaks, count);
    /* Without a whole day nobody knows what a day is like: no claim at all. */
    if (n > block && cap_above(c, n, cap_points(c, HOUR_S), block, margin) &&
        cap_leak(c, n, HOUR_S, FAST_FULL_S, ret)) {
        ret->rule = QL_CAPACITY_FAST;
        return;
    }
    if (count < BLOCKS_LEAST) {
        return;
    }
    const double block_s = (double)block * c->in->step_s, since_s = cap_since_s(c, n, block);
    if (cap_above(c, n, cap_points(c, RECENT_S), block, margin) &&
        cap_leak(c, n, RECENT_S, YEAR_S, ret)) {
        const struct ql_capacity recent = *ret;
        cap_trend(c, n, peaks, count, block_s, since_s, ret);
        if (recent.middle_s < ret->middle_s) {
            *ret = recent;
            ret->rule = QL_CAPACITY_RECENT;
        }
        return;
    }
    cap_trend(c, n, peaks, count, block_s, since_s, ret);
}

/* ---- what it would have said ----------------------------------------------------- */

static void cap_record(const struct cap *c, uint32_t n, struct ql_capacity *ret)
{
    const uint32_t ahead = cap_points(c, c->in->horizon_s);
    const uint32_t apart = ahead / 4 > 0 ? ahead / 4 : 1;
    for (uint32_t i = 0; i < QL_CAPACITY_TESTS_MAX; i++) {
        const uint64_t back = (uint64_t)ahead + (uint64_t)i * apart;
        struct ql_capacity then;
        if (back >= n) {
            return;
        }
        const uint32_t origin = n - (uint32_t)back;
        cap_judge(c, origin, &then);
        if (then.rule == QL_CAPACITY_UNKNOWN || then.rule == QL_CAPACITY_FULL) {
            continue;
        }
        bool was_full = false;
        for (uint32_t j = origin; j < origin + ahead; j++) {
            was_full |= c->y[j] >= c->ceiling;
        }
        ret->tests++;
        ret->right += (then.full > 0.5) == was_full;
    }
}

ql_err ql_capacity(const struct ql_capacity_in *in, struct ql_arena *scratch,
                   struct ql_capacity *ret)
{
    double *y;
    uint32_t n;
    if (!(in->limit > 0.0) || !(in->step_s > 0.0) || !(in->horizon_s > 0.0)) {
        return QL_E_RANGE;
    }
    const ql_err err = cap_read(in, scratch, &y, &n);
    if (err != QL_OK) {
        return err;
    }
    double slopes[SLOPE_POINTS * (SLOPE_POINTS - 1) / 2];
    struct cap c = { in, y, (1.0 - QL_CAPACITY_RESERVE) * in->limit, NULL, slopes };
    if (cap_rises(&c, n, scratch) != QL_OK) {
        return QL_E_MEMORY;
    }
    cap_judge(&c, n, ret);
    cap_record(&c, n, ret);
    return QL_OK;
}

enum ql_capacity_change ql_capacity_watch_step(struct ql_capacity_watch *w, double full,
                                               double used_ratio)
{
    const bool freed = used_ratio < w->peak_ratio - CLEANUP_RATIO;
    w->peak_ratio = freed || used_ratio > w->peak_ratio ? used_ratio : w->peak_ratio;
    w->over = full > 0.5 && !freed ? (uint8_t)(w->over < 2 ? w->over + 1 : 2) : 0;
    w->under = full < 0.2 ? (uint8_t)(w->under < 2 ? w->under + 1 : 2) : 0;
    if (!w->open && w->over == 2) {
        w->open = true;
        return QL_CAPACITY_OPENED;
    }
    /* What is freed as always is in the forecast already; it closes what it changes. */
    if (w->open && ((freed && full <= 0.5) || w->under == 2)) {
        w->open = false;
        return QL_CAPACITY_CLOSED;
    }
    return QL_CAPACITY_SAME;
}
