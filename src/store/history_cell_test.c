/* history_cell_test - samples to cells, cells to wider ones, and back to samples. */
#include "store/history_cell.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const int64_t start_ms = INT64_C(1767571200000); /* 2026-01-05, midnight */

static struct ql_sample sample_at(int64_t after_s, double value)
{
    return (struct ql_sample){ ql_time_from_ms(start_ms + after_s * 1000), value };
}

static void assert_cell(const struct ql_history_cell *cell, int64_t after_s, double least,
                        double greatest, double sum, double count, double last)
{
    assert_int_equal(cell->at_ms, start_ms + after_s * 1000);
    assert_true(cell->least == least && cell->greatest == greatest);
    assert_true(cell->sum == sum && cell->count == count && cell->last == last);
}

static void samples_become_cells(void **state)
{
    struct ql_history_cells cells;
    const struct ql_sample samples[] = {
        sample_at(0, 3.0), sample_at(100, -1.0), sample_at(299, 2.0),
        sample_at(310, ql_stale_marker()), sample_at(320, (double)NAN), /* in no cell */
        sample_at(600, 7.0), sample_at(899, 8.0),
    };
    (void)state;
    ql_history_cells_init(&cells, QL_HISTORY_MINUTES_MS);
    assert_int_equal(ql_history_cells_put(&cells, samples, QL_COUNT_OF(samples)), QL_OK);
    assert_int_equal(cells.count, 2);
    assert_cell(&cells.at[0], 0, -1.0, 3.0, 4.0, 3.0, 2.0);
    assert_cell(&cells.at[1], 600, 7.0, 8.0, 15.0, 2.0, 8.0);
    ql_history_cells_fini(&cells);
}

static void times_before_1970_floor(void **state)
{
    struct ql_history_cells cells;
    const struct ql_sample sample = { ql_time_from_ms(-1), 5.0 };
    (void)state;
    ql_history_cells_init(&cells, QL_HISTORY_MINUTES_MS);
    assert_int_equal(ql_history_cells_put(&cells, &sample, 1), QL_OK);
    assert_int_equal(cells.at[0].at_ms, -300000);
    ql_history_cells_fini(&cells);
}

/* An hour folded from cells is the hour made of the samples themselves. */
static void folding_equals_doing_it_at_once(void **state)
{
    struct ql_history_cells minutes, hours, once;
    (void)state;
    ql_history_cells_init(&minutes, QL_HISTORY_MINUTES_MS);
    ql_history_cells_init(&hours, QL_HISTORY_HOURS_MS);
    ql_history_cells_init(&once, QL_HISTORY_HOURS_MS);
    for (int64_t i = 0; i < 1000; i++) {
        const struct ql_sample s = sample_at(i * 15, (double)((i * 7919) % 101 - 50));
        assert_int_equal(ql_history_cells_put(&minutes, &s, 1), QL_OK);
        assert_int_equal(ql_history_cells_put(&once, &s, 1), QL_OK);
    }
    assert_int_equal(ql_history_cells_fold(&hours, &minutes), QL_OK);
    assert_int_equal(hours.count, 5);
    assert_int_equal(once.count, 5);
    for (uint32_t i = 0; i < hours.count; i++) {
        assert_memory_equal(&hours.at[i], &once.at[i], sizeof(hours.at[i]));
    }
    ql_history_cells_fini(&minutes);
    ql_history_cells_fini(&hours);
    ql_history_cells_fini(&once);
}

static void of_two_cells_the_fuller_stays(void **state)
{
    static const int64_t mine[] = { 0, 1, 2, 600 }, others[] = { 10, 300, 600, 601, 900 };
    struct ql_history_cells a, b;
    (void)state;
    ql_history_cells_init(&a, QL_HISTORY_MINUTES_MS);
    ql_history_cells_init(&b, QL_HISTORY_MINUTES_MS);
    for (size_t i = 0; i < QL_COUNT_OF(mine); i++) {
        const struct ql_sample s = sample_at(mine[i], 1.0);
        assert_int_equal(ql_history_cells_put(&a, &s, 1), QL_OK);
    }
    for (size_t i = 0; i < QL_COUNT_OF(others); i++) {
        const struct ql_sample s = sample_at(others[i], 2.0);
        assert_int_equal(ql_history_cells_put(&b, &s, 1), QL_OK);
    }
    assert_int_equal(ql_history_cells_merge(&a, &b), QL_OK);
    assert_int_equal(a.count, 4);
    assert_cell(&a.at[0], 0, 1.0, 1.0, 3.0, 3.0, 1.0);
    assert_cell(&a.at[1], 300, 2.0, 2.0, 2.0, 1.0, 2.0);
    assert_cell(&a.at[2], 600, 2.0, 2.0, 4.0, 2.0, 2.0);
    assert_cell(&a.at[3], 900, 2.0, 2.0, 2.0, 1.0, 2.0);
    assert_int_equal(ql_history_cells_merge(&a, &b), QL_OK); /* again: nothing changes */
    assert_int_equal(a.count, 4);
    assert_cell(&a.at[2], 600, 2.0, 2.0, 4.0, 2.0, 2.0);
    ql_history_cells_fini(&a);
    ql_history_cells_fini(&b);
}

