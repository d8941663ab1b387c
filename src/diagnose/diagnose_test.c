/* The stage: an incident makes it ask, windows make it answer, silence makes it say nothing. */
#include "diagnose/diagnose.h"

#include "base/rng.h"
#include "config/config.h"
#include "model/entity.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_S INT64_C(1800000000)
#define T(s) ((ql_time){ (START_S + (s)) * QL_NS_PER_S })

struct world {
    struct ql_config config;
    struct ql_stats *stats;
    struct ql_topology *topology;
    void *stage;
    struct ql_batch bus;
    struct ql_window_request requests[512];
    uint32_t request_count, asked_at[32], ask_count;
    uint32_t cause_count, list_count;
    char best[128], evidence[512];
    double confidence;
    uint64_t digest;
};

static ql_entity_id entity(const char *name)
{
    return ql_entity_id_of(ql_str_of(name));
}

static void knows(struct world *w, const char *name)
{
    assert_int_equal(ql_topology_see(w->topology, entity(name), ql_str_of(name)), QL_OK);
}

static void calls(struct world *w, const char *caller, const char *callee)
{
    const struct ql_edge e = { .caller = entity(caller), .callee = entity(callee), .at = T(0) };
    assert_int_equal(ql_topology_link(w->topology, &e), QL_OK);
}

static void world_open(struct world *w)
{
    w->config = (struct ql_config){ .baseline_s = 3600.0 };
    w->stats = ql_stats_new(64);
    assert_int_equal(ql_topology_new(&w->topology), QL_OK);
    const struct ql_stage_env env = { .config = &w->config, .topology = w->topology,
                                      .stats = w->stats, .shard_count = 1 };
    assert_int_equal(ql_diagnose_stage.open(&env, &w->stage), QL_OK);
    ql_batch_init(&w->bus, 64u << 20);
    static const char *const names[] = { "service/frontend", "service/checkout",
                                         "service/payment", "service/other" };
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        knows(w, names[i]);
    }
    calls(w, "service/frontend", "service/checkout");
    calls(w, "service/checkout", "service/payment");
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    world_open(w);
    return w;
}

static void world_shut(struct world *w)
{
    ql_diagnose_stage.close(w->stage);
    ql_topology_free(w->topology);
    ql_stats_free(w->stats);
    ql_batch_fini(&w->bus);
}

static void world_free(struct world *w)
{
    world_shut(w);
    free(w);
}

static void incident(struct world *w, enum ql_incident_event event, uint32_t member_count)
{
    *ql_batch_add_incident(&w->bus) = (struct ql_incident){
        .id = { 1 }, .event = event, .entity = entity("service/frontend"), .onset = T(0),
        .opened = T(20), .updated = T(20), .title = QL_STR("t"), .by = QL_STR("engine"),
        .alert_count = member_count, .resolved = QL_TIME_NONE,
        .state = event == QL_INC_RESOLVED ? QL_INCIDENT_RESOLVED : QL_INCIDENT_OPEN };
}

static void member(struct world *w, const char *at, const char *name)
{
    *ql_batch_add_member(&w->bus) = (struct ql_member){
        .incident = { 1 }, .id = { 5 }, .kind = QL_MEMBER_ALERT, .entity = entity(at),
        .name = ql_str_of(name), .labels = QL_STR(""), .since = T(10), .joined = T(20),
        .ended = QL_TIME_NONE, .why = QL_STR("") };
}

