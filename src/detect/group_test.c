/* Metrics of an entity that part, a replica that leaves the others: found, and nothing else. */
#include "detect/detect_test.h"
#include "detect/dt_group.h"
#include "detect/fusion.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SERIES_MAX = 24, STEP_S = 60, CALM = 1500, ODD = 200, DAY_ROWS = 86400 / STEP_S };
#define BEGIN_S INT64_C(1767571200)

enum world_kind { MACHINE, REPLICAS };
static const struct {
    const char *story;
    enum world_kind kind;
    uint32_t series;
    bool odd;
    bool groups;            /* by configuration */
    const char *want_kind;  /* of the one kind of group signal, or NULL */
    uint32_t want_series;   /* that it is about */
    uint32_t odd_rows;      /* how long it lasts; to its end */
    bool want_closed;
    const char *policy;     /* fields of one for all series; NULL: none */
    uint32_t want_from;     /* the row from which on it may be told */
} rows[] = {
    { "a machine whose metrics go together is silent", MACHINE, 12, false, true, NULL, 0,
      ODD, false },
    { "one that parts from its load is out of step", MACHINE, 12, true, true, "out of step", 3,
      ODD, false },
    { "too few metrics are not fused", MACHINE, 6, true, true, NULL, 0, ODD, false },
    { "replicas that differ as ever are silent", REPLICAS, 6, false, true, NULL, 0, ODD, false },
    { "one that leaves the others slowly is seen", REPLICAS, 6, true, true, "unlike its peers", 4,
      ODD, false },
    { "three are no majority", REPLICAS, 3, true, true, NULL, 0, ODD, false },
    { "after a day it is how things are", MACHINE, 12, true, true, "out of step", 3,
      DAY_ROWS + 400, true },
    /* The odd rows begin on Tuesday at 01:00. */
    { "a window holds what is out of step until it ends", MACHINE, 12, true, true, "out of step",
      3, ODD, false, "mute: ['Tue 00:00-02:30']", CALM + 90 },
    { "and what is unlike its peers", REPLICAS, 6, true, true, "unlike its peers", 4, ODD, false,
      "mute: ['Tue 00:00-03:00']", CALM + 120 },
    { "another day does not", REPLICAS, 6, true, true, "unlike its peers", 4, ODD, false,
      "mute: [Mon]", CALM },
    { "over before the window ends", MACHINE, 12, true, true, NULL, 0, DAY_ROWS + 400, false,
      "mute: ['2026-01-06..2026-01-09']", 0 },
    { "by policy they are off", MACHINE, 12, true, true, NULL, 0, ODD, false, "detector: off", 0 },
    { "switched off it is silent", REPLICAS, 6, true, false, NULL, 0, ODD, false },
};

struct world {
    void *stage;
    struct ql_series_table *series;
    struct ql_stats *stats;
    struct ql_config *config;
    struct ql_batch batch;
    struct ql_rng rng;
    uint32_t index[SERIES_MAX];
    uint32_t told;          /* group signals opened */
    uint32_t other;         /* about another series or of another kind */
    uint32_t closed;
    char why[256];
    uint64_t digest;
};

static struct ql_config *config_of(const char *policy)
{
    struct ql_config *config;
    char yaml[256] = "";
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    if (policy != NULL) {
        (void)snprintf(yaml, sizeof(yaml), "policies: [{name: row, match: '{}', %s}]\n", policy);
    }
    if (ql_config_parse(ql_str_of(yaml), "row", &config, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    return config;
}

static void world_open(struct world *w, size_t row)
{
    *w = (struct world){ 0 };
    ql_rng_init(&w->rng, 5, "group");
    w->config = config_of(rows[row].policy);
    w->config->series_max = 1000;
    w->config->signals_per_day = 1.0;
    w->config->detect_groups = rows[row].groups;
    assert_int_equal(ql_series_table_new(1000, &w->series), QL_OK);
    w->stats = ql_stats_new(256);
    w->stage = test_stage_open(w->config, w->series, w->stats);
    ql_batch_init(&w->batch, 1 << 20);
    for (uint32_t i = 0; i < rows[row].series; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), rows[row].kind == MACHINE
                           ? "machine_metric_%u{instance=\"a\",job=\"node\"}"
                           : "latency_ms{instance=\"pod-%u\",service=\"cart\"}", i);
        w->index[i] = test_series_add(w->series, text, STEP_S,
                                      rows[row].kind == MACHINE ? 77 : 100 + i);
    }
}

