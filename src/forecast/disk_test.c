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
    { { 1, 0, 65537, 0, 0 }, true, QL_DISK_TIMEOUTS },
    { { 0, 0, 0, 8, 8 }, true, QL_DISK_PENDING },
    { { 0, 0, 0, 0, 1 }, true, QL_DISK_OFFLINE },
};

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
