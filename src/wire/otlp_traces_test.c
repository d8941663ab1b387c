/* otlp_traces_test - spans as JSON and as protobuf. */
#include "wire/otlp_test.h"

#define IN(spans)                                                                      \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":["                              \
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"checkout\"}}]},"           \
    "\"scopeSpans\":[{\"scope\":{},\"spans\":[" spans "]}]}]}"
#define IDS "\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"eee19b7ec3c1b174\""
#define TIMES "\"startTimeUnixNano\":\"1767225600500000000\"," \
    "\"endTimeUnixNano\":\"1767225600500002500\""
#define WHEN "1767225600500+2500ns"
#define ATTR(key, text) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" text "\"}}"

struct row { const char *story, *json, *want; };

static const struct row rows[] = {
    { "a root span of a server",
      IN("{" IDS "," TIMES ",\"name\":\"GET /pay\",\"kind\":2,\"attributes\":["
         ATTR("server.address", "me") "],\"status\":{}}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 2 checkout GET /pay -> \n" },
    { "a failed call to a declared service",
      IN("{" IDS "," TIMES ",\"parentSpanId\":\"eee19b7ec3c1b173\",\"name\":\"charge\",\"kind\":3,"
         "\"attributes\":[" ATTR("server.address", "pay.internal") ","
         ATTR("peer.service", "payment")
         "],\"status\":{\"code\":2,\"message\":\"m\"}}"),
      "span 5b0c eee19b7ec3c1b174<eee19b7ec3c1b173 " WHEN " kind 3 error checkout charge -> "
      "payment\n" },
    { "a call to an address", IN("{" IDS "," TIMES ",\"kind\":3,\"attributes\":["
                                 ATTR("db.system", "postgresql") ","
                                 ATTR("server.address", "db-1") "]}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 3 checkout  -> db-1\n" },
    { "a call to a kind of database", IN("{" IDS "," TIMES ",\"kind\":3,\"attributes\":["
                                         ATTR("db.system", "postgresql") "]}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 3 checkout  -> postgresql\n" },
    { "a message sent", IN("{" IDS "," TIMES ",\"kind\":4,\"attributes\":["
                           ATTR("messaging.system", "kafka") "]}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 4 checkout  -> kafka\n" },
    { "status ok and unset are no errors",
      IN("{" IDS "," TIMES ",\"status\":{\"code\":1}},{" IDS "," TIMES ",\"status\":{\"code\":0}}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 0 checkout  -> \n"
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 0 checkout  -> \n" },
    { "a kind that there is not", IN("{" IDS "," TIMES ",\"kind\":77}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 0 checkout  -> \n" },
    { "no duration at all", IN("{" IDS ",\"startTimeUnixNano\":1767225600500000000,"
                               "\"endTimeUnixNano\":1767225600500000000}"),
      "span 5b0c eee19b7ec3c1b174<0 1767225600500+0ns kind 0 checkout  -> \n" },
    { "nothing", "{\"resourceSpans\":[]}", "" },

    { "ids that are none, the other kept",
      IN("{" TIMES ",\"traceId\":\"5b8e\",\"spanId\":\"eee19b7ec3c1b174\"},"
         "{" TIMES ",\"traceId\":\"00000000000000000000000000000000\","
         "\"spanId\":\"eee19b7ec3c1b174\"},"
         "{" TIMES ",\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"\"},"
         "{" TIMES ",\"traceId\":\"5b8efff798038103d269b633813fc60c\"},"
         "{" TIMES ",\"spanId\":\"eee19b7ec3c1b174\"},"
         "{" IDS "," TIMES ",\"parentSpanId\":\"77\"},{" IDS "," TIMES "}"),
      "span 5b0c eee19b7ec3c1b174<0 " WHEN " kind 0 checkout  -> \nmalformed 6\n"
      "otlp_traces: resource 0, span 0: traceId must be 16 bytes, not all zero\n" },
    { "ends before it starts, or never began",
      IN("{" IDS ",\"startTimeUnixNano\":1767225600500000000,\"endTimeUnixNano\":1},"
         "{" IDS ",\"endTimeUnixNano\":1767225600500000000},"
         "{" IDS ",\"startTimeUnixNano\":1,\"endTimeUnixNano\":\"18446744073709551615\"}"),
      "bad_time 3\notlp_traces: resource 0, span 0: startTimeUnixNano must be set and "
      "endTimeUnixNano not before it\n" },
};

static void rows_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        otlp_check(QL_DOOR_OTLP_TRACES, spans_request, rows[i].story, rows[i].json, rows[i].want);
    }
}

static void json_alone(void **state)
{
    (void)state;
    static const struct row bad[] = {
        { "ids in base64 have another length",
          IN("{" TIMES ",\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\",\"spanId\":\"7uGbfsPBsXQ=\"}"),
          "malformed 1\notlp_traces: resource 0, span 0: traceId must be 16 bytes, not all "
          "zero\n" },
        { "an id that is not hex",
          IN("{" TIMES ",\"traceId\":\"5b8efff798038103d269b633813fc60x\","
              "\"spanId\":\"eee19b7ec3c1b174\"}"),
          "malformed 1\notlp_traces: resource 0, span 0: traceId must be 16 bytes, not all "
          "zero\n" },
        { "a kind by name", IN("{" IDS "," TIMES ",\"kind\":\"SPAN_KIND_SERVER\"}"),
          "!MALFORMED\nmalformed 1\n"
          "otlp_traces: resource 0, span 0: field 6 is a string; an integer is wanted\n" },
        { "a time that is an object", IN("{" IDS ",\"startTimeUnixNano\":{}}"),
          "!MALFORMED\nmalformed 1\n"
          "otlp_traces: resource 0, span 0: field 7 is a object; an integer of at least 0 is "
          "wanted\n" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(bad); i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_OTLP_TRACES, .format = QL_FORMAT_JSON,
                                          .body = ql_str_of(bad[i].json) };
        decode_check(bad[i].story, &in, bad[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_in_both_forms),
        cmocka_unit_test(json_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
