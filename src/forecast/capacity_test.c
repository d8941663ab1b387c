/* capacity_test - stories of things that fill up, and of things that only look like it.
 *
 * Each story is told point by point in virtual time and looked at as the service would, with
 * what is known by then; how often a call opened and how long before is what is judged. */
#include "forecast/capacity.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEP_S = 600, DAY = 86400 / STEP_S, DAYS = 42, POINTS = DAY * DAYS };
#define SEED 3u
#define LEAD_S 86400.0

enum story {
    FLAT, NOISY, DAILY_RHYTHM, DAILY_ROTATION, BACKUP_HOUR, WEEKLY_ROTATION, SLOW_BUT_FAR,
    LEAK, FAST_LEAK, STEADY, PEAKS_GROW, STORIES
};
struct telling { const char *name; bool calls; double early_h; uint32_t looks_apart; };
static const struct telling tellings[STORIES] = {
    [FLAT] = { "flat", false, 0, 12 },
    [NOISY] = { "noisy at 80 %", false, 0, 12 },
    [DAILY_RHYTHM] = { "daily rhythm up to 88 %", false, 0, 12 },
    [DAILY_ROTATION] = { "daily rotation, 30 to 85 %", false, 0, 6 },
    [BACKUP_HOUR] = { "a nightly backup of 40 %", false, 0, 3 },
    [WEEKLY_ROTATION] = { "weekly rotation up to 80 %", false, 0, 12 },
    [SLOW_BUT_FAR] = { "0.3 % a day from 40 %", false, 0, 12 },
    [LEAK] = { "a leak of 2 % an hour from 40 %", true, 10, 3 },
    [FAST_LEAK] = { "a leak of 20 % an hour from 40 %", true, 0.5, 1 },
    [STEADY] = { "1.5 % a day from 40 %", true, 6, 12 },
    [PEAKS_GROW] = { "daily rotation whose peaks grow 1 % a day", true, 6, 12 },
};

static double story_at(enum story s, uint32_t i, struct ql_rng *rng)
{
    const double day = (double)i / DAY, part = day - floor(day);
    const double hours = (day - 35.3) * 24.0; /* since the leak began */
    const double leak = hours > 0.0 ? hours : 0.0, noise = ql_rng_normal(rng);
    const double rhythm = sin(6.283185307179586 * part);
    switch (s) {
    case FLAT: return 90.0;
    case NOISY: return 80.0 + 2.0 * noise;
    case DAILY_RHYTHM: return 70.0 + 18.0 * rhythm + 0.3 * noise;
    case DAILY_ROTATION: return 30.0 + 55.0 * part + 0.2 * noise;
    case BACKUP_HOUR:
        return 45.0 + 0.2 * noise + (part > 0.5 && part < 0.6 ? (part - 0.5) * 400.0 : 0.0);
    case WEEKLY_ROTATION: return 20.0 + 60.0 * fmod(day, 7.0) / 7.0 + 0.2 * noise;
    case SLOW_BUT_FAR: return 40.0 + 0.3 * day + 0.2 * noise;
    case LEAK: return 40.0 + 3.0 * rhythm + 0.2 * noise + 2.0 * leak;
    case FAST_LEAK: return 40.0 + 0.2 * noise + 20.0 * leak;
    case STEADY: return 40.0 + 1.5 * day + 0.2 * noise;
    case PEAKS_GROW: return (30.0 + 0.9 * 1.2 * day) + (25.0 + 0.1 * day) * part + 0.2 * noise;
    default: return 0.0;
    }
}

struct seen { uint32_t opened, looks; double before_h; bool full; };

static void story_look(enum story s, struct seen *seen)
{
    static double used[POINTS];
    struct ql_rng rng;
    struct ql_arena scratch;
    struct ql_capacity_watch watch = { 0 };
    uint32_t full_at = POINTS, opened_at = 0;
    *seen = (struct seen){ 0 };
    ql_rng_init(&rng, SEED, tellings[s].name);
    ql_arena_init(&scratch, (size_t)16 << 20);
    for (uint32_t i = 0; i < POINTS; i++) {
        used[i] = story_at(s, i, &rng);
        full_at = full_at == POINTS && used[i] >= 95.0 ? i : full_at;
    }
    for (uint32_t n = 1; n < POINTS && n < full_at;
         n += n > 35 * DAY || n < 2 * DAY ? tellings[s].looks_apart : 12) {
        struct ql_capacity c;
        const struct ql_capacity_in in = { used, n, STEP_S, 100.0, LEAD_S };
        ql_arena_reset(&scratch);
        assert_int_equal(ql_capacity(&in, &scratch, &c), QL_OK);
        assert_true(c.full >= 0.0 && c.full <= 1.0 && c.right <= c.tests);
        assert_true(c.early_s <= c.middle_s && c.middle_s <= c.late_s);
        seen->looks++;
        if (ql_capacity_watch_step(&watch, c.full, used[n - 1] / 100.0) == QL_CAPACITY_OPENED) {
            opened_at = seen->opened++ == 0 ? n : opened_at;
        }
    }
    seen->full = full_at < POINTS;
    seen->before_h = (double)(full_at - opened_at) * STEP_S / 3600.0;
    ql_arena_fini(&scratch);
}

