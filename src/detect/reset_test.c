/* reset_test - a process that restarts again and again is one signal, and a deploy is none.
 *
 * A world is a few counters that get a rate a minute each, from Monday 2026-01-05 00:00 UTC. */
#include "config/config_test.h"
#include "detect/detect_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEP_S = 60, MINUTES = 240 };
#define BEGIN_S INT64_C(1767571200)

/* Processes by letter: a, b, d are pods of one service, c is another, n is of nobody
 * known, g of what may be a gauge; x is a counter of a that falls alone, y and z are two that are
 * silent from minute 30 on but for their falls. */
static const struct { char process; uint64_t entity; const char *text; } counters[] = {
    { 'a', 1, "hits_total{service=\"payment\",pod=\"a\"}" },
    { 'a', 1, "bytes_total{service=\"payment\",pod=\"a\"}" },
    { 'x', 1, "more_total{service=\"payment\",pod=\"a\"}" },
    { 'z', 1, "late_total{service=\"payment\",pod=\"a\"}" },
    { 'y', 1, "later_total{service=\"payment\",pod=\"a\"}" },
    { 'b', 1, "hits_total{service=\"payment\",pod=\"b\"}" },
    { 'd', 1, "hits_total{service=\"payment\",pod=\"d\"}" },
    { 'c', 2, "hits_total{service=\"cart\",pod=\"c\"}" },
    { 'n', 0, "hits_total" },
    { 'g', 3, "pool_count{service=\"shop\"}" },
    { '-', 9, "other{job=\"x\"}" },
};
enum { COUNTERS = QL_COUNT_OF(counters) };

struct world {
    struct ql_config *config;
    struct ql_series_table *series;
    struct ql_stats *stats;
    void *stage;
    struct ql_batch batch;
    uint32_t index[COUNTERS];
    char log[512], why[1024];
};

static void world_open(struct world *w, const char *yaml, uint32_t series_max)
{
    *w = (struct world){ 0 };
    w->config = test_config(yaml);
    w->config->series_max = series_max;
    assert_int_equal(ql_series_table_new(series_max, &w->series), QL_OK);
    w->stats = ql_stats_new(512);
    w->stage = test_stage_open(w->config, w->series, w->stats);
    ql_batch_init(&w->batch, 16 << 20);
}

