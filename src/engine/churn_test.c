/* churn_test - a week of pods that live for minutes, many more than there may be entities: each has
 * its name when it comes, what is open keeps its own, those that are gone make room (idle for four
 * days, and before when it is crowded), and all state saved and loaded in between does not show.
 *
 * A fleet of hosts goes on throughout; now and then a new service calls a new host. */
#include "engine/machine_test.h"

enum { DAYS = 7, IDLE_DAYS = 4, TICK_S = 60, STEPS = DAYS * 1440, END = STEPS + 30, PODS = 17,
       LIFE = 3, HOSTS = 20, SERVICE_EVERY = 30, ENTITIES_MAX = 100000 };
#define START_S INT64_C(1767571200)

struct churn { uint64_t digest; int64_t entities_most, series_most; char first[200], last[200]; };

static ql_time step_time(int step, int64_t ms)
{
    return (ql_time){ (START_S + (int64_t)step * TICK_S) * QL_NS_PER_S + ms * 1000000 };
}

static void step_samples(struct ql_batch *batch, int step)
{
    char text[128];
    ql_batch_reset(batch);
    for (int i = 0; i < HOSTS; i++) {
        (void)snprintf(text, sizeof(text), "steady{host=\"h%d\"}", i);
        run_of_one(batch, text, QL_METRIC_GAUGE, step_time(step, 0), 50.0 + (step * 7 + i) % 5);
    }
    for (int born = step; born > step - LIFE && born >= 0 && step < STEPS; born--) {
        for (int i = 0; i < PODS; i++) {
            (void)snprintf(text, sizeof(text), "job{pod=\"p%d-%d\"}", born, i);
            run_of_one(batch, text, QL_METRIC_GAUGE, step_time(step, 0), 10.0 + step % 3);
        }
    }
    if (step % SERVICE_EVERY == 0 && step < STEPS) {
        struct ql_span *span = ql_batch_add_span(batch);
        span->span_id = (uint64_t)step + 1;
        span->kind = 2;
        span->start = step_time(step, -1000);
        span->duration = QL_MS(10);
        span->service = ql_batch_printf(batch, "pr-%d", step);
        span->peer = ql_batch_printf(batch, "db-%d", step);
    }
}

static void alert_input(struct ql_machine *machine, struct ql_batch *batch, int step,
                        const char *labels, ql_time ends)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(labels), &block), QL_OK);
    ql_batch_reset(batch);
    struct ql_alert_in *in = ql_batch_add_alert_in(batch);
    *in = (struct ql_alert_in){ .labels = ql_batch_text(batch, ql_buf_view(&block)),
                                .starts = step_time(step, 0), .ends = ends };
    assert_int_equal(ql_machine_input(machine, step_time(step, 1), batch), QL_OK);
    ql_buf_fini(&block);
}

/* The pod that fell in the first minute is open until the end; the last one falls then. */
static void step_alerts(struct ql_machine *machine, struct ql_batch *batch, int step)
{
    const ql_time later = step_time(2 * STEPS, 0);
    char last[64];
    if (step == 1) {
        alert_input(machine, batch, step, "{alertname=\"Fell\",pod=\"p0-0\",severity=\"critical\"}",
                    later);
    } else if (step == STEPS) {
        alert_input(machine, batch, step, "{alertname=\"Fell\",pod=\"p0-0\",severity=\"critical\"}",
                    step_time(step, 0));
        (void)snprintf(last, sizeof(last),
                       "{alertname=\"Late\",pod=\"p%d-0\",severity=\"critical\"}", STEPS - 1);
        alert_input(machine, batch, step, last, later);
    }
}

/* Every pod that is born in this step is named in it. */
static void named_check(const struct ql_batch *bus, int step)
{
    char prefix[32];
    uint32_t named = 0;
    const int bytes = snprintf(prefix, sizeof(prefix), "pod/p%d-", step);
    for (uint32_t i = 0; i < bus->entities.count; i++) {
        const ql_str name = bus->entities.at[i].name;
        named += name.bytes > (size_t)bytes && memcmp(name.at, prefix, (size_t)bytes) == 0;
    }
    assert_int_equal(named, step < STEPS ? PODS : 0);
}

