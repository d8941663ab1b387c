/* Stories in virtual time: what becomes one incident, what does not, and how it ends. */
#include "correlate/correlate.h"

#include "config/config.h"
#include "model/entity.h"
#include "model/labels.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEN_MAX 4096u
#define CO_VERSION (ql_correlate_stage.state_version)
#define T(s) ((ql_time){ (INT64_C(1800000000) + (s)) * QL_NS_PER_S })

struct seen { uint64_t id; enum ql_incident_event event; struct ql_incident at; char title[128]; };

/* One engine core with only this stage, and all that it ever said. */
struct world {
    struct ql_config config;
    struct ql_stats *stats;
    struct ql_topology *topology;
    void *stage;
    struct ql_batch bus;
    struct seen seen[SEEN_MAX];
    uint32_t seen_count, member_count, audit_count;
    char why[256], audit[256]; /* of the newest member and audit */
    uint64_t digest;
};

static struct ql_declared_edge world_edges[] = {
    { "frontend", "checkout" }, { "checkout", "payment" }, { "checkout", "db" },
    { "catalogue", "db" },      { "search", "index" },
};

static void world_open(struct world *w)
{
    w->config = (struct ql_config){ .join_s = 300.0, .close_s = 600.0, .hops_max = 2,
                                    .edges = world_edges,
                                    .edge_count = QL_COUNT_OF(world_edges) };
    w->stats = ql_stats_new(64);
    assert_int_equal(ql_topology_new(&w->topology), QL_OK);
    const struct ql_stage_env env = { .config = &w->config, .topology = w->topology,
                                      .stats = w->stats, .shard_count = 1 };
    assert_int_equal(ql_correlate_stage.open(&env, &w->stage), QL_OK);
    ql_batch_init(&w->bus, 64u << 20);
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
    ql_correlate_stage.close(w->stage);
    ql_topology_free(w->topology);
    ql_stats_free(w->stats);
    ql_batch_fini(&w->bus);
}

static void world_free(struct world *w)
{
    world_shut(w);
    free(w);
}

static ql_entity_id entity(const char *name)
{
    struct ql_buf full;
    ql_buf_init(&full, 256);
    ql_entity_of_name(ql_str_of(name), &full);
    const ql_entity_id id = name[0] == '\0' ? (ql_entity_id){ 0 }
                                            : ql_entity_id_of(ql_buf_view(&full));
    ql_buf_fini(&full);
    return id;
}

static uint64_t text_hash(const char *a, const char *b)
{
    char both[256];
    const int bytes = snprintf(both, sizeof both, "%s|%s", a, b);
    return ql_hash64(both, (size_t)bytes);
}

static void alert(struct world *w, const char *at, const char *name, int starts_s, int ends_s,
                  bool firing)
{
    struct ql_alert *a = ql_batch_add_alert(&w->bus);
    *a = (struct ql_alert){ .id = { text_hash(at, name) }, .entity = entity(at),
                            .name = ql_str_of(name), .labels = QL_STR(""), .starts = T(starts_s),
                            .ends = ends_s < 0 ? QL_TIME_NONE : T(ends_s), .firing = firing };
}

static void fires(struct world *w, const char *at, const char *name, int starts_s)
{
    alert(w, at, name, starts_s, -1, true);
}

static void ends(struct world *w, const char *at, const char *name, int ends_s)
{
    alert(w, at, name, 0, ends_s, false);
}

static void signal_kind(struct world *w, const char *at, const char *metric, int onset_s,
                        double surprise, enum ql_phase phase, enum ql_signal_kind kind)
{
    struct ql_signal *s = ql_batch_add_signal(&w->bus);
    const uint64_t series = text_hash(at, metric);
    const uint64_t id = ql_hash64((const uint64_t[]){ series, (uint64_t)onset_s }, 16);
    *s = (struct ql_signal){ .id = { id }, .series = { { series, 1 } }, .entity = entity(at),
                             .metric = ql_str_of(metric), .labels = QL_STR(""), .kind = kind,
                             .phase = phase, .onset = T(onset_s), .at = T(onset_s),
                             .surprise = surprise, .why = QL_STR("odd") };
}

