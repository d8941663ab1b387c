/* policy_test - one row, one story: a policy, points, and the signals that must come of them.
 *
 *   policy   the fields of one policy that matches the series
 *   points   tokens: 10*5 the value 10 five times, ~10/2*5 with normal noise of deviation 2,
 *            _ a hole, D a change of the series' entity, E a change of another one
 *   want     "open KIND @from-to" and "close KIND @from-to" in order; KIND ? is any
 *
 * Points are a minute apart from Monday 2026-01-05 00:00 UTC.
 */
#include "base/rng.h"
#include "config/moment.h"
#include "detect/detect_test.h"
#include "detect/dt_calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEP_S = 60, EVENTS_MAX = 32 };
#define MONDAY_S INT64_C(1767571200)

static const struct row { const char *story, *policy, *points, *want; } rows[] = {
    { "no policy field: as ever", "importance: high", "~100/5*300 900*20 ~100/5*60",
      "open ? @300-302 close ? @320-335" },
    { "up is not down", "direction: down", "~100/5*300 900*20 ~100/5*60", "" },
    { "up is up", "direction: up", "~100/5*300 900*20 ~100/5*60",
      "open ? @300-302 close ? @320-335" },
    { "down is down", "direction: down", "~100/5*300 5*20 ~100/5*60",
      "open ? @300-302 close ? @320-335" },
    { "down is not up", "direction: up", "~100/5*300 5*20 ~100/5*60", "" },
    { "too small in the unit", "min_absolute: 1000", "~100/5*300 900*20 ~100/5*60", "" },
    { "large enough in the unit", "min_absolute: 500", "~100/5*300 900*20 ~100/5*60",
      "open ? @300-302 close ? @320-335" },
    { "too small a share", "min_relative: 10", "~100/5*300 900*20 ~100/5*60", "" },
    { "share enough", "min_relative: 5", "~100/5*300 900*20 ~100/5*60",
      "open ? @300-302 close ? @320-335" },
    { "a detector that is off says nothing", "detector: off", "~100/5*300 900*20 _ ~100/5*60",
      "" },
    { "a bound holds while learning", "valid_range: [0, 500]", "~100/5*3 900*4 ~100/5*20",
      "open out of bounds @3-3 close out of bounds @9-9" },
    { "a bound holds with the detector off", "valid_range: [0, 500], detector: off",
      "~100/5*3 900*4 ~100/5*20", "open out of bounds @3-3 close out of bounds @9-9" },
    { "inside the bound nothing", "valid_range: [0, 1000]", "~100/5*3 900*4 ~100/5*20", "" },
    { "one end is enough", "valid_range: [-inf, 500]", "~100/5*3 900*4 -900*4 ~100/5*20",
      "open out of bounds @3-3 close out of bounds @9-9" },
    { "what is out of bounds is never learnt", "valid_range: [0, 500]",
      "~100/5*300 900*400 ~100/5*80", "open out of bounds @300-300 close out of bounds @702-702" },
    { "silent in the window", "mute: ['daily 04:50-05:40']", "~100/5*300 900*20 ~100/5*60", "" },
    { "another window is another time", "mute: ['daily 06:50-07:40', Tue]",
      "~100/5*300 900*20 ~100/5*60", "open ? @300-302 close ? @320-335" },
    { "the same hour of another offset", "mute: ['daily 04:50-05:40 +02:00']",
      "~100/5*300 900*20 ~100/5*60", "open ? @300-302 close ? @320-335" },
    { "what outlasts the window is told", "mute: ['daily 04:50-05:10']",
      "~100/5*300 900*60 ~100/5*60", "open ? @310-318 close ? @360-380" },
    { "a bound is muted, and told when it outlasts", "mute: ['daily 04:50-05:10'], "
      "valid_range: [0, 500]", "~100/5*300 900*60 ~100/5*60",
      "open out of bounds @310-310 close out of bounds @362-362" },
    { "silence in the window is nothing", "mute: ['daily 04:50-05:40']",
      "~100/5*300 _ ~100/5*60", "" },
    { "a deploy is quiet, a fault after it is not", "mute_after_change: 30m",
      "~100/5*300 D 900*6 ~100/5*200 1900*20 ~100/5*60",
      "open ? @506-510 close ? @526-545" },
    { "the change of another entity is not ours", "mute_after_change: 30m",
      "~100/5*300 E 900*20 ~100/5*60", "open ? @300-302 close ? @320-335" },
    { "a fault by the deploy outlasts its mute", "mute_after_change: 30m",
      "~100/5*300 D 900*60 ~100/5*60", "open ? @330-338 close ? @360-380" },
};

struct world {
    struct ql_config *config;
    struct ql_series_table *series;
    struct ql_stats *stats;
    void *stage;
    uint32_t index;
};

