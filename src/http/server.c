/* server.c - libmicrohttpd's callbacks, start and stop. */
#include "base/clock.h"
#include "base/wait.h"
#include "http/http_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SERVER_CONNECTION_BYTES 65536u /* headers, and the pieces in which a body comes */
#define SERVER_BODIES_BYTES_MAX ((size_t)1 << 30)
#define SERVER_DROP_BYTES 65536u /* a body no longer than this is read rather than cut off */
#define SERVER_HEAD_S 30u
#define SERVER_REFUSAL_BYTES_MAX 4096u
#define SERVER_RETRY_AFTER "5" /* seconds */
#define SERVER_BODY_BYTES_PER_S_MIN 4096

/* ---- requests under way --------------------------------------------------------- */

static void server_enlist(struct ql_http *http, struct ql_http_request *request)
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

static void server_delist(struct ql_http *http, struct ql_http_request *request)
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

static enum MHD_Result server_queue(struct ql_http_request *request, unsigned status,
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
static void server_linger(struct ql_http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    request->linger_fd = info == NULL ? -1 : dup(info->connect_fd);
}

/* A refusal by the server itself. `cut`: the body, still to come, is not waited for. */
static enum MHD_Result server_queue_refusal(struct ql_http_request *request, bool cut)
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
        (void)MHD_add_response_header(response, "Retry-After", SERVER_RETRY_AFTER);
    }
    if (cut) {
        (void)MHD_add_response_header(response, "Connection", "close");
        server_linger(request);
    }
    const enum MHD_Result result = server_queue(request, request->refusal.status, response);
    MHD_destroy_response(response);
    return result;
}

/* libmicrohttpd takes no answer in the middle of a body, so this one goes past it. Nothing of
 * ours is on its way then: the answer before was sent before this request was read. */