static void odd(struct world *w, const char *at, const char *metric, int onset_s, double surprise)
{
    signal_kind(w, at, metric, onset_s, surprise, QL_PHASE_OPEN, QL_SIGNAL_LEVEL_SHIFT);
}

static void fine(struct world *w, const char *at, const char *metric, int onset_s)
{
    signal_kind(w, at, metric, onset_s, 6.0, QL_PHASE_CLOSE, QL_SIGNAL_LEVEL_SHIFT);
}

static void command(struct world *w, enum ql_command_kind kind, uint64_t incident)
{
    struct ql_command *c = ql_batch_add_command(&w->bus);
    *c = (struct ql_command){ .kind = kind, .incident = { incident }, .by = QL_STR("ana"),
                              .entity = QL_STR(""), .note = QL_STR("") };
}

static void change(struct world *w, const char *at, int at_s, const char *link)
{
    struct ql_change *c = ql_batch_add_change(&w->bus);
    *c = (struct ql_change){ .id = { text_hash(at, link) }, .entity = entity(at), .at = T(at_s),
                             .kind = QL_STR("deploy"), .summary = QL_STR("release 42"),
                             .source = QL_STR("ci"), .link = ql_str_of(link) };
}

static void remember(struct world *w)
{
    for (uint32_t i = 0; i < w->bus.incidents.count; i++) {
        const struct ql_incident *in = &w->bus.incidents.at[i];
        assert_true(w->seen_count < SEEN_MAX);
        struct seen *s = &w->seen[w->seen_count++];
        *s = (struct seen){ in->id.v, in->event, *in, "" };
        (void)snprintf(s->title, sizeof s->title, "%.*s", QL_STR_ARG(in->title));
    }
    for (uint32_t i = 0; i < w->bus.members.count; i++) {
        (void)snprintf(w->why, sizeof w->why, "%.*s", QL_STR_ARG(w->bus.members.at[i].why));
    }
    for (uint32_t i = 0; i < w->bus.audits.count; i++) {
        (void)snprintf(w->audit, sizeof w->audit, "%.*s", QL_STR_ARG(w->bus.audits.at[i].detail));
    }
    w->member_count += w->bus.members.count;
    w->audit_count += w->bus.audits.count;
    w->digest = ql_batch_digest(&w->bus, QL_LIST_incidents, 0, w->digest);
    w->digest = ql_batch_digest(&w->bus, QL_LIST_members, 0, w->digest);
}

/* What was put on the bus happens now; then time passes. */
static void step(struct world *w, int now_s)
{
    ql_correlate_stage.push(w->stage, T(now_s), &w->bus);
    ql_correlate_stage.tick(w->stage, T(now_s), &w->bus);
    remember(w);
    ql_batch_reset(&w->bus);
}

static uint32_t count_of(const struct world *w, enum ql_incident_event event)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        count += w->seen[i].event == event;
    }
    return count;
}

static const struct seen *last_of(const struct world *w, uint64_t id)
{
    const struct seen *last = NULL;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        last = w->seen[i].id == id ? &w->seen[i] : last;
    }
    assert_non_null(last);
    return last;
}

/* ---- what is one incident ---- */

