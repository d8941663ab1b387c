/* history.c - the queue before the files, and the thread that empties it.
 *
 * Method       rows are packed into one growing run of bytes; the writer swaps it for an empty
 *              one and writes all of it in one transaction a day file, at most twice a second
 *              unless a reader waits. What could not be written is kept and tried again;
 *              rows are named by content, so trying again writes nothing twice.
 */
#include "store/history.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wait.h"
#include "store/history_day.h"
#include "store/history_int.h"
#include "store/history_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    QUEUE_BYTES_MAX = 32 << 20,
    QUEUE_BYTES_KEEP = 1 << 20, /* a larger queue gives its memory back when it is written */
    GROUP_MS = 500,
    RETRY_MS = 5000,
    FLUSH_WAIT_MS = 60000,
    TIDY_WAIT_MS = 600000
};

/* ---- writing ---------------------------------------------------------------------- */

static void open_close_all(struct ql_history *h)
{
    for (uint32_t i = 0; i < h->open_count; i++) {
        ql_history_day_close(h->open[i].day);
    }
    h->open_count = 0;
}

void history_open_close(struct ql_history *h, int64_t number)
{
    for (uint32_t i = 0; i < h->open_count; i++) {
        if (h->open[i].number == number) {
            ql_history_day_close(h->open[i].day);
            h->open[i] = h->open[--h->open_count];
            return;
        }
    }
}

/* A day that a batch left alone is closed, so that it counts as written to no longer. */
static ql_err open_commit_all(struct ql_history *h)
{
    for (uint32_t i = h->open_count; i-- > 0;) {
        struct history_open *open = &h->open[i];
        if (!open->used) {
            history_open_close(h, open->number);
            continue;
        }
        open->used = false;
        const ql_err err = ql_history_day_commit(open->day);
        if (err != QL_OK) {
            ql_history_day_fail(h->dir, open->number, open->day);
            h->open[i] = h->open[--h->open_count];
            return err;
        }
        (void)pthread_mutex_lock(&h->lock);
        const ql_err listed = history_files_put(
            h, (struct history_file){ .number = open->number, .last_ms = open->last_ms });
        (void)pthread_mutex_unlock(&h->lock);
        if (listed != QL_OK) {
            return listed;
        }
        history_house_written(h, open->number);
    }
    return QL_OK;
}

/* The open file of a day; the days of a batch stay open until the next one. */
static ql_err open_find(struct ql_history *h, int64_t number, struct history_open **ret_open)
{
    for (uint32_t i = 0; i < h->open_count; i++) {
        if (h->open[i].number == number) {
            *ret_open = &h->open[i];
            return QL_OK;
        }
    }
    if (h->open_count == HISTORY_OPEN_DAYS_MAX) {
        const ql_err err = open_commit_all(h);
        if (err != QL_OK) {
            return err;
        }
        open_close_all(h);
    }
    struct history_open *open = &h->open[h->open_count];
    *open = (struct history_open){ .number = number, .last_ms = number * HISTORY_DAY_MS };
    const ql_err err = ql_history_day_open(h->dir, number, &open->day);
    if (err == QL_OK) {
        h->open_count++;
        *ret_open = open;
    }
    return err;
}

static ql_err row_write(struct ql_history *h, const struct ql_history_packed *row)
{
    struct history_open *open;
    h->newest_ms = row->last_ms > h->newest_ms ? row->last_ms : h->newest_ms;
    if (history_is_expired(h, row->last_ms)) {
        ql_stat_add(h->too_old, 1);
        return QL_OK;
    }
    ql_err err = open_find(h, ql_history_day_of(row->first_ms), &open);
    if (err != QL_OK) {
        return err;
    }
    open->last_ms = row->last_ms > open->last_ms ? row->last_ms : open->last_ms;
    open->used = true;
    err = ql_history_day_put(open->day, row);
    if (err != QL_OK) {
        ql_history_day_fail(h->dir, open->number, open->day);
        *open = h->open[--h->open_count];
    }
    return err;
}

