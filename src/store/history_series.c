#include "store/history_series.h"

#include "store/history_day.h"

#include <stdlib.h>

static const char chunks_sql[] =
    "SELECT first_ms, last_ms, count, bits, data, bands FROM chunks"
    " WHERE series = ? AND first_ms <= ? AND last_ms >= ? ORDER BY first_ms";

ql_err ql_history_statements_open(sqlite3 *db, struct ql_history_statements *ret)
{
    int64_t tables = 0;
    *ret = (struct ql_history_statements){ NULL, NULL };
    ql_err err = ql_db_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'packed'", 0,
                              &tables);
    err = err == QL_OK ? ql_db_prepare(db, chunks_sql, &ret->chunks) : err;
    return err == QL_OK && tables > 0 ? ql_db_prepare(db, ql_history_rows_read_sql, &ret->rows)
                                      : err;
}

void ql_history_statements_close(struct ql_history_statements *statements)
{
    ql_db_finalize_all(&statements->chunks, 1);
    ql_db_finalize_all(&statements->rows, 1);
}

void ql_history_gather_init(struct ql_history_gather *gather, struct ql_batch *raw)
{
    *gather = (struct ql_history_gather){ .raw = raw };
    ql_history_cells_init(&gather->minutes, QL_HISTORY_MINUTES_MS);
    ql_history_cells_init(&gather->hours, QL_HISTORY_HOURS_MS);
}

void ql_history_gather_fini(struct ql_history_gather *gather)
{
    ql_history_cells_fini(&gather->minutes);
    ql_history_cells_fini(&gather->hours);
}

/* ---- chunks as they were sealed --------------------------------------------------------- */

static ql_err chunk_bands(ql_str bytes, struct ql_batch *out)
{
    struct ql_reader in = ql_reader_of(bytes);
    while (ql_reader_left(&in) >= QL_HISTORY_BAND_BYTES) {
        const ql_time at = { ql_reader_i64(&in) };
        float values[4];
        memcpy(values, ql_reader_bytes(&in, sizeof(values)), sizeof(values));
        struct ql_band *band = ql_batch_add_band(out);
        if (band == NULL) {
            return QL_E_FULL;
        }
        *band = (struct ql_band){ .at = at, .expected = values[0], .lower = values[1],
                                  .upper = values[2], .surprise = values[3] };
    }
    return QL_OK;
}

static ql_err gather_chunks(sqlite3_stmt *chunks, ql_series_id series, int64_t from_ms,
                            int64_t to_ms, struct ql_history_gather *gather)
{
    ql_err err = QL_OK;
    struct ql_bind bind = ql_bind_to(chunks);
    ql_bind_series(&bind, series);
    ql_bind_i64(&bind, to_ms);
    ql_bind_i64(&bind, from_ms);
    while (err == QL_OK && ql_bind_row(&bind, &err)) {
        gather->has_chunks = true;
        err = ql_history_rows_chunk(ql_column_i64(chunks, 0), ql_column_i64(chunks, 1),
                                    ql_column_u32(chunks, 2), ql_column_u32(chunks, 3),
                                    ql_column_str(chunks, 4), gather->raw);
        err = err == QL_OK ? chunk_bands(ql_column_str(chunks, 5), gather->raw) : err;
    }
    return err;
}

/* ---- packed rows and cells -------------------------------------------------------------- */

enum { COLUMNS = 2 * QL_HISTORY_CELL_COLUMNS };

static uint32_t column_form(uint32_t i)
{
    return i < QL_HISTORY_CELL_COLUMNS
               ? QL_HISTORY_FORM_MINUTES + i
               : QL_HISTORY_FORM_HOURS + (i - QL_HISTORY_CELL_COLUMNS);
}

