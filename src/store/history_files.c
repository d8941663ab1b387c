/* history_files.c - the days there are: which are too old, too many, or due to be made smaller.
 *
 * Method       a day is due when its end lies behind the newest data by more than a level allows:
 *              PACKED six hours, MINUTES and HOURS as configured. Oldest first, one at a time,
 *              in steps with pauses of three times their length between them.
 */
#include "base/clock.h"
#include "base/log.h"
#include "store/history_day.h"
#include "store/history_int.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { LATE_HOURS = 6 };
#define IDLE_NS INT64_C(30000000000)
#define RETRY_NS INT64_C(600000000000) /* a day that fails does not hold up the others */
#define PAUSE_NS INT64_C(20000000)
#define PAUSE_STEPS 3
#define ROOM_BYTES (INT64_C(16) << 20)
static const char *const level_names[] = { "live", "packed", "minutes", "hours" };

/* ---- the days there are ------------------------------------------------------------ */

ql_err history_files_put(struct ql_history *h, struct history_file file)
{
    uint32_t at = 0;
    while (at < h->file_count && h->files[at].number < file.number) {
        at++;
    }
    if (at < h->file_count && h->files[at].number == file.number) {
        struct history_file *known = &h->files[at];
        known->last_ms = file.last_ms > known->last_ms ? file.last_ms : known->last_ms;
        known->level = file.level;
        return QL_OK;
    }
    if (h->file_count == HISTORY_DAYS_MAX) {
        return QL_E_FULL;
    }
    memmove(&h->files[at + 1], &h->files[at], (h->file_count - at) * sizeof(*h->files));
    h->files[at] = file;
    h->file_count++;
    return QL_OK;
}

ql_err history_files_scan(struct ql_history *h)
{
    DIR *dir = opendir(h->dir);
    if (dir == NULL) {
        return QL_E_IO;
    }
    ql_err err = QL_OK;
    for (struct dirent *entry; err == QL_OK && (entry = readdir(dir)) != NULL;) {
        struct history_file file = { .bytes = 0 };
        if (!ql_history_day_parse(entry->d_name, &file.number)) {
            continue;
        }
        if (ql_history_day_head(h->dir, file.number, &file.last_ms, &file.level) != QL_OK) {
            file.last_ms = file.number * HISTORY_DAY_MS; /* damaged or half made: its day is known */
            file.level = QL_HISTORY_HOURS;               /* and nothing can be done for it */
        }
        if (file.last_ms < file.number * HISTORY_DAY_MS) {
            file.last_ms = file.number * HISTORY_DAY_MS; /* names of what ended before it */
        }
        h->newest_ms = file.last_ms > h->newest_ms ? file.last_ms : h->newest_ms;
        err = history_files_put(h, file);
    }
    (void)closedir(dir);
    return err;
}

static int64_t file_bytes(const struct ql_history *h, int64_t number)
{
    static const char *const tails[] = { "", "-wal" };
    char path[QL_HISTORY_PATH_BYTES];
    int64_t bytes = 0;
    if (!ql_history_day_path(h->dir, number, path)) {
        return 0;
    }
    const size_t end = strlen(path);
    for (size_t i = 0; i < QL_COUNT_OF(tails); i++) {
        struct stat about;
        memcpy(path + end, tails[i], strlen(tails[i]) + 1);
        bytes += stat(path, &about) == 0 ? (int64_t)about.st_size : 0;
    }
    return bytes;
}

int64_t history_disk_free(const struct ql_history *h)
{
    struct statvfs about;
    return statvfs(h->dir, &about) == 0 ? (int64_t)about.f_bavail * (int64_t)about.f_frsize : -1;
}

/* ---- what must go ------------------------------------------------------------------- */

bool history_is_expired(const struct ql_history *h, int64_t last_ms)
{
    return (double)last_ms < (double)h->newest_ms - h->limits.days * (double)HISTORY_DAY_MS;
}

static void house_drop(struct ql_history *h)
{
    ql_history_rewrite_close(h->house.rewrite);
    h->house.rewrite = NULL;
}

/* With the lock held, by the writer between two batches. */
static void file_remove(struct ql_history *h, uint32_t index, const char *why,
                        struct ql_stat_cell *count)
{
    const struct history_file file = h->files[index];
    if (h->house.rewrite != NULL && h->house.number == file.number) {
        house_drop(h);
    }
    history_open_close(h, file.number);
    ql_history_day_unlink(h->dir, file.number);
    memmove(&h->files[index], &h->files[index + 1],
            (h->file_count - index - 1) * sizeof(*h->files));
    h->file_count--;
    ql_stat_add(count, 1);
    char day[QL_TIME_TEXT_BYTES];
    (void)ql_time_text(ql_time_from_ms(file.number * HISTORY_DAY_MS), day);
    day[10] = '\0';
    QL_LOG(INFO, "a day of history was removed", QL_LOG_T("day", day), QL_LOG_T("reason", why),
           QL_LOG_N("bytes", file.bytes));
}

