/* enrich.h - the second stage: what each series, alert and change is about.
 *
 * The entity of a series follows from its labels once, when its first point passes; it is
 * written into the series table. Each entity is told with its name, and again now and then for
 * as long as samples, alerts or changes of it come (awake.h): the core forgets what is not told.
 *
 * Reads         points, alerts_in, changes_in, entities (those that normalise told).
 * Writes        entities, alerts, changes; the entity of rows of the series table.
 * Bounds        100,000 entities told in twenty minutes; what is beyond is used but not told,
 *               and counted. A point of a known series costs one look at its row; a tick, a look
 *               at as many rows as make all in a quarter of an hour.
 * Determinism   ids are hashes of the input.
 */
#ifndef QL_ENRICH_ENRICH_H
#define QL_ENRICH_ENRICH_H

#include "model/stage.h"

extern const struct ql_stage_type ql_enrich_stage;

#endif
