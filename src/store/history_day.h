/* history_day.h - one day's file of history: packed rows in, samples and bands out.
 *
 * A row belongs to the day of its first sample; its last may lie days later, so each
 * file also keeps the newest time it holds.
 *
 * Units         a day is a number of days since 1970.
 * Ownership     open/close; a reader opens and closes by itself.
 * Threads       a struct ql_history_day belongs to one thread; the free functions to any.
 * Errors        QL_E_IO, QL_E_MEMORY, QL_E_VERSION (written by a newer build),
 *               QL_E_NOT_FOUND (reading: no such day), QL_E_FULL (out takes no more).
 */
#ifndef QL_STORE_HISTORY_DAY_H
#define QL_STORE_HISTORY_DAY_H

#include "base/base.h"
#include "base/buf.h"
#include "store/db.h"
#include "store/history.h"
#include "store/history_cell.h"

#define QL_HISTORY_PATH_BYTES 4096

int64_t ql_history_day_of(int64_t ms);
/* False when dir is too long. */
bool ql_history_day_path(const char *dir, int64_t day, char ret_path[QL_HISTORY_PATH_BYTES]);
/* "history-20260105.db" to its day. */
bool ql_history_day_parse(const char *file_name, int64_t *ret_day);
void ql_history_day_unlink(const char *dir, int64_t day);

/* A row as the queue and the file hold it; views into one run of bytes. */
struct ql_history_packed {
    ql_series_id series;
    int64_t first_ms, last_ms;
    uint16_t count, bits;
    ql_str data, bands; /* the chunk's used data; bands of QL_HISTORY_BAND_BYTES each. A row without
                         * samples is a name (history_names.h) */
};
#define QL_HISTORY_BAND_BYTES 24u
ql_err ql_history_pack(const struct ql_history_row *row, struct ql_buf *out);
bool ql_history_unpack(struct ql_reader *in, struct ql_history_packed *ret_row);

struct ql_history_day;
QL_MUST_USE ql_err ql_history_day_open(const char *dir, int64_t day,
                                       struct ql_history_day **ret_day);
void ql_history_day_close(struct ql_history_day *day); /* rolls back what was not committed */
QL_MUST_USE ql_err ql_history_day_put(struct ql_history_day *day,
                                      const struct ql_history_packed *row);
QL_MUST_USE ql_err ql_history_day_commit(struct ql_history_day *day);
/* After an error: renames a file that is damaged to *.damaged, so that the next open makes
 * a new one. Closes the day in any case. */
void ql_history_day_fail(const char *dir, int64_t number, struct ql_history_day *day);

/* A connection to a day that is there, for a rewrite. QL_E_NOT_FOUND. */
QL_MUST_USE ql_err ql_history_day_connect(const char *dir, int64_t day, sqlite3 **ret_db);

/* For reading, however full the disk is. QL_E_NOT_FOUND. */
QL_MUST_USE ql_err ql_history_day_open_read(const char *dir, int64_t day, sqlite3 **ret_db);

/* The newest time of a file, and the level (history_rows.h) that all of it has. */
QL_MUST_USE ql_err ql_history_day_head(const char *dir, int64_t day, int64_t *ret_last_ms,
                                       int64_t *ret_level);

/* One read over several days. */
struct ql_history_reading {
    struct ql_history_show show; /* the range and where to */
    int64_t cell_ms;             /* the widest cell that lies in it; 0: every sample is there */
    int64_t cells_end_ms;        /* where the last of them ends */
};
/* Appends what rows that touch the range hold; the caller cuts and sorts. */
QL_MUST_USE ql_err ql_history_day_read(const char *dir, int64_t day, ql_series_id series,
                                       struct ql_history_reading *reading);

#endif