static void a_router_and_its_300_interfaces_are_one_incident(void **state)
{
    (void)state;
    for (int router_first = 0; router_first < 2; router_first++) {
        struct world *w = world_new();
        char name[64];
        for (int i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof name, "interface/eth%d", i);
            const struct ql_edge e = { .caller = entity(name), .callee = entity("device/r1"),
                                       .at = T(0), .source = QL_EDGE_LABEL };
            *ql_batch_add_edge(&w->bus) = e;
        }
        step(w, 0);
        for (int i = 0; i < 301; i++) {
            if (i == (router_first ? 0 : 300)) {
                fires(w, "device/r1", "RouterDown", 10);
            } else {
                (void)snprintf(name, sizeof name, "interface/eth%d", i % 300);
                fires(w, name, "InterfaceDown", 10 + i / 50);
            }
            if (i % 25 == 0) {
                step(w, 20 + i / 25);
            }
        }
        step(w, 60);
        assert_int_equal(count_of(w, QL_INC_OPENED), 1);
        assert_int_equal(count_of(w, QL_INC_MERGED), 0);
        assert_int_equal(last_of(w, 1)->at.alert_count, 301);
        assert_int_equal(last_of(w, 1)->at.raw_count, 301);
        assert_int_equal(last_of(w, 1)->at.entity_count, 301);
        world_free(w);
    }
}

static void a_burning_budget_opens_alone_and_is_named(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct ql_buf labels;
    ql_buf_init(&labels, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("slo_burn_rate{severity=\"ticket\",slo=\"answers\"}"),
                                     &labels), QL_OK);
    signal_kind(w, "checkout", "slo_burn_rate", 0, 6.0, QL_PHASE_OPEN, QL_SIGNAL_BURN_RATE);
    w->bus.signals.at[0].importance = QL_IMPORTANCE_HIGH;
    w->bus.signals.at[0].labels = ql_batch_text(&w->bus, ql_buf_view(&labels));
    step(w, 10);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_string_equal(w->why, "opened the incident: an error budget burns");
    assert_string_equal(last_of(w, 1)->title, "checkout: SLO answers burn rate");
    ql_buf_fini(&labels);
    world_free(w);
}

static void two_faults_in_unconnected_parts_are_two_incidents(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    fires(w, "search", "HighLatency", 5);
    step(w, 10);
    fires(w, "frontend", "HighErrorRate", 40);
    fires(w, "index", "DiskFull", 45);
    step(w, 50);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    assert_int_equal(last_of(w, 1)->at.alert_count, 2);
    assert_int_equal(last_of(w, 2)->at.alert_count, 2);
    assert_string_equal(w->why, "search calls index, 1 hop, 40 s later");
    assert_string_equal(last_of(w, 1)->title, "checkout: HighLatency and 1 more");
    world_free(w);
}

static void a_hop_without_alerts_does_not_break_the_chain(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "payment", "DiskFull", 0);
    step(w, 10);
    fires(w, "frontend", "HighErrorRate", 60); /* checkout between them has no alert rule */
    step(w, 70);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_string_equal(w->why, "frontend calls payment, 2 hops, 60 s later");
    world_free(w);
}

static void weak_signals_wait_and_follow_the_incident_they_belong_to(void **state)
{
    (void)state;
    struct world *w = world_new();
    odd(w, "payment", "memory_bytes", 0, 6.0);
    odd(w, "index", "memory_bytes", 0, 6.0);
    step(w, 10);
    assert_int_equal(w->seen_count, 0); /* nobody is paged for one odd series */
    fires(w, "checkout", "HighLatency", 120);
    step(w, 130);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(last_of(w, 1)->at.signal_count, 1); /* payment's, not index's */
    assert_true(last_of(w, 1)->at.onset.ns == T(0).ns);
    assert_string_equal(w->why, "checkout calls payment, 1 hop, 2 min earlier");
    world_free(w);
}

static void two_odd_series_open_one_incident_and_resets_open_none(void **state)
{
    (void)state;
    struct world *w = world_new();
    signal_kind(w, "search", "cpu", 0, 20.0, QL_PHASE_OPEN, QL_SIGNAL_RESET);
    signal_kind(w, "search", "mem", 0, 20.0, QL_PHASE_OPEN, QL_SIGNAL_RESET);
    odd(w, "payment", "memory_bytes", 0, 6.0);
    step(w, 10);
    assert_int_equal(w->seen_count, 0);
    odd(w, "payment", "cpu_ratio", 100, 6.0);
    step(w, 110);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(last_of(w, 1)->at.signal_count, 2);
    assert_int_equal(last_of(w, 1)->at.raw_count, 2);
    world_free(w);
}

