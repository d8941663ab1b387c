/* forecast.h - where a series goes next, with intervals that have been checked on its past.
 *
 * A pool of simple models is fitted to the series and weighted by what each would have
 * been worth on stretches that were held back; nothing is selected. The width of the
 * intervals is taken from what the pool itself would have missed on the newest stretch, in
 * units of the series' own restlessness, and is pooled over all series that are forecast
 * together (conformal prediction across series).
 *
 * Units         values in the series' own unit; step in seconds; NaN is a missing value.
 * Ownership     input is borrowed; results belong to the caller; all else lives in the arena
 *               until the caller resets it.
 * Threads       pure functions; one arena a thread.
 * Errors        QL_E_MEMORY (arena full), QL_E_RANGE (no value at all, or a horizon of 0 or
 *               over QL_FORECAST_HORIZON_MAX); results are then untouched.
 * Bounds        the newest QL_FORECAST_POINTS_MAX points are used. About 10 ms for 700 hourly
 *               points and 48 steps.
 * Determinism   + - * /, sqrt, exp and log of libm, in a fixed order.
 */
#ifndef QL_FORECAST_FORECAST_H
#define QL_FORECAST_FORECAST_H

#include "base/arena.h"
#include "base/base.h"

#define QL_FORECAST_HORIZON_MAX 10000u
#define QL_FORECAST_POINTS_MAX 8192u

struct ql_forecast_input {
    const double *values;
    uint32_t count;
    double step_s;
    uint32_t horizon;
};

struct ql_forecast_fit {
    double *mean;        /* [horizon] */
    double *miss;        /* [horizon] what was missed on the newest stretch; NaN: not known */
    double scale;        /* restlessness of the series, > 0 */
    double least, most;  /* bounds that no value of the series suggests leaving */
};
QL_MUST_USE ql_err ql_forecast_fit(const struct ql_forecast_input *in, struct ql_arena *arena,
                                   struct ql_forecast_fit *ret_fit);

/* Misses of many series in units of their scales, by how far ahead. */
struct ql_forecast_spread;
QL_MUST_USE ql_err ql_forecast_spread_new(uint32_t horizon, uint32_t series_max,
                                          struct ql_forecast_spread **ret_spread);
void ql_forecast_spread_free(struct ql_forecast_spread *spread);
void ql_forecast_spread_add(struct ql_forecast_spread *spread, const struct ql_forecast_fit *fit);
/* Call once after the last add. */
void ql_forecast_spread_close(struct ql_forecast_spread *spread);

struct ql_forecast_step { double mean, lower80, upper80, lower95, upper95; };
void ql_forecast_steps(const struct ql_forecast_fit *fit, const struct ql_forecast_spread *spread,
                       uint32_t horizon, struct ql_forecast_step *ret_steps);

#endif
