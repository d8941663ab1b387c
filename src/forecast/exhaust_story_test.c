/* exhaust_story_test - weeks of virtual time, looked through every half hour: what raises a
 * signal, once and how long before, and what never does. An argument is another seed. */
#include "forecast/capacity.h"
#include "forecast/exhaust.h"

#include "base/rng.h"
#include "config/config.h"
#include "model/labels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEP_S 600
#define DAY_CELLS 144u
#define DAYS 24u
#define CELLS (DAYS * DAY_CELLS)
#define EVERY 3u             /* cells between two looks */
#define PI 3.14159265358979

/* Used of 100 at a day; every shape gets noise of 0.5 on top. */
static double daily_rotation(double d) { return 30.0 + 55.0 * (d - floor(d)); }
static double high_rotation(double d) { return 20.0 + 70.0 * (d - floor(d)); }
static double weekly_rotation(double d) { return 30.0 + 8.0 * (d - 7.0 * floor(d / 7.0)); }
static double rhythm(double d) { return 50.0 + 25.0 * sin(2.0 * PI * d); }
static double steady(double d) { (void)d; return 60.0; }
static double one_batch(double d) { return d > 15.0 && d < 15.2 ? 75.0 : 50.0; }
static double fast_leak(double d) /* two an hour, mended at day 18 */
{
    const double rhythm_now = 40.0 + 3.0 * sin(2.0 * PI * d);
    return d < 16.0 || d > 18.0 ? rhythm_now : fmin(99.0, rhythm_now + (d - 16.0) * 48.0);
}
static double slow_growth(double d) { return fmin(99.0, 60.0 + 1.6 * d); }
static double growth_and_rotation(double d)
{
    return fmin(99.0, 20.0 + 2.2 * d + 30.0 * (d - floor(d)));
}

static uint64_t seed = 11;

struct story {
    const char *what;
    double (*used)(double day);
    uint32_t opened, closed;
    double lead_hours_least; /* from the signal to 95 % */
};
static const struct story stories[] = {
    { "rotation every day", daily_rotation, 0, 0, 0 },
    { "rotation every day, nearly to the top", high_rotation, 0, 0, 0 },
    { "rotation every week", weekly_rotation, 0, 0, 0 },
    { "rhythm of the day", rhythm, 0, 0, 0 },
    { "nothing", steady, 0, 0, 0 },
    { "one large batch", one_batch, 0, 0, 0 },
    { "a leak, mended", fast_leak, 1, 1, 8 },
    { "slow growth", slow_growth, 1, 0, 8 },
    { "growth under rotation", growth_and_rotation, 1, 0, 2 },
};

struct told { uint32_t opened, closed, at; };

static void story_look(void *stage, struct ql_batch *bus, const double *cells, uint32_t count,
                       struct ql_arena *scratch, ql_str labels, struct told *told)
{
    const struct ql_capacity_in in = { cells, count, STEP_S, 100.0, 86400.0 };
    const ql_time now = { INT64_C(1700006400) * QL_NS_PER_S +
                          (int64_t)count * STEP_S * QL_NS_PER_S };
    struct ql_capacity c;
    ql_arena_reset(scratch);
    ql_batch_reset(bus);
    assert_int_equal(ql_capacity(&in, scratch, &c), QL_OK);
    if (c.rule != QL_CAPACITY_UNKNOWN) {
        struct ql_finding *f = ql_batch_add_finding(bus);
        assert_non_null(f);
        *f = (struct ql_finding){
            .labels = labels, .limit_name = QL_STR("disk_max"), .at = now,
            .kind = c.rule == QL_CAPACITY_FULL ? QL_FINDING_FULL : QL_FINDING_AHEAD,
            .used = cells[count - 1], .limit = 100, .full = c.full, .horizon_s = 86400,
            .early_s = c.early_s, .middle_s = c.middle_s, .late_s = c.late_s,
            .tests = c.tests, .right = c.right };
    }
    ql_exhaust_stage.push(stage, now, bus);
    ql_exhaust_stage.tick(stage, now, bus);
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        told->opened += bus->signals.at[i].phase == QL_PHASE_OPEN;
        told->closed += bus->signals.at[i].phase == QL_PHASE_CLOSE;
        told->at = told->opened == 1 && told->at == 0 ? count : told->at;
    }
}

static void story_run(const struct story *story, struct told *ret, uint32_t *ret_full)
{
    struct ql_config *config;
    struct ql_stats *stats = ql_stats_new(64);
    struct ql_batch bus;
    struct ql_arena scratch;
    struct ql_buf labels;
    struct ql_rng rng;
    double *cells = calloc(CELLS, sizeof(*cells));
    void *stage;
    assert_non_null(cells);
    assert_int_equal(ql_config_default(&config), QL_OK);
    const struct ql_stage_env env = { .config = config, .stats = stats, .shard_count = 1 };
    assert_int_equal(ql_exhaust_stage.open(&env, &stage), QL_OK);
    ql_batch_init(&bus, 1 << 20);
    ql_arena_init(&scratch, 16 << 20);
    ql_buf_init(&labels, 4096);
    ql_rng_init(&rng, seed, story->what);
    assert_int_equal(ql_labels_parse(QL_STR("disk_used{service=\"log\"}"), &labels), QL_OK);
    *ret = (struct told){ 0 };
    *ret_full = CELLS;
    for (uint32_t i = 0; i < CELLS; i++) {
        cells[i] = story->used((double)i / DAY_CELLS) + ql_rng_ratio(&rng) - 0.5;
        *ret_full = *ret_full == CELLS && cells[i] >= 95.0 ? i : *ret_full;
        if ((i + 1) % EVERY == 0) {
            story_look(stage, &bus, cells, i + 1, &scratch, ql_buf_view(&labels), ret);
        }
    }
    ql_exhaust_stage.close(stage);
    ql_batch_fini(&bus);
    ql_arena_fini(&scratch);
    ql_buf_fini(&labels);
    ql_stats_free(stats);
    ql_config_free(config);
    free(cells);
}

static void stories_are_told_as_they_are(void **state)
{
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    uint32_t wrong = 0;
    for (size_t i = 0; i < QL_COUNT_OF(stories); i++) {
        const struct story *story = &stories[i];
        struct told told;
        uint32_t full;
        story_run(story, &told, &full);
        const double lead = ((double)full - (double)told.at) * STEP_S / 3600.0;
        const bool right = told.opened == story->opened && told.closed == story->closed &&
                           (story->opened == 0 || lead >= story->lead_hours_least);
        print_message("%s: %u opened, %u closed%s", story->what, told.opened, told.closed,
                      right ? "" : "  <- wrong");
        print_message(told.opened > 0 ? ", %.1f h before\n" : "\n", lead);
        wrong += !right;
    }
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : seed;
    const struct CMUnitTest tests[] = { cmocka_unit_test(stories_are_told_as_they_are) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