static void odd_of(struct world *w, const char *at, const char *metric, double surprise,
                   enum ql_importance importance)
{
    odd(w, at, metric, 0, surprise);
    w->bus.signals.at[w->bus.signals.count - 1].importance = importance;
}

static void importance_decides_what_opens_alone(void **state)
{
    (void)state;
    struct world *w = world_new();
    odd_of(w, "payment", "memory_bytes", 20.0, QL_IMPORTANCE_LOW);
    odd_of(w, "payment", "cpu_ratio", 6.0, QL_IMPORTANCE_NORMAL); /* no pair with a low one */
    step(w, 10);
    assert_int_equal(w->seen_count, 0);
    odd_of(w, "index", "queue_depth", 4.0, QL_IMPORTANCE_HIGH);
    step(w, 20);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    world_free(w);
}

/* Two disks of one host, or a disk and something that is odd there, are no incident; and the name
 * of a counter ("timeout", "uncorrect") is nothing that callers feel. */
static void failing_disks_open_none_unless_they_matter(void **state)
{
    (void)state;
    struct world *w = world_new();
    signal_kind(w, "payment", "smartctl_device_attribute", 0, 1.1, QL_PHASE_OPEN, QL_SIGNAL_DISK);
    signal_kind(w, "payment", "smartmon_command_timeout_errors", 0, 9.0, QL_PHASE_OPEN,
                QL_SIGNAL_DISK);
    odd(w, "payment", "memory_bytes", 0, 6.0);
    for (int at = 10; at < 3600; at += 60) {
        step(w, at);
    }
    assert_int_equal(w->seen_count, 0);
    signal_kind(w, "index", "smartctl_device_attribute", 3600, 1.1, QL_PHASE_OPEN,
                QL_SIGNAL_DISK);
    w->bus.signals.at[w->bus.signals.count - 1].importance = QL_IMPORTANCE_HIGH;
    step(w, 3610);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    world_free(w);
}

static void a_weak_symptom_that_lasts_opens_one(void **state)
{
    (void)state;
    struct world *w = world_new();
    odd(w, "payment", "request_latency_seconds", 0, 6.0);
    odd(w, "search", "room_temperature", 0, 6.0);
    for (int t = 10; t < 300; t += 10) {
        step(w, t);
        assert_int_equal(w->seen_count, 0);
    }
    step(w, 300);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_true(last_of(w, 1)->at.entity.v == entity("payment").v);
    step(w, 4000);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    world_free(w);
}

static void a_newcomer_between_two_incidents_merges_them(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.hops_max = 1;
    assert_int_equal(ql_correlate_stage.adopt_config(w->stage, &w->config), QL_OK);
    fires(w, "frontend", "HighErrorRate", 0);
    fires(w, "payment", "DiskFull", 0);
    step(w, 10);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    fires(w, "checkout", "HighLatency", 30);
    step(w, 40);
    assert_int_equal(count_of(w, QL_INC_MERGED), 1);
    assert_int_equal(last_of(w, 2)->at.merged_into.v, 1);
    assert_int_equal(last_of(w, 1)->at.alert_count, 3);
    assert_int_equal(last_of(w, 1)->at.raw_count, 3);
    command(w, QL_COMMAND_RESOLVE, 2);
    step(w, 50);
    assert_string_equal(w->audit, "refused: no such open incident");
    world_free(w);
}

static void a_new_call_edge_merges_what_it_joins(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    fires(w, "index", "DiskFull", 20);
    step(w, 30);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    *ql_batch_add_edge(&w->bus) = (struct ql_edge){
        .caller = entity("checkout"), .callee = entity("index"), .at = T(40), .calls = 9 };
    step(w, 40);
    assert_int_equal(count_of(w, QL_INC_MERGED), 1);
    assert_int_equal(last_of(w, 1)->at.entity_count, 2);
    world_free(w);
}

