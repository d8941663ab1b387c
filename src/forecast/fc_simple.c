/* fc_simple - the members that repeat, average or smooth: last value, seasons, profiles,
 * theta, damped trend.
 *
 * Theta         Assimakopoulos and Nikolopoulos 2000, as level plus half of the slope.
 * Damped trend  Gardner and McKenzie 1985, smoothing chosen by mean absolute error.
 */
#include "forecast/fc_int.h"

#include "math/order.h"

#include <math.h>

#define MIDDLE_MAX 60u
#define PROFILE_RATE 0.4

ql_err ql_fc_last(const struct ql_fc *fc, double *out)
{
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        for (uint32_t j = 0; j < fc->steps; j++) {
            out[k * fc->steps + j] = fc->y[fc->origins[k] - 1];
        }
    }
    return QL_OK;
}

static ql_err simple_middle(const struct ql_fc *fc, uint32_t points, double *out)
{
    double newest[MIDDLE_MAX];
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        const uint32_t o = fc->origins[k], count = o < points ? o : points;
        memcpy(newest, fc->y + o - count, count * sizeof(*newest));
        const double middle = ql_median(newest, count);
        for (uint32_t j = 0; j < fc->steps; j++) {
            out[k * fc->steps + j] = middle;
        }
    }
    return QL_OK;
}
ql_err ql_fc_middle_short(const struct ql_fc *fc, double *out)
{
    return simple_middle(fc, 12, out);
}
ql_err ql_fc_middle(const struct ql_fc *fc, double *out)
{
    return simple_middle(fc, 24, out);
}
ql_err ql_fc_middle_long(const struct ql_fc *fc, double *out)
{
    return simple_middle(fc, MIDDLE_MAX, out);
}

static ql_err simple_naive(const struct ql_fc *fc, uint32_t p, double *out)
{
    if (p == 0 || fc->origins[0] < p) {
        return QL_E_UNSUPPORTED;
    }
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        for (uint32_t j = 0; j < fc->steps; j++) {
            out[k * fc->steps + j] = fc->y[fc->origins[k] - p + j % p];
        }
    }
    return QL_OK;
}
ql_err ql_fc_naive_short(const struct ql_fc *fc, double *out)
{
    return simple_naive(fc, fc->p1, out);
}
ql_err ql_fc_naive_long(const struct ql_fc *fc, double *out)
{
    return simple_naive(fc, fc->p2, out);
}

/* Weighted mean over past seasons of the place `j` points after `origin`. */
static double profile_at(const double *y, uint32_t origin, uint32_t p, uint32_t j)
{
    double sum = 0.0, weights = 0.0, weight = 1.0;
    for (uint32_t back = p; back <= origin && weight > 1e-4; back += p) {
        sum += weight * y[origin - back + j];
        weights += weight;
        weight *= 1.0 - PROFILE_RATE;
    }
    return sum / weights;
}

static ql_err simple_profile(const struct ql_fc *fc, double keep, uint32_t level_points,
                             double *out)
{
    const uint32_t p = ql_fc_longest(fc);
    if (p == 0 || fc->origins[0] < 2 * p) {
        return QL_E_UNSUPPORTED;
    }
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        const uint32_t o = fc->origins[k];
        double level = 0.0;
        for (uint32_t j = p - level_points; j < p; j++) {
            level += fc->y[o - p + j] - profile_at(fc->y, o, p, j);
        }
        level /= (double)level_points;
        for (uint32_t j = 0; j < fc->steps; j++) {
            level *= keep;
            out[k * fc->steps + j] = profile_at(fc->y, o, p, j % p) + level;
        }
    }
    return QL_OK;
}
ql_err ql_fc_profile_fast(const struct ql_fc *fc, double *out)
{
    const double keep = fc->p1 > 1 ? pow(0.08, 1.0 / (double)fc->p1) : 0.9;
    return simple_profile(fc, keep, fc->p1, out);
}
ql_err ql_fc_profile_slow(const struct ql_fc *fc, double *out)
{
    const uint32_t p = ql_fc_longest(fc);
    return simple_profile(fc, fc->p1 > 1 ? pow(0.6, 1.0 / (double)fc->p1) : 0.98, p, out);
}

/* ---- season removed -------------------------------------------------------------- */

/* What the series is without its mean profile over y[0..origin); `season` gets the profile
 * (longest period, mean 0). Without a season a plain copy. */
