/* exhaust.h - the stage that turns findings of the look-ahead into signals, sparingly.
 *
 * A finding (record.h) says how likely something with a limit is full before a horizon. It
 * becomes a signal of the kind `exhaustion` only when that stays at or above
 * forecast.full_min for forecast.passes findings in a row, and the same claim was right often
 * enough in the past (forecast.record_min of at least QL_EXHAUST_TESTS_LEAST times). What is
 * full already is no forecast: it opens nothing and keeps open what is.
 *
 * Closing       the forecast is below QL_EXHAUST_OVER for as many findings in a row, or more
 *               than 5 % of the limit was freed and it is below one half, or nothing was heard
 *               for a day. For a day after, opening takes four times the findings.
 * Disks         a disk (smart.h) is of the kind `failing disk`, without a record of its own or a
 *               time: it opens when the rule finds it for as many findings in a row and closes
 *               when it does not for as many. A counter above all that was told is an update.
 * Policies      the labels of the series decide (policy/ruling.h): what one holds is told at the
 *               first finding at or above the bar after it ended, with its true onset.
 * Surprise      minus log10 of the chance to be wrong, never less than its record allows: no
 *               forecast alone is sure enough to open an incident. Of a disk: that a healthy one
 *               is found.
 * Reads         findings, changes. Writes signals.
 * Bounds        QL_EXHAUST_WATCHES_MAX resources, QL_EXHAUST_OPEN_MAX signals at once; what is
 *               beyond is counted. O(findings * resources), a few hundred times a few thousand
 *               compares every quarter of an hour.
 * Determinism   findings and ticks only.
 */
#ifndef QL_FORECAST_EXHAUST_H
#define QL_FORECAST_EXHAUST_H

#include "model/stage.h"

#define QL_EXHAUST_WATCHES_MAX 4096u
#define QL_EXHAUST_OPEN_MAX 256u
#define QL_EXHAUST_TESTS_LEAST 4u
#define QL_EXHAUST_OVER 0.2

extern const struct ql_stage_type ql_exhaust_stage;

#endif