static void churn_take(struct churn *churn, const struct ql_machine *machine,
                       const struct ql_batch *bus, struct ql_stats *stats)
{
    struct ql_buf digests;
    ql_buf_init(&digests, 65536);
    (void)ql_machine_digests(machine, &digests);
    const uint64_t words[] = { churn->digest, ql_hash64(digests.at, digests.bytes) };
    churn->digest = ql_hash64(words, sizeof(words));
    ql_buf_fini(&digests);
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        const struct ql_incident *in = &bus->incidents.at[i];
        char *to = in->event == QL_INC_RESOLVED ? churn->first
                   : in->event == QL_INC_OPENED ? churn->last : NULL;
        if (to != NULL) {
            (void)snprintf(to, sizeof(churn->first), "%.*s", QL_STR_ARG(in->title));
        }
    }
    const int64_t entities = ql_stats_sum(stats, "ql_names", "of=\"entities\"");
    const int64_t series = ql_stats_sum(stats, "ql_series", "");
    churn->entities_most = entities > churn->entities_most ? entities : churn->entities_most;
    churn->series_most = series > churn->series_most ? series : churn->series_most;
}

static struct ql_machine *machine_open(uint32_t shards, struct ql_stats *stats)
{
    char yaml[128];
    (void)snprintf(yaml, sizeof(yaml),
                   "limits: {series_max: 200000, series_idle: %dd}\nengine: {shards: %u}\n",
                   IDLE_DAYS, shards);
    return machine_of(yaml, stats);
}

static struct ql_machine *machine_again(struct ql_machine *machine, uint32_t shards,
                                        struct ql_stats *stats)
{
    struct ql_buf saved;
    machine_put_away(machine, &saved);
    return machine_resume(machine_open(shards, stats), &saved);
}

static void counts_check(struct ql_stats *stats)
{
    static const char *const lost[] = {
        "cardinality", "peers_full", "topology_full", "batch_full",
    };
    for (size_t i = 0; i < QL_COUNT_OF(lost); i++) {
        assert_int_equal(ql_stats_sum(stats, "ql_records_dropped_total", lost[i]), 0);
    }
    assert_int_equal(ql_stats_sum(stats, "ql_records_lost_total", ""), 0);
    /* A service's zeros go on for a day, then its series are idle; a host has neither. */
    const int64_t a_day = 1440 / SERVICE_EVERY;
    const int64_t services = ql_stats_sum(stats, "ql_names", "of=\"services\"");
    const int64_t peers = ql_stats_sum(stats, "ql_names", "of=\"peers\"");
    assert_true(services > IDLE_DAYS * a_day && services <= (IDLE_DAYS + 1) * a_day + 2);
    assert_true(peers > (IDLE_DAYS - 1) * a_day && peers <= IDLE_DAYS * a_day + 2);
    assert_int_equal(services + ql_stats_sum(stats, "ql_names_retired_total", "of=\"services\""),
                     STEPS / SERVICE_EVERY);
    assert_int_equal(peers + ql_stats_sum(stats, "ql_names_retired_total", "of=\"peers\""),
                     STEPS / SERVICE_EVERY);
    assert_true(ql_stats_sum(stats, "ql_names_retired_total", "of=\"entities\"") >
                STEPS * PODS - ENTITIES_MAX);
}

static void weeks_run(uint32_t shards, int saved_every, struct churn *churn)
{
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_machine *machine = machine_open(shards, stats);
    struct ql_batch batch;
    *churn = (struct churn){ .digest = 0 };
    ql_batch_init(&batch, 1 << 22);
    for (int step = 0; step < END; step++) {
        step_samples(&batch, step);
        assert_int_equal(ql_machine_input(machine, step_time(step, 1), &batch), QL_OK);
        step_alerts(machine, &batch, step);
        const struct ql_batch *bus = ql_machine_tick(machine, step_time(step, 2));
        named_check(bus, step);
        churn_take(churn, machine, bus, stats);
        if (saved_every > 0 && step % saved_every == saved_every - 1) {
            machine = machine_again(machine, shards, stats);
        }
    }
    counts_check(stats);
    ql_batch_fini(&batch);
    ql_machine_close(machine);
    free(machine);
    ql_stats_free(stats);
}

static void names_come_and_go(void **state)
{
    enum { SHARDS = 2, SAVED_EVERY = 2003 };
    struct churn whole, parts;
    (void)state;
    _Static_assert(STEPS * PODS > ENTITIES_MAX / 2 * 3, "more than there may be");
    weeks_run(SHARDS, 0, &whole);
    print_message("at most %lld entities, %lld series; \"%s\", \"%s\"\n",
                  (long long)whole.entities_most, (long long)whole.series_most, whole.first,
                  whole.last);
    assert_true(whole.entities_most < ENTITIES_MAX);
    assert_string_equal(whole.first, "p0-0: Fell");
    assert_string_equal(whole.last, "p10079-0: Late");
    weeks_run(SHARDS, SAVED_EVERY, &parts);
    assert_true(parts.digest == whole.digest);
    assert_string_equal(parts.first, whole.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names_come_and_go) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