static enum MHD_Result server_break_off(struct ql_http_request *request)
{
    char head[320];
    const unsigned status = request->refusal.status;
    const struct ql_buf *body = &request->refusal_body;
    const int head_bytes = snprintf(
        head, sizeof(head),
        "HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n",
        status, MHD_get_reason_phrase_for(status), request->refusal_type,
        status == 503 ? "Retry-After: " SERVER_RETRY_AFTER "\r\n" : "", body->bytes);
    QL_ASSERT(head_bytes > 0 && (size_t)head_bytes < sizeof(head));
    struct iovec parts[] = { { head, (size_t)head_bytes }, { body->at, body->bytes } };
    const struct msghdr message = { .msg_iov = parts, .msg_iovlen = QL_COUNT_OF(parts) };
    server_linger(request);
    if (request->linger_fd >= 0) {
        /* Less than a new socket's buffer: it goes at once and whole, or the client is gone. */
        (void)sendmsg(request->linger_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    ql_http_count(request->http, request->row, status);
    return MHD_NO;
}

static void server_refuse(struct ql_http_request *request, unsigned status, const char *text)
{
    const struct ql_http_route *route = request->route;
    struct ql_buf *body = &request->refusal_body;
    QL_ASSERT(!request->refused);
    request->refused = true;
    request->refusal = (struct ql_http_refusal){ status, text };
    request->refusal_type = NULL;
    ql_buf_init(body, SERVER_REFUSAL_BYTES_MAX);
    if (route != NULL && route->refused != NULL) {
        request->refusal_type = route->refused(route->host, request, &request->refusal, body);
    }
    if (request->refusal_type == NULL) {
        request->refusal_type = "application/json";
        (void)ql_buf_printf(body, "{\"error\":\"%s\"}\n", text);
    }
}

/* ---- a request begins ----------------------------------------------------------- */

struct server_body { bool any, waits; uint64_t bytes; bool length_known; };

static struct server_body server_body_expected(const struct ql_http_request *request)
{
    struct server_body body = { .any = false };
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

static void server_route(struct ql_http_request *request)
{
    struct ql_http *http = request->http;
    ql_str rest = QL_STR("");
    const struct ql_http_route *route =
        ql_http_route_find(http->routes, http->route_count, request->method, request->path, &rest,
                           request->allow, sizeof(request->allow));
    if (route == NULL) {
        server_refuse(request, request->allow[0] == '\0' ? 404 : 405,
                      request->allow[0] == '\0' ? "no such path"
                                                : "this path does not take this method");
        return;
    }
    request->route = route;
    request->row = (uint32_t)(route - http->routes);
    request->rest_at = (size_t)(rest.at - request->path.at);
}

static void server_check(struct ql_http_request *request, const struct server_body *body)
{
    const size_t limit = request->route->body_bytes_max;
    if (body->bytes > limit) {
        server_refuse(request, 413, "the body is larger than this path takes");
    } else if (body->length_known && body->bytes > 0 &&
               ql_http_request_grow(request, (size_t)body->bytes) != QL_OK) {
        server_refuse(request, 503, "no memory for the body");
    }
}

static void server_read(struct ql_http_request *request, const char *method)
{
    switch (ql_http_request_read(request, method)) {
    case QL_OK: break;
    case QL_E_MALFORMED: server_refuse(request, 400, "the path or query does not decode"); return;
    case QL_E_FULL: server_refuse(request, 431, "too many headers or parameters"); return;
    default: server_refuse(request, 503, "no memory"); return;
    }
    server_route(request);
    if (!request->refused && atomic_load(&request->http->closing)) {
        server_refuse(request, 503, "the server is shutting down");
    }
}

static enum MHD_Result server_begin(struct ql_http_request *request, const char *method)
{
    request->begun = true;
    ql_http_patience_set(request->http->patience, request->connection, true);
    request->row = request->http->route_count;
    server_enlist(request->http, request);
    server_read(request, method);
    const struct server_body body = server_body_expected(request);
    if (!request->refused) {
        server_check(request, &body);
    }
    /* A short body is read and dropped, which keeps the connection usable. */
    request->long_body = body.any && (!body.length_known || body.bytes > SERVER_DROP_BYTES);
    const bool cut = body.any && (body.waits || request->long_body);
    return request->refused && cut ? server_queue_refusal(request, true) : MHD_YES;
}

/* ---- its body ------------------------------------------------------------------- */

static bool server_too_slow(const struct ql_http_request *request)
{
    const int64_t took_s = (ql_clock_mono_ns() - request->began_ns) / QL_NS_PER_S;
    const int64_t got = (int64_t)(request->body_bytes + request->dropped_bytes);
    return took_s > 2 * (int64_t)request->http->idle_s + got / SERVER_BODY_BYTES_PER_S_MIN;
}

static void server_body_release(struct ql_http_request *request)
{
    (void)atomic_fetch_sub_explicit(&request->http->bodies_bytes, request->body_held,
                                    memory_order_relaxed);
    request->body_held = 0;
}

static void server_body_keep(struct ql_http_request *request, const char *data, size_t bytes)
{
    struct ql_http *http = request->http;
    const ql_err err = ql_http_request_grow(request, bytes);
    const size_t held =
        atomic_fetch_add_explicit(&http->bodies_bytes, bytes, memory_order_relaxed) + bytes;
    request->body_held += bytes;
    if (err == QL_E_TOO_LARGE) {
        server_refuse(request, 413, "the body is larger than this path takes");
    } else if (err != QL_OK || held > http->bodies_bytes_max) {
        server_refuse(request, 503, "too many bytes under way");
    } else {
        memcpy(request->body + request->body_bytes, data, bytes);
        request->body_bytes += bytes;
        return;
    }
    server_body_release(request);
    free(request->body);
    request->body = NULL;
    request->body_bytes = request->body_capacity = 0;
}

static enum MHD_Result server_body(struct ql_http_request *request, const char *data, size_t bytes)
{
    if (request->http->stats != NULL) {
        ql_stat_add(request->http->bytes_in, (int64_t)bytes);
    }
    const bool slow = server_too_slow(request);
    if (request->refused) {
        request->dropped_bytes += bytes;
    } else if (slow) {
        server_refuse(request, 408, "the body came too slowly");
    } else {
        server_body_keep(request, data, bytes);
    }
    return slow || (request->refused && request->long_body) ? server_break_off(request) : MHD_YES;
}

/* ---- the whole request is there ------------------------------------------------- */

static enum MHD_Result server_queue_answer(struct ql_http_request *request)
{
    if (!request->has_stream) {
        return server_queue(request, request->status, request->response);
    }
    request->response =
        ql_http_stream_open(request->http->streams, request->connection, &request->stream);
    if (request->response == NULL) {
        request->stream.done(request->stream.context);
        server_refuse(request, 503, "too many streams are open");
        return server_queue_refusal(request, false);
    }
    return server_queue(request, request->status, request->response);
}

/* Not answered yet: lets the connection sleep until somebody does. */
static enum MHD_Result server_suspend(struct ql_http_request *request)
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

static bool server_stage(struct ql_http_request *request)
{
    const ql_err err = request->route->raw_body ? QL_OK : ql_http_request_form(request);
    if (err != QL_OK) {
        server_refuse(request, err == QL_E_MEMORY ? 503 : 400, "the form does not decode");
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
            server_refuse(request, 503, "too many slow requests wait");
            return false;
        }
        return true;
    }
    request->route->handle(request->route->host, request);
    return true;
}

static enum MHD_Result server_end(struct ql_http_request *request)
{
    if (request->refused || (!request->on_stage && !server_stage(request))) {
        return server_queue_refusal(request, false);
    }
    switch (atomic_load(&request->state)) {
    case HTTP_ANSWERED: return server_queue_answer(request);
    case HTTP_ABANDONED:
        server_refuse(request, 503, "the server is shutting down");
        return server_queue_refusal(request, false);
    default:
        QL_ASSERT(request->route->deferred || request->route->slow);
        return server_suspend(request);
    }
}

static enum MHD_Result server_on_access(void *context, struct MHD_Connection *connection,
                                        const char *url, const char *method, const char *version,
                                        const char *data, size_t *bytes, void **slot)
{
    struct ql_http_request *request = *slot;
    (void)context, (void)url, (void)version;
    if (request == NULL) {
        return MHD_NO; /* there was no memory for it */
    }
    if (!request->begun) {
        request->connection = connection;
        return server_begin(request, method);
    }
    if (*bytes > 0) {
        const size_t came = *bytes;
        *bytes = 0;
        return server_body(request, data, came);
    }
    return server_end(request);
}

static void *server_on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    return ql_http_request_new(context, uri);
}

static void server_on_completed(void *context, struct MHD_Connection *connection, void **slot,
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
    server_body_release(request);
    if (request->listed) {
        server_delist(http, request);
    }
    ql_http_request_unref(request);
}

/* ---- start ---------------------------------------------------------------------- */

/* Once it is closing, who connects is turned away at once. MHD_quiesce_daemon() would be for
 * that, but races with the threads of its own pool for the same epoll set and then aborts. */
static enum MHD_Result server_on_connect(void *context, const struct sockaddr *address,
                                         socklen_t bytes)
{
    struct ql_http *http = context;
    (void)address;
    (void)bytes;
    return atomic_load_explicit(&http->closing, memory_order_relaxed) ? MHD_NO : MHD_YES;
}

static struct MHD_Daemon *server_daemon(struct ql_http *http, const struct ql_http_settings *s,
                                        int fd)
{
    const unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    const unsigned threads = s->threads > 0 ? s->threads : 1;
    /* The pool shares the connections out evenly; each of its threads gets at least one. */
    const unsigned connections = s->connections_max > threads ? s->connections_max : threads;
    return MHD_start_daemon(
        flags, 0, server_on_connect, http, server_on_access, http,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0,
        MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)SERVER_CONNECTION_BYTES / 4,
        MHD_OPTION_URI_LOG_CALLBACK, server_on_uri, http,
        MHD_OPTION_NOTIFY_COMPLETED, server_on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, ql_http_patience_notify, http->patience,
        MHD_OPTION_END);
}

