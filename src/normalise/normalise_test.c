/* normalise_test - what comes in as samples, spans and logs, and what points it makes.
 *
 * A story is a line of tokens, one a step of ten seconds; times pass tick by tick. */
#include "base/rng.h"
#include "model/entity.h"
#include "model/labels.h"
#include "normalise/normalise.h"
#include "normalise/normalise_int.h"
#include "wire/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VERSION ql_normalise_stage.state_version
enum { SERIES_MAX = 5000, SOURCE = QL_DOOR_REMOTE_WRITE };
static const int64_t start_s = 1767603600;

struct fixture {
    struct ql_config *config;
    struct ql_stats *stats;
    struct ql_series_table *table;
    void *stage;
    struct ql_batch bus;
};

static void fixture_open_wide(struct fixture *f, uint32_t shard_count, uint32_t series_max)
{
    assert_int_equal(ql_config_default(&f->config), QL_OK);
    f->config->series_max = series_max;
    f->stats = ql_stats_new(500);
    assert_int_equal(ql_series_table_new(series_max, &f->table), QL_OK);
    const struct ql_stage_env env = {
        .config = f->config, .series = f->table, .stats = f->stats, .shard_count = shard_count
    };
    assert_int_equal(ql_normalise_stage.open(&env, &f->stage), QL_OK);
    ql_batch_init(&f->bus, 64 << 20);
}

static void fixture_open_shard(struct fixture *f, uint32_t shard_count)
{
    fixture_open_wide(f, shard_count, SERIES_MAX);
}

static void fixture_open(struct fixture *f) { fixture_open_wide(f, 1, SERIES_MAX); }

static void fixture_close(struct fixture *f)
{
    ql_normalise_stage.close(f->stage);
    ql_series_table_free(f->table);
    ql_batch_fini(&f->bus);
    ql_stats_free(f->stats);
    ql_config_free(f->config);
}

static void bus_begin(struct fixture *f)
{
    ql_batch_reset(&f->bus);
    f->bus.source = SOURCE;
}

static void bus_sample(struct fixture *f, const char *labels, enum ql_metric_type type, ql_time at,
                       double value)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(labels), &block), QL_OK);
    struct ql_run *run = ql_batch_add_run(&f->bus);
    struct ql_sample *sample = ql_batch_add_sample(&f->bus);
    run->labels = ql_batch_text(&f->bus, ql_buf_view(&block));
    run->raw = ql_hash128_of(run->labels.at, run->labels.bytes);
    run->type = type;
    run->sample_first = f->bus.samples.count - 1;
    run->sample_count = 1;
    *sample = (struct ql_sample){ at, value };
    ql_buf_fini(&block);
}

static ql_time at_s(double s)
{
    return (ql_time){ (start_s * 1000 + (int64_t)(s * 1000.0)) * 1000000 };
}

static int64_t dropped(const struct fixture *f, const char *reason)
{
    char labels[64];
    (void)snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    return ql_stats_sum(f->stats, "ql_records_dropped_total", labels);
}

/* As the engine ticks: every stage gets the bus of the tick by push before. */
static void stage_tick(struct fixture *f, double s)
{
    ql_normalise_stage.push(f->stage, at_s(s), &f->bus);
    ql_normalise_stage.tick(f->stage, at_s(s), &f->bus);
}

static void points_render(const struct ql_batch *bus, char *out, size_t out_bytes)
{
    for (uint32_t i = 0; i < bus->points.count; i++) {
        const struct ql_point *p = &bus->points.at[i];
        const size_t used = strlen(out);
        char number[32];
        (void)snprintf(number, sizeof(number), "%.6g ", p->value);
        (void)snprintf(out + used, out_bytes - used, "%s",
                       p->kind == QL_POINT_HOLE       ? "h "
                       : p->kind == QL_POINT_RESET    ? "r "
                       : p->kind == QL_POINT_UNJUDGED ? "u "
                                                      : number);
    }
}

/* ---- one series ------------------------------------------------------------------- */

/* Tokens: a number; `_` nothing comes; S the stale marker; N another NaN; I infinity; B 1e200;
 * =7 the last time again; <7 one step before the last; >7 an hour ahead. Wanted: a number
 * for a value, h a hole, r a reset, u what is kept but not judged. */
struct story {
    const char *story, *name;
    enum ql_metric_type type;
    const char *tokens, *want, *dropped;
};

