/* server_test - the server as clients meet it, over real sockets on loopback: one
 * at a time, a hundred at once, streaming, and while it stops. Bad ones: hostile_test.c.
 */
#include "http/server_test.h"

/* ---- well-behaved clients --------------------------------------------------------- */

static const struct { const char *story, *request; int status; const char *body, *head; } asks[] = {
    { "plain", "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello\n", "Content-Type: text/plain" },
    { "HEAD", "HEAD /hello HTTP/1.1\r\n" HOST "\r\n", 200, NULL, "Content-Length: 6" },
    { "HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n", 200, "hello\n", "" },
    { "unknown", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "{\"error\":\"no such path\"}\n", "" },
    { "unknown with body", "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 404,
      NULL, "" },
    { "wrong method", "DELETE /hello HTTP/1.1\r\n" HOST "\r\n", 405, NULL, "Allow: GET, HEAD" },
    { "wrong method on a door", "GET /echo HTTP/1.1\r\n" HOST "\r\n", 405, NULL, "Allow: POST" },
    { "echo", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345", 200, "12345", "" },
    { "no body is a body of nothing", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
      200, "", "" },
    { "chunked", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "abcde", "" },
    { "204 has no body", "POST /none HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 204, "",
      "Retry-After: 1" },
    { "what a star matched, header in any case",
      "GET /show/7%2Fwhy?match[]=a%20b&x=1&match%5B%5D=c+d HTTP/1.1\r\n" HOST "X-One: 1\r\n\r\n", 200,
      "GET|/show/7/why|7/why|1||a b|c d", "" },
    { "form parameters follow the query's",
      "POST /show/?match[]=q HTTP/1.1\r\n" HOST "Content-Type: application/x-www-form-urlencoded\r\n"
      "Content-Length: 22\r\n\r\nmatch%5B%5D=form&x=1%2", 400, NULL, "" },
    { "form parameters follow the query's",
      "POST /show/?match[]=q HTTP/1.1\r\n" HOST "Content-Type: application/x-www-form-urlencoded\r\n"
      "Content-Length: 16\r\n\r\nmatch%5B%5D=form", 200, "POST|/show/||||q|form", "" },
    { "absolute form", "GET http://x:1/hello HTTP/1.1\r\n" HOST "\r\n", 200, "hello\n", "" },
    { "broken escape", "GET /hel%lo HTTP/1.1\r\n" HOST "\r\n", 400, NULL, "" },
    { "encoded NUL", "GET /hello%00x HTTP/1.1\r\n" HOST "\r\n", 400, NULL, "" },
    { "a GET takes no body", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 413,
      NULL, "" },
    { "errors are JSON", "GET /fail HTTP/1.1\r\n" HOST "\r\n", 422,
      "{\"error\":\"say \\\"why\\\"\\u000a\"}\n", "application/json" },
    { "answered by another thread", "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi",
      200, "hi", "" },
};

static void test_asks(void **state)
{
    for (size_t i = 0; i < QL_COUNT_OF(asks); i++) {
        print_message("  %s\n", asks[i].story);
        const struct reply reply = ask(*state, asks[i].request);
        assert_int_equal(reply.status, asks[i].status);
        assert_non_null(strstr(reply.head, asks[i].head));
        if (asks[i].body != NULL) {
            assert_string_equal(reply.body, asks[i].body);
        }
    }
}

static void test_keep_alive_after_refusal(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    const char *refused = "POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc";
    assert_int_equal(client_ask(fd, refused).status, 404);
    assert_int_equal(client_ask(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
    (void)close(fd);
}

static void test_pipelined(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    client_send(fd, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n1"
                    "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n2"
                    "POST /later HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n3"
                    "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(client_read(fd, false).body, "1");
    assert_string_equal(client_read(fd, false).body, "2");
    assert_string_equal(client_read(fd, false).body, "3");
    assert_string_equal(client_read(fd, false).body, "hello\n");
    (void)close(fd);
}

static void test_large_body_comes_back_whole(void **state)
{
    static char body[ECHO_BYTES_MAX];
    char head[128];
    const int fd = client_open(*state);
    reply_have = 0;
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (char)('a' + (i * 7 + i / 251) % 26);
    }
    (void)snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                   sizeof(body));
    client_send(fd, head);
    assert_int_equal(client_send_all(fd, body, sizeof(body)), sizeof(body));
    const struct reply reply = client_read(fd, false);
    assert_int_equal(reply.body_bytes, sizeof(body));
    assert_memory_equal(reply.body, body, sizeof(body));
    (void)close(fd);
}

static void test_expect_continue(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(client_read(fd, true).status, 100);
    client_send(fd, "ok");
    assert_string_equal(client_read(fd, false).body, "ok");
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n"
                    "Expect: 100-continue\r\n\r\n");
    assert_int_equal(client_read(fd, false).status, 413); /* and no invitation to send it */
    (void)close(fd);
}

/* ---- many at once ---------------------------------------------------------------- */

#define MANY_CLIENTS 100
#define MANY_ROUNDS 20

static void test_hundred_clients(void **state)
{
    int fds[MANY_CLIENTS];
    for (int c = 0; c < MANY_CLIENTS; c++) {
        fds[c] = client_open(*state);
    }
    for (int round = 0; round < MANY_ROUNDS; round++) {
        for (int c = 0; c < MANY_CLIENTS; c++) {
            char request[128];
            (void)snprintf(request, sizeof(request),
                           "POST /%s HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\n%03d.%02d",
                           (c + round) % 2 == 0 ? "later" : "echo", c, round);
            client_send(fds[c], request);
        }
        for (int c = 0; c < MANY_CLIENTS; c++) {
            char want[32];
            (void)snprintf(want, sizeof(want), "%03d.%02d", c, round);
            reply_have = 0;
            assert_string_equal(client_read(fds[c], false).body, want);
        }
    }
    for (int c = 0; c < MANY_CLIENTS; c++) {
        (void)close(fds[c]);
    }
    struct fixture *fixture = *state;
    assert_int_equal(ql_stats_sum(fixture->stats, "ql_http_requests_total", "code=\"200\""),
                     MANY_CLIENTS * MANY_ROUNDS);
    assert_int_equal(ql_stats_sum(fixture->stats, "ql_http_request_bytes_total", ""),
                     6 * MANY_CLIENTS * MANY_ROUNDS);
}

static int server_up_one(void **state) { return server_up_with(state, 1, 0); }

/* ---- streams --------------------------------------------------------------------- */

static void client_read_until(int fd, const char *text)
{
    while (strstr(reply_bytes, text) == NULL) {
        assert_true(client_more(fd));
    }
}

static void test_stream(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    reply_bytes[0] = '\0';
    client_send(fd, "GET /three HTTP/1.1\r\n" HOST "\r\n");
    client_read_until(fd, "\r\n0\r\n\r\n"); /* the last chunk */
    assert_non_null(strstr(reply_bytes, "Content-Type: text/event-stream"));
    assert_non_null(strstr(reply_bytes, "data: 3\n\n"));
    assert_non_null(strstr(reply_bytes, "data: 1\n\n"));
    (void)close(fd);
}

static void test_streams_bounded(void **state)
{
    const struct fixture *fixture = *state;
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = client_open(fixture);
        reply_have = 0;
        client_send(fds[i], "GET /endless HTTP/1.1\r\n" HOST "\r\n");
        reply_bytes[0] = '\0';
        client_read_until(fds[i], "\r\n\r\n");
    }
    assert_int_equal(ask(fixture, "GET /endless HTTP/1.1\r\n" HOST "\r\n").status, 503);
    /* The pool is not held up by them. */
    assert_int_equal(ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
    /* A client that leaves gives its place back. */
    (void)close(fds[0]);
    int status = 503;
    for (int i = 0; i < 200 && status == 503; i++) {
        (void)poll(NULL, 0, 10);
        reply_have = 0;
        const int fd = client_open(fixture);
        client_send(fd, "GET /three HTTP/1.1\r\n" HOST "\r\n");
        reply_bytes[0] = '\0';
        client_read_until(fd, "\r\n\r\n");
        assert_int_equal(sscanf(reply_bytes, "HTTP/1.1 %d", &status), 1);
        (void)close(fd);
    }
    assert_int_equal(status, 200);
    (void)close(fds[1]);
}

/* ---- stopping --------------------------------------------------------------------- */

static void *stop_run(void *context)
{
    struct fixture *fixture = context;
    struct ql_http *http = fixture->http;
    fixture->http = NULL;
    ql_http_stop(http, 5000);
    return NULL;
}

static void test_stop_answers_what_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    pthread_t stopper;
    const int fd = client_open(fixture);
    reply_have = 0;
    later_hold(true);
    client_send(fd, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    later_await(1);
    assert_int_equal(pthread_create(&stopper, NULL, stop_run, fixture), 0);
    later_hold(false);
    assert_string_equal(client_read(fd, false).body, "hi");
    (void)pthread_join(stopper, NULL);
    (void)close(fd);
}

static void test_stop_does_not_wait_for_ever(void **state)
{
    struct fixture *fixture = *state;
    struct ql_http *http = fixture->http;
    const int fd = client_open(fixture), half = client_open(fixture), stream = client_open(fixture);
    reply_have = 0;
    later_hold(true);
    client_send(half, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    client_send(stream, "GET /endless HTTP/1.1\r\n" HOST "\r\n");
    client_send(fd, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
    later_await(1);
    fixture->http = NULL;
    ql_http_stop(http, 20);
    assert_int_equal(client_read(fd, false).status, 503);
    /* The late answer, after the server is gone, harms nothing. */
    later_hold(false);
    (void)close(fd);
    (void)close(half);
    (void)close(stream);
}

static void test_address_in_use(void **state)
{
    const struct fixture *fixture = *state;
    char listen[64], why[256] = "";
    struct ql_http *http = NULL;
    struct ql_http_settings settings = settings_make(NULL);
    (void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", fixture->port);
    settings.listen = listen;
    assert_int_equal(ql_http_start(&settings, &http, why, sizeof(why)), QL_E_IO);
    assert_non_null(strstr(why, "already in use"));
    settings.listen = "nonsense";
    assert_int_equal(ql_http_start(&settings, &http, why, sizeof(why)), QL_E_CONFIG);
}

static void test_metrics_name_routes_not_paths(void **state)
{
    struct fixture *fixture = *state;
    struct ql_buf out;
    (void)ask(fixture, "GET /show/secret?token=1 HTTP/1.1\r\n" HOST "\r\n");
    (void)ask(fixture, "GET /nothing/secret HTTP/1.1\r\n" HOST "\r\n");
    ql_http_stop(fixture->http, 1000);
    fixture->http = NULL;
    ql_buf_init(&out, 1 << 20);
    assert_int_equal(ql_stats_render(fixture->stats, &out), QL_OK);
    assert_null(strstr(out.at, "secret"));
    assert_non_null(strstr(out.at, "ql_http_requests_total{path=\"/show/*\",code=\"200\"} 1"));
    assert_non_null(strstr(out.at, "ql_http_requests_total{path=\"other\",code=\"404\"} 1"));
    assert_non_null(strstr(out.at, "ql_http_requests_in_flight 0"));
    ql_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_asks),
        WITH(test_keep_alive_after_refusal),
        WITH(test_pipelined),
        WITH(test_large_body_comes_back_whole),
        WITH(test_expect_continue),
        WITH(test_hundred_clients),
        cmocka_unit_test_setup_teardown(test_hundred_clients, server_up_one, server_down),
        WITH(test_stream),
        WITH(test_streams_bounded),
        WITH(test_stop_answers_what_is_under_way),
        WITH(test_stop_does_not_wait_for_ever),
        WITH(test_address_in_use),
        WITH(test_metrics_name_routes_not_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
