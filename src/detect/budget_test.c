/* The budget: on normal time the signals of a day come out as many as were allowed. */
#include "base/rng.h"
#include "detect/dt_judge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { SERIES = 600, STEP_S = 300, DAY_POINTS = 86400 / STEP_S, DAYS = 45, SETTLED = 15 };
#define MONDAY INT64_C(1767571200)

struct fleet {
    struct ql_dt_judge judge;
    struct ql_rng rng;
    double level[SERIES], walk[SERIES];
};

/* Five kinds of normal life: noise, heavy tails, slow wander, a day, counts. */
static double fleet_value(struct fleet *f, uint32_t i, uint32_t point)
{
    const double z = ql_rng_normal(&f->rng), level = f->level[i];
    f->walk[i] += 0.05 * (-f->walk[i]) + 0.3 * z;
    switch (i % 5) {
    case 0: return level + 0.05 * level * z;
    case 1: return level * exp(0.4 * z);
    case 2: return level + 0.1 * level * f->walk[i];
    case 3:
        return level * (1.0 + 0.5 * sin(2 * M_PI * (double)(point % DAY_POINTS) / DAY_POINTS)) +
               0.05 * level * z;
    default: return floor(level / 20.0 + sqrt(level / 20.0) * fabs(z));
    }
}

static void the_budget_is_kept_within_a_fifth(void **state)
{
    (void)state;
    static const double wanted[] = { 5.0, 20.0 };
    for (size_t row = 0; row < QL_COUNT_OF(wanted); row++) {
        static struct fleet f;
        uint32_t opened = 0;
        f = (struct fleet){ 0 };
        ql_rng_init(&f.rng, 1 + row, "budget");
        assert_int_equal(ql_dt_judge_init(&f.judge, SERIES, wanted[row]), QL_OK);
        for (uint32_t i = 0; i < SERIES; i++) {
            f.level[i] = 50.0 + 200.0 * ql_rng_ratio(&f.rng);
        }
        for (uint32_t point = 0; point < DAYS * DAY_POINTS; point++) {
            const int64_t at_ns = (MONDAY + (int64_t)point * STEP_S) * QL_NS_PER_S;
            const uint32_t together = ql_dt_judge_together(&f.judge);
            opened += point >= SETTLED * DAY_POINTS ? together : 0;
            ql_dt_judge_threshold(&f.judge);
            for (uint32_t i = 0; i < SERIES; i++) {
                const struct ql_dt_input in = { at_ns, fleet_value(&f, i, point), STEP_S * 1000,
                                                false };
                struct ql_dt_verdict v;
                opened += ql_dt_judge_value(&f.judge, i, i % 5, &in, &v) == QL_DT_OPENED &&
                          point >= SETTLED * DAY_POINTS;
            }
        }
        const double daily = (double)opened / (DAYS - SETTLED);
        (void)printf("seed %zu: %.1f a day wanted, %.2f came, threshold %.2f, control %.2f\n",
                     1 + row, wanted[row], daily, f.judge.tenants.at[0].threshold,
                     f.judge.tenants.at[0].budget.control);
        assert_true(daily >= 0.8 * wanted[row] && daily <= 1.2 * wanted[row]);
        ql_dt_judge_fini(&f.judge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_budget_is_kept_within_a_fifth) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