struct show_row {
    enum ql_history_take take;
    int64_t from_s, to_s;
    uint32_t count;
    int64_t first_s;           /* floored */
    double first, last;
};

static void cells_are_shown(void **state)
{
    /* 0..299 s: 10 to 20, mean 15; 300..599: 20 to 40, mean 30; then a gap; 900..1199: 5. */
    const struct ql_sample samples[] = { sample_at(0, 10.0), sample_at(299, 20.0),
                                         sample_at(300, 20.0), sample_at(599, 40.0),
                                         sample_at(900, 5.0) };
    static const struct show_row rows[] = {
        { QL_HISTORY_MEAN, 0, 2000, 6, 75, 15.0, 5.0 },
        { QL_HISTORY_LEAST, 0, 2000, 6, 75, 10.0, 5.0 },
        { QL_HISTORY_GREATEST, 0, 2000, 6, 75, 20.0, 5.0 },
        { QL_HISTORY_MEAN, 300, 400, 1, 375, 30.0, 30.0 },
        /* A counter: the end of the first; halfway and end of the second; end of the third. */
        { QL_HISTORY_LAST, 0, 2000, 4, 299, 20.0, 5.0 },
        { QL_HISTORY_LAST, 300, 600, 2, 449, 30.0, 40.0 },
        { QL_HISTORY_LAST, 600, 1100, 0, 0, 0.0, 0.0 },
    };
    struct ql_history_cells cells;
    (void)state;
    ql_history_cells_init(&cells, QL_HISTORY_MINUTES_MS);
    assert_int_equal(ql_history_cells_put(&cells, samples, QL_COUNT_OF(samples)), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_batch out;
        struct ql_history_show show = { .take = rows[i].take, .out = &out, .end_ms = INT64_MIN,
                                        .from_ms = start_ms + rows[i].from_s * 1000,
                                        .to_ms = start_ms + rows[i].to_s * 1000 };
        ql_batch_init(&out, 1);
        assert_int_equal(ql_history_show_cells(&show, &cells), QL_OK);
        assert_int_equal(ql_history_show_end(&show, NULL), QL_OK);
        assert_int_equal(out.samples.count, rows[i].count);
        if (rows[i].count > 0) {
            assert_int_equal((ql_time_to_ms(out.samples.at[0].at) - start_ms) / 1000,
                             rows[i].first_s);
            assert_true(out.samples.at[0].value == rows[i].first);
            assert_true(out.samples.at[out.samples.count - 1].value == rows[i].last);
        }
        ql_batch_fini(&out);
    }
    ql_history_cells_fini(&cells);
}

