/* backtest_test - three days through the running engine, then judged again under other settings:
 * what each side finds of a fault, of a silence, of failing requests that only spans tell of,
 * and of an alert; what a person called false; days that are cells; folders that lack something.
 */
#include "engine/backtest.h"

#include "base/rng.h"
#include "config/config_test.h"
#include "engine/engine_test.h"
#include "store/history.h"

enum { STEP_S = 60, DAYS = 3, STEPS = DAYS * 86400 / STEP_S, SPANS = 6 };
enum { /* minutes before the end */
    SILENT = 900, SILENT_END = 820, FAULT = 600, FAULT_END = 560, FAILING = 360, FAILING_END = 320,
    ALERT = 180
};
#define END_S (INT64_C(1767571200) + DAYS * 86400)
#define SEED UINT64_C(11)
#define RUNNING "limits:\n  sample_behind_max: 30d\nengine:\n  tick: 10s\n  journal_sync: 0s\n" \
                "detect:\n  signals_per_day: 10\n"

static char data_dir[64];

/* ---- the three days -------------------------------------------------------------------------- */

static struct ql_engine *engine_open(struct ql_stats *stats)
{
    struct ql_engine *engine = NULL;
    struct ql_config *config = test_config(RUNNING);
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    config->data_dir = data_dir;
    const struct ql_engine_env env = { .config = config, .stats = stats, .clock_input = true };
    if (ql_engine_open(&env, &engine, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    assert_int_equal(ql_engine_start(engine), QL_OK);
    return engine;
}

static void submit(struct ql_engine *engine, enum ql_door door, const struct ql_buf *body, ql_time at)
{
    const struct ql_wire_input in = {
        .door = door, .format = door == QL_DOOR_SCRAPE ? QL_FORMAT_TEXT : QL_FORMAT_JSON,
        .accepted = at, .origin = { "", 0 }, .body = ql_buf_view(body) };
    engine_feed(engine, &in, NULL, NULL);
}

static bool between(int left, int from, int to) { return left <= from && left > to; }

static void put_metrics(struct ql_rng *rng, int left, struct ql_buf *out)
{
    static const char *const services[] = { "cart", "checkout", "mail" };
    for (size_t i = 0; i < QL_COUNT_OF(services); i++) {
        const bool odd = i == 1 && between(left, FAULT, FAULT_END);
        const double value = 120.0 + 4.0 * ql_rng_normal(rng) + (odd ? 900.0 : 0.0);
        if (i != 2 || !between(left, SILENT, SILENT_END)) {
            (void)ql_buf_printf(out, "latency_ms{service=\"%s\"} %.3f\n", services[i], value);
        }
    }
}

/* Requests of a service that sends nothing but spans; for a while most of them fail. */
static void put_spans(struct ql_rng *rng, int left, int64_t at_s, struct ql_buf *out)
{
    (void)ql_buf_text(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":"
                           "\"service.name\",\"value\":{\"stringValue\":\"orders\"}}]},"
                           "\"scopeSpans\":[{\"spans\":[");
    for (int i = 0; i < SPANS; i++) {
        const int64_t start_ns = (at_s - STEP_S + i * (STEP_S / SPANS)) * QL_NS_PER_S;
        const bool fails = between(left, FAILING, FAILING_END);
        (void)ql_buf_printf(out, "%s{\"traceId\":\"5B8EFFF798038103D269B633%08X\",\"spanId\":"
                            "\"eee19b7e%08x\",\"kind\":2,\"startTimeUnixNano\":\"%lld\","
                            "\"endTimeUnixNano\":\"%lld\",\"name\":\"GET\",\"status\":{%s}}",
                            i > 0 ? "," : "", (unsigned)(left * SPANS + i + 1),
                            (unsigned)(left * SPANS + i + 1), (long long)start_ns,
                            (long long)(start_ns + 50000000 +
                                        (int64_t)(1e6 * ql_rng_normal(rng))),
                            fails ? "\"code\":2" : "");
    }
    (void)ql_buf_text(out, "]}]}]}");
}

/* A service that sends nothing but log records. */
static void put_logs(int64_t at_s, struct ql_buf *out)
{
    const int count = STEP_S / 10;
    (void)ql_buf_text(out, "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":"
                           "\"service.name\",\"value\":{\"stringValue\":\"printer\"}}]},"
                           "\"scopeLogs\":[{\"logRecords\":[");
    for (int i = 0; i < count; i++) {
        const int64_t ns = (at_s - STEP_S) * QL_NS_PER_S + i * (STEP_S * QL_NS_PER_S / count);
        (void)ql_buf_printf(out, "%s{\"timeUnixNano\":\"%lld\",\"severityNumber\":17,"
                            "\"body\":{\"stringValue\":\"out of paper\"}}", i > 0 ? "," : "",
                            (long long)ns);
    }
    (void)ql_buf_text(out, "]}]}]}");
}

static void put_alert(int64_t at_s, struct ql_buf *out)
{
    char starts[QL_TIME_TEXT_BYTES], ends[QL_TIME_TEXT_BYTES];
    (void)ql_buf_printf(out, "[{\"labels\":{\"alertname\":\"Broken\",\"service\":\"billing\","
                        "\"severity\":\"critical\"},\"startsAt\":\"%s\",\"endsAt\":\"%s\"}]",
                        ql_time_text((ql_time){ at_s * QL_NS_PER_S }, starts),
                        ql_time_text((ql_time){ (at_s + 1200) * QL_NS_PER_S }, ends));
}

static void days_run(struct ql_engine *engine)
{
    struct ql_buf body;
    struct ql_rng rng;
    ql_rng_init(&rng, SEED, "backtest");
    ql_buf_init(&body, 1 << 20);
    for (int left = STEPS; left > 0; left--) {
        const int64_t at_s = END_S - (int64_t)left * STEP_S;
        const ql_time at = { at_s * QL_NS_PER_S };
        ql_buf_reset(&body);
        put_metrics(&rng, left, &body);
        submit(engine, QL_DOOR_SCRAPE, &body, at);
        ql_buf_reset(&body);
        put_spans(&rng, left, at_s, &body);
        submit(engine, QL_DOOR_OTLP_TRACES, &body, at);
        ql_buf_reset(&body);
        put_logs(at_s, &body);
        submit(engine, QL_DOOR_OTLP_LOGS, &body, at);
        if (left == ALERT) {
            ql_buf_reset(&body);
            put_alert(at_s, &body);
            submit(engine, QL_DOOR_ALERTS, &body, at);
        }
    }
    ql_buf_fini(&body);
}

static int up(void **state)
{
    struct ql_stats *stats = ql_stats_new(4096);
    (void)state;
    (void)snprintf(data_dir, sizeof(data_dir), "/tmp/ql-backtest-XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    print_message("seed %llu\n", (unsigned long long)SEED);
    struct ql_engine *engine = engine_open(stats);
    days_run(engine);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    ql_stats_free(stats);
    return 0;
}

static int down(void **state)
{
    (void)state;
    folder_remove(data_dir);
    return 0;
}

/* ---- again --------------------------------------------------------------------------------------- */

struct progress { double share; uint32_t calls; };

static void progress_take(void *context, double share, ql_time at)
{
    struct progress *progress = context;
    assert_true(share >= progress->share && share <= 1.0);
    assert_true(at.ns <= END_S * QL_NS_PER_S);
    progress->share = share;
    progress->calls++;
}

static ql_err run(const char *dir, const char *running, const char *yaml,
                  struct ql_backtest_result *ret_result, struct ql_buf *ret_why)
{
    struct progress progress = { 0 };
    const struct ql_backtest_env env = {
        .data_dir = dir, .running = running != NULL ? test_config(running) : NULL,
        .config = test_config(yaml), .since = QL_S(86400), .progress = progress_take,
        .context = &progress };
    const ql_err err = ql_backtest_run(&env, ret_result, ret_why);
    assert_true(err != QL_OK || (progress.calls >= DAYS && progress.share == 1.0));
    return err;
}

static void run_well(const char *yaml, struct ql_backtest_result *ret_result)
{
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    if (run(data_dir, NULL, yaml, ret_result, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
}

static const struct ql_backtest_row *recorded_of(const struct ql_backtest_result *r,
                                                 const char *title)
{
    for (uint32_t i = 0; i < r->recorded_count; i++) {
        if (ql_str_eq(r->recorded[i].title, ql_str_of(title))) {
            return &r->recorded[i];
        }
    }
    fail_msg("'%s' is not on record", title);
    return NULL;
}

#define ABSENCE "mail: latency_ms absence"
#define SPIKE "checkout: latency_ms spike"
#define ERRORS "orders: service_errors_per_second drift"
#define POLICY(match, fields) RUNNING "policies: [{name: p, match: '" match "', " fields "}]\n"

static const struct row { const char *story, *yaml; bool absence, spike, errors; } rows[] = {
    { "the same settings find the same", RUNNING, true, true, true },
    { "with detection off nothing is found", "detect: {enabled: false}\n", false, false, false },
    { "a detector off for one series",
      POLICY("latency_ms{service=\"checkout\"}", "detector: off"), true, false, true },
    { "silence in a window", POLICY("{service=\"mail\"}", "mute: ['daily 08:00-12:00']"), false,
      true, true },
    { "what spans say, left alone", POLICY("service_errors_per_second", "detector: off"), true, true,
      false },
    { "a bound that is wide enough", POLICY("latency_ms", "min_absolute: 5000"), true, false, true },
};

static void side_adds_up(const struct ql_backtest_result *r, enum ql_backtest_which which)
{
    const struct ql_backtest_side *side = &r->sides[which];
    uint64_t unrecorded = 0;
    assert_true(side->found + side->missed + side->false_again + side->false_gone ==
                r->recorded_count);
    assert_true(side->row_count == side->incidents && side->signals >= side->incidents);
    for (uint32_t i = 0; i < side->row_count; i++) {
        assert_true(side->rows[i].opened.ns >= r->from.ns); /* what was learnt from is not counted */
        unrecorded += side->rows[i].is_new;
    }
    assert_true(unrecorded == side->unrecorded);
}

/* Samples alone are judged: a silence and what spans say of a service are told by them, an
 * alert is not. */
static void what_other_settings_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_backtest_result r;
        print_message("%s\n", rows[i].story);
        run_well(rows[i].yaml, &r);
        /* three latencies, four of spans, one of log records */
        assert_true(r.series == 8 && r.samples > 3 * STEPS && r.cells_left_out == 0);
        const struct { const char *title; bool running, wanted; } told[] = {
            { ABSENCE, true, rows[i].absence }, { SPIKE, true, rows[i].spike },
            { ERRORS, true, rows[i].errors },   { "billing: Broken", false, false }
        };
        for (size_t k = 0; k < QL_COUNT_OF(told); k++) {
            const struct ql_backtest_row *row = recorded_of(&r, told[k].title);
            if (row->found[QL_BACKTEST_RUNNING] != told[k].running ||
                row->found[QL_BACKTEST_NEW] != told[k].wanted) {
                fail_msg("%s: %d %d", told[k].title, row->found[QL_BACKTEST_RUNNING],
                         row->found[QL_BACKTEST_NEW]);
            }
        }
        side_adds_up(&r, QL_BACKTEST_RUNNING);
        side_adds_up(&r, QL_BACKTEST_NEW);
        const struct ql_backtest_side *sides = r.sides;
        if (i == 0) {
            assert_true(sides[0].signals == sides[1].signals && sides[0].found == sides[1].found &&
                        sides[0].unrecorded == sides[1].unrecorded);
        } else {
            assert_true(sides[1].found < sides[0].found);
        }
        assert_true((strstr(rows[i].yaml, "enabled: false") != NULL) == (sides[1].signals == 0));
        ql_backtest_fini(&r);
    }
}

/* A promise is counted from the samples that are read. */
static void an_slo_is_counted_again(void **state)
{
    struct ql_backtest_result r;
    (void)state;
    run_well("detect: {enabled: false}\n"
             "slos: [{name: fast, target: 99, match: latency_ms, above: 500,"
             " entity: service/checkout}]\n", &r);
    assert_true(r.sides[QL_BACKTEST_NEW].signals > 0);
    assert_true(recorded_of(&r, SPIKE)->found[QL_BACKTEST_NEW]);
    assert_false(recorded_of(&r, ABSENCE)->found[QL_BACKTEST_NEW]);
    ql_backtest_fini(&r);
}

/* What a person called false is no miss: who finds it again is told apart from who does not. */
static void what_was_called_false(void **state)
{
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_backtest_result r;
    (void)state;
    run_well(RUNNING, &r);
    const struct ql_command command = {
        .kind = QL_COMMAND_FEEDBACK, .incident = { recorded_of(&r, SPIKE)->id },
        .verdict = QL_VERDICT_FALSE, .by = QL_STR("someone"), .note = QL_STR(""),
        .at = { END_S * QL_NS_PER_S } };
    const uint64_t found = r.sides[QL_BACKTEST_RUNNING].found;
    assert_true(r.sides[QL_BACKTEST_RUNNING].false_again == 0);
    ql_backtest_fini(&r);
    struct ql_engine *engine = engine_open(stats);
    const struct ql_view *view = ql_engine_view(engine);
    assert_int_equal(view->command(view->host, &command), QL_OK);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    ql_stats_free(stats);
    run_well(rows[2].yaml, &r); /* the one that does not see checkout */
    const struct ql_backtest_side *sides = r.sides;
    assert_true(sides[0].false_again == 1 && sides[0].false_gone == 0);
    assert_true(sides[1].false_again == 0 && sides[1].false_gone == 1);
    assert_true(sides[0].found == found - 1 && sides[1].found == found - 1);
    assert_int_equal(recorded_of(&r, SPIKE)->verdict, QL_VERDICT_FALSE);
    ql_backtest_fini(&r);
}

static void days_of_cells_are_left_out(void **state)
{
    const struct ql_history_limits limits = { .days = 400.0, .raw_s = 86400.0 };
    struct ql_stats *stats = ql_stats_new(200);
    struct ql_history *history;
    struct ql_backtest_result whole, part;
    (void)state;
    run_well(RUNNING, &whole);
    assert_int_equal(ql_history_open(data_dir, &limits, stats, &history), QL_OK);
    assert_int_equal(ql_history_tidy(history), QL_OK);
    ql_history_close(history);
    ql_stats_free(stats);
    run_well(RUNNING, &part);
    assert_true(whole.cells_left_out == 0 && part.cells_left_out > 0);
    assert_true(part.samples < whole.samples && part.samples > 0);
    assert_true(recorded_of(&part, SPIKE)->found[QL_BACKTEST_NEW]); /* a later day */
    ql_backtest_fini(&whole);
    ql_backtest_fini(&part);
}

static void remove_all(const char *folder)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", data_dir, folder);
    assert_int_equal(access(path, F_OK), 0);
    folder_remove(path);
}

/* The last one: it takes the folder apart. */
static void folders_that_lack_something(void **state)
{
    static const struct { const char *story, *remove, *running, *why; } lacks[] = {
        { "no settings in the journal", "journal", NULL, "journal" },
        { "then they are named", NULL, RUNNING, NULL },
        { "nothing was ever recorded", "state.db", RUNNING, NULL },
        { "no samples", "history", RUNNING, NULL }, /* the newest are in the checkpoint */
        { "no checkpoint", "checkpoint", RUNNING, "no checkpoint" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(lacks); i++) {
        struct ql_backtest_result r;
        struct ql_buf why;
        print_message("%s\n", lacks[i].story);
        ql_buf_init(&why, 65536);
        if (lacks[i].remove != NULL) {
            remove_all(lacks[i].remove);
        }
        const ql_err err = run(data_dir, lacks[i].running, RUNNING, &r, &why);
        if (lacks[i].why == NULL) {
            assert_int_equal(err, QL_OK);
        } else {
            assert_int_not_equal(err, QL_OK);
            assert_non_null(strstr(why.at, lacks[i].why));
        }
        ql_backtest_fini(&r);
        ql_buf_fini(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_other_settings_find),
        cmocka_unit_test(an_slo_is_counted_again),
        cmocka_unit_test(what_was_called_false),
        cmocka_unit_test(days_of_cells_are_left_out),
        cmocka_unit_test(folders_that_lack_something),
    };
    return cmocka_run_group_tests(tests, up, down);
}
