/* receive_test - the doors as senders meet them: real sockets in front, an engine that says
 * what the row tells it behind. One row: what is posted, what the engine says, what the
 * sender is told, and which number went up.
 */
#include "http/http_test.h"
#include "receive/receive_test.h"

#include <snappy-c.h>

#define BODY_BYTES_MAX 100000u

struct fixture {
    struct test_engine engine;
    struct ql_receive *receive;
    struct ql_http *http;
    struct ql_stats *stats;
    uint16_t port;
};

static int doors_up(void **state)
{
    static struct fixture f;
    char why[256] = "";
    struct ql_http_settings settings = { .listen = "127.0.0.1:0", .threads = 2,
                                         .connections_max = 100, .idle_s = 5 };
    test_engine_open(&f.engine);
    f.stats = ql_stats_new(1000);
    const struct ql_accept accept = test_engine_accept(&f.engine);
    const struct ql_receive_env env = { &accept, BODY_BYTES_MAX, f.stats };
    assert_int_equal(ql_receive_new(&env, &f.receive), QL_OK);
    settings.routes = ql_receive_routes(f.receive, &settings.route_count);
    settings.stats = f.stats;
    assert_int_equal(ql_http_start(&settings, &f.http, why, sizeof(why)), QL_OK);
    f.port = ql_http_port(f.http);
    *state = &f;
    return 0;
}

static int doors_down(void **state)
{
    struct fixture *f = *state;
    ql_http_stop(f->http, 1000);
    test_engine_close(&f->engine);
    ql_receive_free(f->receive);
    ql_stats_free(f->stats);
    return 0;
}

/* ---- bodies ------------------------------------------------------------------------ */

static void pb_bytes(struct ql_buf *out, unsigned number, ql_str bytes)
{
    (void)ql_buf_u8(out, (uint8_t)(number << 3 | 2));
    assert_true(bytes.bytes < 16384);
    if (bytes.bytes >= 128) {
        (void)ql_buf_u8(out, (uint8_t)(bytes.bytes | 0x80));
    }
    (void)ql_buf_u8(out, (uint8_t)(bytes.bytes >= 128 ? bytes.bytes >> 7 : bytes.bytes));
    (void)ql_buf_str(out, bytes);
}

static void pb_label(struct ql_buf *series, const char *name, const char *value)
{
    struct ql_buf label;
    ql_buf_init(&label, 1024);
    pb_bytes(&label, 1, ql_str_of(name));
    pb_bytes(&label, 2, ql_str_of(value));
    pb_bytes(series, 1, ql_buf_view(&label));
    ql_buf_fini(&label);
}

/* A WriteRequest of one good series "up"; with `bad`, also one that has a label twice. */
static void write_request(struct ql_buf *out, bool bad)
{
    for (int i = 0; i < (bad ? 2 : 1); i++) {
        struct ql_buf series, sample;
        ql_buf_init(&series, 1024);
        ql_buf_init(&sample, 64);
        pb_label(&series, "__name__", "up");
        pb_label(&series, "job", "a");
        if (i == 1) {
            pb_label(&series, "job", "b");
        }
        (void)ql_buf_u8(&sample, 0x09);
        (void)ql_buf_f64(&sample, 1.0);
        (void)ql_buf_text(&sample, "\x10\xe8\x07"); /* 1 s */
        pb_bytes(&series, 2, ql_buf_view(&sample));
        pb_bytes(out, 1, ql_buf_view(&series));
        ql_buf_fini(&series);
        ql_buf_fini(&sample);
    }
}

static void snappy(struct ql_buf *body)
{
    size_t bytes = snappy_max_compressed_length(body->bytes);
    char *packed = malloc(bytes);
    assert_non_null(packed);
    assert_int_equal(snappy_compress(body->at, body->bytes, packed, &bytes), SNAPPY_OK);
    ql_buf_reset(body);
    (void)ql_buf_put(body, packed, bytes);
    free(packed);
}

