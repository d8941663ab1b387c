/* act.h - what may be done about a cause, and everything that must be true first.
 *
 * A runbook of the configuration that matches the best suspect becomes a proposal; it
 * runs only when every gate of gates.def passes, one step at a time, in another process
 * (src/actuator), and it has worked only when the signals that called for it are closed
 * while their data still comes. A run that did not help counts as a strike; after
 * attempts_max strikes on an entity the runbook stops there until a person says otherwise.
 * Life cycle: moves.def. For people: docs/runbooks.md.
 *
 * One action is one step of one run: its id is a hash of incident, entity, runbook, attempt
 * and step, so a replay asks for nothing twice. Every change of state is an action record and
 * an audit record. APPROVE on an action that awaits approval starts it; APPROVE on one
 * that has escalated lifts the stop; REJECT ends an awaiting one.
 *
 * Reads         incidents, members, signals, causes (rank 1), commands, outcomes, and
 *               names of entities from env->topology.
 * Writes        actions, audits.
 * Bounds        QL_ACT_CASES_MAX incidents, 32,768 signals in them, QL_ACT_RUNS_MAX runs at
 *               a time, 4,096 pairs of entity and runbook remembered; what does not fit is
 *               counted in ql_records_dropped_total{source="act"} and nothing is run for it.
 * Determinism   as stage.h; time is the `now` of push and tick.
 */
#ifndef QL_ACT_ACT_H
#define QL_ACT_ACT_H

#include "model/stage.h"

#define QL_ACT_CASES_MAX 1024u
#define QL_ACT_RUNS_MAX 64u

extern const struct ql_stage_type ql_act_stage;

/* The id of one step of one run. The entity is part of it: when another suspect comes to the
 * top, the same runbook starts counting its attempts there. */
struct ql_act_key {
    ql_id incident;
    ql_entity_id entity;
    ql_str runbook;
    uint32_t attempt, step;
};
ql_id ql_act_id(const struct ql_act_key *key);

#endif
