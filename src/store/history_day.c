#include "store/history_day.h"

#include "store/db.h"
#include "store/history_names.h"
#include "store/history_rows.h"
#include "store/history_series.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SCHEMA_VERSION = 2, DAY_MS = 86400000, READ_BUSY_MS = 5000 };

/* Clustered by series, so that a plot reads neighbouring pages. The chunk's head is in the
 * columns; what the coder needs for appending is not kept. */
static const char schema_sql[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE IF NOT EXISTS chunks(series BLOB NOT NULL, first_ms INTEGER NOT NULL,"
    " last_ms INTEGER NOT NULL, count INTEGER NOT NULL, bits INTEGER NOT NULL,"
    " data BLOB NOT NULL, bands BLOB, PRIMARY KEY(series, first_ms)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;"
    "PRAGMA user_version=2;"
    "COMMIT";

static const char put_sql[] =
    "INSERT INTO chunks(series, first_ms, last_ms, count, bits, data, bands)"
    " VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(series, first_ms) DO UPDATE SET"
    " last_ms = excluded.last_ms, count = excluded.count, bits = excluded.bits,"
    " data = excluded.data, bands = excluded.bands WHERE excluded.count > chunks.count";
static const char last_sql[] =
    "INSERT INTO meta VALUES('last_ms', ?) ON CONFLICT(key) DO UPDATE SET"
    " value = max(value, excluded.value)";
/* Rows that come late lie there as they came, however coarse the rest is. */
static const char late_sql[] = "UPDATE meta SET value = 0 WHERE key = 'level'";

struct ql_history_day {
    sqlite3 *db;
    sqlite3_stmt *put, *put_name, *last, *late;
    int64_t last_ms; /* of the rows in the open transaction */
    bool begun;
};

/* ---- names ------------------------------------------------------------------------ */

int64_t ql_history_day_of(int64_t ms)
{
    return ms >= 0 ? ms / DAY_MS : (ms - (DAY_MS - 1)) / DAY_MS;
}

bool ql_history_day_path(const char *dir, int64_t day, char ret_path[QL_HISTORY_PATH_BYTES])
{
    char date[QL_TIME_TEXT_BYTES];
    (void)ql_time_text(ql_time_from_ms(day * DAY_MS), date);
    const int bytes = snprintf(ret_path, QL_HISTORY_PATH_BYTES, "%s/history-%.4s%.2s%.2s.db", dir,
                               date, date + 5, date + 8);
    return bytes > 0 && bytes < QL_HISTORY_PATH_BYTES - 16; /* room for "-wal", ".damaged" */
}

bool ql_history_day_parse(const char *file_name, int64_t *ret_day)
{
    char date[16];
    ql_time at;
    const ql_str name = ql_str_of(file_name);
    if (name.bytes != strlen("history-YYYYMMDD.db") || !ql_str_starts(name, QL_STR("history-")) ||
        !ql_str_ends(name, QL_STR(".db"))) {
        return false;
    }
    (void)snprintf(date, sizeof(date), "%.4s-%.2s-%.2s", name.at + 8, name.at + 12, name.at + 14);
    if (ql_str_to_time(ql_str_of(date), &at) != QL_OK) {
        return false;
    }
    *ret_day = ql_history_day_of(ql_time_to_ms(at));
    return true;
}

void ql_history_day_unlink(const char *dir, int64_t day)
{
    static const char *const tails[] = { "-wal", "-shm", "" };
    char path[QL_HISTORY_PATH_BYTES];
    if (!ql_history_day_path(dir, day, path)) {
        return;
    }
    const size_t bytes = strlen(path);
    for (size_t i = 0; i < QL_COUNT_OF(tails); i++) {
        memcpy(path + bytes, tails[i], strlen(tails[i]) + 1);
        (void)unlink(path);
    }
}

/* ---- rows as bytes ---------------------------------------------------------------- */

ql_err ql_history_pack(const struct ql_history_row *row, struct ql_buf *out)
{
    const struct ql_chunk *chunk = &row->chunk;
    const size_t data_bytes = ql_chunk_used(chunk) - offsetof(struct ql_chunk, data);
    char *room;
    QL_ASSERT(row->band_count <= QL_HISTORY_BANDS_MAX);
    /* All or nothing: half a row would make the rows behind it unreadable. */
    const ql_err err = ql_buf_reserve(out, 64 + data_bytes +
                                           row->band_count * QL_HISTORY_BAND_BYTES, &room);
    if (err != QL_OK) {
        return err;
    }
    (void)ql_buf_u64(out, row->series.h.high);
    (void)ql_buf_u64(out, row->series.h.low);
    (void)ql_buf_i64(out, chunk->first_ms);
    (void)ql_buf_i64(out, chunk->last_ms);
    (void)ql_buf_u32(out, (uint32_t)chunk->count << 16 | chunk->bits);
    (void)ql_buf_lstr(out, (ql_str){ (const char *)chunk->data, data_bytes });
    (void)ql_buf_u32(out, row->band_count * QL_HISTORY_BAND_BYTES);
    for (uint32_t i = 0; i < row->band_count; i++) {
        (void)ql_buf_i64(out, row->bands[i].at.ns);
        (void)ql_buf_put(out, &row->bands[i].expected, sizeof(float));
        (void)ql_buf_put(out, &row->bands[i].lower, sizeof(float));
        (void)ql_buf_put(out, &row->bands[i].upper, sizeof(float));
        (void)ql_buf_put(out, &row->bands[i].surprise, sizeof(float));
    }
    return ql_buf_check(out);
}

bool ql_history_unpack(struct ql_reader *in, struct ql_history_packed *ret_row)
{
    struct ql_history_packed row;
    row.series.h.high = ql_reader_u64(in);
    row.series.h.low = ql_reader_u64(in);
    row.first_ms = ql_reader_i64(in);
    row.last_ms = ql_reader_i64(in);
    const uint32_t count_bits = ql_reader_u32(in);
    row.count = (uint16_t)(count_bits >> 16);
    row.bits = (uint16_t)count_bits;
    row.data = ql_reader_lstr(in);
    row.bands = ql_reader_lstr(in);
    if (in->failed) {
        return false;
    }
    *ret_row = row;
    return true;
}

/* ---- writing ---------------------------------------------------------------------- */

static void day_set_aside(const char *dir, int64_t number)
{
    char path[QL_HISTORY_PATH_BYTES], aside[QL_HISTORY_PATH_BYTES];
    if (ql_history_day_path(dir, number, path)) {
        (void)snprintf(aside, sizeof(aside), "%.4000s.damaged", path);
        (void)rename(path, aside);
        ql_history_day_unlink(dir, number); /* its log belongs to the old file */
    }
}

/* A file that is no database would refuse every row of its day for ever. */
static bool day_is_foreign(const char *path)
{
    char head[16];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    const size_t bytes = fread(head, 1, sizeof(head), file);
    (void)fclose(file);
    return bytes > 0 && (bytes < sizeof(head) || memcmp(head, "SQLite format 3", 16) != 0);
}

void ql_history_day_fail(const char *dir, int64_t number, struct ql_history_day *day)
{
    const int code = day->db == NULL ? SQLITE_OK : sqlite3_errcode(day->db) & 0xff;
    ql_history_day_close(day);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
        day_set_aside(dir, number);
    }
}

static ql_err day_schema(sqlite3 *db)
{
    const ql_err err = ql_db_run(db, ql_history_rows_schema);
    return err == QL_OK ? ql_db_run(db, schema_sql) : err;
}

static ql_err day_prepare(struct ql_history_day *day)
{
    int64_t version = 0;
    ql_err err = ql_db_number(day->db, "PRAGMA user_version", 0, &version);
    err = err == QL_OK && version > SCHEMA_VERSION ? QL_E_VERSION : err;
    err = err == QL_OK ? ql_db_run(day->db, "PRAGMA synchronous=FULL") : err;
    /* While nothing stands in the file, pages that become free can be set to be given back. */
    err = err == QL_OK && version == 0
              ? ql_db_run(day->db, "PRAGMA auto_vacuum=INCREMENTAL; VACUUM") : err;
    err = err == QL_OK && version < SCHEMA_VERSION ? day_schema(day->db) : err;
    err = err == QL_OK ? ql_db_prepare(day->db, put_sql, &day->put) : err;
    err = err == QL_OK ? ql_db_prepare(day->db, late_sql, &day->late) : err;
    return err == QL_OK ? ql_db_prepare(day->db, last_sql, &day->last) : err;
}

ql_err ql_history_day_open(const char *dir, int64_t number, struct ql_history_day **ret_day)
{
    char path[QL_HISTORY_PATH_BYTES];
    if (!ql_history_day_path(dir, number, path)) {
        return QL_E_IO;
    }
    if (day_is_foreign(path)) {
        day_set_aside(dir, number);
    }
    struct ql_history_day *day = calloc(1, sizeof(*day));
    if (day == NULL) {
        return QL_E_MEMORY;
    }
    day->last_ms = INT64_MIN;
    ql_err err = ql_db_open(path, QL_DB_WRITE, &day->db);
    err = err == QL_OK ? day_prepare(day) : err;
    if (err != QL_OK) {
        ql_history_day_fail(dir, number, day);
        return err;
    }
    *ret_day = day;
    return QL_OK;
}

void ql_history_day_close(struct ql_history_day *day)
{
    if (day != NULL) {
        ql_db_finalize_all(&day->put, 1);
        ql_db_finalize_all(&day->put_name, 1);
        ql_db_finalize_all(&day->last, 1);
        ql_db_finalize_all(&day->late, 1);
        ql_db_close(day->db);
        free(day);
    }
}

/* Most days have no names, and spare the room. */
static ql_err day_put_name(struct ql_history_day *day, const struct ql_history_packed *row)
{
    ql_err err = QL_OK;
    if (day->put_name == NULL) {
        err = ql_db_run(day->db, ql_history_names_schema);
        err = err == QL_OK ? ql_db_prepare(day->db, ql_history_names_put_sql, &day->put_name) : err;
    }
    return err == QL_OK ? ql_history_names_put(day->put_name, row) : err;
}

ql_err ql_history_day_put(struct ql_history_day *day, const struct ql_history_packed *row)
{
    if (!day->begun) {
        const ql_err err = ql_db_run(day->db, "BEGIN IMMEDIATE");
        if (err != QL_OK) {
            return err;
        }
        day->begun = true;
    }
    day->last_ms = row->last_ms > day->last_ms ? row->last_ms : day->last_ms;
    if (ql_history_names_is_one(row)) {
        return day_put_name(day, row);
    }
    struct ql_bind bind = ql_bind_to(day->put);
    ql_bind_series(&bind, row->series);
    ql_bind_i64(&bind, row->first_ms);
    ql_bind_i64(&bind, row->last_ms);
    ql_bind_i64(&bind, row->count);
    ql_bind_i64(&bind, row->bits);
    ql_bind_blob(&bind, row->data.at, row->data.bytes);
    ql_bind_blob(&bind, row->bands.at, row->bands.bytes);
    return ql_bind_run(&bind);
}

ql_err ql_history_day_commit(struct ql_history_day *day)
{
    if (!day->begun) {
        return QL_OK;
    }
    struct ql_bind bind = ql_bind_to(day->last);
    ql_bind_i64(&bind, day->last_ms);
    struct ql_bind late = ql_bind_to(day->late);
    ql_err err = ql_bind_run(&bind);
    err = err == QL_OK ? ql_bind_run(&late) : err;
    err = err == QL_OK ? ql_db_run(day->db, "COMMIT") : err;
    day->begun = err != QL_OK;
    return err;
}

/* ---- reading ---------------------------------------------------------------------- */

static const char probe_sql[] = "PRAGMA user_version";

static bool day_handle(const char *path, sqlite3 **ret_db)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, ret_db, flags, NULL) != SQLITE_OK) {
        ql_db_close(*ret_db); /* open hands out a handle even when it fails */
        return false;
    }
    (void)sqlite3_busy_timeout(*ret_db, READ_BUSY_MS);
    return true;
}

