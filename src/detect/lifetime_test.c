/* lifetime_test - whatever opens ends: when a value says so, or with a reason that is no recovery.
 *
 * A world is a few series that get a value a minute each, from Monday 2026-01-05 00:00 UTC. */
#include "base/rng.h"
#include "config/config_test.h"
#include "detect/detect_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEP_S = 60, SERIES_MAX = 16, SEEN_MAX = 128, CALM = 1500, DAY_ROWS = 86400 / STEP_S };
#define BEGIN_S INT64_C(1767571200)

struct seen {
    enum ql_phase phase;
    enum ql_signal_kind kind;
    bool lapsed;
    uint32_t row, series;
    int64_t onset_row;
    double value;
    char why[200];
};
struct world {
    struct ql_config *config;
    struct ql_series_table *series;
    struct ql_stats *stats;
    void *stage;
    struct ql_batch batch;
    struct ql_rng rng;
    uint32_t index[SERIES_MAX], count;
    uint32_t row;
    double values[SERIES_MAX];  /* of the next row; NaN: none comes */
    int holes[SERIES_MAX];      /* before the next row: 1 a silence, 2 a stale marker */
    struct seen seen[SEEN_MAX];
    uint32_t seen_count;
};

static void world_open(struct world *w, const char *yaml)
{
    *w = (struct world){ 0 };
    ql_rng_init(&w->rng, 7, "lifetime");
    w->config = test_config(yaml);
    w->config->signals_per_day = 1.0;
    w->config->series_max = 1000;
    assert_int_equal(ql_series_table_new(1000, &w->series), QL_OK);
    w->stats = ql_stats_new(512);
    w->stage = test_stage_open(w->config, w->series, w->stats);
    ql_batch_init(&w->batch, 1 << 20);
}

static void world_close(struct world *w)
{
    ql_detect_stage.close(w->stage);
    ql_batch_fini(&w->batch);
    ql_series_table_free(w->series);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

static uint32_t world_add(struct world *w, const char *text, uint64_t entity)
{
    assert_true(w->count < SERIES_MAX);
    w->index[w->count] = test_series_add(w->series, text, STEP_S, entity);
    w->values[w->count] = NAN;
    return w->count++;
}

static void world_adopt(struct world *w, const char *yaml)
{
    struct ql_config *config = test_config(yaml);
    config->signals_per_day = 1.0;
    assert_int_equal(ql_detect_stage.adopt_config(w->stage, config), QL_OK);
    ql_config_free(w->config);
    w->config = config;
}

static void world_restart(struct world *w)
{
    w->stage = test_stage_again(w->stage, w->config, w->series, w->stats);
}

static uint32_t world_index_of(const struct world *w, ql_series_id id)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (ql_series_id_eq(ql_series_at(w->series, w->index[i])->id, id)) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void world_take(struct world *w)
{
    for (uint32_t k = 0; k < w->batch.signals.count; k++) {
        const struct ql_signal *s = &w->batch.signals.at[k];
        if (s->phase == QL_PHASE_UPDATE) {
            continue;
        }
        assert_true(w->seen_count < SEEN_MAX);
        struct seen *e = &w->seen[w->seen_count++];
        *e = (struct seen){
            .phase = s->phase, .kind = s->kind, .lapsed = s->lapsed, .row = w->row,
            .series = world_index_of(w, s->series), .value = s->value,
            .onset_row = (s->onset.ns / QL_NS_PER_S - BEGIN_S) / STEP_S,
        };
        assert_true(s->lower <= s->expected && s->expected <= s->upper);
        (void)snprintf(e->why, sizeof(e->why), "%.*s", QL_STR_ARG(s->why));
    }
}

/* What normalise keeps of a series, and the point that it makes. */
static void world_point(struct world *w, uint32_t i, ql_time at, enum ql_point_kind kind,
                        double value)
{
    struct ql_series *row = ql_series_at(w->series, w->index[i]);
    struct ql_point *p = ql_batch_add_point(&w->batch);
    assert_non_null(p);
    *p = (struct ql_point){ .at = at, .series = w->index[i], .kind = kind, .raw = value,
                            .value = kind == QL_POINT_VALUE ? value : 0.0 };
    row->last_at = at;
    row->seen_count += kind == QL_POINT_VALUE;
    row->flags = (uint8_t)(kind == QL_POINT_VALUE ? row->flags & ~QL_SERIES_STALE
                                                  : row->flags | QL_SERIES_STALE);
}

static void world_row(struct world *w)
{
    const ql_time at = { (BEGIN_S + (int64_t)w->row * STEP_S) * QL_NS_PER_S };
    ql_batch_reset(&w->batch);
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->holes[i] != 0) {
            world_point(w, i, at, QL_POINT_HOLE, w->holes[i] == 2 ? ql_stale_marker() : NAN);
            w->holes[i] = 0;
        } else if (isfinite(w->values[i])) {
            world_point(w, i, at, QL_POINT_VALUE, w->values[i]);
        }
    }
    ql_detect_stage.push(w->stage, at, &w->batch);
    ql_detect_stage.tick(w->stage, at, &w->batch);
    world_take(w);
    w->row++;
}

