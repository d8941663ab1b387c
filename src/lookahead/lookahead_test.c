/* lookahead_test - the thread over a view made by hand: when it looks, by which settings, and
 * what becomes of what it finds. The engine's time is the test's; the thread looks at it once a
 * second, and at once when it is started or told of new settings. */
#include "lookahead/lookahead.h"

#include "base/clock.h"
#include "base/wait.h"
#include "config/config_test.h"
#include "forecast/survey.h"
#include "model/view_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_S INT64_C(1700006400)
enum { SERIES = 3, FOUND_MAX = 64, PATIENCE_S = 20 };
enum { MANY = QL_SURVEY_PAIRS_MAX + 500 };
#define TWO_LOOKS_S 2.2

struct found { char name[32]; double limit; };

struct rig {
    struct ql_lookahead *lookahead;
    struct ql_config *config;      /* in force */
    struct ql_stats *stats;
    struct ql_view view;
    struct ql_accept accept;
    _Atomic int64_t now_s;
    _Atomic bool hold, held;       /* reads wait while hold; one waits */
    _Atomic bool full;             /* no input is taken */
    pthread_mutex_t lock;          /* of what stands below it */
    struct found found[FOUND_MAX];
    uint32_t found_count;
    uint32_t series;               /* SERIES, or MANY of which nothing is read */
    _Atomic uint8_t asked[MANY];
};

static void pause_s(double seconds)
{
    struct ql_wait pause;
    ql_wait_init(&pause);
    (void)ql_wait_for(&pause, seconds);
    ql_wait_fini(&pause);
}

/* ---- the engine's two faces ------------------------------------------------------------- */

static const char *series_text(uint32_t number)
{
    static _Thread_local char text[64];
    (void)snprintf(text, sizeof(text), "queue_depth{service=\"s%u\"}", number);
    return text;
}

static ql_err rig_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                       uint32_t count_max, struct ql_arena *texts,
                       struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    const struct rig *rig = host;
    (void)matchers, (void)matcher_count;
    assert_true(count_max >= rig->series);
    *ret_infos = test_infos(rig->series, series_text, texts);
    *ret_count = rig->series;
    return QL_OK;
}

static ql_time rig_now(void *host)
{
    const struct rig *rig = host;
    return (ql_time){ atomic_load(&rig->now_s) * QL_NS_PER_S };
}

/* Five days of a slow wave around ten. */
static ql_err rig_read(void *host, ql_series_id id, ql_time from, ql_time to, struct ql_batch *out)
{
    struct rig *rig = host;
    atomic_fetch_add(&rig->asked[id.h.low], 1);
    if (rig->series == MANY) {
        return QL_OK;
    }
    while (atomic_load(&rig->hold)) {
        atomic_store(&rig->held, true);
        pause_s(0.002);
    }
    const int64_t now_s = atomic_load(&rig->now_s);
    for (int64_t at_s = now_s - 5 * 86400; at_s < now_s; at_s += 600) {
        if (at_s * QL_NS_PER_S >= from.ns && at_s * QL_NS_PER_S <= to.ns) {
            struct ql_sample *sample = ql_batch_add_sample(out);
            assert_non_null(sample);
            *sample = (struct ql_sample){ { at_s * QL_NS_PER_S }, 10.0 + sin((double)at_s / 9e3) };
        }
    }
    return QL_OK;
}

static struct ql_batch *rig_batch_take(void *host)
{
    (void)host;
    struct ql_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    ql_batch_init(batch, 1 << 20);
    return batch;
}

static void rig_batch_give_back(void *host, struct ql_batch *batch)
{
    (void)host;
    ql_batch_fini(batch);
    free(batch);
}

static ql_err rig_submit(void *host, const struct ql_submission *submission)
{
    struct rig *rig = host;
    struct ql_batch *batch = submission->batch;
    const bool full = atomic_load(&rig->full);
    (void)pthread_mutex_lock(&rig->lock);
    for (uint32_t i = 0; !full && i < batch->findings.count; i++) {
        const struct ql_finding *finding = &batch->findings.at[i];
        assert_true(rig->found_count < FOUND_MAX);
        struct found *found = &rig->found[rig->found_count++];
        found->limit = finding->limit;
        (void)snprintf(found->name, sizeof(found->name), "%.*s", QL_STR_ARG(finding->limit_name));
    }
    (void)pthread_mutex_unlock(&rig->lock);
    rig_batch_give_back(host, batch);
    return full ? QL_E_FULL : QL_OK;
}

/* ---- the rig ------------------------------------------------------------------------------ */