/* Age is measured against the newest data, not against the clock of this machine: a
 * daemon that was off for a month still has its month. */
void history_files_expire(struct ql_history *h)
{
    (void)pthread_mutex_lock(&h->lock);
    for (uint32_t i = 0; i < h->file_count;) {
        if (history_is_expired(h, h->files[i].last_ms)) {
            file_remove(h, i, "age", h->removed_age);
        } else {
            i++;
        }
    }
    ql_stat_set(h->days, h->file_count);
    (void)pthread_mutex_unlock(&h->lock);
}

/* The newest day stays whatever its size: a limit that is too small must not blind us. */
void history_files_measure(struct ql_history *h)
{
    int64_t total = 0;
    h->house.measure_ns = ql_clock_mono_ns() + IDLE_NS;
    (void)pthread_mutex_lock(&h->lock);
    for (uint32_t i = 0; i < h->file_count; i++) {
        h->files[i].bytes = file_bytes(h, h->files[i].number);
        total += h->files[i].bytes;
    }
    while (h->limits.bytes_max > 0 && total > h->limits.bytes_max && h->file_count > 1) {
        total -= h->files[0].bytes;
        file_remove(h, 0, "size", h->removed_size);
    }
    ql_stat_set(h->bytes, total);
    ql_stat_set(h->days, h->file_count);
    ql_stat_set(h->oldest_s,
                h->file_count > 0 ? h->files[0].number * (HISTORY_DAY_MS / 1000) : 0);
    (void)pthread_mutex_unlock(&h->lock);
}

/* ---- what is due to be made smaller --------------------------------------------------- */

static enum ql_history_level level_wanted(const struct ql_history *h, int64_t number)
{
    const double age_s =
        (double)(h->newest_ms - (number + 1) * HISTORY_DAY_MS) / 1000.0;
    const double raw_s = h->limits.raw_s;
    const double minutes_s = h->limits.minutes_s > raw_s ? h->limits.minutes_s : raw_s;
    if (raw_s > 0.0 && age_s > raw_s) {
        return h->limits.minutes_s > 0.0 && age_s > minutes_s ? QL_HISTORY_HOURS
                                                              : QL_HISTORY_MINUTES;
    }
    return age_s > LATE_HOURS * 3600.0 ? QL_HISTORY_PACKED : QL_HISTORY_LIVE;
}

/* The log of a pass may grow to some MiB before it is emptied: the last of the disk is left to
 * what comes in. */
static bool house_has_room(struct ql_history *h)
{
    const int64_t free_bytes = history_disk_free(h);
    if (free_bytes < 0 || free_bytes >= ROOM_BYTES) {
        return true;
    }
    house_drop(h);
    h->house.failed = true;
    h->house.retry_ns = ql_clock_mono_ns() + RETRY_NS;
    ql_stat_add(h->rewrite_failures, 1);
    QL_LOG(WARN, "no room to make days of history smaller; it is tried again in ten minutes",
           QL_LOG_N("disk_free_bytes", free_bytes), QL_LOG_N("needs_bytes", ROOM_BYTES));
    return false;
}

static void house_failed(struct ql_history *h, struct history_file *file, ql_err err)
{
    char day[QL_TIME_TEXT_BYTES];
    house_drop(h);
    h->house.failed = true;
    file->retry_ns = ql_clock_mono_ns() + RETRY_NS;
    ql_stat_add(h->rewrite_failures, 1);
    (void)ql_time_text(ql_time_from_ms(file->number * HISTORY_DAY_MS), day);
    day[10] = '\0';
    QL_LOG(WARN, "a day of history cannot be made smaller; it is tried again in ten minutes",
           QL_LOG_T("day", day), QL_LOG_T("error", ql_err_text(err)),
           QL_LOG_N("disk_free_bytes", history_disk_free(h)));
}

void history_house_retry(struct ql_history *h)
{
    h->house.retry_ns = 0;
    for (uint32_t i = 0; i < h->file_count; i++) {
        h->files[i].retry_ns = 0;
    }
}