/* The row that crosses midnight: one cell in two files, then something finer. */
static void a_cell_in_two_files_is_one(void **state)
{
    const struct ql_sample parts[] = { sample_at(0, 1.0), sample_at(100, 5.0), sample_at(200, 9.0) };
    struct ql_history_cells a, b;
    struct ql_batch out;
    struct ql_history_show show = { .take = QL_HISTORY_MEAN, .out = &out, .end_ms = INT64_MIN,
                                    .from_ms = start_ms, .to_ms = start_ms + 10000000 };
    (void)state;
    ql_batch_init(&out, 1);
    ql_history_cells_init(&a, QL_HISTORY_HOURS_MS);
    ql_history_cells_init(&b, QL_HISTORY_HOURS_MS);
    assert_int_equal(ql_history_cells_put(&a, parts, 1), QL_OK);
    assert_int_equal(ql_history_cells_put(&b, parts + 1, 2), QL_OK);
    assert_int_equal(ql_history_show_cells(&show, &a), QL_OK);
    assert_int_equal(ql_history_show_cells(&show, &b), QL_OK);
    assert_int_equal(out.samples.count, 0);
    const struct ql_history_next finer = { start_ms + 400000, start_ms + 400000, 7.0 };
    assert_int_equal(ql_history_show_end(&show, &finer), QL_OK); /* from 400 s on */
    assert_int_equal(out.samples.count, 3);
    assert_true(out.samples.at[0].value == 5.0 && out.samples.at[2].value == 5.0);
    assert_int_equal(ql_time_to_ms(out.samples.at[2].at), start_ms + 375000);
    assert_int_equal(ql_history_show_end(&show, NULL), QL_OK); /* nothing is open */
    assert_int_equal(out.samples.count, 3);
    ql_history_cells_fini(&a);
    ql_history_cells_fini(&b);
    ql_batch_fini(&out);
}

/* A counter of 2 a second whose cell is cut short: the line leads up to what is finer. */
static void a_cut_counter_keeps_its_rate(void **state)
{
    const struct ql_sample samples[] = { sample_at(0, 0.0), sample_at(3599, 7200.0),
                                         sample_at(3700, 7400.0) };
    struct ql_history_cells cells;
    struct ql_batch out;
    struct ql_history_show show = { .take = QL_HISTORY_LAST, .out = &out, .end_ms = INT64_MIN,
                                    .from_ms = start_ms, .to_ms = start_ms + 10000000 };
    const struct ql_history_next finer = { start_ms + 4500000, start_ms + 4500000, 9000.0 };
    (void)state;
    ql_batch_init(&out, 1);
    ql_history_cells_init(&cells, QL_HISTORY_HOURS_MS);
    assert_int_equal(ql_history_cells_put(&cells, samples, QL_COUNT_OF(samples)), QL_OK);
    assert_int_equal(ql_history_show_cells(&show, &cells), QL_OK);
    assert_int_equal(ql_history_show_end(&show, &finer), QL_OK);
    assert_int_equal(out.samples.count, 6); /* the end of the first hour, then each 150 s */
    for (uint32_t i = 0; i < out.samples.count; i++) {
        const double s = ql_duration_s(ql_time_since(out.samples.at[i].at,
                                                     ql_time_from_ms(start_ms)));
        assert_true(fabs(out.samples.at[i].value - 2.0 * s) < 0.01);
    }
    ql_history_cells_fini(&cells);
    ql_batch_fini(&out);
}

static void columns_go_out_and_come_back(void **state)
{
    struct ql_history_cells cells, back;
    struct ql_sample column[3];
    (void)state;
    ql_history_cells_init(&cells, QL_HISTORY_MINUTES_MS);
    ql_history_cells_init(&back, QL_HISTORY_MINUTES_MS);
    for (int64_t i = 0; i < 30; i++) {
        const struct ql_sample s = sample_at(i * 30, (double)i * 0.1);
        assert_int_equal(ql_history_cells_put(&cells, &s, 1), QL_OK);
    }
    assert_int_equal(cells.count, 3);
    for (uint32_t c = 0; c < QL_HISTORY_CELL_COLUMNS; c++) {
        for (uint32_t i = 0; i < 3; i++) {
            column[i] = ql_history_cell_column(&cells.at[i], c);
        }
        assert_int_equal(ql_history_cells_load(&back, c, column, 3), QL_OK);
    }
    assert_memory_equal(cells.at, back.at, 3 * sizeof(cells.at[0]));
    column[1].at.ns += 1000000; /* a column that does not fit its cells is damage */
    assert_int_equal(ql_history_cells_load(&back, 1, column, 3), QL_E_IO);
    assert_int_equal(ql_history_cells_load(&back, 1, column, 2), QL_E_IO);
    ql_history_cells_fini(&cells);
    ql_history_cells_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_become_cells),
        cmocka_unit_test(times_before_1970_floor),
        cmocka_unit_test(folding_equals_doing_it_at_once),
        cmocka_unit_test(of_two_cells_the_fuller_stays),
        cmocka_unit_test(cells_are_shown),
        cmocka_unit_test(a_cell_in_two_files_is_one),
        cmocka_unit_test(a_cut_counter_keeps_its_rate),
        cmocka_unit_test(columns_go_out_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