static const struct story stories[] = {
    { "a gauge passes", "g", QL_METRIC_GAUGE, "5 4 7", "5 4 7 ", NULL },
    { "a counter becomes a rate", "c", QL_METRIC_COUNTER, "100 150 150 250", "u 5 0 10 ", NULL },
    { "a reset is evidence", "c", QL_METRIC_COUNTER, "100 150 20 70", "u 5 r 5 ", NULL },
    { "an increment becomes a rate", "d", QL_METRIC_DELTA, "50 50 20", "u 5 2 ", NULL },
    { "a name tells a counter", "x_total", QL_METRIC_UNKNOWN, "100 150 250", "u 5 10 ", NULL },
    { "the sender outweighs the name", "x_total", QL_METRIC_GAUGE, "100 150", "100 150 ", NULL },
    { "a falling unknown is a gauge from its second fall", "x", QL_METRIC_UNKNOWN, "5 4 5 4 6 5 6",
      "u 4 5 4 6 5 6 ", NULL },
    { "a constant unknown passes", "x", QL_METRIC_UNKNOWN, "5 5 5", "u 5 5 ", NULL },
    { "what is below zero is no counter", "x", QL_METRIC_UNKNOWN, "-5 -4 -3", "u -4 -3 ", NULL },
    { "a growing unknown is not judged yet", "x", QL_METRIC_UNKNOWN, "5 6 7 9", "u u u u ", NULL },
    { "_count that goes up and down is a gauge", "pool_count", QL_METRIC_UNKNOWN,
      "5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5 4 5",
      "u r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r 0.1 r "
      "0.1 r 0.1 4 5 4 5 ", NULL },
    { "silence of five steps is one hole", "g", QL_METRIC_GAUGE, "1 1 1 1 _ _ _ _ _ _ _ _ 2",
      "1 1 1 1 h 2 ", NULL },
    { "silence of three steps is none", "g", QL_METRIC_GAUGE, "1 1 1 1 _ _ _ 2", "1 1 1 1 2 ",
      NULL },
    { "a counter's rate spans the silence", "c", QL_METRIC_COUNTER,
      "0 10 20 30 _ _ _ _ _ _ _ _ _ 130", "u 1 1 1 h 1 ", NULL },
    { "silence after two samples says nothing", "g", QL_METRIC_GAUGE, "1 1 _ _ _ _ _ _ _ _ 1",
      "1 1 1 ", NULL },
    { "a stale marker is one hole", "g", QL_METRIC_GAUGE, "1 1 1 S _ _ _ _ _ _ _ _ 2", "1 1 1 h 2 ",
      NULL },
    { "a second stale marker is none", "g", QL_METRIC_GAUGE, "1 1 1 S S S 2", "1 1 1 h 2 ", NULL },
    { "after a stale marker a counter starts anew", "c", QL_METRIC_COUNTER, "10 20 30 S 40 50",
      "u 1 1 h u 1 ", NULL },
    { "other NaN is refused", "g", QL_METRIC_GAUGE, "1 N 2", "1 2 ", "not_finite" },
    { "infinity is refused", "g", QL_METRIC_GAUGE, "1 I 2", "1 2 ", "not_finite" },
    { "what cannot be squared is refused", "g", QL_METRIC_GAUGE, "1 B 2", "1 2 ", "not_finite" },
    { "the same time again is refused", "g", QL_METRIC_GAUGE, "1 =7 2", "1 2 ", "duplicate" },
    { "an older time is refused", "g", QL_METRIC_GAUGE, "1 2 <7 3", "1 2 3 ", "too_old" },
    { "the far future is refused", "g", QL_METRIC_GAUGE, "1 >7 2", "1 2 ", "too_far_ahead" },
};

static ql_time token_time(char mark, double t, ql_time last)
{
    switch (mark) {
    case '=': return last;
    case '<': return (ql_time){ last.ns - 10 * QL_NS_PER_S };
    case '>': return at_s(t + 3600.0);
    default: return at_s(t);
    }
}

static double number_of(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    assert_true(end != text);
    return value;
}

static double token_value(const char *token)
{
    switch (token[0]) {
    case 'S': return nm_stale_marker();
    case 'N': return NAN;
    case 'I': return INFINITY;
    case 'B': return 1e200;
    case '=':
    case '<':
    case '>': return number_of(token + 1);
    default: return number_of(token);
    }
}

static void story_run(const struct story *story)
{
    struct fixture f;
    char got[2000] = "", tokens[500];
    double t = 0.0;
    ql_time last = at_s(0.0);
    fixture_open(&f);
    (void)snprintf(tokens, sizeof(tokens), "%s", story->tokens);
    char *rest = tokens;
    for (char *token; (token = strsep(&rest, " ")) != NULL; t += 10.0) {
        if (token[0] != '_') {
            bus_begin(&f);
            const ql_time at = token_time(token[0], t, last);
            bus_sample(&f, story->name, story->type, at, token_value(token));
            ql_normalise_stage.push(f.stage, at_s(t + 0.1), &f.bus);
            points_render(&f.bus, got, sizeof(got));
            last = token[0] == '<' || token[0] == '>' ? last : at;
        }
        for (double tick = 1.0; tick <= 10.0; tick += 1.0) {
            bus_begin(&f);
            stage_tick(&f, t + tick - 0.5);
            points_render(&f.bus, got, sizeof(got));
        }
    }
    if (strcmp(got, story->want) != 0) {
        fail_msg("%s: want \"%s\" got \"%s\"", story->story, story->want, got);
    }
    const int64_t all = ql_stats_sum(f.stats, "ql_records_dropped_total", "");
    if (all != (story->dropped != NULL) ||
        (story->dropped != NULL && dropped(&f, story->dropped) != 1)) {
        fail_msg("%s: dropped %lld", story->story, (long long)all);
    }
    fixture_close(&f);
}

static void stories_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(stories); i++) {
        story_run(&stories[i]);
    }
}

static void a_growing_unknown_becomes_a_counter(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 80; i++) {
        bus_begin(&f);
        bus_sample(&f, "bytes", QL_METRIC_UNKNOWN, at_s(i * 10.0), i * 50.0);
        ql_normalise_stage.push(f.stage, at_s(i * 10.0), &f.bus);
        assert_int_equal(f.bus.points.count, 1);
        const struct ql_point *p = &f.bus.points.at[0];
        assert_int_equal(p->kind, i < 64 ? QL_POINT_UNJUDGED : QL_POINT_VALUE);
        assert_true(i < 64 || p->value == 5.0);
        assert_true(p->raw == i * 50.0);
    }
    assert_int_equal(ql_series_at(f.table, 0)->type, QL_METRIC_COUNTER);
    fixture_close(&f);
}