static void one_rollout_over_two_parts_joins_them(void **state)
{
    (void)state;
    for (int same = 0; same < 2; same++) {
        struct world *w = world_new();
        change(w, "checkout", 0, "https://ci/42");
        change(w, "index", 0, same ? "https://ci/42" : "https://ci/43");
        step(w, 10);
        fires(w, "checkout", "HighLatency", 60);
        step(w, 70);
        fires(w, "index", "HighLatency", 90);
        step(w, 100);
        assert_int_equal(count_of(w, QL_INC_OPENED), same ? 1 : 2);
        world_free(w);
    }
}

static void alerts_of_nobody_group_by_name(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 20; i++) {
        struct ql_alert *a = ql_batch_add_alert(&w->bus);
        *a = (struct ql_alert){ .id = { (uint64_t)i + 1 }, .firing = true, .starts = T(i),
                                .ends = QL_TIME_NONE, .labels = QL_STR(""),
                                .name = i < 10 ? QL_STR("CertExpires") : QL_STR("BackupFailed") };
    }
    step(w, 30);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    assert_string_equal(last_of(w, 1)->title, "CertExpires and 9 more");
    world_free(w);
}

/* ---- how it lives and ends ---- */

static void repeats_are_counted_not_joined_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int t = 0; t < 300; t += 15) {
        fires(w, "checkout", "HighLatency", 0);
        fires(w, "checkout", "HighLatency", 0);
        step(w, t);
    }
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(w->member_count, 1);
    assert_true(count_of(w, QL_INC_GREW) <= 5); /* told once a minute */
    ends(w, "checkout", "HighLatency", 305);
    step(w, 310);
    step(w, 1000);
    assert_int_equal(last_of(w, 1)->at.raw_count, 41);
    assert_int_equal(last_of(w, 1)->event, QL_INC_RESOLVED);
    assert_int_equal(last_of(w, 1)->at.alert_count, 1);
    world_free(w);
}

static void it_resolves_only_when_all_closed_long_enough(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    odd(w, "checkout", "db_connections_in_use", 0, 7.0);
    step(w, 10);
    ends(w, "checkout", "HighLatency", 100);
    step(w, 110);
    step(w, 5000); /* the signal's data may have stopped: that is no recovery */
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 0);
    fine(w, "checkout", "db_connections_in_use", 0);
    step(w, 5010);
    step(w, 5609);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 0);
    step(w, 5610);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
    assert_true(last_of(w, 1)->at.resolved.ns == T(5610).ns);
    world_free(w);
}

static void an_alert_ends_at_its_own_end_unless_sent_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    alert(w, "checkout", "HighLatency", 0, 240, true);
    step(w, 10);
    alert(w, "checkout", "HighLatency", 0, 440, true);
    step(w, 200);
    step(w, 300);
    assert_int_equal(w->member_count, 1); /* still lasts */
    step(w, 440);
    assert_int_equal(w->member_count, 2); /* told as ended */
    step(w, 1040);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
    world_free(w);
}

static void what_comes_back_reopens_and_what_is_new_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *story, *at, *name;
        int starts_s;
        bool reopens;
    } rows[] = {
        { "the same alert soon", "checkout", "HighLatency", 1000, true },
        { "the same alert after an hour", "checkout", "HighLatency", 5000, false },
        { "another alert there", "checkout", "HighErrorRate", 1000, false },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct world *w = world_new();
        print_message("%s\n", rows[i].story);
        fires(w, "checkout", "HighLatency", 0);
        step(w, 10);
        ends(w, "checkout", "HighLatency", 50);
        step(w, 60);
        step(w, 700);
        assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
        step(w, rows[i].starts_s);
        fires(w, rows[i].at, rows[i].name, rows[i].starts_s);
        step(w, rows[i].starts_s + 5);
        assert_int_equal(count_of(w, QL_INC_REOPENED), rows[i].reopens);
        assert_int_equal(count_of(w, QL_INC_OPENED), rows[i].reopens ? 1 : 2);
        if (rows[i].reopens) {
            assert_int_equal(last_of(w, 1)->at.reopen_count, 1);
            assert_int_equal(last_of(w, 1)->at.state, QL_INCIDENT_OPEN);
        }
        world_free(w);
    }
}