/* Days grow old though nothing is written, and they may be what fills the disk. */
static void back_expire(struct ql_history *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->newest_ms = h->front_newest_ms > h->newest_ms ? h->front_newest_ms : h->newest_ms;
    (void)pthread_mutex_unlock(&h->lock);
    history_files_expire(h);
}

static ql_err back_write(struct ql_history *h)
{
    struct ql_reader in = ql_reader_of(ql_buf_view(&h->back));
    struct ql_history_packed row;
    ql_err err = QL_OK;
    while (err == QL_OK && ql_reader_left(&in) > 0) {
        const bool whole = ql_history_unpack(&in, &row);
        QL_ASSERT(whole);
        err = row_write(h, &row);
    }
    err = err == QL_OK ? open_commit_all(h) : err;
    if (err != QL_OK) {
        open_close_all(h); /* rolled back; all of it comes again */
        ql_stat_add(h->failures, 1);
        back_expire(h);
        return err;
    }
    if (h->open_count > 2) {
        open_close_all(h);
    }
    history_files_expire(h);
    return QL_OK;
}

/* ---- the thread -------------------------------------------------------------------- */

static void buf_empty(struct ql_buf *buf)
{
    if (buf->capacity > QUEUE_BYTES_KEEP) {
        ql_buf_fini(buf);
        ql_buf_init(buf, QUEUE_BYTES_MAX);
    } else {
        ql_buf_reset(buf);
    }
}

static bool writer_is_idle(const struct ql_history *h)
{
    return !h->closing && !h->tidying && h->front.bytes == 0 && h->back.bytes == 0;
}

/* With the lock held: sleeps until there is something to write, and a little longer, so
 * that one transaction takes more rows; or until old days may be made smaller. */
static void writer_wait(struct ql_history *h)
{
    while (writer_is_idle(h)) {
        const int64_t left_ns = h->house.due_ns - ql_clock_mono_ns();
        const struct timespec due = ql_wait_deadline((ql_duration){ left_ns });
        if (left_ns <= 0 || pthread_cond_timedwait(&h->work, &h->lock, &due) == ETIMEDOUT) {
            return;
        }
    }
    if (h->front.bytes == 0 && h->back.bytes == 0) {
        return;
    }
    const struct timespec until = ql_wait_deadline_ms(h->failing ? RETRY_MS : GROUP_MS);
    while (!h->closing && (h->failing || (!h->hurry && h->front.bytes < QUEUE_BYTES_KEEP))) {
        if (pthread_cond_timedwait(&h->work, &h->lock, &until) == ETIMEDOUT) {
            break;
        }
    }
}

/* With the lock held: takes the queue, unless an older part of it still waits. */
static void writer_take(struct ql_history *h)
{
    if (h->back.bytes == 0) {
        const struct ql_buf empty = h->back;
        h->back = h->front;
        h->front = empty;
        h->back_rows = h->appended - h->written;
        h->hurry = false;
        ql_stat_set(h->queue_bytes, 0);
    }
}

/* With the lock held: a step of making old days smaller, when one is due. */
static void writer_house(struct ql_history *h)
{
    const bool tidying = h->tidying;
    if (!tidying && ql_clock_mono_ns() < h->house.due_ns) {
        return;
    }
    if (h->tidy_begins) {
        history_house_retry(h);
        h->tidy_begins = false;
    }
    (void)pthread_mutex_unlock(&h->lock);
    const bool more = history_house_step(h);
    if (h->house.failed) {
        open_close_all(h); /* a step that found no room must not keep what it took of it */
        h->house.failed = false;
    }
    (void)pthread_mutex_lock(&h->lock);
    if (tidying && !more) {
        h->tidying = false;
        (void)pthread_cond_broadcast(&h->done);
    }
}

/* With the lock held: what came of writing the queue. Said once when it begins to fail, and
 * once when it is well again. */
