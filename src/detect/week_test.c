/* Stories of weeks: what comes back is expected, the same on another day is not. */
#include "base/rng.h"
#include "detect/dt_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { STEP_S = 300, WEEK_POINTS = 7 * 86400 / STEP_S, HOUR_POINTS = 3600 / STEP_S };
#define MONDAY INT64_C(1767571200) /* 2026-01-05 00:00 UTC */

struct life {
    struct ql_dt_judge judge;
    struct ql_rng rng;
    uint32_t opened, recurred;
};

static void life_open(struct life *life, uint64_t seed)
{
    *life = (struct life){ 0 };
    assert_int_equal(ql_dt_judge_init(&life->judge, 1, 0.5), QL_OK);
    ql_rng_init(&life->rng, seed, "weeks");
}

struct peak { uint32_t day, hour, hours; double height; };

static bool peak_covers(const struct peak *p, uint32_t point)
{
    const uint32_t first = (p->day * 24 + p->hour) * HOUR_POINTS;
    return p->hours > 0 && point >= first && point < first + p->hours * HOUR_POINTS;
}

/* One week of a value about 100 that rises to `base` on working days from 8 to 18 h. */
static void life_week(struct life *life, uint32_t week, double base, const struct peak *peaks,
                      uint32_t peak_count)
{
    life->opened = life->recurred = 0;
    for (uint32_t i = 0; i < WEEK_POINTS; i++) {
        const uint32_t day = i / (24 * HOUR_POINTS), hour = i / HOUR_POINTS % 24;
        double value = day < 5 && hour >= 8 && hour < 18 ? base : 100.0;
        for (uint32_t k = 0; k < peak_count; k++) {
            value = peak_covers(&peaks[k], i) ? peaks[k].height : value;
        }
        value += 4.0 * ql_rng_normal(&life->rng);
        const int64_t at_s = MONDAY + ((int64_t)week * WEEK_POINTS + i) * STEP_S;
        const struct ql_dt_input in = { at_s * QL_NS_PER_S, value, STEP_S * 1000, false };
        struct ql_dt_verdict v;
        const enum ql_dt_change change = ql_dt_judge_value(&life->judge, 0, 0, &in, &v);
        ql_dt_judge_threshold(&life->judge);
        life->opened += change == QL_DT_OPENED;
        life->recurred += change == QL_DT_RECURRED;
    }
}

/* Weeks 0 and 1 are news, week 2 is not; a Sunday's is, and so is a much higher Monday's. */
static void a_weekly_peak_is_expected_in_week_three(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        (void)printf("seed %llu\n", (unsigned long long)seed);
        static const struct peak monday = { 0, 9, 2, 400.0 }, sunday = { 6, 9, 2, 400.0 };
        static const struct peak far_monday = { 0, 9, 2, 1e6 };
        const struct peak both[] = { monday, sunday };
        struct life life;
        life_open(&life, seed);
        life_week(&life, 0, 100.0, NULL, 0);
        assert_int_equal(life.opened, 0);
        life_week(&life, 1, 100.0, &monday, 1);
        assert_true(life.opened >= 1);
        life_week(&life, 2, 100.0, &monday, 1);
        assert_true(life.opened >= 1);
        life_week(&life, 3, 100.0, &monday, 1);
        assert_int_equal(life.opened, 0);
        assert_int_equal(life.recurred, 1);
        life_week(&life, 4, 100.0, both, 2);
        assert_int_equal(life.opened, 1); /* the Sunday */
        life_week(&life, 5, 100.0, &monday, 1);
        life_week(&life, 6, 100.0, &far_monday, 1);
        assert_true(life.opened >= 1);
        ql_dt_judge_fini(&life.judge);
    }
}

/* Office hours: silent from the second week on; the same load on a Sunday is a signal. */
static void monday_morning_is_silent_and_sunday_is_not(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        (void)printf("seed %llu\n", (unsigned long long)seed);
        static const struct peak sunday = { 6, 9, 3, 220.0 };
        struct life life;
        life_open(&life, seed);
        life_week(&life, 0, 220.0, NULL, 0);
        life_week(&life, 1, 220.0, NULL, 0);
        life_week(&life, 2, 220.0, NULL, 0);
        assert_int_equal(life.opened, 0);
        life_week(&life, 3, 220.0, &sunday, 1);
        assert_true(life.opened >= 1);
        ql_dt_judge_fini(&life.judge);
    }
}

static void the_list_of_hours(void **state)
{
    (void)state;
    const int64_t hour = INT64_C(3600) * QL_NS_PER_S, week = 168 * hour;
    const int64_t nine = MONDAY * QL_NS_PER_S + 9 * hour;
    struct ql_dt_habit h = { 0 };
    assert_false(ql_dt_habit_knows(&h, nine, 20.0f));
    assert_false(ql_dt_habit_note(&h, nine, 20.0f));
    assert_false(ql_dt_habit_note(&h, nine + week, 20.0f));
    assert_false(ql_dt_habit_knows(&h, nine + week, 20.0f)); /* seen in one week before */
    assert_true(ql_dt_habit_knows(&h, nine + 2 * week, 20.0f));
    assert_true(ql_dt_habit_knows(&h, nine + 2 * week - hour, 20.0f)); /* an hour early */
    assert_false(ql_dt_habit_knows(&h, nine + 2 * week + 4 * hour, 20.0f));
    assert_false(ql_dt_habit_knows(&h, nine + 2 * week, 60.0f)); /* three times as far */
    assert_true(ql_dt_habit_knows(&h, nine + 3 * week, 20.0f));  /* a holiday between */
    assert_false(ql_dt_habit_knows(&h, nine + 4 * week, 20.0f)); /* forgotten */
    assert_true(ql_dt_habit_note(&h, nine + 2 * week, 20.0f));
    assert_false(ql_dt_habit_note(&h, nine + 2 * week, 20.0f)); /* once a week */
    for (int64_t k = 1; k <= 4; k++) { /* the list is full: the oldest single one goes */
        (void)ql_dt_habit_note(&h, nine + 2 * week + 20 * k * hour, 20.0f);
    }
    assert_true(ql_dt_habit_knows(&h, nine + 3 * week, 20.0f));
    /* Sunday 23:30 and Monday 0:30 are neighbours. */
    struct ql_dt_habit ring = { 0 };
    const int64_t midnight = MONDAY * QL_NS_PER_S;
    (void)ql_dt_habit_note(&ring, midnight - hour / 2, 20.0f);
    (void)ql_dt_habit_note(&ring, midnight + week - hour / 2, 20.0f);
    assert_true(ql_dt_habit_knows(&ring, midnight + 2 * week - hour / 2, 20.0f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_hours),
        cmocka_unit_test(a_weekly_peak_is_expected_in_week_three),
        cmocka_unit_test(monday_morning_is_silent_and_sunday_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
