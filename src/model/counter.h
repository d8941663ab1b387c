/* counter.h - from what was sent to what is judged: counters and deltas become rates.
 *
 * Good for     one place for the rule, so that a plot shows what the detector judged.
 * Method       rate = (x - x') / dt. A fall is a reset: what was counted between the last
 *              sample and the restart is unknown, so the point is evidence and never
 *              scored, and says what it fell from; the next one is a rate again.
 * Determinism  a pure function.
 */
#ifndef QL_MODEL_COUNTER_H
#define QL_MODEL_COUNTER_H

#include "model/record.h"

/* `previous` may be NULL (first sample): a counter then gives HOLE, meaning "nothing to
 * judge yet". Gauges give VALUE with value = raw. */
struct ql_point ql_counter_judge(enum ql_metric_type type, const struct ql_sample *previous,
                                 struct ql_sample sample);

#endif
