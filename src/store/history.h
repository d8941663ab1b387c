/* history.h - samples and bands of every series for as long as configured.
 *
 * One SQLite file a day (history-YYYYMMDD.db) of compressed chunks; retention unlinks
 * whole days. A writer thread groups rows into transactions; the queue is bounded.
 *
 * Ownership     open/close; append copies.
 * Threads       append from shard threads; read from any thread.
 * Errors        append QL_E_FULL (queue full: counted by the caller); read QL_E_IO.
 */
#ifndef QL_STORE_HISTORY_H
#define QL_STORE_HISTORY_H

#include "base/base.h"
#include "base/stat.h"
#include "model/batch.h"
#include "store/chunk.h"

struct ql_history;

/* A sealed chunk with the bands that were recorded while it filled. Bands are relative:
 * series is ignored. */
#define QL_HISTORY_BANDS_MAX 8u
struct ql_history_row {
    ql_series_id series;
    struct ql_chunk chunk;
    uint32_t band_count, pad;
    struct ql_band bands[QL_HISTORY_BANDS_MAX];
};

QL_MUST_USE ql_err ql_history_open(const char *data_dir, double days, struct ql_stats *stats,
                                   struct ql_history **ret_history);
void ql_history_close(struct ql_history *history); /* writes what is queued first */
QL_MUST_USE ql_err ql_history_append(struct ql_history *history, const struct ql_history_row *row);
/* Waits until everything appended so far is committed; the error of the newest group. */
QL_MUST_USE ql_err ql_history_flush(struct ql_history *history);
/* Appends raw samples in [from, to] to out->samples, bands to out->bands, oldest first. */
QL_MUST_USE ql_err ql_history_read(struct ql_history *history, ql_series_id series, ql_time from,
                                   ql_time to, struct ql_batch *out);

#endif
