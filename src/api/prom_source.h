/* prom_source.h - the engine's series, bands and alerts as one source for PromQL.
 *
 * Beside the series that came in there are series that stand for what Quell concluded:
 *   yhat, yhat_lower, yhat_upper   the band each sample was expected in
 *   anomaly_score                  how far out: 0 on the expectation, 1 on the band's edge
 *   ALERTS                         1 while an alert that came in fires or a signal is open
 * They are found only by a selector that asks for a name, so {job="x"} means the same here as
 * in a Prometheus. Bands and scores carry the labels of their series and for="its name".
 *
 * Ownership     new/free; what find and read return is borrowed as promql.h says.
 * Threads       one query, one source.
 * Bounds        QL_API_ALERT_ROWS_MAX alerts and as many signals are looked at; beyond that
 *               find fails with QL_E_FULL and says so, since leaving some out would be wrong.
 */
#ifndef QL_API_PROM_SOURCE_H
#define QL_API_PROM_SOURCE_H

#include "model/view.h"
#include "promql/promql.h"

#define QL_API_ALERT_ROWS_MAX 10000u

enum prom_kind { PROM_RAW, PROM_SCORE, PROM_YHAT, PROM_LOWER, PROM_UPPER, PROM_ALERTS };

struct prom_source;
QL_MUST_USE ql_err prom_source_new(const struct ql_view *view, const char *data_dir,
                                   struct prom_source **ret_source);
void prom_source_free(struct prom_source *source); /* NULL is fine */
const struct ql_promql_source *prom_source_of(struct prom_source *source);
const char *prom_kind_name(enum prom_kind kind); /* "anomaly_score", ...; "" for PROM_RAW */

/* The samples of a band series from the judged samples and the bands of its series, both
 * oldest first. Each sample is held against the newest band at or before it, unless that is
 * more than PROM_BAND_HOLD_MS old. Returns how many were written; at most sample_count. */
#define PROM_BAND_HOLD_MS INT64_C(7200000)
#define PROM_SCORE_MAX 1000.0
uint32_t prom_band_samples(enum prom_kind kind, const struct ql_sample *judged,
                           uint32_t sample_count, const struct ql_band *bands,
                           uint32_t band_count, struct ql_sample *ret_samples);
double prom_score(double value, const struct ql_band *band);

/* prom_alerts.c: the periods in which alerts fired, sorted by labels, then time. */
struct prom_period { ql_str labels; int64_t from_ms, to_ms; }; /* to_ms: INT64_MAX while it lasts */
QL_MUST_USE ql_err prom_alert_periods(const char *data_dir, int64_t from_ms, int64_t to_ms,
                                      struct ql_arena *arena, struct prom_period **ret_periods,
                                      uint32_t *ret_count);

#endif
