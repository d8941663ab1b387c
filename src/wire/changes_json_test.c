/* changes_json_test - change events: one or many, with and without time. */
#include "wire/wire_test.h"

struct row {
    const char *story;
    const char *text;
    const char *want; /* change time kind|entity|summary|source|link */
};

#define NOW "2026-01-01T00:00:00.000Z"
#define TIME_WANT "\"at\" must be a time as \"2026-01-05T09:00:00Z\" or seconds since 1970\n"

static const struct row rows[] = {
    { "everything",
      "{\"kind\":\"deploy\",\"entity\":\"service/checkout\",\"summary\":\"2.4.1\","
      "\"source\":\"argo\",\"link\":\"https://ci/7\",\"at\":\"2025-12-31T10:00:00Z\"}",
      "change 2025-12-31T10:00:00.000Z deploy|service/checkout|2.4.1|argo|https://ci/7\n" },
    { "only a service", "{\"service\":\"checkout\"}",
      "change " NOW " change|service/checkout|||\n" },
    { "a bare entity stays bare; enrich resolves it", "{\"entity\":\"checkout\"}",
      "change " NOW " change|checkout|||\n" },
    { "several", "[{\"service\":\"a\"},{\"service\":\"b\",\"kind\":\"flag\"}]",
      "change " NOW " change|service/a|||\nchange " NOW " flag|service/b|||\n" },
    { "none", "[]", "" },
    { "seconds since 1970, whole and with a fraction",
      "[{\"service\":\"a\",\"at\":1767220000},{\"service\":\"a\",\"at\":1767220000.25}]",
      "change 2025-12-31T22:26:40.000Z change|service/a|||\n"
      "change 2025-12-31T22:26:40.250Z change|service/a|||\n" },
    { "seconds as text", "{\"service\":\"a\",\"at\":\"1767220000\"}",
      "change 2025-12-31T22:26:40.000Z change|service/a|||\n" },
    { "null and unknown members", "{\"service\":\"a\",\"kind\":null,\"at\":null,\"x\":{\"y\":1}}",
      "change " NOW " change|service/a|||\n" },

    { "no entity, the other kept", "[{\"kind\":\"deploy\"},{\"service\":\"b\"}]",
      "change " NOW " change|service/b|||\nno_name 1\n"
      "changes: change 0: \"entity\" (as \"service/checkout\") or \"service\" is missing\n" },
    { "a summary that is no text", "{\"service\":\"a\",\"summary\":3}",
      "malformed 1\nchanges: change 0: \"summary\" is a number; a string is wanted\n" },
    { "no time", "{\"service\":\"a\",\"at\":\"noon\"}",
      "bad_time 1\nchanges: change 0: " TIME_WANT },
    { "a time out of range", "{\"service\":\"a\",\"at\":1e300}",
      "bad_time 1\nchanges: change 0: " TIME_WANT },
    { "milliseconds by mistake", "{\"service\":\"a\",\"at\":1767220000000}",
      "bad_time 1\nchanges: change 0: " TIME_WANT },
    { "a time that is an object", "{\"service\":\"a\",\"at\":{}}",
      "bad_time 1\nchanges: change 0: " TIME_WANT },
    { "no change", "[7]", "malformed 1\nchanges: change 0: a change is an object\n" },
    { "neither", "\"x\"",
      "!MALFORMED\nmalformed 1\n"
      "changes: the body is a JSON string; an object or an array of them is wanted\n" },
};

static void rows_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_CHANGES, .format = QL_FORMAT_JSON,
                                          .body = ql_str_of(rows[i].text) };
        decode_check(rows[i].story, &in, rows[i].want);
        decode_cut(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows_decode) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