static double noise(struct world *w, double level, double deviation)
{
    return level + deviation * ql_rng_normal(&w->rng);
}

static uint32_t seen_of(const struct world *w, enum ql_phase phase, enum ql_signal_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        count += w->seen[i].phase == phase && w->seen[i].kind == kind;
    }
    return count;
}

static const struct seen *seen_last(const struct world *w)
{
    assert_true(w->seen_count > 0);
    return &w->seen[w->seen_count - 1];
}

static uint32_t seen_open(const struct world *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        count += w->seen[i].phase == QL_PHASE_OPEN;
        count -= w->seen[i].phase == QL_PHASE_CLOSE;
    }
    return count;
}

/* ---- groups ------------------------------------------------------------------------ */

enum group_end {
    GOES,        /* who the signal is about sends no more */
    RETURNS,     /* it misses ten rows, and is odd still */
    HALF_GOES,   /* most of the others send no more */
    ALL_GO,      /* nobody of the group does */
    RECOVERS
};
static const struct group_row {
    const char *story;
    enum ql_signal_kind kind;
    uint32_t series;
    enum group_end end;
    const char *why;         /* of the end; NULL: it does not end */
    uint32_t from, to;       /* rows until then */
} group_rows[] = {
    { "one of four goes: three are no majority", QL_SIGNAL_PEER, 4, GOES,
      "is not compared any more: 3 of its group of 4 have values", 30, 32 },
    { "one of six goes: five others say nothing about it", QL_SIGNAL_PEER, 6, GOES,
      "is not compared any more: it has no value", 30, 32 },
    { "one of six misses ten rows", QL_SIGNAL_PEER, 6, RETURNS, NULL, 0, 0 },
    { "one of six is as ever again", QL_SIGNAL_PEER, 6, RECOVERS, "", 5, 200 },
    { "the others go", QL_SIGNAL_PEER, 6, HALF_GOES,
      "is not compared any more: 3 of its group of 6 have values", 30, 32 },
    { "all go", QL_SIGNAL_PEER, 6, ALL_GO, "is given up: no value for 24", DAY_ROWS,
      DAY_ROWS + 5 },
    { "most metrics of a machine go", QL_SIGNAL_FUSED, 12, HALF_GOES,
      "is not compared any more: 5 of its group of 12 have values", 30, 32 },
};

static void group_fill(struct world *w, const struct group_row *row, double odd)
{
    const double t = (double)w->row;
    const double load = 0.5 + 0.3 * sin(t / 37.0) + 0.2 * sin(t / 11.0);
    for (uint32_t i = 0; i < row->series; i++) {
        if (row->kind == QL_SIGNAL_PEER) {
            const double leaving = i == 2 && odd > 0.0 ? 1.0 + 0.004 * odd : 1.0;
            w->values[i] = noise(w, (100.0 + 4.0 * i) * (1.0 + 0.5 * load) * leaving, 1.5);
        } else {
            const double parted = load > 0.5 ? load - 0.4 : load + 0.4;
            w->values[i] = noise(w, 10.0 * (i + 1) + 20.0 * (i == 2 && odd > 0.0 ? parted : load),
                                 0.3);
        }
    }
    w->values[row->series] = noise(w, 50.0, 1.0); /* somebody who goes on */
}

