/* exchange.c - one request from its first byte to its answer: libmicrohttpd's callbacks. */
#include "base/clock.h"
#include "http/http_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXCHANGE_DROP_BYTES 65536u /* a body no longer than this is read rather than cut off */
#define EXCHANGE_REFUSAL_BYTES_MAX 4096u
#define EXCHANGE_RETRY_AFTER "5" /* seconds */
#define EXCHANGE_BODY_BYTES_PER_S_MIN 4096

/* ---- requests under way --------------------------------------------------------- */

static void exchange_enlist(struct ql_http *http, struct ql_http_request *request)
{
    (void)pthread_mutex_lock(&http->lock);
    request->next = http->under_way;
    if (http->under_way != NULL) {
        http->under_way->previous = request;
    }
    http->under_way = request;
    http->under_way_count++;
    (void)pthread_mutex_unlock(&http->lock);
    request->listed = true;
    if (http->stats != NULL) {
        ql_stat_add(http->in_flight, 1);
    }
}

static void exchange_delist(struct ql_http *http, struct ql_http_request *request)
{
    (void)pthread_mutex_lock(&http->lock);
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        http->under_way = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    }
    QL_ASSERT(http->under_way_count > 0);
    http->under_way_count--;
    (void)pthread_cond_signal(&http->fewer);
    (void)pthread_mutex_unlock(&http->lock);
    if (http->stats != NULL) {
        ql_stat_add(http->in_flight, -1);
        ql_stat_add(http->micros[request->row], (ql_clock_mono_ns() - request->began_ns) / 1000);
    }
}

/* ---- answering ------------------------------------------------------------------ */

static enum MHD_Result exchange_queue(struct ql_http_request *request, unsigned status,
                                      struct MHD_Response *response)
{
    if (response == NULL) {
        return MHD_NO;
    }
    if (atomic_load_explicit(&request->http->closing, memory_order_relaxed)) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    ql_http_count(request->http, request->row, status);
    return MHD_queue_response(request->connection, status, response);
}

/* The client may still be sending: lets it read the answer. */
static void exchange_linger(struct ql_http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    request->linger_fd = info == NULL ? -1 : dup(info->connect_fd);
}

/* A refusal by the server itself. `cut`: the body, still to come, is not waited for. */
static enum MHD_Result exchange_queue_refusal(struct ql_http_request *request, bool cut)
{
    const struct ql_buf *body = &request->refusal_body;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->bytes, body->at, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", request->refusal_type);
    if (request->allow[0] != '\0') {
        (void)MHD_add_response_header(response, "Allow", request->allow);
    }
    if (request->refusal.status == 503) {
        (void)MHD_add_response_header(response, "Retry-After", EXCHANGE_RETRY_AFTER);
    }
    if (cut) {
        (void)MHD_add_response_header(response, "Connection", "close");
        exchange_linger(request);
    }
    const enum MHD_Result result = exchange_queue(request, request->refusal.status, response);
    MHD_destroy_response(response);
    return result;
}

/* libmicrohttpd takes no answer in the middle of a body, so this one goes past it. Nothing of
 * ours is on its way then: the answer before was sent before this request was read. */
