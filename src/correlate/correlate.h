/* correlate.h - which signals and alerts belong together: incidents and their members.
 *
 * The rules are in rule.h. An incident opens, grows, is acknowledged by a person, resolves
 * when all its members were closed for close_s (or a person says so), and reopens when a
 * member comes back within half an hour. Missing data is never recovery: an open signal
 * whose data stopped stays open, an alert ends when its sender says so or when its own
 * end time passes. An alert that is sent again is the same member; every delivery and
 * every signal opening is counted in raw_count, which is what would have paged alone.
 *
 * The stage owns updates of env->topology: it enters entities and edges as they come,
 * configured edges when it opens, drops old edges and forgets entities that nothing refers to
 * for limits.series_idle. The engine saves the topology.
 *
 * Reads         entities, edges, changes, signals, alerts, commands (ack, resolve).
 * Writes        incidents (at most one opened or grew per push and incident), members, audits.
 * Bounds        1,024 incidents open or remembered, 32,768 members (8,192 in one incident),
 *               4,096 waiting signals, 1,024 changes. What does not fit is counted in
 *               ql_records_dropped_total{source="correlate"}; a full table of incidents
 *               first forgets the oldest resolved one.
 * Determinism   as stage.h; exp() only ranks links and meets thresholds.
 */
#ifndef QL_CORRELATE_CORRELATE_H
#define QL_CORRELATE_CORRELATE_H

#include "model/stage.h"

extern const struct ql_stage_type ql_correlate_stage;

/* New incidents get ids above `id`: those up to it were given in a life that is forgotten. Right
 * after open. */
void ql_correlate_ids_above(void *stage, uint64_t id);

#endif