/* "@name" is made here, everything else stands for itself. */
static void body_make(const char *text, struct ql_buf *out)
{
    if (strcmp(text, "@good") == 0 || strcmp(text, "@some") == 0) {
        write_request(out, strcmp(text, "@some") == 0);
        snappy(out);
    } else if (strcmp(text, "@bomb") == 0) {
        for (size_t i = 0; i < BODY_BYTES_MAX + 1; i++) {
            (void)ql_buf_char(out, 'x');
        }
        snappy(out);
    } else if (strcmp(text, "@big") == 0) {
        for (size_t i = 0; i < BODY_BYTES_MAX + 1; i++) {
            (void)ql_buf_char(out, 'x');
        }
    } else if (strcmp(text, "@empty_pb") == 0) {
        snappy(out);
    } else {
        (void)ql_buf_text(out, text);
    }
}

/* ---- rows --------------------------------------------------------------------------- */

#define WRITE "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n" \
              "X-Prometheus-Remote-Write-Version: 0.1.0\r\n"
#define JSON "Content-Type: application/json\r\n"
#define PROTO "Content-Type: application/x-protobuf\r\n"
#define DROPPED_ANY(source) "source=\"" source "\""
#define DROPPED(source, reason) "source=\"" source "\",reason=\"" reason "\""

#define GAUGE(value) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\",\"gauge\":{"  \
                     "\"dataPoints\":[{\"timeUnixNano\":\"1000000000\",\"asDouble\":" value "}]}}]}]}]}"

struct row {
    const char *story, *path, *headers, *body;
    ql_err submit, done;      /* what the engine says */
    int status;
    const char *want_head;    /* part of the reply's head */
    const char *want_body;    /* part of the reply's body; "" for an empty one */
    const char *count_name;   /* "accepted" or "dropped" */
    const char *count_labels;
    int64_t count;
    bool no_batch;
};

static const struct row write_rows[] = {
    { "taken", "/api/v1/write", WRITE, "@good", 0, 0, 204, "", "", "accepted",
      "source=\"remote_write\"", 1, false },
    { "under its other names", "/prometheus/api/v1/push", WRITE, "@good", 0, 0, 204, "", "",
      "accepted", "source=\"remote_write\"", 1, false },
    { "nothing in it", "/api/v1/write", WRITE, "@empty_pb", 0, 0, 204, "", "", "accepted",
      "source=\"remote_write\"", 0, false },
    { "Coroot's path", "/v1/metrics", WRITE, "@good", 0, 0, 204, "", "", "accepted",
      "source=\"remote_write\"", 1, false },
    { "some bad: told, and the good ones kept", "/api/v1/write", WRITE, "@some", 0, 0, 400,
      "text/plain", "1 of 2 records refused, the rest was kept", "accepted",
      "source=\"remote_write\"", 1, false },
    { "some bad, counted", "/api/v1/write", WRITE, "@some", 0, 0, 400, "", "refused", "dropped",
      DROPPED("remote_write", "duplicate_label"), 1, false },
    { "not snappy", "/api/v1/write", WRITE, "hello", 0, 0, 400, "", "snappy", "dropped",
      DROPPED_ANY("remote_write"), 1, false },
    { "2.0 is asked to come as 1.0", "/api/v1/write",
      "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
      "Content-Encoding: snappy\r\n", "@good", 0, 0, 415, "", "send 1.0", "dropped",
      DROPPED("remote_write", "content_type"), 1, false },
    { "an encoding nobody knows", "/api/v1/write",
      "Content-Type: application/x-protobuf\r\nContent-Encoding: br\r\n", "@good", 0, 0, 415, "",
      "Content-Encoding", "dropped", DROPPED("remote_write", "encoding"), 1, false },
    { "grows past the limit", "/api/v1/write", WRITE, "@bomb", 0, 0, 413, "", "larger", "dropped",
      DROPPED("remote_write", "too_large"), 1, false },
    { "is past the limit", "/api/v1/write", WRITE, "@big", 0, 0, 413, "", "larger", "dropped",
      DROPPED("remote_write", "too_large"), 1, false },
    { "queue full", "/api/v1/write", WRITE, "@good", QL_E_FULL, 0, 503, "Retry-After: 1\r\n",
      "busy", "dropped", DROPPED("remote_write", "queue_full"), 1, false },
    { "no batch to be had", "/api/v1/write", WRITE, "@good", 0, 0, 503, "Retry-After: 1\r\n",
      "busy", "dropped", DROPPED("remote_write", "queue_full"), 1, true },
    { "disk full when it was to be written", "/api/v1/write", WRITE, "@good", 0, QL_E_IO, 503,
      "Retry-After: 10\r\n", "journal", "dropped", DROPPED("remote_write", "disk_full"), 1, false },
    { "nothing is acknowledged that failed", "/api/v1/write", WRITE, "@good", 0, QL_E_IO, 503, "",
      "", "accepted", "source=\"remote_write\"", 0, false },
    { "shutting down", "/api/v1/write", WRITE, "@good", QL_E_CLOSED, 0, 503, "Retry-After",
      "shutting down", "dropped", DROPPED("remote_write", "queue_full"), 1, false },
};

