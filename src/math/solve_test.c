/* solve_test - a matrix times its inverse, and what must be refused. */
#include "base/rng.h"
#include "math/solve.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 48 };
static double a[N * N], inverse[N * N], scratch[N * N];

static void inverse_undoes(void **state)
{
    (void)state;
    struct ql_rng rng;
    ql_rng_init(&rng, 9, "solve");
    for (uint32_t n = 1; n <= N; n += 7) {
        double b[N * N];
        for (uint32_t i = 0; i < n * n; i++) {
            b[i] = ql_rng_normal(&rng);
        }
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < n; j++) {
                double sum = i == j ? 0.1 : 0.0;
                for (uint32_t k = 0; k < n; k++) {
                    sum += b[i * n + k] * b[j * n + k];
                }
                a[i * n + j] = inverse[i * n + j] = sum;
            }
        }
        assert_true(ql_invert_spd(inverse, n, scratch));
        for (uint32_t i = 0; i < n * n; i++) {
            double sum = 0.0;
            for (uint32_t k = 0; k < n; k++) {
                sum += a[(i / n) * n + k] * inverse[k * n + i % n];
            }
            assert_true(fabs(sum - (i / n == i % n ? 1.0 : 0.0)) < 1e-8);
        }
    }
}

static void not_positive_is_refused(void **state)
{
    (void)state;
    double zero[4] = { 0 }, mixed[4] = { 1, 2, 2, 1 };
    assert_false(ql_invert_spd(zero, 2, scratch));
    assert_false(ql_invert_spd(mixed, 2, scratch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_undoes),
        cmocka_unit_test(not_positive_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
