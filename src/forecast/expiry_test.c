/* expiry_test - ends that come and ends that are moved, as rows. */
#include "forecast/expiry.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1700000000.0
#define STEP 600.0
#define CELLS 2880u /* 20 days */

/* `left_days` to the end now; renewed `renewed_days` ago (0: never) from an end that was
 * `before_days` away then. */
struct row {
    double left_days, renewed_days, before_days, full;
    uint32_t tests_least;
    double right;
};
static const struct row rows[] = {
    { 30, 0, 0, 0.0, 20, 1.0 },
    { 0.5, 0, 0, 1.0, 20, 1.0 },
    { 1.5, 0, 0, 0.0, 20, 1.0 },
    { 89, 1, 30, 0.0, 20, 1.0 },      /* renewed long before: no claim was wrong */
    { 0.5, 4, 0.1, 1.0, 20, 0.95 },   /* always renewed at the last moment: claims fail */
};

static void ends_and_records(void **state)
{
    (void)state;
    static double ends[CELLS];
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        for (uint32_t c = 0; c < CELLS; c++) {
            const double ago = (double)(CELLS - 1 - c) * STEP;
            const double renewed = r->renewed_days * 86400.0;
            ends[c] = NOW + r->left_days * 86400.0;
            if (renewed > 0.0 && ago > renewed) {
                ends[c] = NOW - renewed + r->before_days * 86400.0;
            }
            ends[c] = c % 7 == 3 ? NAN : ends[c];
        }
        const struct ql_expiry_in in = { ends, CELLS, STEP, NOW, 86400.0 };
        struct ql_capacity got;
        assert_int_equal(ql_expiry(&in, &got), QL_OK);
        const double share = (double)got.right / (double)got.tests;
        if (got.full != r->full || got.tests < r->tests_least ||
            (r->right >= 1.0 ? share < 1.0 : share > r->right) ||
            fabs(got.middle_s - r->left_days * 86400.0) > 1.0) {
            fail_msg("row %zu: full %g, right %u of %u, in %g s", i, got.full, got.right,
                     got.tests, got.middle_s);
        }
    }
}

static void over_and_nothing(void **state)
{
    (void)state;
    const double past[] = { NOW - 5 }, none[] = { NAN }, small[] = { 86400.0 };
    struct ql_expiry_in in = { past, 1, STEP, NOW, 86400.0 };
    struct ql_capacity got;
    assert_int_equal(ql_expiry(&in, &got), QL_OK);
    assert_int_equal(got.rule, QL_CAPACITY_FULL);
    in.ends = none;
    assert_int_equal(ql_expiry(&in, &got), QL_E_NOT_FOUND);
    in.ends = small;
    assert_int_equal(ql_expiry(&in, &got), QL_E_NOT_FOUND);
    in.step_s = 0;
    assert_int_equal(ql_expiry(&in, &got), QL_E_RANGE);
}

static void names(void **state)
{
    (void)state;
    assert_true(ql_expiry_name(QL_STR("probe_ssl_earliest_cert_expiry")));
    assert_true(ql_expiry_name(QL_STR("x509_cert_not_after")));
    assert_false(ql_expiry_name(QL_STR("_not_after")));
    assert_false(ql_expiry_name(QL_STR("cache_expiry")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_and_records),
        cmocka_unit_test(over_and_nothing),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
