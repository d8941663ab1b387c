/* survey.h - everything that has a limit, and when each will be full. Read from the view.
 *
 * A series has a limit when another one with the same labels says it (forecast/limits.h). Pairs
 * are found by the hash of their labels without the name; each is judged from four weeks of
 * history on a grid of ten minutes. The limit is what the last day said last.
 *
 * Ownership     open/close; texts of the pairs live until close.
 * Threads       one at a time; the view may be asked from any.
 * Errors        those of the view; QL_E_MEMORY.
 * Bounds        QL_SURVEY_SERIES_MAX series are looked through, pairs_max pairs kept (`more`
 *               says that there were others); one pair reads four weeks of two series.
 */
#ifndef QL_LOOKAHEAD_SURVEY_H
#define QL_LOOKAHEAD_SURVEY_H

#include "base/arena.h"
#include "forecast/capacity.h"
#include "forecast/limits.h"
#include "model/view.h"

#define QL_SURVEY_SERIES_MAX 100000u
#define QL_SURVEY_CELLS 4096u
#define QL_SURVEY_STEP_S 600

struct ql_limited {
    const struct ql_series_info *series, *limit_series;
    enum ql_limit_kind kind;
    bool judged;
    double limit, used;
    struct ql_capacity capacity;
};

struct ql_survey {
    const struct ql_view *view;
    double horizon_s;
    ql_time end;                /* of the grid: the engine's time, in whole steps */
    struct ql_arena texts, scratch;
    struct ql_series_info *found;
    uint32_t found_count;
    struct survey_limit *limits;
    uint32_t limit_count;
    struct ql_limited *pairs;
    uint32_t pair_count, pairs_max;
    bool more;
    struct ql_batch read;
    double *cells;
};

QL_MUST_USE ql_err ql_survey_open(struct ql_survey *survey, const struct ql_view *view,
                                  uint32_t pairs_max, double horizon_s);
void ql_survey_close(struct ql_survey *survey); /* also after a failed open */
/* Finds the pairs among the series that satisfy all matchers. */
QL_MUST_USE ql_err ql_survey_find(struct ql_survey *survey, const struct ql_matcher *matchers,
                                  uint32_t matcher_count);
/* Judges one pair; `judged` stays false where nothing can be said. */
QL_MUST_USE ql_err ql_survey_judge(struct ql_survey *survey, struct ql_limited *pair);
/* Likely first, then soon. */
void ql_survey_sort(struct ql_survey *survey);
ql_str ql_survey_name(const struct ql_series_info *info);
/* The time `seconds` behind the grid's end; QL_TIME_NONE when that is never. */
ql_time ql_survey_time(const struct ql_survey *survey, double seconds);

/* Means of the cells before `end`, NaN where there is no sample; stale markers and what is
 * not before `end` are left out. */
void ql_survey_means(const struct ql_batch *read, ql_time end, int64_t step_ns,
                     double cells[QL_SURVEY_CELLS]);

#endif
