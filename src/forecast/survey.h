/* survey.h - finds everything with a limit among the known series, and judges one by one.
 *
 * A series has a limit when the settings say so (`resources:`), when another one with the same
 * labels says it (limits.h), or when it is itself the time of an end (expiry.h). Each is judged
 * from four weeks of history on a grid of ten minutes; the limit is what the last day said last.
 * Disks are among them (smart.h): judged by the newest values of their SMART counters, without
 * a limit or a time. A disk stands under the first of the five series that it has.
 *
 * Units         as capacity.h; `used` of an end is minus the seconds that are left, of a disk
 *               the score of disk.h.
 * Ownership     open/close. Infos and texts live until close.
 * Threads       one at a time; the view is asked, and may block as it says.
 * Errors        as the view's; QL_E_CONFIG: a selector of the settings does not parse.
 * Bounds        QL_SURVEY_SERIES_MAX series are looked at, QL_SURVEY_PAIRS_MAX resources are
 *               kept, from number `skip` on; `more` says that there were others, pairs_found how
 *               many there are. About 32 KiB read a resource.
 * Determinism   pairs stand in the order of their label texts, disks behind them.
 */
#ifndef QL_FORECAST_SURVEY_H
#define QL_FORECAST_SURVEY_H

#include "forecast/capacity.h"
#include "forecast/limits.h"
#include "forecast/smart.h"
#include "model/view.h"

#define QL_SURVEY_SERIES_MAX 100000u
#define QL_SURVEY_PAIRS_MAX 2000u
#define QL_SURVEY_CELLS 4096u

struct ql_config;
struct ql_selector;

enum ql_survey_source { QL_SURVEY_PAIR, QL_SURVEY_SETTINGS, QL_SURVEY_EXPIRY,
                        QL_SURVEY_DISK };
struct ql_surveyed {
    const struct ql_series_info *series, *limit_series; /* limit_series: may be NULL */
    ql_str limit_name;          /* the limit's metric, the name in the settings, "its end" or
                                 * "its failure" */
    enum ql_survey_source source;
    enum ql_limit_kind kind;
    bool judged;
    double horizon_s;           /* what capacity.full is about */
    double limit, used;         /* limit: given by the settings, or read */
    ql_time at;                 /* of the newest value; cells' ends */
    struct ql_capacity capacity; /* of a disk: full is 1 when it is found, times are INFINITY */
    const struct ql_series_info *counters[QL_DISK_COUNTERS]; /* a disk's; NULL: not there */
    double smart[QL_DISK_COUNTERS]; /* their newest raw values, or QL_SMART_NONE */
};

struct ql_survey {
    const struct ql_view *view;
    const struct ql_config *config; /* may be NULL: no settings */
    double horizon_s;
    double expiry_horizon_s;    /* of ends, at most: as far as no claim of it was wrong. As
                                 * horizon_s, unless it is set before the first is judged */
    ql_time now, end;           /* end: of the grid, so at most ten minutes before */
    struct ql_arena texts, scratch;
    struct ql_series_info *found;
    uint32_t found_count;
    struct ql_surveyed *pairs;
    uint32_t pair_count;
    uint32_t skip;              /* resources to pass over, set before find */
    uint32_t pairs_found;       /* with those that were passed over and those beyond */
    bool more;
    struct ql_batch read;
    double *cells;
};

QL_MUST_USE ql_err ql_survey_open(const struct ql_view *view, const struct ql_config *config,
                                  double horizon_s, struct ql_survey *ret_survey);
void ql_survey_close(struct ql_survey *survey);
/* Finds the resources among the series that `selector` selects. */
QL_MUST_USE ql_err ql_survey_find(struct ql_survey *survey, const struct ql_selector *selector);
/* Reads history and works out one of them; `judged` stays false where there is no limit now. */
QL_MUST_USE ql_err ql_survey_judge(struct ql_survey *survey, struct ql_surveyed *pair);

/* Means of the cells before `end`, NaN where there is no sample; what is not before `end` is
 * left out, and so are stale markers, as every value that is not finite. */
void ql_survey_means(const struct ql_batch *read, ql_time end, int64_t step_ns,
                     double cells[QL_SURVEY_CELLS]);

#endif