static void world_close(struct world *w)
{
    ql_detect_stage.close(w->stage);
    ql_batch_fini(&w->batch);
    ql_series_table_free(w->series);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

/* A machine's metrics follow one load; replicas have one level each and a common wave. The
 * odd one changes by less than its own history has often seen. */
static double world_value(struct world *w, size_t row, uint32_t i, uint32_t point, double load)
{
    const double noise = ql_rng_normal(&w->rng);
    const double odd = rows[row].odd && point >= CALM ? (double)(point - CALM) : -1.0;
    if (rows[row].kind == MACHINE) {
        const double parted = load > 0.5 ? load - 0.4 : load + 0.4;
        const double own = odd >= 0.0 && i == 3 ? parted : load;
        return 10.0 * (i + 1) + 20.0 * own + 0.3 * noise;
    }
    const double leaving = odd >= 0.0 && i == 4 ? 1.0 + 0.004 * odd : 1.0;
    return (100.0 + 4.0 * i) * (1.0 + 0.5 * load) * leaving + 1.5 * noise;
}

static void world_row(struct world *w, size_t row, uint32_t point)
{
    const double t = (double)point;
    const double load = 0.5 + 0.3 * sin(t / 37.0) + 0.2 * sin(t / 11.0);
    const ql_time at = { (BEGIN_S + (int64_t)point * STEP_S) * QL_NS_PER_S };
    ql_batch_reset(&w->batch);
    for (uint32_t i = 0; i < rows[row].series; i++) {
        struct ql_point *p = ql_batch_add_point(&w->batch);
        assert_non_null(p);
        *p = (struct ql_point){ .at = at, .series = w->index[i], .kind = QL_POINT_VALUE };
        p->value = p->raw = world_value(w, row, i, point, load);
    }
    ql_detect_stage.push(w->stage, at, &w->batch);
    ql_detect_stage.tick(w->stage, at, &w->batch);
    for (uint32_t k = 0; k < w->batch.signals.count; k++) {
        const struct ql_signal *s = &w->batch.signals.at[k];
        const uint64_t words[3] = { w->digest, s->id.v, (uint64_t)s->phase };
        w->digest = ql_hash64(words, sizeof(words));
        const char *kind = ql_signal_kind_text(s->kind);
        if (s->kind != QL_SIGNAL_FUSED && s->kind != QL_SIGNAL_PEER) {
            continue;
        }
        w->closed += s->phase == QL_PHASE_CLOSE;
        if (s->phase != QL_PHASE_OPEN) {
            continue;
        }
        w->told++;
        assert_true(point >= rows[row].want_from);
        const ql_series_id want =
            ql_series_at(w->series, w->index[rows[row].want_series])->id;
        w->other += rows[row].want_kind == NULL || strcmp(kind, rows[row].want_kind) != 0 ||
                    memcmp(&s->series, &want, sizeof(want)) != 0;
        (void)snprintf(w->why, sizeof(w->why), "%.*s", QL_STR_ARG(s->why));
    }
}

static void stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        static struct world w;
        world_open(&w, i);
        for (uint32_t point = 0; point < CALM + rows[i].odd_rows; point++) {
            world_row(&w, i, point);
        }
        (void)printf("%s: %u told, %u other%s%s\n", rows[i].story, w.told, w.other,
                     w.told > 0 ? ": " : "", w.why);
        assert_int_equal(w.told, rows[i].want_kind != NULL ? 1 : 0);
        assert_int_equal(w.other, 0);
        assert_int_equal(w.closed, rows[i].want_closed ? 1 : 0);
        world_close(&w);
    }
}

