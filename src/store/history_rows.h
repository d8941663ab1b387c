/* history_rows.h - packed rows: one stream of a series' samples, or many bands, in one row.
 *
 * A stream is what ql_chunk makes, as long as four rows a page of the file allow. Samples come
 * back bit for bit. Bands are kept
 * thinner and narrower: the expected value as it was, its distances to the edges as the top half
 * of a float, rounded away from it.
 *
 * Units         times in ms.
 * Ownership     statements are the caller's: put_sql and read_sql below, prepared.
 * Errors        QL_E_IO (the file refuses, or holds what we did not write), QL_E_MEMORY, QL_E_FULL.
 */
#ifndef QL_STORE_HISTORY_ROWS_H
#define QL_STORE_HISTORY_ROWS_H

#include "model/batch.h"
#include "store/chunk.h"
#include "store/db.h"

/* How coarse a day is; every level has its forms of rows. */
enum ql_history_level {
    QL_HISTORY_LIVE,    /* chunks as they were sealed */
    QL_HISTORY_PACKED,  /* the same samples in packed rows */
    QL_HISTORY_MINUTES, /* cells of five minutes, a form a column */
    QL_HISTORY_HOURS    /* cells of an hour */
};
enum ql_history_form {
    QL_HISTORY_FORM_SAMPLES,
    QL_HISTORY_FORM_MINUTES,
    QL_HISTORY_FORM_HOURS = 8,
    QL_HISTORY_FORM_BANDS = 16,
    QL_HISTORY_FORM_COUNT
};

extern const char ql_history_rows_schema[], ql_history_rows_put_sql[], ql_history_rows_read_sql[];

QL_MUST_USE ql_err ql_history_rows_put(sqlite3_stmt *put, ql_series_id series, uint32_t form,
                                       const struct ql_sample *samples, uint32_t count);
/* Keeps one band in `every_ms`. */
QL_MUST_USE ql_err ql_history_rows_put_bands(sqlite3_stmt *put, ql_series_id series,
                                             const struct ql_band *bands, uint32_t count,
                                             int64_t every_ms);

/* All rows of a series that touch [from, to], and all of its cells: samples of each form to
 * forms[form] (NULL: not wanted), bands to `bands`. Whole rows: the caller cuts. */
struct ql_history_rows_out {
    struct ql_batch *forms[QL_HISTORY_FORM_COUNT];
    struct ql_batch *bands;
    uint32_t seen; /* bit i: there was a row of form i */
};
QL_MUST_USE ql_err ql_history_rows_read(sqlite3_stmt *read, ql_series_id series, int64_t from_ms,
                                        int64_t to_ms, struct ql_history_rows_out *out);
/* Decodes one chunk's used bytes to out->samples. */
QL_MUST_USE ql_err ql_history_rows_chunk(int64_t first_ms, int64_t last_ms, uint32_t count,
                                         uint32_t bits, ql_str data, struct ql_batch *out);

#endif
