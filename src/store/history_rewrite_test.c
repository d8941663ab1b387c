/* history_rewrite_test - old days made smaller: the same samples, then cells; kills; size. */
#include "store/history_test.h"

#include <pthread.h>

static double value_count(int64_t s) { return (double)(s * 2); }
static double value_gaps(int64_t s) { return s / 900 % 2 == 1 ? ql_stale_marker() : (double)(s % 300); }
/* A restart each quarter of an hour: one stale marker. It begins with one. */
static double value_restarts(int64_t s) { return s % 900 == 0 ? ql_stale_marker() : (double)(s % 300); }

/* ---- the same samples in less room ----------------------------------------------------- */

static void packing_changes_no_bit(void **state)
{
    static double (*const values[])(int64_t) = { value_wave, value_count, value_restarts,
                                                    value_one };
    struct fixture f;
    struct ql_batch out;
    (void)state;
    fixture_init(&f);
    for (uint64_t i = 0; i < 200; i++) {
        samples_put(&f, i, 0, DAY_S, values[i % 4]);
    }
    samples_put(&f, 900, 2 * DAY_S, 2 * DAY_S + 100, value_one);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    fixture_reopen(&f, &keep_raw);
    const int64_t before = day_bytes(&f, 0);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    assert_in_range(day_bytes(&f, 0), before / 10, before * 8 / 10);
    for (uint64_t i = 0; i < 200; i += 7) {
        assert_raw(&f, i, 0, DAY_S, values[i % 4]);
    }
    assert_raw(&f, 4, 5000 * STEP_S, 5010 * STEP_S, value_wave); /* out of a row's middle */
    read_all(&f, 4, 0, DAY_S, QL_HISTORY_MEAN, &out, NULL);
    assert_in_range(out.bands.count, 30, 144);
    for (uint32_t i = 0; i < out.bands.count; i++) { /* a band may grow a little, not shrink */
        assert_true(out.bands.at[i].expected == 10.0f);
        assert_true(out.bands.at[i].lower <= 7.3f && out.bands.at[i].lower > 7.27f);
        assert_true(out.bands.at[i].upper >= 13.1f && out.bands.at[i].upper < 13.13f);
    }
    ql_batch_fini(&out);
    fixture_fini(&f);
}

static void late_rows_join_a_packed_day(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S / 2, value_wave);
    samples_put(&f, 2, 0, 15, value_one);
    samples_put(&f, 2, 2 * DAY_S, 2 * DAY_S + 100, value_one);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    samples_put(&f, 1, DAY_S / 2, DAY_S, value_wave);
    samples_put(&f, 1, 0, 3600, value_wave); /* a replay: there already */
    samples_put(&f, 3, 0, DAY_S, value_count);
    assert_raw(&f, 1, 0, DAY_S, value_wave);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 2);
    assert_raw(&f, 1, 0, DAY_S, value_wave);
    assert_raw(&f, 3, 0, DAY_S, value_count);
    fixture_fini(&f);
}

/* ---- cells ------------------------------------------------------------------------------- */

struct cell_row {
    const char *name;
    double raw_s, minutes_s;
    enum ql_history_take take;
    int64_t cell_ms;
    double first, last;        /* of series 1, the wave of one hour below */
    uint32_t count;
};

/* Rises by one each 15 s for an hour, then starts again. */
static double value_saw(int64_t s) { return (double)(s % 3600 / STEP_S); }

