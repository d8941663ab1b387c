/* server_test.h - for tests only: a server with a route of every kind, and a thread that
 * answers what the handlers left for later.
 */
#ifndef QL_HTTP_SERVER_TEST_H
#define QL_HTTP_SERVER_TEST_H

#include "http/http_test.h"

#include <pthread.h>

#define ECHO_BYTES_MAX 200000u
#define HOST "Host: x\r\n"

/* ---- the server under test -------------------------------------------------------- */

/* Requests that a handler left for another thread to answer. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ql_http_request *waiting[256];
    uint32_t count, done_count;
    bool closing, held; /* held: leave them waiting */
    pthread_t thread;
} later = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static inline void answer_text(struct ql_http_request *request, unsigned status, ql_str text)
{
    ql_http_answer(request, &(struct ql_http_answer){ .status = status,
                                                      .content_type = "text/plain",
                                                      .body = text });
}

static inline void *later_run(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&later.lock);
    while (!later.closing || later.count > 0) {
        if (later.count == 0 || later.held) {
            (void)pthread_cond_wait(&later.changed, &later.lock);
            continue;
        }
        struct ql_http_request *request = later.waiting[--later.count];
        later.done_count++;
        (void)pthread_mutex_unlock(&later.lock);
        answer_text(request, 200, ql_http_body(request));
        (void)pthread_mutex_lock(&later.lock);
    }
    (void)pthread_mutex_unlock(&later.lock);
    return NULL;
}

static inline void later_hold(bool held)
{
    (void)pthread_mutex_lock(&later.lock);
    later.held = held;
    (void)pthread_cond_broadcast(&later.changed);
    (void)pthread_mutex_unlock(&later.lock);
}

static inline void later_await(uint32_t count)
{
    (void)pthread_mutex_lock(&later.lock);
    while (later.count < count) {
        (void)pthread_cond_wait(&later.changed, &later.lock);
    }
    (void)pthread_mutex_unlock(&later.lock);
}

static inline void handle_later(void *host, struct ql_http_request *request)
{
    (void)host;
    (void)pthread_mutex_lock(&later.lock);
    assert_true(later.count < QL_COUNT_OF(later.waiting));
    later.waiting[later.count++] = request;
    (void)pthread_cond_broadcast(&later.changed);
    (void)pthread_mutex_unlock(&later.lock);
}

static struct { _Atomic int running, freed; } sluggish; /* holds its thread until freed */

static inline void handle_slow(void *host, struct ql_http_request *request)
{
    (void)host;
    sluggish.running++;
    while (sluggish.freed == 0) {
        (void)poll(NULL, 0, 5);
    }
    answer_text(request, 200, QL_STR("at last\n"));
}

static inline void handle_hello(void *host, struct ql_http_request *request)
{
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200, .content_type = host,
                                                      .body = QL_STR("hello\n"),
                                                      .body_static = true });
}

static inline void handle_echo(void *host, struct ql_http_request *request)
{
    (void)host;
    const ql_str body = ql_http_body(request);
    for (size_t i = 0; body.bytes > 0 && i < QL_HTTP_BODY_PADDING; i++) {
        QL_ASSERT(body.at[body.bytes + i] == '\0');
    }
    answer_text(request, 200, body);
}

static inline void handle_show(void *host, struct ql_http_request *request)
{
    struct ql_buf out;
    ql_str value;
    (void)host;
    ql_buf_init(&out, 4096);
    (void)ql_buf_printf(&out, "%.*s|%.*s|%.*s|%.*s|%.*s", QL_STR_ARG(ql_http_method(request)),
                        QL_STR_ARG(ql_http_path(request)), QL_STR_ARG(ql_http_rest(request)),
                        QL_STR_ARG(ql_http_header(request, "x-one")),
                        QL_STR_ARG(ql_http_param(request, "none")));
    for (uint32_t n = 0; ql_http_param_n(request, "match[]", n, &value); n++) {
        (void)ql_buf_printf(&out, "|%.*s", QL_STR_ARG(value));
    }
    answer_text(request, 200, ql_buf_view(&out));
    ql_buf_fini(&out);
}

static inline void handle_fail(void *host, struct ql_http_request *request)
{
    (void)host;
    ql_http_fail(request, 422, "say \"%s\"\n", "why");
}

