/* scrape_test - the scraper against targets that answer well, badly, late and not at all,
 * and against Debian's prometheus-node-exporter where it is installed.
 */
#include "http/http_test.h"
#include "receive/receive_test.h"
#include "receive/scrape.h"

#include <libdeflate.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_S 10

struct fixture {
    struct test_engine engine;
    struct ql_stats *stats;
    struct ql_http *target;
    _Atomic(struct ql_http_request *) hanging; /* the one that is never answered in time */
    struct ql_scraper *stopped[8];   /* freed when the engine is done with them */
    uint32_t stopped_count;
    char address[64];
    char asked[1024];                /* headers of the last good request */
    _Atomic int good_count;
};

/* ---- targets ------------------------------------------------------------------------- */

static const char page[] = "# TYPE requests counter\nrequests{code=\"200\"} 7\nload 0.5\n";

static void target_good(void *host, struct ql_http_request *request)
{
    struct fixture *f = host;
    (void)snprintf(f->asked, sizeof(f->asked), "%.*s|%.*s|%.*s",
                   QL_STR_ARG(ql_http_header(request, "Accept")),
                   QL_STR_ARG(ql_http_header(request, "Accept-Encoding")),
                   QL_STR_ARG(ql_http_header(request, "X-Prometheus-Scrape-Timeout-Seconds")));
    f->good_count++;
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200, .content_type = "text/plain",
                                                      .body = { page, sizeof(page) - 1 } });
}

static void target_gzip(void *host, struct ql_http_request *request)
{
    char packed[512];
    const struct ql_http_header headers[] = { { "Content-Encoding", "gzip" }, { NULL, NULL } };
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
    (void)host;
    const size_t bytes = libdeflate_gzip_compress(compressor, page, sizeof(page) - 1, packed,
                                                  sizeof(packed));
    libdeflate_free_compressor(compressor);
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200, .headers = headers,
                                                      .body = { packed, bytes } });
}

static void target_bad(void *host, struct ql_http_request *request)
{
    (void)host;
    ql_http_fail(request, 500, "broken");
}

static void target_big(void *host, struct ql_http_request *request)
{
    char *body = calloc(1, 200000);
    (void)host;
    QL_ASSERT(body != NULL);
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200, .body = { body, 200000 } });
    free(body);
}

static void target_hangs(void *host, struct ql_http_request *request)
{
    struct fixture *f = host;
    struct ql_http_request *none = NULL;
    if (!atomic_compare_exchange_strong(&f->hanging, &none, request)) {
        ql_http_fail(request, 503, "one is enough");
    }
}

static void target_moved(void *host, struct ql_http_request *request)
{
    const struct ql_http_header headers[] = { { "Location", "/good" }, { NULL, NULL } };
    (void)host;
    ql_http_answer(request, &(struct ql_http_answer){ .status = 302, .headers = headers });
}

/* What a proxy says in the target's place. */
static void target_html(void *host, struct ql_http_request *request)
{
    (void)host;
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200, .content_type = "text/html",
                                                      .body = QL_STR("<html>\n<p>Log in\n") });
}

static struct fixture fixture;
static const struct ql_http_route routes[] = {
    { "GET", "/good", target_good, &fixture, 0, false },
    { "GET", "/gzip", target_gzip, &fixture, 0, false },
    { "GET", "/bad", target_bad, &fixture, 0, false },
    { "GET", "/big", target_big, &fixture, 0, false },
    { "GET", "/hangs", target_hangs, &fixture, 0, true },
    { "GET", "/moved", target_moved, &fixture, 0, false },
    { "GET", "/html", target_html, &fixture, 0, false },
};

static int up(void **state)
{
    char why[256];
    const struct ql_http_settings settings = { .listen = "127.0.0.1:0", .threads = 2,
                                               .connections_max = 50, .idle_s = 5,
                                               .routes = routes,
                                               .route_count = QL_COUNT_OF(routes) };
    fixture.hanging = NULL;
    fixture.stopped_count = 0;
    fixture.good_count = 0;
    test_engine_open(&fixture.engine);
    fixture.stats = ql_stats_new(1000);
    assert_int_equal(ql_http_start(&settings, &fixture.target, why, sizeof(why)), QL_OK);
    (void)snprintf(fixture.address, sizeof(fixture.address), "127.0.0.1:%u",
                   ql_http_port(fixture.target));
    *state = &fixture;
    return 0;
}

