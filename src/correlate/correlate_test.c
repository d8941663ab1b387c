/* correlate_test - stories in virtual time: what becomes one incident and what does not. How it
 * lives and ends: incident_test.c. */
#include "correlate/correlate_test.h"

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

static void two_odd_series_open_one_incident_and_disks_open_none(void **state)
{
    (void)state;
    struct world *w = world_new();
    signal_kind(w, "search", "sda", 0, 20.0, QL_PHASE_OPEN, QL_SIGNAL_DISK);
    signal_kind(w, "search", "sdb", 0, 20.0, QL_PHASE_OPEN, QL_SIGNAL_DISK);
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
        cmocka_unit_test(two_odd_series_open_one_incident_and_disks_open_none),
        cmocka_unit_test(a_weak_symptom_that_lasts_opens_one),
        cmocka_unit_test(a_newcomer_between_two_incidents_merges_them),
        cmocka_unit_test(a_new_call_edge_merges_what_it_joins),
        cmocka_unit_test(one_rollout_over_two_parts_joins_them),
        cmocka_unit_test(alerts_of_nobody_group_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
