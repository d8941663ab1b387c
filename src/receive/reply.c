/* reply.c - what each kind of sender is told, byte for byte as its protocol wants it.
 *
 *                    remote write     OTLP                      Alertmanager   changes
 *   all accepted     204              200 Export*Response       200 empty      200 {"accepted":n}
 *   some refused     400, text        200 with partial_success  400, "text"    400 {"error":...}
 *   does not parse   400, text        400 google.rpc.Status     400, "text"    400 {"error":...}
 *   unknown type     415              415 Status                415            415
 *   too large        413              413 Status                413            413
 *   no room now      503, Retry-After: never 429, which Prometheus does not retry by default
 *   body too slow    503 likewise: a sender takes any 4xx for "never again"
 *
 * What the HTTP server refuses before a door sees it (too large, no room, too slow) has the same
 * body. "Refused" are also the samples of window.c, though the journal holds them.
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

static uint32_t reply_refused_count(const struct receive_outcome *outcome)
{
    return outcome->reject->total + outcome->outside->count;
}

/* One sentence for people: what was refused, and the first reason. */
static void reply_text(const struct receive_outcome *outcome, char *text, size_t bytes)
{
    const struct ql_reject *reject = outcome->reject;
    switch (outcome->err) {
    case QL_OK:
        (void)snprintf(text, bytes, "%u of %u records refused, the rest was kept: %s",
                       reply_refused_count(outcome), reject->total + outcome->accepted_count,
                       reject->total > 0 ? reject->text : outcome->outside->text);
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

static void reply_otlp_partial(struct ql_buf *out, const struct receive_outcome *outcome,
                               ql_str text)
{
    const uint32_t rejected = reply_refused_count(outcome);
    if (outcome->format == QL_FORMAT_JSON) {
        (void)ql_buf_printf(out, "{\"partialSuccess\":{\"%s\":\"%u\",\"errorMessage\":\"",
                            reply_rejected_name(outcome->door), rejected);
        ql_json_escape(out, text);
        (void)ql_buf_text(out, "\"}}");
        return;
    }
    struct ql_buf inner;
    ql_buf_init(&inner, REPLY_BYTES_MAX);
    reply_message(&inner, rejected, text);
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

static const char *reply_otlp_type(enum ql_format format)
{
    return format == QL_FORMAT_JSON ? "application/json" : "application/x-protobuf";
}

/* ---- refusals ----------------------------------------------------------------------- */

static void reply_quoted(struct ql_buf *out, const char *before, ql_str text, const char *behind)
{
    (void)ql_buf_text(out, before);
    ql_json_escape(out, text);
    (void)ql_buf_text(out, behind);
}

const char *ql_receive_refusal(enum receive_style style, enum ql_format format, unsigned status,
                               ql_str text, struct ql_buf *out)
{
    switch (style) {
    case STYLE_WRITE:
        (void)ql_buf_str(out, text);
        (void)ql_buf_char(out, '\n');
        return "text/plain; charset=utf-8";
    case STYLE_OTLP: /* google.rpc.Status */
        if (format == QL_FORMAT_JSON) {
            (void)ql_buf_printf(out, "{\"code\":%u,", reply_rpc_code(status));
            reply_quoted(out, "\"message\":\"", text, "\"}");
        } else {
            reply_message(out, reply_rpc_code(status), text);
        }
        return reply_otlp_type(format);
    case STYLE_ALERTS: reply_quoted(out, "\"", text, "\"\n"); break; /* errors are JSON strings */
    case STYLE_CHANGES: reply_quoted(out, "{\"error\":\"", text, "\"}\n"); break;
    }
    return "application/json";
}

/* ---- answers ------------------------------------------------------------------------ */

/* Everything was kept. */
static void reply_taken(struct ql_http_request *request, enum receive_style style,
                        const struct receive_outcome *outcome, struct ql_buf *out)
{
    switch (style) {
    case STYLE_WRITE: reply_send(request, outcome, 204, NULL, QL_STR("")); return;
    case STYLE_ALERTS: reply_send(request, outcome, 200, NULL, QL_STR("")); return;
    case STYLE_OTLP:
        (void)ql_buf_text(out, outcome->format == QL_FORMAT_JSON ? "{}" : "");
        reply_send(request, outcome, 200, reply_otlp_type(outcome->format), ql_buf_view(out));
        return;
    case STYLE_CHANGES:
        (void)ql_buf_printf(out, "{\"accepted\":%u}\n", outcome->accepted_count);
        reply_send(request, outcome, 200, "application/json", ql_buf_view(out));
        return;
    }
    QL_ASSERT(false); /* a style without a reply */
}

void ql_receive_reply(struct ql_http_request *request, enum receive_style style,
                      const struct receive_outcome *outcome)
{
    const bool good = outcome->err == QL_OK;
    struct ql_buf out;
    char text[512];
    ql_buf_init(&out, REPLY_BYTES_MAX);
    if (good && reply_refused_count(outcome) == 0) {
        reply_taken(request, style, outcome, &out);
        ql_buf_fini(&out);
        return;
    }
    reply_text(outcome, text, sizeof(text));
    if (good && style == STYLE_OTLP) {
        reply_otlp_partial(&out, outcome, ql_str_of(text));
        reply_send(request, outcome, 200, reply_otlp_type(outcome->format), ql_buf_view(&out));
    } else {
        const unsigned status = good ? 400 : reply_status(outcome->err);
        const char *type =
            ql_receive_refusal(style, outcome->format, status, ql_str_of(text), &out);
        reply_send(request, outcome, status, type, ql_buf_view(&out));
    }
    ql_buf_fini(&out);
}