/* Its series all forgotten: an odd group's signal ends with a reason, once, and
 * nothing else is left to tell. */
static void a_forgotten_group_closes(void **state)
{
    static const size_t odd[] = { 1, 4 };
    (void)state;
    for (size_t n = 0; n < QL_COUNT_OF(odd); n++) {
        static struct world w;
        const size_t row = odd[n];
        const uint32_t count = rows[row].series;
        const ql_time at = { (BEGIN_S + INT64_C(86400) * 30) * QL_NS_PER_S };
        uint32_t closed = 0;
        world_open(&w, row);
        for (uint32_t point = 0; point < CALM + rows[row].odd_rows; point++) {
            world_row(&w, row, point);
        }
        assert_int_equal(w.told - w.closed, 1);
        ql_batch_reset(&w.batch);
        for (uint32_t i = 0; i < count; i++) {
            struct ql_retired *one = ql_batch_add_retired_one(&w.batch);
            assert_non_null(one);
            *one = (struct ql_retired){ .series = w.index[i], .idle_s = 7 * 86400 };
        }
        ql_detect_stage.push(w.stage, at, &w.batch);
        ql_detect_stage.tick(w.stage, at, &w.batch);
        for (uint32_t k = 0; k < w.batch.signals.count; k++) {
            const struct ql_signal *s = &w.batch.signals.at[k];
            assert_int_equal(s->phase, QL_PHASE_CLOSE);
            assert_non_null(memmem(s->why.at, s->why.bytes, "forgotten: no sample for 168 h", 30));
            closed += strcmp(ql_signal_kind_text(s->kind), rows[row].want_kind) == 0;
        }
        assert_int_equal(closed, 1);
        ql_series_drop(w.series, w.index, count);
        world_close(&w);
    }
}

/* A checkpoint in the middle changes nothing, whatever it cuts through. */
static void repeatable(void **state)
{
    (void)state;
    static const uint32_t cuts[] = { 30, 64, 100, 150, CALM, CALM + 40 };
    for (size_t i = 1; i < QL_COUNT_OF(rows); i += 3) {
        for (size_t c = 0; c < QL_COUNT_OF(cuts); c++) {
            static struct world whole, before;
            world_open(&whole, i);
            world_open(&before, i);
            for (uint32_t point = 0; point < cuts[c]; point++) {
                world_row(&whole, i, point);
                world_row(&before, i, point);
            }
            struct ql_buf saved;
            ql_buf_init(&saved, 64 << 20);
            assert_int_equal(ql_detect_stage.save(before.stage, &saved), QL_OK);
            void *fresh = test_stage_open(before.config, before.series, before.stats);
            ql_detect_stage.close(before.stage);
            before.stage = fresh;
            struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
            assert_int_equal(ql_detect_stage.load(fresh, ql_detect_stage.state_version, &in),
                             QL_OK);
            for (uint32_t point = cuts[c]; point < CALM + ODD; point++) {
                world_row(&whole, i, point);
                world_row(&before, i, point);
            }
            assert_true(whole.digest == before.digest);
            assert_int_equal(whole.told, before.told);
            ql_buf_fini(&saved);
            world_close(&whole);
            world_close(&before);
        }
    }
}

