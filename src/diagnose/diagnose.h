/* diagnose.h - asks for the data around an incident and names its likely causes.
 *
 * When an incident opens or grows the stage asks for the windows of its entities, of what
 * they call (two hops) and of who calls them (one hop). When the windows come, at the next
 * tick, it ranks (rank.h) and writes the list if the answer changed. It asks again 30 s,
 * 2 min and 5 min after, then every ten minutes, and 15 s after new members joined. An
 * answer that is not sure (QL_RANK_CONFIDENCE_MIN) is not written: "do not know".
 *
 * Reads         incidents, members, windows, signals, changes, edges.
 * Writes        window_requests, causes (rank 1 .. 8; a new rank 1 replaces the list).
 * Bounds        256 incidents at a time, 64 entities of members and 256 entities in all for
 *               each, 4,096 series a case, 1,024 changes remembered. What does not fit is
 *               counted in ql_records_dropped_total{source="diagnose"}.
 * Determinism   as stage.h; entities and series are ordered by id, so shards do not show.
 */
#ifndef QL_DIAGNOSE_DIAGNOSE_H
#define QL_DIAGNOSE_DIAGNOSE_H

#include "model/stage.h"

extern const struct ql_stage_type ql_diagnose_stage;

#endif
