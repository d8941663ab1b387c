/* disk_test - one counter is enough, none is none, and what is missing says nothing. */
#include "forecast/disk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct row { double raw[QL_DISK_COUNTERS]; bool failing; enum ql_disk_counter leader; };
static const struct row rows[] = {
    { { 0, 0, 0, 0, 0 }, false, QL_DISK_REALLOCATED },
    { { NAN, NAN, NAN, NAN, NAN }, false, QL_DISK_REALLOCATED },
    { { -1, INFINITY, 0, 0, 0 }, false, QL_DISK_REALLOCATED },
    { { 1, 0, 0, 0, 0 }, true, QL_DISK_REALLOCATED },
    { { 0, 2, NAN, 1, 0 }, true, QL_DISK_UNCORRECTABLE },
    { { 1, 0, 65538, 0, 0 }, true, QL_DISK_TIMEOUTS },
    { { 0, 0, 0, 8, 8 }, true, QL_DISK_PENDING },
    { { 0, 0, 0, 0, 1 }, true, QL_DISK_OFFLINE },
    { { 8589934592001.0, 0, 2, 0, 0 }, true, QL_DISK_TIMEOUTS },  /* of 5: 1 beside 2000 */
    { { 8589934592000.0, 0, 0, 0, 0 }, false, QL_DISK_REALLOCATED }, /* rounded: nobody knows */
};

struct count_row { enum ql_disk_counter counter; double raw, count; };
static const struct count_row count_rows[] = {
    { QL_DISK_REALLOCATED, 0, 0 },
    { QL_DISK_REALLOCATED, 70000, 70000 },
    { QL_DISK_REALLOCATED, -1, 0 },
    { QL_DISK_REALLOCATED, NAN, 0 },
    { QL_DISK_REALLOCATED, INFINITY, 0 },
    { QL_DISK_REALLOCATED, 42949672965.0, 5 },      /* ten in the upper words */
    { QL_DISK_TIMEOUTS, 7, 7 },
    { QL_DISK_TIMEOUTS, 65535, 65535 },
    { QL_DISK_TIMEOUTS, 131081, 9 },                /* 0 2 9 */
    { QL_DISK_TIMEOUTS, 4295032833.0, 1 },          /* 1 1 1 */
    { QL_DISK_TIMEOUTS, 12885098501.0, 5 },         /* 3 3 5 */
    { QL_DISK_TIMEOUTS, 12885099000.0, 3 },         /* the same, rounded to seven digits */
};

static void what_a_raw_value_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(count_rows); i++) {
        const double count = ql_disk_count(count_rows[i].counter, count_rows[i].raw);
        if (count != count_rows[i].count) {
            fail_msg("row %zu: %.0f counts %.0f", i, count_rows[i].raw, count);
        }
    }
}

static void each_counter_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_disk_verdict v = ql_disk_judge(rows[i].raw);
        assert_int_equal(v.failing, rows[i].failing);
        assert_int_equal(v.leader, rows[i].leader);
        assert_true(rows[i].failing ? v.score > 0.0 : v.score == 0.0);
        assert_non_null(ql_disk_counter_text(v.leader));
    }
}

static void more_ranks_higher(void **state)
{
    (void)state;
    const double few[] = { 1, 0, 0, 0, 0 }, many[] = { 100, 0, 0, 0, 0 }, two[] = { 1, 1, 0, 0, 0 };
    assert_true(ql_disk_judge(few).score < ql_disk_judge(many).score);
    assert_true(ql_disk_judge(few).score < ql_disk_judge(two).score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counter_counts),
        cmocka_unit_test(more_ranks_higher),
        cmocka_unit_test(what_a_raw_value_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
