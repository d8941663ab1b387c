/* otlp.h - OTLP messages read once for both of their forms, protobuf and JSON.
 *
 * A cursor walks the fields of one message. In protobuf a field is named by its number,
 * in JSON by its lowerCamelCase name, which the message's table turns into the same
 * number; a JSON array is a field that repeats. So each of metrics, logs and traces is
 * one decoder, and the two forms cannot drift apart.
 *
 * JSON follows the OTLP rules: 64-bit integers as strings or numbers, enums as integers,
 * trace and span ids in hex, other bytes in base64, unknown members ignored, null as
 * absent.
 *
 * Ownership     texts point into the body (protobuf) or the thread's JSON document:
 *               ql_otlp_keep() what a record keeps.
 * Errors        the first fault is written to the reject and sticks in `err`; after it
 *               every ql_otlp_next() is false, so loops end by themselves.
 */
#ifndef QL_WIRE_OTLP_H
#define QL_WIRE_OTLP_H

#include "wire/block.h"
#include "wire/json.h"
#include "wire/pb.h"
#include "wire/wire_int.h"

/* Where the decoder stands, for texts: "otlp_metrics: resource 0, metric 3: ...". */
struct ql_otlp {
    const struct ql_wire_job *job;
    ql_err err;
    uint32_t resource_index, record_index;
    const char *record_noun; /* "metric", "log record", "span" */
};

/* { "timeUnixNano", 3 }, ...; ends with { NULL, 0 }. */
struct ql_otlp_name { const char *json; uint32_t number; };

struct ql_otlp_cursor {
    struct ql_otlp *otlp;
    const struct ql_otlp_name *names;
    struct ql_pb pb;
    struct ql_json_iter members, elements;
    uint32_t repeat_number; /* of the field whose elements are being walked; 0: none */
    bool json;
};

struct ql_otlp_field {
    uint32_t number;
    bool json;
    struct ql_pb_field pb;
    struct ql_json value;
};

/* A cursor over the request's top message; parses JSON. */
QL_MUST_USE ql_err ql_otlp_open(struct ql_otlp *otlp, const struct ql_otlp_name *names,
                                struct ql_otlp_cursor *ret_cursor);
bool ql_otlp_next(struct ql_otlp_cursor *cursor, struct ql_otlp_field *ret_field);

/* The field as what it must be; otherwise the request is malformed and this is false. */
bool ql_otlp_sub(struct ql_otlp *otlp, const struct ql_otlp_field *field,
                 const struct ql_otlp_name *names, struct ql_otlp_cursor *ret_cursor);
bool ql_otlp_text(struct ql_otlp *otlp, const struct ql_otlp_field *field, ql_str *ret_text);
bool ql_otlp_u64(struct ql_otlp *otlp, const struct ql_otlp_field *field, uint64_t *ret_number);
bool ql_otlp_i64(struct ql_otlp *otlp, const struct ql_otlp_field *field, int64_t *ret_number);
bool ql_otlp_double(struct ql_otlp *otlp, const struct ql_otlp_field *field, double *ret_number);
bool ql_otlp_bool(struct ql_otlp *otlp, const struct ql_otlp_field *field, bool *ret_yes);
/* Packed or single 8-byte numbers appended to `out` as they lie in memory. */
bool ql_otlp_u64s(struct ql_otlp *otlp, const struct ql_otlp_field *field, struct ql_buf *out);
bool ql_otlp_doubles(struct ql_otlp *otlp, const struct ql_otlp_field *field, struct ql_buf *out);
/* An id of `bytes` bytes (8 or 16). An empty one gives zeros; one of another length or
 * not hex gives *ret_fine = false, which is a bad record and no malformed request. */
bool ql_otlp_id(struct ql_otlp *otlp, const struct ql_otlp_field *field, uint32_t bytes,
                uint8_t *ret_id, bool *ret_fine);

/* The request cannot be read any further. */
void ql_otlp_malformed(struct ql_otlp *otlp, const char *what);
void ql_otlp_full(struct ql_otlp *otlp);
/* One record is left out. */
void ql_otlp_reject(struct ql_otlp *otlp, enum ql_reason reason, const char *format, ...)
    QL_PRINTF(3, 4);
/* A text that outlives the request: copied from JSON, as it stands from protobuf; bytes
 * that are not UTF-8 become U+FFFD. */
bool ql_otlp_keep(struct ql_otlp *otlp, ql_str text, ql_str *ret_text);
/* Nanoseconds since 1970; 0 gives `absent`; false past the year 2262. */
bool ql_otlp_time(uint64_t ns, ql_time absent, ql_time *ret_time);

/* ---- attributes ------------------------------------------------------------------- */

#define QL_OTLP_ATTRIBUTES_MAX 128u

/* The value is read only when somebody asks for it. */
struct ql_otlp_attribute { ql_str key; struct ql_otlp_field value; };
struct ql_otlp_attributes {
    uint32_t count;
    bool overflow; /* there were more: the record is refused, or the resource's rest unread */
    struct ql_otlp_attribute at[QL_OTLP_ATTRIBUTES_MAX];
};
static inline void ql_otlp_attributes_reset(struct ql_otlp_attributes *attributes)
{
    attributes->count = 0;
    attributes->overflow = false;
}
/* Adds a KeyValue. */
bool ql_otlp_attribute(struct ql_otlp *otlp, const struct ql_otlp_field *field,
                       struct ql_otlp_attributes *attributes);
/* An AnyValue as text: strings as they are, numbers and booleans as they are written,
 * lists and maps as compact JSON, bytes as base64; "" for no value at all. */
bool ql_otlp_any(struct ql_otlp *otlp, const struct ql_otlp_field *field, ql_str *ret_text);
bool ql_otlp_attribute_read(struct ql_otlp *otlp, const struct ql_otlp_attribute *attribute,
                            ql_str *ret_text);
/* The value of `key` as such text; "" when it is absent. */
ql_str ql_otlp_attribute_text(struct ql_otlp *otlp, const struct ql_otlp_attributes *attributes,
                              const char *key);
/* Reads the attributes of the Resource of a Resource* message (its field 1), wherever
 * in the message it stands. The cursor is a copy: the caller's does not move. */
bool ql_otlp_resource(struct ql_otlp *otlp, struct ql_otlp_cursor cursor,
                      struct ql_otlp_attributes *attributes);
/* service.name, or "unknown_service" as the specification says; kept. */
ql_str ql_otlp_service(struct ql_otlp *otlp, const struct ql_otlp_attributes *resource);

/* ---- names as Prometheus writes them (otlp_names.c) ------------------------------- */

struct ql_otlp_metric_name { ql_str name, unit; bool monotonic_sum, gauge; };
/* Appends the metric name: see docs/wire.md for the rules. */
void ql_otlp_metric_name(const struct ql_otlp_metric_name *metric, struct ql_buf *out);
/* Appends the label name of an attribute key: "http.route" gives http_route. */
void ql_otlp_label_name(ql_str key, struct ql_buf *out);

#endif