static void old_days_become_cells(void **state)
{
    static const struct cell_row rows[] = {
        { "mean, minutes", DAY_S, 0.0, QL_HISTORY_MEAN, 300000, 9.5, 229.5, 576 },
        { "least, minutes", DAY_S, 0.0, QL_HISTORY_LEAST, 300000, 0.0, 220.0, 576 },
        { "greatest, minutes", DAY_S, 0.0, QL_HISTORY_GREATEST, 300000, 19.0, 239.0, 576 },
        { "mean, hours", DAY_S, DAY_S, QL_HISTORY_MEAN, 3600000, 119.5, 119.5, 576 },
        { "least, hours", DAY_S, DAY_S, QL_HISTORY_LEAST, 3600000, 0.0, 0.0, 576 },
        { "greatest, hours", DAY_S, DAY_S, QL_HISTORY_GREATEST, 3600000, 239.0, 239.0, 576 },
    };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S, value_saw);
    samples_put(&f, 2, 0, DAY_S, value_count);
    samples_put(&f, 3, 0, DAY_S, value_gaps);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_history_limits limits = { .days = 400.0, .raw_s = rows[i].raw_s,
                                                  .minutes_s = rows[i].minutes_s };
        struct ql_batch out;
        int64_t cell_ms = 0;
        fixture_reopen(&f, &limits);
        assert_int_equal(ql_history_tidy(f.history), QL_OK);
        read_all(&f, 1, 0, DAY_S - 1, rows[i].take, &out, &cell_ms);
        assert_int_equal(cell_ms, rows[i].cell_ms);
        assert_int_equal(out.samples.count, rows[i].count);
        assert_true(out.samples.at[0].value == rows[i].first);
        assert_true(out.samples.at[out.samples.count - 1].value == rows[i].last);
        assert_true(out.bands.count >= 10);
        ql_batch_fini(&out);
        /* A counter's rate is what it was: 2 a second, wherever it is looked at. */
        read_all(&f, 2, 0, DAY_S, QL_HISTORY_LAST, &out, NULL);
        assert_true(out.samples.count > 500);
        for (uint32_t k = 1; k < out.samples.count; k++) {
            const double dt = ql_duration_s(ql_time_since(out.samples.at[k].at,
                                                          out.samples.at[k - 1].at));
            const double dv = out.samples.at[k].value - out.samples.at[k - 1].value;
            assert_true(fabs(dv / dt - 2.0) < 0.02);
        }
        ql_batch_fini(&out);
        /* Where nothing but stale markers came there is no cell. */
        read_all(&f, 3, 900, 1799, QL_HISTORY_MEAN, &out, NULL);
        assert_int_equal(out.samples.count, rows[i].cell_ms == 300000 ? 0 : 6);
        ql_batch_fini(&out);
    }
    /* The day that is not old has every sample. */
    assert_raw(&f, 1, 4 * DAY_S, 4 * DAY_S + 105, value_one);
    fixture_fini(&f);
}

/* Noise, of which a day of cells takes several rows a column, and not the same in each. */
static double value_noise(int64_t s)
{
    const uint64_t bits = ql_hash64(&s, sizeof(s));
    return 100.0 + (double)(bits >> 11) / 9007199254740992.0;
}

static void a_part_of_a_day_of_cells_is_that_part(void **state)
{
    const struct ql_history_limits levels[] = { { .days = 400.0, .raw_s = DAY_S },
                                                { .days = 400.0, .raw_s = DAY_S,
                                                  .minutes_s = DAY_S } };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S, value_noise);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    for (size_t level = 0; level < QL_COUNT_OF(levels); level++) {
        struct ql_batch whole, part;
        fixture_reopen(&f, &levels[level]);
        assert_int_equal(ql_history_tidy(f.history), QL_OK);
        read_all(&f, 1, 0, DAY_S - 1, QL_HISTORY_MEAN, &whole, NULL);
        for (int64_t from_s = 0; from_s < DAY_S; from_s += 4500) {
            for (int64_t to_s = from_s + 3599; to_s < DAY_S; to_s += 10800) {
                uint32_t i = 0;
                read_all(&f, 1, from_s, to_s, QL_HISTORY_MEAN, &part, NULL);
                while (i < whole.samples.count && whole.samples.at[i].at.ns < at_s(from_s).ns) {
                    i++;
                }
                for (uint32_t k = 0; k < part.samples.count; k++, i++) {
                    assert_true(part.samples.at[k].at.ns == whole.samples.at[i].at.ns &&
                                part.samples.at[k].value == whole.samples.at[i].value);
                }
                assert_true(i == whole.samples.count ||
                            whole.samples.at[i].at.ns > at_s(to_s).ns);
                ql_batch_fini(&part);
            }
        }
        ql_batch_fini(&whole);
    }
    fixture_fini(&f);
}

