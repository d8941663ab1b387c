/* replay_doors_test - something through every door, new settings in the middle, checkpoints on
 * the way: the journal gives the same again, with one shard and with several. */
#include "engine/engine_test.h"
#include "model/labels.h"

enum { FAULT_AT = 120, RELOAD_AT = 140, STOP_AT = 160, STEPS = 260 };

#define SERVICE \
    "{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":" \
    "\"shop\"}}]},"
#define SETTINGS(close) \
    "correlate: {close: " close "}\n" \
    "slos: [{name: calm, target: 99, match: load0, above: 30}]\n" \
    "act: {mode: auto}\n" \
    "runbooks:\n  - {name: turn, entity: '*', mode: auto, score_min: 0, steady: 1s," \
    " steps: [{name: one, run: [/bin/true]}]}\n"

static void send_log(struct life *life, int step)
{
    char text[512];
    const int bytes = snprintf(
        text, sizeof(text), "{\"resourceLogs\":[" SERVICE "\"scopeLogs\":[{\"logRecords\":[{"
        "\"timeUnixNano\":\"%lld\",\"severityNumber\":%d,\"body\":{\"stringValue\":"
        "\"took %d ms\"}}]}]}]}", (long long)life_at(step).ns, step >= FAULT_AT ? 17 : 9, step);
    life_send(life, QL_DOOR_OTLP_LOGS, QL_FORMAT_JSON, step, QL_STR(""),
              (ql_str){ text, (size_t)bytes });
}

static void send_span(struct life *life, int step)
{
    char text[512];
    const long long at = (long long)life_at(step).ns;
    const int bytes = snprintf(
        text, sizeof(text), "{\"resourceSpans\":[" SERVICE "\"scopeSpans\":[{\"spans\":[{"
        "\"traceId\":\"5b8efff798038103d269b633813f%04d\",\"spanId\":\"eee19b7ec3c1%04d\","
        "\"name\":\"pay\",\"kind\":2,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"}"
        "]}]}]}", step + 1, step + 1, at - 5000000, at);
    life_send(life, QL_DOOR_OTLP_TRACES, QL_FORMAT_JSON, step, QL_STR(""),
              (ql_str){ text, (size_t)bytes });
}

static void send_scrape(struct life *life, int step)
{
    char text[128];
    struct ql_buf origin;
    ql_buf_init(&origin, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("{instance=\"a:1\",job=\"node\"}"), &origin), QL_OK);
    const int bytes = snprintf(text, sizeof(text), "# TYPE busy gauge\nbusy %d\n", 7 + step % 3);
    life_send(life, QL_DOOR_SCRAPE, QL_FORMAT_TEXT, step, ql_buf_view(&origin),
              (ql_str){ text, (size_t)bytes });
    ql_buf_fini(&origin);
}

static void send_change(struct life *life, int step)
{
    char text[160], at[QL_TIME_TEXT_BYTES];
    const int bytes = snprintf(text, sizeof(text), "{\"kind\":\"deploy\",\"service\":\"shop\","
                               "\"summary\":\"r%d\",\"at\":\"%s\"}", step,
                               ql_time_text(life_at(step), at));
    life_send(life, QL_DOOR_CHANGES, QL_FORMAT_JSON, step, QL_STR(""),
              (ql_str){ text, (size_t)bytes });
}

static void send_alert(struct life *life, int step)
{
    char text[320], starts[QL_TIME_TEXT_BYTES], ends[QL_TIME_TEXT_BYTES];
    const int bytes = snprintf(
        text, sizeof(text), "[{\"labels\":{\"alertname\":\"Slow\",\"service\":\"shop\","
        "\"severity\":\"critical\"},\"startsAt\":\"%s\",\"endsAt\":\"%s\"}]",
        ql_time_text(life_at(FAULT_AT + 2), starts), ql_time_text(life_at(step + 8), ends));
    life_send(life, QL_DOOR_ALERTS, QL_FORMAT_JSON, step, QL_STR(""),
              (ql_str){ text, (size_t)bytes });
}

static void send_finding(struct life *life, int step)
{
    struct ql_buf labels, body;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&body, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("disk_used{service=\"shop\"}"), &labels), QL_OK);
    const struct ql_finding finding = {
        .at = life_at(step), .labels = ql_buf_view(&labels),
        .series = { ql_hash128_of(labels.at, labels.bytes) }, .limit_name = QL_STR("disk_max"),
        .used = 60, .limit = 100, .full = step < 200 ? 0.95 : 0.05, .horizon_s = 86400,
        .early_s = 3600, .middle_s = 7200, .late_s = 9000, .tests = 20, .right = 17 };
    assert_int_equal(ql_wire_finding_write(&finding, &body), QL_OK);
    life_send(life, QL_DOOR_FINDING, QL_FORMAT_OWN, step, QL_STR(""), ql_buf_view(&body));
    ql_buf_fini(&labels);
    ql_buf_fini(&body);
}