static const struct row otlp_rows[] = {
    { "JSON", "/v1/metrics", JSON, GAUGE("1.5"), 0, 0, 200, "application/json", "{}", "accepted",
      "source=\"otlp_metrics\"", 1, false },
    { "under the prefixes", "/api/v1/otlp/v1/metrics", JSON, GAUGE("1.5"), 0, 0, 200, "", "{}",
      "accepted", "source=\"otlp_metrics\"", 1, false },
    { "an empty protobuf request", "/otlp/v1/metrics", PROTO, "", 0, 0, 200,
      "application/x-protobuf", "", "dropped", "source=\"otlp_metrics\"", 0, false },
    { "an empty request for logs", "/v1/logs", JSON, "{}", 0, 0, 200, "application/json", "{}",
      "dropped", "source=\"otlp_logs\"", 0, false },
    { "an empty request for traces", "/v1/traces", JSON, "{\"resourceSpans\":[]}", 0, 0, 200, "",
      "{}", "dropped", "source=\"otlp_traces\"", 0, false },
    { "JSON that is none", "/v1/traces", JSON, "{\"resourceSpans\":[", 0, 0, 400,
      "application/json", "{\"code\":3,\"message\":\"", "dropped", DROPPED_ANY("otlp_traces"), 1,
      false },
    { "protobuf that is none", "/v1/logs", PROTO, "\x0a\xff", 0, 0, 400,
      "application/x-protobuf", "\x08\x03\x12", "dropped", DROPPED_ANY("otlp_logs"), 1, false },
    { "no known type", "/v1/logs", "Content-Type: text/plain\r\n", "x", 0, 0, 415,
      "application/json", "{\"code\":3,", "dropped", DROPPED("otlp_logs", "content_type"), 1,
      false },
    { "some bad: told in the answer, status 200", "/v1/metrics", JSON,
      "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"g\",\"gauge\":{\"dataPoints\":["
      "{\"timeUnixNano\":\"1000000000\",\"asDouble\":1},{\"timeUnixNano\":\"1000000000\"}]}}]}]}]}", 0, 0,
      200, "application/json", "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"",
      "accepted", "source=\"otlp_metrics\"", 1, false },
    { "too large", "/v1/metrics", PROTO, "@big", 0, 0, 413, "application/x-protobuf",
      "\x08\x08\x12\x27the body is larger than this path takes", "dropped",
      DROPPED("otlp_metrics", "too_large"), 1, false },
    { "queue full, JSON", "/v1/metrics", JSON, GAUGE("1"), QL_E_FULL, 0, 503, "Retry-After: 1",
      "{\"code\":14,", "dropped", DROPPED("otlp_metrics", "queue_full"), 1, false },
};