static void a_replay_into_cells_changes_nothing(void **state)
{
    const struct ql_history_limits limits = { .days = 400.0, .raw_s = DAY_S };
    struct fixture f;
    struct ql_batch before, after;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S, value_wave);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    fixture_reopen(&f, &limits);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    read_all(&f, 1, 0, DAY_S, QL_HISTORY_MEAN, &before, NULL);
    samples_put(&f, 1, DAY_S - 1000 * STEP_S, DAY_S, value_wave);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    read_all(&f, 1, 0, DAY_S, QL_HISTORY_MEAN, &after, NULL);
    assert_int_equal(before.samples.count, after.samples.count);
    assert_memory_equal(before.samples.at, after.samples.at,
                        before.samples.count * sizeof(*before.samples.at));
    ql_batch_fini(&before);
    ql_batch_fini(&after);
    fixture_fini(&f);
}

/* ---- kills ---------------------------------------------------------------------------------- */

/* A child rewrites until it is killed, wherever that is; after each kill all is readable, and
 * at last the pass ends and has lost nothing. */
static void kills_in_the_middle_lose_nothing(void **state)
{
    enum { SERIES = 400, KILLS = 12 };
    struct fixture f;
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 42, "kills");
    print_message("seed 42\n");
    fixture_init(&f);
    for (uint64_t i = 0; i < SERIES; i++) {
        samples_put(&f, i, 0, DAY_S / 4, value_wave);
    }
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    ql_history_close(f.history);
    uint32_t killed = 0;
    for (int i = 0; i < KILLS; i++) {
        const pid_t child = rewrite_start(&f);
        (void)usleep((useconds_t)ql_rng_below(&rng, 20000));
        (void)kill(child, SIGKILL);
        killed += rewrite_end(child) == -1;
        fixture_open(&f, &keep_raw);
        for (uint64_t k = (uint64_t)i; k < SERIES; k += 37) {
            assert_raw(&f, k, 0, DAY_S / 4, value_wave);
        }
        ql_history_close(f.history);
    }
    assert_true(killed > 0);
    fixture_open(&f, &keep_raw);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    for (uint64_t k = 0; k < SERIES; k++) {
        assert_raw(&f, k, 0, DAY_S / 4, value_wave);
    }
    fixture_fini(&f);
}

/* Reads while a rewrite is at work: each sees every sample. */
static void *tidy_run(void *context)
{
    const struct fixture *f = context;
    return ql_history_tidy(f->history) == QL_OK ? NULL : context;
}

static void readers_see_all_meanwhile(void **state)
{
    struct fixture f;
    pthread_t thread;
    void *failed = &f;
    (void)state;
    fixture_init(&f);
    for (uint64_t i = 0; i < 300; i++) {
        samples_put(&f, i, 0, DAY_S / 8, value_wave);
    }
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    assert_int_equal(pthread_create(&thread, NULL, tidy_run, &f), 0);
    for (uint64_t i = 0; i < 300; i += 3) {
        assert_raw(&f, i, 0, DAY_S / 8, value_wave);
    }
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    fixture_fini(&f);
}

/* A day that is damaged in its middle stays as it is and holds up no other. */
static void a_damaged_day_holds_up_no_other(void **state)
{
    static const char junk[4096 * 4] = { 'j' };
    struct fixture f;
    char path[QL_HISTORY_PATH_BYTES];
    (void)state;
    fixture_init(&f);
    for (int64_t day = 0; day < 2; day++) {
        for (uint64_t i = 0; i < 30; i++) {
            samples_put(&f, i, day * DAY_S, day * DAY_S + DAY_S / 2, value_wave);
        }
    }
    ql_history_close(f.history);
    assert_true(ql_history_day_path(f.dir, start_s / DAY_S, path));
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4096 * 20, SEEK_SET), 0);
    assert_int_equal(fwrite(junk, 1, sizeof(junk), file), sizeof(junk));
    (void)fclose(file);
    fixture_open(&f, &keep_raw);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    (void)!ql_history_tidy(f.history); /* an error, unless it was met before this began */
    assert_in_range(ql_stats_sum(f.stats, "ql_history_rewrite_failures_total", ""), 1, 2);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    for (uint64_t i = 0; i < 30; i++) {
        assert_raw(&f, i, DAY_S, DAY_S + DAY_S / 2, value_wave);
    }
    assert_true(day_bytes(&f, 0) > 0);
    fixture_fini(&f);
}

/* ---- size -------------------------------------------------------------------------------------- */

