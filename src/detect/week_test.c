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
    double climb = 0.0;
    life->opened = life->recurred = 0;
    for (uint32_t i = 0; i < WEEK_POINTS; i++) {
        const uint32_t day = i / (24 * HOUR_POINTS), hour = i / HOUR_POINTS % 24;
        double value = day < 5 && hour >= 8 && hour < 18 ? base : 100.0;
        for (uint32_t k = 0; k < peak_count; k++) {
            if (peak_covers(&peaks[k], i)) { /* below zero: each value a fifth above the last */
                climb = climb > 0.0 ? climb * 1.2 : 400.0;
                value = peaks[k].height < 0.0 ? climb : peaks[k].height;
            }
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

/* Weeks 1 to 3 teach a peak on Mondays; what the fourth brings instead. */
static const struct {
    const char *story;
    struct peak usual, then;
    bool news;
} fourth_rows[] = {
    { "it comes back", { 0, 9, 2, 400.0 }, { 0, 9, 2, 400.0 }, false },
    { "an hour longer", { 0, 9, 2, 400.0 }, { 0, 9, 3, 400.0 }, false },
    { "it does not end", { 0, 9, 2, 400.0 }, { 0, 9, 159, 400.0 }, true },
    { "to zero instead of up", { 0, 9, 2, 400.0 }, { 0, 9, 2, 0.0 }, true },
    { "up instead of to zero", { 0, 9, 2, 0.0 }, { 0, 9, 2, 200.0 }, true },
    { "to zero as ever", { 0, 9, 2, 0.0 }, { 0, 9, 2, 0.0 }, false },
    { "it climbs and climbs", { 0, 9, 2, 400.0 }, { 0, 9, 2, -1.0 }, true },
};

static void what_is_known_hides_nothing_else(void **state)
{
    (void)state;
    uint32_t failed = 0;
    for (size_t r = 0; r < QL_COUNT_OF(fourth_rows); r++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct life life;
            life_open(&life, seed);
            life_week(&life, 0, 100.0, NULL, 0);
            for (uint32_t week = 1; week <= 3; week++) {
                life_week(&life, week, 100.0, &fourth_rows[r].usual, 1);
            }
            if (life.opened != 0) {
                print_message("%s: the third is news (seed %u)\n", fourth_rows[r].story,
                              (unsigned)seed);
                failed++;
            }
            life_week(&life, 4, 100.0, &fourth_rows[r].then, 1);
            if ((life.opened > 0) != fourth_rows[r].news) {
                print_message("%s: %u opened (seed %u)\n", fourth_rows[r].story, life.opened,
                              (unsigned)seed);
                failed++;
            }
            ql_dt_judge_fini(&life.judge);
        }
    }
    assert_int_equal(failed, 0);
}

static struct ql_dt_habit_now at(int64_t ns)
{
    return (struct ql_dt_habit_now){ .at_ns = ns, .reach = 20.0f, .way = QL_DT_UP };
}

static bool knows(const struct ql_dt_habit *h, struct ql_dt_habit_now now)
{
    return ql_dt_habit_knows(h, &now);
}

static void note(struct ql_dt_habit *h, int64_t ns)
{
    const struct ql_dt_habit_now now = at(ns);
    ql_dt_habit_note(h, &now);
}

static void the_list_of_hours(void **state)
{
    (void)state;
    const int64_t hour = INT64_C(3600) * QL_NS_PER_S, week = 168 * hour;
    const int64_t nine = MONDAY * QL_NS_PER_S + 9 * hour;
    struct ql_dt_habit h = { 0 };
    assert_false(knows(&h, at(nine)));
    note(&h, nine);
    note(&h, nine + week);
    assert_false(knows(&h, at(nine + week))); /* seen in one week before */
    assert_true(knows(&h, at(nine + 2 * week)));
    assert_true(knows(&h, at(nine + 2 * week - hour))); /* an hour early */
    assert_false(knows(&h, at(nine + 2 * week + 4 * hour)));
    struct ql_dt_habit_now other = at(nine + 2 * week);
    other.reach = 60.0f; /* three times as far */
    assert_false(knows(&h, other));
    other.reach = 20.0f;
    other.way = QL_DT_DOWN;
    assert_false(knows(&h, other));
    other.way = QL_DT_AROUND;
    assert_true(knows(&h, other));
    other.stays = true;
    assert_true(knows(&h, other)); /* in the hour in which it was odd before */
    other.at_ns += hour;
    assert_false(knows(&h, other));
    assert_true(knows(&h, at(nine + 3 * week)));  /* a holiday between */
    assert_false(knows(&h, at(nine + 4 * week))); /* forgotten */
    const struct ql_dt_habit_now third = at(nine + 2 * week), later = at(nine + 2 * week + hour);
    assert_true(ql_dt_habit_back(&h, &third));
    assert_false(ql_dt_habit_back(&h, &third)); /* once a week */
    assert_false(ql_dt_habit_back(&h, &later));
    assert_false(knows(&h, at(nine + 2 * week + 2 * hour))); /* nobody was told of more */
    for (int64_t k = 1; k <= 4; k++) { /* the list is full: the oldest single one goes */
        note(&h, nine + 2 * week + 20 * k * hour);
    }
    assert_true(knows(&h, at(nine + 3 * week)));
    /* Sunday 23:30 and Monday 0:30 are neighbours. */
    struct ql_dt_habit ring = { 0 };
    const int64_t midnight = MONDAY * QL_NS_PER_S;
    note(&ring, midnight - hour / 2);
    note(&ring, midnight + week - hour / 2);
    assert_true(knows(&ring, at(midnight + 2 * week - hour / 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_hours),
        cmocka_unit_test(a_weekly_peak_is_expected_in_week_three),
        cmocka_unit_test(what_is_known_hides_nothing_else),
        cmocka_unit_test(monday_morning_is_silent_and_sunday_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
