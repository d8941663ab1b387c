/* dt_why.h - one sentence with numbers and units that says why a signal was raised.
 *
 * Units         taken from the metric's name (_seconds, _ms, _bytes, _ratio, _percent);
 *               counters were turned into rates, so theirs end in "/s".
 * Errors        the text is cut at what the buf takes.
 */
#ifndef QL_DETECT_DT_WHY_H
#define QL_DETECT_DT_WHY_H

#include "base/buf.h"
#include "model/record.h"

struct ql_dt_reason {
    ql_str metric;
    enum ql_metric_type type;
    enum ql_signal_kind kind;
    double value, expected, lower, upper;
    double surprise;
    ql_duration silence;  /* ABSENCE: how long nothing came */
    ql_str who, seen_at;  /* RESET: who restarts; the counter that fell last */
    ql_duration within;   /* RESET: from the first restart to the last */
    bool over;            /* RESET: it does so no more */
};
void ql_dt_why(const struct ql_dt_reason *reason, struct ql_buf *out);
/* "912 ms", "1.5 GiB", "42.1 %", "310/s" */
void ql_dt_number(ql_str metric, enum ql_metric_type type, double value, struct ql_buf *out);

#endif