/* An hour before and some minutes after T(0), every 15 s: `level`, then `after`. */
static void window(struct world *w, const char *at, const char *metric, double level,
                   double after, int until_s)
{
    struct ql_rng rng;
    ql_rng_init(&rng, 3, metric);
    const uint32_t first = w->bus.samples.count;
    for (int t = -3600; t <= until_s; t += 15) {
        *ql_batch_add_sample(&w->bus) = (struct ql_sample){
            T(t), (t < 0 ? level : after) * (1.0 + 0.05 * ql_rng_normal(&rng)) };
    }
    const uint64_t series = ql_hash64(metric, strlen(metric)) ^ entity(at).v;
    *ql_batch_add_window(&w->bus) = (struct ql_window){
        .incident = { 1 }, .series = { { series, 1 } }, .entity = entity(at),
        .metric = ql_str_of(metric), .labels = QL_STR(""), .sample_first = first,
        .sample_count = w->bus.samples.count - first };
}

static void fault_windows(struct world *w, int now_s)
{
    window(w, "service/frontend", "request_latency", 0.2, 2.0, now_s);
    window(w, "service/checkout", "request_latency", 0.1, 1.9, now_s);
    window(w, "service/checkout", "db_connections_in_use", 12, 90, now_s);
    window(w, "service/payment", "request_latency", 0.05, 0.05, now_s);
    window(w, "service/payment", "cpu_ratio", 0.3, 0.3, now_s);
}

static void step(struct world *w, int now_s)
{
    ql_diagnose_stage.push(w->stage, T(now_s), &w->bus);
    ql_diagnose_stage.tick(w->stage, T(now_s), &w->bus);
    w->request_count = w->bus.window_requests.count;
    for (uint32_t i = 0; i < w->request_count; i++) {
        w->requests[i] = w->bus.window_requests.at[i];
    }
    if (w->request_count > 0 && w->ask_count < QL_COUNT_OF(w->asked_at)) {
        w->asked_at[w->ask_count++] = (uint32_t)now_s;
    }
    w->cause_count = w->bus.causes.count;
    for (uint32_t i = 0; i < w->cause_count; i++) {
        const struct ql_cause *cause = &w->bus.causes.at[i];
        assert_int_equal(cause->rank, i + 1);
        if (i == 0) {
            w->list_count++;
            w->confidence = cause->confidence;
            (void)snprintf(w->best, sizeof w->best, "%.*s %.*s",
                           QL_STR_ARG(ql_topology_name(w->topology, cause->entity)),
                           QL_STR_ARG(cause->metric));
            (void)snprintf(w->evidence, sizeof w->evidence, "%.*s",
                           QL_STR_ARG(cause->evidence));
        }
    }
    w->digest = ql_batch_digest(&w->bus, QL_LIST_causes, 0, w->digest);
    w->digest = ql_batch_digest(&w->bus, QL_LIST_window_requests, 0, w->digest);
    ql_batch_reset(&w->bus);
}

static bool asked_for(const struct world *w, const char *name)
{
    for (uint32_t i = 0; i < w->request_count; i++) {
        if (w->requests[i].entity.v == entity(name).v) {
            assert_int_equal(w->requests[i].incident.v, 1);
            assert_true(w->requests[i].from.ns == T(-3600).ns);
            return true;
        }
    }
    return false;
}

static void an_incident_is_diagnosed(void **state)
{
    (void)state;
    struct world *w = world_new();
    incident(w, QL_INC_OPENED, 1);
    member(w, "service/frontend", "HighLatency");
    step(w, 60);
    assert_int_equal(w->request_count, 3);
    assert_true(asked_for(w, "service/frontend")); /* the member */
    assert_true(asked_for(w, "service/checkout")); /* what it calls */
    assert_true(asked_for(w, "service/payment"));  /* two hops on */
    assert_false(asked_for(w, "service/other"));

    fault_windows(w, 61);
    step(w, 61);
    assert_string_equal(w->best, "service/checkout db_connections_in_use");
    assert_true(w->confidence > 0.6);
    print_message("%.2f %s\n", w->confidence, w->evidence);
    assert_non_null(strstr(w->evidence, "db_connections_in_use rose from 1"));
    world_free(w);
}

