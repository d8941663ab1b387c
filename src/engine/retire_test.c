/* retire_test - generations of pods through the whole machine, more than the table takes at once:
 * each new one is taken, the old ones are forgotten with what was open of them, and all state
 * saved and loaded in between does not show.
 *
 * A steady fleet goes on throughout and in the end alone; of each generation one pod errs just before it ends. */
#include "engine/machine_test.h"

#include <math.h>

enum { STEADY = 40, PODS = 6, METRICS = 10, STEP_S = 15, LIFE = 160,
       GENERATIONS = 20, ALONE = 3200, STEPS = GENERATIONS * LIFE + ALONE };
#define START_S INT64_C(1767571200)

struct seen { uint64_t digest; uint32_t opened, closed, forgotten; char forgot[200]; };

static struct ql_machine *machine_open(const char *limits, uint32_t shards, struct ql_stats *stats)
{
    char yaml[1024];
    (void)snprintf(yaml, sizeof(yaml),
                   "limits: {%s}\nengine: {shards: %u}\nslos:\n"
                   "  - {name: good, target: 99, match: 'm0{app=\"web\"}', above: 1e9}\n"
                   "policies:\n  - {name: low, match: 'm1', importance: low, valid_range: [0, 1e6]}\n"
                   "tenants:\n  - {name: web, match: '{app=\"web\"}', signals_per_day: 20}\n",
                   limits, shards);
    return machine_of(yaml, stats);
}

static void run_add(struct ql_batch *batch, const char *text, int step, double value)
{
    const ql_time at = { (START_S + (int64_t)step * STEP_S) * QL_NS_PER_S };
    run_of_one(batch, text, QL_METRIC_GAUGE, at, value);
}

/* In the last minutes pod 3 leaves everything behind, two of its metrics beyond their range. */
static double value_of(int generation, int pod, int metric, int step)
{
    const int age = step % LIFE;
    const double usual = 50.0 + 10.0 * metric + 5.0 * sin(0.1 * step + metric) +
                         0.7 * sin(1.7 * step * (pod + 1));
    const bool odd = generation >= 0 && pod == 3 && age >= LIFE - 12;
    return odd ? (metric == 1 ? 2e6 : usual * 9.0) : usual;
}

static void step_batch(struct ql_batch *batch, int step)
{
    const int generation = step / LIFE;
    char text[128];
    ql_batch_reset(batch);
    for (int i = 0; i < STEADY; i++) {
        (void)snprintf(text, sizeof(text), "steady{host=\"h%d\"}", i);
        run_add(batch, text, step, value_of(-1, i, 0, step));
    }
    for (int pod = 0; pod < PODS && generation < GENERATIONS; pod++) {
        for (int metric = 0; metric < METRICS; metric++) {
            (void)snprintf(text, sizeof(text), "m%d{app=\"web\",pod=\"web-%d-%d\"}", metric,
                           generation, pod);
            run_add(batch, text, step, value_of(generation, pod, metric, step));
        }
    }
}

static void seen_take(struct seen *seen, const struct ql_machine *machine,
                      const struct ql_batch *bus)
{
    struct ql_buf digests;
    ql_buf_init(&digests, 65536);
    (void)ql_machine_digests(machine, &digests);
    const uint64_t words[] = { seen->digest, ql_hash64(digests.at, digests.bytes) };
    seen->digest = ql_hash64(words, sizeof(words));
    ql_buf_fini(&digests);
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        const struct ql_signal *s = &bus->signals.at[i];
        if (memmem(s->labels.at, s->labels.bytes, "web-", 4) == NULL) {
            continue;
        }
        seen->opened += s->phase == QL_PHASE_OPEN;
        seen->closed += s->phase == QL_PHASE_CLOSE;
        if (memmem(s->why.at, s->why.bytes, "forgotten", 9) != NULL) {
            assert_int_equal(s->phase, QL_PHASE_CLOSE);
            assert_true(s->labels.bytes > 0 && s->metric.bytes > 0);
            (void)snprintf(seen->forgot, sizeof(seen->forgot), "%.*s", QL_STR_ARG(s->why));
            seen->forgotten++;
        }
    }
}