static void a_series_that_comes_back_reopens(void **state)
{
    (void)state;
    struct world *w = world_new();
    odd(w, "payment", "latency", 0, 13.0);
    step(w, 10);
    fine(w, "payment", "latency", 0);
    step(w, 60);
    step(w, 700);
    odd(w, "payment", "latency", 900, 6.0); /* weak alone, but it has been here before */
    step(w, 910);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(count_of(w, QL_INC_REOPENED), 1);
    world_free(w);
}

/* An hour is the least idle time. Who stands in an incident, or waits for one, keeps the name; who
 * does not is forgotten, and the others when all is over. */
static void who_is_in_an_incident_keeps_the_name(void **state)
{
    enum { OPEN_S = 5 * 3600, OVER_S = 8 * 3600 };
    static const struct { const char *name; bool open, over; } rows[] = {
        { "pod/falls", true, false }, { "pod/odd", true, false }, { "pod/calm", false, false },
        { "service/frontend", true, true }, /* a configured edge */
    };
    (void)state;
    struct world *w = world_new();
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const ql_entity_id id = entity(rows[i].name);
        *ql_batch_add_entity(&w->bus) = (struct ql_entity_seen){ id, ql_str_of(rows[i].name) };
    }
    fires(w, "pod/falls", "Fell", 0);
    odd(w, "pod/odd", "latency_ms", 0, 1.0);
    for (int s = 0; s <= OVER_S; s += 60) {
        if (s == OPEN_S) {
            ends(w, "pod/falls", "Fell", s);
            fine(w, "pod/odd", "latency_ms", 0);
        }
        step(w, s);
        for (size_t i = 0; i < QL_COUNT_OF(rows) && (s == OPEN_S || s == OVER_S); i++) {
            const ql_str name = ql_topology_name(w->topology, entity(rows[i].name));
            if ((name.bytes > 0) != (s == OPEN_S ? rows[i].open : rows[i].over)) {
                fail_msg("%s after %d hours", rows[i].name, s / 3600);
            }
        }
    }
    assert_int_equal(ql_stats_sum(w->stats, "ql_names_retired_total", "of=\"entities\""), 3);
    assert_int_equal(ql_stats_sum(w->stats, "ql_names", "of=\"entities\""),
                     ql_topology_count(w->topology));
    assert_string_equal(last_of(w, w->seen[0].id)->title, "falls: Fell");
    world_free(w);
}

static void a_person_closes_and_a_burning_alert_does_not_reopen(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    step(w, 10);
    command(w, QL_COMMAND_ACK, 1);
    step(w, 20);
    assert_int_equal(last_of(w, 1)->event, QL_INC_ACKED);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 30);
    assert_int_equal(last_of(w, 1)->at.state, QL_INCIDENT_RESOLVED);
    for (int t = 45; t < 600; t += 15) {
        fires(w, "checkout", "HighLatency", 0);
        step(w, t);
    }
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(count_of(w, QL_INC_REOPENED), 0);
    fires(w, "checkout", "HighErrorRate", 600); /* a resolved incident swallows nothing new */
    step(w, 610);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    world_free(w);
}

