/* otlp_metrics_test - metrics as JSON and as protobuf give the same series. */
#include "wire/otlp.h"
#include "wire/otlp_test.h"

/* One resource, one scope, these metrics. */
#define IN(metrics)                                                                    \
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":["                            \
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"checkout\"}},"             \
    "{\"key\":\"process.pid\",\"value\":{\"intValue\":\"77\"}}]},"                     \
    "\"scopeMetrics\":[{\"scope\":{\"name\":\"s\"},\"metrics\":[" metrics "]}]}]}"
#define T "\"timeUnixNano\":\"1767225600500000000\""
#define AT "@1767225600500"
#define SVC "service_name=\"checkout\""
#define ATTR(key, value) "\"attributes\":[{\"key\":\"" key "\",\"value\":" value "}]"
#define STR(text) "{\"stringValue\":\"" text "\"}"

struct row { const char *story, *json, *want; };

static const struct row rows[] = {
    { "a gauge",
      IN("{\"name\":\"queue.depth\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":\"7\"}]}}"),
      "queue_depth{" SVC "} gauge 7" AT "\n" },
    { "a monotonic cumulative sum is a counter",
      IN("{\"name\":\"http.requests\",\"unit\":\"{request}\",\"sum\":{\"aggregationTemporality\":2,"
         "\"isMonotonic\":true,\"dataPoints\":[{" T ",\"asDouble\":1.5,"
         ATTR("http.route", STR("/pay")) "}]}}"),
      "http_requests_total{http_route=\"/pay\"," SVC "} counter 1.5" AT "\n" },
    { "a delta sum is a delta",
      IN("{\"name\":\"hits\",\"sum\":{\"isMonotonic\":true,\"aggregationTemporality\":1,"
         "\"dataPoints\":[{" T ",\"asInt\":3}]}}"),
      "hits_total{" SVC "} delta 3" AT "\n" },
    { "a sum that may fall is a gauge",
      IN("{\"name\":\"pool.used\",\"sum\":{\"dataPoints\":[{" T ",\"asInt\":-4}],"
         "\"aggregationTemporality\":2}}"),
      "pool_used{" SVC "} gauge -4" AT "\n" },
    { "without a temporality the type is not known",
      IN("{\"name\":\"x\",\"sum\":{\"isMonotonic\":true,\"dataPoints\":[{" T ",\"asInt\":4}]}}"),
      "x_total{" SVC "} 4" AT "\n" },
    { "a histogram: count, sum, buckets that add up",
      IN("{\"name\":\"rpc.duration\",\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":2,"
         "\"dataPoints\":[{" T ",\"count\":\"6\",\"sum\":4.5,\"bucketCounts\":[1,\"2\",3],"
         "\"explicitBounds\":[0.25,1],\"min\":0.1}]}}"),
      "rpc_duration_seconds_count{" SVC "} counter 6" AT "\n"
      "rpc_duration_seconds_sum{" SVC "} counter 4.5" AT "\n"
      "rpc_duration_seconds_bucket{le=\"0.25\"," SVC "} counter 1" AT "\n"
      "rpc_duration_seconds_bucket{le=\"1\"," SVC "} counter 3" AT "\n"
      "rpc_duration_seconds_bucket{le=\"+Inf\"," SVC "} counter 6" AT "\n" },
    { "a delta histogram without sum and buckets",
      IN("{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":1,\"dataPoints\":[{" T
         ",\"count\":2}]}}"),
      "h_count{" SVC "} delta 2" AT "\n" },
    { "an exponential histogram: count and sum, its buckets are counted",
      IN("{\"name\":\"e\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":["
          "{" T
         ",\"count\":\"9\",\"sum\":1,\"zeroCount\":2}]}}"),
      "e_count{" SVC "} counter 9" AT "\ne_sum{" SVC "} counter 1" AT "\nunsupported 1\n"
      "otlp_metrics: resource 0, metric 0: buckets of an exponential histogram are not taken; its "
      "count and sum are\n" },
    { "a summary",
      IN("{\"name\":\"q\",\"summary\":{\"dataPoints\":[{" T ",\"count\":3,\"sum\":6,"
         "\"quantileValues\":[{\"quantile\":0.5,\"value\":2},{\"quantile\":0.99,\"value\":3}]}]}}"),
      "q_count{" SVC "} counter 3" AT "\nq_sum{" SVC "} counter 6" AT "\n"
      "q{quantile=\"0.5\"," SVC "} gauge 2" AT "\nq{quantile=\"0.99\"," SVC "} gauge 3" AT "\n" },
    { "no recorded value is a stale marker",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"flags\":1}]}},"
         "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" T
         ",\"flags\":1,\"bucketCounts\":[0,0],\"explicitBounds\":[1]}]}}"),
      "g{" SVC "} gauge stale" AT "\nh_count{" SVC "} counter stale" AT "\n"
      "h_sum{" SVC "} counter stale" AT "\nh_bucket{le=\"1\"," SVC "} counter stale" AT "\n"
      "h_bucket{le=\"+Inf\"," SVC "} counter stale" AT "\n" },
    { "a point without time is of now",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{\"asDouble\":1}]}}"),
      "g{" SVC "} gauge 1@1767225600000\n" },
    { "not finite, as protobuf's JSON writes it",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"asDouble\":\"NaN\"},{" T
         ",\"asDouble\":\"-Infinity\"}]}}"),
      "g{" SVC "} gauge NaN" AT "\ng{" SVC "} gauge -Inf" AT "\n" },
    { "attributes of every kind",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":1,\"attributes\":["
         "{\"key\":\"b\",\"value\":{\"boolValue\":true}},{\"key\":\"i\",\"value\":{"
         "\"intValue\":-5}},"
         "{\"key\":\"d\",\"value\":{\"doubleValue\":0.5}},{\"key\":\"n\",\"value\":{}},"
         "{\"key\":\"y\",\"value\":{\"bytesValue\":\"AP8=\"}},{\"key\":\"l\",\"value\":{"
         "\"arrayValue\":"
         "{\"values\":[" STR("x") ",{\"intValue\":2}]}}},{\"key\":\"m\",\"value\":{\"kvlistValue\":"
         "{\"values\":[{\"key\":\"k\",\"value\":{\"boolValue\":false}},{\"key\":\"z\"}]}}}]}]}}"),
      "g{b=\"true\",d=\"0.5\",i=\"-5\",l=\"[\\\"x\\\",2]\",m=\"{\\\"k\\\":false,"
      "\\\"z\\\":null}\"," SVC
      ",y=\"AP8=\"} gauge 1" AT "\n" },
    { "two keys that become one label are joined, whatever their order",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":1,\"attributes\":["
         "{\"key\":\"a_b\",\"value\":" STR("2") "},{\"key\":\"a.b\",\"value\":" STR("1") "}]}]}}"),
      "g{a_b=\"1;2\"," SVC "} gauge 1" AT "\n" },
    { "an attribute does not take the resource's label",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":1,"
         ATTR("service.name", STR("other")) "}]}}"),
      "g{exported_service_name=\"other\"," SVC "} gauge 1" AT "\n" },
    { "a label cannot begin with a digit",
      IN("{\"name\":\"2xx\",\"gauge\":{\"dataPoints\":[{" T ","
          "\"asInt\":1," ATTR("5xx", STR("n")) "}]}}"),
      "_2xx{key_5xx=\"n\"," SVC "} gauge 1" AT "\n" },
    { "data before name, resource behind its metrics",
      "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{"
      "\"asInt\":1," T "}]},\"name\":\"g\"}]}],\"resource\":{\"attributes\":["
      "{\"key\":\"service.name\",\"value\":" STR("late") "},"
      "{\"value\":" STR("i-1") ",\"key\":\"service.instance.id\"},"
      "{\"key\":\"host.name\",\"value\":" STR("h") "}]}}]}",
      "g{host_name=\"h\",instance=\"i-1\",service_name=\"late\"} gauge 1" AT "\n" },
    { "unknown members and null are ignored",
      "{\"more\":[1],\"resourceMetrics\":[{\"schemaUrl\":\"x\",\"resource\":null,\"scopeMetrics\":"
      "[{\"scope\":null,\"metrics\":[{\"name\":\"g\",\"description\":null,\"gauge\":{"
      "\"dataPoints\":"
      "[{" T ",\"asInt\":1,\"exemplars\":[{}],\"x\":{}}]}}]}]}]}",
      "g gauge 1" AT "\n" },
    { "nothing", "{}", "" },
    { "a metric without data", IN("{\"name\":\"g\"}"), "" },

    { "a point without a value, the other kept",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T "},{" T ",\"asInt\":1}]}}"),
      "g{" SVC "} gauge 1" AT "\nno_value 1\n"
      "otlp_metrics: resource 0, metric 0: a point has neither asDouble nor asInt\n" },
    { "no name", IN("{\"name\":\"..\",\"gauge\":{\"dataPoints\":[{" T ",\"asInt\":1}]}}"),
      "no_name 1\notlp_metrics: resource 0, metric 0: the name must have a letter or digit\n" },
    { "buckets that do not fit their bounds",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[]}},{\"name\":\"h\",\"histogram\":{"
         "\"dataPoints\":[{" T ",\"count\":1,\"bucketCounts\":[1],\"explicitBounds\":[1,2]}]}}"),
      "malformed 1\notlp_metrics: resource 0, metric 1: a point has 1 buckets for 2 bounds; one "
      "more than bounds is wanted\n" },
    { "a time past 2262",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"18446744073709551615\","
         "\"asInt\":1}]}}"),
      "bad_time 1\notlp_metrics: resource 0, metric 0: timeUnixNano lies past the year 2262\n" },
    { "an attribute without a key",
      IN("{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" T ","
          "\"asInt\":1," ATTR("", STR("v")) "}]}}"),
      "malformed 1\notlp_metrics: resource 0, metric 0: a point has an attribute without key or "
      "not "
      "UTF-8\n" },
};

