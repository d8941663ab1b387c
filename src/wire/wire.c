#include "wire/wire_int.h"

#include <stdarg.h>
#include <stdio.h>

const char *ql_door_name(enum ql_door door)
{
    switch (door) {
#define X(name, number, text) case QL_DOOR_##name: return text;
    QL_DOOR_MAP(X)
#undef X
    default: return "unknown";
    }
}

const char *ql_reason_text(enum ql_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_REASON_MAP(X)
#undef X
    };
    return (unsigned)reason < QL_REASON_COUNT ? texts[reason] : "unknown";
}

void ql_reject_add(struct ql_reject *reject, enum ql_reason reason, const char *format, ...)
{
    QL_ASSERT((unsigned)reason < QL_REASON_COUNT);
    if (reject->total == 0) {
        va_list args;
        va_start(args, format);
        const int bytes = vsnprintf(reject->text, sizeof(reject->text), format, args);
        va_end(args);
        if (bytes < 0) {
            reject->text[0] = '\0';
        }
    }
    reject->counts[reason] += reject->counts[reason] < UINT32_MAX;
    reject->total += reject->total < UINT32_MAX;
}

/* Which decoder reads a door's bytes in a format; NULL: not this format. */
typedef ql_err (*wire_decode)(const struct ql_wire_job *job);

static wire_decode wire_decoder(enum ql_door door, enum ql_format format)
{
    const bool otlp = format == QL_FORMAT_PROTOBUF || format == QL_FORMAT_JSON;
    switch (door) {
    case QL_DOOR_OTLP_METRICS: return otlp ? ql_otlp_metrics_decode : NULL;
    case QL_DOOR_OTLP_LOGS: return otlp ? ql_otlp_logs_decode : NULL;
    case QL_DOOR_OTLP_TRACES: return otlp ? ql_otlp_traces_decode : NULL;
    case QL_DOOR_REMOTE_WRITE:
        return format == QL_FORMAT_PROTOBUF ? ql_remote_write_decode : NULL;
    case QL_DOOR_ALERTS: return format == QL_FORMAT_JSON ? ql_alerts_json_decode : NULL;
    case QL_DOOR_CHANGES: return format == QL_FORMAT_JSON ? ql_changes_json_decode : NULL;
    case QL_DOOR_SCRAPE: return format == QL_FORMAT_TEXT ? ql_exposition_decode : NULL;
    case QL_DOOR_COMMAND: return format == QL_FORMAT_OWN ? ql_command_decode : NULL;
    case QL_DOOR_OUTCOME: return format == QL_FORMAT_OWN ? ql_outcome_decode : NULL;
    case QL_DOOR_FINDING: return format == QL_FORMAT_OWN ? ql_finding_decode : NULL;
    default: return NULL;
    }
}

ql_err ql_wire_json(const struct ql_wire_job *job, uint32_t depth_max, struct ql_json *ret_root)
{
    char why[QL_JSON_WHY_BYTES];
    const ql_err err = ql_json_parse(job->body, depth_max, ret_root, why);
    if (err != QL_OK) {
        const enum ql_reason reason = err == QL_E_MEMORY      ? QL_REASON_MEMORY
                                      : err == QL_E_TOO_LARGE ? QL_REASON_TOO_LARGE
                                                              : QL_REASON_MALFORMED;
        ql_reject_add(job->reject, reason, "%s: the body is not JSON that is read here: %s",
                      ql_door_name(job->in->door), why);
    }
    return err == QL_E_RANGE ? QL_E_MALFORMED : err;
}

bool ql_wire_keep(const struct ql_wire_job *job, ql_str text, ql_str *ret_text)
{
    const ql_str copy =
        text.bytes == 0 ? (ql_str){ "", 0 } : ql_arena_str(&job->out->arena, text);
    if (copy.at == NULL) {
        return false;
    }
    *ret_text = copy;
    return true;
}

bool ql_wire_time_of_s(double s, ql_time *ret_time)
{
    if (!(s > -9e9 && s < 9e9)) {
        return false;
    }
    int64_t whole_s = (int64_t)s;
    whole_s -= (double)whole_s > s;
    const int64_t us = (int64_t)((s - (double)whole_s) * 1e6 + 0.5);
    ret_time->ns = whole_s * QL_NS_PER_S + us * 1000;
    return true;
}

static ql_err wire_refuse_body(const struct ql_wire_job *job, size_t bytes_max, ql_err err)
{
    const char *door = ql_door_name(job->in->door);
    static const char *const encodings[] = { "uncompressed", "snappy", "gzip", "zstd" };
    const unsigned encoding = (unsigned)job->in->encoding;
    const char *name = encoding < QL_COUNT_OF(encodings) ? encodings[encoding] : "unknown";
    switch (err) {
    case QL_E_TOO_LARGE:
        ql_reject_add(job->reject, QL_REASON_TOO_LARGE,
                      "%s: the body is larger than %zu bytes after decompression", door,
                      bytes_max);
        break;
    case QL_E_MEMORY:
        ql_reject_add(job->reject, QL_REASON_MEMORY, "%s: no memory for the body", door);
        break;
    case QL_E_UNSUPPORTED:
        ql_reject_add(job->reject, QL_REASON_ENCODING,
                      "%s: unknown content encoding; snappy, gzip, zstd and none are read", door);
        break;
    default:
        ql_reject_add(job->reject, QL_REASON_ENCODING, "%s: the body is not valid %s data%s",
                      door, name,
                      job->in->encoding == QL_ENCODING_SNAPPY ? " (block format, not framed)" : "");
    }
    return err;
}

ql_err ql_wire_decode(const struct ql_wire_input *in, const struct ql_wire_limits *limits,
                      struct ql_batch *out, struct ql_reject *reject)
{
    QL_ASSERT(out->body == NULL);
    struct ql_wire_job job = { .in = in, .out = out, .reject = reject };
    const wire_decode decode = wire_decoder(in->door, in->format);
    if (decode == NULL) {
        ql_reject_add(reject, QL_REASON_CONTENT_TYPE, "%s: not a format this door reads",
                      ql_door_name(in->door));
        return QL_E_UNSUPPORTED;
    }
    ql_err err = ql_inflate(in->encoding, in->body, limits->body_bytes_max, &out->body);
    if (err != QL_OK) {
        return wire_refuse_body(&job, limits->body_bytes_max, err);
    }
    out->accepted = in->accepted;
    out->source = (uint32_t)in->door;
    job.body = ql_blob_view(out->body);
    err = decode(&job);
    QL_ASSERT(err == QL_OK || reject->total > 0);
    return err;
}
