/* The shop must be a fair witness: quiet when nothing is wrong, loud when something is,
 * and the same for the same seed. */
#include "alerts.h"
#include "otlp.h"
#include "series.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DAY_STEPS = 1440, FAULT_STEP = 1080, FIX_STEP = 1240 };

struct day {
    struct shop_world world;
    struct shop_alerts alerts;
    uint32_t firing_max, hurt_steps, hurt_first;
    uint64_t digest;
};

static void day_live(struct day *day, uint64_t seed, bool leak, uint32_t fix_step)
{
    struct shop_text body = { 0 };
    *day = (struct day){ .digest = UINT64_C(14695981039346656037) };
    shop_world_init(&day->world, seed);
    for (uint32_t i = 0; i < DAY_STEPS; i++) {
        if (leak && i == FAULT_STEP) {
            shop_world_leak(&day->world);
        }
        if (i == fix_step) {
            shop_world_restart(&day->world, SHOP_CHECKOUT);
        }
        shop_world_step(&day->world);
        const int64_t at_ms = INT64_C(1767225600000) + (int64_t)i * SHOP_STEP_S * 1000;
        shop_alerts_judge(&day->alerts, &day->world, at_ms);
        shop_text_reset(&body);
        (void)shop_series_write(&day->world, at_ms, &body);
        (void)shop_spans_write(&day->world, at_ms, &body);
        (void)shop_logs_write(&day->world, at_ms, &body);
        (void)shop_alerts_write(&day->alerts, at_ms, &body);
        for (size_t b = 0; b < body.bytes; b++) {
            day->digest = (day->digest ^ (uint8_t)body.at[b]) * UINT64_C(1099511628211);
        }
        if (!shop_world_healthy(&day->world)) {
            day->hurt_first = day->hurt_steps++ == 0 ? i : day->hurt_first;
        }
        day->firing_max = day->alerts.firing > day->firing_max ? day->alerts.firing
                                                               : day->firing_max;
    }
    shop_text_fini(&body);
}

static void test_quiet_day(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct day day;
        day_live(&day, seed, false, UINT32_MAX);
        print_message("seed %llu\n", (unsigned long long)seed);
        assert_int_equal(day.alerts.ever, 0);
        assert_int_equal(day.hurt_steps, 0);
    }
}

static void test_leak_hurts_until_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct day day;
        day_live(&day, seed, true, FIX_STEP);
        print_message("seed %llu: hurt at step %u for %u steps, %u alerts at once, %u in all\n",
                      (unsigned long long)seed, day.hurt_first, day.hurt_steps, day.firing_max,
                      day.alerts.ever);
        assert_true(day.alerts.ever >= 24);
        assert_true(day.hurt_first > FAULT_STEP); /* it creeps before it hurts */
        assert_true(day.hurt_steps > 60);
        assert_true(shop_world_healthy(&day.world));
        assert_int_equal(day.alerts.firing, 0);
    }
}

static void test_leak_stays_without_restart(void **state)
{
    (void)state;
    struct day day;
    day_live(&day, 1, true, UINT32_MAX);
    assert_false(shop_world_healthy(&day.world));
    assert_true(day.alerts.firing >= 15);
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    struct day a, b, c;
    day_live(&a, 7, true, FIX_STEP);
    day_live(&b, 7, true, FIX_STEP);
    day_live(&c, 8, true, FIX_STEP);
    assert_true(a.digest == b.digest);
    assert_true(a.digest != c.digest);
}

static void test_restart_moves_nothing_else(void **state)
{
    (void)state;
    struct day early, late;
    day_live(&early, 3, false, 600);
    day_live(&late, 3, false, 900);
    const struct shop_host *a = &early.world.host[3], *b = &late.world.host[3];
    /* The weather is the same; only what checkout itself counts differs. */
    assert_true(early.world.load_wander == late.world.load_wander);
    assert_true(early.world.service[SHOP_CART].wander == late.world.service[SHOP_CART].wander);
    assert_true(a->cpu_share == b->cpu_share);
    assert_true(early.world.service[SHOP_CHECKOUT].requests_total !=
                late.world.service[SHOP_CHECKOUT].requests_total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quiet_day),
        cmocka_unit_test(test_leak_hurts_until_restart),
        cmocka_unit_test(test_leak_stays_without_restart),
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_restart_moves_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