static void rows_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        otlp_check(QL_DOOR_OTLP_METRICS, metrics_request, rows[i].story, rows[i].json,
                   rows[i].want);
    }
}

/* What only JSON can get wrong. */
static const struct row json_only[] = {
    { "an enum by name",
      IN("{\"name\":\"x\",\"sum\":{\"aggregationTemporality\":\"AGGREGATION_TEMPORALITY_DELTA\"}}"),
      "!MALFORMED\nmalformed 1\n"
      "otlp_metrics: resource 0, metric 0: field 2 is a string; an integer is wanted\n" },
    { "a name that is a number", IN("{\"name\":5}"),
      "!MALFORMED\nmalformed 1\n"
      "otlp_metrics: resource 0, metric 0: field 1 is a number; a string is wanted\n" },
    { "a metric that is a string", IN("\"g\""),
      "!MALFORMED\nmalformed 1\n"
      "otlp_metrics: resource 0, metric 0: field 2 is a string; an object is wanted\n" },
    { "snake case is not read, as the specification says",
      "{\"resource_metrics\":[{\"scope_metrics\":[]}]}", "" },
    { "an array at the top", "[]",
      "!MALFORMED\nmalformed 1\notlp_metrics: the body is a JSON array; an object is wanted\n" },
    { "a count below 0",
      IN("{\"name\":\"h\",\"histogram\":{\"dataPoints\":[{\"count\":\"-1\"}]}}"),
      "!MALFORMED\nmalformed 1\n"
      "otlp_metrics: resource 0, metric 0: field 4 is a string; an integer of at least 0 is "
      "wanted\n" },
};

