/* band_series.h - what was expected of a series, as series of its own.
 *
 * Named as others name them, so that panels made for those show these:
 *   yhat, yhat_lower, yhat_upper   the band each sample was expected in
 *   anomaly_score                  how far out: 0 on the expectation, 1 on the band's edge
 * with the labels of their series and for="its name"; its own label `for`, if it has one,
 * becomes exported_for. Counters were judged as rates, so their bands are of rates.
 *
 * Units         values in the unit of what was judged; the score has none.
 * Ownership     texts go to the caller's arena, samples to the caller's array.
 * Threads       any; pure.
 * Errors        labels: { NULL, 0 } when they are over a limit or there is no room.
 * Bounds        one pass over samples and bands.
 */
#ifndef QL_MODEL_BAND_SERIES_H
#define QL_MODEL_BAND_SERIES_H

#include "base/arena.h"
#include "base/base.h"
#include "model/record.h"

enum ql_band_series { QL_BAND_SCORE, QL_BAND_YHAT, QL_BAND_LOWER, QL_BAND_UPPER,
                      QL_BAND_SERIES_COUNT };
const char *ql_band_series_name(enum ql_band_series which); /* "anomaly_score", "yhat", ... */
ql_str ql_band_series_labels(struct ql_arena *arena, ql_str labels, enum ql_band_series which);

/* The samples of one of them from the judged samples and the bands of a series, both oldest
 * first. Each sample is held against the newest band at or before it, as bands are recorded
 * every so often, unless that is more than QL_BAND_HOLD old. Returns how many were written,
 * at most sample_count. */
#define QL_BAND_HOLD QL_S(7200)
#define QL_BAND_SCORE_MAX 1000.0
uint32_t ql_band_series_samples(enum ql_band_series which, const struct ql_sample *judged,
                                uint32_t sample_count, const struct ql_band *bands,
                                uint32_t band_count, struct ql_sample *ret_samples);
/* |value - expected| over the half of the band on that side, at most QL_BAND_SCORE_MAX. */
double ql_band_score(double value, const struct ql_band *band);

#endif