static ql_err gather_packed(sqlite3_stmt *rows, ql_series_id series, int64_t from_ms,
                            int64_t to_ms, struct ql_history_gather *gather)
{
    struct ql_batch columns[COLUMNS];
    struct ql_history_rows_out out = { .bands = gather->raw };
    out.forms[QL_HISTORY_FORM_SAMPLES] = gather->raw;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        ql_batch_init(&columns[i], 1);
        out.forms[column_form(i)] = &columns[i];
    }
    ql_err err = ql_history_rows_read(rows, series, from_ms, to_ms, &out);
    for (uint32_t i = 0; i < COLUMNS && err == QL_OK; i++) {
        err = ql_history_cells_load(i < QL_HISTORY_CELL_COLUMNS ? &gather->minutes : &gather->hours,
                                    i % QL_HISTORY_CELL_COLUMNS, columns[i].samples.at,
                                    columns[i].samples.count);
    }
    for (uint32_t i = 0; i < COLUMNS; i++) {
        ql_batch_fini(&columns[i]);
    }
    gather->seen = out.seen;
    return err;
}

ql_err ql_history_gather_series(const struct ql_history_statements *statements,
                                ql_series_id series, int64_t from_ms, int64_t to_ms,
                                struct ql_history_gather *gather)
{
    sqlite3 *db = sqlite3_db_handle(statements->chunks);
    const bool begins = sqlite3_get_autocommit(db) != 0;
    ql_err err = begins ? ql_db_run(db, "BEGIN") : QL_OK;
    if (err == QL_OK && statements->rows != NULL) {
        err = gather_packed(statements->rows, series, from_ms, to_ms, gather);
    }
    if (err == QL_OK) {
        err = gather_chunks(statements->chunks, series, from_ms, to_ms, gather);
    }
    if (begins && sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_reset(statements->chunks);
        (void)!ql_db_run(db, "COMMIT"); /* it read only */
    }
    return err;
}

/* ---- in order, and once ------------------------------------------------------------------ */

/* Equal times come in an order of their values, so that which one is kept is no accident. */
static int sample_order(const void *a, const void *b)
{
    const struct ql_sample *x = a, *y = b;
    uint64_t bits[2];
    memcpy(&bits[0], &x->value, sizeof(bits[0]));
    memcpy(&bits[1], &y->value, sizeof(bits[1]));
    return x->at.ns != y->at.ns ? (x->at.ns < y->at.ns ? -1 : 1)
                                : (bits[0] > bits[1]) - (bits[0] < bits[1]);
}

static int band_order(const void *a, const void *b)
{
    const struct ql_band *x = a, *y = b;
    return x->at.ns != y->at.ns ? (x->at.ns < y->at.ns ? -1 : 1)
                                : memcmp(&x->expected, &y->expected, sizeof(x->expected));
}

void ql_history_tidy_samples(struct ql_batch *batch, uint32_t first, ql_time from, ql_time to)
{
    struct ql_sample *at = batch->samples.at;
    const uint32_t count = batch->samples.count;
    bool sorted = true;
    for (uint32_t i = first + 1; i < count && sorted; i++) {
        sorted = at[i - 1].at.ns < at[i].at.ns;
    }
    if (!sorted) {
        qsort(at + first, count - first, sizeof(*at), sample_order);
    }
    uint32_t kept = first;
    for (uint32_t i = first; i < count; i++) {
        if (at[i].at.ns >= from.ns && at[i].at.ns <= to.ns &&
            (kept == first || at[i].at.ns != at[kept - 1].at.ns)) {
            at[kept++] = at[i];
        }
    }
    batch->samples.count = kept;
}

void ql_history_tidy_bands(struct ql_batch *batch, uint32_t first, ql_time from, ql_time to)
{
    struct ql_band *at = batch->bands.at;
    const uint32_t count = batch->bands.count;
    if (count > first + 1) {
        qsort(at + first, count - first, sizeof(*at), band_order);
    }
    uint32_t kept = first;
    for (uint32_t i = first; i < count; i++) {
        if (at[i].at.ns >= from.ns && at[i].at.ns <= to.ns &&
            (kept == first || at[i].at.ns != at[kept - 1].at.ns)) {
            at[kept++] = at[i];
        }
    }
    batch->bands.count = kept;
}