static void json_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(json_only); i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_OTLP_METRICS, .format = QL_FORMAT_JSON,
                                          .body = ql_str_of(json_only[i].json) };
        decode_check(json_only[i].story, &in, json_only[i].want);
    }
}

/* Equal content gives equal batches, by the digest that replay uses. */
static void digests_agree(void **state)
{
    (void)state;
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_json root;
        struct ql_buf body;
        struct ql_batch batches[2];
        char why[QL_JSON_WHY_BYTES];
        ql_buf_init(&body, 1 << 20);
        assert_int_equal(ql_json_parse(ql_str_of(rows[i].json), 128, &root, why), QL_OK);
        message_put(metrics_request, root, &body);
        for (int form = 0; form < 2; form++) {
            struct ql_reject reject = { 0 };
            const struct ql_wire_input in = {
                .door = QL_DOOR_OTLP_METRICS, .accepted = TEST_ACCEPTED,
                .format = form == 0 ? QL_FORMAT_JSON : QL_FORMAT_PROTOBUF,
                .body = form == 0 ? ql_str_of(rows[i].json) : ql_buf_view(&body),
            };
            ql_batch_init(&batches[form], 1 << 22);
            assert_int_equal(ql_wire_decode(&in, &limits, &batches[form], &reject), QL_OK);
        }
        for (int list = 0; list < QL_LIST_COUNT; list++) {
            assert_true(ql_batch_digest(&batches[0], (enum ql_list)list, 0, 7) ==
                        ql_batch_digest(&batches[1], (enum ql_list)list, 0, 7));
        }
        ql_batch_fini(&batches[0]);
        ql_batch_fini(&batches[1]);
        ql_buf_fini(&body);
    }
}

static void names_as_prometheus_writes_them(void **state)
{
    (void)state;
    static const struct { const char *name, *unit; bool sum, gauge; const char *want; } names[] = {
        { "http.server.duration", "s", false, false, "http_server_duration_seconds" },
        { "request.duration.seconds", "s", false, false, "request_duration_seconds" },
        { "system.memory.usage", "By", false, true, "system_memory_usage_bytes" },
        { "cpu.utilization", "1", false, true, "cpu_utilization_ratio" },
        { "requests", "1", true, false, "requests_total" },
        { "requests.total", "{request}", true, false, "requests_total" },
        { "total.requests", "", true, false, "requests_total" },
        { "network.io", "By/s", false, true, "network_io_bytes_per_second" },
        { "speed", "m/s", false, true, "speed_meters_per_second" },
        { "load", "%", false, true, "load_percent" },
        { "jvm.gc.time", "ms", true, false, "jvm_gc_time_milliseconds_total" },
        { "odd--name..x_", "", false, false, "odd_name_x" },
        { "rule:sum", "", false, false, "rule:sum" },
        { "9lives", "", false, false, "_9lives" },
        { "own", "furlong", false, true, "own_furlong" },
        { "own", "{note}/h", false, true, "own_per_hour" },
    };
    struct ql_buf out;
    ql_buf_init(&out, 1 << 12);
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        const struct ql_otlp_metric_name name = { .name = ql_str_of(names[i].name),
                                                  .unit = ql_str_of(names[i].unit),
                                                  .monotonic_sum = names[i].sum,
                                                  .gauge = names[i].gauge };
        ql_buf_reset(&out);
        ql_otlp_metric_name(&name, &out);
        assert_string_equal(out.at, names[i].want);
    }
    ql_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_both_forms), cmocka_unit_test(json_alone),
        cmocka_unit_test(digests_agree), cmocka_unit_test(names_as_prometheus_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
