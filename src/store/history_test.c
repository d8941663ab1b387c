/* history_test - chunks come back over midnight, once each; old days go; bad disks are told. */
#include "store/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS INT64_C(86400000)
#define START_MS (INT64_C(20458) * DAY_MS) /* a midnight, UTC */

struct place { char dir[64]; struct ql_stats *stats; struct ql_history *history; };

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/ql-history-XXXXXX");
    place->stats = ql_stats_new(64);
    *state = place;
    return mkdtemp(place->dir) == NULL ||
           ql_history_open(place->dir, 3, place->stats, &place->history) != QL_OK;
}

static int teardown(void **state)
{
    struct place *place = *state;
    ql_history_close(place->history);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", place->dir, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(pid, NULL, 0);
    ql_stats_free(place->stats);
    free(place);
    return 0;
}

/* Appends `count` samples at 10 s from `first_ms` as full chunks and one last open one. */
static void fill(struct place *place, ql_series_id id, int64_t first_ms, int count)
{
    struct ql_history_row row = { .series = id };
    ql_chunk_init(&row.chunk);
    for (int i = 0; i < count; i++) {
        const struct ql_sample sample = { ql_time_from_ms(first_ms + i * 10000), i };
        if (!ql_chunk_append(&row.chunk, sample)) {
            row.band_count = 1;
            row.bands[0] = (struct ql_band){ .at = sample.at, .expected = 1, .lower = 0, .upper = 2 };
            assert_int_equal(ql_history_append(place->history, &row), QL_OK);
            ql_chunk_init(&row.chunk);
            assert_true(ql_chunk_append(&row.chunk, sample));
        }
    }
    assert_int_equal(ql_history_append(place->history, &row), QL_OK);
}

static uint32_t count_between(struct place *place, ql_series_id id, int64_t from_ms, int64_t to_ms)
{
    struct ql_batch out;
    ql_batch_init(&out, 1 << 20);
    assert_int_equal(ql_history_read(place->history, id, ql_time_from_ms(from_ms),
                                     ql_time_from_ms(to_ms), &out), QL_OK);
    for (uint32_t i = 1; i < out.samples.count; i++) {
        assert_true(out.samples.at[i - 1].at.ns < out.samples.at[i].at.ns);
    }
    const uint32_t count = out.samples.count;
    ql_batch_fini(&out);
    return count;
}

static void comes_back_over_midnight_once(void **state)
{
    struct place *place = *state;
    const ql_series_id a = { { 1, 2 } }, b = { { 3, 4 } };
    fill(place, a, START_MS - 3600000, 720); /* an hour before midnight to an hour after */
    fill(place, b, START_MS, 10);
    fill(place, a, START_MS - 3600000, 720); /* a replay writes the same again */
    assert_int_equal(ql_history_flush(place->history), QL_OK);
    assert_int_equal(count_between(place, a, START_MS - DAY_MS, START_MS + DAY_MS), 720);
    assert_int_equal(count_between(place, a, START_MS, START_MS + 99999), 10);
    assert_int_equal(count_between(place, b, START_MS, START_MS + DAY_MS), 10);
    assert_int_equal(count_between(place, b, START_MS - DAY_MS, START_MS - 1), 0);
}

static void an_open_chunk_grows_in_place(void **state)
{
    struct place *place = *state;
    const ql_series_id a = { { 1, 2 } };
    fill(place, a, START_MS, 5);
    fill(place, a, START_MS, 9);
    fill(place, a, START_MS, 7); /* older: must not take samples away */
    assert_int_equal(ql_history_flush(place->history), QL_OK);
    assert_int_equal(count_between(place, a, START_MS, START_MS + DAY_MS), 9);
}

static void old_days_go(void **state)
{
    struct place *place = *state;
    const ql_series_id a = { { 1, 2 } };
    for (int day = 0; day < 10; day++) {
        fill(place, a, START_MS + day * DAY_MS, 5);
    }
    assert_int_equal(ql_history_flush(place->history), QL_OK);
    assert_int_equal(count_between(place, a, START_MS, START_MS + 20 * DAY_MS), 4 * 5);
}

static void what_a_disk_refuses_is_counted(void **state)
{
    struct place *place = *state;
    const ql_series_id a = { { 1, 2 } };
    char path[128];
    /* A folder where the day's file should be: SQLite can open no database there. */
    (void)snprintf(path, sizeof(path), "%s/history/history-20260105.db", place->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    fill(place, a, START_MS, 5);
    assert_int_equal(ql_history_flush(place->history), QL_E_IO);
    assert_int_equal(ql_stats_sum(place->stats, "ql_history_failures_total", ""), 1);
    assert_int_equal(rmdir(path), 0);
    fill(place, a, START_MS, 5);
    assert_int_equal(ql_history_flush(place->history), QL_OK);
    assert_int_equal(count_between(place, a, START_MS, START_MS + DAY_MS), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_over_midnight_once, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_chunk_grows_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(old_days_go, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_disk_refuses_is_counted, setup, teardown),
    };
    return cmocka_run_group_tests_name("store/history", tests, NULL, NULL);
}
