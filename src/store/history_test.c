/* history_test - chunks on disk: read back, over days, twice, after a crash, without room. */
#include "base/stat.h"
#include "store/history.h"
#include "store/history_day.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY_S = 86400 };
static const int64_t start_s = 1767571200; /* 2026-01-05, midnight */

struct fixture { char root[64], dir[80]; struct ql_stats *stats; struct ql_history *history; };

static void fixture_reopen(struct fixture *f, double days)
{
    const struct ql_history_limits limits = { .days = days };
    assert_int_equal(ql_history_open(f->root, &limits, f->stats, &f->history), QL_OK);
}

static void fixture_open(struct fixture *f, double days)
{
    (void)snprintf(f->root, sizeof(f->root), "/tmp/ql_history_test_XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->dir, sizeof(f->dir), "%s/history", f->root);
    f->stats = ql_stats_new(100);
    fixture_reopen(f, days);
}

/* Names of the day files, sorted, as one text; removes them all when asked to. */
static const char *folder_list(const struct fixture *f, bool clear)
{
    static char out[2000];
    struct dirent **entries = NULL;
    out[0] = '\0';
    const int count = scandir(f->dir, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[400];
        const size_t used = strlen(out);
        if (entries[i]->d_name[0] != '.') {
            (void)snprintf(out + used, sizeof(out) - used, "%s ", entries[i]->d_name);
            (void)snprintf(path, sizeof(path), "%s/%s", f->dir, entries[i]->d_name);
            if (clear) {
                (void)remove(path);
            }
        }
        free(entries[i]);
    }
    free(entries);
    return out;
}

static void fixture_close(struct fixture *f)
{
    ql_history_close(f->history);
    (void)folder_list(f, true);
    (void)rmdir(f->dir);
    (void)rmdir(f->root);
    ql_stats_free(f->stats);
}

static ql_series_id series_of(uint64_t number)
{
    return (ql_series_id){ { number * 7919, number } };
}

static ql_time at_s(int64_t s)
{
    return (ql_time){ (start_s + s) * QL_NS_PER_S };
}

/* `count` samples every `step` seconds from `from`, value = seconds; a band at the first. */
static void row_put(struct fixture *f, uint64_t series, int64_t from, int64_t step, uint32_t count)
{
    struct ql_history_row row = { .series = series_of(series), .band_count = 1 };
    ql_chunk_init(&row.chunk);
    for (uint32_t i = 0; i < count; i++) {
        const int64_t s = from + step * (int64_t)i;
        assert_true(ql_chunk_append(&row.chunk, (struct ql_sample){ at_s(s), (double)s }));
    }
    row.bands[0] = (struct ql_band){ at_s(from), 0, (float)from, 1.0f, 2.0f, 3.5f };
    assert_int_equal(ql_history_append(f->history, &row), QL_OK);
}

/* Reads and compares with `count` samples every `step` from `first`. */
static void read_expect_if(struct fixture *f, bool behind, uint64_t series, int64_t from, int64_t to,
                           int64_t first, int64_t step, uint32_t count)
{
    struct ql_batch out;
    ql_batch_init(&out, 1 << 20);
    assert_int_equal(ql_history_read(f->history, series_of(series), at_s(from), at_s(to), QL_HISTORY_MEAN, &out, NULL),
                     QL_OK);
    assert_int_equal(out.samples.count, count);
    assert_int_equal(out.behind, behind); /* said when something waits for the disk */
    for (uint32_t i = 0; i < count; i++) {
        const int64_t s = first + step * (int64_t)i;
        assert_true(out.samples.at[i].at.ns == at_s(s).ns);
        assert_true(out.samples.at[i].value == (double)s);
    }
    ql_batch_fini(&out);
}

static void read_expect(struct fixture *f, uint64_t series, int64_t from, int64_t to, int64_t first,
                        int64_t step, uint32_t count)
{
    read_expect_if(f, false, series, from, to, first, step, count);
}

static void what_was_appended_is_read(void **state)
{
    struct fixture f;
    struct ql_batch out;
    (void)state;
    fixture_open(&f, 30.0);
    row_put(&f, 1, 0, 10, 50);
    row_put(&f, 2, 0, 10, 50);
    row_put(&f, 1, 500, 10, 50);
    read_expect(&f, 1, 0, 10000, 0, 10, 100);
    read_expect(&f, 1, 495, 520, 500, 10, 3);
    read_expect(&f, 1, -100, -1, 0, 10, 0);
    read_expect(&f, 1, 990, 990, 990, 10, 1);
    read_expect(&f, 2, 0, 10000, 0, 10, 50);
    read_expect(&f, 3, 0, 10000, 0, 10, 0);
    ql_batch_init(&out, 1 << 20);
    assert_int_equal(ql_history_read(f.history, series_of(1), at_s(0), at_s(499), QL_HISTORY_MEAN, &out, NULL), QL_OK);
    assert_int_equal(out.bands.count, 1);
    assert_true(out.bands.at[0].at.ns == at_s(0).ns);
    assert_true(out.bands.at[0].surprise == 3.5f);
    ql_batch_fini(&out);
    fixture_close(&f);
}

static void days_have_their_files(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, 30.0);
    row_put(&f, 1, DAY_S - 100, 10, 50); /* begins on the 5th, ends on the 6th */
    row_put(&f, 1, DAY_S + 400, 10, 50);
    row_put(&f, 1, 3 * DAY_S, 10, 50);
    read_expect(&f, 1, DAY_S, DAY_S + 1000, DAY_S, 10, 90); /* finds the 5th by its last time */
    read_expect(&f, 1, 2 * DAY_S, 4 * DAY_S, 3 * DAY_S, 10, 50);
    ql_history_close(f.history);
    assert_string_equal(folder_list(&f, false),
                        "history-20260105.db history-20260106.db history-20260108.db ");
    fixture_reopen(&f, 30.0);
    read_expect(&f, 1, DAY_S, DAY_S + 1000, DAY_S, 10, 90);
    fixture_close(&f);
}

