/* dt_budget - a slow integral controller around a computed starting point.
 *
 * Good for     a stable number of signals a day whatever the number of series.
 * Bad for      hours: a storm of true signals is not throttled here (correlation joins it).
 * Method       theta = log10(points a day / B), plus a control that each opening raises by
 *              k = 0.15 / B decades and each hour lowers by k B / 24 (Robbins and Monro
 *              1951): it rests only where B a day are observed. An hour counts at most four
 *              openings more than its share, so that a storm does not deafen; 1.5 in all.
 * Families     one more such control each, against its quota, never below zero. A family that is
 *              more than a few openings over it is its own control's business: the common one
 *              then sees what it has opened of late, but no more than the quota, so the sum is
 *              kept and the others are not silenced.
 */
#include "detect/dt_budget.h"

#include "math/fastlog.h"

#define BUDGET_DAY_MOST 0.15     /* decades that a day without any opening lowers */
#define BUDGET_OPENING_MOST 0.1  /* decades that one opening raises */
#define BUDGET_HOUR_OPENINGS 4.0
#define BUDGET_CONTROL_MOST 1.5
#define QUOTA_SHARES 2.0         /* families differ: twice the fair share is no misbehaviour */
#define QUOTA_LEAST 0.1          /* of the budget: a small family forgets an incident in days */
#define QUOTA_OF_GROUPS 0.5
#define QUOTA_OVER 5.0           /* openings: a few too many are luck */
#define QUOTA_WINDOW 8.0         /* openings that say what a family opens of late */
#define QUOTA_WINDOW_DAYS_LEAST 0.5
#define QUOTA_WINDOW_DAYS_MOST 30.0
#define QUOTA_SEEN 1.2           /* of the quota: who keeps it is above it now and then */
#define HOUR_NS (INT64_C(3600) * QL_NS_PER_S)

void ql_dt_budget_init(struct ql_dt_budget *budget, double signals_per_day)
{
    QL_ASSERT(signals_per_day > 0.0);
    *budget = (struct ql_dt_budget){ .signals_per_day = signals_per_day, .hour_ns = INT64_MIN };
}

void ql_dt_budget_opened(struct ql_dt_budget *budget, uint32_t quota)
{
    QL_ASSERT(quota < QL_DT_QUOTAS);
    budget->opened++;
    budget->quotas[quota].opened++;
}

void ql_dt_budget_held(struct ql_dt_budget *budget, uint32_t quota)
{
    QL_ASSERT(quota < QL_DT_QUOTAS);
    if (budget->opened > 0 && budget->quotas[quota].opened > 0) {
        budget->opened--;
        budget->quotas[quota].opened--;
    }
}

static double between(double x, double least, double most)
{
    return x > most ? most : (x < least ? least : x);
}

/* ---- the hour -------------------------------------------------------------------- */

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

/* How much of the budget a family may use before it is one too many. */
static double quota_of(uint32_t quota, double share)
{
    const double shares = QUOTA_SHARES * share, half = 0.5 + 0.5 * share;
    const double most = shares < half ? shares : half;
    return quota == QL_DT_OF_GROUPS ? QUOTA_OF_GROUPS : most > QUOTA_LEAST ? most : QUOTA_LEAST;
}

/* Moves the control of one family, `day` being its quota; returns what the common control is to
 * see of it. */
static double quota_pass(struct ql_dt_quota *q, double day, double days, double share, double gain)
{
    const double fair = day * days, most = fair + BUDGET_HOUR_OPENINGS;
    const double opened = (double)q->opened < most ? (double)q->opened : most;
    const double window =
        between(QUOTA_WINDOW / day, QUOTA_WINDOW_DAYS_LEAST, QUOTA_WINDOW_DAYS_MOST);
    const double bound = QL_DT_FAMILY_MOST * (1.0 - share);
    q->usual += (days < window ? days / window : 1.0) * (opened / days - q->usual);
    q->control = between(q->control + gain * (opened - fair), 0.0, bound);
    const double luck = QUOTA_OVER * gain, kept = QUOTA_SEEN * day;
    if (q->control <= luck) {
        return opened;
    }
    const bool held = q->control < bound - luck; /* else it is beyond its control's reach */
    return (held && q->usual > kept ? kept : q->usual) * days;
}

/* All families; returns the openings that the common control is to see. */
static double quotas_pass(struct ql_dt_budget *b, double days, double gain)
{
    double alive = 0.0, seen = 0.0;
    for (uint32_t i = 0; i < QL_DT_QUOTAS; i++) {
        alive += b->quotas[i].alive_day + b->quotas[i].alive;
    }
    for (uint32_t i = 0; i < QL_DT_QUOTAS; i++) {
        struct ql_dt_quota *q = &b->quotas[i];
        const double own = q->alive_day + q->alive, share = alive > 0.0 ? own / alive : 0.0;
        seen += quota_pass(q, quota_of(i, share) * b->signals_per_day, days, share, gain);
        q->alive_day = q->alive_day * (1.0 - days) + q->alive;
        q->alive = q->opened = 0;
    }
    return seen;
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
    const double days = (hours < 24.0 ? hours : 24.0) / 24.0;
    const double share = budget->signals_per_day * days;
    const double fair = BUDGET_DAY_MOST / budget->signals_per_day;
    const double gain = fair < BUDGET_OPENING_MOST ? fair : BUDGET_OPENING_MOST;
    const double seen = quotas_pass(budget, days, gain);
    const double most = share + BUDGET_HOUR_OPENINGS;
    budget->control += gain * ((seen < most ? seen : most) - share);
    /* Lower where a family is raised: that family is then as low as it could be alone. */
    budget->control = between(budget->control, -BUDGET_CONTROL_MOST - ql_dt_budget_raised(budget),
                              BUDGET_CONTROL_MOST);
    budget_remember(budget, hours);
    budget->hour_ns = now_ns;
    budget->opened = 0;
}

/* ---- what follows ---------------------------------------------------------------- */

uint64_t ql_dt_budget_day(const struct ql_dt_budget *budget)
{
    uint64_t sum = budget->opened;
    for (uint32_t i = 0; i < QL_COUNT_OF(budget->day); i++) {
        sum += budget->day[i];
    }
    return sum;
}

double ql_dt_budget_raised(const struct ql_dt_budget *budget)
{
    double most = 0.0;
    for (uint32_t i = 0; i < QL_DT_QUOTAS; i++) {
        most = budget->quotas[i].control > most ? budget->quotas[i].control : most;
    }
    return most;
}

static double budget_base(const struct ql_dt_budget *budget)
{
    const double ratio = budget->points_per_day / budget->signals_per_day;
    const double base = ratio > 1.0 ? (double)ql_log10f((float)ratio) : 0.0;
    return base + budget->control;
}

static double budget_bounded(const struct ql_dt_budget *budget, double theta)
{
    const double floored = theta > QL_DT_THRESHOLD_MIN ? theta : QL_DT_THRESHOLD_MIN;
    const double with = floored + budget->offset;
    return with < QL_DT_THRESHOLD_MAX ? with : QL_DT_THRESHOLD_MAX;
}

double ql_dt_budget_threshold(const struct ql_dt_budget *budget)
{
    return budget_bounded(budget, budget_base(budget));
}

void ql_dt_budget_thresholds(const struct ql_dt_budget *budget, double ret[QL_DT_QUOTAS])
{
    const double base = budget_base(budget);
    for (uint32_t i = 0; i < QL_DT_QUOTAS; i++) {
        ret[i] = budget_bounded(budget, base + budget->quotas[i].control);
    }
}