static bool house_pick(struct ql_history *h)
{
    struct history_house *house = &h->house;
    const int64_t now_ns = ql_clock_mono_ns();
    for (uint32_t i = 0; i < h->file_count && now_ns >= house->retry_ns; i++) {
        struct history_file *file = &h->files[i];
        const enum ql_history_level wanted = level_wanted(h, file->number);
        if ((int64_t)wanted <= file->level || now_ns < file->retry_ns) {
            continue;
        }
        house->number = file->number;
        house->level = wanted;
        house->bytes_before = file_bytes(h, file->number);
        if (!house_has_room(h)) {
            return false;
        }
        const ql_err err =
            ql_history_rewrite_open(h->dir, file->number, wanted, &house->rewrite);
        if (err == QL_OK) {
            return true;
        }
        house_failed(h, file, err);
    }
    return false;
}

static void house_finish(struct ql_history *h)
{
    struct history_house *house = &h->house;
    char day[QL_TIME_TEXT_BYTES];
    const uint64_t series = ql_history_rewrite_series(house->rewrite);
    house_drop(h); /* closing empties the log into the file */
    (void)pthread_mutex_lock(&h->lock);
    for (uint32_t i = 0; i < h->file_count; i++) {
        if (h->files[i].number == house->number) {
            h->files[i].level = house->level;
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    history_files_measure(h);
    ql_stat_add(h->rewritten[house->level], 1);
    (void)ql_time_text(ql_time_from_ms(house->number * HISTORY_DAY_MS), day);
    day[10] = '\0';
    QL_LOG(INFO, "a day of history was made smaller", QL_LOG_T("day", day),
           QL_LOG_T("level", level_names[house->level]), QL_LOG_N("series", series),
           QL_LOG_N("bytes_before", house->bytes_before),
           QL_LOG_N("bytes", file_bytes(h, house->number)));
}

static void house_step_failed(struct ql_history *h, ql_err err)
{
    for (uint32_t i = 0; i < h->file_count; i++) {
        if (h->files[i].number == h->house.number) {
            house_failed(h, &h->files[i], err);
        }
    }
}

bool history_house_step(struct ql_history *h)
{
    struct history_house *house = &h->house;
    const int64_t began_ns = ql_clock_mono_ns();
    bool done = false;
    if (began_ns >= house->measure_ns) {
        history_files_measure(h);
    }
    if (house->rewrite == NULL && !house_pick(h)) {
        house->due_ns = ql_clock_mono_ns() + IDLE_NS;
        return false;
    }
    if (!house_has_room(h)) {
        return true; /* the next one finds nothing to do */
    }
    const ql_err err = ql_history_rewrite_step(house->rewrite, &done);
    if (err != QL_OK) {
        house_step_failed(h, err);
    } else if (done) {
        house_finish(h);
    }
    const int64_t now_ns = ql_clock_mono_ns();
    house->due_ns = now_ns + PAUSE_NS + PAUSE_STEPS * (now_ns - began_ns);
    return true;
}

void history_house_written(struct ql_history *h, int64_t number)
{
    if (h->house.rewrite != NULL && h->house.number == number) {
        ql_history_rewrite_restart(h->house.rewrite);
    }
}

/* ---- figures ------------------------------------------------------------------------- */

void history_files_stats(struct ql_history *h, struct ql_stats *stats)
{
    static const char removed[] = "ql_history_days_removed_total";
    static const char removed_help[] = "Days of history that retention removed.";
    static const char rewritten[] = "ql_history_days_rewritten_total";
    static const char rewritten_help[] = "Days of history that were made smaller.";
    h->bytes = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_history_bytes",
                             "Disk that the files of history use.", "");
    h->days = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_history_days", "Days of history kept.", "");
    h->oldest_s = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_history_oldest_timestamp_seconds",
                                "When the oldest day of history began.", "");
    h->removed_age = ql_stats_cell(stats, QL_STAT_COUNTER, removed, removed_help,
                                   "reason=\"age\"");
    h->removed_size = ql_stats_cell(stats, QL_STAT_COUNTER, removed, removed_help,
                                    "reason=\"size\"");
    h->rewritten[QL_HISTORY_PACKED] =
        ql_stats_cell(stats, QL_STAT_COUNTER, rewritten, rewritten_help, "level=\"packed\"");
    h->rewritten[QL_HISTORY_MINUTES] =
        ql_stats_cell(stats, QL_STAT_COUNTER, rewritten, rewritten_help, "level=\"minutes\"");
    h->rewritten[QL_HISTORY_HOURS] =
        ql_stats_cell(stats, QL_STAT_COUNTER, rewritten, rewritten_help, "level=\"hours\"");
    h->rewrite_failures =
        ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_rewrite_failures_total",
                      "Steps of making a day smaller that failed and are tried again.", "");
}
