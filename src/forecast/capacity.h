/* capacity.h - when will something with a limit be full?
 *
 * For disks, memory, inodes, descriptors, pools, quotas. Not the level is continued but the
 * peaks of days: what rises and is cleaned up every day is as high as its peaks and no
 * higher, so rotation and daily rhythm neither alarm nor hide growth. A leak that has just
 * begun is seen by the last hours, once it stands above every peak before.
 *
 * Method        peaks of blocks (a day, or as long as the longest clean-up cycle); their
 *               changes as a random walk with drift, both estimated robustly, the drift's own
 *               uncertainty integrated; time to the limit is then its first passage (inverse
 *               Gaussian). Recent slopes are medians of slopes (Theil and Sen).
 *
 *
 * What it is not a step is no leak, nor is what peaks grow anyway; a level further from the limit
 *               than 1.5 times the largest rise ever seen in such a time is out of reach of the
 *               trend; and what was full once, without growth, is only as likely to be again as
 *               blocks got there.
 *
 * Units         used and limit in the same unit; times in seconds from the last point; full
 *               ones are INFINITY when the share never gets there within a year.
 * Ownership     everything is the caller's; scratch is not reset here.
 * Errors        QL_E_RANGE: limit, step or horizon not above 0; QL_E_NOT_FOUND: no finite
 *               value; QL_E_MEMORY.
 * Bounds        the newest QL_CAPACITY_POINTS_MAX points; O(points * tests).
 * Determinism   no clock, no randomness.
 */
#ifndef QL_FORECAST_CAPACITY_H
#define QL_FORECAST_CAPACITY_H

#include "base/arena.h"
#include "base/base.h"

#define QL_CAPACITY_POINTS_MAX 32768u
#define QL_CAPACITY_TESTS_MAX 20u
#define QL_CAPACITY_RESERVE 0.05 /* of the limit: what is called full */

struct ql_capacity_in {
    const double *used;   /* oldest first, at a fixed step; not finite = missing */
    uint32_t count;
    double step_s;
    double limit;
    double horizon_s;     /* full before this? */
};
enum ql_capacity_rule {
    QL_CAPACITY_UNKNOWN,  /* too little history: nothing is claimed */
    QL_CAPACITY_TREND,    /* peaks of blocks */
    QL_CAPACITY_RECENT,   /* the last six hours rise as they never did */
    QL_CAPACITY_FAST,     /* the last hour fills it within four */
    QL_CAPACITY_FULL      /* it is full */
};
struct ql_capacity {
    enum ql_capacity_rule rule;
    double full;                    /* P(full before the horizon), 0..1 */
    double early_s, middle_s, late_s; /* full by then with 10, 50, 90 % */
    double growth_per_day;
    uint32_t tests, right;          /* the same claim made in the past, and how often it held */
};
QL_MUST_USE ql_err ql_capacity(const struct ql_capacity_in *in, struct ql_arena *scratch,
                               struct ql_capacity *ret);

/* Looks that follow each other: opens when full > 0.5 twice in a row, closes when it is below
 * 0.2 twice, or not above 0.5 once more than 5 % of the limit was freed.
 * All zero is a fresh watch. */
struct ql_capacity_watch { uint8_t over, under; bool open; double peak_ratio; };
enum ql_capacity_change { QL_CAPACITY_SAME, QL_CAPACITY_OPENED, QL_CAPACITY_CLOSED };
enum ql_capacity_change ql_capacity_watch_step(struct ql_capacity_watch *watch, double full,
                                               double used_ratio);

#endif
