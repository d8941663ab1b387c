/* prom_source.h - the engine's series, bands and alerts as one source for PromQL.
 *
 * Beside the series that came in there are series that stand for what Quell concluded: those
 * of model/band_series.h, and ALERTS, which is 1 while an alert that came in fires or a signal
 * is open. They are found only by a selector that asks for a name, so {job="x"} means the same
 * here as in a Prometheus.
 *
 * Ownership     new/free; what find and read return is borrowed as promql.h says.
 * Threads       one query, one source.
 * Bounds        QL_API_ALERT_ROWS_MAX alerts and as many signals are looked at; beyond that
 *               find fails with QL_E_FULL and says so, since leaving some out would be wrong.
 */
#ifndef QL_API_PROM_SOURCE_H
#define QL_API_PROM_SOURCE_H

#include "model/band_series.h"
#include "model/view.h"
#include "promql/promql.h"

#define QL_API_ALERT_ROWS_MAX 10000u

enum prom_kind { PROM_RAW, PROM_BANDS, PROM_ALERTS = PROM_BANDS + QL_BAND_SERIES_COUNT };

struct prom_source;
QL_MUST_USE ql_err prom_source_new(const struct ql_view *view, const char *data_dir,
                                   struct prom_source **ret_source);
void prom_source_free(struct prom_source *source); /* NULL is fine */
const struct ql_promql_source *prom_source_of(struct prom_source *source);
/* The widest cell of history that was read so far, in ms; 0: every sample was there. */
int64_t prom_source_cell_ms(const struct prom_source *source);
/* "anomaly_score", ..., "ALERTS"; for kinds behind PROM_RAW. */
const char *prom_kind_name(uint32_t kind);

/* prom_alerts.c: the periods in which alerts fired, sorted by labels, then time. */
struct prom_period { ql_str labels; int64_t from_ms, to_ms; }; /* to_ms: INT64_MAX while it lasts */
QL_MUST_USE ql_err prom_alert_periods(const char *data_dir, int64_t from_ms, int64_t to_ms,
                                      struct ql_arena *arena, struct prom_period **ret_periods,
                                      uint32_t *ret_count);

#endif