static void group_world(struct world *w, const struct group_row *row)
{
    world_open(w, "");
    for (uint32_t i = 0; i < row->series; i++) {
        char text[96];
        (void)snprintf(text, sizeof(text),
                       row->kind == QL_SIGNAL_PEER ? "latency_ms{instance=\"pod-%u\",app=\"cart\"}"
                                                   : "metric_%u{instance=\"a\"}", i);
        (void)world_add(w, text, row->kind == QL_SIGNAL_PEER ? 100 + i : 77);
    }
    (void)world_add(w, "other{job=\"x\"}", 9);
    while (w->row < CALM) {
        group_fill(w, row, 0.0);
        world_row(w);
    }
    for (double odd = 1.0; seen_of(w, QL_PHASE_OPEN, row->kind) == 0; odd += 1.0) {
        assert_true(odd < 300.0);
        group_fill(w, row, odd);
        world_row(w);
    }
}

static bool group_misses(const struct group_row *row, uint32_t i, uint32_t since)
{
    switch (row->end) {
    case GOES: return i == 2;
    case RETURNS: return i == 2 && since < 10;
    case HALF_GOES: return i != 2 && i < row->series && i >= (row->series == 6 ? 3 : 5);
    case ALL_GO: return i < row->series;
    case RECOVERS: return false;
    }
    return false;
}

static void what_a_group_cannot_judge_ends(void **state)
{
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(group_rows); n++) {
        const struct group_row *row = &group_rows[n];
        static struct world w;
        group_world(&w, row);
        const uint32_t from = w.row;
        uint32_t silent = row->end == ALL_GO ? row->series : 0;
        while (seen_of(&w, QL_PHASE_CLOSE, row->kind) == 0 && w.row < from + DAY_ROWS + 100) {
            group_fill(&w, row, row->end == RECOVERS ? 0.0 : 100.0);
            for (uint32_t i = 0; i < row->series; i++) {
                w.values[i] = group_misses(row, i, w.row - from) ? (double)NAN : w.values[i];
                w.holes[i] = silent > 0 && w.row == from + 5;
            }
            if (row->why == NULL && w.row == from + 60) {
                break;
            }
            world_row(&w);
            if (w.row == from + 20) {
                world_restart(&w);
            }
        }
        uint32_t closed = 0;
        for (uint32_t i = 0; i < w.seen_count; i++) {
            const struct seen *s = &w.seen[i];
            if (s->phase != QL_PHASE_CLOSE || s->kind != row->kind) {
                continue;
            }
            closed++;
            if (row->why == NULL || strstr(s->why, row->why) == NULL ||
                s->lapsed != (row->end != RECOVERS) || s->row - from < row->from ||
                s->row - from > row->to) {
                fail_msg("%s: %s, %u rows after", row->story, s->why, s->row - from);
            }
        }
        if (closed != (row->why != NULL)) {
            fail_msg("%s: %u closed", row->story, closed);
        }
        world_close(&w);
    }
}

/* ---- switched off --------------------------------------------------------------------- */

#define RANGED "policies: [{name: row, match: 'level', valid_range: [0, 500]}]\n"

