/* dt_signal.h - the life of a series' signal: when it opens, grows and closes.
 *
 * Opening takes calibrated evidence past the threshold, and more evidence than the last
 * signal left behind; that memory fades, the more slowly the more often the series has
 * signalled, so a series that is often odd has to show more each time. What comes back at
 * the same hour of the week for the third time opens nothing. Closing takes a
 * run of calm values; a hole is no value, so missing data never closes anything.
 *
 * Units         surprise and threshold in decades; evidence and its memory as dt_series.h.
 * Bounds        O(1).
 */
#ifndef QL_DETECT_DT_SIGNAL_H
#define QL_DETECT_DT_SIGNAL_H

#include "detect/dt_series.h"
#include "model/record.h"

struct ql_dt_rule {
    float threshold;       /* evidence surprise that opens */
    float close_below;     /* decades under the threshold that count as calm */
    float margin_ratio;    /* of the memory, that new evidence must pass */
    float memory_points;   /* the memory fades by 1/e in this many points ... */
    float memory_more;     /* ... and this share of them more for each signal before */
    float habit_points;    /* the count of those fades by 1/e in this many */
    uint32_t calm_count;   /* calm points that close, and ... */
    float calm_s;          /* ... for at least this long */
};
extern const struct ql_dt_rule ql_dt_rule_default;

/* RECURRED: what would open is known from the weeks before (dt_habit.h); said once a week.
 * NEAR: would open within QL_DT_NEAR_DECADES more (dt_together.h). */
enum ql_dt_change {
    QL_DT_SAME, QL_DT_OPENED, QL_DT_GREW, QL_DT_CLOSED, QL_DT_RECURRED, QL_DT_NEAR
};

/* Called once a judged value, after ql_dt_series_step() with the same input. */
enum ql_dt_change ql_dt_signal_step(struct ql_dt_series *series, const struct ql_dt_rule *rule,
                                    const struct ql_dt_input *in,
                                    const struct ql_dt_verdict *verdict);

/* Opens what came near after all, or says why not: OPENED, RECURRED or SAME. */
enum ql_dt_change ql_dt_signal_open(struct ql_dt_series *series, const struct ql_dt_input *in,
                                    const struct ql_dt_verdict *verdict);

enum ql_signal_kind ql_dt_kind_of(const struct ql_dt_verdict *verdict);

#endif
