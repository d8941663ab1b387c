/* detect.h - the stage that says which series is odd, with a band and a reason.
 *
 * Reads points, changes and retired, writes signals and bands. Every series known to the shard
 * is judged by default by the experts of dt_series.h; false-alarm budgets, one for each tenant, set
 * the thresholds (dt_budget.h, dt_tenant.h). A signal opens, grows and closes under one id. A hole
 * opens an absence signal for a series that was regular (one that its sender ended only if its
 * entity is silent as a whole, detect_ended.c), and closes nothing: an open signal waits for
 * values. What cannot be judged any more is closed with a reason and marked as lapsed: a day of
 * silence, a series that is forgotten, a group of which too little is left, settings that say off.
 *
 * Bounds        248 B a series; up to 270 B more for a series in groups (dt_group.h); 1 kB more
 *               for each of the at most series_max / 4 daily profiles; 0.7 MB of pools;
 *               with tenants 1 B a series and 190 kB each (dt_tenant.h); 64 kB for the entities
 *               of series that ended.
 * Errors        as stage.h. What could not be written is counted as
 *               ql_detect_dropped_total{what=...}.
 */
#ifndef QL_DETECT_DETECT_H
#define QL_DETECT_DETECT_H

#include "model/stage.h"

extern const struct ql_stage_type ql_detect_stage;

#endif