static void old_days_are_unlinked(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, 2.0);
    row_put(&f, 1, 100, 10, 50);
    row_put(&f, 1, DAY_S, 10, 50);
    row_put(&f, 1, 2 * DAY_S, 10, 50);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    row_put(&f, 1, 2 * DAY_S + 1000, 10, 50);
    read_expect(&f, 1, 0, DAY_S - 1, 0, 10, 0);
    row_put(&f, 1, 200, 10, 50); /* too late to be kept, and makes no file */
    read_expect(&f, 1, 0, DAY_S - 1, 0, 10, 0);
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", "too_old"), 1);
    ql_history_close(f.history);
    assert_string_equal(folder_list(&f, false), "history-20260106.db history-20260107.db ");
    fixture_reopen(&f, 0.5);
    ql_history_close(f.history);
    assert_string_equal(folder_list(&f, false), "history-20260107.db ");
    f.history = NULL;
    fixture_close(&f);
}

/* A replay after a crash appends the same rows, and longer ones with the same start. */
static void writing_twice_changes_nothing(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f, 30.0);
    row_put(&f, 1, 0, 10, 50);
    read_expect(&f, 1, 0, 10000, 0, 10, 50);
    row_put(&f, 1, 0, 10, 50);
    row_put(&f, 1, 0, 10, 20); /* shorter: ignored */
    read_expect(&f, 1, 0, 10000, 0, 10, 50);
    row_put(&f, 1, 0, 10, 60); /* longer: replaces */
    read_expect(&f, 1, 0, 10000, 0, 10, 60);
    row_put(&f, 1, 300, 10, 60); /* overlapping, cut elsewhere: every sample once */
    read_expect(&f, 1, 0, 10000, 0, 10, 90);
    fixture_close(&f);
}

