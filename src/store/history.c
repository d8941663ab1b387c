/* history.c - one SQLite file a day of compressed chunks, written by one thread in groups. */
#include "store/history.h"

#include "base/file.h"
#include "base/ring.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define HISTORY_QUEUE_MAX 65536u
#define HISTORY_GROUP_MAX 20000u
#define HISTORY_OPEN_MAX 4u
#define HISTORY_MS_PER_DAY INT64_C(86400000)
#define HISTORY_REACH_DAYS 7 /* a slow series' chunk may have begun so many days before */
#define HISTORY_FILES_MAX 4096u

struct history_file { int64_t day; sqlite3 *db; sqlite3_stmt *put; uint64_t used; };

struct ql_history {
    char *dir;
    double days;
    struct ql_ring ring;
    pthread_t thread;
    bool running;
    struct history_file files[HISTORY_OPEN_MAX]; /* the writer's */
    uint64_t use_count;
    int64_t newest_day;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t appended, written; /* rows; failed ones count as written */
    ql_err error;               /* of the newest group */
    struct ql_stat_cell *rows, *failures, *bytes;
};

static int64_t history_day(int64_t ms)
{
    const int64_t day = ms / HISTORY_MS_PER_DAY;
    return ms % HISTORY_MS_PER_DAY < 0 ? day - 1 : day;
}

static void history_path(const struct ql_history *h, int64_t day, char out[4096])
{
    const time_t at = (time_t)(day * 86400);
    struct tm tm;
    (void)gmtime_r(&at, &tm);
    (void)snprintf(out, 4096, "%s/history-%04d%02d%02d.db", h->dir, tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday);
}

/* ---- the writer's files ------------------------------------------------------------- */

static void history_file_close(struct history_file *file)
{
    (void)sqlite3_finalize(file->put);
    (void)sqlite3_close(file->db);
    *file = (struct history_file){ 0 };
}