static void rig_open_with(struct rig *rig, uint32_t series, const char *yaml)
{
    *rig = (struct rig){ .now_s = START_S, .series = series };
    rig->view = (struct ql_view){ .host = rig, .series_find = rig_find, .series_read = rig_read,
                                  .now = rig_now };
    rig->accept = (struct ql_accept){ rig, rig_batch_take, rig_batch_give_back, rig_submit };
    rig->stats = ql_stats_new(64);
    rig->config = test_config(yaml);
    (void)pthread_mutex_init(&rig->lock, NULL);
    const struct ql_lookahead_env env = { &rig->view, &rig->accept, rig->stats };
    assert_int_equal(ql_lookahead_start(&env, rig->config, &rig->lookahead), QL_OK);
}

static void rig_open(struct rig *rig, const char *yaml)
{
    rig_open_with(rig, SERIES, yaml);
}

/* Time moves on when the thread has just looked, so that none looks by the old settings. */
static void rig_reload(struct rig *rig, const char *yaml, int64_t later_s)
{
    struct ql_config *config = test_config(yaml);
    atomic_fetch_add(&rig->now_s, later_s);
    ql_lookahead_reload(rig->lookahead, config);
    ql_config_free(rig->config); /* nobody may read it any more */
    rig->config = config;
}

static void rig_close(struct rig *rig)
{
    ql_lookahead_stop(rig->lookahead);
    ql_config_free(rig->config);
    ql_stats_free(rig->stats);
    (void)pthread_mutex_destroy(&rig->lock);
}

static int64_t passes(const struct rig *rig)
{
    return ql_stats_sum(rig->stats, "ql_lookahead_passes_total", "");
}

static void wait_passes(const struct rig *rig, int64_t wanted)
{
    const int64_t until_ns = ql_clock_mono_ns() + PATIENCE_S * QL_NS_PER_S;
    while (passes(rig) < wanted && ql_clock_mono_ns() < until_ns) {
        pause_s(0.005);
    }
    assert_int_equal(passes(rig), wanted);
}

/* Everything that was found since the last call is this, `count` times. */
static void assert_found(struct rig *rig, const char *name, double limit, uint32_t count)
{
    (void)pthread_mutex_lock(&rig->lock);
    assert_int_equal(rig->found_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(rig->found[i].name, name);
        assert_true(rig->found[i].limit == limit);
    }
    rig->found_count = 0;
    (void)pthread_mutex_unlock(&rig->lock);
}

/* ---- the rows of what may be set -------------------------------------------------------- */

#define JOBS(limit) "resources: [{name: jobs, match: queue_depth, limit: " #limit "}]\n"
#define EVERY(time) "forecast: {every: " #time "}\n"

struct reload_row {
    const char *story, *before, *after;
    int64_t later_s;           /* the engine's time moves on so far before the reload */
    int64_t passes;            /* that it makes under the new settings */
    const char *name;
    double limit;
    uint32_t count;
};
static const struct reload_row reload_rows[] = {
    { "another limit holds from the next pass on", JOBS(20), JOBS(40), 900, 1, "jobs", 40.0, 3 },
    { "and not before one is due", JOBS(20), JOBS(40), 600, 0, "", 0.0, 0 },
    { "another resource", JOBS(20),
      "resources: [{name: one, match: 'queue_depth{service=\"s1\"}', limit: 7}]\n", 900, 1, "one",
      7.0, 1 },
    { "no resource any more", JOBS(20), "", 900, 1, "", 0.0, 0 },
    { "a shorter time between passes holds at once", JOBS(20) EVERY(24h), JOBS(20) EVERY(5m), 600,
      1, "jobs", 20.0, 3 },
    { "and so does a longer one", JOBS(20) EVERY(5m), JOBS(20) EVERY(24h), 600, 0, "", 0.0, 0 },
    { "switched off", JOBS(20), JOBS(20) "forecast: {enabled: false}\n", 9000, 0, "", 0.0, 0 },
    { "fewer a pass", JOBS(20), JOBS(20) "forecast: {series_max: 2}\n", 900, 1, "jobs", 20.0, 2 },
};

static void new_settings_without_a_restart(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(reload_rows); i++) {
        const struct reload_row *row = &reload_rows[i];
        struct rig rig;
        print_message("%s\n", row->story);
        rig_open(&rig, row->before);
        wait_passes(&rig, 1);
        assert_found(&rig, "jobs", 20.0, SERIES);
        rig_reload(&rig, row->after, row->later_s);
        if (row->passes == 0) {
            pause_s(TWO_LOOKS_S);
        }
        wait_passes(&rig, 1 + row->passes);
        assert_found(&rig, row->name, row->limit, row->count);
        rig_close(&rig);
    }
}