static inline void handle_none(void *host, struct ql_http_request *request)
{
    const struct ql_http_header headers[] = { { "Retry-After", "1" }, { NULL, NULL } };
    (void)host;
    ql_http_answer(request, &(struct ql_http_answer){ .status = 204, .headers = headers });
}

static struct { _Atomic int open, closed, calls; } streams;

static inline ql_err stream_next(void *context, struct ql_buf *out)
{
    int *left = context;
    streams.calls++;
    if (*left == 0) {
        return QL_E_CLOSED;
    }
    if (*left > 0) {
        (void)ql_buf_printf(out, "event: tick\ndata: %d\n\n", (*left)--);
    } else {
        (void)poll(NULL, 0, 10); /* an endless one: nothing happens */
    }
    return QL_OK;
}

static inline void stream_done(void *context)
{
    free(context);
    streams.closed++;
}

static inline void handle_stream(void *host, struct ql_http_request *request)
{
    int *left = malloc(sizeof(*left));
    QL_ASSERT(left != NULL);
    *left = *(const int *)host;
    streams.open++;
    ql_http_answer_stream(request, &(struct ql_http_stream){ stream_next, stream_done, left,
                                                             "text/event-stream" });
}

static int stream_three = 3, stream_endless = -1;
static char hello_type[] = "text/plain";

static const struct ql_http_route routes[] = {
    { "GET", "/hello", handle_hello, hello_type, 0, false },
    { "POST", "/echo", handle_echo, NULL, ECHO_BYTES_MAX, false },
    { "POST", "/later", handle_later, NULL, 100000, true },
    { .method = "GET", .path = "/slow", .handle = handle_slow, .slow = true },
    { "GET", "/show/*", handle_show, NULL, 0, false },
    { "POST", "/show/*", handle_show, NULL, 4096, false },
    { "GET", "/fail", handle_fail, NULL, 0, false },
    { "POST", "/none", handle_none, NULL, 1000, false },
    { "GET", "/three", handle_stream, &stream_three, 0, false },
    { "GET", "/endless", handle_stream, &stream_endless, 0, false },
};

struct fixture {
    struct ql_http *http;
    struct ql_stats *stats;
    uint16_t port;
};

static inline struct ql_http_settings settings_make(struct ql_stats *stats)
{
    return (struct ql_http_settings){ .listen = "127.0.0.1:0", .threads = 2,
                                      .connections_max = 256, .idle_s = 60, .head_s = 60,
                                      .streams_max = 2,
                                      .routes = routes, .route_count = QL_COUNT_OF(routes),
                                      .stats = stats };
}

/* `patience_s` for idle clients and for headers; 0: more than a test takes. */
static inline int server_up_with(void **state, uint32_t threads, uint32_t patience_s)
{
    static struct fixture fixture;
    char why[256] = "";
    fixture.stats = ql_stats_new(1000);
    struct ql_http_settings settings = settings_make(fixture.stats);
    settings.threads = threads;
    if (patience_s > 0) {
        settings.idle_s = settings.head_s = patience_s;
    }
    later.closing = later.held = false;
    later.count = later.done_count = 0;
    streams.open = streams.closed = 0;
    sluggish.running = sluggish.freed = 0;
    assert_int_equal(pthread_create(&later.thread, NULL, later_run, NULL), 0);
    assert_int_equal(ql_http_start(&settings, &fixture.http, why, sizeof(why)), QL_OK);
    fixture.port = ql_http_port(fixture.http);
    *state = &fixture;
    return 0;
}

static inline int server_up(void **state) { return server_up_with(state, 2, 0); }

static inline int server_down(void **state)
{
    struct fixture *fixture = *state;
    ql_http_stop(fixture->http, 1000); /* NULL when the test did it */
    (void)pthread_mutex_lock(&later.lock);
    later.closing = true;
    later.held = false;
    (void)pthread_cond_broadcast(&later.changed);
    (void)pthread_mutex_unlock(&later.lock);
    (void)pthread_join(later.thread, NULL);
    assert_int_equal(streams.open, streams.closed);
    ql_stats_free(fixture->stats);
    return 0;
}

static inline int client_open(const struct fixture *fixture) { return client_connect(fixture->port); }

static inline struct reply ask(const struct fixture *fixture, const char *request)
{
    reply_have = 0;
    const int fd = client_open(fixture);
    const struct reply reply = client_ask(fd, request);
    (void)close(fd);
    return reply;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, server_up, server_down)

#endif
