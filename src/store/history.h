/* history.h - samples and bands of every series for as long as configured.
 *
 * One SQLite file a day (history/history-YYYYMMDD.db) of compressed chunks. Between two writes
 * the writer thread makes old days smaller, a few series at a time: first every sample in fewer
 * rows, then cells of five minutes, then of an hour (history_rewrite.h, history_cell.h). Retention
 * unlinks whole days, the oldest first, by age and by size. The thread groups rows into
 * transactions; the queue is bounded. A row is named by its series and first time: writing it
 * again, as a replay after a crash does, changes nothing, and a longer row replaces a shorter one.
 * While the disk is full
 * or read-only the queue keeps its rows and the writer tries again every few seconds.
 *
 * Ownership     open/close; append copies.
 * Threads       append from shard threads; flush and read from any thread.
 * Errors        open QL_E_IO, QL_E_MEMORY, QL_E_VERSION; append QL_E_FULL (queue full:
 *               counted by the caller); read QL_E_IO, QL_E_FULL (more than a batch takes);
 *               flush QL_E_IO (the disk refuses), QL_E_TIMEOUT. A file that is no database is
 *               set aside as *.damaged.
 * Bounds        queue 32 MiB of packed rows; a read opens the days it needs; a step of rewriting
 *               takes about 25 ms, and a quarter of the writer's time at most.
 */
#ifndef QL_STORE_HISTORY_H
#define QL_STORE_HISTORY_H

#include "base/base.h"
#include "base/stat.h"
#include "model/batch.h"
#include "model/view.h"
#include "store/chunk.h"

struct ql_history;
struct ql_selector;

/* A sealed chunk with the bands that were recorded while it filled. Bands are relative:
 * series is ignored. */
#define QL_HISTORY_BANDS_MAX 8u
struct ql_history_row {
    ql_series_id series;
    struct ql_chunk chunk;
    uint32_t band_count, pad;
    struct ql_band bands[QL_HISTORY_BANDS_MAX];
};

struct ql_history_limits {
    double days;                /* older days are removed */
    double raw_s, minutes_s;    /* older days become cells of five minutes, of an hour; 0: never */
    int64_t bytes_max;          /* the oldest days are removed beyond it; 0: no limit */
};
QL_MUST_USE ql_err ql_history_open(const char *data_dir, const struct ql_history_limits *limits,
                                   struct ql_stats *stats, struct ql_history **ret_history);
void ql_history_close(struct ql_history *history); /* writes what is queued first */
QL_MUST_USE ql_err ql_history_append(struct ql_history *history, const struct ql_history_row *row);
/* What a series was called that is forgotten at `now`; labels, type, step_ms and last_at count. As
 * a row, it is written with those that were appended before. QL_E_FULL. */
QL_MUST_USE ql_err ql_history_append_name(struct ql_history *history,
                                          const struct ql_series_info *info, ql_time now);
/* Waits until all that was appended before is on disk. On error it is not, and is kept. */
QL_MUST_USE ql_err ql_history_flush(struct ql_history *history);
/* Does at once whatever is due of making old days smaller, and waits for it: for tests, benches
 * and tools. QL_E_IO, QL_E_TIMEOUT after ten minutes. */
QL_MUST_USE ql_err ql_history_tidy(struct ql_history *history);

/* What stands for a cell when it is read. */
enum ql_history_take { QL_HISTORY_MEAN, QL_HISTORY_LAST, QL_HISTORY_LEAST, QL_HISTORY_GREATEST };
/* Appends raw samples in [from, to] to out->samples, bands to out->bands, oldest first, no two at
 * one time; what was appended before the call is included, or out->behind says that it may not be
 * all: the disk refuses it, or took more than two seconds. Days that
 * are cells give samples as history_cell.h says, and ret_cell_ms (may be NULL) tells the widest
 * cell that was met; 0: every sample is there. */
QL_MUST_USE ql_err ql_history_read(struct ql_history *history, ql_series_id series, ql_time from,
                                   ql_time to, enum ql_history_take take, struct ql_batch *out,
                                   int64_t *ret_cell_ms);
/* Forgotten series that the selector matches and whose last sample is not before `from`, at most
 * count_max into ret_infos; a series that came back since is among them. */
QL_MUST_USE ql_err ql_history_names(struct ql_history *history, struct ql_selector *selector,
                                    ql_time from, uint32_t count_max, struct ql_arena *texts,
                                    struct ql_series_info *ret_infos, uint32_t *ret_count);
/* One of them. QL_E_NOT_FOUND. */
QL_MUST_USE ql_err ql_history_name(struct ql_history *history, ql_series_id series,
                                   struct ql_arena *texts, struct ql_series_info *ret_info);
/* As ql_history_read, from the files alone, while whoever owns them may be at work: for tools. Cells give
 * their means; samples before *ret_cells_until may be such (QL_TIME_NONE: every sample is there). */
QL_MUST_USE ql_err ql_history_peek(const char *data_dir, ql_series_id series, ql_time from,
                                   ql_time to, struct ql_batch *out, ql_time *ret_cells_until);

#endif