static void writer_note(struct ql_history *h, ql_err err)
{
    if (err != QL_OK && !h->failing) {
        QL_LOG(WARN, "history cannot be written; rows wait and are tried again every few seconds",
               QL_LOG_T("error", ql_err_text(err)),
               QL_LOG_N("disk_free_bytes", history_disk_free(h)));
    } else if (err == QL_OK && h->failing) {
        QL_LOG(INFO, "history is written again", QL_LOG_N("rows", h->back_rows));
    }
    h->failing = err != QL_OK;
    if (err == QL_OK) {
        h->written += h->back_rows;
        h->back_rows = 0;
    }
    (void)pthread_cond_broadcast(&h->done);
}

static void *writer_run(void *context)
{
    struct ql_history *h = context;
    (void)pthread_mutex_lock(&h->lock);
    for (;;) {
        writer_wait(h);
        const bool last = h->closing;
        writer_take(h);
        (void)pthread_mutex_unlock(&h->lock);
        const ql_err err = h->back.bytes == 0 ? QL_OK : back_write(h);
        if (err == QL_OK) {
            ql_stat_add(h->rows, (int64_t)h->back_rows);
            buf_empty(&h->back);
        }
        (void)pthread_mutex_lock(&h->lock);
        writer_note(h, err);
        if (last && (h->front.bytes == 0 || err != QL_OK)) {
            break;
        }
        writer_house(h); /* also while writing fails: smaller days make room */
    }
    ql_stat_add(h->given_up, (int64_t)(h->appended - h->written));
    (void)pthread_mutex_unlock(&h->lock);
    open_close_all(h);
    ql_history_rewrite_close(h->house.rewrite);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------- */

static void history_stats(struct ql_history *h, struct ql_stats *stats)
{
    static const char dropped[] = "ql_records_dropped_total";
    static const char dropped_help[] = "Records that were refused or dropped.";
    h->rows = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_rows_total",
                            "Chunks written to history.", "");
    h->failures = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_write_failures_total",
                                "Transactions of history that failed and are tried again.", "");
    h->queue_bytes = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_history_queue_bytes",
                                   "Packed chunks that wait to be written.", "");
    h->too_old = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                               "source=\"history\",reason=\"too_old\"");
    h->given_up = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                                "source=\"history\",reason=\"disk_full\"");
    h->names_cut = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_names_cut_total",
                                 "Questions that had more forgotten series to look at than allowed.",
                                 "");
    history_files_stats(h, stats);
}

static ql_err history_start(struct ql_history *h, const char *data_dir)
{
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)ql_wait_cond_init(&h->work);
    (void)ql_wait_cond_init(&h->done);
    h->files = calloc(HISTORY_DAYS_MAX, sizeof(*h->files));
    if (asprintf(&h->dir, "%s/history", data_dir) < 0) {
        h->dir = NULL;
    }
    if (h->dir == NULL || h->files == NULL) {
        return QL_E_MEMORY;
    }
    ql_err err = ql_file_make_dirs(h->dir);
    err = err == QL_OK ? history_files_scan(h) : err;
    if (err == QL_OK) {
        history_files_expire(h);
        history_files_measure(h);
        h->has_thread = pthread_create(&h->thread, NULL, writer_run, h) == 0;
        err = h->has_thread ? QL_OK : QL_E_MEMORY;
    }
    return err;
}

ql_err ql_history_open(const char *data_dir, const struct ql_history_limits *limits,
                       struct ql_stats *stats, struct ql_history **ret_history)
{
    QL_ASSERT(data_dir != NULL);
    QL_ASSERT(stats != NULL);
    struct ql_history *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return QL_E_MEMORY;
    }
    h->limits = *limits;
    h->newest_ms = h->front_newest_ms = INT64_MIN / 2;
    ql_buf_init(&h->front, QUEUE_BYTES_MAX);
    ql_buf_init(&h->back, QUEUE_BYTES_MAX);
    history_stats(h, stats);
    const ql_err err = history_start(h, data_dir);
    if (err != QL_OK) {
        ql_history_close(h);
        return err;
    }
    *ret_history = h;
    return QL_OK;
}

