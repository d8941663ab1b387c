/* otlp_logs.c - OTLP log records: when, how bad, which service and host, what it says.
 *
 * ExportLogsServiceRequest { 1 ResourceLogs* { 1 resource, 2 ScopeLogs* { 2 LogRecord* } } }
 */
#include "wire/otlp.h"

#include <strings.h>

enum log_field {
    LOG_TIME = 1, LOG_SEVERITY = 2, LOG_SEVERITY_TEXT = 3, LOG_BODY = 5, LOG_OBSERVED = 11,
    LOG_EVENT = 12
};

static const struct ql_otlp_name request_names[] = { { "resourceLogs", 1 }, { NULL, 0 } };
static const struct ql_otlp_name resource_names[] = { { "resource", 1 }, { "scopeLogs", 2 },
                                                      { NULL, 0 } };
static const struct ql_otlp_name scope_names[] = { { "logRecords", 2 }, { NULL, 0 } };
static const struct ql_otlp_name log_names[] = {
    { "timeUnixNano", LOG_TIME }, { "observedTimeUnixNano", LOG_OBSERVED },
    { "severityNumber", LOG_SEVERITY }, { "severityText", LOG_SEVERITY_TEXT },
    { "body", LOG_BODY }, { "eventName", LOG_EVENT }, { NULL, 0 },
};

/* For senders that only give the word. */
static uint8_t severity_of_text(ql_str text)
{
    static const struct { const char *word; uint8_t number; } words[] = {
        { "trace", 1 }, { "debug", 5 },  { "info", 9 },      { "information", 9 },
        { "notice", 10 }, { "warn", 13 }, { "warning", 13 }, { "error", 17 },
        { "err", 17 },  { "critical", 21 }, { "fatal", 21 }, { "emergency", 24 },
    };
    for (size_t i = 0; i < QL_COUNT_OF(words); i++) {
        const size_t bytes = strlen(words[i].word);
        if (bytes == text.bytes && strncasecmp(words[i].word, text.at, bytes) == 0) {
            return words[i].number;
        }
    }
    return 0;
}

struct log_read { uint64_t time, observed; int64_t severity; ql_str severity_text, body, event; };

static bool log_fields(struct ql_otlp *otlp, const struct ql_otlp_field *record,
                       struct log_read *log)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, record, log_names, &cursor)) {
        return false;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        switch (field.number) {
        case LOG_TIME: (void)ql_otlp_u64(otlp, &field, &log->time); break;
        case LOG_OBSERVED: (void)ql_otlp_u64(otlp, &field, &log->observed); break;
        case LOG_SEVERITY: (void)ql_otlp_i64(otlp, &field, &log->severity); break;
        case LOG_SEVERITY_TEXT: (void)ql_otlp_text(otlp, &field, &log->severity_text); break;
        case LOG_BODY: (void)ql_otlp_any(otlp, &field, &log->body); break;
        case LOG_EVENT: (void)ql_otlp_text(otlp, &field, &log->event); break;
        default: break;
        }
    }
    return otlp->err == QL_OK;
}

static void log_add(struct ql_otlp *otlp, const struct ql_otlp_field *record,
                    const struct ql_log *origin)
{
    struct log_read read = { .severity_text = { "", 0 }, .body = { "", 0 }, .event = { "", 0 } };
    struct ql_log log = *origin;
    if (!log_fields(otlp, record, &read)) {
        return;
    }
    const uint64_t ns = read.time != 0 ? read.time : read.observed;
    if (!ql_otlp_time(ns, otlp->job->in->accepted, &log.at)) {
        ql_otlp_reject(otlp, QL_REASON_TIME, "timeUnixNano lies past the year 2262");
        return;
    }
    log.severity = read.severity >= 1 && read.severity <= 24 ? (uint8_t)read.severity
                                                             : severity_of_text(read.severity_text);
    if (!ql_otlp_keep(otlp, read.body.bytes > 0 ? read.body : read.event, &log.body)) {
        return;
    }
    struct ql_log *added = ql_batch_add_log(otlp->job->out);
    if (added == NULL) {
        ql_otlp_full(otlp);
        return;
    }
    *added = log;
}

static void scope_read(struct ql_otlp *otlp, const struct ql_otlp_field *scope,
                       const struct ql_log *origin)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, scope, scope_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            log_add(otlp, &field, origin);
            otlp->record_index++;
        }
    }
}

static void resource_read(struct ql_otlp *otlp, const struct ql_otlp_field *resource)
{
    struct ql_otlp_attributes attributes;
    struct ql_otlp_cursor cursor;
    struct ql_log origin = { .service = { "", 0 }, .host = { "", 0 } };
    if (!ql_otlp_sub(otlp, resource, resource_names, &cursor) ||
        !ql_otlp_resource(otlp, cursor, &attributes)) {
        return;
    }
    origin.service = ql_otlp_service(otlp, &attributes);
    (void)ql_otlp_keep(otlp, ql_otlp_attribute_text(otlp, &attributes, "host.name"), &origin.host);
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            scope_read(otlp, &field, &origin);
        }
    }
}

ql_err ql_otlp_logs_decode(const struct ql_wire_job *job)
{
    struct ql_otlp otlp = { .job = job, .record_noun = "log record" };
    struct ql_otlp_cursor cursor;
    ql_err err = ql_otlp_open(&otlp, request_names, &cursor);
    if (err == QL_OK) {
        for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field); otlp.resource_index++) {
            if (field.number == 1) {
                resource_read(&otlp, &field);
            }
        }
        err = otlp.err;
    }
    ql_json_done();
    return err;
}
