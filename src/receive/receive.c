#include "receive/receive_int.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

/* Every path as its senders know it, at the root and under the prefix for shared ports. */
static const struct receive_row {
    const char *path;
    enum ql_door door;
    enum receive_style style;
} rows[] = {
    { "/api/v1/write", QL_DOOR_REMOTE_WRITE, STYLE_WRITE },
    { "/api/v1/push", QL_DOOR_REMOTE_WRITE, STYLE_WRITE },
    { "/prometheus/api/v1/write", QL_DOOR_REMOTE_WRITE, STYLE_WRITE },
    { "/prometheus/api/v1/push", QL_DOOR_REMOTE_WRITE, STYLE_WRITE },
    { "/v1/metrics", QL_DOOR_OTLP_METRICS, STYLE_OTLP },
    { "/v1/logs", QL_DOOR_OTLP_LOGS, STYLE_OTLP },
    { "/v1/traces", QL_DOOR_OTLP_TRACES, STYLE_OTLP },
    { "/otlp/v1/metrics", QL_DOOR_OTLP_METRICS, STYLE_OTLP },
    { "/otlp/v1/logs", QL_DOOR_OTLP_LOGS, STYLE_OTLP },
    { "/otlp/v1/traces", QL_DOOR_OTLP_TRACES, STYLE_OTLP },
    { "/api/v1/otlp/v1/metrics", QL_DOOR_OTLP_METRICS, STYLE_OTLP },
    { "/prometheus/api/v1/otlp/v1/metrics", QL_DOOR_OTLP_METRICS, STYLE_OTLP },
    { "/api/v2/alerts", QL_DOOR_ALERTS, STYLE_ALERTS },
    { "/api/v1/changes", QL_DOOR_CHANGES, STYLE_CHANGES },
};
#define RECEIVE_ROWS QL_COUNT_OF(rows)

struct receive_door {
    struct ql_receive *receive;
    const struct receive_row *row;
};

struct ql_receive {
    struct ql_accept accept;
    _Atomic double ahead_s, behind_s; /* of the engine's window of time; see window.c */
    struct ql_wire_limits limits;
    struct receive_counts counts;
    struct receive_door doors[RECEIVE_ROWS];
    struct ql_http_route routes[RECEIVE_ROWS + 1];
};

/* One request between its arrival and its answer. */
struct receive_call {
    struct ql_receive *receive;
    struct ql_http_request *request;
    enum receive_style style;
    struct media_verdict media;
    uint32_t record_count;
    struct ql_reject reject;
    struct receive_outside outside;
};

/* The end of every call, good or bad: counts, answers, frees. */
static void receive_finish(struct receive_call *call, ql_err err)
{
    const struct receive_counts *counts = &call->receive->counts;
    const enum ql_door door = call->media.door;
    ql_receive_count_rejected(counts, door, &call->reject);
    if (err == QL_OK) {
        ql_receive_count_accepted(counts, door, call->record_count);
    } else if (call->record_count > 0 || call->reject.total == 0) {
        /* Decoded but not kept, or refused before anybody counted: 1 for the request. */
        ql_receive_count_dropped(counts, door, ql_receive_reason(err),
                                 call->record_count > 0 ? call->record_count : 1);
    }
    ql_receive_reply(call->request, call->style,
                     &(struct receive_outcome){ .err = err,
                                                .accepted_count = call->record_count,
                                                .reject = &call->reject,
                                                .outside = &call->outside,
                                                .format = call->media.format,
                                                .door = door });
    free(call);
}

static void receive_done(void *context, ql_err err) { receive_finish(context, err); }

static ql_err receive_decode(struct receive_call *call, ql_time accepted, struct ql_batch *batch)
{
    const struct ql_wire_input in = {
        .door = call->media.door, .encoding = call->media.encoding, .format = call->media.format,
        .accepted = accepted, .origin = QL_STR(""), .body = ql_http_body(call->request),
    };
    ql_err err = ql_wire_decode(&in, &call->receive->limits, batch, &call->reject);
    if (err == QL_E_FULL) {
        /* More records than a batch takes: to send it again would not help. */
        err = QL_E_TOO_LARGE;
    }
    return err;
}

/* From here on the call belongs to the engine, unless submit refuses it. */
static void receive_submit(struct receive_call *call, ql_time accepted, struct ql_batch *batch)
{
    const struct ql_accept *accept = &call->receive->accept;
    batch->accepted = accepted;
    batch->source = call->media.door;
    const struct ql_submission submission = {
        .door = (uint16_t)call->media.door, .encoding = (uint8_t)call->media.encoding,
        .format = (uint8_t)call->media.format, .accepted = accepted, .origin = QL_STR(""),
        .bytes = ql_http_body(call->request), .batch = batch,
        .done = receive_done, .context = call,
    };
    const ql_err err = accept->submit(accept->host, &submission);
    if (err != QL_OK) {
        receive_finish(call, err);
    }
}

static void receive_take(struct receive_call *call)
{
    const struct ql_accept *accept = &call->receive->accept;
    const ql_time accepted = ql_clock_now();
    struct ql_batch *batch = accept->batch_take(accept->host);
    if (batch == NULL) {
        receive_finish(call, QL_E_FULL);
        return;
    }
    const ql_err err = receive_decode(call, accepted, batch);
    const uint32_t count = err == QL_OK ? ql_receive_records(batch) : 0;
    if (count == 0) { /* nothing to remember: a refusal, or an empty request */
        accept->batch_give_back(accept->host, batch);
        receive_finish(call, err);
        return;
    }
    call->record_count = count;
    const struct receive_window window = { .ahead_s = call->receive->ahead_s,
                                           .behind_s = call->receive->behind_s };
    ql_receive_find_outside(batch, accepted, &window, &call->outside);
    receive_submit(call, accepted, batch);
}