/* A value signal, an absence, a value out of its range and a group's signal are open. */
static void all_open(struct world *w)
{
    static const struct group_row peers = { .kind = QL_SIGNAL_PEER, .series = 6 };
    world_open(w, RANGED);
    for (uint32_t i = 0; i < 6; i++) {
        char text[96];
        (void)snprintf(text, sizeof(text), "latency_ms{instance=\"pod-%u\",app=\"cart\"}", i);
        (void)world_add(w, text, 100 + i);
    }
    (void)world_add(w, "other{job=\"x\"}", 9);
    const uint32_t level = world_add(w, "level{job=\"x\"}", 10);
    const uint32_t quiet = world_add(w, "quiet{job=\"x\"}", 11);
    const uint32_t spike = world_add(w, "spike{job=\"x\"}", 12);
    for (double odd = 0.0; seen_of(w, QL_PHASE_OPEN, QL_SIGNAL_PEER) == 0;
         odd += w->row > CALM ? 1.0 : 0.0) {
        assert_true(odd < 300.0);
        group_fill(w, &peers, odd);
        w->values[level] = noise(w, 100.0, 5.0);
        w->values[quiet] = noise(w, 100.0, 5.0);
        w->values[spike] = noise(w, 100.0, 5.0);
        world_row(w);
    }
    assert_int_equal(seen_open(w), 1);
    w->values[level] = 900.0;
    w->values[spike] = 900.0;
    w->values[quiet] = NAN;
    w->holes[quiet] = 1;
    for (uint32_t i = 0; i < 5; i++) {
        group_fill(w, &peers, 60.0);
        world_row(w);
    }
    assert_int_equal(seen_open(w), 4);
}

static void settings_end_what_they_switch_off(void **state)
{
    static const struct { const char *yaml; bool restart; uint32_t left; } rows[] = {
        { RANGED "detect: {enabled: false}\n", false, 0 },
        { RANGED "detect: {enabled: false}\n", true, 0 },
        { "detect: {enabled: false}\n", false, 0 },
        { RANGED "detect: {groups: false}\n", false, 3 },
        { RANGED "detect: {groups: false}\n", true, 3 },
        { RANGED, false, 4 },
    };
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(rows); n++) {
        static struct world w;
        all_open(&w);
        world_adopt(&w, rows[n].yaml);
        if (rows[n].restart) {
            world_restart(&w);
        }
        const uint32_t before = w.seen_count;
        for (uint32_t i = 0; i < 3; i++) {
            world_row(&w);
        }
        assert_int_equal(seen_open(&w), rows[n].left);
        for (uint32_t i = before; i < w.seen_count; i++) {
            assert_int_equal(w.seen[i].phase, QL_PHASE_CLOSE);
            assert_true(w.seen[i].lapsed);
            assert_int_equal(w.seen[i].row, w.row - 3);
            assert_non_null(strstr(w.seen[i].why, "is not judged any more: switched off by the "
                                                  "settings"));
        }
        world_adopt(&w, RANGED);
        for (uint32_t i = 0; i < 20; i++) { /* on again: it is odd still */
            world_row(&w);
        }
        assert_true(seen_open(&w) >= rows[n].left);
        assert_true(seen_of(&w, QL_PHASE_OPEN, QL_SIGNAL_BOUND) >= (rows[n].left == 0 ? 2u : 1u));
        world_close(&w);
    }
}

/* ---- silence ---------------------------------------------------------------------------- */

/* A signal whose series comes back for a few values after a hole, and is gone then. */
static void what_falls_silent_twice_is_given_up(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, "");
    const uint32_t odd = world_add(&w, "odd{job=\"x\"}", 1), other = world_add(&w, "o{job=\"x\"}", 2);
    for (uint32_t i = 0; i < 300 + 6 + 1 + 5 + 1; i++) {
        w.values[other] = noise(&w, 50.0, 1.0);
        w.values[odd] = i < 300 ? noise(&w, 100.0, 5.0) : 900.0;
        w.holes[odd] = i == 306 || i == 312;
        world_row(&w);
    }
    assert_int_equal(seen_open(&w), 1); /* its absence ended with the value after the hole */
    const uint32_t last = w.row - 2;
    w.values[odd] = NAN;
    while (seen_open(&w) > 0 && w.row < last + 2 * DAY_ROWS) {
        w.values[other] = noise(&w, 50.0, 1.0);
        world_row(&w);
        if (w.row == last + 100) {
            world_restart(&w);
        }
    }
    assert_int_equal(seen_open(&w), 0);
    assert_true(seen_last(&w)->lapsed);
    assert_true(seen_last(&w)->row >= last + DAY_ROWS && seen_last(&w)->row <= last + DAY_ROWS + 5);
    assert_non_null(strstr(seen_last(&w)->why, "is given up: no value for 24"));
    world_close(&w);
}