/* Samples that were delayed together keep their places; the hole came first. */
static void delayed_samples_still_fit(void **state)
{
    struct fixture f;
    char got[200] = "";
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 100; i++) {
        bus_begin(&f);
        if (i < 5) {
            bus_sample(&f, "g", QL_METRIC_GAUGE, at_s(i * 10.0), i);
        }
        stage_tick(&f, i * 10.0);
        points_render(&f.bus, got, sizeof(got));
    }
    bus_begin(&f);
    for (int i = 5; i < 10; i++) {
        bus_sample(&f, "g", QL_METRIC_GAUGE, at_s(i * 10.0), i);
    }
    ql_normalise_stage.push(f.stage, at_s(1000.0), &f.bus);
    points_render(&f.bus, got, sizeof(got));
    assert_string_equal(got, "0 1 2 3 4 h 5 6 7 8 9 ");
    assert_int_equal(dropped(&f, "too_old"), 0);
    fixture_close(&f);
}

/* Nobody called for ten minutes: the daemon was down, not the senders. */
static void a_pause_is_no_silence(void **state)
{
    struct fixture f;
    char got[200] = "";
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 60; i++) {
        bus_begin(&f);
        if (i % 10 == 0) {
            bus_sample(&f, "g", QL_METRIC_GAUGE, at_s(i), i);
        }
        stage_tick(&f, i);
        points_render(&f.bus, got, sizeof(got));
    }
    for (int i = 660; i < 690; i++) {
        bus_begin(&f);
        if (i == 675) {
            bus_sample(&f, "g", QL_METRIC_GAUGE, at_s(i), i);
        }
        stage_tick(&f, i);
        points_render(&f.bus, got, sizeof(got));
    }
    assert_string_equal(got, "0 10 20 30 40 50 675 ");
    fixture_close(&f);
}

/* A sender whose clock is 40 minutes slow is not silent; one an hour and more off is told. */
static void wrong_clocks(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 100; i++) {
        bus_begin(&f);
        bus_sample(&f, "slow", QL_METRIC_GAUGE, at_s(i * 10.0 - 2400.0), 1.0);
        bus_sample(&f, "slower", QL_METRIC_GAUGE, at_s(i * 10.0 - 3700.0), 1.0);
        bus_sample(&f, "fast", QL_METRIC_GAUGE, at_s(i * 10.0 + 3600.0), 1.0);
        ql_normalise_stage.push(f.stage, at_s(i * 10.0), &f.bus);
        ql_normalise_stage.tick(f.stage, at_s(i * 10.0 + 1.0), &f.bus);
        assert_int_equal(f.bus.points.count, 1);
    }
    assert_int_equal(dropped(&f, "too_old"), 100);
    assert_int_equal(dropped(&f, "too_far_ahead"), 100);
    fixture_close(&f);
}

static void new_series_have_a_quota(void **state)
{
    struct fixture f;
    char name[64];
    (void)state;
    fixture_open(&f);
    f.config->series_new_per_min_max = 100;
    for (int minute = 0; minute < 3; minute++) {
        bus_begin(&f);
        for (int i = 0; i < 150; i++) {
            (void)snprintf(name, sizeof(name), "g{minute=\"%d\",i=\"%d\"}", minute, i);
            bus_sample(&f, name, QL_METRIC_GAUGE, at_s(minute * 60.0), 1.0);
        }
        ql_normalise_stage.push(f.stage, at_s(minute * 60.0), &f.bus);
        assert_int_equal(f.bus.points.count, 100);
    }
    assert_int_equal(dropped(&f, "cardinality"), 150);
    assert_int_equal(ql_series_count(f.table), 300);
    /* Another source has its own quota. */
    bus_begin(&f);
    f.bus.source = QL_DOOR_SCRAPE;
    bus_sample(&f, "other", QL_METRIC_GAUGE, at_s(120.0), 1.0);
    ql_normalise_stage.push(f.stage, at_s(120.0), &f.bus);
    assert_int_equal(f.bus.points.count, 1);
    fixture_close(&f);
}

/* All shards together take what is set, not each of them. */
static void the_quota_is_shared_by_the_shards(void **state)
{
    static const struct { uint32_t max, shards, want; } rows[] = {
        { 100, 1, 100 }, { 100, 4, 25 }, { 100, 3, 34 }, { 2, 4, 1 }, { UINT32_MAX, 2, 150 },
    };
    (void)state;
    for (size_t r = 0; r < QL_COUNT_OF(rows); r++) {
        struct fixture f;
        char name[64];
        fixture_open_shard(&f, rows[r].shards);
        f.config->series_new_per_min_max = rows[r].max;
        bus_begin(&f);
        for (int i = 0; i < 150; i++) {
            (void)snprintf(name, sizeof(name), "g{i=\"%d\"}", i);
            bus_sample(&f, name, QL_METRIC_GAUGE, at_s(0.0), 1.0);
        }
        ql_normalise_stage.push(f.stage, at_s(0.0), &f.bus);
        assert_int_equal(ql_series_count(f.table), rows[r].want);
        assert_int_equal(dropped(&f, "cardinality"), 150 - rows[r].want);
        fixture_close(&f);
    }
}

/* With the quota used up, a known series in another order of labels is still known. */
static void another_form_of_a_known_series_is_no_new_one(void **state)
{
    static const char block_ab[] = "\x0a\x07\x0a\x01" "b" "\x12\x02" "xx" "\x0a\x0e\x0a\x08"
                                   "__name__" "\x12\x02" "gg";
    struct fixture f;
    (void)state;
    fixture_open(&f);
    f.config->series_new_per_min_max = 1;
    bus_begin(&f);
    bus_sample(&f, "gg{b=\"xx\"}", QL_METRIC_GAUGE, at_s(0.0), 1.0);
    ql_normalise_stage.push(f.stage, at_s(0.0), &f.bus);
    bus_begin(&f);
    bus_sample(&f, "x", QL_METRIC_GAUGE, at_s(1.0), 2.0);
    f.bus.runs.at[0].labels = (ql_str){ block_ab, sizeof(block_ab) - 1 };
    f.bus.runs.at[0].raw = ql_hash128_of(block_ab, sizeof(block_ab) - 1);
    ql_normalise_stage.push(f.stage, at_s(1.0), &f.bus);
    assert_int_equal(f.bus.points.count, 1);
    assert_int_equal(ql_series_count(f.table), 1);
    fixture_close(&f);
}

