/* Rows: what is kept of how many, and that extremes stay. */
#include "api/downsample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void few_samples_stay_as_they_are(void **state)
{
    (void)state;
    struct ql_sample samples[4] = { { { 1 }, 1 }, { { 2 }, 5 }, { { 3 }, -5 }, { { 4 }, 2 } };
    assert_int_equal(ql_downsample(samples, 4, 4), 4);
    assert_int_equal(ql_downsample(samples, 0, 4), 0);
    assert_true(samples[1].value == 5.0);
}

static void the_first_lowest_highest_and_last_stay(void **state)
{
    (void)state;
    static const struct { double values[8], want[4]; uint32_t want_count; } rows[] = {
        { { 3, 9, 1, 4, 5, 6, 7, 2 }, { 3, 9, 1, 2 }, 4 },
        { { 0, 1, 2, 3, 4, 5, 6, 7 }, { 0, 7 }, 2 },       /* rising: first is lowest */
        { { 5, 5, 5, 5, 5, 5, 5, 5 }, { 5, 5 }, 2 },
        { { NAN, 4, 8, 1, 4, 4, 4, NAN }, { NAN, 8, 1, NAN }, 4 },
        { { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN }, { NAN, NAN, NAN }, 3 },
    };
    for (size_t r = 0; r < QL_COUNT_OF(rows); r++) {
        struct ql_sample samples[8];
        for (int i = 0; i < 8; i++) {
            samples[i] = (struct ql_sample){ { i * 10 }, rows[r].values[i] };
        }
        const uint32_t count = ql_downsample(samples, 8, 4);
        assert_in_range(count, 1, 4);
        if (!isnan(rows[r].values[1])) {
            assert_int_equal(count, rows[r].want_count);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(samples[i].value == rows[r].want[i] ||
                            (isnan(samples[i].value) && isnan(rows[r].want[i])));
            }
        }
    }
}

static void many_samples_keep_order_and_size(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct ql_sample *samples = calloc(COUNT, sizeof(*samples));
    for (int i = 0; i < COUNT; i++) { /* bursts: uneven in time */
        samples[i] = (struct ql_sample){ { (int64_t)i * 7 + (i / 1000) * INT64_C(90000) },
                                         sin(i / 50.0) };
    }
    samples[54321].value = 99;
    const uint32_t count = ql_downsample(samples, COUNT, 400);
    assert_in_range(count, 100, 400);
    bool peak = false;
    for (uint32_t i = 0; i < count; i++) {
        peak = peak || samples[i].value == 99.0;
        assert_true(i == 0 || samples[i - 1].at.ns < samples[i].at.ns);
    }
    assert_true(peak);
    free(samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_samples_stay_as_they_are),
        cmocka_unit_test(the_first_lowest_highest_and_last_stay),
        cmocka_unit_test(many_samples_keep_order_and_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