/* What the sender says it sends, and in which style it is answered. */
static ql_err receive_judge(const struct receive_door *door, const struct ql_http_request *request,
                            struct media_verdict *ret_media, enum receive_style *ret_style)
{
    const struct media_headers headers = {
        .content_type = ql_http_header(request, "Content-Type"),
        .content_encoding = ql_http_header(request, "Content-Encoding"),
        .write_version = ql_http_header(request, "X-Prometheus-Remote-Write-Version"),
    };
    const ql_err err = ql_receive_judge_media(door->row->door, &headers, ret_media);
    /* Remote write is told as remote write also when it came to the OTLP path. */
    *ret_style = ret_media->door == QL_DOOR_REMOTE_WRITE ? STYLE_WRITE : door->row->style;
    return err;
}

static void receive_no_memory(const struct receive_door *door, struct ql_http_request *request)
{
    const struct ql_reject none = { 0 };
    const struct receive_outside nothing = { 0 };
    struct media_verdict media;
    enum receive_style style;
    (void)receive_judge(door, request, &media, &style);
    ql_receive_count_dropped(&door->receive->counts, media.door, QL_REASON_MEMORY, 1);
    ql_receive_reply(request, style, &(struct receive_outcome){ .err = QL_E_MEMORY,
                                                                .reject = &none,
                                                                .outside = &nothing,
                                                                .format = media.format,
                                                                .door = media.door });
}

static void receive_handle(void *host, struct ql_http_request *request)
{
    const struct receive_door *door = host;
    struct receive_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        receive_no_memory(door, request);
        return;
    }
    call->receive = door->receive;
    call->request = request;
    const ql_err err = receive_judge(door, request, &call->media, &call->style);
    if (err != QL_OK) {
        ql_reject_add(&call->reject, call->media.reason, "%s", call->media.why);
        receive_finish(call, err);
        return;
    }
    receive_take(call);
}

static enum ql_reason receive_refused_reason(unsigned status)
{
    switch (status) {
    case 413: return QL_REASON_TOO_LARGE;
    case 503: return QL_REASON_QUEUE_FULL;
    case 408: return QL_REASON_TOO_SLOW;
    default: return QL_REASON_MALFORMED;
    }
}

/* The server refused before the door saw it: counted, and told as the door would. */
static const char *receive_refused(void *host, const struct ql_http_request *request,
                                   struct ql_http_refusal *refusal, struct ql_buf *body)
{
    const struct receive_door *door = host;
    struct media_verdict media;
    enum receive_style style;
    (void)receive_judge(door, request, &media, &style);
    ql_receive_count_dropped(&door->receive->counts, media.door,
                             receive_refused_reason(refusal->status), 1);
    if (refusal->status == 408) {
        refusal->status = 503; /* or it would not try again, where the line may have been at fault */
    }
    return ql_receive_refusal(style, media.format, refusal->status, ql_str_of(refusal->text), body);
}

static void receive_gone(void *host, struct ql_http_request *request)
{
    (void)host;
    ql_http_fail(request, 410, "Alertmanager's API v1 is gone; post to /api/v2/alerts "
                               "(Prometheus: api_version: v2)");
}

ql_err ql_receive_new(const struct ql_receive_env *env, struct ql_receive **ret_receive)
{
    QL_ASSERT(env->accept != NULL);
    QL_ASSERT(env->body_bytes_max > 0);
    struct ql_receive *receive = calloc(1, sizeof(*receive));
    if (receive == NULL) {
        return QL_E_MEMORY;
    }
    receive->accept = *env->accept;
    receive->limits.body_bytes_max = env->body_bytes_max;
    ql_receive_set_window(receive, HUGE_VAL, HUGE_VAL);
    ql_receive_counts_init(&receive->counts, env->stats);
    for (uint32_t i = 0; i < RECEIVE_ROWS; i++) {
        receive->doors[i] = (struct receive_door){ receive, &rows[i] };
        receive->routes[i] = (struct ql_http_route){
            .method = "POST", .path = rows[i].path, .handle = receive_handle,
            .host = &receive->doors[i], .body_bytes_max = env->body_bytes_max,
            .deferred = true, .raw_body = true, .refused = receive_refused,
        };
    }
    receive->routes[RECEIVE_ROWS] = (struct ql_http_route){
        .method = "POST", .path = "/api/v1/alerts", .handle = receive_gone,
        .body_bytes_max = env->body_bytes_max, .raw_body = true,
    };
    *ret_receive = receive;
    return QL_OK;
}

void ql_receive_set_window(struct ql_receive *receive, double ahead_s, double behind_s)
{
    receive->ahead_s = ahead_s;
    receive->behind_s = behind_s;
}

void ql_receive_free(struct ql_receive *receive) { free(receive); }

const struct ql_http_route *ql_receive_routes(const struct ql_receive *receive,
                                              uint32_t *ret_count)
{
    *ret_count = QL_COUNT_OF(receive->routes);
    return receive->routes;
}
