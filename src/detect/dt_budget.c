/* dt_budget - a slow integral controller around a computed starting point.
 *
 * Good for     a stable number of signals a day whatever the number of series.
 * Bad for      hours: a storm of true signals is not throttled here (correlation joins it).
 * Method       theta = log10(points a day / B), plus a control that each opening raises by
 *              k = 0.15 / B decades and each hour lowers by k B / 24 (Robbins and Monro
 *              1951): it rests only where B a day are observed. An hour counts at most four
 *              openings more than its share, so that a storm does not deafen; 1.5 in all.
 */
#include "detect/dt_budget.h"

#include "math/fastlog.h"

#define BUDGET_DAY_MOST 0.15     /* decades that a day without any opening lowers */
#define BUDGET_OPENING_MOST 0.1  /* decades that one opening raises */
#define BUDGET_HOUR_OPENINGS 4.0
#define BUDGET_CONTROL_MOST 1.5
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

static void budget_remember(struct ql_dt_budget *budget, double hours)
{
    const uint32_t day = QL_COUNT_OF(budget->day);
    const uint32_t passed = hours < (double)day ? (uint32_t)hours : day;
    for (uint32_t i = 0; i < passed; i++) {
        const uint64_t opened = i == 0 ? budget->opened : 0;
        budget->day[budget->place] = opened < UINT32_MAX ? (uint32_t)opened : UINT32_MAX;
        budget->place = (budget->place + 1) % day;
    }
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
    const double share = budget->signals_per_day * (hours < 24.0 ? hours : 24.0) / 24.0;
    const double most = share + BUDGET_HOUR_OPENINGS;
    const double opened = (double)budget->opened < most ? (double)budget->opened : most;
    const double fair = BUDGET_DAY_MOST / budget->signals_per_day;
    budget->control += (fair < BUDGET_OPENING_MOST ? fair : BUDGET_OPENING_MOST) * (opened - share);
    budget->control = clipped(budget->control, BUDGET_CONTROL_MOST);
    budget_remember(budget, hours);
    budget->hour_ns = now_ns;
    budget->opened = 0;
}

uint64_t ql_dt_budget_day(const struct ql_dt_budget *budget)
{
    uint64_t sum = budget->opened;
    for (uint32_t i = 0; i < QL_COUNT_OF(budget->day); i++) {
        sum += budget->day[i];
    }
    return sum;
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
