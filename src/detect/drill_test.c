/* The self-test finds what it made up, says when it did not, and touches nothing. */
#include "base/rng.h"
#include "detect/dt_drill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SERIES = 20, STEP_S = 60, LIFE = 600, MORE = 2 * 1440 };
#define BEGIN_S INT64_C(1767571200)

struct world {
    struct ql_dt_judge judge;
    struct ql_dt_drill drill;
    struct ql_rng rng;
    uint32_t ends[QL_DT_DRILL_BROKEN_OFF + 1];
    int64_t delay_most_ns;
    uint32_t point;
};

static void world_end(struct world *w, enum ql_dt_drill_end end)
{
    w->ends[end]++;
    if (end == QL_DT_DRILL_FOUND && w->drill.delay_ns > w->delay_most_ns) {
        w->delay_most_ns = w->drill.delay_ns;
    }
}

/* A minute of all series; noise 0 makes constants, `speaking` series have values at all. */
static void world_minute(struct world *w, double noise, uint32_t speaking, bool drilled,
                         float threshold)
{
    const int64_t at_ns = (BEGIN_S + (int64_t)w->point * STEP_S) * QL_NS_PER_S;
    ql_dt_judge_threshold(&w->judge);
    for (uint32_t q = 0; q < QL_DT_QUOTAS; q++) {
        w->judge.tenants.at[0].rules[q].threshold = threshold;
    }
    if (drilled) {
        world_end(w, ql_dt_drill_tick(&w->drill, &w->judge, SERIES));
    }
    for (uint32_t i = 0; i < speaking; i++) {
        const struct ql_dt_input in = { .at_ns = at_ns, .step_ms = STEP_S * 1000,
                                        .value = 100.0 + noise * ql_rng_normal(&w->rng) };
        struct ql_dt_verdict v;
        if (drilled && w->drill.series == i) {
            world_end(w, ql_dt_drill_value(&w->drill, &w->judge, 0, &in));
        }
        (void)ql_dt_judge_value(&w->judge, i, 0, &in, &v);
    }
    w->point++;
}

static void world_open(struct world *w)
{
    *w = (struct world){ 0 };
    ql_rng_init(&w->rng, 11, "drill");
    assert_int_equal(ql_dt_judge_init(&w->judge, SERIES, 10.0), QL_OK);
    assert_int_equal(ql_dt_drill_open(&w->drill, 3600.0), QL_OK);
}

static void world_close(struct world *w)
{
    ql_dt_drill_close(&w->drill);
    ql_dt_judge_fini(&w->judge);
}

static const struct {
    const char *story;
    double noise;
    float threshold;
    uint32_t speaking_after; /* series that speak once a drill began */
    uint32_t found_min, missed_min, broken_min;
    uint32_t found_max, missed_max, broken_max;
} rows[] = {
    { "a sound judge finds them", 5.0, 5.0f, SERIES, 35, 0, 0, 50, 2, 8 },
    { "a deaf one is caught", 5.0, 50.0f, SERIES, 0, 20, 0, 0, 50, 2 },
    { "constants are not tried", 0.0, 5.0f, SERIES, 0, 0, 0, 0, 0, 0 },
    { "where nothing speaks nothing is tried", 5.0, 5.0f, 0, 0, 0, 0, 0, 0, 0 },
};

static void drills_end_as_they_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        static struct world w;
        world_open(&w);
        for (uint32_t m = 0; m < LIFE + MORE; m++) {
            const uint32_t speaking = m < LIFE ? SERIES : rows[i].speaking_after;
            world_minute(&w, rows[i].noise, speaking, m >= LIFE, rows[i].threshold);
        }
        const uint32_t found = w.ends[QL_DT_DRILL_FOUND], missed = w.ends[QL_DT_DRILL_MISSED];
        const uint32_t broken = w.ends[QL_DT_DRILL_BROKEN_OFF];
        (void)printf("seed 11, %s: %u found (at most %lld s late), %u missed, %u broken off\n",
                     rows[i].story, found, (long long)(w.delay_most_ns / QL_NS_PER_S), missed,
                     broken);
        assert_in_range(found, rows[i].found_min, rows[i].found_max);
        assert_in_range(missed, rows[i].missed_min, rows[i].missed_max);
        assert_in_range(broken, rows[i].broken_min, rows[i].broken_max);
        assert_true(w.delay_most_ns <= QL_DT_DRILL_POINTS * STEP_S * QL_NS_PER_S);
        world_close(&w);
    }
}

/* One series of two falls silent in the middle of its drill. */
static void a_silent_series_breaks_it_off(void **state)
{
    (void)state;
    static struct world w;
    world_open(&w);
    for (uint32_t m = 0; m < LIFE; m++) {
        world_minute(&w, 5.0, SERIES, false, 50.0f);
    }
    while (!w.drill.on) {
        world_minute(&w, 5.0, SERIES, true, 50.0f);
    }
    w.drill.state.last_ns = w.judge.newest_ns;
    const uint32_t chosen = w.drill.series;
    for (uint32_t m = 0; m < 30; m++) {
        world_minute(&w, 5.0, chosen, true, 50.0f); /* those below it go on */
    }
    assert_int_equal(w.ends[QL_DT_DRILL_BROKEN_OFF], 1);
    world_close(&w);
}

static void the_judge_does_not_notice(void **state)
{
    (void)state;
    static struct world a, b;
    world_open(&a);
    world_open(&b);
    for (uint32_t m = 0; m < LIFE + MORE; m++) {
        world_minute(&a, 5.0, SERIES, false, 5.0f);
        world_minute(&b, 5.0, SERIES, true, 5.0f);
    }
    assert_true(b.ends[QL_DT_DRILL_FOUND] > 0);
    assert_memory_equal(a.judge.states, b.judge.states, SERIES * sizeof(*a.judge.states));
    const struct ql_dt_tenant *one = &a.judge.tenants.at[0], *two = &b.judge.tenants.at[0];
    assert_memory_equal(one->pools, two->pools, 2 * sizeof(*one->pools));
    assert_int_equal(one->budget.opened, two->budget.opened);
    world_close(&a);
    world_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drills_end_as_they_should),
        cmocka_unit_test(a_silent_series_breaks_it_off),
        cmocka_unit_test(the_judge_does_not_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