/* A full disk has no room for the index that connections share (32 kB beside the file). Whoever
 * locks all others out keeps it in memory: what is stored stays readable, one reader at a time. */
static ql_err day_open_alone(const char *path, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    int64_t version;
    if (!day_handle(path, &db)) {
        return QL_E_IO;
    }
    ql_err err = ql_db_run(db, "PRAGMA locking_mode=EXCLUSIVE");
    err = err == QL_OK ? ql_db_number(db, probe_sql, 0, &version) : err;
    if (err != QL_OK) {
        ql_db_close(db);
        return err;
    }
    *ret_db = db;
    return QL_OK;
}

/* Opens for writing where it can, though nothing is written: only then does SQLite remove
 * its log and index when the last connection of an old day closes. */
ql_err ql_history_day_open_read(const char *dir, int64_t day, sqlite3 **ret_db)
{
    char path[QL_HISTORY_PATH_BYTES];
    sqlite3 *db = NULL;
    int64_t version;
    if (!ql_history_day_path(dir, day, path)) {
        return QL_E_IO;
    }
    if (!day_handle(path, &db)) {
        return ql_db_open(path, QL_DB_READ, ret_db);
    }
    if (ql_db_number(db, probe_sql, 0, &version) == QL_E_IO &&
        (sqlite3_errcode(db) & 0xff) != SQLITE_BUSY) {
        ql_db_close(db);
        return day_open_alone(path, ret_db);
    }
    *ret_db = db;
    return QL_OK;
}

