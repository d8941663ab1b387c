/* fc_int.h - the members of the forecasting pool, each replayed from several origins.
 *
 * A member reads y[0..origin) only and writes `steps` values for each origin in
 * ascending order; the last origin is the present. fc_pool.c runs and weighs them.
 *
 * Units         y in the series' own unit, or its logarithm; periods in points.
 * Ownership     outputs are the caller's; temporary memory comes from fc->scratch.
 * Errors        QL_E_MEMORY; a member that the series is too short for returns
 *               QL_E_UNSUPPORTED and is left out.
 * Bounds        stated at each member.
 * Determinism   no clock, no randomness.
 */
#ifndef QL_FORECAST_FC_INT_H
#define QL_FORECAST_FC_INT_H

#include "forecast/forecast.h"

#define QL_FC_ORIGINS_MAX 9u  /* the last one is the present */
#define QL_FC_LAGS_MAX 48u

struct ql_fc {
    const double *y;          /* no gaps */
    uint32_t n;
    uint32_t p1, p2;          /* shorter and longer season; 0 = none; p2 > p1 or p2 = 0 */
    uint32_t origins[QL_FC_ORIGINS_MAX];
    uint32_t origin_count;    /* >= 1; origins[origin_count - 1] == n */
    uint32_t steps;           /* of every forecast */
    struct ql_arena *scratch;
};
static inline uint32_t ql_fc_longest(const struct ql_fc *fc) { return fc->p2 ? fc->p2 : fc->p1; }

/* Fills gaps in place: short ones by a line, long ones by what was a day before. */
void ql_fc_fill(double *y, uint32_t n, uint32_t day);
/* Seasons that the clock suggests and the series confirms. O(n * candidates). */
void ql_fc_periods(const double *y, uint32_t n, double step_s, uint32_t ret_period[2]);

/* out[k * steps + j] is step j + 1 from origins[k]. */
typedef ql_err ql_fc_member(const struct ql_fc *fc, double *out);

ql_fc_member ql_fc_last;         /* the last value */
ql_fc_member ql_fc_middle_short; /* medians of the newest points: 12, 24, 60 */
ql_fc_member ql_fc_middle;
ql_fc_member ql_fc_middle_long;
ql_fc_member ql_fc_naive_short;  /* what was one short season before */
ql_fc_member ql_fc_naive_long;   /* ... one long season */
ql_fc_member ql_fc_profile_fast; /* profile of the season, level error fading at once */
ql_fc_member ql_fc_profile_slow; /* ... hardly fading */
ql_fc_member ql_fc_theta;        /* season removed, level smoothed, half of the slope */
ql_fc_member ql_fc_damped;       /* season removed, level and damped slope smoothed */
ql_fc_member ql_fc_winters;      /* two seasons, level, AR(1) error: O(240 n) */
ql_fc_member ql_fc_ar_few;       /* ridge regressions on past values: O(n lags^2) */
ql_fc_member ql_fc_ar_many;
ql_fc_member ql_fc_ar_seasonal;

#endif