void ql_history_close(struct ql_history *history)
{
    if (history == NULL) {
        return;
    }
    if (history->has_thread) {
        (void)pthread_mutex_lock(&history->lock);
        history->closing = true;
        (void)pthread_cond_broadcast(&history->work);
        (void)pthread_mutex_unlock(&history->lock);
        (void)pthread_join(history->thread, NULL);
    }
    (void)pthread_cond_destroy(&history->work);
    (void)pthread_cond_destroy(&history->done);
    (void)pthread_mutex_destroy(&history->lock);
    ql_buf_fini(&history->front);
    ql_buf_fini(&history->back);
    free(history->files);
    free(history->dir);
    free(history);
}

/* With the lock held: what came of packing a row, whose newest sample is at last_ms. */
static ql_err append_note(struct ql_history *history, ql_err err, bool was_empty, int64_t last_ms)
{
    if (err == QL_OK) {
        history->appended++;
        history->front_newest_ms = last_ms > history->front_newest_ms ? last_ms
                                                                      : history->front_newest_ms;
        ql_stat_set(history->queue_bytes, (int64_t)history->front.bytes);
        if (was_empty || history->front.bytes >= QUEUE_BYTES_KEEP) {
            (void)pthread_cond_signal(&history->work);
        }
    } else {
        history->front.failed = false; /* a full queue takes rows again when it is written */
    }
    return err == QL_OK ? QL_OK : QL_E_FULL;
}

ql_err ql_history_append(struct ql_history *history, const struct ql_history_row *row)
{
    (void)pthread_mutex_lock(&history->lock);
    const bool was_empty = history->front.bytes == 0;
    const ql_err err = append_note(history, ql_history_pack(row, &history->front), was_empty,
                                   row->chunk.last_ms);
    (void)pthread_mutex_unlock(&history->lock);
    return err;
}

ql_err ql_history_append_name(struct ql_history *history, const struct ql_series_info *info,
                              ql_time now)
{
    (void)pthread_mutex_lock(&history->lock);
    const bool was_empty = history->front.bytes == 0;
    const ql_err err = append_note(history, ql_history_names_pack(info, now, &history->front),
                                   was_empty, ql_time_to_ms(info->last_at));
    (void)pthread_mutex_unlock(&history->lock);
    return err;
}

ql_err history_wait(struct ql_history *history, int timeout_ms)
{
    const struct timespec until = ql_wait_deadline_ms(timeout_ms);
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&history->lock);
    const uint64_t target = history->appended;
    while (history->written < target && err == QL_OK) {
        if (history->failing) {
            err = QL_E_IO;
            break;
        }
        history->hurry = true;
        (void)pthread_cond_signal(&history->work);
        if (pthread_cond_timedwait(&history->done, &history->lock, &until) == ETIMEDOUT &&
            history->written < target) {
            err = QL_E_TIMEOUT;
        }
    }
    (void)pthread_mutex_unlock(&history->lock);
    return err;
}

ql_err ql_history_flush(struct ql_history *history)
{
    return history_wait(history, FLUSH_WAIT_MS);
}

ql_err ql_history_tidy(struct ql_history *history)
{
    const struct timespec until = ql_wait_deadline_ms(TIDY_WAIT_MS);
    ql_err err = ql_history_flush(history);
    if (err != QL_OK) {
        return err;
    }
    (void)pthread_mutex_lock(&history->lock);
    const int64_t failures = ql_stat_get(history->rewrite_failures);
    history->tidying = history->tidy_begins = true;
    (void)pthread_cond_signal(&history->work);
    while (history->tidying && err == QL_OK) {
        if (pthread_cond_timedwait(&history->done, &history->lock, &until) == ETIMEDOUT) {
            err = QL_E_TIMEOUT;
        }
    }
    if (err == QL_OK && ql_stat_get(history->rewrite_failures) > failures) {
        err = QL_E_IO; /* a day was left as it is */
    }
    (void)pthread_mutex_unlock(&history->lock);
    return err;
}