static struct ql_machine *machine_again(struct ql_machine *machine, const char *limits,
                                        uint32_t shards, struct ql_stats *stats)
{
    struct ql_buf saved;
    machine_put_away(machine, &saved);
    return machine_resume(machine_open(limits, shards, stats), &saved);
}

static ql_time step_time(int step)
{
    return (ql_time){ (START_S + (int64_t)step * STEP_S + 1) * QL_NS_PER_S };
}

static void days_run(uint32_t shards, int saved_every, struct seen *seen)
{
    static const char limits[] = "series_max: 1000, series_idle: 12h";
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_machine *machine = machine_open(limits, shards, stats);
    struct ql_batch batch;
    *seen = (struct seen){ .digest = 0 };
    ql_batch_init(&batch, 1 << 22);
    for (int step = 0; step < STEPS; step++) {
        step_batch(&batch, step);
        assert_int_equal(ql_machine_input(machine, step_time(step), &batch), QL_OK);
        seen_take(seen, machine, ql_machine_tick(machine, step_time(step)));
        if (saved_every > 0 && step % saved_every == saved_every - 1) {
            machine = machine_again(machine, limits, shards, stats);
        }
    }
    assert_int_equal(ql_stats_sum(stats, "ql_records_dropped_total", "cardinality"), 0);
    assert_int_equal(ql_stats_sum(stats, "ql_records_lost_total", ""), 0);
    const int64_t retired = ql_stats_sum(stats, "ql_series_retired_total", "");
    const int64_t series = ql_stats_sum(stats, "ql_series", "");
    assert_int_equal(retired, GENERATIONS * PODS * METRICS);
    assert_int_equal(series, STEADY);
    ql_batch_fini(&batch);
    ql_machine_close(machine);
    free(machine);
    ql_stats_free(stats);
}

static void checkpoints_do_not_show(void **state)
{
    static const struct { uint32_t shards; int saved_every; } ways[] = {
        { 1, 61 }, { 2, 127 }, /* at every age of a generation */
    };
    struct seen first[3], other;
    (void)state;
    days_run(1, 0, &first[1]);
    days_run(2, 0, &first[2]);
    print_message("%u opened, %u closed, of them %u forgotten: %s\n", first[1].opened,
                  first[1].closed, first[1].forgotten, first[1].forgot);
    assert_true(first[1].forgotten > 0);
    assert_int_equal(first[1].opened, first[1].closed);
    for (uint32_t i = 0; i < QL_COUNT_OF(ways); i++) {
        days_run(ways[i].shards, ways[i].saved_every, &other);
        if (other.digest != first[ways[i].shards].digest) {
            fail_msg("%u shards, saved every %d steps: something else", ways[i].shards,
                     ways[i].saved_every);
        }
    }
}

/* The steady go on; of what is idle only as many stay as the lower limit takes. */
static void a_lower_limit_loads(void **state)
{
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_machine *machine = machine_open("series_max: 5000", 1, stats);
    struct ql_batch batch;
    (void)state;
    ql_batch_init(&batch, 1 << 22);
    for (int step = 0; step < 18 * LIFE; step += 10) {
        step_batch(&batch, step);
        assert_int_equal(ql_machine_input(machine, step_time(step), &batch), QL_OK);
        (void)ql_machine_tick(machine, step_time(step));
    }
    assert_int_equal(ql_shard_series_count(machine->shards[0]), STEADY + 18 * PODS * METRICS);
    machine = machine_again(machine, "series_max: 1000", 1, stats);
    assert_int_equal(ql_shard_series_count(machine->shards[0]), STEADY + 18 * PODS * METRICS);
    assert_int_equal(ql_shard_series_max(machine->shards[0]), 1000);
    for (int step = 18 * LIFE; step < 19 * LIFE; step += 10) {
        step_batch(&batch, step);
        assert_int_equal(ql_machine_input(machine, step_time(step), &batch), QL_OK);
        (void)ql_machine_tick(machine, step_time(step));
    }
    assert_true(ql_shard_series_count(machine->shards[0]) <= 1000);
    machine = machine_again(machine, "series_max: 1000", 1, stats);
    assert_true(ql_shard_series_count(machine->shards[0]) <= 1000);
    ql_batch_fini(&batch);
    ql_machine_close(machine);
    free(machine);
    ql_stats_free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_do_not_show),
        cmocka_unit_test(a_lower_limit_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