static enum MHD_Result exchange_break_off(struct ql_http_request *request)
{
    char head[320];
    const unsigned status = request->refusal.status;
    const struct ql_buf *body = &request->refusal_body;
    const int head_bytes = snprintf(
        head, sizeof(head),
        "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n",
        status, MHD_get_reason_phrase_for(status), request->refusal_type,
        status == 503 ? "Retry-After: " EXCHANGE_RETRY_AFTER "\r\n" : "", body->bytes);
    QL_ASSERT(head_bytes > 0 && (size_t)head_bytes < sizeof(head));
    struct iovec parts[] = { { head, (size_t)head_bytes }, { body->at, body->bytes } };
    const struct msghdr message = { .msg_iov = parts, .msg_iovlen = QL_COUNT_OF(parts) };
    exchange_linger(request);
    if (request->linger_fd >= 0) {
        /* Less than a new socket's buffer: it goes at once and whole, or the client is gone. */
        (void)sendmsg(request->linger_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    ql_http_count(request->http, request->row, status);
    return MHD_NO;
}

static void exchange_refuse(struct ql_http_request *request, unsigned status, const char *text)
{
    const struct ql_http_route *route = request->route;
    struct ql_buf *body = &request->refusal_body;
    QL_ASSERT(!request->refused);
    request->refused = true;
    request->refusal = (struct ql_http_refusal){ status, text };
    request->refusal_type = NULL;
    ql_buf_init(body, EXCHANGE_REFUSAL_BYTES_MAX);
    if (route != NULL && route->refused != NULL) {
        request->refusal_type = route->refused(route->host, request, &request->refusal, body);
    }
    if (request->refusal_type == NULL) {
        request->refusal_type = "application/json";
        (void)ql_buf_printf(body, "{\"error\":\"%s\"}\n", text);
    }
}

/* ---- a request begins ----------------------------------------------------------- */

struct exchange_body { bool any, waits; uint64_t bytes; bool length_known; };

static struct exchange_body exchange_body_expected(const struct ql_http_request *request)
{
    struct exchange_body body = { .any = false };
    int64_t bytes = 0;
    const bool chunked = ql_http_header(request, "Transfer-Encoding").bytes > 0;
    const ql_str length = ql_http_header(request, "Content-Length");
    if (!chunked && length.bytes > 0 && ql_str_to_i64(length, &bytes) == QL_OK && bytes >= 0) {
        body.bytes = (uint64_t)bytes;
        body.length_known = true;
    }
    body.any = body.bytes > 0 || chunked;
    body.waits = ql_http_header(request, "Expect").bytes > 0;
    return body;
}

static void exchange_route(struct ql_http_request *request)
{
    struct ql_http *http = request->http;
    ql_str rest = QL_STR("");
    const struct ql_http_route *route =
        ql_http_route_find(http->routes, http->route_count, request->method, request->path, &rest,
                           request->allow, sizeof(request->allow));
    if (route == NULL) {
        exchange_refuse(request, request->allow[0] == '\0' ? 404 : 405,
                      request->allow[0] == '\0' ? "no such path"
                                                : "this path does not take this method");
        return;
    }
    request->route = route;
    request->row = (uint32_t)(route - http->routes);
    request->rest_at = (size_t)(rest.at - request->path.at);
}

static void exchange_check(struct ql_http_request *request, const struct exchange_body *body)
{
    const size_t limit = request->route->body_bytes_max;
    if (body->bytes > limit) {
        exchange_refuse(request, 413, "the body is larger than this path takes");
    } else if (body->length_known && body->bytes > 0 &&
               ql_http_request_grow(request, (size_t)body->bytes) != QL_OK) {
        exchange_refuse(request, 503, "no memory for the body");
    }
}

static void exchange_read(struct ql_http_request *request, const char *method)
{
    switch (ql_http_request_read(request, method)) {
    case QL_OK: break;
    case QL_E_MALFORMED: exchange_refuse(request, 400, "the path or query does not decode"); return;
    case QL_E_FULL: exchange_refuse(request, 431, "too many headers or parameters"); return;
    default: exchange_refuse(request, 503, "no memory"); return;
    }
    exchange_route(request);
    if (!request->refused && atomic_load(&request->http->closing)) {
        exchange_refuse(request, 503, "the server is shutting down");
    }
}

static enum MHD_Result exchange_begin(struct ql_http_request *request, const char *method)
{
    request->begun = true;
    ql_http_patience_set(request->http->patience, request->connection, true);
    request->row = request->http->route_count;
    exchange_enlist(request->http, request);
    exchange_read(request, method);
    const struct exchange_body body = exchange_body_expected(request);
    if (!request->refused) {
        exchange_check(request, &body);
    }
    /* A short body is read and dropped, which keeps the connection usable. */
    request->long_body = body.any && (!body.length_known || body.bytes > EXCHANGE_DROP_BYTES);
    const bool cut = body.any && (body.waits || request->long_body);
    return request->refused && cut ? exchange_queue_refusal(request, true) : MHD_YES;
}

/* ---- its body ------------------------------------------------------------------- */

static bool exchange_too_slow(const struct ql_http_request *request)
{
    const int64_t took_s = (ql_clock_mono_ns() - request->began_ns) / QL_NS_PER_S;
    const int64_t got = (int64_t)(request->body_bytes + request->dropped_bytes);
    return took_s > 2 * (int64_t)request->http->idle_s + got / EXCHANGE_BODY_BYTES_PER_S_MIN;
}

static void exchange_body_release(struct ql_http_request *request)
{
    (void)atomic_fetch_sub_explicit(&request->http->bodies_bytes, request->body_held,
                                    memory_order_relaxed);
    request->body_held = 0;
}

static void exchange_body_keep(struct ql_http_request *request, const char *data, size_t bytes)
{
    struct ql_http *http = request->http;
    const ql_err err = ql_http_request_grow(request, bytes);
    const size_t held =
        atomic_fetch_add_explicit(&http->bodies_bytes, bytes, memory_order_relaxed) + bytes;
    request->body_held += bytes;
    if (err == QL_E_TOO_LARGE) {
        exchange_refuse(request, 413, "the body is larger than this path takes");
    } else if (err != QL_OK || held > http->bodies_bytes_max) {
        exchange_refuse(request, 503, "too many bytes under way");
    } else {
        memcpy(request->body + request->body_bytes, data, bytes);
        request->body_bytes += bytes;
        return;
    }
    exchange_body_release(request);
    free(request->body);
    request->body = NULL;
    request->body_bytes = request->body_capacity = 0;
}

static enum MHD_Result exchange_body(struct ql_http_request *request, const char *data,
                                     size_t bytes)
{
    if (request->http->stats != NULL) {
        ql_stat_add(request->http->bytes_in, (int64_t)bytes);
    }
    const bool slow = exchange_too_slow(request);
    if (request->refused) {
        request->dropped_bytes += bytes;
    } else if (slow) {
        exchange_refuse(request, 408, "the body came too slowly");
    } else {
        exchange_body_keep(request, data, bytes);
    }
    return slow || (request->refused && request->long_body) ? exchange_break_off(request) : MHD_YES;
}

/* ---- the whole request is there ------------------------------------------------- */

static enum MHD_Result exchange_queue_answer(struct ql_http_request *request)
{
    if (!request->has_stream) {
        return exchange_queue(request, request->status, request->response);
    }
    request->response =
        ql_http_stream_open(request->http->streams, request->connection, &request->stream);
    if (request->response == NULL) {
        request->stream.done(request->stream.context);
        exchange_refuse(request, 503, "too many streams are open");
        return exchange_queue_refusal(request, false);
    }
    return exchange_queue(request, request->status, request->response);
}

/* Not answered yet: lets the connection sleep until somebody does. */
static enum MHD_Result exchange_suspend(struct ql_http_request *request)
{
    int was = HTTP_RUNNING;
    MHD_suspend_connection(request->connection);
    if (!atomic_compare_exchange_strong(&request->state, &was, HTTP_SUSPENDED)) {
        QL_ASSERT(was == HTTP_ANSWERED);
        MHD_resume_connection(request->connection); /* the answer came in between */
        return MHD_YES;
    }
    was = HTTP_SUSPENDED;
    if (atomic_load(&request->http->aborting) &&
        atomic_compare_exchange_strong(&request->state, &was, HTTP_ABANDONED)) {
        MHD_resume_connection(request->connection);
    }
    return MHD_YES;
}

static bool exchange_stage(struct ql_http_request *request)
{
    const ql_err err = request->route->raw_body ? QL_OK : ql_http_request_form(request);
    if (err != QL_OK) {
        exchange_refuse(request, err == QL_E_MEMORY ? 503 : 400, "the form does not decode");
        return false;
    }
    if (request->body != NULL) {
        memset(request->body + request->body_bytes, 0, QL_HTTP_BODY_PADDING);
    }
    request->on_stage = true;
    (void)atomic_fetch_add(&request->refs, 1); /* the handler's */
    if (request->route->slow) {
        if (!ql_http_slow_add(request->http->slow, request)) {
            ql_http_request_unref(request);
            exchange_refuse(request, 503, "too many slow requests wait");
            return false;
        }
        return true;
    }
    request->route->handle(request->route->host, request);
    return true;
}

static enum MHD_Result exchange_end(struct ql_http_request *request)
{
    if (request->refused || (!request->on_stage && !exchange_stage(request))) {
        return exchange_queue_refusal(request, false);
    }
    switch (atomic_load(&request->state)) {
    case HTTP_ANSWERED: return exchange_queue_answer(request);
    case HTTP_ABANDONED:
        exchange_refuse(request, 503, "the server is shutting down");
        return exchange_queue_refusal(request, false);
    default:
        QL_ASSERT(request->route->deferred || request->route->slow);
        return exchange_suspend(request);
    }
}

enum MHD_Result ql_http_on_access(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *bytes, void **slot)
{
    struct ql_http_request *request = *slot;
    (void)context, (void)url, (void)version;
    if (request == NULL) {
        return MHD_NO; /* there was no memory for it */
    }
    if (!request->begun) {
        request->connection = connection;
        return exchange_begin(request, method);
    }
    if (*bytes > 0) {
        const size_t came = *bytes;
        *bytes = 0;
        return exchange_body(request, data, came);
    }
    return exchange_end(request);
}

void *ql_http_on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    return ql_http_request_new(context, uri);
}

void ql_http_on_completed(void *context, struct MHD_Connection *connection, void **slot,
                          enum MHD_RequestTerminationCode code)
{
    struct ql_http *http = context;
    struct ql_http_request *request = *slot;
    (void)code;
    ql_http_patience_set(http->patience, connection, false);
    if (request == NULL) {
        return;
    }
    *slot = NULL;
    if (request->linger_fd >= 0) {
        ql_http_linger_add(http->linger, request->linger_fd);
        request->linger_fd = -1;
    }
    exchange_body_release(request);
    if (request->listed) {
        exchange_delist(http, request);
    }
    ql_http_request_unref(request);
}