static uint32_t days_there(const struct fixture *f, int64_t *ret_first)
{
    uint32_t count = 0;
    *ret_first = -1;
    for (int64_t day = 0; day < 20; day++) {
        if (day_bytes(f, day) > 0) {
            *ret_first = *ret_first < 0 ? day : *ret_first;
            count++;
        }
    }
    return count;
}

static void too_much_removes_the_oldest_days(void **state)
{
    struct fixture f;
    int64_t first;
    (void)state;
    fixture_init(&f);
    for (int64_t day = 0; day < 10; day++) {
        for (uint64_t i = 0; i < 20; i++) {
            samples_put(&f, i, day * DAY_S, day * DAY_S + DAY_S, value_wave);
        }
    }
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(days_there(&f, &first), 10);
    ql_history_close(f.history);
    int64_t newest_four = 0;
    for (int64_t day = 6; day < 10; day++) {
        newest_four += day_bytes(&f, day);
    }
    const struct ql_history_limits four = { .days = 400.0, .bytes_max = newest_four + 60000 };
    fixture_open(&f, &four);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(days_there(&f, &first), 4);
    assert_int_equal(first, 6);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_removed_total", "size"), 6);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_removed_total", "age"), 0);
    assert_in_range(ql_stats_sum(f.stats, "ql_history_bytes", ""), newest_four / 2,
                    four.bytes_max);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days", ""), 4);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_oldest_timestamp_seconds", ""),
                     start_s + 6 * DAY_S);
    /* However small the limit, today stays. */
    const struct ql_history_limits none = { .days = 400.0, .bytes_max = 1 };
    fixture_reopen(&f, &none);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(days_there(&f, &first), 1);
    assert_int_equal(first, 9);
    assert_raw(&f, 3, 9 * DAY_S, 10 * DAY_S, value_wave);
    fixture_fini(&f);
}

/* Rows of two days come together, so the writer has both open when the older one must go. What
 * comes for it later is in a file that is there. */
static void a_day_that_is_removed_takes_later_rows(void **state)
{
    struct fixture f;
    int64_t first;
    (void)state;
    fixture_init(&f);
    const struct ql_history_limits little = { .days = 400.0, .bytes_max = 400000 };
    fixture_reopen(&f, &little);
    for (uint64_t i = 0; i < 50; i++) {
        samples_put(&f, i, 0, DAY_S, value_wave);
    }
    samples_put(&f, 1, DAY_S, DAY_S + 7 * 3600, value_wave); /* the first day is due */
    assert_int_equal(ql_history_tidy(f.history), QL_OK);     /* packed, and still too large */
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_removed_total", "size"), 1);
    assert_int_equal(days_there(&f, &first), 1);
    assert_int_equal(first, 1);
    samples_put(&f, 2, 3600, 7200, value_wave);
    samples_put(&f, 2, DAY_S, DAY_S + 3600, value_wave);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    assert_int_equal(days_there(&f, &first), 2);
    assert_raw(&f, 2, 3600, 7200, value_wave);
    assert_raw(&f, 1, DAY_S, DAY_S + 7 * 3600, value_wave);
    fixture_fini(&f);
}

/* A day is packed once, and not at every batch after which it still stands open. */
static void a_day_that_gets_no_rows_is_left_alone(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S, value_wave);
    samples_put(&f, 1, DAY_S, DAY_S + 7 * 3600, value_wave);
    for (int64_t i = 0; i < 4; i++) {
        samples_put(&f, 2, DAY_S + i * 3600, DAY_S + (i + 1) * 3600, value_wave);
        assert_int_equal(ql_history_tidy(f.history), QL_OK);
        assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    }
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_changes_no_bit),
        cmocka_unit_test(late_rows_join_a_packed_day),
        cmocka_unit_test(old_days_become_cells),
        cmocka_unit_test(a_part_of_a_day_of_cells_is_that_part),
        cmocka_unit_test(a_replay_into_cells_changes_nothing),
        cmocka_unit_test(kills_in_the_middle_lose_nothing),
        cmocka_unit_test(a_damaged_day_holds_up_no_other),
        cmocka_unit_test(readers_see_all_meanwhile),
        cmocka_unit_test(too_much_removes_the_oldest_days),
        cmocka_unit_test(a_day_that_is_removed_takes_later_rows),
        cmocka_unit_test(a_day_that_gets_no_rows_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
