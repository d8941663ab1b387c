/* order_test - selection against plain sorting, and quantiles a person can check. */
#include "base/rng.h"
#include "math/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *story;
    double values[8];
    uint32_t count;
    double ratio, want;
};

static const struct row rows[] = {
    { "one value is every quantile", { 7 }, 1, 0.9, 7 },
    { "middle of three", { 3, 1, 2 }, 3, 0.5, 2 },
    { "between two", { 4, 1 }, 2, 0.5, 2.5 },
    { "lower quartile of five", { 5, 4, 3, 2, 1 }, 5, 0.25, 2 },
    { "lower quartile of four lies between", { 4, 3, 2, 1 }, 4, 0.25, 1.75 },
    { "least", { 5, -4, 3 }, 3, 0.0, -4 },
    { "largest", { 5, -4, 3 }, 3, 1.0, 5 },
    { "ties", { 2, 2, 2, 2, 9, 2 }, 6, 0.5, 2 },
};

static void quantile_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        double copy[8];
        memcpy(copy, rows[i].values, sizeof(copy));
        const double got = ql_quantile(copy, rows[i].count, rows[i].ratio);
        if (got != rows[i].want) {
            fail_msg("%s: want %g got %g", rows[i].story, rows[i].want, got);
        }
    }
}

static int double_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void select_as_sorting_does(void **state)
{
    (void)state;
    enum { N = 301 };
    const uint64_t seed = 11;
    struct ql_rng rng;
    ql_rng_init(&rng, seed, "order");
    for (uint32_t round = 0; round < 200; round++) {
        double sorted[N], work[N];
        float work_float[N];
        const uint32_t n = 1 + (uint32_t)ql_rng_below(&rng, N);
        const uint64_t distinct = 1 + ql_rng_below(&rng, 400); /* few: many ties */
        for (uint32_t i = 0; i < n; i++) {
            sorted[i] = work[i] = (double)ql_rng_below(&rng, distinct);
            work_float[i] = (float)work[i];
        }
        qsort(sorted, n, sizeof(sorted[0]), double_order);
        const uint32_t k = (uint32_t)ql_rng_below(&rng, n);
        const double got = ql_select(work, n, k);
        if (got != sorted[k] || ql_select_float(work_float, n, k) != (float)sorted[k]) {
            fail_msg("seed %llu round %u n %u k %u", (unsigned long long)seed, round, n, k);
        }
        for (uint32_t i = 0; i < n; i++) {
            assert_true(i < k ? work[i] <= got : work[i] >= got);
        }
    }
}

static void mad_ignores_one_outlier(void **state)
{
    (void)state;
    double values[] = { 9, 10, 11, 10, 1e9 };
    assert_true(ql_mad(values, 5, 10.0) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantile_rows),
        cmocka_unit_test(select_as_sorting_does),
        cmocka_unit_test(mad_ignores_one_outlier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