/* As when the disk is full: the folder refuses, rows wait, and come through later. */
static void rows_wait_while_the_disk_refuses(void **state)
{
    struct fixture f;
    char path[QL_HISTORY_PATH_BYTES];
    (void)state;
    fixture_open(&f, 30.0);
    /* A folder in the place of the file refuses root too. */
    assert_true(ql_history_day_path(f.dir, start_s / DAY_S, path));
    assert_int_equal(mkdir(path, 0700), 0);
    row_put(&f, 1, 0, 10, 50);
    assert_int_equal(ql_history_flush(f.history), QL_E_IO);
    row_put(&f, 1, 500, 10, 50);
    read_expect_if(&f, true, 1, 0, 10000, 0, 10, 0);
    assert_true(ql_stats_sum(f.stats, "ql_history_write_failures_total", "") >= 1);
    assert_int_equal(rmdir(path), 0);
    ql_history_close(f.history); /* tries once more */
    fixture_reopen(&f, 30.0);
    read_expect(&f, 1, 0, 10000, 0, 10, 100);
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", ""), 0);
    fixture_close(&f);
}

/* Files may not grow past 200 kB, so a transaction fails in its middle, as on a full disk. */
static void a_disk_that_fills_up_loses_nothing(void **state)
{
    enum { SERIES_COUNT = 2000 };
    struct fixture f;
    struct rlimit limit, small;
    (void)state;
    fixture_open(&f, 30.0);
    row_put(&f, 1, 0, 10, 50);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 200000;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (uint64_t i = 2; i <= SERIES_COUNT; i++) {
        row_put(&f, i, 0, 7, 100);
    }
    assert_int_equal(ql_history_flush(f.history), QL_E_IO);
    read_expect_if(&f, true, 1, 0, 10000, 0, 10, 50); /* what was written stays readable */
    read_expect_if(&f, true, 2, 0, 10000, 0, 7, 0);   /* and the failed transaction left nothing */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ql_history_close(f.history);
    fixture_reopen(&f, 30.0);
    for (uint64_t i = 2; i <= SERIES_COUNT; i += 111) {
        read_expect(&f, i, 0, 10000, 0, 7, 100);
    }
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", ""), 0);
    fixture_close(&f);
}

static void what_never_fits_is_counted(void **state)
{
    struct fixture f;
    char path[QL_HISTORY_PATH_BYTES];
    (void)state;
    fixture_open(&f, 30.0);
    assert_true(ql_history_day_path(f.dir, start_s / DAY_S, path));
    assert_int_equal(mkdir(path, 0700), 0);
    row_put(&f, 1, 0, 10, 50);
    row_put(&f, 1, 500, 10, 50);
    ql_history_close(f.history);
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", "disk_full"), 2);
    assert_int_equal(rmdir(path), 0);
    f.history = NULL;
    fixture_close(&f);
}

/* While the disk refuses for long the queue fills, refuses, and later takes rows again. */
static void a_full_queue_refuses(void **state)
{
    struct fixture f;
    char path[QL_HISTORY_PATH_BYTES];
    struct ql_history_row row = { .series = series_of(1) };
    (void)state;
    fixture_open(&f, 30.0);
    assert_true(ql_history_day_path(f.dir, start_s / DAY_S, path));
    assert_int_equal(mkdir(path, 0700), 0);
    ql_chunk_init(&row.chunk);
    assert_true(ql_chunk_append(&row.chunk, (struct ql_sample){ at_s(0), 1.0 }));
    for (uint32_t i = 0; ql_chunk_append(&row.chunk, (struct ql_sample){ at_s(i + 1), i * 0.37 });
         i++) {
    }
    uint32_t taken = 0;
    while (ql_history_append(f.history, &row) == QL_OK) {
        row.series = series_of(++taken);
    }
    assert_in_range(taken, 100000, 500000);
    assert_int_equal(ql_history_append(f.history, &row), QL_E_FULL);
    assert_int_equal(rmdir(path), 0);
    ql_history_close(f.history);
    fixture_reopen(&f, 30.0);
    struct ql_batch out;
    ql_batch_init(&out, 1 << 20);
    assert_int_equal(ql_history_read(f.history, series_of(taken - 1), at_s(0), at_s(10000),
                                     QL_HISTORY_MEAN, &out, NULL), QL_OK);
    assert_int_equal(out.samples.count, row.chunk.count);
    ql_batch_fini(&out);
    fixture_close(&f);
}

