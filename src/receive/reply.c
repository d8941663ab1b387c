/* reply.c - what each kind of sender is told, byte for byte as its protocol wants it.
 *
 *                    remote write     OTLP                      Alertmanager   changes
 *   all accepted     204              200 Export*Response       200 empty      200 {"accepted":n}
 *   some refused     400, text        200 with partial_success  400, "text"    400 {"error":...}
 *   does not parse   400, text        400 google.rpc.Status     400, "text"    400 {"error":...}
 *   unknown type     415              415 Status                415            415
 *   too large        413              413 Status                413            413
 *   no room now      503, Retry-After: never 429, which Prometheus does not retry by default
 */
#include "receive/receive_int.h"
#include "wire/json_out.h"

#include <stdio.h>

#define REPLY_BYTES_MAX 8192u

static unsigned reply_status(ql_err err)
{
    switch (err) {
    case QL_E_MALFORMED:
    case QL_E_RANGE:
    case QL_E_CONFLICT: return 400;
    case QL_E_TOO_LARGE: return 413;
    case QL_E_UNSUPPORTED: return 415;
    default: return 503;
    }
}

static const char *reply_retry_after(ql_err err)
{
    return err == QL_E_FULL || err == QL_E_MEMORY ? "1" : "10";
}

/* One sentence for people: what was refused, and the first reason. */
static void reply_text(const struct receive_outcome *outcome, char *text, size_t bytes)
{
    const struct ql_reject *reject = outcome->reject;
    switch (outcome->err) {
    case QL_OK:
        (void)snprintf(text, bytes, "%u of %u records refused, the rest was kept: %s",
                       reject->total, reject->total + outcome->accepted_count, reject->text);
        break;
    case QL_E_FULL: (void)snprintf(text, bytes, "the engine is busy, try again"); break;
    case QL_E_CLOSED: (void)snprintf(text, bytes, "shutting down, try again"); break;
    case QL_E_IO:
        (void)snprintf(text, bytes, "the journal cannot be written (disk full?), try again");
        break;
    default:
        (void)snprintf(text, bytes, "%s",
                       reject->text[0] != '\0' ? reject->text : ql_err_text(outcome->err));
    }
}

static void reply_send(struct ql_http_request *request, const struct receive_outcome *outcome,
                       unsigned status, const char *content_type, ql_str body)
{
    const struct ql_http_header retry[] = { { "Retry-After", reply_retry_after(outcome->err) },
                                            { NULL, NULL } };
    ql_http_answer(request, &(struct ql_http_answer){ .status = status,
                                                      .content_type = content_type,
                                                      .body = body,
                                                      .headers = status == 503 ? retry : NULL });
}

/* ---- remote write ----------------------------------------------------------------- */

static void reply_write(struct ql_http_request *request, const struct receive_outcome *outcome)
{
    char text[512];
    if (outcome->err == QL_OK && outcome->reject->total == 0) {
        reply_send(request, outcome, 204, NULL, QL_STR(""));
        return;
    }
    reply_text(outcome, text, sizeof(text) - 1);
    memcpy(text + strlen(text), "\n", 2);
    reply_send(request, outcome, outcome->err == QL_OK ? 400 : reply_status(outcome->err),
               "text/plain; charset=utf-8", ql_str_of(text));
}

/* ---- OTLP ------------------------------------------------------------------------- */

static void reply_varint(struct ql_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        (void)ql_buf_u8(out, (uint8_t)(value | 0x80));
    }
    (void)ql_buf_u8(out, (uint8_t)value);
}

/* Both messages are one number (field 1) and one text (field 2):
 * Export*PartialSuccess { rejected_* = 1, error_message = 2 }, Status { code = 1, message = 2 }. */
static void reply_message(struct ql_buf *out, uint64_t number, ql_str text)
{
    (void)ql_buf_u8(out, 0x08);
    reply_varint(out, number);
    (void)ql_buf_u8(out, 0x12);
    reply_varint(out, text.bytes);
    (void)ql_buf_str(out, text);
}

static const char *reply_rejected_name(enum ql_door door)
{
    switch (door) {
    case QL_DOOR_OTLP_LOGS: return "rejectedLogRecords";
    case QL_DOOR_OTLP_TRACES: return "rejectedSpans";
    default: return "rejectedDataPoints";
    }
}

