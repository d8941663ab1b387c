#include "store/history_rows.h"

#include "base/buf.h"

#include <math.h>

enum {
    ROW_BYTES_MAX = 960,   /* with its head a quarter of a page of 4096 */
    ROW_SAMPLES_MAX = 4096,
    HEAD_BYTES = 4,        /* count and bits of a stream */
    BAND_BYTES = 12
};
_Static_assert(ROW_BYTES_MAX <= QL_CHUNK_STREAM_BYTES_MAX, "a row is read at once");
_Static_assert(ROW_BYTES_MAX * 8 <= UINT16_MAX, "bits and count share a word");
#define ROW_SPAN_MS_MAX (INT64_C(1) << 31)

const char ql_history_rows_schema[] =
    "CREATE TABLE IF NOT EXISTS packed(series BLOB NOT NULL, form INTEGER NOT NULL,"
    " first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY(series, form, first_ms)) WITHOUT ROWID;";
const char ql_history_rows_put_sql[] =
    "INSERT OR REPLACE INTO packed(series, form, first_ms, last_ms, data) VALUES(?, ?, ?, ?, ?)";
/* Columns of cells are read as a whole: each is cut into rows where its own stream was full, so
 * that a range would take more cells of one column than of another. */
_Static_assert(QL_HISTORY_FORM_SAMPLES == 0 && QL_HISTORY_FORM_BANDS == 16, "between: cells");
const char ql_history_rows_read_sql[] =
    "SELECT form, first_ms, last_ms, data FROM packed"
    " WHERE series = ? AND ((first_ms <= ? AND last_ms >= ?) OR form BETWEEN 1 AND 15)"
    " ORDER BY form, first_ms";

/* ---- writing -------------------------------------------------------------------------- */

struct rows_put {
    sqlite3_stmt *put;
    ql_series_id series;
    uint32_t form;
    int64_t first_ms, last_ms;
    size_t bytes;
    char data[ROW_BYTES_MAX];
};

static void put_u32(struct rows_put *row, uint32_t v)
{
    QL_ASSERT(row->bytes + sizeof(v) <= sizeof(row->data));
    for (uint32_t i = 0; i < 4; i++) {
        row->data[row->bytes++] = (char)(v >> 8 * i);
    }
}

static ql_err row_write(struct rows_put *row)
{
    if (row->bytes == 0) {
        return QL_OK;
    }
    struct ql_bind bind = ql_bind_to(row->put);
    ql_bind_series(&bind, row->series);
    ql_bind_i64(&bind, row->form);
    ql_bind_i64(&bind, row->first_ms);
    ql_bind_i64(&bind, row->last_ms);
    ql_bind_blob(&bind, row->data, row->bytes);
    row->bytes = 0;
    return ql_bind_run(&bind);
}

/* Room for `bytes` at this time, if need be in a new row. */
static ql_err row_room(struct rows_put *row, int64_t first_ms, size_t bytes)
{
    ql_err err = QL_OK;
    if (row->bytes + bytes > sizeof(row->data) || first_ms - row->first_ms >= ROW_SPAN_MS_MAX) {
        err = row_write(row);
    }
    row->first_ms = row->bytes == 0 ? first_ms : row->first_ms;
    return err;
}

/* Moves the chunk's full bytes behind those of the row; false: they do not fit. */
static bool stream_drain(struct rows_put *row, struct ql_chunk *chunk, size_t spare)
{
    if (row->bytes + QL_CHUNK_DATA_BYTES + spare > sizeof(row->data)) {
        return false;
    }
    row->bytes += ql_chunk_drain(chunk, row->data + row->bytes);
    return true;
}

/* The stream ends here: its last bytes, its head, and the row into the file. */
static ql_err stream_write(struct rows_put *row, struct ql_chunk *chunk)
{
    const size_t bytes = (chunk->bits + 7u) / 8;
    QL_ASSERT(row->bytes + bytes <= sizeof(row->data));
    const uint32_t bits = (uint32_t)(row->bytes - HEAD_BYTES) * 8 + chunk->bits;
    memcpy(row->data + row->bytes, chunk->data, bytes);
    const size_t end = row->bytes + bytes;
    row->bytes = 0;
    put_u32(row, (uint32_t)chunk->count << 16 | bits);
    row->bytes = end;
    row->first_ms = chunk->first_ms;
    row->last_ms = chunk->last_ms;
    return row_write(row);
}

/* One odd value made the coder look for decimals no more; would it find them now? */
static bool stream_is_stuck(const struct ql_chunk *chunk, const struct ql_sample *samples,
                            uint32_t count)
{
    struct ql_chunk fresh;
    if (!ql_chunk_is_xor(chunk)) {
        return false;
    }
    ql_chunk_init(&fresh);
    for (uint32_t i = 0; i < count && ql_chunk_append(&fresh, samples[i]); i++) {
    }
    return !ql_chunk_is_xor(&fresh);
}

ql_err ql_history_rows_put(sqlite3_stmt *put, ql_series_id series, uint32_t form,
                           const struct ql_sample *samples, uint32_t count)
{
    struct rows_put row = { .put = put, .series = series, .form = form, .bytes = HEAD_BYTES };
    struct ql_chunk chunk;
    ql_err err = QL_OK;
    ql_chunk_init(&chunk);
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        const bool is_full = chunk.count == ROW_SAMPLES_MAX;
        if (!is_full && (ql_chunk_append(&chunk, samples[i]) ||
                         (!stream_is_stuck(&chunk, samples + i, count - i) &&
                          stream_drain(&row, &chunk, QL_CHUNK_DATA_BYTES) &&
                          ql_chunk_append(&chunk, samples[i])))) {
            continue;
        }
        err = stream_write(&row, &chunk);
        row.bytes = HEAD_BYTES;
        ql_chunk_init(&chunk);
        const bool fits = ql_chunk_append(&chunk, samples[i]);
        QL_ASSERT(fits);
    }
    return err == QL_OK && chunk.count > 0 ? stream_write(&row, &chunk) : err;
}

