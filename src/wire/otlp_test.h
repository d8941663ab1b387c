/* otlp_test.h - for the OTLP tests only: an OTLP JSON text written as protobuf.
 *
 * The tables are the public field numbers of opentelemetry-proto, written down here a
 * second time and apart from the decoder, so that a slip in one does not hide in both.
 */
#ifndef QL_WIRE_OTLP_TEST_H
#define QL_WIRE_OTLP_TEST_H

#include "wire/json.h"
#include "wire/wire_test.h"

enum kind { MESSAGE, TEXT, HEX, BASE64, VARINT, FIXED64, FIXED32, DOUBLE, BOOLEAN, PACKED_FIXED64,
            PACKED_DOUBLE };
struct field { const char *json; uint32_t number; enum kind kind; const struct field *message; };

static const struct field list_value[2], map_value[2];
static const struct field any_value[] = {
    { "stringValue", 1, TEXT, NULL },   { "boolValue", 2, BOOLEAN, NULL },
    { "intValue", 3, VARINT, NULL },    { "doubleValue", 4, DOUBLE, NULL },
    { "arrayValue", 5, MESSAGE, list_value }, { "kvlistValue", 6, MESSAGE, map_value },
    { "bytesValue", 7, BASE64, NULL },  { NULL, 0, TEXT, NULL },
};
static const struct field key_value[] = { { "key", 1, TEXT, NULL },
                                          { "value", 2, MESSAGE, any_value },
                                          { NULL, 0, TEXT, NULL } };
static const struct field list_value[2] = { { "values", 1, MESSAGE, any_value },
                                           { NULL, 0, TEXT, NULL } };
static const struct field map_value[2] = { { "values", 1, MESSAGE, key_value },
                                          { NULL, 0, TEXT, NULL } };
static const struct field resource[] = { { "attributes", 1, MESSAGE, key_value },
                                         { NULL, 0, TEXT, NULL } };
static const struct field scope[] = { { "name", 1, TEXT, NULL }, { "version", 2, TEXT, NULL },
                                      { NULL, 0, TEXT, NULL } };

static const struct field number_point[] = {
    { "attributes", 7, MESSAGE, key_value }, { "startTimeUnixNano", 2, FIXED64, NULL },
    { "timeUnixNano", 3, FIXED64, NULL }, { "asDouble", 4, DOUBLE, NULL },
    { "asInt", 6, FIXED64, NULL }, { "flags", 8, VARINT, NULL }, { NULL, 0, TEXT, NULL },
};
static const struct field histogram_point[] = {
    { "attributes", 9, MESSAGE, key_value }, { "timeUnixNano", 3, FIXED64, NULL },
    { "count", 4, FIXED64, NULL }, { "sum", 5, DOUBLE, NULL },
    { "bucketCounts", 6, PACKED_FIXED64, NULL }, { "explicitBounds", 7, PACKED_DOUBLE, NULL },
    { "flags", 10, VARINT, NULL }, { "min", 11, DOUBLE, NULL }, { "max", 12, DOUBLE, NULL },
    { NULL, 0, TEXT, NULL },
};
static const struct field exponential_point[] = {
    { "attributes", 1, MESSAGE, key_value }, { "timeUnixNano", 3, FIXED64, NULL },
    { "count", 4, FIXED64, NULL }, { "sum", 5, DOUBLE, NULL }, { "zeroCount", 7, FIXED64, NULL },
    { "flags", 10, VARINT, NULL }, { NULL, 0, TEXT, NULL },
};
static const struct field quantile[] = { { "quantile", 1, DOUBLE, NULL },
                                         { "value", 2, DOUBLE, NULL }, { NULL, 0, TEXT, NULL } };
static const struct field summary_point[] = {
    { "attributes", 7, MESSAGE, key_value }, { "timeUnixNano", 3, FIXED64, NULL },
    { "count", 4, FIXED64, NULL }, { "sum", 5, DOUBLE, NULL },
    { "quantileValues", 6, MESSAGE, quantile }, { "flags", 8, VARINT, NULL },
    { NULL, 0, TEXT, NULL },
};
#define DATA(name, point)                                                              \
    static const struct field name[] = { { "dataPoints", 1, MESSAGE, point },          \
                                         { "aggregationTemporality", 2, VARINT, NULL }, \
                                         { "isMonotonic", 3, BOOLEAN, NULL },          \
                                         { NULL, 0, TEXT, NULL } }
