#include "store/history_rewrite.h"

#include "base/clock.h"
#include "store/history_day.h"
#include "store/history_series.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_SERIES = 64, STEP_MS = 25, STEP_PAGES = 256 };
#define BANDS_PACKED_MS INT64_C(600000)
#define BANDS_MINUTES_MS INT64_C(3600000)
#define BANDS_HOURS_MS INT64_C(7200000) /* readers hold a band that long */

/* Both tables are clustered by series: the next one is a look-up in each. */
static const char next_sql[] =
    "SELECT min(s) FROM (SELECT min(series) AS s FROM chunks WHERE series > ?1"
    " UNION ALL SELECT min(series) FROM packed WHERE series > ?1)";
static const char clear_chunks_sql[] = "DELETE FROM chunks WHERE series = ?";
static const char clear_packed_sql[] = "DELETE FROM packed WHERE series = ?";
static const char level_sql[] =
    "INSERT INTO meta VALUES('level', ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value";

struct ql_history_rewrite {
    sqlite3 *db;
    enum ql_history_level level;
    struct ql_history_statements read;
    sqlite3_stmt *next, *put, *clear_chunks, *clear_packed, *set_level;
    ql_series_id cursor;
    bool has_cursor, passed;
    uint64_t series;
    struct ql_batch raw;
};

/* ---- life ------------------------------------------------------------------------------ */

void ql_history_rewrite_close(struct ql_history_rewrite *rewrite)
{
    if (rewrite == NULL) {
        return;
    }
    ql_history_statements_close(&rewrite->read);
    ql_db_finalize_all(&rewrite->next, 1);
    ql_db_finalize_all(&rewrite->put, 1);
    ql_db_finalize_all(&rewrite->clear_chunks, 1);
    ql_db_finalize_all(&rewrite->clear_packed, 1);
    ql_db_finalize_all(&rewrite->set_level, 1);
    ql_db_close(rewrite->db);
    ql_batch_fini(&rewrite->raw);
    free(rewrite);
}

static ql_err rewrite_prepare(struct ql_history_rewrite *r)
{
    ql_err err = ql_history_statements_open(r->db, &r->read);
    err = err == QL_OK ? ql_db_prepare(r->db, next_sql, &r->next) : err;
    err = err == QL_OK ? ql_db_prepare(r->db, ql_history_rows_put_sql, &r->put) : err;
    err = err == QL_OK ? ql_db_prepare(r->db, clear_chunks_sql, &r->clear_chunks) : err;
    err = err == QL_OK ? ql_db_prepare(r->db, clear_packed_sql, &r->clear_packed) : err;
    return err == QL_OK ? ql_db_prepare(r->db, level_sql, &r->set_level) : err;
}

ql_err ql_history_rewrite_open(const char *dir, int64_t day, enum ql_history_level level,
                               struct ql_history_rewrite **ret_rewrite)
{
    QL_ASSERT(level > QL_HISTORY_LIVE && level <= QL_HISTORY_HOURS);
    struct ql_history_rewrite *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return QL_E_MEMORY;
    }
    r->level = level;
    ql_batch_init(&r->raw, 1);
    ql_err err = ql_history_day_connect(dir, day, &r->db);
    err = err == QL_OK ? rewrite_prepare(r) : err;
    if (err != QL_OK) {
        ql_history_rewrite_close(r);
        return err;
    }
    *ret_rewrite = r;
    return QL_OK;
}

void ql_history_rewrite_restart(struct ql_history_rewrite *rewrite)
{
    rewrite->has_cursor = rewrite->passed = false;
}

uint64_t ql_history_rewrite_series(const struct ql_history_rewrite *rewrite)
{
    return rewrite->series;
}

/* ---- one series ------------------------------------------------------------------------- */

/* Is there anything finer than what shall be? */
static bool rewrite_is_due(const struct ql_history_rewrite *r, const struct ql_history_gather *g)
{
    const bool has_samples = (g->seen & 1u << QL_HISTORY_FORM_SAMPLES) != 0;
    const bool has_minutes = (g->seen & 1u << QL_HISTORY_FORM_MINUTES) != 0;
    return g->has_chunks || (r->level > QL_HISTORY_PACKED && has_samples) ||
           (r->level > QL_HISTORY_MINUTES && has_minutes);
}

static ql_err cells_from_raw(const struct ql_batch *raw, struct ql_history_cells *minutes)
{
    struct ql_history_cells fresh;
    ql_history_cells_init(&fresh, QL_HISTORY_MINUTES_MS);
    ql_err err = ql_history_cells_put(&fresh, raw->samples.at, raw->samples.count);
    err = err == QL_OK ? ql_history_cells_merge(minutes, &fresh) : err;
    ql_history_cells_fini(&fresh);
    return err;
}

static ql_err cells_to_hours(const struct ql_history_cells *minutes, struct ql_history_cells *hours)
{
    struct ql_history_cells fresh;
    ql_history_cells_init(&fresh, QL_HISTORY_HOURS_MS);
    ql_err err = ql_history_cells_fold(&fresh, minutes);
    err = err == QL_OK ? ql_history_cells_merge(hours, &fresh) : err;
    ql_history_cells_fini(&fresh);
    return err;
}

static ql_err cells_write(struct ql_history_rewrite *r, ql_series_id series, uint32_t form,
                          const struct ql_history_cells *cells)
{
    ql_err err = QL_OK;
    for (uint32_t column = 0; column < QL_HISTORY_CELL_COLUMNS && err == QL_OK; column++) {
        ql_batch_reset(&r->raw);
        struct ql_sample *at =
            cells->count > 0 ? ql_batch_more_samples(&r->raw, cells->count) : NULL;
        if (at == NULL && cells->count > 0) {
            return QL_E_MEMORY;
        }
        for (uint32_t i = 0; i < cells->count; i++) {
            at[i] = ql_history_cell_column(&cells->at[i], column);
        }
        err = ql_history_rows_put(r->put, series, form + column, at, cells->count);
    }
    return err;
}