static void foreign_files_are_set_aside(void **state)
{
    struct fixture f;
    char path[QL_HISTORY_PATH_BYTES];
    (void)state;
    fixture_open(&f, 30.0);
    assert_true(ql_history_day_path(f.dir, start_s / DAY_S, path));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs("this is no database at all, is it", file) >= 0);
    (void)fclose(file);
    row_put(&f, 1, 0, 10, 50);
    read_expect(&f, 1, 0, 10000, 0, 10, 50);
    ql_history_close(f.history);
    assert_string_equal(folder_list(&f, false),
                        "history-20260105.db history-20260105.db.damaged ");
    f.history = NULL;
    fixture_close(&f);
}

static void names_and_days(void **state)
{
    static const struct { const char *name; bool valid; int64_t day; } rows[] = {
        { "history-19700101.db", true, 0 },
        { "history-20260105.db", true, 20458 },
        { "history-19691231.db", true, -1 },
        { "history-20260230.db", false, 0 },
        { "history-20260105.db-wal", false, 0 },
        { "history-2026x105.db", false, 0 },
        { "state.db", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        int64_t day = 4711;
        char path[QL_HISTORY_PATH_BYTES];
        assert_int_equal(ql_history_day_parse(rows[i].name, &day), rows[i].valid);
        if (rows[i].valid) {
            assert_int_equal(day, rows[i].day);
            assert_true(ql_history_day_path("x", day, path));
            assert_string_equal(path + 2, rows[i].name);
        }
    }
    assert_int_equal(ql_history_day_of(-1), -1);
    assert_int_equal(ql_history_day_of(86399999), 0);
}

/* Two threads append while a third reads: for ThreadSanitizer as much as for the result. */
struct appender { struct fixture *f; uint64_t series; };

static void *appender_run(void *context)
{
    const struct appender *a = context;
    for (int64_t i = 0; i < 50; i++) {
        row_put(a->f, a->series, i * 500, 10, 50);
    }
    return NULL;
}

static void threads_append_and_read(void **state)
{
    struct fixture f;
    pthread_t threads[2];
    (void)state;
    fixture_open(&f, 30.0);
    struct appender appenders[2] = { { &f, 1 }, { &f, 2 } };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, appender_run, &appenders[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        struct ql_batch out;
        ql_batch_init(&out, 1 << 20);
        assert_int_equal(ql_history_read(f.history, series_of(1), at_s(0), at_s(99999),
                                         QL_HISTORY_MEAN, &out, NULL), QL_OK);
        assert_int_equal(out.samples.count % 50, 0);
        ql_batch_fini(&out);
    }
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    read_expect(&f, 1, 0, 99999, 0, 10, 2500);
    read_expect(&f, 2, 0, 99999, 0, 10, 2500);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_read),
        cmocka_unit_test(days_have_their_files),
        cmocka_unit_test(old_days_are_unlinked),
        cmocka_unit_test(writing_twice_changes_nothing),
        cmocka_unit_test(rows_wait_while_the_disk_refuses),
        cmocka_unit_test(a_disk_that_fills_up_loses_nothing),
        cmocka_unit_test(what_never_fits_is_counted),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(foreign_files_are_set_aside),
        cmocka_unit_test(names_and_days),
        cmocka_unit_test(threads_append_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