DATA(number_data, number_point);
DATA(histogram_data, histogram_point);
DATA(exponential_data, exponential_point);
DATA(summary_data, summary_point);
static const struct field metric[] = {
    { "name", 1, TEXT, NULL }, { "description", 2, TEXT, NULL }, { "unit", 3, TEXT, NULL },
    { "gauge", 5, MESSAGE, number_data }, { "sum", 7, MESSAGE, number_data },
    { "histogram", 9, MESSAGE, histogram_data },
    { "exponentialHistogram", 10, MESSAGE, exponential_data },
    { "summary", 11, MESSAGE, summary_data }, { NULL, 0, TEXT, NULL },
};
static const struct field log_record[] = {
    { "timeUnixNano", 1, FIXED64, NULL }, { "severityNumber", 2, VARINT, NULL },
    { "severityText", 3, TEXT, NULL }, { "body", 5, MESSAGE, any_value },
    { "attributes", 6, MESSAGE, key_value }, { "flags", 8, FIXED32, NULL },
    { "traceId", 9, HEX, NULL }, { "spanId", 10, HEX, NULL },
    { "observedTimeUnixNano", 11, FIXED64, NULL }, { "eventName", 12, TEXT, NULL },
    { NULL, 0, TEXT, NULL },
};
static const struct field status[] = { { "message", 2, TEXT, NULL }, { "code", 3, VARINT, NULL },
                                       { NULL, 0, TEXT, NULL } };
static const struct field span[] = {
    { "traceId", 1, HEX, NULL }, { "spanId", 2, HEX, NULL }, { "traceState", 3, TEXT, NULL },
    { "parentSpanId", 4, HEX, NULL }, { "name", 5, TEXT, NULL }, { "kind", 6, VARINT, NULL },
    { "startTimeUnixNano", 7, FIXED64, NULL }, { "endTimeUnixNano", 8, FIXED64, NULL },
    { "attributes", 9, MESSAGE, key_value }, { "status", 15, MESSAGE, status },
    { "flags", 16, FIXED32, NULL }, { NULL, 0, TEXT, NULL },
};
#define REQUEST(noun, record, Plural, plural)                                          \
    static const struct field noun##_scope[] = { { "scope", 1, MESSAGE, scope },       \
                                                 { plural, 2, MESSAGE, record },       \
                                                 { NULL, 0, TEXT, NULL } };            \
    static const struct field noun##_resource[] = { { "resource", 1, MESSAGE, resource }, \
                                                    { "scope" Plural, 2, MESSAGE, noun##_scope }, \
                                                    { NULL, 0, TEXT, NULL } };         \
    static const struct field noun##_request[] = {                                     \
        { "resource" Plural, 1, MESSAGE, noun##_resource }, { NULL, 0, TEXT, NULL }    \
    }
REQUEST(metrics, metric, "Metrics", "metrics");
REQUEST(logs, log_record, "Logs", "logRecords");
REQUEST(spans, span, "Spans", "spans");

static inline uint64_t number_of(struct ql_json value)
{
    uint64_t u64;
    int64_t i64;
    ql_str text;
    if (ql_json_i64(value, &i64)) {
        return (uint64_t)i64;
    }
    if (ql_json_u64(value, &u64)) {
        return u64;
    }
    assert_true(ql_json_str(value, &text));
    return text.at[0] == '-' ? (uint64_t)strtoll(text.at, NULL, 10) : strtoull(text.at, NULL, 10);
}

static inline double double_of(struct ql_json value)
{
    double real;
    ql_str text;
    if (ql_json_double(value, &real)) {
        return real;
    }
    assert_true(ql_json_str(value, &text));
    return strtod(text.at, NULL);
}

static inline void hex_put(struct ql_buf *out, uint32_t number, ql_str text, bool base64)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char bytes[64];
    size_t count = 0;
    uint32_t bits = 0, have = 0;
    for (size_t i = 0; i < text.bytes && text.at[i] != '='; i++) {
        const char digit[2] = { text.at[i], '\0' };
        const uint32_t width = base64 ? 6 : 4;
        const uint32_t value = base64 ? (uint32_t)(strchr(digits, text.at[i]) - digits)
                                      : (uint32_t)strtoul(digit, NULL, 16);
        bits = bits << width | value;
        have += width;
        if (have >= 8) {
            have -= 8;
            assert_true(count < sizeof(bytes));
            bytes[count++] = (char)(bits >> have & 0xFF);
        }
    }
    pb_bytes(out, number, (ql_str){ bytes, count });
}

