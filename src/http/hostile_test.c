/* hostile_test - clients that send half, too much, too slowly, in the wrong order, noise, or
 * leave before the answer; and more of them than there is room for.
 */
#include "base/clock.h"
#include "http/server_test.h"

/* Tests of the limits alone have short ones. */
static int server_up_hasty(void **state) { return server_up_with(state, 2, 2); }
#define WITH_HASTE(test) cmocka_unit_test_setup_teardown(test, server_up_hasty, server_down)

static void test_ten_times_the_size(void **state)
{
    static char body[10 * ECHO_BYTES_MAX];
    char head[128];
    const int fd = client_open(*state);
    reply_have = 0;
    memset(body, 'x', sizeof(body));
    (void)snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n",
                   sizeof(body));
    client_send(fd, head);
    /* A client that reads only after it has sent all must still learn why: no reset. */
    assert_int_equal(client_send_all(fd, body, sizeof(body)), sizeof(body));
    const struct reply reply = client_read(fd, false);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.head, "Connection: close"));
    (void)close(fd);
}

/* `count` chunks of 64 KiB; whether the server let all of them be sent. */
static bool send_chunks(int fd, int count)
{
    static char chunk[65536 + 16];
    const size_t head = (size_t)snprintf(chunk, sizeof(chunk), "10000\r\n");
    bool all = true;
    memset(chunk + head, 'x', 65536);
    memcpy(chunk + head + 65536, "\r\n", 2);
    for (int i = 0; i < count; i++) {
        all = client_send_all(fd, chunk, head + 65538) == head + 65538 && all;
    }
    return all;
}

static void test_ten_times_the_size_chunked(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    assert_true(send_chunks(fd, 30));
    client_send(fd, "0\r\n\r\n");
    assert_int_equal(client_read(fd, false).status, 413);
    (void)close(fd);
}

/* Far over the limit, and the client reads only when it has sent all: no reset instead of an
 * answer, which it would take for a bad line and send all of it again, for ever. */
static void test_chunks_without_end(void **state)
{
    const struct fixture *fixture = *state;
    const int fd = client_open(fixture);
    reply_have = 0;
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    assert_true(send_chunks(fd, 256)); /* 16 MiB */
    client_send(fd, "0\r\n\r\n");
    const struct reply reply = client_read(fd, false);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    assert_string_equal(reply.body, "{\"error\":\"the body is larger than this path takes\"}\n");
    assert_false(client_more(fd)); /* and no second answer */
    (void)close(fd);
    assert_int_equal(ql_stats_sum(fixture->stats, "ql_http_requests_total", "code=\"413\""), 1);
}