static ql_err series_clear(sqlite3_stmt *statement, ql_series_id series)
{
    struct ql_bind bind = ql_bind_to(statement);
    ql_bind_series(&bind, series);
    return ql_bind_run(&bind);
}

/* Everything of the series is in memory: out with the old rows, in with the new ones. */
static ql_err series_write(struct ql_history_rewrite *r, ql_series_id series,
                           struct ql_history_gather *g)
{
    static const int64_t bands_ms[] = { [QL_HISTORY_PACKED] = BANDS_PACKED_MS,
                                        [QL_HISTORY_MINUTES] = BANDS_MINUTES_MS,
                                        [QL_HISTORY_HOURS] = BANDS_HOURS_MS };
    ql_err err = series_clear(r->clear_chunks, series);
    err = err == QL_OK ? series_clear(r->clear_packed, series) : err;
    err = err == QL_OK ? ql_history_rows_put_bands(r->put, series, r->raw.bands.at,
                                                   r->raw.bands.count, bands_ms[r->level]) : err;
    if (err == QL_OK && r->level == QL_HISTORY_PACKED) {
        err = ql_history_rows_put(r->put, series, QL_HISTORY_FORM_SAMPLES, r->raw.samples.at,
                                  r->raw.samples.count);
    } else if (err == QL_OK) {
        err = cells_from_raw(&r->raw, &g->minutes);
    }
    if (err == QL_OK && r->level == QL_HISTORY_HOURS) {
        err = cells_to_hours(&g->minutes, &g->hours);
        g->minutes.count = 0;
    }
    err = err == QL_OK ? cells_write(r, series, QL_HISTORY_FORM_MINUTES, &g->minutes) : err;
    return err == QL_OK ? cells_write(r, series, QL_HISTORY_FORM_HOURS, &g->hours) : err;
}

static ql_err series_rewrite(struct ql_history_rewrite *r, ql_series_id series)
{
    const ql_time from = { INT64_MIN }, to = { INT64_MAX };
    struct ql_history_gather gather;
    ql_batch_reset(&r->raw);
    ql_history_gather_init(&gather, &r->raw);
    ql_err err = ql_history_gather_series(&r->read, series, INT64_MIN, INT64_MAX, &gather);
    if (err == QL_OK && rewrite_is_due(r, &gather)) {
        ql_history_tidy_samples(&r->raw, 0, from, to);
        ql_history_tidy_bands(&r->raw, 0, from, to);
        err = series_write(r, series, &gather);
        r->series++;
    }
    ql_history_gather_fini(&gather);
    return err;
}

/* ---- a step ----------------------------------------------------------------------------- */

static ql_err rewrite_next(struct ql_history_rewrite *r, bool *ret_found)
{
    ql_err err = QL_OK;
    struct ql_bind bind = ql_bind_to(r->next);
    if (r->has_cursor) {
        ql_bind_series(&bind, r->cursor);
    } else {
        ql_bind_blob(&bind, "", 0);
    }
    *ret_found = false;
    if (ql_bind_row(&bind, &err)) {
        *ret_found = sqlite3_column_type(r->next, 0) != SQLITE_NULL;
        r->cursor = *ret_found ? ql_column_series(r->next, 0) : r->cursor;
        r->has_cursor = r->has_cursor || *ret_found;
        (void)sqlite3_reset(r->next);
    }
    return err;
}

static ql_err step_series(struct ql_history_rewrite *r)
{
    const int64_t until = ql_clock_mono_ns() + STEP_MS * INT64_C(1000000);
    bool found = true;
    ql_err err = ql_db_run(r->db, "BEGIN IMMEDIATE");
    const bool begun = err == QL_OK;
    for (uint32_t i = 0; i < STEP_SERIES && err == QL_OK && ql_clock_mono_ns() < until; i++) {
        err = rewrite_next(r, &found);
        if (err != QL_OK || !found) {
            break;
        }
        err = series_rewrite(r, r->cursor);
    }
    if (err == QL_OK) {
        err = ql_db_run(r->db, "COMMIT");
    }
    if (err != QL_OK && begun && sqlite3_get_autocommit(r->db) == 0) {
        (void)!ql_db_run(r->db, "ROLLBACK");
    }
    r->passed = err == QL_OK && !found;
    return err;
}

/* Behind the last series: pages to the disk, then the level, which says that all is done. */
static ql_err step_end(struct ql_history_rewrite *r, bool *ret_done)
{
    int64_t free_pages = 0, vacuum = 0;
    char sql[64];
    ql_err err = ql_db_number(r->db, "PRAGMA freelist_count", 0, &free_pages);
    err = err == QL_OK ? ql_db_number(r->db, "PRAGMA auto_vacuum", 0, &vacuum) : err;
    if (err == QL_OK && free_pages > 0 && vacuum == 2) {
        (void)snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", (int)STEP_PAGES);
        return ql_db_run(r->db, sql);
    }
    if (err == QL_OK) {
        struct ql_bind bind = ql_bind_to(r->set_level);
        ql_bind_i64(&bind, r->level);
        err = ql_bind_run(&bind);
        *ret_done = err == QL_OK;
    }
    return err;
}

ql_err ql_history_rewrite_step(struct ql_history_rewrite *rewrite, bool *ret_done)
{
    *ret_done = false;
    return rewrite->passed ? step_end(rewrite, ret_done) : step_series(rewrite);
}
