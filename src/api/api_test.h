/* api_test.h - for tests only: the api as clients meet it: a real server on loopback, a store that
 * the story of store_story.h was written to, and a view filled in by hand. */
#ifndef QL_API_API_TEST_H
#define QL_API_API_TEST_H

#include "api/api.h"

#include "api/api_int.h"
#include "api/openapi.h"
#include "config/config.h"
#include "model/selector.h"
#include "store/store.h"
#include "store/store_story.h"

#include <arpa/inet.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REPLY_BYTES_MAX (8u << 20)

/* ---- the view --------------------------------------------------------------------- */

static struct world {
    char dir[64];
    struct ql_stats *stats;
    struct ql_store *store;
    struct ql_batch bus;
    struct ql_config *config;
    struct ql_view view;
    struct ql_api *api;
    struct ql_http *http;
    uint64_t sequence;
    ql_err command_err;           /* what the next command answers */
    struct ql_command command;    /* the last one; texts in `texts` */
    char texts[3][256];
    bool ready;
    char reply[REPLY_BYTES_MAX];
} w;

static const char *const series_labels[] = {
    "up{instance=\"a\",job=\"node\"}", "up{instance=\"b\",job=\"node\"}", "rate{job=\"web\"}",
    "pool_used{job=\"db\"}", "pool_max{job=\"db\"}", "pool_max{job=\"other\"}",
    "smartmon_current_pending_sector_raw_value{disk=\"sda\",job=\"node\"}",
};

static inline ql_series_id world_series_id(uint32_t i)
{
    return (ql_series_id){ { UINT64_C(0xabcdef0000000000), i + 1 } };
}

static inline void world_info(uint32_t i, struct ql_arena *texts, struct ql_series_info *ret_info)
{
    struct ql_buf block;
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    assert_int_equal(ql_labels_parse(ql_str_of(series_labels[i]), &block), QL_OK);
    *ret_info = (struct ql_series_info){
        .id = world_series_id(i), .labels = ql_arena_str(texts, ql_buf_view(&block)),
        .entity = QL_STR("job/node"), .type = QL_METRIC_GAUGE, .last_at = story_at(9),
        .step_ms = 15000,
    };
    ql_buf_fini(&block);
}

static inline ql_err world_series_find(void *host, const struct ql_matcher *matchers,
                                       uint32_t matcher_count, uint32_t count_max,
                                       struct ql_arena *texts, struct ql_series_info **ret_infos,
                                       uint32_t *ret_count)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    (void)host;
    *ret_infos = calloc(QL_COUNT_OF(series_labels), sizeof(**ret_infos));
    *ret_count = 0;
    assert_int_equal(ql_selector_of(matchers, matcher_count, &selector, why), QL_OK);
    for (uint32_t i = 0; i < QL_COUNT_OF(series_labels) && *ret_count < count_max; i++) {
        struct ql_series_info *info = &(*ret_infos)[*ret_count];
        world_info(i, texts, info);
        *ret_count += ql_selector_matches(&selector, info->labels) ? 1 : 0;
    }
    ql_selector_fini(&selector);
    return QL_OK;
}

static inline ql_err world_series_get(void *host, ql_series_id id, struct ql_arena *texts,
                                      struct ql_series_info *ret_info)
{
    (void)host;
    for (uint32_t i = 0; i < QL_COUNT_OF(series_labels); i++) {
        if (ql_series_id_eq(id, world_series_id(i))) {
            world_info(i, texts, ret_info);
            return QL_OK;
        }
    }
    return QL_E_NOT_FOUND;
}

/* A sample a second: its own second, but no number at second 3 and a peak at second 777. */
static inline ql_err world_series_read(void *host, ql_series_id id, ql_time from, ql_time to,
                                       struct ql_batch *out)
{
    (void)host;
    (void)id;
    for (int64_t ns = from.ns; ns <= to.ns; ns += QL_NS_PER_S) {
        const int64_t second = (ns - from.ns) / QL_NS_PER_S;
        const double value = second == 3 ? __builtin_nan("") : second == 777 ? 1e6 : (double)second;
        *ql_batch_add_sample(out) = (struct ql_sample){ { ns }, value };
    }
    *ql_batch_add_band(out) = (struct ql_band){ .at = from, .expected = 2, .lower = 1, .upper = 3 };
    return QL_OK;
}

/* As it came: a sample a minute, its minute since the start of the story. */
static inline ql_err world_series_raw(void *host, ql_series_id id, ql_time from, ql_time to,
                                      struct ql_batch *out)
{
    const int64_t minute_ns = 60 * QL_NS_PER_S;
    (void)host;
    (void)id;
    for (int64_t minute = 0; minute < 100; minute++) {
        const ql_time at = { story_at(0).ns + minute * minute_ns };
        if (at.ns >= from.ns && at.ns <= to.ns) {
            *ql_batch_add_sample(out) = (struct ql_sample){ at, (double)minute };
        }
    }
    return QL_OK;
}

static inline ql_str world_keep(int slot, ql_str text)
{
    (void)snprintf(w.texts[slot], sizeof(w.texts[slot]), "%.*s", QL_STR_ARG(text));
    return ql_str_of(w.texts[slot]);
}

