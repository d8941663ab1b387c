/* enrich.h - the stage that says what a series, an alert or a change is about.
 *
 * Reads points, alerts_in and changes_in; gives every series its entity the first time a point
 * of it passes; writes alerts and changes with their entity, and each entity's name once.
 * An entity that no label names stays 0, "unknown", which later stages treat as such.
 *
 * Bounds        QL_ENRICH_ENTITIES_MAX names remembered; beyond it a name may be told again.
 *               One look at a cache line that normalise has just touched a point.
 * Errors        as stage.h. What did not fit is counted as ql_enrich_dropped_total.
 * Determinism   a pure function of labels and order.
 */
#ifndef QL_ENRICH_ENRICH_H
#define QL_ENRICH_ENRICH_H

#include "model/stage.h"

#define QL_ENRICH_ENTITIES_MAX 1000000u

extern const struct ql_stage_type ql_enrich_stage;

#endif