static const struct row other_rows[] = {
    { "alerts", "/api/v2/alerts", JSON,
      "[{\"labels\":{\"alertname\":\"A\"},\"startsAt\":\"2026-01-05T09:00:00Z\"}]", 0, 0, 200,
      "Content-Length: 0", "", "accepted", "source=\"alerts\"", 1, false },
    { "no alerts are fine", "/api/v2/alerts", JSON, "[]", 0, 0, 200, "", "", "accepted",
      "source=\"alerts\"", 0, false },
    { "alerts that do not parse", "/api/v2/alerts", JSON, "[{", 0, 0, 400, "application/json",
      "\"", "dropped", DROPPED_ANY("alerts"), 1, false },
    { "alerts as a form", "/api/v2/alerts",
      "Content-Type: application/x-www-form-urlencoded\r\n", "[%{", 0, 0, 415, "",
      "application/json", "dropped", DROPPED("alerts", "content_type"), 1, false },
    { "alerts while the disk is full", "/api/v2/alerts", JSON,
      "[{\"labels\":{\"alertname\":\"A\"}}]", 0, QL_E_IO, 503, "Retry-After", "journal", "dropped",
      DROPPED("alerts", "disk_full"), 1, false },
    { "the first API", "/api/v1/alerts", JSON, "[]", 0, 0, 410, "", "/api/v2/alerts", "dropped",
      "", 0, false },
    { "a change", "/api/v1/changes", JSON,
      "{\"kind\":\"deploy\",\"entity\":\"checkout\",\"summary\":\"1.2.3\"}", 0, 0, 200,
      "application/json", "{\"accepted\":1}", "accepted", "source=\"changes\"", 1, false },
    { "a change that is none", "/api/v1/changes", JSON, "[[", 0, 0, 400, "application/json",
      "{\"error\":\"", "dropped", DROPPED_ANY("changes"), 1, false },
};

static struct reply row_post(const struct fixture *f, const struct row *row)
{
    struct ql_buf body;
    char head[1024];
    ql_buf_init(&body, 1 << 20);
    body_make(row->body, &body);
    const int fd = client_connect(f->port);
    (void)snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                   row->path, row->headers, body.bytes);
    reply_have = 0;
    client_send(fd, head);
    (void)client_send_all(fd, body.at, body.bytes);
    const struct reply reply = client_read(fd, false);
    (void)close(fd);
    ql_buf_fini(&body);
    return reply;
}

static void row_check(void **state, const struct row *row)
{
    struct fixture *f;
    char name[64];
    print_message("  %s\n", row->story);
    (void)doors_up(state);
    f = *state;
    f->engine.no_batch = row->no_batch;
    f->engine.submit_err = row->submit;
    f->engine.done_err = row->done;
    const struct reply reply = row_post(f, row);
    assert_int_equal(reply.status, row->status);
    assert_non_null(strstr(reply.head, row->want_head));
    if (row->want_body[0] == '\0' && reply.status < 300) {
        assert_string_equal(reply.body, "");
    }
    assert_non_null(strstr(reply.body, row->want_body));
    (void)snprintf(name, sizeof(name), "ql_records_%s_total", row->count_name);
    assert_int_equal(ql_stats_sum(f->stats, name, row->count_labels), row->count);
    (void)doors_down(state);
}

static void test_write(void **state)
{
    for (size_t i = 0; i < QL_COUNT_OF(write_rows); i++) {
        row_check(state, &write_rows[i]);
    }
}

static void test_otlp(void **state)
{
    for (size_t i = 0; i < QL_COUNT_OF(otlp_rows); i++) {
        row_check(state, &otlp_rows[i]);
    }
}

static void test_others(void **state)
{
    for (size_t i = 0; i < QL_COUNT_OF(other_rows); i++) {
        row_check(state, &other_rows[i]);
    }
}

/* ---- refused by the server, before a door sees it -------------------------------------- */

/* The same body in chunks, past the limit in the middle of it. */
static struct reply chunks_post(const struct fixture *f, const char *path, const char *headers)
{
    static char chunk[0x10000 + 16];
    char head[1024];
    const size_t mark = (size_t)snprintf(chunk, sizeof(chunk), "10000\r\n");
    memset(chunk + mark, 'x', 0x10000);
    memcpy(chunk + mark + 0x10000, "\r\n", 2);
    const int fd = client_connect(f->port);
    (void)snprintf(head, sizeof(head),
                   "POST %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n", path,
                   headers);
    reply_have = 0;
    client_send(fd, head);
    for (int i = 0; i < 4; i++) {
        (void)client_send_all(fd, chunk, mark + 0x10002);
    }
    const struct reply reply = client_read(fd, false);
    (void)close(fd);
    return reply;
}