/* The top half of a float that is not less: a band may grow by 0.8 %, never shrink. */
static uint32_t float_up(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (!(v > 0.0f) || !isfinite(v)) {
        return bits >> 16;
    }
    return (bits + 0xffffu) >> 16;
}

static float float_of(uint32_t half)
{
    const uint32_t bits = half << 16;
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

ql_err ql_history_rows_put_bands(sqlite3_stmt *put, ql_series_id series,
                                 const struct ql_band *bands, uint32_t count, int64_t every_ms)
{
    struct rows_put row = { .put = put, .series = series, .form = QL_HISTORY_FORM_BANDS };
    int64_t kept_ms = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0, kept = 0; i < count && err == QL_OK; i++) {
        const int64_t at_ms = ql_time_to_ms(bands[i].at);
        uint32_t expected;
        if (kept > 0 && at_ms - kept_ms < every_ms) {
            continue;
        }
        kept_ms = at_ms;
        kept++;
        err = row_room(&row, at_ms, BAND_BYTES);
        if (err == QL_OK) {
            memcpy(&expected, &bands[i].expected, sizeof(expected));
            put_u32(&row, (uint32_t)(at_ms - row.first_ms));
            put_u32(&row, expected);
            put_u32(&row, float_up(bands[i].expected - bands[i].lower) << 16 |
                              float_up(bands[i].upper - bands[i].expected));
            row.last_ms = at_ms;
        }
    }
    return err == QL_OK ? row_write(&row) : err;
}

/* ---- reading -------------------------------------------------------------------------- */

ql_err ql_history_rows_chunk(int64_t first_ms, int64_t last_ms, uint32_t count, uint32_t bits,
                             ql_str data, struct ql_batch *out)
{
    struct ql_sample samples[QL_CHUNK_SAMPLES_MAX];
    struct ql_chunk chunk;
    uint32_t read = 0;
    if (data.bytes > sizeof(chunk.data)) {
        return QL_E_IO;
    }
    ql_chunk_init(&chunk);
    chunk.first_ms = first_ms;
    chunk.last_ms = last_ms;
    chunk.count = (uint16_t)count;
    chunk.bits = (uint16_t)bits;
    memcpy(chunk.data, data.at, data.bytes);
    if (ql_chunk_read(&chunk, offsetof(struct ql_chunk, data) + data.bytes, samples, &read) !=
        QL_OK) {
        return QL_E_IO; /* what we wrote does not come back: the file is damaged */
    }
    struct ql_sample *to = ql_batch_more_samples(out, read);
    if (to == NULL) {
        return QL_E_FULL;
    }
    memcpy(to, samples, read * sizeof(*to));
    return QL_OK;
}

static ql_err row_read_samples(ql_str data, int64_t first_ms, struct ql_batch *out)
{
    struct ql_reader in = ql_reader_of(data);
    const uint32_t count_bits = ql_reader_u32(&in), count = count_bits >> 16;
    const ql_str stream = { in.at, ql_reader_left(&in) };
    struct ql_sample *to = in.failed ? NULL : ql_batch_more_samples(out, count);
    if (to == NULL) {
        return in.failed ? QL_E_IO : QL_E_FULL;
    }
    return ql_chunk_read_stream(first_ms, count, count_bits & 0xffffu, stream, to) == QL_OK
               ? QL_OK : QL_E_IO; /* what we wrote does not come back: the file is damaged */
}

static ql_err row_read_bands(ql_str data, int64_t first_ms, struct ql_batch *out)
{
    struct ql_reader in = ql_reader_of(data);
    while (ql_reader_left(&in) >= BAND_BYTES) {
        const int64_t at_ms = first_ms + (int64_t)ql_reader_u32(&in);
        const uint32_t expected_bits = ql_reader_u32(&in), edges = ql_reader_u32(&in);
        float expected;
        struct ql_band *band = ql_batch_add_band(out);
        if (band == NULL) {
            return QL_E_FULL;
        }
        memcpy(&expected, &expected_bits, sizeof(expected));
        *band = (struct ql_band){ .at = ql_time_from_ms(at_ms), .expected = expected,
                                  .lower = expected - float_of(edges >> 16),
                                  .upper = expected + float_of(edges & 0xffffu) };
    }
    return QL_OK;
}

ql_err ql_history_rows_read(sqlite3_stmt *read, ql_series_id series, int64_t from_ms,
                            int64_t to_ms, struct ql_history_rows_out *out)
{
    ql_err err = QL_OK;
    struct ql_bind bind = ql_bind_to(read);
    ql_bind_series(&bind, series);
    ql_bind_i64(&bind, to_ms);
    ql_bind_i64(&bind, from_ms);
    while (err == QL_OK && ql_bind_row(&bind, &err)) {
        const uint32_t form = ql_column_u32(read, 0);
        const int64_t first_ms = ql_column_i64(read, 1);
        const ql_str data = ql_column_str(read, 3);
        if (form >= QL_HISTORY_FORM_COUNT + 0u) {
            continue; /* of a newer build: not ours to judge */
        }
        out->seen |= UINT32_C(1) << form;
        if (form == QL_HISTORY_FORM_BANDS) {
            err = out->bands != NULL ? row_read_bands(data, first_ms, out->bands) : QL_OK;
        } else if (out->forms[form] != NULL) {
            err = row_read_samples(data, first_ms, out->forms[form]);
        }
    }
    return err;
}