static ql_err history_file_open(const struct ql_history *h, int64_t day,
                                struct history_file *ret_file)
{
    char path[4096];
    struct history_file file = { .day = day };
    history_path(h, day, path);
    int rc = sqlite3_open(path, &file.db);
    if (rc == SQLITE_OK) {
        (void)sqlite3_busy_timeout(file.db, 5000);
        rc = sqlite3_exec(file.db,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                          "CREATE TABLE IF NOT EXISTS chunk("
                          " series BLOB NOT NULL, first_ms INTEGER NOT NULL,"
                          " last_ms INTEGER NOT NULL, data BLOB NOT NULL, bands BLOB,"
                          " PRIMARY KEY(series, first_ms)) WITHOUT ROWID",
                          NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        /* A chunk that was written while still open, or twice by a replay, is one row. */
        rc = sqlite3_prepare_v2(file.db,
                                "INSERT INTO chunk VALUES(?1,?2,?3,?4,?5)"
                                " ON CONFLICT(series, first_ms) DO UPDATE SET last_ms=?3, data=?4,"
                                " bands=?5 WHERE excluded.last_ms >= last_ms",
                                -1, &file.put, NULL);
    }
    if (rc != SQLITE_OK) {
        history_file_close(&file);
        return QL_E_IO;
    }
    *ret_file = file;
    return QL_OK;
}

static void history_retain(struct ql_history *h);

/* The open file of a day; the least recently used one makes room. In a transaction. */
static struct history_file *history_file_of(struct ql_history *h, int64_t day)
{
    struct history_file *oldest = &h->files[0];
    for (uint32_t i = 0; i < HISTORY_OPEN_MAX; i++) {
        if (h->files[i].db != NULL && h->files[i].day == day) {
            h->files[i].used = ++h->use_count;
            return &h->files[i];
        }
        if (h->files[i].used < oldest->used) {
            oldest = &h->files[i];
        }
    }
    if (oldest->db != NULL) {
        (void)sqlite3_exec(oldest->db, "COMMIT", NULL, NULL, NULL);
        history_file_close(oldest);
    }
    if (history_file_open(h, day, oldest) != QL_OK ||
        sqlite3_exec(oldest->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK) {
        history_file_close(oldest);
        return NULL;
    }
    oldest->used = ++h->use_count;
    if (day > h->newest_day) {
        h->newest_day = day;
        history_retain(h);
    }
    return oldest;
}

static ql_err history_write_row(struct ql_history *h, const struct ql_history_row *row)
{
    struct history_file *file = history_file_of(h, history_day(row->chunk.first_ms));
    if (file == NULL) {
        return QL_E_IO;
    }
    const int data_bytes = (int)ql_chunk_used(&row->chunk);
    const int band_bytes = (int)(row->band_count * sizeof(row->bands[0]));
    (void)sqlite3_bind_blob(file->put, 1, &row->series, sizeof(row->series), SQLITE_STATIC);
    (void)sqlite3_bind_int64(file->put, 2, row->chunk.first_ms);
    (void)sqlite3_bind_int64(file->put, 3, row->chunk.last_ms);
    (void)sqlite3_bind_blob(file->put, 4, &row->chunk, data_bytes, SQLITE_STATIC);
    (void)sqlite3_bind_blob(file->put, 5, row->bands, band_bytes, SQLITE_STATIC);
    const int rc = sqlite3_step(file->put);
    (void)sqlite3_reset(file->put);
    (void)sqlite3_clear_bindings(file->put);
    ql_stat_add(h->bytes, data_bytes + band_bytes);
    return rc == SQLITE_DONE ? QL_OK : QL_E_IO;
}

static void history_all(struct ql_history *h, const char *sql, ql_err *err)
{
    for (uint32_t i = 0; i < HISTORY_OPEN_MAX; i++) {
        if (h->files[i].db != NULL &&
            sqlite3_exec(h->files[i].db, sql, NULL, NULL, NULL) != SQLITE_OK) {
            *err = QL_E_IO;
        }
    }
}

/* Writes the row and whatever else waits, as one transaction a file. */
static void history_group(struct ql_history *h, void *first)
{
    uint64_t count = 0, failed = 0;
    ql_err err = QL_OK;
    history_all(h, "BEGIN", &err);
    for (void *item = first; item != NULL;) {
        failed += history_write_row(h, item) != QL_OK;
        free(item);
        count++;
        if (count == HISTORY_GROUP_MAX || ql_ring_pop(&h->ring, 0, &item) != QL_OK) {
            item = NULL;
        }
    }
    history_all(h, "COMMIT", &err);
    if (failed > 0) {
        ql_stat_add(h->failures, (int64_t)failed);
        err = QL_E_IO;
    }
    ql_stat_add(h->rows, (int64_t)(count - failed));
    if (err != QL_OK) {
        /* A full disk may leave a transaction open; files are opened afresh next time. */
        for (uint32_t i = 0; i < HISTORY_OPEN_MAX; i++) {
            history_file_close(&h->files[i]);
        }
    }
    (void)pthread_mutex_lock(&h->lock);
    h->written += count;
    h->error = err;
    (void)pthread_cond_broadcast(&h->moved);
    (void)pthread_mutex_unlock(&h->lock);
}

static void *history_main(void *context)
{
    struct ql_history *h = context;
    void *item;
    while (ql_ring_pop(&h->ring, -1, &item) == QL_OK) {
        history_group(h, item);
    }
    for (uint32_t i = 0; i < HISTORY_OPEN_MAX; i++) {
        history_file_close(&h->files[i]);
    }
    return NULL;
}

/* ---- which days there are ------------------------------------------------------------- */

/* Fills days (unsorted) with what stands in the folder. */
static uint32_t history_list(const struct ql_history *h, int64_t days[HISTORY_FILES_MAX])
{
    uint32_t count = 0;
    DIR *dir = opendir(h->dir);
    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && count < HISTORY_FILES_MAX;) {
        struct tm tm = { 0 };
        char tail[4];
        if (sscanf(entry->d_name, "history-%4d%2d%2d.%3s", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                   tail) == 4 && strcmp(tail, "db") == 0 &&
            strlen(entry->d_name) == strlen("history-YYYYMMDD.db")) {
            tm.tm_year -= 1900;
            tm.tm_mon -= 1;
            days[count++] = (int64_t)timegm(&tm) / 86400;
        }
    }
    (void)closedir(dir);
    return count;
}

/* Unlinks the days that have aged out, seen from the newest day that was written. */
static void history_retain(struct ql_history *h)
{
    int64_t *days = calloc(HISTORY_FILES_MAX, sizeof(*days));
    const uint32_t count = days == NULL ? 0 : history_list(h, days);
    for (uint32_t i = 0; i < count; i++) {
        static const char *const tails[] = { "", "-wal", "-shm" };
        char path[4096], file[4112];
        if ((double)(h->newest_day - days[i]) <= h->days) {
            continue;
        }
        history_path(h, days[i], path);
        for (size_t t = 0; t < QL_COUNT_OF(tails); t++) {
            (void)snprintf(file, sizeof(file), "%s%s", path, tails[t]);
            (void)unlink(file);
        }
    }
    free(days);
}

/* ---- the interface ---------------------------------------------------------------------- */

ql_err ql_history_open(const char *data_dir, double days, struct ql_stats *stats,
                       struct ql_history **ret_history)
{
    struct ql_history *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return QL_E_MEMORY;
    }
    h->days = days;
    h->newest_day = INT64_MIN;
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->moved, NULL);
    h->rows = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_chunks_total",
                            "Chunks written to history.", "");
    h->failures = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_failures_total",
                                "Chunks that history could not write.", "");
    h->bytes = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_bytes_total",
                             "Bytes of chunks and bands given to history.", "");
    ql_err err = asprintf(&h->dir, "%s/history", data_dir) < 0 ? QL_E_MEMORY : QL_OK;
    if (err == QL_OK) {
        err = ql_file_make_dirs(h->dir);
    }
    if (err == QL_OK) {
        err = ql_ring_init(&h->ring, HISTORY_QUEUE_MAX);
    }
    if (err == QL_OK) {
        h->running = pthread_create(&h->thread, NULL, history_main, h) == 0;
        err = h->running ? QL_OK : QL_E_MEMORY;
    }
    if (err != QL_OK) {
        ql_history_close(h);
        return err;
    }
    *ret_history = h;
    return QL_OK;
}