#define TOO_LARGE "the body is larger than this path takes"

static void test_refusals_of_the_server(void **state)
{
    static const struct { const char *path, *headers, *type, *body, *source; } rows_413[] = {
        { "/api/v1/write", WRITE, "text/plain; charset=utf-8", TOO_LARGE "\n", "remote_write" },
        { "/v1/metrics", WRITE, "text/plain; charset=utf-8", TOO_LARGE "\n", "remote_write" },
        { "/v1/metrics", PROTO, "application/x-protobuf", "\x08\x08\x12\x27" TOO_LARGE, "otlp_metrics" },
        { "/v1/logs", JSON, "application/json", "{\"code\":8,\"message\":\"" TOO_LARGE "\"}",
          "otlp_logs" },
        { "/otlp/v1/traces", "", "application/json", "{\"code\":8,\"message\":\"" TOO_LARGE "\"}",
          "otlp_traces" },
        { "/api/v2/alerts", JSON, "application/json", "\"" TOO_LARGE "\"\n", "alerts" },
        { "/api/v1/changes", JSON, "application/json", "{\"error\":\"" TOO_LARGE "\"}\n", "changes" },
    };
    for (size_t i = 0; i < 2 * QL_COUNT_OF(rows_413); i++) {
        const bool in_chunks = i % 2 == 1;
        const size_t r = i / 2;
        char type[128], labels[128];
        print_message("  %s%s\n", rows_413[r].path, in_chunks ? ", in chunks" : "");
        (void)doors_up(state);
        const struct fixture *f = *state;
        const struct row row = { .path = rows_413[r].path, .headers = rows_413[r].headers,
                                 .body = "@big" };
        const struct reply reply =
            in_chunks ? chunks_post(f, row.path, row.headers) : row_post(f, &row);
        (void)snprintf(type, sizeof(type), "Content-Type: %s\r\n", rows_413[r].type);
        (void)snprintf(labels, sizeof(labels), "source=\"%s\",reason=\"too_large\"",
                       rows_413[r].source);
        assert_int_equal(reply.status, 413);
        assert_non_null(strstr(reply.head, type));
        assert_non_null(strstr(reply.head, "Connection: close\r\n"));
        assert_string_equal(reply.body, rows_413[r].body);
        assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", labels), 1);
        assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", ""), 1);
        (void)doors_down(state);
    }
}

/* No room for the body, and a body that trickles: both are to be sent again. */
static void test_no_room_and_too_slow(void **state)
{
    struct fixture *f = *state;
    struct ql_http_settings settings = { .listen = "127.0.0.1:0", .threads = 1,
                                         .connections_max = 100, .idle_s = 1,
                                         .bodies_bytes_max = 1000, .stats = f->stats };
    struct ql_http *http = NULL;
    char why[256] = "";
    settings.routes = ql_receive_routes(f->receive, &settings.route_count);
    assert_int_equal(ql_http_start(&settings, &http, why, sizeof(why)), QL_OK);
    const struct fixture small = { .port = ql_http_port(http) };
    struct reply reply = chunks_post(&small, "/v1/logs", PROTO);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.head, "Retry-After: 5\r\n"));
    assert_string_equal(reply.body, "\x08\x0e\x12\x18too many bytes under way");
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total",
                                  DROPPED("otlp_logs", "queue_full")), 1);
    const int fd = client_connect(small.port);
    struct pollfd look = { .fd = fd, .events = POLLIN };
    reply_have = 0;
    client_send(fd, "POST /api/v1/write HTTP/1.1\r\nHost: x\r\n" WRITE "Content-Length: 500\r\n\r\n");
    for (int i = 0; i < 30 && poll(&look, 1, 300) == 0; i++) {
        client_send(fd, "x");
    }
    reply = client_read(fd, false);
    assert_int_equal(reply.status, 503);
    assert_string_equal(reply.body, "the body came too slowly\n");
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total",
                                  DROPPED("remote_write", "too_slow")), 1);
    (void)close(fd);
    ql_http_stop(http, 100);
}

/* ---- told at the door, dropped by the engine -------------------------------------------- */

/* The samples of every row are of 1970. They go to the journal as they came, and the engine
 * counts them when it drops them: here they are only told. */
