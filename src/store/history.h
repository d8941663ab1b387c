/* history.h - samples and bands of every series for as long as configured.
 *
 * One SQLite file a day (history/history-YYYYMMDD.db) of compressed chunks; retention unlinks
 * whole days. A writer thread groups rows into transactions; the queue is bounded. A row
 * is named by its series and first time: writing it again, as a replay after a crash
 * does, changes nothing, and a longer row replaces a shorter one. While the disk is full
 * or read-only the queue keeps its rows and the writer tries again every few seconds.
 *
 * Ownership     open/close; append copies.
 * Threads       append from shard threads; flush and read from any thread.
 * Errors        open QL_E_IO, QL_E_MEMORY, QL_E_VERSION; append QL_E_FULL (queue full:
 *               counted by the caller); read QL_E_IO, QL_E_FULL (more than a batch takes);
 *               flush QL_E_IO (the disk refuses), QL_E_TIMEOUT. A file that is no database is set aside as
 *               *.damaged.
 * Bounds        queue 32 MiB of packed rows; a read opens the days it needs.
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
/* Waits until all that was appended before is on disk. On error it is not, and is kept. */
QL_MUST_USE ql_err ql_history_flush(struct ql_history *history);
/* Appends raw samples in [from, to] to out->samples, bands to out->bands, oldest first;
 * what was appended before the call is included unless the disk refuses it. */
QL_MUST_USE ql_err ql_history_read(struct ql_history *history, ql_series_id series, ql_time from,
                                   ql_time to, struct ql_batch *out);

#endif
