/* otlp_traces.c - OTLP spans: which service did what for how long, and whom it called.
 *
 * The called service is read off client and producer spans only: on a server span,
 * server.address is the server itself.
 *
 * ExportTraceServiceRequest { 1 ResourceSpans* { 1 resource, 2 ScopeSpans* { 2 Span* } } }
 */
#include "wire/otlp.h"

enum span_field {
    SPAN_TRACE_ID = 1, SPAN_ID = 2, SPAN_PARENT = 4, SPAN_NAME = 5, SPAN_KIND = 6, SPAN_START = 7,
    SPAN_END = 8, SPAN_ATTRIBUTES = 9, SPAN_STATUS = 15
};
enum { KIND_CLIENT = 3, KIND_PRODUCER = 4, STATUS_ERROR = 2 };

static const struct ql_otlp_name request_names[] = { { "resourceSpans", 1 }, { NULL, 0 } };
static const struct ql_otlp_name resource_names[] = { { "resource", 1 }, { "scopeSpans", 2 },
                                                      { NULL, 0 } };
static const struct ql_otlp_name scope_names[] = { { "spans", 2 }, { NULL, 0 } };
static const struct ql_otlp_name status_names[] = { { "code", 3 }, { NULL, 0 } };
static const struct ql_otlp_name span_names[] = {
    { "traceId", SPAN_TRACE_ID }, { "spanId", SPAN_ID }, { "parentSpanId", SPAN_PARENT },
    { "name", SPAN_NAME }, { "kind", SPAN_KIND }, { "startTimeUnixNano", SPAN_START },
    { "endTimeUnixNano", SPAN_END }, { "attributes", SPAN_ATTRIBUTES }, { "status", SPAN_STATUS },
    { NULL, 0 },
};

/* The first of these that is present names the callee: what the sender declared, where
 * it sent to, what kind of thing that is. */
static const char *const peer_keys[] = { "peer.service", "server.address", "net.peer.name",
                                         "db.system.name", "db.system", "messaging.system" };

struct span_read {
    struct ql_span span;
    uint64_t start, end;
    int64_t kind, status;
    uint8_t id[8], parent[8];
    bool trace_fine, id_fine, parent_fine;
    ql_str name;
    struct ql_otlp_attributes attributes;
};

static void status_read(struct ql_otlp *otlp, const struct ql_otlp_field *status, int64_t *ret_code)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, status, status_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 3) {
            (void)ql_otlp_i64(otlp, &field, ret_code);
        }
    }
}

static bool span_fields(struct ql_otlp *otlp, const struct ql_otlp_field *record,
                        struct span_read *read)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, record, span_names, &cursor)) {
        return false;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        switch (field.number) {
        case SPAN_TRACE_ID:
            (void)ql_otlp_id(otlp, &field, 16, read->span.trace_id, &read->trace_fine);
            break;
        case SPAN_ID: (void)ql_otlp_id(otlp, &field, 8, read->id, &read->id_fine); break;
        case SPAN_PARENT:
            (void)ql_otlp_id(otlp, &field, 8, read->parent, &read->parent_fine);
            break;
        case SPAN_NAME: (void)ql_otlp_text(otlp, &field, &read->name); break;
        case SPAN_KIND: (void)ql_otlp_i64(otlp, &field, &read->kind); break;
        case SPAN_START: (void)ql_otlp_u64(otlp, &field, &read->start); break;
        case SPAN_END: (void)ql_otlp_u64(otlp, &field, &read->end); break;
        case SPAN_ATTRIBUTES: (void)ql_otlp_attribute(otlp, &field, &read->attributes); break;
        case SPAN_STATUS: status_read(otlp, &field, &read->status); break;
        default: break;
        }
    }
    return otlp->err == QL_OK;
}

static uint64_t id_number(const uint8_t id[8])
{
    uint64_t number;
    memcpy(&number, id, sizeof(number));
    return __builtin_bswap64(number); /* big-endian, so that it prints as the hex form reads */
}

/* False, and the reason counted, when the span cannot be used. */
static bool span_check(struct ql_otlp *otlp, struct span_read *read)
{
    static const uint8_t none[16];
    if (!read->trace_fine || memcmp(read->span.trace_id, none, 16) == 0) {
        ql_otlp_reject(otlp, QL_REASON_MALFORMED, "traceId must be 16 bytes, not all zero");
        return false;
    }
    if (!read->id_fine || memcmp(read->id, none, 8) == 0) {
        ql_otlp_reject(otlp, QL_REASON_MALFORMED, "spanId must be 8 bytes, not all zero");
        return false;
    }
    if (!read->parent_fine) {
        ql_otlp_reject(otlp, QL_REASON_MALFORMED, "parentSpanId must be 8 bytes, or empty");
        return false;
    }
    if (read->start == 0 || read->end < read->start || read->end > INT64_MAX) {
        ql_otlp_reject(otlp, QL_REASON_TIME,
                       "startTimeUnixNano must be set and endTimeUnixNano not before it");
        return false;
    }
    return true;
}

static ql_str span_peer(struct ql_otlp *otlp, const struct span_read *read)
{
    ql_str peer = { "", 0 };
    if (read->kind == KIND_CLIENT || read->kind == KIND_PRODUCER) {
        for (size_t i = 0; peer.bytes == 0 && i < QL_COUNT_OF(peer_keys); i++) {
            peer = ql_otlp_attribute_text(otlp, &read->attributes, peer_keys[i]);
        }
    }
    return peer;
}

static void span_add(struct ql_otlp *otlp, const struct ql_otlp_field *record, ql_str service)
{
    struct span_read read; /* the attributes need no zeroing */
    memset(&read, 0, offsetof(struct span_read, attributes));
    ql_otlp_attributes_reset(&read.attributes);
    read.parent_fine = true;
    read.name = (ql_str){ "", 0 };
    if (!span_fields(otlp, record, &read) || !span_check(otlp, &read)) {
        return;
    }
    struct ql_span *span = &read.span;
    span->span_id = id_number(read.id);
    span->parent_id = id_number(read.parent);
    span->start.ns = (int64_t)read.start;
    span->duration.ns = (int64_t)(read.end - read.start);
    span->kind = read.kind >= 0 && read.kind <= 5 ? (uint8_t)read.kind : 0;
    span->error = read.status == STATUS_ERROR;
    span->service = service;
    if (!ql_otlp_keep(otlp, read.name, &span->operation) ||
        !ql_otlp_keep(otlp, span_peer(otlp, &read), &span->peer) || otlp->err != QL_OK) {
        return;
    }
    struct ql_span *added = ql_batch_add_span(otlp->job->out);
    if (added == NULL) {
        ql_otlp_full(otlp);
        return;
    }
    *added = *span;
}

static void scope_read(struct ql_otlp *otlp, const struct ql_otlp_field *scope, ql_str service)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, scope, scope_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            span_add(otlp, &field, service);
            otlp->record_index++;
        }
    }
}

static void resource_read(struct ql_otlp *otlp, const struct ql_otlp_field *resource)
{
    struct ql_otlp_attributes attributes;
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(otlp, resource, resource_names, &cursor) ||
        !ql_otlp_resource(otlp, cursor, &attributes)) {
        return;
    }
    const ql_str service = ql_otlp_service(otlp, &attributes);
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            scope_read(otlp, &field, service);
        }
    }
}

ql_err ql_otlp_traces_decode(const struct ql_wire_job *job)
{
    struct ql_otlp otlp = { .job = job, .record_noun = "span" };
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
