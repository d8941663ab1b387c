/* normalise_test - what comes in as samples, and what points it makes.
 *
 * A story is a line of tokens, one a step of ten seconds. Spans and logs: nm_service_test.c. */
#include "normalise/normalise_test.h"

static void points_render(const struct ql_batch *bus, char *out, size_t out_bytes)
{
    for (uint32_t i = 0; i < bus->points.count; i++) {
        const struct ql_point *p = &bus->points.at[i];
        const size_t used = strlen(out);
        char number[32];
        (void)snprintf(number, sizeof(number), "%.6g ", p->value);
        (void)snprintf(out + used, out_bytes - used, "%s",
                       p->kind == QL_POINT_HOLE       ? "h "
                       : p->kind == QL_POINT_RESET    ? (p->value > 0.0 ? "r " : "d ")
                       : p->kind == QL_POINT_UNJUDGED ? "u "
                                                      : number);
    }
}

/* ---- one series ------------------------------------------------------------------- */

/* Tokens: a number; `_` nothing comes; S the stale marker; N another NaN; I infinity; B 1e200;
 * =7 the last time again; <7 one step before the last; >7 an hour ahead. Wanted: a number
 * for a value, h a hole, r a reset, d one of a doubtful counter, u what is kept but not judged. */
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
      "u d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d 0.1 d "
      "0.1 d 0.1 4 5 4 5 ", NULL },
    { "_count that the sender calls a counter is one", "pool_count", QL_METRIC_COUNTER, "50 60 20",
      "u 1 r ", NULL },
    { "so is _total by its name", "pool_total", QL_METRIC_UNKNOWN, "50 60 20", "u 1 r ", NULL },
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
    { "a counter that begins anew behind its marker was reset", "c", QL_METRIC_COUNTER,
      "10 20 30 S S 4 14 S 14", "u 1 1 h r 1 h u ", NULL },
    { "a gauge was not", "g", QL_METRIC_GAUGE, "10 S 4", "10 h 4 ", NULL },
    { "a marker before the first value says nothing", "c", QL_METRIC_COUNTER, "S 4 14", "h u 1 ",
      NULL },
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
