/* server.c - start and stop; what happens in between: exchange.c. */
#include "base/wait.h"
#include "http/http_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVER_CONNECTION_BYTES 65536u /* headers, and the pieces in which a body comes */
#define SERVER_BODIES_BYTES_MAX ((size_t)1 << 30)
#define SERVER_HEAD_S 30u

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
        flags, 0, server_on_connect, http, ql_http_on_access, http,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0,
        MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_CONNECTION_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)SERVER_CONNECTION_BYTES / 4,
        MHD_OPTION_URI_LOG_CALLBACK, ql_http_on_uri, http,
        MHD_OPTION_NOTIFY_COMPLETED, ql_http_on_completed, http,
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
