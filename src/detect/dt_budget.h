/* dt_budget.h - from "at most B false signals a day" to the threshold of every series.
 *
 * The threshold starts where B openings a day are expected of points that are all
 * normal, and then moves a little each hour toward what is observed. It never falls
 * below a floor: few series do not make an ordinary wobble worth a signal.
 *
 * Inside a budget each family of metrics has a quota: twice its share of all that is alive,
 * at most its share and half of the rest. What it opens beyond raises the threshold of that
 * family, and only that: the others are judged as if it had kept to its quota. The signals of
 * groups are a family of their own.
 *
 * Units         decades (-log10 of a probability a point).
 * Ownership     plain bytes.
 * Bounds        a family stands at most QL_DT_FAMILY_MOST decades above the others, the less
 *               the larger its share: beyond that it counts like everybody. Families that
 *               share a bucket share its quota.
 * Determinism   time is that of the points, not of a clock.
 */
#ifndef QL_DETECT_DT_BUDGET_H
#define QL_DETECT_DT_BUDGET_H

#include "base/base.h"

#define QL_DT_THRESHOLD_MIN 3.0
#define QL_DT_THRESHOLD_MAX 7.0
#define QL_DT_FAMILY_MOST 1.5

#define QL_DT_FAMILY_BUCKETS 32u             /* of families, by number */
#define QL_DT_OF_GROUPS QL_DT_FAMILY_BUCKETS /* after them: signals of groups */
#define QL_DT_QUOTAS (QL_DT_FAMILY_BUCKETS + 1)

struct ql_dt_quota {
    double control;          /* decades above the budget's threshold, >= 0 */
    double usual;            /* openings a day, of late */
    double alive_day;        /* the same as `alive`, in the day before */
    uint32_t alive;          /* points in this hour that were not all ordinary */
    uint32_t opened;         /* in this hour */
};

struct ql_dt_budget {
    double signals_per_day;
    double points_per_day;   /* of all it is for, as last told */
    double control;          /* learnt correction, decades */
    double offset;           /* from feedback (model set), decades */
    int64_t hour_ns;         /* start of the hour that is being counted */
    uint64_t opened;         /* in that hour */
    uint32_t day[24];        /* in the hours before it; place is the next to be written */
    uint32_t place;
    uint32_t pad;
    struct ql_dt_quota quotas[QL_DT_QUOTAS];
};
_Static_assert(sizeof(struct ql_dt_budget) == 152 + QL_DT_QUOTAS * sizeof(struct ql_dt_quota),
               "saved as bytes: no hidden padding");

void ql_dt_budget_init(struct ql_dt_budget *budget, double signals_per_day);
void ql_dt_budget_opened(struct ql_dt_budget *budget, uint32_t quota);
/* Takes one back that was not told after all. */
void ql_dt_budget_held(struct ql_dt_budget *budget, uint32_t quota);
/* A point that was not all ordinary, of a series that was not odd already. */
static inline void ql_dt_budget_alive(struct ql_dt_budget *budget, uint32_t quota)
{
    budget->quotas[quota].alive++;
}
/* Called with the newest time of points; moves the control once an hour. */
void ql_dt_budget_pass(struct ql_dt_budget *budget, int64_t now_ns, double points_per_day);
/* Opened in the last 24 hours and the one under way. */
uint64_t ql_dt_budget_day(const struct ql_dt_budget *budget);
/* Of a family without a correction of its own, and of each. */
double ql_dt_budget_threshold(const struct ql_dt_budget *budget);
void ql_dt_budget_thresholds(const struct ql_dt_budget *budget, double ret[QL_DT_QUOTAS]);
/* The largest correction of a family. */
double ql_dt_budget_raised(const struct ql_dt_budget *budget);

#endif
