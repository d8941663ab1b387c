/* history_read.c - one series over its days, and what forgotten ones were called. */
#include "store/history.h"

#include "store/history_day.h"
#include "store/history_int.h"
#include "store/history_names.h"
#include "store/history_series.h"

#include <stdio.h>
#include <stdlib.h>

enum { READ_WAIT_MS = 2000 };

/* The days that may hold something of [from, to], sorted; the caller frees them. */
static int64_t *files_between(struct ql_history *h, int64_t from_ms, int64_t to_ms,
                              uint32_t *ret_count)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&h->lock);
    int64_t *days = calloc((size_t)h->file_count + 1, sizeof(*days));
    for (uint32_t i = 0; days != NULL && i < h->file_count; i++) {
        if (h->files[i].number * HISTORY_DAY_MS <= to_ms && h->files[i].last_ms >= from_ms) {
            days[count++] = h->files[i].number;
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    *ret_count = count;
    return days;
}

ql_err ql_history_read(struct ql_history *history, ql_series_id series, ql_time from, ql_time to,
                       enum ql_history_take take, struct ql_batch *out, int64_t *ret_cell_ms)
{
    struct ql_history_reading reading = {
        .show = { .take = take, .from_ms = ql_time_to_ms(from), .to_ms = ql_time_to_ms(to),
                  .out = out, .end_ms = INT64_MIN } };
    const uint32_t first_sample = out->samples.count, first_band = out->bands.count;
    uint32_t count = 0;
    ql_err err = QL_OK;
    /* A sealed chunk has left the engine's memory: it must not be invisible until the next
     * transaction. When the disk refuses, what is there is shown, and that it may not be all. */
    out->behind = history_wait(history, READ_WAIT_MS) != QL_OK;
    int64_t *days = files_between(history, ql_time_to_ms(from), ql_time_to_ms(to), &count);
    if (days == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        err = ql_history_day_read(history->dir, days[i], series, &reading);
        err = err == QL_E_NOT_FOUND ? QL_OK : err; /* expired meanwhile */
    }
    free(days);
    err = err == QL_OK ? ql_history_show_end(&reading.show, NULL) : err;
    ql_history_tidy_samples(out, first_sample, from, to);
    ql_history_tidy_bands(out, first_band, from, to);
    if (ret_cell_ms != NULL) {
        *ret_cell_ms = reading.cell_ms;
    }
    return err;
}

/* ---- names ------------------------------------------------------------------------- */

static ql_err names_ask(struct ql_history *h, struct ql_history_names_ask *ask)
{
    uint32_t count = 0;
    ql_err err = QL_OK;
    (void)!history_wait(h, READ_WAIT_MS); /* as for a read: else what is there is shown */
    int64_t *days = files_between(h, ask->from_ms, INT64_MAX, &count);
    if (days == NULL) {
        return QL_E_MEMORY;
    }
    ql_map128_init(&ask->seen, ask->count_max);
    for (uint32_t i = count; i-- > 0 && err == QL_OK && ask->count < ask->count_max;) {
        err = ql_history_names_read(h->dir, days[i], ask);
        err = err == QL_E_NOT_FOUND ? QL_OK : err; /* expired meanwhile */
    }
    ql_map128_fini(&ask->seen);
    free(days);
    ql_stat_add(h->names_cut, ask->looked == QL_HISTORY_NAMES_LOOKED_MAX);
    return err;
}

ql_err ql_history_names(struct ql_history *history, struct ql_selector *selector, ql_time from,
                        uint32_t count_max, struct ql_arena *texts,
                        struct ql_series_info *ret_infos, uint32_t *ret_count)
{
    struct ql_history_names_ask ask = { .selector = selector, .from_ms = ql_time_to_ms(from),
                                        .texts = texts, .infos = ret_infos,
                                        .count_max = count_max };
    const ql_err err = names_ask(history, &ask);
    if (err == QL_OK) {
        *ret_count = ask.count;
    }
    return err;
}

ql_err ql_history_name(struct ql_history *history, ql_series_id series, struct ql_arena *texts,
                       struct ql_series_info *ret_info)
{
    struct ql_history_names_ask ask = { .id = series, .from_ms = INT64_MIN, .texts = texts,
                                        .infos = ret_info, .count_max = 1 };
    const ql_err err = names_ask(history, &ask);
    return err == QL_OK && ask.count == 0 ? QL_E_NOT_FOUND : err;
}

ql_err ql_history_peek(const char *data_dir, ql_series_id series, ql_time from, ql_time to,
                       struct ql_batch *out, ql_time *ret_cells_until)
{
    enum { ROW_DAYS = 2 }; /* a row may begin so long before its last sample */
    struct ql_history_reading reading = {
        .show = { .take = QL_HISTORY_MEAN, .from_ms = ql_time_to_ms(from), .to_ms = ql_time_to_ms(to),
                  .out = out, .end_ms = INT64_MIN } };
    const uint32_t first_sample = out->samples.count, first_band = out->bands.count;
    const int64_t last = ql_history_day_of(reading.show.to_ms);
    char dir[QL_HISTORY_PATH_BYTES];
    ql_err err = QL_OK;
    (void)snprintf(dir, sizeof(dir), "%s/history", data_dir);
    for (int64_t day = ql_history_day_of(reading.show.from_ms) - ROW_DAYS;
         day <= last && err == QL_OK; day++) {
        err = ql_history_day_read(dir, day, series, &reading);
        err = err == QL_E_NOT_FOUND ? QL_OK : err;
    }
    err = err == QL_OK ? ql_history_show_end(&reading.show, NULL) : err;
    ql_history_tidy_samples(out, first_sample, from, to);
    ql_history_tidy_bands(out, first_band, from, to);
    *ret_cells_until = reading.cell_ms > 0 ? ql_time_from_ms(reading.cells_end_ms) : QL_TIME_NONE;
    return err;
}
