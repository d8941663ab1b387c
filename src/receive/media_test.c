/* media_test - what senders say about their bytes, and what each door makes of it. */
#include "receive/receive_int.h"

#include <stdio.h>
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define RW QL_DOOR_REMOTE_WRITE
#define OM QL_DOOR_OTLP_METRICS
#define AL QL_DOOR_ALERTS
#define PB "application/x-protobuf"
#define JS "application/json"

static const struct {
    const char *story;
    enum ql_door door;
    const char *type, *encoding, *version;
    const char *want; /* "door encoding format", or "reason: part of the text" */
} rows[] = {
    { "Prometheus", RW, PB, "snappy", "0.1.0", "remote_write snappy protobuf" },
    { "1.0 by its full name", RW, PB ";proto=prometheus.WriteRequest", "snappy", "",
      "remote_write snappy protobuf" },
    { "vmagent", RW, PB, "zstd", "", "remote_write zstd protobuf" },
    { "no encoding means snappy", RW, PB, "", "", "remote_write snappy protobuf" },
    { "no type, but snappy", RW, "", "snappy", "", "remote_write snappy protobuf" },
    { "neither", RW, "", "", "", "content_type: x-protobuf" },
    { "2.0", RW, PB ";proto=io.prometheus.write.v2.Request", "snappy", "2.0.0",
      "content_type: send 1.0" },
    { "2.0, written otherwise", RW, PB " ; charset=x; PROTO = \"io.prometheus.write.v2.Request\"",
      "snappy", "2.0.0", "content_type: send 1.0" },
    { "an unknown message", RW, PB ";proto=a.b", "snappy", "", "content_type: WriteRequest" },
    { "JSON at remote write", RW, JS, "snappy", "", "content_type: x-protobuf" },
    { "gzip at remote write", RW, PB, "gzip", "", "encoding: must be snappy" },
    { "an unknown encoding", RW, PB, "br", "", "encoding: one of snappy" },
    { "two encodings", RW, PB, "gzip, snappy", "", "encoding: one of snappy" },
    { "OTLP protobuf", OM, PB, "", "", "otlp_metrics none protobuf" },
    { "OTLP gzip", OM, PB, "gzip", "", "otlp_metrics gzip protobuf" },
    { "OTLP JSON with charset", OM, "Application/JSON; charset=utf-8", "GZip", "",
      "otlp_metrics gzip json" },
    { "OTLP needs a type", OM, "", "", "", "content_type: x-protobuf or" },
    { "OTLP has no text form", OM, "text/plain", "", "", "content_type: x-protobuf or" },
    { "snappy is no OTLP encoding", OM, PB, "snappy", "", "encoding: gzip, zstd or none" },
    { "Coroot sends remote write to the OTLP path", OM, PB, "snappy", "0.1.0",
      "remote_write snappy protobuf" },
    { "but not to that of logs", QL_DOOR_OTLP_LOGS, PB, "snappy", "0.1.0", "encoding: gzip" },
    { "alerts", AL, JS, "", "", "alerts none json" },
    { "identity is none", AL, JS, "identity", "", "alerts none json" },
    { "alerts as curl sends them by default", AL, "application/x-www-form-urlencoded", "", "",
      "content_type: must be application/json" },
    { "alerts without a type", AL, "", "", "", "content_type: must be application/json" },
    { "a longer type is another type", AL, "application/jsonl", "", "",
      "content_type: must be application/json" },
};

static void verdict_text(ql_err err, const struct media_verdict *v, char *out, size_t bytes)
{
    static const char *const encodings[] = { "none", "snappy", "gzip", "zstd" };
    static const char *const formats[] = { "protobuf", "json", "text", "own" };
    if (err == QL_OK) {
        (void)snprintf(out, bytes, "%s %s %s", ql_door_name(v->door), encodings[v->encoding],
                       formats[v->format]);
    } else {
        (void)snprintf(out, bytes, "%s: %s", ql_reason_text(v->reason), v->why);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct media_verdict verdict;
        char got[512];
        print_message("  %s\n", rows[i].story);
        const struct media_headers headers = { ql_str_of(rows[i].type),
                                               ql_str_of(rows[i].encoding),
                                               ql_str_of(rows[i].version) };
        const ql_err err = ql_receive_judge_media(rows[i].door, &headers, &verdict);
        verdict_text(err, &verdict, got, sizeof(got));
        const char *colon = strchr(rows[i].want, ':');
        if (err == QL_OK || colon == NULL) {
            assert_string_equal(got, rows[i].want);
        } else {
            assert_memory_equal(got, rows[i].want, (size_t)(colon - rows[i].want) + 1);
            assert_non_null(strstr(got, colon + 2));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
