/* robust - floored robust shift, and the Theil-Sen line.
 *
 * Good for     comparing thousands of unlike series after a fault: near-constant, heavy
 *              tailed, late onset.
 * Bad for      windows with a season longer than the baseline: give the same hours of the
 *              day before instead.
 * Method       median and quartile range of the baseline, mean of the fault window.
 * Cost         O(n) expected; Theil-Sen O(n^2): for windows of up to a few hundred points.
 */
#include "math/robust.h"

#include "math/order.h"

#define IQR_PER_DEVIATION 1.349  /* quartile range of a normal distribution */
#define SCALE_LEAST 1e-12        /* so that a constant zero baseline divides too */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

struct ql_robust_shift ql_robust_shift(const struct ql_robust_window *window)
{
    QL_ASSERT(window->baseline_count > 0);
    QL_ASSERT(window->fault_count > 0);
    QL_ASSERT(window->floor_unit >= 0.0);
    const uint32_t n = window->baseline_count;
    double *scratch = window->scratch;
    memcpy(scratch, window->baseline, n * sizeof(*scratch));

    struct ql_robust_shift shift = { .median = ql_median(scratch, n) };
    const double iqr = ql_quantile(scratch, n, 0.75) - ql_quantile(scratch, n, 0.25);
    const double level = shift.median < 0.0 ? -shift.median : shift.median;
    shift.scale = larger(larger(iqr / IQR_PER_DEVIATION, QL_ROBUST_SCALE_RATIO_MIN * level),
                         larger(window->floor_unit, SCALE_LEAST));
    for (uint32_t i = 0; i < window->fault_count; i++) {
        shift.mean += (window->fault[i] - shift.mean) / (double)(i + 1);
    }
    shift.z = (shift.mean - shift.median) / shift.scale;
    QL_ASSERT(shift.scale > 0.0);
    return shift;
}

double ql_theil_sen(const double *x, const double *y, uint32_t count, double *scratch)
{
    uint32_t pairs = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = i + 1; j < count; j++) {
            const double run = x[j] - x[i];
            if (run > 0.0 || run < 0.0) {
                scratch[pairs++] = (y[j] - y[i]) / run;
            }
        }
    }
    return pairs == 0 ? 0.0 : ql_median(scratch, pairs);
}
