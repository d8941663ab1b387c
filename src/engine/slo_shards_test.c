/* slo_shards_test - three hours of counters through the whole machine: however many shards there
 * are, and with all state saved and loaded in between, the same burn rate signals.
 *
 * Forty series of eight pods and a sender that goes silent while its service burns. */
#include "engine/machine_test.h"

enum { PODS = 8, CODES = 5, STEP_S = 15, STEPS = 720, FAULT_AT = 400, SILENT_AT = 430,
       BACK_AT = 500, EVENTS_MAX = 16 };
#define START_S INT64_C(1767571200)

struct seen { char texts[EVENTS_MAX][320]; uint32_t count; uint64_t digest; };

static struct ql_machine *machine_open(uint32_t shards, struct ql_stats *stats)
{
    char yaml[1024];
    (void)snprintf(yaml, sizeof(yaml),
                   "limits: {series_max: 10000}\nengine: {shards: %u}\nslos:\n"
                   "  - {name: good, target: 99.9, good: 'requests_total{code!=\"500\"}', "
                   "total: requests_total}\n"
                   "  - {name: bad, target: 99.9, bad: 'requests_total{code=~\"5..\"}', "
                   "total: requests_total, entity: shop}\n", shards);
    return machine_of(yaml, stats);
}

static void run_add(struct ql_batch *batch, int pod, int code, int step, double value)
{
    char text[128];
    (void)snprintf(text, sizeof(text),
                   "requests_total{code=\"%d\",pod=\"p%d\",service=\"checkout\"}",
                   200 + 75 * code, pod);
    const ql_time at = { (START_S + (int64_t)step * STEP_S) * QL_NS_PER_S };
    run_of_one(batch, text, QL_METRIC_UNKNOWN, at, value);
}

/* Of code 500 a fifth of all from FAULT_AT on; then nothing comes, then all is well. */
static void step_batch(struct ql_batch *batch, int step, double counts[PODS][CODES])
{
    const bool fault = step >= FAULT_AT && step < BACK_AT;
    ql_batch_reset(batch);
    for (int pod = 0; pod < PODS; pod++) {
        for (int code = 0; code < CODES; code++) {
            counts[pod][code] += code == 4 ? (fault ? 25.5 : 0.0) : 25.3 + 0.1 * pod;
            run_add(batch, pod, code, step, counts[pod][code]);
        }
    }
}

static void seen_take(struct seen *seen, const struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        const struct ql_signal *s = &bus->signals.at[i];
        if (s->kind != QL_SIGNAL_BURN_RATE) {
            continue;
        }
        const uint64_t words[] = { seen->digest, s->id.v, s->entity.v, (uint64_t)s->at.ns,
                                   ql_hash64(s->why.at, s->why.bytes),
                                   ql_hash64(&s->value, sizeof(s->value)) };
        seen->digest = ql_hash64(words, sizeof(words));
        if (s->phase != QL_PHASE_UPDATE && seen->count < EVENTS_MAX) {
            (void)snprintf(seen->texts[seen->count++], sizeof(seen->texts[0]), "%s %s %.*s",
                           s->phase == QL_PHASE_OPEN ? "open" : "close",
                           ql_importance_text(s->importance), QL_STR_ARG(s->why));
        }
    }
}

static struct ql_machine *machine_again(struct ql_machine *machine, uint32_t shards,
                                        struct ql_stats *stats)
{
    struct ql_buf saved;
    machine_put_away(machine, &saved);
    return machine_resume(machine_open(shards, stats), &saved);
}

static void day_run(uint32_t shards, bool saved, struct seen *seen)
{
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_machine *machine = machine_open(shards, stats);
    struct ql_batch batch;
    double counts[PODS][CODES] = { { 0.0 } };
    *seen = (struct seen){ .count = 0 };
    ql_batch_init(&batch, 1 << 20);
    for (int step = 0; step < STEPS; step++) {
        const ql_time now = { (START_S + (int64_t)step * STEP_S + 1) * QL_NS_PER_S };
        if (step < SILENT_AT || step >= BACK_AT) {
            step_batch(&batch, step, counts);
            assert_int_equal(ql_machine_input(machine, now, &batch), QL_OK);
        }
        seen_take(seen, ql_machine_tick(machine, now));
        if (saved && step % 101 == 100) {
            machine = machine_again(machine, shards, stats);
        }
    }
    assert_int_equal(ql_stats_sum(stats, "ql_slo_dropped_total", ""), 0);
    assert_int_equal(ql_stats_sum(stats, "ql_records_lost_total", ""), 0);
    const int64_t series = ql_stats_sum(stats, "ql_series", "");
    assert_int_equal(series, PODS * CODES);
    assert_int_equal(ql_stats_sum(stats, "ql_state_bytes", "part=\"samples\""), series * 384);
    assert_int_equal(ql_stats_sum(stats, "ql_state_bytes", "part=\"normalise\""), series * 16);
    assert_true(ql_stats_sum(stats, "ql_state_bytes", "part=\"series\"") > series * 64);
    assert_true(ql_stats_sum(stats, "ql_state_bytes", "part=\"detect\"") > series * 248);
    ql_batch_fini(&batch);
    ql_machine_close(machine);
    free(machine);
    ql_stats_free(stats);
}

static void shards_and_checkpoints_do_not_show(void **state)
{
    static const struct { uint32_t shards; bool saved; } ways[] = {
        { 1, false }, { 2, false }, { 7, false }, { 1, true }, { 3, true },
    };
    (void)state;
    struct seen first, other;
    day_run(1, false, &first);
    for (uint32_t i = 0; i < first.count; i++) {
        print_message("%s\n", first.texts[i]);
    }
    assert_int_equal(first.count, 8); /* two SLOs, a page and a ticket each, open and close */
    assert_non_null(strstr(first.texts[2], "open critical SLO good: burn rate"));
    for (uint32_t i = 0; i < QL_COUNT_OF(ways); i++) {
        day_run(ways[i].shards, ways[i].saved, &other);
        if (other.count != first.count || other.digest != first.digest) {
            fail_msg("%u shards, %s: something else", ways[i].shards,
                     ways[i].saved ? "saved" : "in one go");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shards_and_checkpoints_do_not_show) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
