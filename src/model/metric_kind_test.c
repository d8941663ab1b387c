/* Names as exporters, SDKs and clouds write them. */
#include "model/metric_kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_tell_kind_and_direction(void **state)
{
    (void)state;
    static const struct { const char *name; enum ql_metric_kind kind; int bad; } rows[] = {
        { "http_request_duration_seconds", QL_METRIC_KIND_LATENCY, 1 },
        { "http_requests_total", QL_METRIC_KIND_TRAFFIC, 0 },
        { "http_requests_failed_total", QL_METRIC_KIND_ERROR, 1 },
        { "db_connections_in_use", QL_METRIC_KIND_POOL, 1 },
        { "db_connection_errors", QL_METRIC_KIND_ERROR, 1 },
        { "node_memory_MemAvailable_bytes", QL_METRIC_KIND_MEMORY, -1 },
        { "process_cpu_seconds_total", QL_METRIC_KIND_CPU, 1 },
        { "node_load1", QL_METRIC_KIND_CPU, 1 },
        { "CpuUsageRate(%)", QL_METRIC_KIND_CPU, 1 },
        { "ServerLatencyP90(s)", QL_METRIC_KIND_LATENCY, 1 },
        { "SuccessRate(%)", QL_METRIC_KIND_AVAILABILITY, -1 },
        { "NetworkReceiveBytes", QL_METRIC_KIND_NETWORK, 0 },
        { "up", QL_METRIC_KIND_AVAILABILITY, -1 },
        { "group_size", QL_METRIC_KIND_OTHER, 0 },
        { "kube_pod_container_status_restarts_total", QL_METRIC_KIND_RESTART, 1 },
        { "node_filesystem_free_bytes", QL_METRIC_KIND_DISK, -1 },
        { "cache_hit_ratio", QL_METRIC_KIND_OTHER, -1 },
        { "", QL_METRIC_KIND_OTHER, 0 },
        { "___", QL_METRIC_KIND_OTHER, 0 },
        { "averyveryveryveryverylongwordindeed_latency", QL_METRIC_KIND_LATENCY, 1 },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(ql_metric_kind_of(ql_str_of(rows[i].name)), rows[i].kind);
        assert_int_equal(ql_metric_bad_direction(ql_str_of(rows[i].name)), rows[i].bad);
    }
}

static void a_kind_is_not_both_felt_and_internal(void **state)
{
    (void)state;
    for (int kind = 0; kind < QL_METRIC_KIND_COUNT; kind++) {
        assert_false(ql_metric_is_symptom((enum ql_metric_kind)kind) &&
                     ql_metric_is_internal((enum ql_metric_kind)kind));
        assert_non_null(ql_metric_kind_text((enum ql_metric_kind)kind));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_tell_kind_and_direction),
        cmocka_unit_test(a_kind_is_not_both_felt_and_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