static void bad_labels_are_counted(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    bus_sample(&f, "x", QL_METRIC_GAUGE, at_s(1.0), 2.0);
    f.bus.runs.at[0].labels = QL_STR("garbage");
    f.bus.runs.at[0].raw = ql_hash128_of("garbage", 7);
    ql_normalise_stage.push(f.stage, at_s(1.0), &f.bus);
    assert_int_equal(f.bus.points.count, 0);
    assert_int_equal(dropped(&f, "malformed"), 1);
    fixture_close(&f);
}

/* Steps, jitter and a gap: the estimate stays near what a person would say. */
static void steps_are_learnt(void **state)
{
    static const struct { const char *story; int64_t distances[8]; uint32_t low, high; } rows[] = {
        { "regular", { 10000, 10000, 10000, 10000, 10000, 10000, 10000, 10000 }, 10000, 10000 },
        { "jitter", { 10100, 9900, 10050, 9950, 10100, 9900, 10000, 10000 }, 9900, 10100 },
        { "one gap", { 10000, 10000, 10000, 900000, 10000, 10000, 10000, 10000 }, 9000, 11000 },
        { "a first gap", { 900000, 10000, 10000, 10000, 10000, 10000, 10000, 10000 }, 9000, 30000 },
        { "nearly nothing first", { 1, 100, 100, 100, 100, 100, 100, 100 }, 100, 100 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        uint32_t step = 0;
        for (uint32_t k = 0; k < 16; k++) {
            step = nm_step_learn(step, rows[i].distances[k % 8], k);
        }
        if (step < rows[i].low || step > rows[i].high) {
            fail_msg("%s: %u ms", rows[i].story, step);
        }
    }
    assert_int_equal(nm_step_learn(5, INT64_MAX, 0), 10);
    assert_int_equal(nm_step_learn(0, -7, 0), 1);
    uint32_t step = 10000; /* a changed interval is followed, also by an old series */
    for (uint32_t k = 0; k < 60; k++) {
        step = nm_step_learn(step, 60000, 1000);
    }
    assert_in_range(step, 59000, 60000);
}

static void sources_are_named_as_doors(void **state)
{
    (void)state;
    for (uint32_t door = QL_DOOR_REMOTE_WRITE; door < QL_DOOR_COUNT; door++) {
        assert_string_equal(nm_source_text(door), ql_door_name((enum ql_door)door));
    }
    assert_int_equal(NM_SOURCE_DERIVED, QL_DOOR_COUNT);
}

/* ---- the wheel against a naive model ------------------------------------------------ */

struct silent_count { uint32_t counts[200]; };

static void silent_add(void *context, uint32_t index)
{
    ((struct silent_count *)context)->counts[index]++;
}

/* Every silence is found once, never early, and hardly late. */
static void the_wheel_finds_every_silence(void **state)
{
    enum { COUNT = 200 };
    const uint64_t seed = 23;
    static struct silent_count silent;
    static int64_t last_s[COUNT], step_s[COUNT];
    static bool is_silent[COUNT];
    struct ql_rng rng;
    struct nm_due due;
    struct ql_series_table *table;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "wheel");
    assert_int_equal(nm_due_init(&due, COUNT), QL_OK);
    assert_int_equal(ql_series_table_new(COUNT, &table), QL_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct ql_buf block;
        char text[32];
        uint32_t index;
        bool is_new;
        ql_buf_init(&block, 1000);
        (void)snprintf(text, sizeof(text), "g{i=\"%u\"}", i);
        assert_int_equal(ql_labels_parse(ql_str_of(text), &block), QL_OK);
        const ql_str labels = ql_buf_view(&block);
        assert_int_equal(ql_series_add(table, ql_hash128_of(labels.at, labels.bytes), labels,
                                       QL_METRIC_GAUGE, &index, &is_new), QL_OK);
        step_s[i] = i % 10 == 0 ? 1200 : 1 + (int64_t)ql_rng_below(&rng, 60);
        ql_series_at(table, i)->step_ms = (uint32_t)step_s[i] * 1000;
        ql_series_at(table, i)->seen_count = 100;
        last_s[i] = -1;
        ql_buf_fini(&block);
    }
    for (int64_t t = 0; t < 20000; t++) {
        nm_due_advance(&due, at_s((double)t), true);
        for (uint32_t i = 0; i < COUNT; i++) {
            /* A third of the time nobody sends this series at all. */
            const bool quiet = (t / 3000 + i) % 3 == 0;
            if (!quiet && t % step_s[i] == 0) {
                nm_due_seen(&due, ql_series_at(table, i), i, 5.0);
                last_s[i] = t;
                is_silent[i] = false;
            }
        }
        memset(&silent, 0, sizeof(silent));
        nm_due_sweep(&due, table, 5.0, silent_add, &silent);
        for (uint32_t i = 0; i < COUNT; i++) {
            const int64_t quiet_s = t - last_s[i];
            if (silent.counts[i] != 0) {
                assert_int_equal(silent.counts[i], 1);
                assert_false(is_silent[i]);
                assert_true(quiet_s > 5 * step_s[i]);
                is_silent[i] = true;
            }
            /* The gap before may have taught it a distance that is longer by an eighth. */
            const int64_t taught_s = step_s[i] + step_s[i] / 8 + 1;
            assert_true(is_silent[i] || last_s[i] < 0 || quiet_s <= 5 * taught_s + 3);
        }
    }
    nm_due_fini(&due);
    ql_series_table_free(table);
}

/* ---- spans and logs ----------------------------------------------------------------- */