static void what_fills_is_called_in_time_and_nothing_else(void **state)
{
    (void)state;
    bool wrong = false;
    for (enum story s = FLAT; s < STORIES; s++) {
        struct seen seen;
        story_look(s, &seen);
        const bool right = tellings[s].calls ? seen.full && seen.opened == 1 &&
                                                   seen.before_h >= tellings[s].early_h &&
                                                   seen.before_h <= 3.0 * LEAD_S / 3600.0
                                             : !seen.full && seen.opened == 0;
        if (!right) {
            print_message("%s: opened %u times in %u looks, %.1f h before (seed %u)\n",
                          tellings[s].name, seen.opened, seen.looks,
                          seen.opened ? seen.before_h : 0.0, SEED);
            wrong = true;
        }
    }
    assert_false(wrong);
}

static void a_record_is_kept(void **state)
{
    (void)state;
    static double used[POINTS];
    struct ql_rng rng;
    struct ql_capacity c;
    struct ql_arena scratch;
    ql_rng_init(&rng, SEED, "record");
    ql_arena_init(&scratch, (size_t)16 << 20);
    for (uint32_t i = 0; i < POINTS; i++) {
        used[i] = story_at(DAILY_ROTATION, i, &rng);
    }
    struct ql_capacity_in in = { used, POINTS, STEP_S, 100.0, LEAD_S };
    assert_int_equal(ql_capacity(&in, &scratch, &c), QL_OK);
    assert_int_equal(c.tests, QL_CAPACITY_TESTS_MAX);
    assert_int_equal(c.right, QL_CAPACITY_TESTS_MAX);
    for (uint32_t i = POINTS - 2 * DAY; i < POINTS - DAY; i++) {
        used[i] = i % 7 == 0 ? 99.0 : used[i]; /* full for moments that nothing announced */
    }
    assert_int_equal(ql_capacity(&in, &scratch, &c), QL_OK);
    assert_true(c.right < c.tests);
    in.limit = 0.0;
    assert_int_equal(ql_capacity(&in, &scratch, &c), QL_E_RANGE);
    in.limit = 100.0;
    in.count = 0;
    assert_int_equal(ql_capacity(&in, &scratch, &c), QL_E_NOT_FOUND);
    ql_arena_fini(&scratch);
}

static void a_watch_wants_it_twice(void **state)
{
    (void)state;
    struct look { double full, used; enum ql_capacity_change want; };
    static const struct look looks[] = {
        { 0.9, 0.70, QL_CAPACITY_SAME },   { 0.1, 0.70, QL_CAPACITY_SAME },
        { 0.9, 0.71, QL_CAPACITY_SAME },   { 0.9, 0.72, QL_CAPACITY_OPENED },
        { 0.9, 0.73, QL_CAPACITY_SAME },   { 0.1, 0.73, QL_CAPACITY_SAME },
        { 0.4, 0.73, QL_CAPACITY_SAME },   { 0.1, 0.73, QL_CAPACITY_SAME },
        { 0.1, 0.73, QL_CAPACITY_CLOSED }, { 0.6, 0.80, QL_CAPACITY_SAME },
        { 0.6, 0.80, QL_CAPACITY_OPENED }, { 0.4, 0.70, QL_CAPACITY_CLOSED },
        { 0.6, 0.70, QL_CAPACITY_SAME },   { 0.6, 0.70, QL_CAPACITY_OPENED },
    };
    struct ql_capacity_watch w = { 0 };
    for (size_t i = 0; i < QL_COUNT_OF(looks); i++) {
        assert_int_equal(ql_capacity_watch_step(&w, looks[i].full, looks[i].used), looks[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fills_is_called_in_time_and_nothing_else),
        cmocka_unit_test(a_record_is_kept),
        cmocka_unit_test(a_watch_wants_it_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