static void test_outside_of_the_window(void **state)
{
    static const struct { const char *path, *headers, *body; int status; const char *want; } told[] = {
        { "/api/v1/write", WRITE, "@good", 400,
          "1 of 1 records refused, the rest was kept: a sample is further behind the clock than "
          "limits.sample_behind_max, 3600 s: up{job=\"a\"}\n" },
        { "/v1/metrics", JSON, GAUGE("1.5"), 200,
          "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"1 of 1 records refused, "
          "the rest was kept: a sample is further behind the clock than limits.sample_behind_max, "
          "3600 s: g\"}}" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(told); i++) {
        (void)doors_up(state);
        const struct fixture *f = *state;
        const struct row row = { .path = told[i].path, .headers = told[i].headers,
                                 .body = told[i].body };
        ql_receive_set_window(f->receive, 600, 3600);
        struct reply reply = row_post(f, &row);
        assert_int_equal(reply.status, told[i].status);
        assert_string_equal(reply.body, told[i].want);
        assert_int_equal(f->engine.submitted_count, 1);
        assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", ""), 0);
        assert_int_equal(ql_stats_sum(f->stats, "ql_records_accepted_total", ""), 1);
        ql_receive_set_window(f->receive, 600, 1e300); /* a reload allowed more */
        reply = row_post(f, &row);
        assert_true(reply.status == 204 || strcmp(reply.body, "{}") == 0);
        (void)doors_down(state);
    }
}

/* What the journal gets is what came, still compressed, and says how to read it again. */
static void test_journal_gets_the_bytes(void **state)
{
    struct fixture *f = *state;
    struct ql_buf body;
    const struct row *row = &write_rows[0];
    ql_buf_init(&body, 4096);
    body_make(row->body, &body);
    assert_int_equal(row_post(f, row).status, 204);
    assert_int_equal(f->engine.submitted_count, 1);
    assert_int_equal(f->engine.last.door, QL_DOOR_REMOTE_WRITE);
    assert_int_equal(f->engine.last.encoding, QL_ENCODING_SNAPPY);
    assert_int_equal(f->engine.last.format, QL_FORMAT_PROTOBUF);
    assert_int_equal(f->engine.bytes.bytes, body.bytes);
    assert_memory_equal(f->engine.bytes.at, body.at, body.bytes);
    assert_string_equal(f->engine.lines.at, "up{job=\"a\"} 1\n");
    ql_buf_fini(&body);
}

/* More senders than batches: each is told, nobody is told a lie. */
static void test_more_senders_than_batches(void **state)
{
    struct fixture *f = *state;
    int fds[40], taken = 0, refused = 0;
    struct ql_buf body;
    char head[512];
    ql_buf_init(&body, 4096);
    body_make("@good", &body);
    (void)snprintf(head, sizeof(head),
                   "POST /api/v1/write HTTP/1.1\r\nHost: x\r\n" WRITE "Content-Length: %zu\r\n\r\n",
                   body.bytes);
    for (size_t i = 0; i < QL_COUNT_OF(fds); i++) {
        fds[i] = client_connect(f->port);
        client_send(fds[i], head);
        (void)client_send_all(fds[i], body.at, body.bytes);
    }
    for (size_t i = 0; i < QL_COUNT_OF(fds); i++) {
        reply_have = 0;
        const struct reply reply = client_read(fds[i], false);
        taken += reply.status == 204;
        refused += reply.status == 503;
        (void)close(fds[i]);
    }
    assert_int_equal(taken + refused, QL_COUNT_OF(fds));
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_accepted_total", ""), taken);
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", ""), refused);
    assert_int_equal(f->engine.submitted_count, taken);
    ql_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_otlp),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_refusals_of_the_server),
        cmocka_unit_test_setup_teardown(test_no_room_and_too_slow, doors_up, doors_down),
        cmocka_unit_test(test_outside_of_the_window),
        cmocka_unit_test_setup_teardown(test_journal_gets_the_bytes, doors_up, doors_down),
        cmocka_unit_test_setup_teardown(test_more_senders_than_batches, doors_up, doors_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