static void config_of(const char *policy, struct ql_config **ret_config)
{
    char yaml[512];
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    (void)snprintf(yaml, sizeof(yaml),
                   "limits: {series_max: 1000}\n"
                   "detect: {signals_per_day: 0.1}\n"
                   "policies: [{name: row, match: '{service=\"checkout\"}'%s%s}]\n",
                   policy[0] == '\0' ? "" : ", ", policy);
    if (ql_config_parse(ql_str_of(yaml), "row", ret_config, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
}

static void world_open(struct world *w, const char *policy)
{
    config_of(policy, &w->config);
    assert_int_equal(ql_series_table_new(1000, &w->series), QL_OK);
    w->stats = ql_stats_new(256);
    w->stage = test_stage_open(w->config, w->series, w->stats);
    w->index = test_series_add(w->series, "queue_depth{service=\"checkout\"}", STEP_S, 7);
}

static void world_close(struct world *w)
{
    ql_detect_stage.close(w->stage);
    ql_series_table_free(w->series);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

/* ---- points in, events out -------------------------------------------------------- */

struct event { enum ql_phase phase; enum ql_signal_kind kind; uint32_t at; char why[200]; };
struct run {
    struct world *w;
    struct ql_batch batch;
    uint32_t at;                 /* number of the next point */
    struct event events[EVENTS_MAX];
    uint32_t event_count;
    uint64_t digest;
};

static void run_open(struct run *run, struct world *w)
{
    *run = (struct run){ .w = w };
    ql_batch_init(&run->batch, 1 << 20);
}

static ql_time run_now(const struct run *run)
{
    return (ql_time){ (MONDAY_S + (int64_t)run->at * STEP_S) * QL_NS_PER_S };
}

static void run_take(struct run *run)
{
    for (uint32_t i = 0; i < run->batch.signals.count; i++) {
        const struct ql_signal *s = &run->batch.signals.at[i];
        assert_true(s->lower <= s->expected && s->expected <= s->upper);
        if (s->phase != QL_PHASE_UPDATE && run->event_count < EVENTS_MAX) {
            struct event *e = &run->events[run->event_count++];
            *e = (struct event){ .phase = s->phase, .kind = s->kind, .at = run->at };
            (void)snprintf(e->why, sizeof(e->why), "%.*s", QL_STR_ARG(s->why));
        }
    }
    run->digest = ql_batch_digest(&run->batch, QL_LIST_signals, 0, run->digest);
}

static void run_point(struct run *run, enum ql_point_kind kind, double value)
{
    ql_batch_reset(&run->batch);
    ql_detect_stage.tick(run->w->stage, run_now(run), &run->batch);
    struct ql_point *p = ql_batch_add_point(&run->batch);
    assert_non_null(p);
    *p = (struct ql_point){ .at = run_now(run), .series = run->w->index, .kind = kind,
                            .value = value };
    ql_detect_stage.push(run->w->stage, run_now(run), &run->batch);
    run_take(run);
    run->at++;
}

static void run_change(struct run *run, uint64_t entity)
{
    ql_batch_reset(&run->batch);
    struct ql_change *change = ql_batch_add_change(&run->batch);
    assert_non_null(change);
    *change = (struct ql_change){ .entity = { entity }, .at = run_now(run) };
    ql_detect_stage.push(run->w->stage, run_now(run), &run->batch);
}

static void run_token(struct run *run, struct ql_rng *rng, const char **at)
{
    char *end;
    const char what = **at;
    if (what == 'D' || what == 'E') {
        run_change(run, what == 'D' ? 7 : 8);
        (*at)++;
        return;
    }
    if (what == '_') {
        run_point(run, QL_POINT_HOLE, 0.0);
        (*at)++;
        return;
    }
    const double value = strtod(*at + (what == '~'), &end);
    const double noise = *end == '/' ? strtod(end + 1, &end) : 0.0;
    const unsigned long count = *end == '*' ? strtoul(end + 1, &end, 10) : 1;
    for (unsigned long i = 0; i < count; i++) {
        run_point(run, QL_POINT_VALUE, value + noise * ql_rng_normal(rng));
    }
    *at = end;
}

static void run_points(struct run *run, struct ql_rng *rng, const char *points)
{
    while (*points != '\0') {
        if (*points == ' ') {
            points++;
        } else {
            run_token(run, rng, &points);
        }
    }
}

static bool want_holds(const struct run *run, const char *want)
{
    for (uint32_t i = 0; i < run->event_count; i++) {
        const struct event *e = &run->events[i];
        char phase[8], kind[32];
        unsigned from, to;
        int used = 0;
        if (sscanf(want, " %7s %31[^@]@%u-%u%n", phase, kind, &from, &to, &used) != 4) {
            return false;
        }
        kind[strlen(kind) - 1] = '\0'; /* the blank before @ */
        if (strcmp(phase, e->phase == QL_PHASE_OPEN ? "open" : "close") != 0 ||
            (strcmp(kind, "?") != 0 && strcmp(kind, ql_signal_kind_text(e->kind)) != 0) ||
            e->at < from || e->at > to) {
            return false;
        }
        want += used;
    }
    return want[strspn(want, " ")] == '\0';
}

static void run_print(const struct run *run, const struct row *row, uint64_t seed)
{
    print_message("%s (seed %u)\n  want %s\n", row->story, (unsigned)seed, row->want);
    for (uint32_t i = 0; i < run->event_count; i++) {
        print_message("  got %s %s @%u: %s\n",
                      run->events[i].phase == QL_PHASE_OPEN ? "open" : "close",
                      ql_signal_kind_text(run->events[i].kind), run->events[i].at,
                      run->events[i].why);
    }
}

static void stories(void **state)
{
    (void)state;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct world w;
            struct run run;
            struct ql_rng rng;
            ql_rng_init(&rng, seed, "policy");
            world_open(&w, rows[i].policy);
            run_open(&run, &w);
            run_points(&run, &rng, rows[i].points);
            if (!want_holds(&run, rows[i].want)) {
                run_print(&run, &rows[i], seed);
                failed++;
            }
            ql_batch_fini(&run.batch);
            world_close(&w);
        }
    }
    assert_int_equal(failed, 0);
}

/* A checkpoint anywhere, also inside a mute, changes nothing that comes after. */
static void checkpoints_hide_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct world a, b;
        struct run run;
        struct ql_rng rng;
        uint64_t digests[2];
        for (uint32_t again = 0; again < 2; again++) {
            ql_rng_init(&rng, 3, "policy");
            world_open(&a, rows[i].policy);
            run_open(&run, &a);
            run_points(&run, &rng, "~100/5*300 D 900*5");
            if (again == 1) {
                struct ql_buf saved;
                ql_buf_init(&saved, 16 << 20);
                assert_int_equal(ql_detect_stage.save(a.stage, &saved), QL_OK);
                world_open(&b, rows[i].policy);
                struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
                assert_int_equal(ql_detect_stage.load(b.stage, ql_detect_stage.state_version, &in),
                                 QL_OK);
                ql_buf_fini(&saved);
                run.w = &b;
            }
            run_points(&run, &rng, "900*60 ~100/5*60");
            digests[again] = run.digest;
            ql_batch_fini(&run.batch);
            if (again == 1) {
                world_close(&b);
            }
            world_close(&a);
        }
        if (digests[0] != digests[1]) {
            fail_msg("%s: digests differ", rows[i].story);
        }
    }
}