/* However long the values were out of their range: silence begins with the last of them. */
static void silence_after_values_out_of_range(void **state)
{
    static const uint32_t outside[] = { 40, 3 * DAY_ROWS };
    static struct world w;
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(outside); n++) {
        world_open(&w, RANGED);
        const uint32_t level = world_add(&w, "level{job=\"x\"}", 1);
        const uint32_t other = world_add(&w, "o{job=\"x\"}", 2);
        for (uint32_t i = 0; i < 300 + outside[n] + 120; i++) {
            w.values[other] = noise(&w, 50.0, 1.0);
            w.values[level] = i < 300 ? noise(&w, 100.0, 5.0) : 900.0;
            if (i >= 300 + outside[n]) {
                w.values[level] = NAN;
                w.holes[level] = i == 305 + outside[n];
            }
            world_row(&w);
        }
        assert_int_equal(seen_of(&w, QL_PHASE_OPEN, QL_SIGNAL_ABSENCE), 1);
        assert_int_equal(seen_of(&w, QL_PHASE_CLOSE, QL_SIGNAL_ABSENCE), 0);
        assert_int_equal(seen_last(&w)->onset_row, 300 + outside[n] - 1);
        assert_true(fabs(seen_last(&w)->value - 900.0) < 1e-6);
        w.values[level] = 100.0;
        world_row(&w);
        assert_int_equal(seen_last(&w)->kind, QL_SIGNAL_ABSENCE);
        assert_int_equal(seen_last(&w)->phase, QL_PHASE_CLOSE);
        assert_false(seen_last(&w)->lapsed);
        assert_int_equal(seen_last(&w)->onset_row, 300 + outside[n] - 1);
        world_close(&w);
    }
}

/* ---- ended by their sender --------------------------------------------------------------- */

enum { END_ROW = 100, WAIT_ROWS = 5 };
#define CART "service=\"cart\",pod="
#define UP_A "up{" CART "\"a\"}"
/* After the text: e it ends, s it falls silent, g it goes on, n it begins two rows later, r it ends
 * and is back within the wait, R long after, 0 it goes on as 0. */
static const struct ended_row {
    const char *story;
    struct { const char *text; uint64_t entity; } series[4];
    const char *what;
    uint32_t opened, closed;
    const char *policy;
} ended_rows[] = {
    { "a service that ends as a whole is absent",
      { { "a{" CART "\"a\"}", 20 }, { "b{" CART "\"a\"}", 20 }, { UP_A, 20 } }, "eee", 2, 0, "" },
    { "a pod that is replaced is not",
      { { "a{" CART "\"a\"}", 20 }, { UP_A, 20 }, { "a{" CART "\"b\"}", 20 },
        { "up{" CART "\"b\"}", 20 } }, "eenn", 0, 0, "" },
    { "nor is one of two", { { "a{" CART "\"a\"}", 20 }, { "a{" CART "\"b\"}", 20 } }, "eg", 0, 0,
      "" },
    { "two that end together are",
      { { "a{" CART "\"a\"}", 20 }, { "a{" CART "\"b\"}", 20 } }, "ee", 2, 0, "" },
    { "one metric of a program is not",
      { { "a{" CART "\"a\"}", 20 }, { "b{" CART "\"a\"}", 20 } }, "eg", 0, 0, "" },
    { "a host that does not answer is absent",
      { { "load{instance=\"h\"}", 30 }, { "up{instance=\"h\"}", 30 },
        { "scrape_samples_scraped{instance=\"h\"}", 30 } }, "e0g", 1, 0, "" },
    { "a host that was taken away is not",
      { { "load{instance=\"h\"}", 30 }, { "up{instance=\"h\"}", 30 } }, "ee", 0, 0, "" },
    { "a host that nobody scrapes is", { { "load{instance=\"h\"}", 30 } }, "e", 1, 0, "" },
    { "what is of nothing known is", { { "load{x=\"h\"}", 0 }, { "m{x=\"h\"}", 0 } }, "eg", 1, 0,
      "" },
    { "back in time is not", { { "a{" CART "\"a\"}", 20 } }, "r", 0, 0, "" },
    { "back later ends it", { { "a{" CART "\"a\"}", 20 } }, "R", 1, 1, "" },
    { "a silence needs no whole entity",
      { { "a{" CART "\"a\"}", 20 }, { "b{" CART "\"a\"}", 20 } }, "sg", 1, 0, "" },
    { "held and over before it is told", { { "a{" CART "\"a\"}", 20 } }, "R", 0, 0,
      "policies: [{name: row, match: '{}', mute: ['daily 01:00-02:00']}]\n" },
};

