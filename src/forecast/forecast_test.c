/* Forecasts of series whose future is known, and of those that have none. */
#include "base/rng.h"
#include "forecast/forecast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { POINTS = 720, HORIZON = 48 };
#define HOUR_S 3600.0

typedef double (*shape)(uint32_t t, struct ql_rng *rng);

static double constant(uint32_t t, struct ql_rng *rng)
{
    (void)t;
    (void)rng;
    return 42.0;
}
static double daily(uint32_t t, struct ql_rng *rng)
{
    return 100.0 + 40.0 * sin(2 * M_PI * t / 24.0) + 2.0 * ql_rng_normal(rng);
}
static double weekly(uint32_t t, struct ql_rng *rng)
{
    return (t / 24 % 7 >= 5 ? 50.0 : 100.0) * (1.0 + 0.4 * sin(2 * M_PI * t / 24.0)) +
           2.0 * ql_rng_normal(rng);
}
static double noise(uint32_t t, struct ql_rng *rng)
{
    (void)t;
    return 10.0 + 3.0 * ql_rng_normal(rng);
}
static double spikes(uint32_t t, struct ql_rng *rng)
{
    (void)t;
    return ql_rng_ratio(rng) < 0.1 ? 80.0 : 5.0 + ql_rng_ratio(rng);
}

static const struct row {
    const char *story;
    shape value;
    double error_most;    /* mean absolute error over the horizon */
    double width_most;    /* of the 95 % interval, mean */
} rows[] = {
    { "a constant goes on", constant, 1e-6, 1e-3 },
    { "a day comes again", daily, 4.0, 30.0 },
    { "a weekend is not a working day", weekly, 5.0, 40.0 },
    { "noise has a level", noise, 3.5, 24.0 },
    { "rare spikes do not lift the level", spikes, 13.0, 250.0 }, /* a tenth of 75, and chance */
};

static ql_err fit(const double *values, uint32_t count, struct ql_arena *arena,
                  struct ql_forecast_step steps[HORIZON])
{
    const struct ql_forecast_input in = { values, count, HOUR_S, HORIZON };
    struct ql_forecast_fit f;
    struct ql_forecast_spread *spread;
    const ql_err err = ql_forecast_fit(&in, arena, &f);
    if (err != QL_OK) {
        return err;
    }
    assert_int_equal(ql_forecast_spread_new(HORIZON, 1, &spread), QL_OK);
    ql_forecast_spread_add(spread, &f);
    ql_forecast_spread_close(spread);
    ql_forecast_steps(&f, spread, HORIZON, steps);
    ql_forecast_spread_free(spread);
    return QL_OK;
}

static void known_futures(void **state)
{
    (void)state;
    struct ql_arena arena;
    ql_arena_init(&arena, (size_t)64 << 20);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            double values[POINTS + HORIZON];
            struct ql_forecast_step steps[HORIZON];
            struct ql_rng rng;
            ql_rng_init(&rng, seed, rows[i].story);
            for (uint32_t t = 0; t < POINTS + HORIZON; t++) {
                values[t] = rows[i].value(t, &rng);
            }
            ql_arena_reset(&arena);
            assert_int_equal(fit(values, POINTS, &arena, steps), QL_OK);
            double error = 0.0, width = 0.0;
            uint32_t inside = 0;
            for (uint32_t j = 0; j < HORIZON; j++) {
                const double truth = values[POINTS + j];
                error += fabs(truth - steps[j].mean) / HORIZON;
                width += (steps[j].upper95 - steps[j].lower95) / HORIZON;
                inside += truth >= steps[j].lower95 - 1e-9 && truth <= steps[j].upper95 + 1e-9;
                assert_true(steps[j].lower95 <= steps[j].lower80 &&
                            steps[j].lower80 <= steps[j].mean && steps[j].mean <= steps[j].upper80 &&
                            steps[j].upper80 <= steps[j].upper95);
            }
            (void)printf("seed %llu, %s: error %.3g, width %.3g, %u of 48 inside\n",
                         (unsigned long long)seed, rows[i].story, error, width, inside);
            assert_true(error <= rows[i].error_most);
            assert_true(width <= rows[i].width_most);
            assert_true(inside >= 38);
        }
    }
    ql_arena_fini(&arena);
}

/* Whatever the length, holes and values: finite steps in order, or a refusal. */
static void short_and_broken(void **state)
{
    (void)state;
    struct ql_arena arena;
    struct ql_rng rng;
    ql_rng_init(&rng, 7, "broken");
    ql_arena_init(&arena, (size_t)64 << 20);
    static double values[POINTS];
    struct ql_forecast_step steps[HORIZON];
    for (uint32_t count = 1; count < POINTS; count += 1 + count / 8) {
        for (uint32_t t = 0; t < count; t++) {
            values[t] = ql_rng_ratio(&rng) < 0.2 ? NAN : 1e6 * ql_rng_normal(&rng);
        }
        values[count / 2] = 1.0;
        ql_arena_reset(&arena);
        assert_int_equal(fit(values, count, &arena, steps), QL_OK);
        for (uint32_t j = 0; j < HORIZON; j++) {
            assert_true(isfinite(steps[j].mean) && isfinite(steps[j].upper95) &&
                        isfinite(steps[j].lower95));
        }
    }
    values[0] = NAN;
    assert_int_equal(fit(values, 1, &arena, steps), QL_E_RANGE);
    assert_int_equal(fit(values, 0, &arena, steps), QL_E_RANGE);
    ql_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(known_futures),
                                        cmocka_unit_test(short_and_broken) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
