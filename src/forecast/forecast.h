/* forecast.h - what a series will do next, and how sure that is.
 *
 * A pool of simple forecasters (fc_int.h names them) is replayed from several moments of
 * the past of the series; each weighs by how near it came there, and the errors that the
 * pool as a whole made there give the bands. One fixed configuration for every series.
 *
 * Units         values in the series' own unit; steps of `step_s` seconds; step 1 is the
 *               first one after the last value given.
 * Ownership     everything is the caller's; scratch is the caller's arena, which is not
 *               reset here: reset it between series.
 * Errors        QL_E_NOT_FOUND: not one finite value; QL_E_RANGE: a horizon of 0 or above
 *               the maximum; QL_E_MEMORY: the arena is full (QL_FORECAST_SCRATCH holds).
 * Bounds        the newest QL_FORECAST_POINTS_MAX values are read; O(points * pool).
 * Determinism   the same values give the same steps; no clock, no randomness.
 */
#ifndef QL_FORECAST_FORECAST_H
#define QL_FORECAST_FORECAST_H

#include "base/arena.h"
#include "base/base.h"

#define QL_FORECAST_POINTS_MAX 32768u
#define QL_FORECAST_STEPS_MAX 10000u
#define QL_FORECAST_SCRATCH ((size_t)64 << 20)

struct ql_forecast_in {
    const double *values; /* oldest first; one that is not finite is missing */
    uint32_t count;
    double step_s;        /* between two values; 0 = unknown, then no season is looked for */
    uint32_t horizon;     /* steps wanted */
};
struct ql_forecast_step {
    double mean, lower80, upper80, lower95, upper95; /* lower95 <= lower80 <= mean <= ... */
};
struct ql_forecast_about {
    uint32_t points;      /* values used, first to last real one */
    uint32_t period[2];   /* seasons confirmed, in steps, shorter first; 0 = none */
    uint32_t tests;       /* moments of the past that it was tried from */
    double error;         /* mean absolute error there */
    uint32_t judged, in80, in95; /* steps there, and how many its own bands held */
};

/* ret_steps has room for in->horizon; ret_about may be NULL. */
QL_MUST_USE ql_err ql_forecast(const struct ql_forecast_in *in, struct ql_arena *scratch,
                               struct ql_forecast_step *ret_steps,
                               struct ql_forecast_about *ret_about);

#endif