static void server_free(struct ql_http *http)
{
    ql_http_slow_free(http->slow);
    ql_http_patience_free(http->patience);
    ql_http_streams_free(http->streams);
    ql_http_linger_free(http->linger);
    (void)pthread_cond_destroy(&http->fewer);
    (void)pthread_mutex_destroy(&http->lock);
    free((void *)http->counts);
    free((void *)http->micros);
    free(http);
}

static ql_err server_new(const struct ql_http_settings *settings, struct ql_http **ret_http)
{
    struct ql_http *http = calloc(1, sizeof(*http));
    if (http == NULL) {
        return QL_E_MEMORY;
    }
    (void)pthread_mutex_init(&http->lock, NULL);
    (void)ql_wait_cond_init(&http->fewer);
    http->routes = settings->routes;
    http->route_count = settings->route_count;
    http->idle_s = settings->idle_s;
    http->bodies_bytes_max =
        settings->bodies_bytes_max > 0 ? settings->bodies_bytes_max : SERVER_BODIES_BYTES_MAX;
    http->stats = settings->stats;
    http->streams = ql_http_streams_new(settings->streams_max);
    http->linger = ql_http_linger_new();
    http->patience = ql_http_patience_new(settings->head_s > 0 ? settings->head_s : SERVER_HEAD_S,
                                          settings->idle_s);
    bool good = http->patience != NULL;
    for (uint32_t i = 0; i < settings->route_count; i++) {
        if (settings->routes[i].slow && http->slow == NULL && good) {
            http->slow = ql_http_slow_new(settings->threads);
            good = http->slow != NULL;
        }
    }
    if (!good || http->streams == NULL || http->linger == NULL || ql_http_count_open(http) != QL_OK) {
        server_free(http);
        return QL_E_MEMORY;
    }
    *ret_http = http;
    return QL_OK;
}