static int down(void **state)
{
    struct fixture *f = *state;
    if (f->hanging != NULL) {
        ql_http_fail(f->hanging, 503, "at last");
    }
    ql_http_stop(f->target, 1000);
    test_engine_close(&f->engine);
    while (f->stopped_count > 0) {
        ql_scrape_free(f->stopped[--f->stopped_count]);
    }
    ql_stats_free(f->stats);
    return 0;
}

/* ---- the scraper under test ------------------------------------------------------------ */

static const char *one_target[1];

static struct ql_scrape scrape_of(const char *address, const char *path)
{
    one_target[0] = address;
    return (struct ql_scrape){ .job = "job", .path = path, .scheme = "http",
                               .targets = one_target, .target_count = 1,
                               .interval_s = 0.1, .timeout_s = 0.1 };
}

static struct ql_scraper *scraper_start(struct fixture *f, struct ql_scrape *scrape)
{
    char why[256];
    struct ql_scraper *scraper = NULL;
    const struct ql_config config = { .scrapes = scrape, .scrape_count = scrape == NULL ? 0 : 1 };
    const struct ql_accept accept = test_engine_accept(&f->engine);
    const struct ql_scrape_env env = { &accept, 100000, f->stats };
    assert_int_equal(ql_scrape_start(&env, &config, &scraper, why, sizeof(why)), QL_OK);
    return scraper;
}

static void scraper_stop(struct fixture *f, struct ql_scraper *scraper)
{
    ql_scrape_stop(scraper);
    assert_true(f->stopped_count < QL_COUNT_OF(f->stopped));
    f->stopped[f->stopped_count++] = scraper;
}

/* Waits until the engine was given a line that begins so. */
static void await_line(struct fixture *f, const char *line)
{
    struct timespec until;
    int late = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&f->engine.lock);
    while (late == 0 && (f->engine.lines.bytes == 0 || strstr(f->engine.lines.at, line) == NULL)) {
        late = pthread_cond_timedwait(&f->engine.changed, &f->engine.lock, &until);
    }
    if (late != 0) {
        print_message("wanted %s\ngot\n%s\n", line, f->engine.lines.at);
    }
    (void)pthread_mutex_unlock(&f->engine.lock);
    assert_int_equal(late, 0);
}

static void lines_forget(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->engine.lock);
    ql_buf_reset(&f->engine.lines);
    (void)pthread_mutex_unlock(&f->engine.lock);
}

static bool lines_have(struct fixture *f, const char *text)
{
    (void)pthread_mutex_lock(&f->engine.lock);
    const bool have = f->engine.lines.bytes > 0 && strstr(f->engine.lines.at, text) != NULL;
    (void)pthread_mutex_unlock(&f->engine.lock);
    return have;
}

static void test_good(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of(f->address, "/good");
    char want[256];
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    (void)snprintf(want, sizeof(want), "requests{code=\"200\",instance=\"%s\",job=\"job\"} 7",
                   f->address);
    await_line(f, want);
    (void)snprintf(want, sizeof(want), "load{instance=\"%s\",job=\"job\"} 0.5", f->address);
    await_line(f, want);
    (void)snprintf(want, sizeof(want), "up{instance=\"%s\",job=\"job\"} 1", f->address);
    await_line(f, want);
    (void)snprintf(want, sizeof(want), "scrape_samples_scraped{instance=\"%s\",job=\"job\"} 2",
                   f->address);
    await_line(f, want);
    await_line(f, "scrape_duration_seconds{");
    scraper_stop(f, scraper);
    assert_non_null(strstr(f->asked, "text/plain;version=0.0.4;q="));
    assert_non_null(strstr(f->asked, "application/openmetrics-text;version=1.0.0;q="));
    assert_non_null(strstr(f->asked, "|gzip|0.100"));
    assert_true(ql_stats_sum(f->stats, "ql_scrapes_total", "up") >= 1);
}

/* What is journaled is what came over the wire. */
static void test_gzip_stays_packed(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of(f->address, "/gzip");
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    await_line(f, "requests{code=\"200\"");
    await_line(f, "scrape_samples_scraped{");
    scraper_stop(f, scraper);
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", ""), 0);
}

static const struct { const char *story, *path, *dropped; } failing[] = {
    { "500", "/bad", "" },
    { "not there", "/nothing", "" },
    { "more than the limit", "/big", "reason=\"too_large\"" },
    { "does not answer in time", "/hangs", "" },
    { "no metrics, and no line that is right", "/html", "reason=\"malformed\"" },
};

