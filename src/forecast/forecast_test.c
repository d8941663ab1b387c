/* forecast_test - seasons are found and followed, bands hold what they say, odd series are
 * survived, and nothing from after an origin is used. */
#include "forecast/forecast.h"

#include "base/rng.h"
#include "forecast/fc_int.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED 7u
#define POINTS 900u
#define STEPS 48u

struct made { double at[POINTS + STEPS]; };

/* A working week by the hour: days, weekends, noise. */
static void made_week(struct made *m, double noise, uint64_t seed)
{
    struct ql_rng rng;
    ql_rng_init(&rng, seed, "forecast");
    for (uint32_t i = 0; i < POINTS + STEPS; i++) {
        const double day = 20.0 * sin(6.283185307179586 * (double)(i % 24) / 24.0);
        const double rest = i % 168 >= 120 ? -25.0 : 0.0;
        m->at[i] = 100.0 + day + rest + noise * ql_rng_normal(&rng);
    }
}

static ql_err run(const double *values, uint32_t count, double step_s, uint32_t horizon,
                  struct ql_forecast_step *ret, struct ql_forecast_about *about)
{
    struct ql_arena scratch;
    ql_arena_init(&scratch, QL_FORECAST_SCRATCH);
    const struct ql_forecast_in in = { values, count, step_s, horizon };
    const ql_err err = ql_forecast(&in, &scratch, ret, about);
    ql_arena_fini(&scratch);
    return err;
}

static void in_order(const struct ql_forecast_step *s, uint32_t count)
{
    for (uint32_t j = 0; j < count; j++) {
        assert_true(isfinite(s[j].mean) && isfinite(s[j].lower95) && isfinite(s[j].upper95));
        assert_true(s[j].lower95 <= s[j].lower80 && s[j].lower80 <= s[j].mean);
        assert_true(s[j].mean <= s[j].upper80 && s[j].upper80 <= s[j].upper95);
    }
}

static void a_working_week_is_followed(void **state)
{
    (void)state;
    struct made m;
    struct ql_forecast_step s[STEPS];
    struct ql_forecast_about about;
    made_week(&m, 1.0, SEED);
    assert_int_equal(run(m.at, POINTS, 3600.0, STEPS, s, &about), QL_OK);
    assert_int_equal(about.period[0], 24);
    assert_int_equal(about.period[1], 168);
    assert_true(about.tests >= 4);
    in_order(s, STEPS);
    double error = 0.0;
    for (uint32_t j = 0; j < STEPS; j++) {
        error += fabs(s[j].mean - m.at[POINTS + j]) / STEPS;
    }
    assert_true(error < 1.4); /* noise of deviation 1 alone makes 0.8 */
}

static void without_a_clock_there_is_no_season(void **state)
{
    (void)state;
    struct made m;
    struct ql_forecast_step s[STEPS];
    struct ql_forecast_about about;
    made_week(&m, 1.0, SEED);
    assert_int_equal(run(m.at, POINTS, 0.0, STEPS, s, &about), QL_OK);
    assert_int_equal(about.period[0], 0);
    struct ql_rng rng;
    ql_rng_init(&rng, SEED, "noise");
    for (uint32_t i = 0; i < POINTS; i++) {
        m.at[i] = ql_rng_normal(&rng);
    }
    assert_int_equal(run(m.at, POINTS, 3600.0, STEPS, s, &about), QL_OK);
    assert_int_equal(about.period[1], 0);
}

static void bands_hold_what_they_say(void **state)
{
    (void)state;
    struct made m;
    struct ql_forecast_step s[STEPS];
    uint32_t in80 = 0, in95 = 0, all = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        made_week(&m, 3.0, seed);
        assert_int_equal(run(m.at, POINTS, 3600.0, STEPS, s, NULL), QL_OK);
        for (uint32_t j = 0; j < STEPS; j++) {
            const double real = m.at[POINTS + j];
            in80 += s[j].lower80 <= real && real <= s[j].upper80;
            in95 += s[j].lower95 <= real && real <= s[j].upper95;
            all++;
        }
    }
    const double share80 = (double)in80 / all, share95 = (double)in95 / all;
    if (share80 < 0.74 || share80 > 0.9 || share95 < 0.92 || share95 > 0.99) {
        fail_msg("80 %% held %.3f, 95 %% held %.3f (seeds 1 to 20)", share80, share95);
    }
}

/* Every member's forecasts from an origin must not change with what comes after it. */
static void no_member_looks_ahead(void **state)
{
    (void)state;
    static ql_fc_member *const members[] = {
        ql_fc_last, ql_fc_middle_short, ql_fc_middle, ql_fc_middle_long, ql_fc_naive_short,
        ql_fc_naive_long, ql_fc_profile_fast, ql_fc_profile_slow, ql_fc_theta, ql_fc_damped,
        ql_fc_winters, ql_fc_ar_few, ql_fc_ar_many, ql_fc_ar_seasonal,
    };
    struct made whole, bent;
    struct ql_arena scratch;
    ql_arena_init(&scratch, QL_FORECAST_SCRATCH);
    made_week(&whole, 2.0, SEED);
    bent = whole;
    for (uint32_t i = POINTS - STEPS; i < POINTS; i++) {
        bent.at[i] += 500.0;
    }
    struct ql_fc fc = { .y = whole.at, .n = POINTS, .p1 = 24, .p2 = 168, .steps = STEPS,
                        .origins = { POINTS - 2 * STEPS, POINTS - STEPS, POINTS },
                        .origin_count = 3, .scratch = &scratch };
    for (size_t i = 0; i < QL_COUNT_OF(members); i++) {
        double a[3 * STEPS], b[3 * STEPS];
        fc.y = whole.at;
        assert_int_equal(members[i](&fc, a), QL_OK);
        fc.y = bent.at;
        assert_int_equal(members[i](&fc, b), QL_OK);
        assert_memory_equal(a, b, 2 * STEPS * sizeof(*a));
        if (members[i] != ql_fc_naive_long) { /* two days of a week that are not yet repeated */
            assert_memory_not_equal(a + 2 * STEPS, b + 2 * STEPS, STEPS * sizeof(*a));
        }
        ql_arena_reset(&scratch);
    }
    ql_arena_fini(&scratch);
}

