/* exhaustion.h - the stage that makes a signal of what will soon be full.
 *
 * Reads outlooks (what the look-ahead said, see model/record.h), writes signals of kind
 * "exhaustion". One opens when it was likely twice in a row, when the same claim was mostly
 * right in the past, and when it fits the budget: each opening costs the chance that it is
 * wrong, of a fifth of the instance's false signals a day. It closes when it is no longer
 * likely, twice in a row, or when much was freed. Silence closes nothing for a day.
 *
 * Bounds        QL_EXHAUSTION_MAX series with an outlook above nothing; more are counted.
 * Errors        as stage.h; ql_exhaustion_total{what="opened"|"closed"|"held"|"full"}.
 */
#ifndef QL_FORECAST_EXHAUSTION_H
#define QL_FORECAST_EXHAUSTION_H

#include "model/stage.h"

#define QL_EXHAUSTION_MAX 4096u

extern const struct ql_stage_type ql_exhaustion_stage;

#endif
