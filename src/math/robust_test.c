/* robust_test - which of two stories must look larger, and by how much. */
#include "math/robust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *story;
    double baseline[8], fault[4];
    uint32_t baseline_count, fault_count;
    double floor_unit, want_z;
};

static const struct row rows[] = {
    { "a constant series that moved by half", { 10, 10, 10, 10 }, { 15 }, 4, 1, 0, 10 },
    { "a hair's move of a constant is small", { 10, 10, 10, 10 }, { 10.05 }, 4, 1, 0, 0.1 },
    { "downwards is negative", { 10, 10, 10, 10 }, { 5, 5 }, 4, 2, 0, -10 },
    { "one outlier in the past changes nothing", { 10, 10, 10, 10, 1e6 }, { 15 }, 5, 1, 0, 10 },
    { "from zero, the floor is the unit", { 0, 0, 0 }, { 3 }, 3, 1, 0.5, 6 },
    { "a wide past divides by its quartiles",
      { 0, 1.349, 2.698, 4.047, 5.396 }, { 2.698 + 2 }, 5, 1, 0, 1 },
    { "the fault window counts by its mean", { 10, 10, 10 }, { 10, 20 }, 3, 2, 0, 10 },
};

static void shift_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct row *row = &rows[i];
        double scratch[8];
        const struct ql_robust_window window = {
            .baseline = row->baseline,
            .fault = row->fault,
            .baseline_count = row->baseline_count,
            .fault_count = row->fault_count,
            .floor_unit = row->floor_unit,
            .scratch = scratch,
        };
        const double off = ql_robust_shift(&window).z - row->want_z;
        if (off > 1e-9 || off < -1e-9) {
            fail_msg("%s: want %g, off by %g", row->story, row->want_z, off);
        }
    }
}

static void zero_everywhere_is_no_shift(void **state)
{
    (void)state;
    const double zero[3] = { 0 };
    double scratch[3];
    const struct ql_robust_window window = { zero, zero, 3, 3, 0.0, scratch };
    assert_true(ql_robust_shift(&window).z == 0.0);
}

static void theil_sen_ignores_outliers(void **state)
{
    (void)state;
    const double x[] = { 0, 1, 2, 3, 4, 5 }, y[] = { 1, 3, 5, 700, 9, 11 };
    double scratch[15];
    assert_true(ql_theil_sen(x, y, 6, scratch) == 2.0);
    assert_true(ql_theil_sen(x, y, 1, scratch) == 0.0);
    const double same[] = { 4, 4, 4 };
    assert_true(ql_theil_sen(same, y, 3, scratch) == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shift_rows),
        cmocka_unit_test(zero_everywhere_is_no_shift),
        cmocka_unit_test(theil_sen_ignores_outliers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
