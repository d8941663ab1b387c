/* counter.h - from what was sent to what is judged: counters and deltas become rates.
 *
 * Good for     one place for the rule, so that a plot shows what the detector judged.
 * Method       rate = (x - x') / dt. A fall is a reset: the rate is then x / dt, but only
 *              when x < x'/2 and dt <= 3 steps; otherwise nothing is known. The point after
 *              a reset is evidence, never scored.
 * Determinism  a pure function.
 */
#ifndef QL_MODEL_COUNTER_H
#define QL_MODEL_COUNTER_H

#include "model/record.h"

/* `previous` may be NULL (first sample): a counter then gives HOLE, meaning "nothing to
 * judge yet". Gauges give VALUE with value = raw. step_ms 0: unknown. */
struct ql_point ql_counter_judge(enum ql_metric_type type, const struct ql_sample *previous,
                                 struct ql_sample sample, uint32_t step_ms);

#endif