static void world_close(struct world *w)
{
    ql_detect_stage.close(w->stage);
    ql_batch_fini(&w->batch);
    ql_series_table_free(w->series);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

static void world_restart(struct world *w)
{
    w->stage = test_stage_again(w->stage, w->config, w->series, w->stats);
}

/* "o50=3@30": opened at minute 50, 3 restarts since minute 30; u, c, and l of one that lapsed. */
static void world_take(struct world *w, uint32_t minute)
{
    for (uint32_t k = 0; k < w->batch.signals.count; k++) {
        const struct ql_signal *s = &w->batch.signals.at[k];
        const size_t used = strlen(w->log), said = strlen(w->why);
        if (s->kind != QL_SIGNAL_RESET) {
            continue;
        }
        assert_true(s->lower <= s->expected && s->expected <= s->upper && s->upper < s->value);
        assert_true(s->onset.ns <= s->at.ns);
        const char phase = s->phase == QL_PHASE_OPEN ? 'o' : s->phase == QL_PHASE_UPDATE ? 'u'
                           : s->lapsed                                                  ? 'l'
                                                                                        : 'c';
        (void)snprintf(w->log + used, sizeof(w->log) - used, "%s%c%u=%.0f@%lld",
                       used > 0 ? " " : "", phase, minute, s->value,
                       (long long)((s->onset.ns / QL_NS_PER_S - BEGIN_S) / STEP_S));
        (void)snprintf(w->why + said, sizeof(w->why) - said, "%.*s\n", QL_STR_ARG(s->why));
    }
}

static void world_point(struct world *w, uint32_t i, ql_time at, enum ql_point_kind kind,
                        double value, double raw)
{
    struct ql_series *row = ql_series_at(w->series, w->index[i]);
    struct ql_point *p = ql_batch_add_point(&w->batch);
    assert_non_null(p);
    *p = (struct ql_point){ .at = at, .series = w->index[i], .kind = kind, .raw = raw,
                            .value = value };
    row->last_at = at;
    row->flags = (uint8_t)(kind == QL_POINT_HOLE ? row->flags | QL_SERIES_STALE
                                                 : row->flags & ~QL_SERIES_STALE);
}

/* What happens to a process in a minute: its letter falls, its capital wobbles; 0: nothing. */
static char story_of(const char *story, char process, uint32_t minute)
{
    for (const char *at = story; at != NULL && *at != '\0'; at = strchr(at, ' ')) {
        at += *at == ' ';
        const bool same = (*at | 0x20) == process;
        if (same && (uint32_t)strtoul(at + 1, NULL, 10) == minute) {
            return *at;
        }
    }
    return 0;
}

static uint32_t story_at(const char *story, const char *what)
{
    const char *at = strstr(story, what);
    return at == NULL ? UINT32_MAX : (uint32_t)strtoul(at + strlen(what), NULL, 10);
}

static void world_minute(struct world *w, const char *story, uint32_t minute)
{
    const ql_time at = { (BEGIN_S + (int64_t)minute * STEP_S) * QL_NS_PER_S };
    const bool silent = minute >= story_at(story, "silent ");
    ql_batch_reset(&w->batch);
    for (uint32_t i = 0; i < COUNTERS; i++) {
        const char process = counters[i].process;
        const char what = story_of(story, process, minute);
        const bool late = (process == 'y' || process == 'z') && minute >= 30;
        if (what != 0) {
            const double to = story_at(story, "half ") == minute ? 500.0 : what < 'a' ? 501.0 : 3.0;
            world_point(w, i, at, QL_POINT_RESET, process == 'g' ? 0.0 : 1000.0,
                        process == 'g' ? 0.0 : to);
        } else if (process == 'a' && silent) {
            if (minute == story_at(story, "silent ")) {
                world_point(w, i, at, QL_POINT_HOLE, 0.0, NAN);
            }
        } else if (!late) {
            world_point(w, i, at, QL_POINT_VALUE, 7.0, 1000.0);
        }
    }
    for (uint32_t i = 0; i < COUNTERS; i++) {
        if ((counters[i].process == 'a' && minute == story_at(story, "forgotten ")) ||
            (counters[i].process == 'x' && minute == story_at(story, "lost "))) {
            struct ql_retired *one = ql_batch_add_retired_one(&w->batch);
            assert_non_null(one);
            *one = (struct ql_retired){ .series = w->index[i], .idle_s = 7200 };
        }
    }
    ql_detect_stage.push(w->stage, at, &w->batch);
    ql_detect_stage.tick(w->stage, at, &w->batch);
    world_take(w, minute);
}

static const struct row { const char *name, *story, *want, *why, *yaml; } rows[] = {
    { "one restart is a deploy", "a30", "", NULL, "" },
    { "so may two be", "a30 a40", "", NULL, "" },
    { "three within an hour are one signal of all counters", "a30 a40 a50",
      "o50=3@30 c111=3@30",
      "payment restarts again and again: 3 resets of its counters in 20 min, the last one at "
      "hits_total\npayment restarts no more: 3 resets of its counters in 20 min, the last one at "
      "hits_total\n", "" },
    { "it stays open while they go on", "a30 a40 a50 a80 a139",
      "o50=3@30 u80=4@30 u139=5@30 c200=5@30", "5 resets of its counters in 109 min", "" },
    { "the third an hour after the first", "a30 a40 a90", "o90=3@30 c151=3@30", NULL, "" },
    { "a minute later it is none", "a30 a40 a91", "", NULL, "" },
    { "three within three hours", "a30 a100 a170", "", NULL, "" },
    { "never three within an hour", "a30 a85 a140 a195", "", NULL, "" },
    { "the last three count", "a30 a88 a93 a100", "o100=3@88 c161=3@88", NULL, "" },
    { "a sum that wobbles", "A30 A40 A50 A60", "", NULL, "" },
    { "a fall to the half is none", "a30 a40 A50 half 50", "o50=3@30 c111=3@30", NULL, "" },
    { "twice within two minutes is once", "a30 a31 a50", "", NULL, "" },
    { "two minutes apart is twice", "a30 a32 a50", "o50=3@30 c111=3@30", NULL, "" },
    { "counters that come back later fell with the others", "a30 z35 y45", "", NULL, "" },
    { "lives so short that only the falls come", "z35 z45 z55", "o55=3@35 c116=3@35", NULL, "" },
    { "a deploy of three pods", "a30 b35 d40", "", NULL, "" },
    { "two pods in a loop are one signal", "a30 b31 a40 b41 a50 b51 b70 b90",
      "o50=3@30 c151=3@30", NULL, "" },
    { "and who goes on when that one ended is told", "a30 a40 a50 b120 b130 b140",
      "o50=3@30 c111=3@30 o140=3@120 c201=3@120", NULL, "" },
    { "one that ends leaves the others where they are", "c30 a85 a95 a105", "o105=3@85 c166=3@85",
      NULL, "" },
    { "also those that were told", "c30 a35 a45 a55 b92 b100 b110", "o55=3@35 c171=3@35", NULL,
      "" },
    { "two services are two", "a30 c30 a40 c40 a50 c50",
      "o50=3@30 o50=3@30 c111=3@30 c111=3@30", "cart restarts again", "" },
    { "of nobody known", "n30 n40 n50", "", NULL, "" },
    { "of what may be a gauge", "g30 g40 g50", "", NULL, "" },
    { "who falls silent did not recover", "a30 a40 a50 silent 60", "o50=3@30 l111=3@30",
      "hits_total is given up: no value for 0.85 h", "" },
    { "forgotten", "a30 a40 a50 forgotten 60", "o50=3@30 l60=3@30",
      "hits_total is forgotten: no sample for 2 h", "" },
    { "the counter that fell last is forgotten", "a30 a40 a50 x60 lost 70",
      "o50=3@30 u60=4@30 l70=4@30", "the last one at more_total", "" },
    { "forgotten before it was told", "a30 a40 forgotten 45 a50", "", NULL, "" },
    { "switched off", "a30 a40 a50 off 60", "o50=3@30 l60=3@30",
      "hits_total is not judged any more: switched off by the settings", "" },
    { "muted until the next one", "a30 a40 a50 a65", "o65=4@30 c126=4@30", NULL,
      "policies: [{name: p, match: '{}', mute: ['daily 00:45-00:55']}]\n" },
    { "muted and over", "a30 a40 a50", "", NULL,
      "policies: [{name: p, match: '{}', mute: ['daily 00:45-00:55']}]\n" },
    { "muted and no loop any more", "a30 a40 a50 a109 a165", "", NULL,
      "policies: [{name: p, match: '{}', mute: ['daily 00:45-00:55']}]\n" },
    { "a loop behind one that was muted", "a30 a40 a50 a109 a112 a115", "o115=3@109 c176=3@109",
      NULL, "policies: [{name: p, match: '{}', mute: ['daily 00:45-00:55']}]\n" },
    { "told before a mute", "a30 a40 a50 a58", "o50=3@30 u58=4@30 c119=4@30", NULL,
      "policies: [{name: p, match: '{}', mute: ['daily 00:55-02:55']}]\n" },
    { "a policy says that none is wanted", "a30 a40 a50", "", NULL,
      "policies: [{name: p, match: '{}', detector: off}]\n" },
    { "a policy says that it matters", "a30 a40 a50", "o50=3@30 c111=3@30",
      "(importance critical, policy p)",
      "policies: [{name: p, match: '{}', importance: critical}]\n" },
};

static void row_run(const struct row *row, uint32_t restart_every)
{
    static struct world w;
    world_open(&w, row->yaml, 100);
    for (uint32_t i = 0; i < COUNTERS; i++) {
        w.index[i] = test_series_add(w.series, counters[i].text, STEP_S, counters[i].entity);
        ql_series_at(w.series, w.index[i])->type = QL_METRIC_COUNTER;
    }
    for (uint32_t minute = 0; minute < MINUTES; minute++) {
        if (minute == story_at(row->story, "off ")) {
            struct ql_config *config = test_config("detect: {enabled: false}\n");
            assert_int_equal(ql_detect_stage.adopt_config(w.stage, config), QL_OK);
            ql_config_free(w.config);
            w.config = config;
        }
        world_minute(&w, row->story, minute);
        if (minute % restart_every == restart_every - 1) {
            world_restart(&w);
        }
    }
    if (strcmp(w.log, row->want) != 0 || (row->why != NULL && strstr(w.why, row->why) == NULL)) {
        fail_msg("%s, a restart every %u min: %s\n%s", row->name, restart_every, w.log, w.why);
    }
    world_close(&w);
}

static void restarts_are_told_when_they_go_on(void **state)
{
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(rows); n++) {
        row_run(&rows[n], MINUTES);
        row_run(&rows[n], 5);
    }
}

