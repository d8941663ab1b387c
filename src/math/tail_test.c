/* tail_test - surprises against the truth of streams whose law is known. */
#include "base/rng.h"
#include "math/fastlog.h"
#include "math/pool.h"
#include "math/tail.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void logs_are_close(void **state)
{
    (void)state;
    for (float x = 1e-30f; x < 1e30f; x *= 1.0037f) {
        assert_true(fabsf(ql_log2f(x) - log2f(x)) < 2e-5f);
    }
    for (float x = -120.0f; x < 120.0f; x += 0.0137f) {
        const float want = exp2f(x);
        assert_true(fabsf(ql_exp2f(x) - want) < 3e-4f * want);
    }
    assert_true(ql_exp2f(-200.0f) == 0.0f);
    assert_true(ql_log10f(0.0f) < -37.0f);
}

/* Warms, settles and then learns a stream; returns the share of the last half of the
 * points whose surprise was at least `surprise`. */
static double tail_share(uint64_t seed, bool heavy, uint32_t points, float surprise)
{
    struct ql_rng rng;
    struct ql_tails tails = { 0 };
    uint32_t over = 0, seen = 0;
    ql_rng_init(&rng, seed, heavy ? "heavy" : "light");
    for (uint32_t i = 0; i < points; i++) {
        const float u = (float)(1.0 - ql_rng_ratio(&rng));
        const float r = heavy ? ql_exp2f(-0.25f * ql_log2f(u)) : -ql_logf(u);
        const float residuals[QL_TAIL_LANES] = { [3] = r };
        if (i < 64) {
            ql_tail_warm(&tails, 3, r);
            continue;
        }
        if (i == 64) {
            ql_tail_settle(&tails, 3, 1e-6f);
        }
        const float gain = fmaxf(0.008f, 50.0f / (float)i);
        const bool excess = (ql_tails_step(&tails, residuals, gain) & 8u) != 0;
        seen += i >= points / 2;
        if (excess) {
            over += i >= points / 2 && ql_tail_excess(&tails, 3, r, 1e-6f) >= surprise;
            ql_tail_learn_excess(&tails, 3, r, gain, 0.05f, 1e-6f);
        }
    }
    return (double)over / (double)seen;
}

struct row { const char *story; bool heavy; float surprise; double least, most; };
static const struct row rows[] = {
    { "two in a hundred lie in the tail", false, 1.69897f, 0.017, 0.023 },
    { "one in a thousand, exponential", false, 3.0f, 0.6e-3, 2e-3 },
    { "two in a hundred of a power law", true, 1.69897f, 0.017, 0.023 },
    { "one in a thousand of a power law", true, 3.0f, 0.6e-3, 2.5e-3 },
    { "one in ten thousand of a power law is not off by ten", true, 4.0f, 1e-5, 1e-3 },
};

static void shares_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const double share = tail_share(7, rows[i].heavy, 400000, rows[i].surprise);
        if (share < rows[i].least || share > rows[i].most) {
            fail_msg("%s: %g", rows[i].story, share);
        }
    }
}

/* In another unit the same residual is as surprising as before. */
static void a_scaled_lane_says_the_same(void **state)
{
    (void)state;
    struct ql_tails tails = { 0 };
    for (uint32_t i = 0; i < 64; i++) {
        ql_tail_warm(&tails, 2, (float)i);
    }
    ql_tail_settle(&tails, 2, 1e-6f);
    static const float ratios[] = { 0.01f, 0.3f, 1.0f, 7.0f };
    for (size_t i = 0; i < QL_COUNT_OF(ratios); i++) {
        struct ql_tails scaled = tails;
        ql_tail_scale(&scaled, 2, ratios[i]);
        for (float r = 50.0f; r < 1000.0f; r *= 1.3f) {
            const float want = ql_tail_excess(&tails, 2, r, 1e-6f);
            assert_true(fabsf(ql_tail_excess(&scaled, 2, ratios[i] * r, 1e-8f) - want) < 1e-3f);
        }
    }
}

static void residual_undoes_surprise(void **state)
{
    (void)state;
    struct ql_tails tails = { .quantile = { 2.0f }, .mean = { 0.5f }, .variance = { 0.6f } };
    for (float s = 1.8f; s < 8.0f; s += 0.1f) {
        const float r = ql_tail_residual(&tails, 0, s, 1e-6f);
        assert_true(fabsf(ql_tail_excess(&tails, 0, r, 1e-6f) - s) < 0.01f);
    }
}

static void larger_is_always_stranger(void **state)
{
    (void)state;
    const struct ql_tails tails = { .quantile = { 1.0f }, .mean = { 0.1f }, .variance = { 0.01f } };
    float last = 0.0f;
    for (float r = 1.0f; r < 1.5f; r += 0.01f) {
        const float s = ql_tail_excess(&tails, 0, r, 1e-6f);
        assert_true(s > last);
        last = s;
    }
}

/* A pool that saw p-values off by a known factor puts them right. */
static void pool_corrects(void **state)
{
    (void)state;
    static struct ql_pool pool;
    const struct ql_pool_prior prior = { 2.0f, 0.7f, 1000.0f };
    struct ql_rng rng;
    ql_rng_init(&rng, 3, "pool");
    ql_pool_init(&pool, prior);
    assert_true(fabsf(ql_pool_map(&pool, 1.0f) - 1.0f) < 0.06f);
    assert_true(ql_pool_map(&pool, 4.0f) < 3.6f);
    const uint32_t points = 2000000;
    for (uint32_t i = 0; i < points; i++) {
        const float honest = -ql_log10f((float)(1.0 - ql_rng_ratio(&rng)));
        ql_pool_count(&pool, 1.5f * honest); /* says 1e-6 when it is 1e-4 */
    }
    ql_pool_refresh(&pool, prior, points);
    for (float s = 0.5f; s < 9.0f; s += 0.25f) {
        const float off = ql_pool_map(&pool, s) - s / 1.5f;
        assert_true(off < 0.25f && off > -0.25f);
    }
    ql_pool_halve(&pool);
    ql_pool_refresh(&pool, prior, points / 2);
    assert_true(fabsf(ql_pool_map(&pool, 3.0f) - 2.0f) < 0.1f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_are_close),
        cmocka_unit_test(shares_hold),
        cmocka_unit_test(a_scaled_lane_says_the_same),
        cmocka_unit_test(residual_undoes_surprise),
        cmocka_unit_test(larger_is_always_stranger),
        cmocka_unit_test(pool_corrects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