enum shape { CONSTANT, ONE, TWO, FEW, HOLES, LATE_START, LATE_HOLE, HUGE_RANGE, STEPPED, SHAPES };

static uint32_t odd_make(enum shape shape, double *at)
{
    struct made m;
    made_week(&m, 1.0, SEED);
    memcpy(at, m.at, POINTS * sizeof(*at));
    const uint32_t few[SHAPES] = { [ONE] = 1, [TWO] = 2, [FEW] = 9 };
    for (uint32_t i = 0; i < POINTS; i++) {
        const bool hole = (shape == HOLES && i % 7 < 3) || (shape == LATE_START && i < 850) ||
                          (shape == LATE_HOLE && i >= 870);
        at[i] = hole ? NAN : (shape == CONSTANT ? 5.0 : at[i]);
        at[i] *= shape == HUGE_RANGE ? pow(10.0, (double)(i % 80)) : 1.0;
        at[i] = shape == STEPPED ? (i < 600 ? 0.0 : 1e6) : at[i];
    }
    return few[shape] > 0 ? few[shape] : POINTS;
}

static void odd_series_are_survived(void **state)
{
    (void)state;
    for (enum shape shape = CONSTANT; shape < SHAPES; shape++) {
        double at[POINTS];
        struct ql_forecast_step s[STEPS];
        const uint32_t count = odd_make(shape, at);
        static const double steps_s[] = { 3600.0, 300.0, 60.0, 604800.0, 0.0 };
        for (size_t i = 0; i < QL_COUNT_OF(steps_s); i++) {
            assert_int_equal(run(at, count, steps_s[i], STEPS, s, NULL), QL_OK);
            in_order(s, STEPS);
        }
        if (shape == CONSTANT) {
            assert_true(s[STEPS - 1].mean == 5.0 && s[STEPS - 1].upper95 == 5.0);
        }
        if (shape == ONE) {
            assert_true(s[0].upper95 > s[0].mean); /* one point says nothing of the next */
        }
    }
}

static void a_hole_at_the_end_moves_the_forecast(void **state)
{
    (void)state;
    struct made m;
    struct ql_forecast_step s[STEPS];
    made_week(&m, 0.5, SEED);
    for (uint32_t i = POINTS - 7; i < POINTS; i++) {
        m.at[i] = NAN;
    }
    assert_int_equal(run(m.at, POINTS, 3600.0, STEPS, s, NULL), QL_OK);
    for (uint32_t j = 0; j < STEPS; j++) {
        assert_true(fabs(s[j].mean - m.at[POINTS + j]) < 5.0);
    }
}

static void what_cannot_be_asked_is_refused(void **state)
{
    (void)state;
    const double none[] = { NAN, NAN }, some[] = { 1.0, 2.0 };
    struct ql_forecast_step s[4];
    assert_int_equal(run(none, 2, 60.0, 4, s, NULL), QL_E_NOT_FOUND);
    assert_int_equal(run(some, 0, 60.0, 4, s, NULL), QL_E_NOT_FOUND);
    assert_int_equal(run(some, 2, 60.0, 0, s, NULL), QL_E_RANGE);
    assert_int_equal(run(some, 2, 60.0, QL_FORECAST_STEPS_MAX + 1, s, NULL), QL_E_RANGE);
    assert_int_equal(run(some, 2, 60.0, 4, s, NULL), QL_OK);
}

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

static void known_futures(void **state)
{
    (void)state;
        for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            double values[POINTS + STEPS];
            struct ql_forecast_step steps[STEPS];
            struct ql_rng rng;
            ql_rng_init(&rng, seed, rows[i].story);
            for (uint32_t t = 0; t < POINTS + STEPS; t++) {
                values[t] = rows[i].value(t, &rng);
            }
            assert_int_equal(run(values, POINTS, 3600.0, STEPS, steps, NULL), QL_OK);
            double error = 0.0, width = 0.0;
            uint32_t inside = 0;
            for (uint32_t j = 0; j < STEPS; j++) {
                const double truth = values[POINTS + j];
                error += fabs(truth - steps[j].mean) / STEPS;
                width += (steps[j].upper95 - steps[j].lower95) / STEPS;
                inside += truth >= steps[j].lower95 - 1e-9 && truth <= steps[j].upper95 + 1e-9;
                assert_true(steps[j].lower95 <= steps[j].lower80 &&
                            steps[j].lower80 <= steps[j].mean &&
                            steps[j].mean <= steps[j].upper80 &&
                            steps[j].upper80 <= steps[j].upper95);
            }
            (void)printf("seed %llu, %s: error %.3g, width %.3g, %u of 48 inside\n",
                         (unsigned long long)seed, rows[i].story, error, width, inside);
            assert_true(error <= rows[i].error_most);
            assert_true(width <= rows[i].width_most);
            assert_true(inside >= 38);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_working_week_is_followed),
        cmocka_unit_test(without_a_clock_there_is_no_season),
        cmocka_unit_test(known_futures),
        cmocka_unit_test(bands_hold_what_they_say),
        cmocka_unit_test(no_member_looks_ahead),
        cmocka_unit_test(odd_series_are_survived),
        cmocka_unit_test(a_hole_at_the_end_moves_the_forecast),
        cmocka_unit_test(what_cannot_be_asked_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