static void simple_deseason(const struct ql_fc *fc, uint32_t origin, double *rest, double *season)
{
    const uint32_t p = ql_fc_longest(fc);
    memcpy(rest, fc->y, origin * sizeof(*rest));
    if (p == 0 || origin < 2 * p) {
        season[0] = 0.0;
        return;
    }
    double window = 0.0, all = 0.0;
    double *counts = season + p;
    memset(season, 0, 2 * p * sizeof(*season));
    for (uint32_t i = 0; i < origin; i++) { /* against the mean of the season around it */
        window += fc->y[i] - (i >= p ? fc->y[i - p] : 0.0);
        if (i + 1 >= p) {
            const uint32_t center = i - p / 2;
            season[center % p] += fc->y[center] - window / (double)p;
            counts[center % p] += 1.0;
        }
    }
    for (uint32_t j = 0; j < p; j++) {
        season[j] /= counts[j] > 0.0 ? counts[j] : 1.0;
        all += season[j];
    }
    for (uint32_t j = 0; j < p; j++) {
        season[j] -= all / (double)p;
    }
    for (uint32_t i = 0; i < origin; i++) {
        rest[i] -= season[i % p];
    }
}

static double slope_of(const double *y, uint32_t n)
{
    const double middle = 0.5 * (double)(n - 1);
    double cross = 0.0, own = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        const double t = (double)i - middle;
        cross += t * y[i];
        own += t * t;
    }
    return own > 0.0 ? cross / own : 0.0;
}

struct simple_smooth { double alpha, beta, damp; };
struct simple_state { double error, level, slope; };

static struct simple_state smooth_run(const double *y, uint32_t n, struct simple_smooth s)
{
    struct simple_state st = { 0.0, y[0], 0.0 };
    for (uint32_t i = 1; i < n; i++) {
        const double expected = st.level + s.damp * st.slope;
        const double e = y[i] - expected;
        st.error += fabs(e);
        st.level = expected + s.alpha * e;
        st.slope = s.damp * st.slope + s.alpha * s.beta * e;
    }
    return st;
}

/* rest (n values) and season (2 p) of one origin; NULL without memory. */
static double *simple_room(const struct ql_fc *fc, double **ret_season)
{
    const uint32_t p = ql_fc_longest(fc);
    double *rest = ql_arena_take(fc->scratch, fc->n * sizeof(*rest));
    *ret_season = ql_arena_take(fc->scratch, (2u * p + 1u) * sizeof(**ret_season));
    return *ret_season == NULL ? NULL : rest;
}

static double season_at(const struct ql_fc *fc, const double *season, uint32_t place)
{
    const uint32_t p = ql_fc_longest(fc);
    return season[p > 0 && fc->origins[0] >= 2 * p ? place % p : 0];
}

ql_err ql_fc_theta(const struct ql_fc *fc, double *out)
{
    static const double rates[] = { 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0 };
    const uint32_t p = ql_fc_longest(fc);
    double *season, *rest = simple_room(fc, &season);
    if (rest == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        const uint32_t o = fc->origins[k];
        simple_deseason(fc, o, rest, season);
        struct simple_state best = { INFINITY, 0.0, 0.0 };
        for (size_t i = 0; i < QL_COUNT_OF(rates); i++) {
            const struct simple_smooth smooth = { .alpha = rates[i] };
            const struct simple_state s = smooth_run(rest, o, smooth);
            best = s.error < best.error ? s : best;
        }
        const double slope = (p > 0 ? 0.15 : 0.5) * slope_of(rest, o);
        for (uint32_t j = 0; j < fc->steps; j++) {
            out[k * fc->steps + j] = best.level + slope * (double)(j + 1) +
                                     season_at(fc, season, o + j);
        }
    }
    return QL_OK;
}

static struct simple_smooth damped_best(const double *y, uint32_t n)
{
    static const double alphas[] = { 0.05, 0.15, 0.4, 0.7, 0.95 };
    static const double betas[] = { 0.02, 0.08, 0.25 };
    static const double damps[] = { 0.85, 0.95, 0.98 };
    struct simple_smooth best = { 0 };
    double least = INFINITY;
    for (size_t i = 0; i < QL_COUNT_OF(alphas) * QL_COUNT_OF(betas) * QL_COUNT_OF(damps); i++) {
        const struct simple_smooth s = { alphas[i % 5], betas[i / 5 % 3], damps[i / 15] };
        const double error = smooth_run(y, n, s).error;
        if (error < least) {
            least = error;
            best = s;
        }
    }
    return best;
}

ql_err ql_fc_damped(const struct ql_fc *fc, double *out)
{
    double *season, *rest = simple_room(fc, &season);
    if (rest == NULL) {
        return QL_E_MEMORY;
    }
    struct simple_smooth smooth = { 0 };
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        const uint32_t o = fc->origins[k];
        simple_deseason(fc, o, rest, season);
        if (k == 0 || k + 1 == fc->origin_count) { /* chosen at the first and for the present */
            smooth = damped_best(rest, o);
        }
        const struct simple_state s = smooth_run(rest, o, smooth);
        double level = s.level, slope = s.slope;
        for (uint32_t j = 0; j < fc->steps; j++) {
            slope *= smooth.damp;
            level += slope;
            out[k * fc->steps + j] = level + season_at(fc, season, o + j);
        }
    }
    return QL_OK;
}
