/* normalise.h - the first stage: from what was sent to what can be judged.
 *
 * Runs of samples become points: the series is found by the hash of its label bytes,
 * samples in the wrong order, far from now or not finite are refused and counted, counters
 * become rates, silence becomes one explicit hole. Spans become request, error and
 * duration series per service and call edges; log records a rate per service and severity.
 *
 * Reads         runs, samples, logs, spans.
 * Writes        points, retired (series that are forgotten), edges, entities (names of the
 *               services that edges speak of); rows of the series table.
 * Bounds        16 B a series, 4096 services (3 kB each once it has spans), 1024 names that
 *               are only called, 131072 spans that wait for their parent or child (16 B
 *               each); all touched lazily. What does not fit is counted in
 *               ql_records_dropped_total{source,reason}.
 * Determinism   integers, + - * / on doubles; nothing depends on addresses.
 */
#ifndef QL_NORMALISE_NORMALISE_H
#define QL_NORMALISE_NORMALISE_H

#include "model/stage.h"

extern const struct ql_stage_type ql_normalise_stage;

#endif