/* Machines and replicas in normal life with rough noise: groups keep to their share. */
static void normal_life_stays_in_the_budget(void **state)
{
    (void)state;
    enum { ENTITIES = 16, METRICS = 12, DAYS = 12, SETTLED = 4, DAY = 1440 };
    static struct ql_dt_groups g;
    static struct ql_dt_series live = { .count = 64, .moves = 100 };
    struct ql_series_table *table;
    struct ql_rng rng;
    uint32_t index[ENTITIES * METRICS], opened[QL_DT_GROUP_KINDS] = { 0, 0 };
    double walk[ENTITIES * METRICS] = { 0 };
    const double budget = 10.0;
    struct ql_dt_rule rule = ql_dt_rule_default;
    rule.threshold = (float)log10(ENTITIES * METRICS * DAY / budget);
    ql_rng_init(&rng, 9, "groups");
    assert_int_equal(ql_series_table_new(1000, &table), QL_OK);
    assert_int_equal(ql_dt_groups_open(&g, table, 1000, true), QL_OK);
    for (uint32_t i = 0; i < ENTITIES * METRICS; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "metric_%u{instance=\"host-%u\"}", i % METRICS,
                       i / METRICS);
        index[i] = test_series_add(table, text, 60, 1 + i / METRICS);
    }
    for (uint32_t point = 0; point < DAYS * DAY; point++) {
        const int64_t at_ns = (BEGIN_S + (int64_t)point * 60) * QL_NS_PER_S;
        double load = 0.0;
        for (uint32_t i = 0; i < ENTITIES * METRICS; i++) {
            load = i % METRICS == 0 ? ql_rng_normal(&rng) + sin((double)point / 229.0) : load;
            const double z = ql_rng_normal(&rng);
            walk[i] += -0.02 * walk[i] + 0.2 * z;
            const double rough = i % 3 == 0 ? exp(0.5 * z) : i % 3 == 1 ? walk[i] : z;
            const double value = 100.0 + (double)(i % METRICS) * load + 5.0 * rough;
            ql_dt_groups_meet(&g, index[i], &live, at_ns);
            for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
                struct ql_dt_group_finding f;
                opened[k] += ql_dt_groups_value(&g, (enum ql_dt_group_kind)k, index[i], at_ns,
                                                value, &rule, &f) &&
                             f.change == QL_DT_OPENED && point >= SETTLED * DAY;
            }
        }
    }
    (void)printf("seed 9: %u entities and %u peer groups, %.2f and %.2f signals a day of %.0f\n",
                 g.counts[0], g.counts[1], (double)opened[0] / (DAYS - SETTLED),
                 (double)opened[1] / (DAYS - SETTLED), budget);
    assert_int_equal(g.counts[QL_DT_GROUP_ENTITY], ENTITIES);
    assert_int_equal(g.counts[QL_DT_GROUP_PEERS], METRICS);
    assert_true(opened[0] <= budget * (DAYS - SETTLED));
    assert_true(opened[1] <= budget * (DAYS - SETTLED));
    ql_dt_groups_close(&g);
    ql_series_table_free(table);
}

/* Values are let in up to 1e150, and floats end long before; a metric that stands there, as one
 * that means "no limit" does, hides no other. */
static void what_no_float_holds_hides_nothing(void **state)
{
    static const double limits[] = { 1.0, 1e39, -1e39, 1e150 };
    enum { METRICS = 8, ROWS = 400, ODD_ROWS = 10 };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(limits); i++) {
        struct ql_fusion *fusion;
        struct ql_rng rng;
        float calm = 0.0f, odd = 0.0f;
        ql_rng_init(&rng, 11, "limit");
        assert_int_equal(ql_fusion_new(METRICS, &fusion), QL_OK);
        for (uint32_t r = 0; r < ROWS + ODD_ROWS; r++) {
            struct ql_fusion_verdict v;
            double row[METRICS] = { limits[i] };
            for (uint32_t m = 1; m < METRICS; m++) {
                row[m] = 10.0 + ql_rng_normal(&rng) + (r >= ROWS && m == 3 ? 40.0 : 0.0);
            }
            ql_fusion_step(fusion, row, r < ROWS, &v);
            calm = r == ROWS - 1 ? v.score : calm;
            odd = v.surprise > odd && r >= ROWS ? v.surprise : odd;
            assert_true(r < ROWS || v.lead == 3);
        }
        if (!(calm < 2.0f && odd > 3.0f)) {
            fail_msg("%g: score %g of a calm row, surprise %g of an odd one", limits[i],
                     (double)calm, (double)odd);
        }
        ql_fusion_free(fusion);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(a_forgotten_group_closes),
        cmocka_unit_test(repeatable),
        cmocka_unit_test(normal_life_stays_in_the_budget),
        cmocka_unit_test(what_no_float_holds_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
