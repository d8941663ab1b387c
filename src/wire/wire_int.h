/* wire_int.h - what the formats of this folder share; not for other folders.
 *
 * A job is one request on its way from bytes to records. A decoder appends to `out`
 * and counts what it leaves out in `reject`; when it returns an error it has said why
 * in `reject` too, and the caller drops whatever was appended.
 */
#ifndef QL_WIRE_WIRE_INT_H
#define QL_WIRE_WIRE_INT_H

#include "wire/inflate.h"
#include "wire/json.h"
#include "wire/wire.h"

struct ql_wire_job {
    const struct ql_wire_input *in; /* its body may be compressed: read `body` */
    ql_str body;                    /* decompressed; QL_INFLATE_SLACK zero bytes behind it */
    struct ql_batch *out;
    struct ql_reject *reject;
};

/* Parses the body as JSON, or refuses the request. Call ql_json_done() in either case. */
QL_MUST_USE ql_err ql_wire_json(const struct ql_wire_job *job, uint32_t depth_max,
                                struct ql_json *ret_root);
/* Copies a text that will not outlive the decoder; false when there is no room. */
QL_MUST_USE bool ql_wire_keep(const struct ql_wire_job *job, ql_str text, ql_str *ret_text);

/* Seconds since 1970, to the microsecond (a double holds no more); false past year 2255. */
QL_MUST_USE bool ql_wire_time_of_s(double s, ql_time *ret_time);

QL_MUST_USE ql_err ql_remote_write_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_otlp_metrics_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_otlp_logs_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_otlp_traces_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_alerts_json_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_changes_json_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_exposition_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_command_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_outcome_decode(const struct ql_wire_job *job);
QL_MUST_USE ql_err ql_finding_decode(const struct ql_wire_job *job);

/* Sets the type of runs from the MetricMetadata fields of the same request. */
QL_MUST_USE ql_err ql_remote_write_types(const struct ql_wire_job *job);

/* The type of the series `name` of a metric family, as Prometheus names the parts. */
enum ql_metric_family {
    QL_FAMILY_UNKNOWN, QL_FAMILY_COUNTER, QL_FAMILY_GAUGE, QL_FAMILY_HISTOGRAM,
    QL_FAMILY_GAUGE_HISTOGRAM, QL_FAMILY_SUMMARY, QL_FAMILY_INFO, QL_FAMILY_STATE_SET
};
/* `part` is what stands behind the family's name: "", "_total", "_bucket", "_sum", ... */
enum ql_metric_type ql_family_type(enum ql_metric_family family, ql_str part);

#endif
