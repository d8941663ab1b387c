/* robust.h - how far a window moved from its past, in a unit that outliers cannot bend.
 *
 * The scale is floored: a series that hardly ever moves has a quartile range near zero,
 * and dividing by it would rank it above every real fault.
 *
 * Units         values in the series' own unit; z is a pure number, signed: above 0 the
 *               fault window lies higher than the baseline. Who knows that lower is bad
 *               turns the sign.
 * Ownership     all arrays are the caller's; `scratch` is overwritten.
 * Errors        none; empty windows are asserted.
 * Bounds        O(n); Theil-Sen O(n^2) pairs.
 * Determinism   order statistics and + - * / only.
 */
#ifndef QL_MATH_ROBUST_H
#define QL_MATH_ROBUST_H

#include "base/base.h"

#define QL_ROBUST_SCALE_RATIO_MIN 0.05 /* of |median|: a move under 5 % is never large */

struct ql_robust_window {
    const double *baseline, *fault;   /* finite values; need no order */
    uint32_t baseline_count, fault_count; /* both > 0 */
    double floor_unit;                /* least scale in the series' unit; 0 = none */
    double *scratch;                  /* room for baseline_count */
};
struct ql_robust_shift {
    double median, scale;             /* of the baseline; scale > 0 */
    double mean;                      /* of the fault window */
    double z;                         /* (mean - median) / scale */
};
/* scale = max(IQR / 1.349, 0.05 |median|, floor_unit), and never 0. No deviation in the
 * scale: a fault that began inside the baseline would widen it. */
struct ql_robust_shift ql_robust_shift(const struct ql_robust_window *window);

/* Median of the slopes between all pairs of points with different x (Theil 1950, Sen 1968);
 * 0 when there is no such pair. `scratch` has room for count * (count - 1) / 2. */
double ql_theil_sen(const double *x, const double *y, uint32_t count, double *scratch);

#endif