static void ended_fill(struct world *w, const struct ended_row *row)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const char what = i + 1 < w->count ? row->what[i] : 'g';
        const uint32_t since = w->row - END_ROW;
        const bool ends = what == 'e' || what == 'r' || what == 'R' || what == 's';
        const uint32_t back = what == 'r' ? 3 : what == 'R' ? 20 : UINT32_MAX;
        w->values[i] = noise(w, 100.0, 5.0);
        if (w->row < END_ROW) {
            w->values[i] = what == 'n' ? (double)NAN : what == '0' ? 1.0 : w->values[i];
        } else if (ends && since < back) {
            w->values[i] = NAN;
            w->holes[i] = what == 's' ? (since == 0 ? 1 : 0) : (since == 0 ? 2 : 0);
        } else if (what == '0' || (what == 'n' && since < 2)) {
            w->values[i] = what == '0' ? 0.0 : (double)NAN;
        }
    }
}

static void what_ended_is_absent_with_its_entity(void **state)
{
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(ended_rows); n++) {
        const struct ended_row *row = &ended_rows[n];
        static struct world w;
        world_open(&w, row->policy);
        for (uint32_t i = 0; i < strlen(row->what); i++) {
            (void)world_add(&w, row->series[i].text, row->series[i].entity);
        }
        (void)world_add(&w, "other{job=\"x\"}", 99);
        while (w.row < END_ROW + 40) {
            ended_fill(&w, row);
            world_row(&w);
            if (w.row == END_ROW + 3) {
                world_restart(&w);
            }
        }
        uint32_t opened = 0, closed = 0;
        for (uint32_t i = 0; i < w.seen_count; i++) {
            const struct seen *s = &w.seen[i];
            if (s->kind != QL_SIGNAL_ABSENCE) {
                continue;
            }
            const bool open = s->phase == QL_PHASE_OPEN;
            const uint32_t wait = row->what[0] == 's' ? 0 : WAIT_ROWS;
            opened += open;
            closed += !open;
            if (s->onset_row != END_ROW - 1 || s->lapsed ||
                (open && (s->row + 1 < END_ROW + wait || s->row > END_ROW + wait + 1)) ||
                (!open && s->row != END_ROW + 20)) {
                fail_msg("%s: %s in row %u", row->story, s->why, s->row);
            }
        }
        if (opened != row->opened || closed != row->closed) {
            fail_msg("%s: %u opened, %u closed", row->story, opened, closed);
        }
        world_close(&w);
    }
}

/* Where nothing else tells the time, an hour on the clock does. */
static void what_ends_alone_is_absent(void **state)
{
    static struct world w;
    (void)state;
    world_open(&w, "");
    const uint32_t only = world_add(&w, "a{" CART "\"a\"}", 20);
    while (w.row < END_ROW + 62) {
        w.values[only] = w.row < END_ROW ? noise(&w, 100.0, 5.0) : (double)NAN;
        w.holes[only] = w.row == END_ROW ? 2 : 0;
        world_row(&w);
    }
    assert_int_equal(w.seen_count, 1);
    assert_int_equal(seen_last(&w)->kind, QL_SIGNAL_ABSENCE);
    assert_int_equal(seen_last(&w)->onset_row, END_ROW - 1);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_group_cannot_judge_ends),
        cmocka_unit_test(settings_end_what_they_switch_off),
        cmocka_unit_test(what_falls_silent_twice_is_given_up),
        cmocka_unit_test(silence_after_values_out_of_range),
        cmocka_unit_test(what_ended_is_absent_with_its_entity),
        cmocka_unit_test(what_ends_alone_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