static struct ql_span *bus_span(struct fixture *f, const char *service, uint64_t id, uint64_t parent,
                                double start, double duration_ms)
{
    struct ql_span *span = ql_batch_add_span(&f->bus);
    span->trace_id[0] = 1;
    span->span_id = id;
    span->parent_id = parent;
    span->start = at_s(start);
    span->duration = (ql_duration){ (int64_t)(duration_ms * 1e6) };
    span->service = ql_batch_text(&f->bus, ql_str_of(service));
    span->kind = 2;
    return span;
}

/* The points of one metric, as "end:value" in seconds from the start. */
static const char *metric_points(const struct fixture *f, const char *labels)
{
    static char out[1000];
    struct ql_buf text, block;
    ql_buf_init(&text, 4096);
    ql_buf_init(&block, 4096);
    out[0] = '\0';
    for (uint32_t i = 0; i < f->bus.points.count; i++) {
        const struct ql_point *p = &f->bus.points.at[i];
        ql_buf_reset(&text);
        ql_buf_reset(&block);
        assert_int_equal(ql_series_labels(f->table, p->series, &block), QL_OK);
        assert_int_equal(ql_labels_text(ql_buf_view(&block), &text), QL_OK);
        if (strcmp(text.at, labels) == 0) {
            const size_t used = strlen(out);
            (void)snprintf(out + used, sizeof(out) - used, "%lld:%.4g ",
                           (long long)(p->at.ns / QL_NS_PER_S - start_s), p->value);
        }
    }
    ql_buf_fini(&text);
    ql_buf_fini(&block);
    return out;
}

static void spans_become_rates_and_durations(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    for (uint32_t i = 0; i < 100; i++) {
        struct ql_span *span = bus_span(&f, "cart", i + 1, 0, 3.0, i < 90 ? 10.0 : 500.0);
        span->error = i < 5;
    }
    bus_span(&f, "cart", 1000, 1, 3.0, 10.0)->kind = 3; /* a client span is no request */
    bus_span(&f, "cart", 1001, 0, 12.0, 20.0);          /* the next window */
    ql_normalise_stage.push(f.stage, at_s(13.0), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(19.0), &f.bus);
    assert_int_equal(f.bus.points.count, 0); /* still open: senders export in batches */
    ql_normalise_stage.tick(f.stage, at_s(41.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"cart\"}"),
                        "10:10 20:0.1 30:0 ");
    assert_string_equal(metric_points(&f, "service_errors_per_second{service=\"cart\"}"),
                        "10:0.5 20:0 30:0 ");
    assert_string_equal(metric_points(&f, "service_duration_ms{service=\"cart\"}"),
                        "10:59 20:20 ");
    const char *p95 = metric_points(&f, "service_duration_p95_ms{service=\"cart\"}");
    assert_int_equal(strncmp(p95, "10:", 3), 0);
    assert_true(fabs(number_of(p95 + 3) - 500.0) < 30.0);
    assert_int_equal(ql_series_at(f.table, 0)->flags, QL_SERIES_DERIVED | QL_SERIES_FRESH);
    fixture_close(&f);
}

