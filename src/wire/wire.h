/* wire.h - one pure function from accepted bytes to records, used live and in replay.
 *
 * The journal holds what a door accepted: the door, two flags and the bytes as they
 * came (still compressed). ql_wire_decode() turns that into a batch, the same today
 * and in a replay next month. It opens no file or socket and reads no clock.
 *
 * Errors        whole request refused: QL_E_MALFORMED (does not parse), QL_E_TOO_LARGE
 *               (body or its decompressed size over limits), QL_E_UNSUPPORTED (encoding
 *               or format), QL_E_FULL (more records than a batch takes). Single bad
 *               records are left out and counted in `reject`; the rest stands.
 * Bounds        O(input); decompressed size <= limits->body_bytes_max.
 * Threads       any; a decoder keeps no state between calls.
 *
 * Adding one    write wire/<format>.c with a fuzzer, add its row to QL_DOOR_MAP.
 */
#ifndef QL_WIRE_WIRE_H
#define QL_WIRE_WIRE_H

#include "base/base.h"
#include "model/batch.h"

/* Numbers are stable for ever: they stand in journals. */
#define QL_DOOR_MAP(X)                                                                 \
    X(REMOTE_WRITE, 1, "remote_write") X(OTLP_METRICS, 2, "otlp_metrics")              \
    X(OTLP_LOGS, 3, "otlp_logs") X(OTLP_TRACES, 4, "otlp_traces")                      \
    X(ALERTS, 5, "alerts") X(CHANGES, 6, "changes") X(SCRAPE, 7, "scrape")             \
    X(COMMAND, 8, "command") X(OUTCOME, 9, "outcome") X(FINDING, 10, "look_ahead")
enum ql_door {
#define X(name, number, text) QL_DOOR_##name = (number),
    QL_DOOR_MAP(X)
#undef X
    QL_DOOR_COUNT = 11
};
const char *ql_door_name(enum ql_door door); /* "remote_write", ... ; "unknown" */

enum ql_encoding { QL_ENCODING_NONE, QL_ENCODING_SNAPPY, QL_ENCODING_GZIP, QL_ENCODING_ZSTD };
enum ql_format { QL_FORMAT_PROTOBUF, QL_FORMAT_JSON, QL_FORMAT_TEXT, QL_FORMAT_OWN };

/* Why single records or whole requests were refused; also the label of the counter. */
#define QL_REASON_MAP(X)                                                               \
    X(MALFORMED, "malformed") X(TOO_LARGE, "too_large") X(ENCODING, "encoding")        \
    X(CONTENT_TYPE, "content_type") X(DUPLICATE_LABEL, "duplicate_label")              \
    X(NO_NAME, "no_name") X(LABEL_LIMIT, "label_limit") X(NO_VALUE, "no_value")        \
    X(UNSUPPORTED, "unsupported") X(CARDINALITY, "cardinality") X(OLD, "too_old")      \
    X(FUTURE, "too_far_ahead") X(DUPLICATE, "duplicate") X(QUEUE_FULL, "queue_full")   \
    X(DISK_FULL, "disk_full") X(TIME, "bad_time") X(MEMORY, "memory")                  \
    X(NOT_FINITE, "not_finite") X(TOO_SLOW, "too_slow")
enum ql_reason {
#define X(name, text) QL_REASON_##name,
    QL_REASON_MAP(X)
#undef X
    QL_REASON_COUNT
};
const char *ql_reason_text(enum ql_reason reason);

struct ql_reject {
    uint32_t counts[QL_REASON_COUNT]; /* records (or 1 for a whole request) by reason */
    uint32_t total;
    char text[256];                   /* the first problem: where it is, what is allowed */
};
void ql_reject_add(struct ql_reject *reject, enum ql_reason reason, const char *format, ...)
    QL_PRINTF(3, 4); /* keeps the first text */

struct ql_wire_limits {
    size_t body_bytes_max; /* after decompression */
};

struct ql_wire_input {
    enum ql_door door;
    enum ql_encoding encoding;
    enum ql_format format;
    ql_time accepted;  /* the time of records that carry none */
    ql_str origin;     /* scrape: canonical label block of the target; else "" */
    ql_str body;       /* as it came */
};

/* Appends to `out`, which the caller reset. Texts point into out->arena or out->body
 * (the decompressed bytes, or a copy of `body`): the input may go away afterwards. */
QL_MUST_USE ql_err ql_wire_decode(const struct ql_wire_input *in,
                                  const struct ql_wire_limits *limits, struct ql_batch *out,
                                  struct ql_reject *reject);

/* Commands, outcomes and findings in their journal form (fixed little-endian, base/buf.h). */
ql_err ql_wire_command_write(const struct ql_command *command, struct ql_buf *out);
ql_err ql_wire_outcome_write(const struct ql_outcome *outcome, struct ql_buf *out);
ql_err ql_wire_finding_write(const struct ql_finding *finding, struct ql_buf *out);

#endif
