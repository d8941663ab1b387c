/* dt_signal.h - the life of a series' signal: when it opens, grows and closes.
 *
 * Opening takes calibrated evidence past the threshold and past what the series' last
 * alarm left behind, so a flapping series soon has to show more. Closing takes a run of
 * calm values; a hole is no value, so missing data never closes anything.
 *
 * Units         surprise, threshold and memory in decades.
 * Bounds        O(1).
 */
#ifndef QL_DETECT_DT_SIGNAL_H
#define QL_DETECT_DT_SIGNAL_H

#include "detect/dt_series.h"
#include "model/record.h"

/* Bits of ql_dt_series.flags */

struct ql_dt_rule {
    float threshold;       /* evidence surprise that opens */
    float close_below;     /* decades under the threshold that count as calm */
    float memory_points;   /* the last alarm fades by 1/e in this many points */
    uint32_t calm_count;   /* calm points that close, and ... */
    float calm_s;          /* ... for at least this long */
};
extern const struct ql_dt_rule ql_dt_rule_default;

enum ql_dt_change { QL_DT_SAME, QL_DT_OPENED, QL_DT_GREW, QL_DT_CLOSED };

/* Called once a judged value, after ql_dt_series_step(). */
enum ql_dt_change ql_dt_signal_step(struct ql_dt_series *series, const struct ql_dt_rule *rule,
                                    const struct ql_dt_verdict *verdict, uint32_t step_ms);

enum ql_signal_kind ql_dt_kind_of(const struct ql_dt_verdict *verdict);

#endif