/* A clock that is an hour off counts by arrival: nothing is lost. */
static void late_and_early_spans_count_in_the_nearest_window(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    bus_span(&f, "a", 1, 0, -3600.0, 10.0);
    bus_span(&f, "a", 2, 0, 3600.0, 10.0);
    ql_normalise_stage.push(f.stage, at_s(5.0), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(25.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"),
                        "0:0.1 10:0.1 ");
    fixture_close(&f);
}

/* The daemon was down for an hour: what was counted comes out, zeros are not made up. */
static void no_zeros_for_a_pause(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    bus_span(&f, "a", 1, 0, 5.0, 10.0);
    ql_normalise_stage.push(f.stage, at_s(5.1), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(3600.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"),
                        "0:0 10:0.1 20:0 ");
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(3610.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"), "3600:0 ");
    fixture_close(&f);
}

static void quantiles_are_near(void **state)
{
    static const double rows[] = { 1.0, 5e3, 1e5, 12.5e6, 333e6, 2e9, 60e9, 1e13 };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        uint32_t buckets[NM_BUCKET_COUNT] = { 0 };
        buckets[nm_bucket_of((uint64_t)rows[i])] = 100;
        const double got = nm_bucket_quantile_ns(buckets, 100, 0.5);
        assert_true(fabs(got - rows[i]) <= rows[i] * 0.07 + 1024.0);
    }
    assert_int_equal(nm_bucket_of(UINT64_MAX), NM_BUCKET_COUNT - 1);
    for (uint64_t ns = 0; ns < 10000000; ns += 777) {
        assert_true(nm_bucket_of(ns) <= nm_bucket_of(ns + 777));
    }
}

static void logs_become_rates_by_severity(void **state)
{
    static const struct { uint8_t number; const char *name; } rows[] = {
        { 0, "unset" }, { 1, "trace" }, { 4, "trace" }, { 5, "debug" },  { 9, "info" },
        { 13, "warn" }, { 17, "error" }, { 21, "fatal" }, { 24, "fatal" }, { 25, "unset" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct fixture f;
        char labels[100];
        fixture_open(&f);
        bus_begin(&f);
        for (int k = 0; k < 30; k++) {
            struct ql_log *log = ql_batch_add_log(&f.bus);
            *log = (struct ql_log){ .at = at_s(5.0), .severity = rows[i].number };
            log->service = QL_STR("cart");
        }
        ql_normalise_stage.push(f.stage, at_s(5.0), &f.bus);
        ql_normalise_stage.tick(f.stage, at_s(35.0), &f.bus);
        (void)snprintf(labels, sizeof(labels),
                       "log_records_per_second{service=\"cart\",severity=\"%s\"}", rows[i].name);
        assert_string_equal(metric_points(&f, labels), "0:0 10:3 20:0 ");
        fixture_close(&f);
    }
}

/* One row: spans as they arrive, edges as "caller>callee calls/errors". */
struct call_span { const char *service; uint64_t id, parent; const char *peer; bool error; };

static void edges_render(const struct fixture *f, char *out, size_t out_bytes)
{
    static const char *const names[] = { "service/a", "service/b", "service/c" };
    out[0] = '\0';
    for (uint32_t i = 0; i < f->bus.edges.count; i++) {
        const struct ql_edge *e = &f->bus.edges.at[i];
        char from = '?', to = '?';
        for (uint32_t k = 0; k < QL_COUNT_OF(names); k++) {
            const ql_entity_id id = ql_entity_id_of(ql_str_of(names[k]));
            from = id.v == e->caller.v ? (char)('a' + (int)k) : from;
            to = id.v == e->callee.v ? (char)('a' + (int)k) : to;
        }
        const size_t used = strlen(out);
        (void)snprintf(out + used, out_bytes - used, "%c>%c %u/%u ", from, to, e->calls, e->errors);
    }
}

static void calls_become_edges(void **state)
{
    static const struct { const char *story; struct call_span spans[5]; const char *want; } rows[] = {
        { "parent first", { { "a", 1, 0, "", false }, { "b", 2, 1, "", false } }, "a>b 1/0 " },
        { "child first", { { "b", 2, 1, "", true }, { "a", 1, 0, "", false } }, "a>b 1/1 " },
        { "two children wait", { { "b", 2, 1, "", false }, { "c", 3, 1, "", false },
          { "a", 1, 0, "", false } }, "a>b 1/0 a>c 1/0 " },
        { "inside one service", { { "a", 1, 0, "", false }, { "a", 2, 1, "", false } }, "" },
        { "by name", { { "a", 1, 0, "b", true } }, "a>b 1/1 " },
        { "by name and by pair is one call",
          { { "a", 1, 0, "b", false }, { "b", 2, 1, "", false } }, "a>b 1/0 " },
        { "through three", { { "c", 3, 2, "", true }, { "b", 2, 1, "", true },
          { "a", 1, 0, "", true } }, "b>c 1/1 a>b 1/1 " },
        { "nobody's child", { { "b", 2, 77, "", false } }, "" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct fixture f;
        char got[200];
        fixture_open(&f);
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(0.0), &f.bus);
        for (size_t k = 0; rows[i].spans[k].service != NULL; k++) {
            const struct call_span *s = &rows[i].spans[k];
            struct ql_span *span = bus_span(&f, s->service, s->id, s->parent, 1.0, 10.0);
            span->peer = ql_str_of(s->peer);
            span->error = s->error;
        }
        ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
        ql_normalise_stage.tick(f.stage, at_s(11.0), &f.bus);
        edges_render(&f, got, sizeof(got));
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s: want \"%s\" got \"%s\"", rows[i].story, rows[i].want, got);
        }
        /* Whoever stands in an edge has a name; and an edge is told once a window. */
        assert_true(f.bus.edges.count == 0 || f.bus.entities.count >= 2);
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(21.0), &f.bus);
        assert_int_equal(f.bus.edges.count, 0);
        fixture_close(&f);
    }
}

static void too_many_services_are_counted(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    for (uint32_t i = 0; i < NM_SERVICES_MAX + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "s%u", i);
        bus_span(&f, name, i + 1, 0, 1.0, 10.0);
    }
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "cardinality"), 10);
    fixture_close(&f);
}

/* ---- the same day twice, and from a checkpoint in the middle ------------------------ */

static void day_step(struct fixture *f, struct ql_rng *rng, int step, uint64_t *digest)
{
    bus_begin(f);
    for (int i = 0; i < 40; i++) {
        char name[40];
        const uint64_t pick = ql_rng_below(rng, 60);
        (void)snprintf(name, sizeof(name), "m%u%s", (unsigned)pick, pick % 3 == 0 ? "_total" : "");
        const double value = ql_rng_below(rng, 50) == 0 ? nm_stale_marker()
                                                        : floor(ql_rng_ratio(rng) * 100.0);
        bus_sample(f, name, QL_METRIC_UNKNOWN, at_s(step * 7.0 - ql_rng_ratio(rng)), value);
    }
    for (uint64_t i = 0; i < 30; i++) {
        char service[8];
        (void)snprintf(service, sizeof(service), "s%u", (unsigned)ql_rng_below(rng, 8));
        const uint64_t id = ql_rng_below(rng, 500) + 1, parent = ql_rng_below(rng, 500);
        struct ql_span *span =
            bus_span(f, service, id, parent, step * 7.0 - 5.0, 1000.0 * ql_rng_ratio(rng));
        span->error = ql_rng_below(rng, 10) == 0;
        span->peer = ql_rng_below(rng, 9) == 0 ? QL_STR("db") : QL_STR("");
        struct ql_log *log = ql_batch_add_log(&f->bus);
        *log = (struct ql_log){ .at = span->start, .severity = (uint8_t)ql_rng_below(rng, 25) };
        log->service = span->service;
    }
    ql_normalise_stage.push(f->stage, at_s(step * 7.0), &f->bus);
    ql_normalise_stage.tick(f->stage, at_s(step * 7.0 + 3.0), &f->bus);
    *digest = ql_batch_digest(&f->bus, QL_LIST_points, 0, *digest);
    *digest = ql_batch_digest(&f->bus, QL_LIST_edges, 0, *digest);
    *digest = ql_batch_digest(&f->bus, QL_LIST_entities, 0, *digest);
}

