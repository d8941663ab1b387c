/* otlp_logs_test - log records as JSON and as protobuf. */
#include "wire/otlp_test.h"

#define IN(records)                                                                    \
    "{\"resourceLogs\":[{\"resource\":{\"attributes\":["                               \
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"checkout\"}},"             \
    "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"node-7\"}}]},"                \
    "\"scopeLogs\":[{\"scope\":{\"name\":\"s\"},\"logRecords\":[" records "]}]}]}"
#define T "\"timeUnixNano\":\"1767225600500000000\""

struct row { const char *story, *json, *want; };

static const struct row rows[] = {
    { "a line",
      IN("{" T ",\"severityNumber\":17,\"severityText\":\"ERROR\",\"body\":{\"stringValue\":\"no "
         "connection left\"},\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":\"v\"}}],"
         "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\"}"),
      "log 1767225600500 17 checkout/node-7: no connection left\n" },
    { "the time it was seen, for want of another",
      IN("{\"observedTimeUnixNano\":1767225601000000000,\"body\":{\"stringValue\":\"x\"}}"),
      "log 1767225601000 0 checkout/node-7: x\n" },
    { "no time: now", IN("{\"body\":{\"stringValue\":\"x\"}}"),
      "log 1767225600000 0 checkout/node-7: x\n" },
    { "severity by word only", IN("{" T ",\"severityText\":\"Warning\"}"),
      "log 1767225600500 13 checkout/node-7: \n" },
    { "a severity that there is not", IN("{" T ",\"severityNumber\":99}"),
      "log 1767225600500 0 checkout/node-7: \n" },
    { "a body that is a map",
      IN("{" T ",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"msg\",\"value\":{"
          "\"stringValue\":"
         "\"a \\\"b\\\"\"}},{\"key\":\"n\",\"value\":{\"intValue\":\"9007199254740993\"}},"
         "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"doubleValue\":0.5},{}]}}}]}}}"),
      "log 1767225600500 0 checkout/node-7: "
      "{\"msg\":\"a \\\"b\\\"\",\"n\":9007199254740993,\"l\":[0.5,null]}\n" },
    { "bodies that are numbers and bytes",
      IN("{" T ",\"body\":{\"intValue\":\"-7\"}},{" T ",\"body\":{\"doubleValue\":0.1}},"
         "{" T ",\"body\":{\"boolValue\":true}},{" T ",\"body\":{\"bytesValue\":\"AQID\"}},"
         "{" T ",\"body\":{\"arrayValue\":{\"values\":[{\"bytesValue\":\"AQ==\"}]}}}"),
      "log 1767225600500 0 checkout/node-7: -7\nlog 1767225600500 0 checkout/node-7: 0.1\n"
      "log 1767225600500 0 checkout/node-7: true\nlog 1767225600500 0 checkout/node-7: AQID\n"
      "log 1767225600500 0 checkout/node-7: [\"AQ==\"]\n" },
    { "an event says its name", IN("{" T ",\"eventName\":\"device.crash\"}"),
      "log 1767225600500 0 checkout/node-7: device.crash\n" },
    { "a resource without a service",
      "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" T "}]}]}]}",
      "log 1767225600500 0 unknown_service/: \n" },
    { "several resources, one empty",
      "{\"resourceLogs\":[{},{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
      "{\"stringValue\":\"b\"}}]},\"scopeLogs\":[{},{\"logRecords\":[{" T "}]}]}]}",
      "log 1767225600500 0 b/: \n" },
    { "a time past 2262, the other kept",
      IN("{\"timeUnixNano\":\"9300000000000000000\"},{" T ",\"body\":{\"stringValue\":\"x\"}}"),
      "log 1767225600500 0 checkout/node-7: x\nbad_time 1\n"
      "otlp_logs: resource 0, log record 0: timeUnixNano lies past the year 2262\n" },
};

static void rows_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        otlp_check(QL_DOOR_OTLP_LOGS, logs_request, rows[i].story, rows[i].json, rows[i].want);
    }
}

/* A body of `depth` lists in each other, around a string. */
static void body_nested(uint32_t depth, struct ql_buf *json)
{
    (void)ql_buf_text(json, "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":");
    for (uint32_t i = 0; i < depth; i++) {
        (void)ql_buf_text(json, "{\"arrayValue\":{\"values\":[");
    }
    (void)ql_buf_text(json, "{\"stringValue\":\"x\"}");
    for (uint32_t i = 0; i < depth; i++) {
        (void)ql_buf_text(json, "]}}");
    }
    (void)ql_buf_text(json, "}]}]}]}");
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    static const struct { uint32_t depth; const char *want; } depths[] = {
        { 16, "log 1767225600000 0 unknown_service/: [[[[[[[[[[[[[[[[\"x\"]]]]]]]]]]]]]]]]\n" },
        { 17, "!MALFORMED\nmalformed 1\notlp_logs: resource 0, log record 0: a value is nested "
              "deeper than 16 levels\n" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(depths); i++) {
        struct ql_buf json;
        ql_buf_init(&json, 1 << 16);
        body_nested(depths[i].depth, &json);
        otlp_check(QL_DOOR_OTLP_LOGS, logs_request, "nested lists", json.at, depths[i].want);
        ql_buf_fini(&json);
    }
}

/* Protobuf alone can carry text that is no UTF-8: it is mended, not lost. */
static void text_that_is_not_utf8(void **state)
{
    (void)state;
    struct ql_buf record, scope_logs, resource_logs, body;
    ql_buf_init(&record, 1 << 10);
    ql_buf_init(&scope_logs, 1 << 10);
    ql_buf_init(&resource_logs, 1 << 10);
    ql_buf_init(&body, 1 << 10);
    pb_bytes(&record, 5, QL_STR("\x0A\x04" "a\xFF\xE2z"));
    pb_bytes(&scope_logs, 2, ql_buf_view(&record));
    pb_bytes(&resource_logs, 2, ql_buf_view(&scope_logs));
    pb_bytes(&body, 1, ql_buf_view(&resource_logs));
    const struct ql_wire_input in = { .door = QL_DOOR_OTLP_LOGS, .format = QL_FORMAT_PROTOBUF,
                                      .body = ql_buf_view(&body) };
    decode_check("not UTF-8", &in,
                 "log 1767225600000 0 unknown_service/: a\xEF\xBF\xBD\xEF\xBF\xBDz\n");
    ql_buf_fini(&body);
    ql_buf_fini(&resource_logs);
    ql_buf_fini(&scope_logs);
    ql_buf_fini(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_both_forms),
        cmocka_unit_test(nesting_has_an_end),
        cmocka_unit_test(text_that_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