ql_err ql_history_day_connect(const char *dir, int64_t number, sqlite3 **ret_db)
{
    char path[QL_HISTORY_PATH_BYTES];
    struct ql_history_day *day;
    if (!ql_history_day_path(dir, number, path)) {
        return QL_E_IO;
    }
    if (access(path, F_OK) != 0) {
        return QL_E_NOT_FOUND;
    }
    const ql_err err = ql_history_day_open(dir, number, &day);
    if (err == QL_OK) {
        *ret_db = day->db;
        day->db = NULL;
        ql_history_day_close(day);
    }
    return err;
}

ql_err ql_history_day_head(const char *dir, int64_t day, int64_t *ret_last_ms,
                           int64_t *ret_level)
{
    sqlite3 *db;
    ql_err err = ql_history_day_open_read(dir, day, &db);
    if (err == QL_OK) {
        err = ql_db_number(db, "SELECT value FROM meta WHERE key = 'last_ms'", day * DAY_MS,
                           ret_last_ms);
        err = err == QL_OK ? ql_db_number(db, "SELECT value FROM meta WHERE key = 'level'",
                                          QL_HISTORY_LIVE, ret_level) : err;
        ql_db_close(db);
    }
    return err;
}

/* Cells of the whole day were read: which of them lie in the range? */
static void day_note_cells(struct ql_history_reading *reading, const struct ql_history_cells *cells)
{
    const struct ql_history_show *show = &reading->show;
    for (uint32_t i = 0; i < cells->count; i++) {
        const int64_t at_ms = cells->at[i].at_ms, end_ms = at_ms + cells->width_ms;
        if (at_ms > show->to_ms || end_ms <= show->from_ms) {
            continue;
        }
        reading->cell_ms = cells->width_ms > reading->cell_ms ? cells->width_ms : reading->cell_ms;
        reading->cells_end_ms = reading->cells_end_ms == 0 || end_ms > reading->cells_end_ms
                                    ? end_ms : reading->cells_end_ms;
    }
}