static inline void message_put(const struct field *fields, struct ql_json object,
                               struct ql_buf *out);

static inline void value_put(const struct field *f, struct ql_json value, struct ql_buf *out)
{
    struct ql_buf inner;
    ql_str text = { "", 0 };
    bool yes = false;
    switch (f->kind) {
    case MESSAGE:
        ql_buf_init(&inner, 1 << 20);
        message_put(f->message, value, &inner);
        pb_bytes(out, f->number, ql_buf_view(&inner));
        ql_buf_fini(&inner);
        break;
    case TEXT:
        assert_true(ql_json_str(value, &text));
        pb_bytes(out, f->number, text);
        break;
    case HEX:
    case BASE64:
        assert_true(ql_json_str(value, &text));
        hex_put(out, f->number, text, f->kind == BASE64);
        break;
    case VARINT: pb_int(out, f->number, number_of(value)); break;
    case FIXED64: pb_fixed64(out, f->number, number_of(value)); break;
    case FIXED32:
        pb_tag(out, f->number, 5);
        (void)ql_buf_u32(out, (uint32_t)number_of(value));
        break;
    case DOUBLE: pb_double(out, f->number, double_of(value)); break;
    case BOOLEAN:
        assert_true(ql_json_bool(value, &yes));
        pb_int(out, f->number, yes);
        break;
    case PACKED_FIXED64: (void)ql_buf_u64(out, number_of(value)); break;
    case PACKED_DOUBLE: (void)ql_buf_f64(out, double_of(value)); break;
    }
}

static inline void field_put(const struct field *f, struct ql_json value, struct ql_buf *out)
{
    if (ql_json_type_of(value) == QL_JSON_NULL) {
        return;
    }
    if (ql_json_type_of(value) != QL_JSON_ARRAY) {
        value_put(f, value, out);
        return;
    }
    struct ql_buf packed;
    const bool pack = f->kind == PACKED_FIXED64 || f->kind == PACKED_DOUBLE;
    ql_buf_init(&packed, 1 << 20);
    for (struct ql_json_iter it = ql_json_each(value); ql_json_next(&it);) {
        value_put(f, it.value, pack ? &packed : out);
    }
    if (pack) {
        pb_bytes(out, f->number, ql_buf_view(&packed));
    }
    ql_buf_fini(&packed);
}

static inline void message_put(const struct field *fields, struct ql_json object,
                               struct ql_buf *out)
{
    for (struct ql_json_iter it = ql_json_each(object); ql_json_next(&it);) {
        for (const struct field *f = fields; f->json != NULL; f++) {
            if (ql_str_eq(it.key, ql_str_of(f->json))) {
                field_put(f, it.value, out);
            }
        }
    }
}

/* QL_SEEDS=tests/fuzz build/wire_otlp_logs_test writes the seeds of the fuzzers. */
static inline void seed_save(enum ql_door door, const char *form, char first, ql_str bytes)
{
    static int row;
    char path[512];
    if (getenv("QL_SEEDS") == NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/%s/row%02d.%s", getenv("QL_SEEDS"), ql_door_name(door),
                   row++ / 2, form);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fputc(first, file);
    (void)fwrite(bytes.at, 1, bytes.bytes, file);
    (void)fclose(file);
}

/* Runs a row as JSON and, written as protobuf from the same text, once more. */
static inline void otlp_check(enum ql_door door, const struct field *request, const char *story,
                              const char *json, const char *want)
{
    struct ql_wire_input in = { .door = door, .format = QL_FORMAT_JSON, .body = ql_str_of(json) };
    struct ql_json root;
    char why[QL_JSON_WHY_BYTES], pb_story[256];
    struct ql_buf body;
    decode_check(story, &in, want);
    decode_cut(&in);
    ql_buf_init(&body, 1 << 20);
    assert_int_equal(ql_json_parse(in.body, 128, &root, why), QL_OK);
    message_put(request, root, &body);
    ql_json_done();
    in.format = QL_FORMAT_PROTOBUF;
    in.body = ql_buf_view(&body);
    (void)snprintf(pb_story, sizeof(pb_story), "%s (as protobuf)", story);
    decode_check(pb_story, &in, want);
    decode_cut(&in);
    seed_save(door, "bin", '0', ql_buf_view(&body)); /* even: protobuf, odd: JSON */
    seed_save(door, "json", '1', ql_str_of(json));
    ql_buf_fini(&body);
}

#endif
