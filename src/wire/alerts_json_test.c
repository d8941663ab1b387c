/* alerts_json_test - what Alertmanagers are sent, and what they should not be. */
#include "wire/wire_test.h"

struct row {
    const char *story;
    const char *text;
    const char *want;
};

/* The request came at 2026-01-01T00:00:00Z. */
static const struct row rows[] = {
    { "as Prometheus sends it",
      "[{\"labels\":{\"alertname\":\"HighLatency\",\"service\":\"checkout\"},"
      "\"annotations\":{\"summary\":\"p99 is 2 s\"},\"startsAt\":\"2025-12-31T23:58:00.5Z\","
      "\"endsAt\":\"2026-01-01T00:04:00Z\",\"generatorURL\":\"http://p/graph\"}]",
      "alert {alertname=\"HighLatency\",service=\"checkout\"} {summary=\"p99 is 2 s\"} "
      "2025-12-31T23:58:00.500Z to 2026-01-01T00:04:00.000Z http://p/graph\n" },
    { "nothing", "[]", "" },
    { "only labels: fires from now for five minutes", "[{\"labels\":{\"alertname\":\"A\"}}]",
      "alert {alertname=\"A\"} {} 2026-01-01T00:00:00.000Z to 2026-01-01T00:05:00.000Z \n" },
    { "Go's zero time is no time",
      "[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"2025-12-31T00:00:00Z\","
      "\"endsAt\":\"0001-01-01T00:00:00Z\"}]",
      "alert {a=\"b\"} {} 2025-12-31T00:00:00.000Z to 2026-01-01T00:05:00.000Z \n" },
    { "an offset in the time, null members",
      "[{\"labels\":{\"a\":\"b\"},\"annotations\":null,\"startsAt\":\"2026-01-01T01:00:00+02:00\","
      "\"endsAt\":null}]",
      "alert {a=\"b\"} {} 2025-12-31T23:00:00.000Z to 2026-01-01T00:05:00.000Z \n" },
    { "resolved in the past without a start",
      "[{\"labels\":{\"a\":\"b\"},\"endsAt\":\"2025-12-31T23:00:00Z\"}]",
      "alert {a=\"b\"} {} 2025-12-31T23:00:00.000Z to 2025-12-31T23:00:00.000Z \n" },
    { "labels are sorted, empty ones dropped, unknown members ignored",
      "[{\"labels\":{\"z\":\"1\",\"a\":\"2\",\"n\":\"\"},\"status\":{\"state\":\"active\"},"
      "\"x\":[1]}]",
      "alert {a=\"2\",z=\"1\"} {} 2026-01-01T00:00:00.000Z to 2026-01-01T00:05:00.000Z \n" },

    { "a bad one is left out, the others stand",
      "[{\"labels\":{\"a\":\"1\"}},{\"labels\":{\"a\":2}},{\"labels\":{\"a\":\"3\"}}]",
      "alert {a=\"1\"} {} 2026-01-01T00:00:00.000Z to 2026-01-01T00:05:00.000Z \n"
      "alert {a=\"3\"} {} 2026-01-01T00:00:00.000Z to 2026-01-01T00:05:00.000Z \n"
      "malformed 1\nalerts: alert 1: labels: every value must be a string\n" },
    { "no labels", "[{\"annotations\":{\"a\":\"b\"}},{\"labels\":{}},{\"labels\":{\"a\":\"\"}}]",
      "no_name 3\nalerts: alert 0: labels: at least one is needed\n" },
    { "a label twice", "[{\"labels\":{\"a\":\"1\",\"a\":\"2\"}}]",
      "duplicate_label 1\nalerts: alert 0: labels: a name stands twice\n" },
    { "a label without a name", "[{\"labels\":{\"\":\"1\"}}]",
      "malformed 1\nalerts: alert 0: labels: a name must not be empty\n" },
    { "labels as a list", "[{\"labels\":[\"a\"]}]",
      "malformed 1\nalerts: alert 0: labels: must be an object of strings\n" },
    { "no time", "[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"yesterday\"}]",
      "bad_time 1\nalerts: alert 0: startsAt: must be a time as \"2026-01-05T09:00:00Z\"\n" },
    { "a time as a number", "[{\"labels\":{\"a\":\"b\"},\"endsAt\":1767225600}]",
      "bad_time 1\nalerts: alert 0: endsAt: must be a time as \"2026-01-05T09:00:00Z\"\n" },
    { "ends before it starts",
      "[{\"labels\":{\"a\":\"b\"},\"startsAt\":\"2026-01-02T00:00:00Z\","
      "\"endsAt\":\"2026-01-01T00:00:00Z\"}]",
      "bad_time 1\nalerts: alert 0: endsAt: must not be before startsAt\n" },
    { "no alert", "[\"alert\"]", "malformed 1\nalerts: alert 0: string: an alert is an object\n" },
    { "no array", "{\"labels\":{\"a\":\"b\"}}",
      "!MALFORMED\nmalformed 1\n"
      "alerts: the body is a JSON object; an array of alerts is wanted\n" },
};

static void rows_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_ALERTS, .format = QL_FORMAT_JSON,
                                          .body = ql_str_of(rows[i].text) };
        decode_check(rows[i].story, &in, rows[i].want);
        decode_cut(&in);
    }
}

static void no_json_at_all(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "alerts", "[{]", "[{\"labels\":{\"a\":\"b\"}}" };
    for (size_t i = 0; i < QL_COUNT_OF(texts); i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_ALERTS, .format = QL_FORMAT_JSON,
                                          .body = ql_str_of(texts[i]) };
        struct ql_buf got;
        ql_buf_init(&got, 1 << 16);
        decode_text(&in, &got);
        assert_true(ql_str_starts(ql_buf_view(&got),
                                  QL_STR("!MALFORMED\nmalformed 1\nalerts: the body is not JSON")));
        ql_buf_fini(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_decode),
        cmocka_unit_test(no_json_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