static void commands_on_nothing_are_refused_and_audited(void **state)
{
    (void)state;
    static const struct { enum ql_command_kind kind; uint64_t id; const char *want; } rows[] = {
        { QL_COMMAND_ACK, 7, "refused: no such open incident" },
        { QL_COMMAND_RESOLVE, 7, "refused: no such open incident" },
        { QL_COMMAND_ACK, 1, "refused: the incident is resolved" },
        { QL_COMMAND_RESOLVE, 1, "refused: the incident is resolved" },
    };
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    step(w, 10);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 20);
    assert_string_equal(w->audit, "resolved by a person");
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        command(w, rows[i].kind, rows[i].id);
        step(w, 30);
        assert_string_equal(w->audit, rows[i].want);
    }
    assert_int_equal(w->audit_count, 5);
    command(w, QL_COMMAND_FEEDBACK, 1); /* not ours */
    step(w, 40);
    assert_int_equal(w->audit_count, 5);
    world_free(w);
}

/* ---- bounds, replay ---- */

static void storm(struct world *w, const char *at, int count, int starts_s)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "Alert%d", i);
        fires(w, at, ql_batch_text(&w->bus, ql_str_of(name)).at, starts_s);
    }
    step(w, starts_s + 10);
}

/* What is saved now must be read again, and saved as the same bytes. */
static void saves_and_loads(struct world *w)
{
    struct ql_buf saved, again;
    ql_buf_init(&saved, 64u << 20);
    ql_buf_init(&again, 64u << 20);
    assert_int_equal(ql_correlate_stage.save(w->stage, &saved), QL_OK);
    struct world *other = world_new();
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(other->stage, CO_VERSION, &in), QL_OK);
    assert_int_equal(ql_correlate_stage.save(other->stage, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    world_free(other);
    ql_buf_fini(&saved);
    ql_buf_fini(&again);
}

static void a_storm_on_one_host_is_counted_in_full(void **state)
{
    (void)state;
    struct world *w = world_new();
    storm(w, "host/a", 9000, 0);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(last_of(w, 1)->at.alert_count, 8192);
    assert_int_equal(last_of(w, 1)->at.raw_count, 9000);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 808);
    world_free(w);
}

static void what_a_full_incident_cannot_take_is_forgotten(void **state)
{
    (void)state;
    struct world *w = world_new();
    storm(w, "checkout", 8192, 0);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 0);
    change(w, "checkout", 15, "http://ci/1");
    step(w, 20);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 1);
    saves_and_loads(w);
    /* Another incident with a change of its own merges into the full one: all of it is too much. */
    change(w, "search", 25, "http://ci/2");
    fires(w, "search", "HighLatency", 30);
    step(w, 40);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    *ql_batch_add_edge(&w->bus) = (struct ql_edge){ .caller = entity("checkout"),
                                                    .callee = entity("search"), .at = T(50),
                                                    .source = QL_EDGE_SPAN };
    step(w, 50);
    assert_int_equal(count_of(w, QL_INC_MERGED), 1);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 3);
    saves_and_loads(w);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 60);
    saves_and_loads(w);
    world_free(w);
}

static void more_incidents_than_fit_are_counted(void **state)
{
    (void)state;
    struct world *w = world_new();
    char name[64];
    for (int i = 0; i < 1030; i++) {
        (void)snprintf(name, sizeof name, "host/h%d", i);
        fires(w, name, "Down", 0);
    }
    step(w, 10);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1024);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "incidents_full"), 6);
    command(w, QL_COMMAND_RESOLVE, 5); /* a resolved one makes room */
    step(w, 20);
    fires(w, "host/late", "Down", 20);
    step(w, 30);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1025);
    world_free(w);
}

/* A mixed day, the same each time it is called. */
static void day(struct world *w, int from, int to)
{
    static const char *const places[] = { "frontend", "checkout", "payment", "db", "search" };
    for (int i = from; i < to; i++) {
        const char *at = places[(i * 7) % 5];
        if (i % 3 == 0) {
            odd(w, at, "cpu", i * 20, 6.0 + i % 9);
        }
        if (i % 4 == 0) {
            fires(w, at, "HighLatency", i * 20 - 5);
        }
        if (i % 5 == 0) {
            ends(w, places[(i * 3) % 5], "HighLatency", i * 20 - 5);
        }
        if (i % 50 < 20 && i >= 3) {
            fine(w, places[((i - 3) * 7) % 5], "cpu", (i - 3) * 20);
        }
        if (i % 40 == 1) {
            change(w, at, i * 20, "https://ci/1");
        }
        if (i % 97 == 96) {
            command(w, QL_COMMAND_RESOLVE, (uint64_t)(i / 97));
        }
        step(w, i * 20);
    }
}