static void test_failing(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < QL_COUNT_OF(failing); i++) {
        struct ql_scrape scrape = scrape_of(f->address, failing[i].path);
        print_message("  %s\n", failing[i].story);
        lines_forget(f);
        struct ql_scraper *scraper = scraper_start(f, &scrape);
        await_line(f, "up{");
        scraper_stop(f, scraper);
        assert_true(lines_have(f, "job=\"job\"} 0\n"));
        assert_false(lines_have(f, "requests"));
        assert_true(ql_stats_sum(f->stats, "ql_scrapes_total", "down") > (int64_t)i);
        if (failing[i].dropped[0] != '\0') {
            assert_true(ql_stats_sum(f->stats, "ql_records_dropped_total", failing[i].dropped) > 0);
        }
    }
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of("127.0.0.1:1", "/metrics");
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    await_line(f, "up{instance=\"127.0.0.1:1\",job=\"job\"} 0");
    scraper_stop(f, scraper);
}

static void test_redirect_is_followed(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of(f->address, "/moved");
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    await_line(f, "requests{code=\"200\"");
    scraper_stop(f, scraper);
}

static void test_full_queue_is_counted(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of(f->address, "/good");
    f->engine.no_batch = true;
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    for (int i = 0; i < 1000 && f->good_count < 2; i++) {
        (void)poll(NULL, 0, 10);
    }
    scraper_stop(f, scraper);
    assert_true(f->good_count >= 2);
    assert_true(ql_stats_sum(f->stats, "ql_records_dropped_total", "queue_full") >= 2);
    assert_int_equal(f->engine.submitted_count, 0);
}

static void test_reload(void **state)
{
    struct fixture *f = *state;
    struct ql_scrape scrape = scrape_of(f->address, "/bad");
    const struct ql_config none = { .scrape_count = 0 };
    const struct ql_config config = { .scrapes = &scrape, .scrape_count = 1 };
    char why[256];
    struct ql_scraper *scraper = scraper_start(f, NULL); /* nothing to scrape, no thread */
    assert_int_equal(ql_scrape_reload(scraper, &config, why, sizeof(why)), QL_OK);
    await_line(f, "up{");
    scrape.path = "/good";
    assert_int_equal(ql_scrape_reload(scraper, &config, why, sizeof(why)), QL_OK);
    await_line(f, "requests{code=\"200\"");
    /* Labels that cannot be change nothing. */
    const char *names[] = { "a", "a" }, *values[] = { "1", "2" };
    scrape.label_names = names;
    scrape.label_values = values;
    scrape.label_count = 2;
    assert_int_equal(ql_scrape_reload(scraper, &config, why, sizeof(why)), QL_E_CONFIG);
    lines_forget(f);
    await_line(f, "requests{code=\"200\"");
    assert_int_equal(ql_scrape_reload(scraper, &none, why, sizeof(why)), QL_OK);
    scraper_stop(f, scraper);
}

/* ---- the real one ----------------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t bytes = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static pid_t exporter_start(const char *address)
{
    char listen[96];
    (void)snprintf(listen, sizeof(listen), "--web.listen-address=%s", address);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("prometheus-node-exporter", "prometheus-node-exporter", listen,
                     "--log.level=error", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void test_node_exporter(void **state)
{
    struct fixture *f = *state;
    char address[64];
    int status;
    if (access("/usr/bin/prometheus-node-exporter", X_OK) != 0) {
        print_message("  prometheus-node-exporter is not installed\n");
        skip();
    }
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", free_port());
    const pid_t pid = exporter_start(address);
    assert_true(pid > 0);
    struct ql_scrape scrape = scrape_of(address, "/metrics");
    scrape.interval_s = scrape.timeout_s = 2.0;
    struct ql_scraper *scraper = scraper_start(f, &scrape);
    await_line(f, "node_load1{");
    await_line(f, "node_cpu_seconds_total{cpu=\"0\"");
    await_line(f, "go_gc_duration_seconds{");
    scraper_stop(f, scraper);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, &status, 0);
    assert_int_equal(ql_stats_sum(f->stats, "ql_records_dropped_total", ""), 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_good),
        WITH(test_gzip_stays_packed),
        WITH(test_failing),
        WITH(test_nobody_there),
        WITH(test_redirect_is_followed),
        WITH(test_full_queue_is_counted),
        WITH(test_reload),
        WITH(test_node_exporter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