static void fixture_checkpoint(struct fixture *f)
{
    struct ql_buf table, stage;
    ql_buf_init(&table, 64 << 20);
    ql_buf_init(&stage, 64 << 20);
    assert_int_equal(ql_series_save(f->table, &table), QL_OK);
    assert_int_equal(ql_normalise_stage.save(f->stage, &stage), QL_OK);
    const uint32_t series_max = f->config->series_max;
    fixture_close(f);
    fixture_open_wide(f, 1, series_max);
    struct ql_reader table_in = ql_reader_of(ql_buf_view(&table));
    struct ql_reader stage_in = ql_reader_of(ql_buf_view(&stage));
    assert_int_equal(ql_series_load(f->table, &table_in), QL_OK);
    assert_int_equal(ql_normalise_stage.load(f->stage, VERSION, &stage_in), QL_OK);
    assert_int_equal(ql_reader_left(&stage_in), 0);
    ql_buf_fini(&table);
    ql_buf_fini(&stage);
}

/* A service that calls thousands of hosts takes no room from services that come later, and what
 * was called before it told anything of itself is a service all the same. */
static void peers_keep_out_no_service(void **state)
{
    struct fixture f;
    char name[32];
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(0.0), &f.bus);
    for (uint32_t i = 0; i < NM_SERVICES_MAX + 100; i++) {
        (void)snprintf(name, sizeof(name), "10.0.%u.%u", i / 256, i % 256);
        bus_span(&f, "crawler", i + 1, 0, 1.0, 10.0)->peer = ql_batch_text(&f.bus, ql_str_of(name));
    }
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "peers_full"), NM_SERVICES_MAX + 100 - NM_PEERS_MAX);
    assert_int_equal(dropped(&f, "cardinality"), 0);
    fixture_checkpoint(&f);
    bus_begin(&f);
    for (uint32_t i = 1; i < NM_SERVICES_MAX; i++) {
        (void)snprintf(name, sizeof(name), i == 1 ? "10.0.0.0" : "late%u", i);
        bus_span(&f, name, 10000 + i, 0, 1.0, 10.0)->peer = QL_STR("crawler");
    }
    bus_span(&f, "one too many", 20000, 0, 1.0, 10.0);
    bus_span(&f, "crawler", 20001, 0, 1.0, 10.0)->peer = QL_STR("db"); /* its room was given back */
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "cardinality"), 1);
    assert_int_equal(dropped(&f, "peers_full"), 0);
    bus_begin(&f); /* of four series a service, the table here has room for the first thousand's */
    stage_tick(&f, 30.0);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"late1000\"}"),
                        "0:0 10:0.1 20:0 ");
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"10.0.0.0\"}"),
                        "0:0 10:0.1 20:0 ");
    fixture_close(&f);
}

/* ---- services that come and go ------------------------------------------------------ */

/* A minute's new services, each calling a new host; the first service of all goes on. */
struct churn { int every_s, services, hosts; double idle_s; };
struct churned { uint64_t digest; int64_t services_most, peers_most, cardinality, peers_full; };

static void churn_step(struct fixture *f, const struct churn *churn, int step)
{
    const double now = (double)step * churn->every_s;
    bus_begin(f);
    (void)bus_span(f, "always", 1 + (uint64_t)step, 0, now - 1.0, 10.0);
    for (int i = 0; i < churn->services; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "job-%d-%d", step, i);
        (void)bus_span(f, name, 1000000 + (uint64_t)step * 100 + (uint64_t)i, 0, now - 1.0, 10.0);
    }
    for (int i = 0; i < churn->hosts; i++) {
        struct ql_span *span = bus_span(f, "always", 1 + (uint64_t)step, 0, now - 1.0, 10.0);
        span->peer = ql_batch_printf(&f->bus, "host-%d-%d", step, i);
    }
    stage_tick(f, now);
}

/* What the engine does with those: it gives their indexes to others. */
static void churn_retire(struct fixture *f)
{
    for (uint32_t i = 0; i < f->bus.retired.count; i++) {
        ql_series_drop(f->table, &f->bus.retired.at[i].series, 1);
    }
}

static void churn_run(const struct churn *churn, int steps, int checkpoint_every,
                      struct churned *churned)
{
    struct fixture f;
    *churned = (struct churned){ .digest = 0 };
    fixture_open_wide(&f, 1, 400000);
    for (int step = 0; step < steps; step++) {
        f.config->series_idle_s = churn->idle_s;
        churn_step(&f, churn, step);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_points, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_edges, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_retired, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_entities, 0, churned->digest);
        churn_retire(&f);
        const int64_t services = ql_stats_sum(f.stats, "ql_names", "of=\"services\"");
        const int64_t peers = ql_stats_sum(f.stats, "ql_names", "of=\"peers\"");
        churned->services_most =
            services > churned->services_most ? services : churned->services_most;
        churned->peers_most = peers > churned->peers_most ? peers : churned->peers_most;
        churned->cardinality += dropped(&f, "cardinality");
        churned->peers_full += dropped(&f, "peers_full");
        if (checkpoint_every != 0 && step % checkpoint_every == checkpoint_every - 1) {
            fixture_checkpoint(&f);
        }
    }
    assert_true(ql_shared_find(&((struct nm *)f.stage)->services.names, QL_STR("always")) !=
                QL_MAP_NONE);
    fixture_close(&f);
}

