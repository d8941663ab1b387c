/* slo.h - promises, and how fast what may go wrong of them is used up.
 *
 * Two stages. Each shard counts the events of its series (ql_slo_count_stage): by SLO, entity
 * and minute, as whole numbers, so that the core's sums are the same however many shards
 * there are. The core (ql_slo_stage) keeps a ring of minutes and one of hours per SLO and
 * judges it once a minute, 15 s after the minute's end: a page when 14.4 times the allowed
 * share is bad over 1 h and over 5 m, a ticket at 6 times over 6 h and 30 m.
 *
 * Counters      an increase counts in the minutes since the sample before it, evenly, at most
 *               an hour back; a fall is a restart from zero. The first sample says nothing.
 *               Gauges are rates per second. Of `match`, each value is one event.
 * Recovery      the short window is calm with data in at least half of its minutes. A series
 *               that went silent within an hour of bad events holds it up for an hour. What
 *               gets no data for a day is given up.
 *
 * Policies      the labels of the signal, slo_burn_rate{slo,severity}, decide (policy/ruling.h).
 *               What one holds is told at the first judgement after that at which the last five
 *               minutes burn as well.
 *
 * Reads         points, retired (count); slo_parts, changes (core).
 * Writes        slo_parts (count); signals, entities (core).
 * Bounds        QL_CONFIG_SLOS_MAX SLOs; per shard 65,536 series that count, each for at most
 *               16 sides of SLOs, and 32,768 parts between two flushes; per SLO 47 kB of rings.
 *               What does not fit is counted in ql_slo_dropped_total. Nothing without an SLO.
 * Determinism   sums are integers; 2^42 events a part are the most.
 */
#ifndef QL_SLO_SLO_H
#define QL_SLO_SLO_H

#include "model/stage.h"

extern const struct ql_stage_type ql_slo_count_stage;
extern const struct ql_stage_type ql_slo_stage;

/* Every SLO as it stood at its last judgement; borrowed until the next tick, load or
 * adopt_config. `version` moves when there is something new. */
const struct ql_slo_state *ql_slo_states(const void *stage, uint32_t *ret_count,
                                         uint64_t *ret_version);

#endif
