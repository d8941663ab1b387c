/* dt_budget - a slow integral controller around a computed starting point.
 *
 * Good for     a stable number of signals a day whatever the number of series.
 * Bad for      hours: a storm of true signals is not throttled here (correlation joins it).
 * Method       theta = log10(points a day / B), plus eta * (observed - B) / B each hour
 *              with eta 0.05, at most 0.0125 decades an hour (0.3 a day) and 1 in all.
 */
#include "detect/dt_budget.h"

#include "math/fastlog.h"

#define BUDGET_GAIN 0.05
#define BUDGET_HOUR_MOST 0.0125
#define BUDGET_CONTROL_MOST 1.0
#define HOUR_NS (INT64_C(3600) * QL_NS_PER_S)

void ql_dt_budget_init(struct ql_dt_budget *budget, double signals_per_day)
{
    QL_ASSERT(signals_per_day > 0.0);
    *budget = (struct ql_dt_budget){ .signals_per_day = signals_per_day, .hour_ns = INT64_MIN };
}

void ql_dt_budget_opened(struct ql_dt_budget *budget)
{
    budget->opened++;
}

static double clipped(double x, double most)
{
    return x > most ? most : (x < -most ? -most : x);
}

void ql_dt_budget_pass(struct ql_dt_budget *budget, int64_t now_ns, double points_per_day)
{
    QL_ASSERT(points_per_day >= 0.0);
    budget->points_per_day = points_per_day;
    if (budget->hour_ns == INT64_MIN) {
        budget->hour_ns = now_ns;
        return;
    }
    if (now_ns - budget->hour_ns < HOUR_NS) {
        return;
    }
    const double hours = (double)(now_ns - budget->hour_ns) / (double)HOUR_NS;
    const double daily = 24.0 * (double)budget->opened / hours;
    const double step = BUDGET_GAIN * (daily - budget->signals_per_day) / budget->signals_per_day;
    budget->control += clipped(step, BUDGET_HOUR_MOST) * (hours < 24.0 ? hours : 24.0);
    budget->control = clipped(budget->control, BUDGET_CONTROL_MOST);
    budget->hour_ns = now_ns;
    budget->opened = 0;
}

double ql_dt_budget_threshold(const struct ql_dt_budget *budget)
{
    const double ratio = budget->points_per_day / budget->signals_per_day;
    const double base = ratio > 1.0 ? (double)ql_log10f((float)ratio) : 0.0;
    const double floored = base + budget->control > QL_DT_THRESHOLD_MIN
                               ? base + budget->control
                               : QL_DT_THRESHOLD_MIN;
    const double theta = floored + budget->offset;
    return theta < QL_DT_THRESHOLD_MAX ? theta : QL_DT_THRESHOLD_MAX;
}
