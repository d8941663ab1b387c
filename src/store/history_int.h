/* history_int.h - what the parts of history share: history.c (the queue and its thread),
 * history_read.c and history_files.c (the days there are, how small they are, which must go).
 *
 * Threads       `lock` guards what stands below it; the list of files is changed by the writer
 *               alone and under the lock, so the writer reads it without.
 */
#ifndef QL_STORE_HISTORY_INT_H
#define QL_STORE_HISTORY_INT_H

#include "store/history.h"
#include "store/history_rewrite.h"

#include <pthread.h>

#define HISTORY_DAY_MS INT64_C(86400000)
enum { HISTORY_OPEN_DAYS_MAX = 4, HISTORY_DAYS_MAX = 4096 };

struct history_file { int64_t number, last_ms, bytes, level, retry_ns; };
struct history_open {
    int64_t number, last_ms;
    struct ql_history_day *day;
    bool used;                          /* by the batch that is written */
};

struct history_house {
    struct ql_history_rewrite *rewrite; /* NULL: no day is being made smaller */
    int64_t number, level, bytes_before;
    int64_t retry_ns;                   /* when a disk without room is looked at again */
    int64_t measure_ns;                 /* when sizes are looked at again */
    int64_t due_ns;                     /* when there is something to do, by ql_clock_mono_ns() */
    bool failed;                        /* a step did, since it was last looked at */
};

struct ql_history {
    char *dir;
    struct ql_history_limits limits;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;         /* everything down to `file_count` */
    pthread_cond_t work, done;
    struct ql_buf front;          /* packed rows that wait */
    uint64_t appended, written;   /* rows, ever; written: on disk or given up */
    int64_t front_newest_ms;      /* of all rows that ever came */
    bool closing, hurry, failing, tidying, tidy_begins;
    struct history_file *files;   /* sorted by day */
    uint32_t file_count;

    struct ql_buf back;           /* from here on the writer's: what it works on */
    uint64_t back_rows;
    struct history_open open[HISTORY_OPEN_DAYS_MAX];
    uint32_t open_count;
    int64_t newest_ms;
    struct history_house house;

    struct ql_stat_cell *rows, *failures, *queue_bytes, *too_old, *given_up, *names_cut;
    struct ql_stat_cell *bytes, *days, *oldest_s, *removed_age, *removed_size, *rewritten[4],
        *rewrite_failures;
};

/* Until the rows that are queued now are written; QL_E_IO at once while the disk refuses. */
QL_MUST_USE ql_err history_wait(struct ql_history *history, int timeout_ms);
/* What is written to a file that was removed is lost: its day is closed before. */
void history_open_close(struct ql_history *h, int64_t number);
void history_files_stats(struct ql_history *h, struct ql_stats *stats);
QL_MUST_USE ql_err history_files_scan(struct ql_history *h);
/* With the lock held: a day that was written to. */
QL_MUST_USE ql_err history_files_put(struct ql_history *h, struct history_file file);
bool history_is_expired(const struct ql_history *h, int64_t last_ms);
void history_files_expire(struct ql_history *h);
void history_files_measure(struct ql_history *h); /* sizes, and retention by size */
/* One bounded step of what is due; sets house.due_ns. True while there is more to do. */
bool history_house_step(struct ql_history *h);
void history_house_retry(struct ql_history *h);   /* days that failed need not wait */
int64_t history_disk_free(const struct ql_history *h); /* bytes; -1: not known */
void history_house_written(struct ql_history *h, int64_t number); /* rows came into a day */

#endif