static void switched_on_again(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, JOBS(20) "forecast: {enabled: false}\n");
    pause_s(TWO_LOOKS_S);
    assert_int_equal(passes(&rig), 0);
    rig_reload(&rig, JOBS(20), 0);
    wait_passes(&rig, 1);
    assert_found(&rig, "jobs", 20.0, SERIES);
    rig_close(&rig);
}

/* ---- in the middle of a pass ---------------------------------------------------------------- */

static void *release_later(void *context)
{
    struct rig *rig = context;
    pause_s(0.3); /* by then the reload has asked it to stop, also on a busy machine */
    atomic_store(&rig->hold, false);
    return NULL;
}

/* The pass under the old settings is broken off and says nothing; the new one is due at once
 * though no time has passed. */
static void a_reload_in_the_middle_of_a_pass(void **state)
{
    struct rig rig;
    pthread_t thread;
    (void)state;
    rig_open(&rig, JOBS(20));
    wait_passes(&rig, 1);
    assert_found(&rig, "jobs", 20.0, SERIES);
    atomic_store(&rig.hold, true);
    atomic_fetch_add(&rig.now_s, 900);
    for (int i = 0; i < PATIENCE_S * 100 && !atomic_load(&rig.held); i++) {
        pause_s(0.01);
    }
    assert_true(atomic_load(&rig.held));
    assert_int_equal(pthread_create(&thread, NULL, release_later, &rig), 0);
    rig_reload(&rig, JOBS(40), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    wait_passes(&rig, 2);
    assert_found(&rig, "jobs", 40.0, SERIES);
    rig_close(&rig);
}

/* However they fall, the thread ends and begins, and what it says last is said by the last. */
static void many_reloads(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, JOBS(20));
    for (int i = 0; i < 40; i++) {
        rig_reload(&rig, i % 2 == 0 ? JOBS(40) : JOBS(20), 300);
        pause_s(i % 3 == 0 ? 0.001 : 0.0);
    }
    rig_reload(&rig, JOBS(60), 900);
    uint32_t last = 0;
    for (int i = 0; i < PATIENCE_S * 100 && last == 0; i++) {
        pause_s(0.01);
        (void)pthread_mutex_lock(&rig.lock);
        last = rig.found_count > 0 && rig.found[rig.found_count - 1].limit == 60.0;
        (void)pthread_mutex_unlock(&rig.lock);
    }
    assert_int_equal(last, 1);
    rig_close(&rig);
}

/* ---- more than a survey keeps ------------------------------------------------------------- */

/* A pass looks where the last one ended, also behind what a survey keeps. */
static void passes_take_turns_over_all_resources(void **state)
{
    struct rig rig;
    (void)state;
    rig_open_with(&rig, MANY, JOBS(20) "forecast: {series_max: 2000}\n");
    for (int64_t pass = 1; pass <= 3; pass++) {
        wait_passes(&rig, pass);
        assert_int_equal(ql_stats_sum(rig.stats, "ql_lookahead_resources", ""), MANY);
        atomic_fetch_add(&rig.now_s, pass < 3 ? 900 : 0);
    }
    for (uint32_t i = 0; i < MANY; i++) { /* 2,000, then the other 500, then from the start */
        assert_int_equal(atomic_load(&rig.asked[i]), i < QL_SURVEY_PAIRS_MAX ? 2 : 1);
    }
    rig_close(&rig);
}

/* ---- what is found and nobody takes --------------------------------------------------------- */

static void what_is_refused_is_counted(void **state)
{
    struct rig rig;
    (void)state;
    rig_open(&rig, JOBS(20) EVERY(24h));
    wait_passes(&rig, 1);
    assert_found(&rig, "jobs", 20.0, SERIES);
    atomic_store(&rig.full, true);
    atomic_fetch_add(&rig.now_s, 86400);
    wait_passes(&rig, 2);
    assert_found(&rig, "", 0.0, 0);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_lookahead_findings_total", "refused"), SERIES);
    atomic_store(&rig.full, false);
    atomic_fetch_add(&rig.now_s, 86400);
    wait_passes(&rig, 3);
    assert_found(&rig, "jobs", 20.0, SERIES);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_lookahead_findings_total", "accepted"),
                     2 * SERIES);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_settings_without_a_restart),
        cmocka_unit_test(switched_on_again),
        cmocka_unit_test(a_reload_in_the_middle_of_a_pass),
        cmocka_unit_test(many_reloads),
        cmocka_unit_test(passes_take_turns_over_all_resources),
        cmocka_unit_test(what_is_refused_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