static void reply_otlp_ok(struct ql_buf *out, const struct receive_outcome *outcome)
{
    const uint32_t rejected = outcome->reject->total;
    const bool json = outcome->format == QL_FORMAT_JSON;
    char text[512];
    if (rejected == 0) {
        (void)ql_buf_text(out, json ? "{}" : "");
        return;
    }
    reply_text(outcome, text, sizeof(text));
    if (json) {
        (void)ql_buf_printf(out, "{\"partialSuccess\":{\"%s\":\"%u\",\"errorMessage\":\"",
                            reply_rejected_name(outcome->door), rejected);
        ql_json_escape(out, ql_str_of(text));
        (void)ql_buf_text(out, "\"}}");
        return;
    }
    struct ql_buf inner;
    ql_buf_init(&inner, REPLY_BYTES_MAX);
    reply_message(&inner, rejected, ql_str_of(text));
    (void)ql_buf_u8(out, 0x0A);
    reply_varint(out, inner.bytes);
    (void)ql_buf_str(out, ql_buf_view(&inner));
    ql_buf_fini(&inner);
}

/* google.rpc.Code */
static unsigned reply_rpc_code(unsigned status)
{
    switch (status) {
    case 400:
    case 415: return 3; /* INVALID_ARGUMENT */
    case 413: return 8; /* RESOURCE_EXHAUSTED */
    default: return 14; /* UNAVAILABLE */
    }
}

static void reply_otlp_error(struct ql_buf *out, const struct receive_outcome *outcome)
{
    const unsigned code = reply_rpc_code(reply_status(outcome->err));
    char text[512];
    reply_text(outcome, text, sizeof(text));
    if (outcome->format == QL_FORMAT_JSON) {
        (void)ql_buf_printf(out, "{\"code\":%u,\"message\":\"", code);
        ql_json_escape(out, ql_str_of(text));
        (void)ql_buf_text(out, "\"}");
    } else {
        reply_message(out, code, ql_str_of(text));
    }
}

static void reply_otlp(struct ql_http_request *request, const struct receive_outcome *outcome)
{
    struct ql_buf out;
    ql_buf_init(&out, REPLY_BYTES_MAX);
    if (outcome->err == QL_OK) {
        reply_otlp_ok(&out, outcome);
    } else {
        reply_otlp_error(&out, outcome);
    }
    reply_send(request, outcome, outcome->err == QL_OK ? 200 : reply_status(outcome->err),
               outcome->format == QL_FORMAT_JSON ? "application/json" : "application/x-protobuf",
               ql_buf_view(&out));
    ql_buf_fini(&out);
}

/* ---- Alertmanager, changes --------------------------------------------------------- */

static void reply_alerts(struct ql_http_request *request, const struct receive_outcome *outcome)
{
    struct ql_buf out;
    char text[512];
    if (outcome->err == QL_OK && outcome->reject->total == 0) {
        reply_send(request, outcome, 200, NULL, QL_STR(""));
        return;
    }
    reply_text(outcome, text, sizeof(text));
    ql_buf_init(&out, REPLY_BYTES_MAX);
    (void)ql_buf_char(&out, '"'); /* its errors are JSON strings */
    ql_json_escape(&out, ql_str_of(text));
    (void)ql_buf_text(&out, "\"\n");
    reply_send(request, outcome, outcome->err == QL_OK ? 400 : reply_status(outcome->err),
               "application/json", ql_buf_view(&out));
    ql_buf_fini(&out);
}

static void reply_changes(struct ql_http_request *request, const struct receive_outcome *outcome)
{
    struct ql_buf out;
    char text[512];
    const bool good = outcome->err == QL_OK && outcome->reject->total == 0;
    ql_buf_init(&out, REPLY_BYTES_MAX);
    if (good) {
        (void)ql_buf_printf(&out, "{\"accepted\":%u}\n", outcome->accepted_count);
    } else {
        reply_text(outcome, text, sizeof(text));
        (void)ql_buf_text(&out, "{\"error\":\"");
        ql_json_escape(&out, ql_str_of(text));
        (void)ql_buf_text(&out, "\"}\n");
    }
    reply_send(request, outcome,
               good ? 200 : outcome->err == QL_OK ? 400 : reply_status(outcome->err),
               "application/json", ql_buf_view(&out));
    ql_buf_fini(&out);
}

void ql_receive_reply(struct ql_http_request *request, enum receive_style style,
                      const struct receive_outcome *outcome)
{
    switch (style) {
    case STYLE_WRITE: reply_write(request, outcome); return;
    case STYLE_OTLP: reply_otlp(request, outcome); return;
    case STYLE_ALERTS: reply_alerts(request, outcome); return;
    case STYLE_CHANGES: reply_changes(request, outcome); return;
    }
    QL_ASSERT(false); /* a style without a reply */
}