static void names_make_room(void **state)
{
    static const struct {
        const char *story;
        struct churn churn;
        int steps;
        bool full;
    } rows[] = {
        { "two weeks of a service and three hosts an hour, known for a week",
          { 3600, 1, 3, 7.0 * 86400.0 }, 14 * 24, false },
        { "three weeks of ten hosts in ten minutes, in a room for a day and a half of them",
          { 600, 0, 10, 7.0 * 86400.0 }, 21 * 144, false },
        { "five days of five services and a host in five minutes, in a room for three days of them",
          { 300, 5, 1, 7.0 * 86400.0 }, 5 * 288, false },
        { "more hosts in a quarter of an hour than there is room for",
          { 60, 0, 90, 7.0 * 86400.0 }, 60, true },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct churned whole, parts;
        churn_run(&rows[i].churn, rows[i].steps, 0, &whole);
        print_message("%s: at most %lld services, %lld peers\n", rows[i].story,
                      (long long)whole.services_most, (long long)whole.peers_most);
        assert_true(whole.services_most <= NM_SERVICES_MAX && whole.peers_most <= NM_PEERS_MAX);
        assert_int_equal(whole.cardinality, 0);
        assert_int_equal(whole.peers_full > 0, rows[i].full);
        churn_run(&rows[i].churn, rows[i].steps, rows[i].steps / 7 + 1, &parts);
        assert_true(parts.digest == whole.digest);
    }
}

/* The number of a name that went is another's: what was kept by it is not taken for theirs. */
static void a_number_that_went_calls_nobody(void **state)
{
    struct fixture f;
    struct nm *nm;
    (void)state;
    fixture_open(&f);
    f.config->series_idle_s = 3600.0;
    bus_begin(&f);
    (void)bus_span(&f, "gone", 1, 0, 0.5, 10.0);
    ql_normalise_stage.push(f.stage, at_s(1.0), &f.bus);
    nm = f.stage;
    const uint32_t number = ql_shared_find(&nm->services.names, QL_STR("gone"));
    for (double s = 60.0; s < 3.0 * 86400.0; s += 60.0) {
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(s), &f.bus);
        churn_retire(&f);
    }
    assert_int_equal(ql_shared_find(&nm->services.names, QL_STR("gone")), QL_MAP_NONE);
    assert_int_equal(ql_stats_sum(f.stats, "ql_names_retired_total", "of=\"services\""), 1);
    const double now = 3.0 * 86400.0;
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(now - 5.0), &f.bus);
    bus_begin(&f);
    (void)bus_span(&f, "other", 2, 0, now - 0.5, 10.0);
    (void)bus_span(&f, "child", 3, 1, now - 0.5, 10.0); /* of the span of who is gone */
    ql_normalise_stage.push(f.stage, at_s(now), &f.bus);
    assert_int_equal(ql_shared_find(&nm->services.names, QL_STR("other")), number);
    ql_normalise_stage.tick(f.stage, at_s(now + 30.0), &f.bus);
    assert_int_equal(f.bus.edges.count, 0);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"other\"}"),
                        "259190:0 259200:0.1 259210:0 259220:0 ");
    fixture_close(&f);
}

static uint64_t day_run(uint64_t seed, int checkpoint_every)
{
    struct fixture f;
    struct ql_rng rng;
    uint64_t digest = 0;
    ql_rng_init(&rng, seed, "day");
    fixture_open(&f);
    for (int step = 0; step < 300; step++) {
        day_step(&f, &rng, step, &digest);
        if (checkpoint_every != 0 && step % checkpoint_every == checkpoint_every - 1) {
            fixture_checkpoint(&f);
        }
    }
    fixture_close(&f);
    return digest;
}

static void a_day_repeats_from_any_checkpoint(void **state)
{
    const uint64_t seed = 29;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    const uint64_t digest = day_run(seed, 0);
    assert_true(digest == day_run(seed, 0));
    assert_true(digest == day_run(seed, 97));
    assert_true(digest == day_run(seed, 10));
    assert_true(digest != day_run(seed + 1, 0));
}

static void broken_checkpoints_are_refused(void **state)
{
    struct fixture f;
    struct ql_buf saved;
    struct ql_rng rng;
    uint64_t digest = 0;
    (void)state;
    ql_rng_init(&rng, 1, "broken");
    ql_buf_init(&saved, 64 << 20);
    fixture_open(&f);
    for (int step = 0; step < 5; step++) {
        day_step(&f, &rng, step, &digest);
    }
    assert_int_equal(ql_normalise_stage.save(f.stage, &saved), QL_OK);
    fixture_close(&f);
    for (size_t cut = 0; cut < saved.bytes; cut += 1 + saved.bytes / 50) {
        fixture_open(&f);
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_normalise_stage.load(f.stage, VERSION, &in), QL_E_MALFORMED);
        fixture_close(&f);
    }
    fixture_open(&f);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_normalise_stage.load(f.stage, VERSION + 1, &in), QL_E_VERSION);
    fixture_close(&f);
    ql_buf_fini(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_come_out),
        cmocka_unit_test(a_growing_unknown_becomes_a_counter),
        cmocka_unit_test(delayed_samples_still_fit),
        cmocka_unit_test(a_pause_is_no_silence),
        cmocka_unit_test(wrong_clocks),
        cmocka_unit_test(new_series_have_a_quota),
        cmocka_unit_test(the_quota_is_shared_by_the_shards),
        cmocka_unit_test(another_form_of_a_known_series_is_no_new_one),
        cmocka_unit_test(bad_labels_are_counted),
        cmocka_unit_test(steps_are_learnt),
        cmocka_unit_test(sources_are_named_as_doors),
        cmocka_unit_test(the_wheel_finds_every_silence),
        cmocka_unit_test(spans_become_rates_and_durations),
        cmocka_unit_test(late_and_early_spans_count_in_the_nearest_window),
        cmocka_unit_test(no_zeros_for_a_pause),
        cmocka_unit_test(quantiles_are_near),
        cmocka_unit_test(logs_become_rates_by_severity),
        cmocka_unit_test(calls_become_edges),
        cmocka_unit_test(too_many_services_are_counted),
        cmocka_unit_test(peers_keep_out_no_service),
        cmocka_unit_test(names_make_room),
        cmocka_unit_test(a_number_that_went_calls_nobody),
        cmocka_unit_test(a_day_repeats_from_any_checkpoint),
        cmocka_unit_test(broken_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
