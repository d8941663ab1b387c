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

/* ---- families --------------------------------------------------------------------- */

/* Openings by chance: of `points` a day, times how much more a family opens than it should.
 * What matters is only how often, so no series are needed. */
struct chance {
    const char *story;
    double signals_per_day;
    double shares[4], wild[4];   /* of the points; 1: as rare as it says */
    double most, others;         /* family 3: at most, the others: at least; of the budget */
};
static const struct chance chances[] = {
    { "all are tame", 10.0, { 0.25, 0.25, 0.25, 0.25 }, { 1, 1, 1, 1 }, 0.4, 0.6 },
    { "few signals", 1.0, { 0.25, 0.25, 0.25, 0.25 }, { 1, 1, 1, 1 }, 0.4, 0.6 },
    { "a small one is wild", 10.0, { 0.4, 0.3, 0.25, 0.05 }, { 1, 1, 1, 30 }, 0.12, 0.8 },
    { "a quarter is wild", 10.0, { 0.25, 0.25, 0.25, 0.25 }, { 1, 1, 1, 10 }, 0.6, 0.4 },
    { "half is wild", 10.0, { 0.2, 0.2, 0.1, 0.5 }, { 1, 1, 1, 4 }, 0.85, 0.2 },
    { "many signals", 200.0, { 0.4, 0.3, 0.25, 0.05 }, { 1, 1, 1, 30 }, 0.12, 0.8 },
    { "few, and a small one is wild", 1.0, { 0.4, 0.3, 0.25, 0.05 }, { 1, 1, 1, 30 }, 0.2, 0.6 },
    { "most never open", 10.0, { 0.5, 0.2, 0.2, 0.1 }, { 0, 0, 0, 1 }, 1.2, 0.0 },
    { "wilder than can be held", 10.0, { 0.4, 0.3, 0.25, 0.05 }, { 1, 1, 1, 10000 }, 1.2, 0.0 },
};

static uint32_t chance_count(struct ql_rng *rng, double mean)
{
    uint32_t count = 0;
    for (double left = mean + log(1.0 - ql_rng_ratio(rng)); left > 0.0 && count < 10000; count++) {
        left += log(1.0 - ql_rng_ratio(rng)); /* gaps are exponential */
    }
    return count;
}

static void no_family_uses_up_the_budget(void **state)
{
    (void)state;
    enum { LIFE_DAYS = 400, FROM = 100 };
    for (size_t row = 0; row < QL_COUNT_OF(chances); row++) {
        const struct chance *c = &chances[row];
        struct ql_dt_budget b;
        struct ql_rng rng;
        const double points = 200000.0;
        uint64_t opened[4] = { 0 };
        ql_rng_init(&rng, 3 + row, "families");
        ql_dt_budget_init(&b, c->signals_per_day);
        for (uint32_t hour = 0; hour < LIFE_DAYS * 24; hour++) {
            double thresholds[QL_DT_QUOTAS];
            ql_dt_budget_pass(&b, (MONDAY + (int64_t)hour * 3600) * QL_NS_PER_S, points);
            ql_dt_budget_thresholds(&b, thresholds);
            for (uint32_t i = 0; i < 4; i++) {
                const double mean = points / 24.0 * c->shares[i] * c->wild[i] *
                                    pow(10.0, -thresholds[i]);
                const uint32_t count = chance_count(&rng, mean);
                opened[i] += hour >= FROM * 24 ? count : 0;
                for (uint32_t k = 0; k < count; k++) {
                    ql_dt_budget_opened(&b, i);
                }
                b.quotas[i].alive += (uint32_t)(100.0 * c->shares[i]);
            }
        }
        const double days = (LIFE_DAYS - FROM) * c->signals_per_day;
        const double others = (double)(opened[0] + opened[1] + opened[2]) / days;
        const double wild = (double)opened[3] / days, sum = others + wild;
        (void)printf("seed %zu, %s: %.2f of the budget, %.2f of others, %.2f of the one, control "
                     "%.2f, raised %.2f\n", 3 + row, c->story, sum, others, wild, b.control,
                     b.quotas[3].control);
        assert_true(sum >= 0.8 && sum <= 1.2);
        assert_true(wild <= c->most && others >= c->others);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_kept_within_a_fifth),
        cmocka_unit_test(no_family_uses_up_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