void ql_history_close(struct ql_history *h)
{
    if (h == NULL) {
        return;
    }
    if (h->running) {
        ql_ring_close(&h->ring);
        (void)pthread_join(h->thread, NULL);
        ql_ring_fini(&h->ring);
    }
    (void)pthread_cond_destroy(&h->moved);
    (void)pthread_mutex_destroy(&h->lock);
    free(h->dir);
    free(h);
}

ql_err ql_history_append(struct ql_history *h, const struct ql_history_row *row)
{
    struct ql_history_row *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        return QL_E_MEMORY;
    }
    *copy = *row;
    (void)pthread_mutex_lock(&h->lock);
    h->appended++;
    (void)pthread_mutex_unlock(&h->lock);
    const ql_err err = ql_ring_push(&h->ring, copy);
    if (err != QL_OK) {
        free(copy);
        (void)pthread_mutex_lock(&h->lock);
        h->appended--;
        (void)pthread_mutex_unlock(&h->lock);
    }
    return err;
}

ql_err ql_history_flush(struct ql_history *h)
{
    (void)pthread_mutex_lock(&h->lock);
    const uint64_t target = h->appended;
    while (h->written < target) {
        (void)pthread_cond_wait(&h->moved, &h->lock);
    }
    const ql_err err = h->error;
    (void)pthread_mutex_unlock(&h->lock);
    return err;
}

/* Adds what a row holds of [from, to]; false when the bytes are no chunk. */
static bool history_take_row(sqlite3_stmt *row, ql_time from, ql_time to, struct ql_batch *out)
{
    struct ql_sample samples[QL_CHUNK_SAMPLES_MAX];
    uint32_t count;
    if (ql_chunk_read(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), samples,
                      &count) != QL_OK) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ql_sample *sample = NULL;
        if (samples[i].at.ns >= from.ns && samples[i].at.ns <= to.ns) {
            sample = ql_batch_add_sample(out);
        }
        if (sample != NULL) {
            *sample = samples[i];
        }
    }
    const char *bands = sqlite3_column_blob(row, 1);
    const size_t band_count = (size_t)sqlite3_column_bytes(row, 1) / sizeof(struct ql_band);
    for (size_t i = 0; i < band_count; i++) {
        struct ql_band band, *added = NULL;
        memcpy(&band, bands + i * sizeof(band), sizeof(band));
        if (band.at.ns >= from.ns && band.at.ns <= to.ns) {
            added = ql_batch_add_band(out);
        }
        if (added != NULL) {
            *added = band;
        }
    }
    return true;
}

static ql_err history_read_day(const struct ql_history *h, int64_t day, ql_series_id series,
                               ql_time from, ql_time to, struct ql_batch *out)
{
    char path[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *get = NULL;
    ql_err err = QL_OK;
    history_path(h, day, path);
    int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, 5000);
        rc = sqlite3_prepare_v2(db, "SELECT data, bands FROM chunk WHERE series=?1 AND first_ms<=?3"
                                " AND last_ms>=?2 ORDER BY first_ms", -1, &get, NULL);
    }
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_blob(get, 1, &series, sizeof(series), SQLITE_STATIC);
        (void)sqlite3_bind_int64(get, 2, ql_time_to_ms(from));
        (void)sqlite3_bind_int64(get, 3, ql_time_to_ms(to));
        while (err == QL_OK && (rc = sqlite3_step(get)) == SQLITE_ROW) {
            err = history_take_row(get, from, to, out) ? QL_OK : QL_E_MALFORMED;
        }
    }
    /* A file that was removed between listing and opening has aged out: nothing there. */
    if (rc != SQLITE_DONE && rc != SQLITE_ROW && access(path, F_OK) == 0) {
        err = QL_E_IO;
    }
    (void)sqlite3_finalize(get);
    (void)sqlite3_close(db);
    return err;
}

static int history_order(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

ql_err ql_history_read(struct ql_history *h, ql_series_id series, ql_time from, ql_time to,
                       struct ql_batch *out)
{
    int64_t *days = calloc(HISTORY_FILES_MAX, sizeof(*days));
    if (days == NULL) {
        return QL_E_MEMORY;
    }
    const uint32_t count = history_list(h, days);
    const int64_t first = history_day(ql_time_to_ms(from)) - HISTORY_REACH_DAYS;
    const int64_t last = history_day(ql_time_to_ms(to));
    ql_err err = QL_OK;
    if (count > 1) {
        qsort(days, count, sizeof(*days), history_order);
    }
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        if (days[i] >= first && days[i] <= last) {
            err = history_read_day(h, days[i], series, from, to, out);
        }
    }
    free(days);
    return err;
}