/* Who sends hours in bulk: no tick comes between a loop and the next. */
static void loops_in_bulk_are_told_apart(void **state)
{
    static const uint32_t falls[] = { 30, 40, 50, 130, 140, 150, 300 };
    static struct world w;
    (void)state;
    world_open(&w, "", 100);
    w.index[0] = test_series_add(w.series, counters[0].text, STEP_S, 1);
    ql_batch_reset(&w.batch);
    for (uint32_t i = 0; i < QL_COUNT_OF(falls); i++) {
        const ql_time at = { (BEGIN_S + (int64_t)falls[i] * STEP_S) * QL_NS_PER_S };
        const bool last = i + 1 == QL_COUNT_OF(falls);
        world_point(&w, 0, at, last ? QL_POINT_VALUE : QL_POINT_RESET, 1000.0, 3.0);
    }
    const ql_time now = { (BEGIN_S + 301 * STEP_S) * QL_NS_PER_S };
    ql_detect_stage.push(w.stage, now, &w.batch);
    ql_detect_stage.tick(w.stage, now, &w.batch);
    world_take(&w, 301);
    assert_string_equal(w.log, "o301=3@30 c301=3@30 o301=3@130 c301=3@130");
    world_close(&w);
}

/* More processes than there is room for: those are counted, and room comes back. */
static void what_finds_no_room_is_counted(void **state)
{
    enum { PROCESSES = 65536 + 10 };
    static struct world w;
    (void)state;
    world_open(&w, "", PROCESSES);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "a_total{service=\"s\",pod=\"%u\"}", i);
        assert_int_equal(test_series_add(w.series, text, STEP_S, 5), i);
    }
    for (uint32_t hour = 0; hour < 2; hour++) {
        const ql_time at = { (BEGIN_S + 7200 * (int64_t)hour) * QL_NS_PER_S };
        ql_batch_reset(&w.batch);
        for (uint32_t i = 0; i < PROCESSES; i++) {
            struct ql_point *p = ql_batch_add_point(&w.batch);
            assert_non_null(p);
            *p = (struct ql_point){ .at = at, .series = hour == 0 ? i : PROCESSES - 1 - i,
                                    .value = 9.0, .kind = QL_POINT_RESET };
        }
        /* A value at the end: time is what values say. */
        *ql_batch_add_point(&w.batch) = (struct ql_point){
            .at = { at.ns + 4000 * QL_NS_PER_S }, .value = 1.0, .kind = QL_POINT_VALUE };
        ql_detect_stage.push(w.stage, at, &w.batch);
        ql_detect_stage.tick(w.stage, at, &w.batch);
        assert_int_equal(w.batch.signals.count, 0);
        assert_int_equal(ql_stats_sum(w.stats, "ql_detect_dropped_total", "what=\"reset\""),
                         10 * (hour + 1));
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restarts_are_told_when_they_go_on),
        cmocka_unit_test(loops_in_bulk_are_told_apart),
        cmocka_unit_test(what_finds_no_room_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