/* The samples that were read since `first` are finer than a cell that is open. */
static ql_err day_show(const struct ql_history_gather *gather, uint32_t first,
                       struct ql_history_reading *reading)
{
    struct ql_history_show *show = &reading->show;
    const struct ql_batch *out = show->out;
    day_note_cells(reading, &gather->hours);
    day_note_cells(reading, &gather->minutes);
    ql_err err = QL_OK;
    if (out->samples.count > first && gather->hours.count == 0 && gather->minutes.count == 0) {
        const struct ql_sample *s = &out->samples.at[first];
        const int64_t at_ms = ql_time_to_ms(s->at);
        err = ql_history_show_end(show, &(struct ql_history_next){ at_ms, at_ms, s->value });
    }
    err = err == QL_OK ? ql_history_show_cells(show, &gather->hours) : err;
    return err == QL_OK ? ql_history_show_cells(show, &gather->minutes) : err;
}

ql_err ql_history_day_read(const char *dir, int64_t day, ql_series_id series,
                           struct ql_history_reading *reading)
{
    struct ql_history_statements statements;
    struct ql_history_gather gather;
    sqlite3 *db;
    ql_err err = ql_history_day_open_read(dir, day, &db);
    if (err != QL_OK) {
        return err;
    }
    struct ql_batch *out = reading->show.out;
    const uint32_t first = out->samples.count;
    ql_history_gather_init(&gather, out);
    err = ql_history_statements_open(db, &statements);
    /* A row of cells is named by where its cells begin. */
    const int64_t from_ms = reading->show.from_ms - QL_HISTORY_HOURS_MS;
    if (err == QL_OK) {
        err = ql_history_gather_series(&statements, series, from_ms, reading->show.to_ms, &gather);
    }
    err = err == QL_OK ? day_show(&gather, first, reading) : err;
    ql_history_statements_close(&statements);
    ql_history_gather_fini(&gather);
    ql_db_close(db);
    return err;
}
