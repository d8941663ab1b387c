/* How one series moved: rows of stories, each beside the one that must stay silent. */
#include "base/rng.h"
#include "diagnose/measure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT 300u
#define AT_S 2000
#define STEP_S 10

struct story {
    const char *text, *metric;
    double level, noise;   /* of the past */
    double after;          /* level from `from_s` on */
    int from_s;            /* seconds after AT_S; may be negative */
    double ramp_s;         /* 0: a step */
    double burst;          /* one value of ten in the past is this much higher */
    bool strong;
    int onset_s;           /* wanted, +- 30 s; only when strong */
};

static double story_value(const struct story *s, struct ql_rng *rng, int t)
{
    const double into = (double)(t - s->from_s);
    double value = s->level + s->noise * ql_rng_normal(rng);
    value += t < s->from_s && s->burst > 0.0 && ql_rng_below(rng, 10) == 0 ? s->burst : 0.0;
    if (into >= 0.0) {
        const double share = s->ramp_s > 0.0 && into < s->ramp_s ? into / s->ramp_s : 1.0;
        value += share * (s->after - s->level);
    }
    return value;
}

static const struct story stories[] = {
    { "a step up", "cpu", 10, 1, 60, 0, 0, 0, true, 0 },
    { "noise", "cpu", 10, 1, 10, 0, 0, 0, false, 0 },
    { "a step down is good for cpu", "cpu", 60, 1, 10, 0, 0, 0, false, 0 },
    { "a step down is bad for free memory", "memory_free", 60, 1, 10, 0, 0, 0, true, 0 },
    { "two per cent are within the floor", "memory_bytes", 1000, 0, 1020, 0, 0, 0, false, 0 },
    { "noticed a minute late", "cpu", 10, 1, 60, -60, 0, 0, true, -60 },
    { "noticed five minutes late", "cpu", 10, 1, 60, -300, 0, 0, true, -300 },
    { "a leak that began before", "db_connections_in_use", 12, 0.5, 100, -180, 400, 0, true, -170 },
    { "a series that jumps anyway", "latency", 0.01, 0.001, 0.5, 0, 0, 3.0, false, 0 },
    { "constant zero, then a little", "errors", 0, 0, 0.5, 0, 0, 0, true, 0 },
    { "99.9 % to 98 % available", "availability", 99.9, 0.02, 98.0, 0, 0, 0, true, 0 },
    { "99.9 % to 99.85 % available", "availability", 99.9, 0.02, 99.85, 0, 0, 0, false, 0 },
    { "a share between 0 and 1", "success_ratio", 0.999, 0.0002, 0.95, 0, 0, 0, true, 0 },
    { "traffic may be odd both ways", "requests", 100, 2, 20, 0, 0, 0, true, 0 },
    { "a shift of hours ago", "memory_bytes", 100, 1, 150, -1900, 0, 0, false, 0 },
};

static void strength_tells_moves_from_habits(void **state)
{
    (void)state;
    struct ql_sample samples[COUNT];
    double scratch[3 * COUNT];
    for (size_t i = 0; i < QL_COUNT_OF(stories); i++) {
        const struct story *s = &stories[i];
        struct ql_rng rng;
        ql_rng_init(&rng, 7, s->text);
        for (uint32_t k = 0; k < COUNT; k++) {
            const int t = (int)k * STEP_S - AT_S;
            samples[k].at = (ql_time){ (int64_t)k * STEP_S * QL_NS_PER_S };
            samples[k].value = story_value(s, &rng, t);
        }
        struct ql_measure m;
        assert_true(ql_measure_series(samples, COUNT, (ql_time){ AT_S * QL_NS_PER_S },
                                      ql_str_of(s->metric), scratch, &m));
        const double onset_s = (double)m.onset.ns / 1e9 - AT_S;
        print_message("%s: z %.2f usual %.2f strength %.2f onset %.0f s\n", s->text, m.z, m.usual,
                      m.strength, onset_s);
        assert_int_equal(m.strength > 0.7, s->strong);
        if (s->strong) {
            assert_true(onset_s >= s->onset_s - 30.0 && onset_s <= s->onset_s + 30.0);
        }
    }
}

static void too_little_data_is_no_answer(void **state)
{
    (void)state;
    static const struct { uint32_t count; int at_s; bool ok; } rows[] = {
        { 0, 100, false }, { 4, 100, false }, { 8, 70, true }, { 8, 20, false },
        { 8, 1000, false }, { 1, 0, false },
    };
    struct ql_sample samples[8];
    double scratch[24];
    for (uint32_t k = 0; k < 8; k++) {
        samples[k] = (struct ql_sample){ { (int64_t)k * STEP_S * QL_NS_PER_S }, 1.0 };
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_measure m;
        assert_int_equal(ql_measure_series(samples, rows[i].count,
                                           (ql_time){ rows[i].at_s * QL_NS_PER_S },
                                           QL_STR("cpu"), scratch, &m),
                         rows[i].ok);
    }
}

static void the_past_keeps_its_half(void **state)
{
    (void)state;
    static const struct { uint32_t guard, at, want; } rows[] = {
        { 100, 110, 100 }, { 0, 10, 5 }, { 4, 10, 5 }, { 6, 10, 6 }, { 0, 0, 0 }, { 0, 1, 1 },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        assert_int_equal(ql_measure_past(rows[i].guard, rows[i].at), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strength_tells_moves_from_habits),
        cmocka_unit_test(too_little_data_is_no_answer),
        cmocka_unit_test(the_past_keeps_its_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