/* Somebody took note of the first incident, and later says what it was. */
static void send_command(struct life *life, int step, enum ql_command_kind kind)
{
    struct ql_buf body;
    ql_buf_init(&body, 4096);
    const struct ql_command command = {
        .kind = kind, .incident = { 1 }, .at = life_at(step), .by = QL_STR("ann"),
        .verdict = kind == QL_COMMAND_FEEDBACK ? QL_VERDICT_TRUE : QL_VERDICT_NONE };
    assert_int_equal(ql_wire_command_write(&command, &body), QL_OK);
    life_send(life, QL_DOOR_COMMAND, QL_FORMAT_OWN, step, QL_STR(""), ql_buf_view(&body));
    ql_buf_fini(&body);
}

static void send_outcome(struct life *life, int step, ql_id action)
{
    struct ql_buf body;
    ql_buf_init(&body, 4096);
    const struct ql_outcome outcome = { .action = action, .at = life_at(step),
                                        .output = QL_STR("turned") };
    assert_int_equal(ql_wire_outcome_write(&outcome, &body), QL_OK);
    life_send(life, QL_DOOR_OUTCOME, QL_FORMAT_OWN, step, QL_STR(""), ql_buf_view(&body));
    ql_buf_fini(&body);
}

static _Atomic uint64_t dispatched; /* the newest step that went to the actuator */

static ql_err note_dispatch(void *context, const struct ql_action *action)
{
    (void)context;
    atomic_store(&dispatched, action->id.v);
    return QL_OK;
}

static void steps(struct life *life, int from, int to)
{
    for (int step = from; step < to; step++) {
        life_gauges(life, step, 4, FAULT_AT, 0);
        send_log(life, step);
        send_span(life, step);
        send_scrape(life, step);
        if (step % 50 == 45) {
            send_change(life, step);
        }
        if (step >= FAULT_AT + 2 && step < 200 && step % 4 == 0) {
            send_alert(life, step);
        }
        if (step % 10 == 0) {
            send_finding(life, step);
        }
        if (step == FAULT_AT + 10 || step == 220) {
            send_command(life, step, step == 220 ? QL_COMMAND_FEEDBACK : QL_COMMAND_ACK);
        }
        if (step >= FAULT_AT) {
            life_wait(life); /* what is dispatched is the core's, a little behind */
            (void)usleep(2000);
            const uint64_t id = atomic_exchange(&dispatched, 0);
            if (id != 0) {
                send_outcome(life, step, (ql_id){ id });
            }
        }
    }
}

struct seen { uint32_t incidents, alerts, changes, commands, outcomes, actions, signals; };

static void seen_tick(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus)
{
    struct seen *seen = context;
    (void)sequence;
    (void)now;
    seen->incidents += bus->incidents.count;
    seen->alerts += bus->alerts_in.count;
    seen->changes += bus->changes_in.count;
    seen->commands += bus->commands.count;
    seen->outcomes += bus->outcomes.count;
    seen->actions += bus->actions.count;
    seen->signals += bus->signals.count;
}

static void every_door(struct life *life, const char *engine)
{
    struct seen seen = { .incidents = 0 };
    life->dispatch = note_dispatch;
    atomic_store(&dispatched, 0);
    life_open(life, engine, SETTINGS("5m"));
    steps(life, 0, RELOAD_AT);
    life_reload(life, engine, SETTINGS("2m"));
    steps(life, RELOAD_AT, STOP_AT);
    life_stop(life);
    life_open(life, engine, SETTINGS("3m"));
    steps(life, STOP_AT, STEPS);
    life_stop(life);
    life->tick = seen_tick;
    life->tick_context = &seen;
    const struct ql_replay_result whole = life_again(life, 0);
    assert_true(whole.compared > whole.ticks - 10);
    assert_true(seen.incidents > 0 && seen.alerts > 0 && seen.changes > 0 && seen.signals > 0);
    assert_int_equal(seen.commands, 2);
    assert_true(seen.actions > 0 && seen.outcomes > 0);
    life->tick = NULL;
    const struct ql_replay_result part = life_again(life, whole.last_sequence - 50);
    assert_true(part.first_sequence > 1 && part.compared > 50);
    assert_true(life_again(life, 0).digest == whole.digest);
}

static void every_door_gives_the_same_again(void **state)
{
    every_door(*state, ", tick: 10s");
}

static void every_door_gives_the_same_again_in_shards(void **state)
{
    every_door(*state, ", tick: 10s, shards: 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_door_gives_the_same_again, life_setup,
                                        life_teardown),
        cmocka_unit_test_setup_teardown(every_door_gives_the_same_again_in_shards, life_setup,
                                        life_teardown),
    };
    return cmocka_run_group_tests_name("engine/replay_doors", tests, NULL, NULL);
}
