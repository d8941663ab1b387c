/* rng_test - streams are pinned, independent, and have the moments they claim. */
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void streams_are_named(void **state)
{
    struct ql_rng a, again, other_name, other_seed;
    (void)state;
    ql_rng_init(&a, 1, "a");
    ql_rng_init(&again, 1, "a");
    ql_rng_init(&other_name, 1, "b");
    ql_rng_init(&other_seed, 2, "a");
    for (int i = 0; i < 100; i++) {
        const uint64_t number = ql_rng_u64(&a);
        assert_true(number == ql_rng_u64(&again));
        assert_true(number != ql_rng_u64(&other_name));
        assert_true(number != ql_rng_u64(&other_seed));
    }
}

/* The first outputs of xoshiro256** from state 1, 2, 3, 4, worked out by hand from its
 * definition: rotl(2 * 5, 7) * 9 = 11520, then s1 = 0, then s1 = 2^18 + ... */
static void algorithm_is_xoshiro(void **state)
{
    struct ql_rng rng = { { 1, 2, 3, 4 } };
    (void)state;
    assert_true(ql_rng_u64(&rng) == 11520);
    assert_true(ql_rng_u64(&rng) == 0);
    assert_true(ql_rng_u64(&rng) == 1509978240);
}

static void below_is_even(void **state)
{
    enum { DRAWS = 60000 };
    int counts[6] = { 0 };
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 3, "below");
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t drawn = ql_rng_below(&rng, 6);
        assert_true(drawn < 6);
        counts[drawn]++;
    }
    for (int i = 0; i < 6; i++) {
        assert_in_range(counts[i], 9500, 10500); /* 5 deviations */
    }
    assert_true(ql_rng_below(&rng, 1) == 0);
    assert_true(ql_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void normal_has_its_moments(void **state)
{
    enum { DRAWS = 100000 };
    double sum = 0.0, squares = 0.0, ratios = 0.0;
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 4, "normal");
    for (int i = 0; i < DRAWS; i++) {
        const double x = ql_rng_normal(&rng), ratio = ql_rng_ratio(&rng);
        assert_true(ratio >= 0.0 && ratio < 1.0);
        sum += x;
        squares += x * x;
        ratios += ratio;
    }
    assert_true(fabs(sum / DRAWS) < 0.02);
    assert_true(fabs(squares / DRAWS - 1.0) < 0.03);
    assert_true(fabs(ratios / DRAWS - 0.5) < 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_named),
        cmocka_unit_test(algorithm_is_xoshiro),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(normal_has_its_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