static void it_asks_again_but_not_all_the_time(void **state)
{
    (void)state;
    struct world *w = world_new();
    incident(w, QL_INC_OPENED, 1);
    member(w, "service/frontend", "HighLatency");
    for (int t = 60; t < 1500; t++) {
        if (t == 70 || t == 72) {
            incident(w, QL_INC_GREW, (uint32_t)t); /* new members: once, 15 s after asking */
        }
        step(w, t);
    }
    static const uint32_t want[] = { 60, 75, 195, 495, 1095 };
    assert_int_equal(w->ask_count, QL_COUNT_OF(want));
    for (size_t i = 0; i < QL_COUNT_OF(want); i++) {
        assert_int_equal(w->asked_at[i], want[i]);
    }
    incident(w, QL_INC_RESOLVED, 80);
    step(w, 1500);
    for (int t = 1501; t < 4000; t += 10) {
        step(w, t);
    }
    assert_int_equal(w->ask_count, QL_COUNT_OF(want)); /* resolved: nothing to ask */
    world_free(w);
}

static void without_evidence_it_names_nobody(void **state)
{
    (void)state;
    struct world *w = world_new();
    incident(w, QL_INC_OPENED, 1);
    step(w, 60); /* members unknown: nothing to ask for */
    window(w, "service/frontend", "request_latency", 0.2, 0.2, 61);
    window(w, "service/checkout", "request_latency", 0.1, 0.1, 61);
    step(w, 61);
    assert_int_equal(w->list_count, 0);
    assert_int_equal(ql_stats_sum(w->stats, "ql_diagnoses_unsure_total", ""), 1);
    world_free(w);
}

static void an_unchanged_answer_is_not_repeated(void **state)
{
    (void)state;
    struct world *w = world_new();
    incident(w, QL_INC_OPENED, 1);
    member(w, "service/frontend", "HighLatency");
    step(w, 200);
    fault_windows(w, 201);
    step(w, 201);
    assert_int_equal(w->list_count, 1);
    for (int t = 202; t < 700; t++) {
        if (w->request_count > 0) {
            fault_windows(w, t);
        }
        step(w, t);
    }
    assert_true(w->ask_count >= 3);
    assert_int_equal(w->list_count, 1);
    world_free(w);
}

static void it_replays_also_from_a_checkpoint(void **state)
{
    (void)state;
    uint64_t digests[2] = { 0, 0 };
    for (int cut = 0; cut < 2; cut++) {
        struct world *w = world_new();
        incident(w, QL_INC_OPENED, 1);
        member(w, "service/frontend", "HighLatency");
        step(w, 60);
        if (cut == 1) { /* the process ends between asking and the answer */
            struct ql_buf saved;
            ql_buf_init(&saved, 64u << 20);
            assert_int_equal(ql_diagnose_stage.save(w->stage, &saved), QL_OK);
            world_shut(w);
            world_open(w);
            struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
            const uint32_t version = ql_diagnose_stage.state_version;
            assert_int_equal(ql_diagnose_stage.load(w->stage, version, &in), QL_OK);
            for (size_t bytes = 0; bytes < saved.bytes; bytes += 7) {
                struct world *broken = world_new();
                in = ql_reader_of((ql_str){ saved.at, bytes });
                assert_int_equal(ql_diagnose_stage.load(broken->stage, version, &in),
                                 QL_E_MALFORMED);
                world_free(broken);
            }
            ql_buf_fini(&saved);
        }
        for (int t = 61; t < 700; t++) {
            if (w->request_count > 0) {
                fault_windows(w, t);
            }
            step(w, t);
        }
        assert_true(w->list_count >= 1);
        digests[cut] = w->digest;
        world_free(w);
    }
    assert_true(digests[0] == digests[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_incident_is_diagnosed),
        cmocka_unit_test(it_asks_again_but_not_all_the_time),
        cmocka_unit_test(without_evidence_it_names_nobody),
        cmocka_unit_test(an_unchanged_answer_is_not_repeated),
        cmocka_unit_test(it_replays_also_from_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
