/* dt_budget.h - from "at most B false signals a day" to the threshold of every series.
 *
 * The threshold starts where B openings a day are expected of points that are all
 * normal, and then moves a little each hour toward what is observed. It never falls
 * below a floor: few series do not make an ordinary wobble worth a signal.
 *
 * Units         decades (-log10 of a probability a point).
 * Determinism   time is that of the points, not of a clock.
 */
#ifndef QL_DETECT_DT_BUDGET_H
#define QL_DETECT_DT_BUDGET_H

#include "base/base.h"

#define QL_DT_THRESHOLD_MIN 3.0
#define QL_DT_THRESHOLD_MAX 7.0

struct ql_dt_budget {
    double signals_per_day;
    double points_per_day;   /* of the whole instance, as last told */
    double control;          /* learnt correction, decades */
    double offset;           /* from feedback (model set), decades */
    int64_t hour_ns;         /* start of the hour that is being counted */
    uint64_t opened;         /* in that hour */
    uint32_t day[24];        /* in the hours before it; place is the next to be written */
    uint32_t place;
    uint32_t pad;
};

void ql_dt_budget_init(struct ql_dt_budget *budget, double signals_per_day);
void ql_dt_budget_opened(struct ql_dt_budget *budget);
/* Called with the newest time of points; moves the control once an hour. */
void ql_dt_budget_pass(struct ql_dt_budget *budget, int64_t now_ns, double points_per_day);
/* Opened in the last 24 hours and the one under way. */
uint64_t ql_dt_budget_day(const struct ql_dt_budget *budget);
double ql_dt_budget_threshold(const struct ql_dt_budget *budget);

#endif