static void adopt(struct world *w, const char *policy)
{
    struct ql_config *config;
    config_of(policy, &config);
    assert_int_equal(ql_detect_stage.adopt_config(w->stage, config), QL_OK);
    ql_config_free(w->config);
    w->config = config;
}

/* By the field that holds, the policy that set it and the kind: once a signal. */
static void what_is_held_is_counted(void **state)
{
    (void)state;
    static const struct { const char *policy, *points, *kind, *reason; int64_t count; } held[] = {
        { "detector: off", "~100/5*300 900*20", "", "detector", 1 },
        { "detector: off", "~100/5*300 _", "absence", "detector", 1 },
        { "direction: down", "~100/5*300 900*20", "", "direction", 1 },
        { "min_absolute: 1000", "~100/5*300 900*20", "", "small", 1 },
        { "mute: ['daily 04:50-05:40'], valid_range: [0, 500]", "~100/5*300 900*20",
          "out of bounds", "mute", 1 },
        { "mute_after_change: 1h", "~100/5*300 D 900*20", "", "change", 1 },
        { "mute_after_change: 1h", "~100/5*300 E 900*20", "", "change", 0 },
    };
    for (uint32_t i = 0; i < QL_COUNT_OF(held); i++) {
        struct world w;
        struct run run;
        struct ql_rng rng;
        char labels[128];
        ql_rng_init(&rng, 1, "policy");
        world_open(&w, held[i].policy);
        run_open(&run, &w);
        run_points(&run, &rng, held[i].points);
        (void)snprintf(labels, sizeof(labels), "kind=\"%s%spolicy=\"row\",reason=\"%s\"",
                       held[i].kind, held[i].kind[0] != '\0' ? "\"," : "", held[i].reason);
        const char *part = held[i].kind[0] != '\0' ? labels : strstr(labels, "policy");
        if (ql_stats_sum(w.stats, "ql_detect_held_total", part) != held[i].count ||
            ql_stats_sum(w.stats, "ql_detect_held_total", "") != held[i].count) {
            fail_msg("%s: %s is not %d", held[i].policy, part, (int)held[i].count);
        }
        ql_batch_fini(&run.batch);
        world_close(&w);
    }
}

