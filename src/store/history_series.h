/* history_series.h - one series of one day's file, whatever forms it lies there in.
 *
 * Ownership     open/close the statements of a connection; init/fini what is gathered.
 * Errors        QL_E_IO, QL_E_MEMORY, QL_E_FULL.
 * Bounds        what one series has in a day.
 */
#ifndef QL_STORE_HISTORY_SERIES_H
#define QL_STORE_HISTORY_SERIES_H

#include "store/history_cell.h"
#include "store/history_rows.h"

struct ql_history_statements { sqlite3_stmt *chunks, *rows; /* rows NULL: an older file */ };
QL_MUST_USE ql_err ql_history_statements_open(sqlite3 *db, struct ql_history_statements *ret);
void ql_history_statements_close(struct ql_history_statements *statements);

struct ql_history_gather {
    struct ql_batch *raw;                    /* samples and bands are appended here */
    struct ql_history_cells minutes, hours;
    bool has_chunks;
    uint32_t seen;                           /* forms of packed rows, as bits */
};
void ql_history_gather_init(struct ql_history_gather *gather, struct ql_batch *raw);
void ql_history_gather_fini(struct ql_history_gather *gather);
/* All rows that touch [from, to]; samples are not cut to it. Both in one transaction, so that a
 * rewrite meanwhile is seen whole or not at all. */
QL_MUST_USE ql_err ql_history_gather_series(const struct ql_history_statements *statements,
                                            ql_series_id series, int64_t from_ms, int64_t to_ms,
                                            struct ql_history_gather *gather);
/* From `first` on: sorts what is not sorted, drops what is out of [from, to] or there twice. */
void ql_history_tidy_samples(struct ql_batch *batch, uint32_t first, ql_time from, ql_time to);
void ql_history_tidy_bands(struct ql_batch *batch, uint32_t first, ql_time from, ql_time to);

#endif