/* Does what the engine would: the acknowledgement stands in the store when it returns. */
static inline ql_err world_command(void *host, const struct ql_command *command)
{
    (void)host;
    w.command = *command;
    w.command.by = world_keep(0, command->by);
    w.command.note = world_keep(1, command->note);
    w.command.entity = world_keep(2, command->entity);
    if (w.command_err == QL_OK && command->kind == QL_COMMAND_ACK) {
        struct ql_incident incident = story_incident(5, command->incident.v);
        incident.event = QL_INC_ACKED;
        incident.state = QL_INCIDENT_ACKNOWLEDGED;
        incident.by = w.command.by;
        ql_batch_reset(&w.bus);
        *ql_batch_add_incident(&w.bus) = incident;
        assert_int_equal(ql_store_apply(w.store, ++w.sequence, story_at(5), &w.bus), QL_OK);
    }
    return w.command_err;
}

static inline ql_err world_status(void *host, struct ql_buf *out)
{
    (void)host;
    return ql_buf_text(out, "{\"version\":\"0.1.0\",\"series\":3}");
}
static inline ql_time world_now(void *host)
{
    (void)host;
    return story_at(12);
}
static inline ql_err world_events(void *host, uint64_t *cursor, int timeout_ms, struct ql_buf *out)
{
    (void)host;
    if (timeout_ms == 0) {
        *cursor = 1;
        return QL_E_TIMEOUT;
    }
    if (*cursor == 3) {
        return QL_E_CLOSED;
    }
    ++*cursor;
    return ql_buf_printf(out, "event: incident\ndata: {\"id\":%d}\n\n", (int)*cursor);
}
static inline bool world_ready(void *host)
{
    (void)host;
    return w.ready;
}

/* ---- the world ---------------------------------------------------------------------- */

static inline void world_tick(uint32_t tick)
{
    ql_batch_reset(&w.bus);
    story_tick(&w.bus, tick);
    w.sequence = tick;
    assert_int_equal(ql_store_apply(w.store, tick, story_at(tick), &w.bus), QL_OK);
}

static inline ql_err world_slos(void *host, struct ql_slo_state **ret_states, uint32_t *ret_count)
{
    (void)host;
    struct ql_slo_state *slo = calloc(1, sizeof(*slo));
    assert_non_null(slo);
    *slo = (struct ql_slo_state){
        .name = "checkout", .entity = "service/checkout", .target = 99.9, .window_s = 2592000.0,
        .burn = { 20.0, (double)NAN, 16.0, 3.0 }, .budget_left = 0.5, .bad = 1.0, .total = 100.0,
        .since = QL_TIME_NONE, .at = { INT64_C(1767603600) * QL_NS_PER_S }, .gone = QL_TIME_NONE,
        .page = true, .ticket = true,
    };
    *ret_states = slo;
    *ret_count = 1;
    return QL_OK;
}

static inline int world_setup(void **state)
{
    char why[256];
    (void)state;
    memset(&w, 0, sizeof(w));
    (void)snprintf(w.dir, sizeof(w.dir), "/tmp/ql_api_test_XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.stats = ql_stats_new(1000);
    w.ready = true;
    ql_batch_init(&w.bus, 1 << 20);
    assert_int_equal(ql_config_default(&w.config), QL_OK);
    assert_int_equal(ql_store_open(w.dir, w.stats, &w.store), QL_OK);
    w.view = (struct ql_view){ .series_find = world_series_find, .series_get = world_series_get,
                               .series_read = world_series_read,
                               .series_raw = world_series_raw, .command = world_command, .slos = world_slos,
                               .status = world_status, .now = world_now, .events = world_events,
                               .ready = world_ready };
    const struct ql_api_env env = { .data_dir = w.dir, .view = &w.view, .stats = w.stats,
                                    .config = w.config };
    assert_int_equal(ql_api_new(&env, &w.api, why, sizeof(why)), QL_OK);
    struct ql_http_settings settings = { .listen = "127.0.0.1:0", .threads = 2,
                                         .connections_max = 32, .idle_s = 5, .stats = w.stats };
    settings.routes = ql_api_routes(w.api, &settings.route_count);
    assert_int_equal(ql_http_start(&settings, &w.http, why, sizeof(why)), QL_OK);
    return 0;
}

static inline int world_teardown(void **state)
{
    static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm",
                                         "audit.db", "audit.db-wal", "audit.db-shm" };
    (void)state;
    ql_http_stop(w.http, 1000);
    ql_api_free(w.api);
    ql_store_close(w.store);
    ql_config_free(w.config);
    ql_stats_free(w.stats);
    ql_batch_fini(&w.bus);
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", w.dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(w.dir);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

/* Sends the text and reads until the server closes. The reply stands in w.reply. */
static inline int ask_raw(const char *text)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ql_http_port(w.http)),
                                    .sin_addr = { htonl(INADDR_LOOPBACK) } };
    size_t used = 0;
    ssize_t n;
    int status = 0;
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    while ((n = read(fd, w.reply + used, sizeof(w.reply) - 1 - used)) > 0) {
        used += (size_t)n;
    }
    w.reply[used] = '\0';
    (void)close(fd);
    assert_int_equal(sscanf(w.reply, "HTTP/1.1 %d", &status), 1);
    return status;
}

static inline int ask(const char *method, const char *path, const char *headers, const char *body)
{
    char text[8192];
    (void)snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s"
                   "Content-Length: %zu\r\n\r\n%s",
                   method, path, headers, strlen(body), body);
    return ask_raw(text);
}

static inline int get(const char *path)
{
    return ask("GET", path, "", "");
}

static inline const char *reply_body(void)
{
    const char *end = strstr(w.reply, "\r\n\r\n");
    return end != NULL ? end + 4 : "";
}

#define assert_body_has(part)                                                          \
    do {                                                                               \
        if (strstr(reply_body(), (part)) == NULL) {                                    \
            print_error("not in the body: %s\n%s\n", (part), reply_body());            \
            fail();                                                                    \
        }                                                                              \
    } while (0)

#endif