/* New policies hold for series that are known already, and what they held comes out. */
static void a_reload_reaches_known_series(void **state)
{
    (void)state;
    struct world w;
    struct run run;
    struct ql_rng rng;
    ql_rng_init(&rng, 1, "policy");
    world_open(&w, "detector: off");
    run_open(&run, &w);
    run_points(&run, &rng, "~100/5*300 900*10");
    assert_int_equal(run.event_count, 0);
    adopt(&w, "detector: on, importance: high");
    run_points(&run, &rng, "900*10");
    assert_int_equal(run.event_count, 1);
    assert_non_null(strstr(run.events[0].why, "(importance high, policy row)"));
    adopt(&w, "valid_range: [0, 95]");
    run_points(&run, &rng, "900*1");
    assert_int_equal(run.event_count, 2);
    assert_int_equal(run.events[1].kind, QL_SIGNAL_BOUND);
    assert_non_null(strstr(run.events[1].why,
                           "900 is above the highest valid value 95 (policy row)"));
    run_points(&run, &rng, "50*3");
    assert_int_equal(run.events[2].phase, QL_PHASE_CLOSE);
    assert_non_null(strstr(run.events[2].why, "50 is inside the valid range again (policy row)"));
    ql_batch_fini(&run.batch);
    world_close(&w);
}

/* ---- the calendar ----------------------------------------------------------------- */

static const struct { const char *calendar; int32_t day, hour; uint32_t weekday; int32_t at_hour; }
calendar_rows[] = {
    { "{}", 5, 9, 0, 9 },                                          /* a Monday as ever */
    { "{holidays: [01-05 A day off]}", 5, 9, 6, 9 },               /* every year */
    { "{holidays: [2026-01-05 A day off]}", 5, 9, 6, 9 },
    { "{holidays: [2025-01-05 Last year]}", 5, 9, 0, 9 },
    { "{holidays: [01-06 Tomorrow]}", 5, 9, 0, 9 },
    { "{holidays: [01-06 Tomorrow]}", 6, 9, 6, 9 },
    { "{holidays: [01-10 A Saturday]}", 10, 9, 5, 9 },             /* free already */
    { "{utc_offset: '+05:30'}", 5, 20, 1, 1 },                     /* Tuesday over there */
    { "{utc_offset: '-05:00'}", 5, 3, 6, 22 },                     /* Sunday still */
    { "{utc_offset: '+05:30', holidays: [01-06 x]}", 5, 20, 6, 1 },
    { "{utc_offset: '+05:30', holidays: [01-06 x]}", 5, 18, 0, 23 },
};

/* What the profiles of the week are asked and taught with. */
static void a_holiday_is_a_sunday(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(calendar_rows); i++) {
        char yaml[160];
        struct ql_config *config;
        struct ql_dt_calendar calendar;
        struct ql_buf why;
        ql_buf_init(&why, 65536);
        (void)snprintf(yaml, sizeof(yaml), "calendar: %s\n", calendar_rows[i].calendar);
        assert_int_equal(ql_config_parse(ql_str_of(yaml), "row", &config, &why), QL_OK);
        assert_int_equal(ql_dt_calendar_open(config, &calendar), QL_OK);
        const int64_t at_s = (int64_t)ql_day_of_date(2026, 1, calendar_rows[i].day) * QL_DAY_S +
                             (int64_t)calendar_rows[i].hour * 3600;
        for (uint32_t again = 0; again < 2; again++) { /* asked afresh, and as remembered */
            const int64_t ns = at_s * QL_NS_PER_S;
            const int64_t seen_s = (ns + ql_dt_calendar_shift(&calendar, ns)) / QL_NS_PER_S;
            const uint32_t weekday = ql_weekday_of_day((int32_t)(seen_s / QL_DAY_S));
            if (weekday != calendar_rows[i].weekday ||
                seen_s % QL_DAY_S / 3600 != calendar_rows[i].at_hour) {
                fail_msg("row %u: weekday %u, %d:%02d", i, weekday,
                         (int)(seen_s % QL_DAY_S / 3600), (int)(seen_s % 3600 / 60));
            }
        }
        ql_dt_calendar_close(&calendar);
        ql_config_free(config);
        ql_buf_fini(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(checkpoints_hide_nothing),
        cmocka_unit_test(what_is_held_is_counted),
        cmocka_unit_test(a_reload_reaches_known_series),
        cmocka_unit_test(a_holiday_is_a_sunday),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
