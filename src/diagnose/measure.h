/* measure.h - how far one series moved, compared with how far it usually moves.
 *
 * z is the floored robust shift of the fault window; `usual` is what the same statistic
 * reaches in one of fifty windows of the series' own past, so that a series that jumps
 * every hour proves nothing by jumping. strength = log((1 + z) / (1 + usual)), bent so
 * that one huge number cannot outvote everything.
 *
 * Units         z, usual and strength are pure numbers, >= 0: towards bad.
 * Ownership     scratch is the caller's: 3 x count doubles.
 * Bounds        expected O(count).
 * Determinism   order statistics, + - * /, log1p.
 */
#ifndef QL_DIAGNOSE_MEASURE_H
#define QL_DIAGNOSE_MEASURE_H

#include "base/base.h"
#include "model/metric_kind.h"
#include "model/record.h"

struct ql_measure {
    double z, usual, strength;
    double raw_z;           /* by the quartile range alone: tells apart within one entity */
    double before, after;   /* median of the past; level of the fault window */
    double worse;           /* how much worse, in the unit; availability as lost share in % */
    ql_time onset;          /* where the move that the window shows began */
    bool rose;
};

/* False: too little past (5 values) or nothing since `at`. */
bool ql_measure_series(const struct ql_sample *samples, uint32_t count, ql_time at, ql_str metric,
                       double *scratch, struct ql_measure *ret_measure);

/* The same for two bags of durations: upper quartile of `fault` against `baseline`, whose
 * scale is floored at `floor_ratio` of its median. Both are reordered. */
double ql_measure_durations(double *baseline, uint32_t baseline_count, double *fault,
                            uint32_t fault_count, double floor_ratio);
double ql_measure_bend(double strength); /* 4 log(1 + s / 4) */

/* How many of the first values are past: those before `at` less a guard (the onset may be
 * noticed late), but at least half of them. `before_guard` and `before_at` count in order. */
uint32_t ql_measure_past(uint32_t before_guard, uint32_t before_at);
#define QL_MEASURE_GUARD QL_S(60)

#endif