ql_err ql_http_start(const struct ql_http_settings *settings, struct ql_http **ret_http,
                     char *ret_why, size_t why_bytes)
{
    struct ql_http *http;
    int fd;
    QL_ASSERT(settings->route_count <= HTTP_ROUTES_MAX);
    ql_err err = server_new(settings, &http);
    if (err != QL_OK) {
        (void)snprintf(ret_why, why_bytes, "cannot start the HTTP server: %s", ql_err_text(err));
        return err;
    }
    err = ql_http_listen(settings->listen, &fd, &http->port, ret_why, why_bytes);
    if (err != QL_OK) {
        server_free(http);
        return err;
    }
    http->daemon = server_daemon(http, settings, fd);
    if (http->daemon == NULL) {
        (void)snprintf(ret_why, why_bytes, "cannot start the HTTP server on %s: %s",
                       settings->listen, strerror(errno));
        (void)close(fd);
        server_free(http);
        return QL_E_IO;
    }
    *ret_http = http;
    return QL_OK;
}

uint16_t ql_http_port(const struct ql_http *http) { return http->port; }

/* ---- stop ----------------------------------------------------------------------- */

static void server_wait(struct ql_http *http, int ms)
{
    const struct timespec until = ql_wait_deadline_ms(ms);
    (void)pthread_mutex_lock(&http->lock);
    while (http->under_way_count > 0 &&
           pthread_cond_timedwait(&http->fewer, &http->lock, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&http->lock);
}

/* Takes one sleeping request out of its handler's hands; false when none sleeps. */
static bool server_abandon_one(struct ql_http *http)
{
    struct MHD_Connection *connection = NULL;
    (void)pthread_mutex_lock(&http->lock);
    for (struct ql_http_request *r = http->under_way; r != NULL && connection == NULL;
         r = r->next) {
        int was = HTTP_SUSPENDED;
        if (atomic_compare_exchange_strong(&r->state, &was, HTTP_ABANDONED)) {
            connection = r->connection; /* asleep, so it lives until it is resumed */
        }
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (connection != NULL) {
        MHD_resume_connection(connection);
    }
    return connection != NULL;
}

void ql_http_stop(struct ql_http *http, int drain_ms)
{
    if (http == NULL) {
        return;
    }
    atomic_store(&http->closing, true);
    ql_http_streams_end(http->streams);
    server_wait(http, drain_ms);
    /* libmicrohttpd must not be stopped while a connection sleeps. */
    atomic_store(&http->aborting, true);
    while (server_abandon_one(http)) {
    }
    server_wait(http, 500);
    MHD_stop_daemon(http->daemon); /* closes the listening socket, too */
    server_free(http);
}