/* A length that is no length: chunks go on, whatever Content-Length says beside them. */
static void test_chunks_beside_a_length(void **state)
{
    const int fd = client_open(*state);
    reply_have = 0;
    client_send(fd, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
    (void)send_chunks(fd, 256);
    const struct reply reply = client_read(fd, false);
    assert_true(reply.status == 404 || reply.status == 400);
    assert_non_null(strstr(reply.head, "Connection: close\r\n"));
    (void)close(fd);
}

/* Slower than 4 KiB/s for twice the idle limit (two seconds here): told so, and cut off, not before. */
static void test_a_trickle(void **state)
{
    const int64_t began_ns = ql_clock_mono_ns();
    const int fd = client_open(*state);
    reply_have = 0;
    client_send(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    struct pollfd look = { .fd = fd, .events = POLLIN };
    for (int sent = 0; sent < CLIENT_PATIENCE_MS / 100 && poll(&look, 1, 100) == 0; sent++) {
        assert_int_equal(client_send_all(fd, "x", 1), 1);
    }
    const struct reply reply = client_read(fd, false);
    assert_int_equal(reply.status, 408);
    assert_non_null(strstr(reply.body, "too slowly"));
    assert_true(ql_clock_mono_ns() - began_ns > 4 * QL_NS_PER_S);
    (void)close(fd);
}

static void test_wrong_order_and_noise(void **state)
{
    const char *noise[] = { "\r\n\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\x16\x03\x01\x02",
                            "POST /echo\r\n", "Content-Length: 5\r\n\r\nPOST /echo HTTP/1.1\r\n\r\n",
                            "POST /echo HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n",
                            "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n",
                            "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n" };
    for (size_t i = 0; i < QL_COUNT_OF(noise); i++) {
        const int fd = client_open(*state);
        client_send(fd, noise[i]);
        (void)shutdown(fd, SHUT_WR);
        reply_have = 0;
        const struct reply reply = client_read(fd, true);
        assert_int_not_equal(reply.status, 200);
        (void)close(fd);
    }
    assert_int_equal(ask(*state, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void test_half_a_request_and_gone(void **state)
{
    const char *halves[] = { "", "PO", "POST /echo HTTP/1.1\r\n", "POST /echo HTTP/1.1\r\n" HOST
                             "Content-Length: 100\r\n\r\nabc" };
    for (size_t i = 0; i < QL_COUNT_OF(halves); i++) {
        const int fd = client_open(*state);
        client_send(fd, halves[i]);
        (void)close(fd);
    }
    assert_int_equal(ask(*state, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void test_client_leaves_before_the_answer(void **state)
{
    const struct fixture *fixture = *state;
    later_hold(true);
    for (int i = 0; i < 10; i++) {
        const int fd = client_open(fixture);
        client_send(fd, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi");
        later_await((uint32_t)i + 1);
        (void)close(fd);
    }
    later_hold(false);
    assert_int_equal(ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

/* Half a request and then silence: closed by the idle limit, others served meanwhile. */
static void test_idle_is_closed(void **state)
{
    const int silent[] = { client_open(*state), client_open(*state), client_open(*state) };
    client_send(silent[1], "POST /echo HTTP/1.1\r\nHo");
    client_send(silent[2], "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    assert_int_equal(ask(*state, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
    for (size_t i = 0; i < QL_COUNT_OF(silent); i++) {
        reply_have = 0;
        const struct reply reply = client_read(silent[i], true); /* fails if it stays open */
        assert_true(reply.status == 0 || reply.status == 408);
        (void)close(silent[i]);
    }
}

/* A byte of a header now and then keeps no connection: not of the first request, not of the
 * second. */
static void test_slow_headers_are_closed(void **state)
{
    for (int earlier = 0; earlier <= 1; earlier++) {
        const int fd = client_open(*state);
        reply_have = 0;
        if (earlier == 1) {
            client_send(fd, "GET /hello HT");
            (void)poll(NULL, 0, 100); /* slow, but soon enough */
            assert_int_equal(client_ask(fd, "TP/1.1\r\n" HOST "\r\n").status, 200);
        }
        client_send(fd, "GET /hello HTTP/1.1\r\nX: ");
        bool open = true;
        for (int i = 0; i < CLIENT_PATIENCE_MS / 200 && open; i++) {
            struct pollfd look = { .fd = fd, .events = POLLIN };
            (void)poll(&look, 1, 200);
            open = look.revents == 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1;
        }
        assert_false(open);
        (void)close(fd);
    }
}

/* More connections than the server takes: the others wait their turn, none is lost. */
static void test_more_than_room_for(void **state)
{
    struct fixture *fixture = *state;
    struct ql_http_settings settings = settings_make(NULL);
    struct ql_http *http = NULL;
    char why[256];
    int fds[20];
    settings.connections_max = 4;
    assert_int_equal(ql_http_start(&settings, &http, why, sizeof(why)), QL_OK);
    const struct fixture small = { .http = http, .port = ql_http_port(http) };
    for (size_t i = 0; i < QL_COUNT_OF(fds); i++) {
        fds[i] = client_open(&small);
        client_send(fds[i], "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    }
    for (size_t i = 0; i < QL_COUNT_OF(fds); i++) {
        reply_have = 0;
        assert_int_equal(client_read(fds[i], false).status, 200);
        (void)close(fds[i]);
    }
    ql_http_stop(http, 1000);
    assert_int_equal(ask(fixture, "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
}

static void *stop_soon(void *http)
{
    ql_http_stop(http, 100);
    return NULL;
}

/* Slow readers hold their own threads alone: whoever was connected before goes on at once, and
 * beyond 64 that wait they are told to come again. */
static void test_slow_readers_hold_up_nobody_else(void **state)
{
    enum { SLOW = 2 + 64, MORE = 3, DOORS = 8 };
    int slow[SLOW + MORE], doors[DOORS];
    uint32_t refused = 0;
    for (size_t i = 0; i < QL_COUNT_OF(doors); i++) { /* on every thread of the server */
        doors[i] = client_open(*state);
        reply_have = 0;
        assert_int_equal(client_ask(doors[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n").status, 200);
    }
    for (size_t i = 0; i < QL_COUNT_OF(slow); i++) {
        slow[i] = client_open(*state);
        client_send(slow[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n");
        while (i < 2 && sluggish.running <= (int)i) {
            (void)poll(NULL, 0, 5);
        }
    }
    for (size_t i = 0; i < QL_COUNT_OF(doors); i++) {
        reply_have = 0;
        assert_int_equal(client_ask(doors[i], "POST /echo HTTP/1.1\r\n" HOST
                                              "Content-Length: 2\r\n\r\nhi").status, 200);
    }
    assert_int_equal(sluggish.running, 2);
    sluggish.freed = 1;
    for (size_t i = 0; i < QL_COUNT_OF(slow); i++) {
        reply_have = 0;
        const struct reply reply = client_read(slow[i], false);
        assert_true(reply.status == 200 || reply.status == 503);
        assert_int_equal(strstr(reply.head, "Retry-After") != NULL, reply.status == 503);
        refused += reply.status == 503 ? 1 : 0;
        (void)close(slow[i]);
    }
    assert_int_equal(refused, MORE);
    for (size_t i = 0; i < QL_COUNT_OF(doors); i++) {
        (void)close(doors[i]);
    }
}

/* Closed while slow ones run and others wait: each ends, none is lost or answered twice. */
static void test_stop_with_slow_readers(void **state)
{
    struct fixture *fixture = *state;
    int slow[6];
    for (size_t i = 0; i < QL_COUNT_OF(slow); i++) {
        slow[i] = client_open(fixture);
        client_send(slow[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    }
    while (sluggish.running < 2) {
        (void)poll(NULL, 0, 5);
    }
    pthread_t stopper;
    assert_int_equal(pthread_create(&stopper, NULL, stop_soon, fixture->http), 0);
    fixture->http = NULL;
    for (size_t i = 2; i < QL_COUNT_OF(slow); i++) {
        reply_have = 0;
        assert_int_equal(client_read(slow[i], false).status, 503);
    }
    sluggish.freed = 1;
    assert_int_equal(pthread_join(stopper, NULL), 0);
    assert_int_equal(sluggish.running, 2);
    for (size_t i = 0; i < QL_COUNT_OF(slow); i++) {
        (void)close(slow[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_ten_times_the_size),
        WITH(test_ten_times_the_size_chunked),
        WITH(test_chunks_without_end),
        WITH(test_chunks_beside_a_length),
        WITH_HASTE(test_a_trickle),
        WITH_HASTE(test_wrong_order_and_noise),
        WITH(test_half_a_request_and_gone),
        WITH(test_client_leaves_before_the_answer),
        WITH_HASTE(test_idle_is_closed),
        WITH_HASTE(test_slow_headers_are_closed),
        WITH(test_more_than_room_for),
        WITH(test_slow_readers_hold_up_nobody_else),
        WITH(test_stop_with_slow_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