static void a_day_replays_also_from_a_checkpoint(void **state)
{
    (void)state;
    struct world *a = world_new(), *b = world_new(), *c = world_new();
    day(a, 1, 900);
    day(b, 1, 900);
    assert_true(a->seen_count > 10);
    assert_true(a->digest == b->digest);

    struct ql_buf saved;
    ql_buf_init(&saved, 64u << 20);
    day(c, 1, 400);
    assert_int_equal(ql_correlate_stage.save(c->stage, &saved), QL_OK);
    world_shut(c); /* the process ends here */
    world_open(c);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(c->stage, CO_VERSION, &in), QL_OK);
    day(c, 400, 900);
    assert_int_equal(c->seen_count, a->seen_count);
    assert_true(c->digest == a->digest);
    ql_buf_fini(&saved);
    world_free(a);
    world_free(b);
    world_free(c);
}

static void a_broken_checkpoint_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct ql_buf saved;
    ql_buf_init(&saved, 64u << 20);
    day(w, 1, 60);
    assert_int_equal(ql_correlate_stage.save(w->stage, &saved), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(w->stage, 99, &in), QL_E_VERSION);
    for (size_t cut = 0; cut < saved.bytes; cut += 1 + saved.bytes / 200) {
        struct world *broken = world_new();
        in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_correlate_stage.load(broken->stage, CO_VERSION, &in), QL_E_MALFORMED);
        world_free(broken);
    }
    ql_buf_fini(&saved);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_router_and_its_300_interfaces_are_one_incident),
        cmocka_unit_test(a_burning_budget_opens_alone_and_is_named),
        cmocka_unit_test(two_faults_in_unconnected_parts_are_two_incidents),
        cmocka_unit_test(a_hop_without_alerts_does_not_break_the_chain),
        cmocka_unit_test(importance_decides_what_opens_alone),
        cmocka_unit_test(failing_disks_open_none_unless_they_matter),
        cmocka_unit_test(weak_signals_wait_and_follow_the_incident_they_belong_to),
        cmocka_unit_test(two_odd_series_open_one_incident_and_resets_open_none),
        cmocka_unit_test(a_weak_symptom_that_lasts_opens_one),
        cmocka_unit_test(a_newcomer_between_two_incidents_merges_them),
        cmocka_unit_test(a_new_call_edge_merges_what_it_joins),
        cmocka_unit_test(one_rollout_over_two_parts_joins_them),
        cmocka_unit_test(alerts_of_nobody_group_by_name),
        cmocka_unit_test(repeats_are_counted_not_joined_again),
        cmocka_unit_test(it_resolves_only_when_all_closed_long_enough),
        cmocka_unit_test(an_alert_ends_at_its_own_end_unless_sent_again),
        cmocka_unit_test(what_comes_back_reopens_and_what_is_new_does_not),
        cmocka_unit_test(a_series_that_comes_back_reopens),
        cmocka_unit_test(who_is_in_an_incident_keeps_the_name),
        cmocka_unit_test(a_person_closes_and_a_burning_alert_does_not_reopen),
        cmocka_unit_test(commands_on_nothing_are_refused_and_audited),
        cmocka_unit_test(a_storm_on_one_host_is_counted_in_full),
        cmocka_unit_test(what_a_full_incident_cannot_take_is_forgotten),
        cmocka_unit_test(more_incidents_than_fit_are_counted),
        cmocka_unit_test(a_day_replays_also_from_a_checkpoint),
        cmocka_unit_test(a_broken_checkpoint_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
