/* The api as clients meet it: a real server on loopback, a store that the story of
 * store_story.h was written to, and a view filled in by hand.
 */
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

static ql_series_id world_series_id(uint32_t i)
{
    return (ql_series_id){ { UINT64_C(0xabcdef0000000000), i + 1 } };
}

static void world_info(uint32_t i, struct ql_arena *texts, struct ql_series_info *ret_info)
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

static ql_err world_series_find(void *host, const struct ql_matcher *matchers,
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

static ql_err world_series_get(void *host, ql_series_id id, struct ql_arena *texts,
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
static ql_err world_series_read(void *host, ql_series_id id, ql_time from, ql_time to,
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
static ql_err world_series_raw(void *host, ql_series_id id, ql_time from, ql_time to,
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

static ql_str world_keep(int slot, ql_str text)
{
    (void)snprintf(w.texts[slot], sizeof(w.texts[slot]), "%.*s", QL_STR_ARG(text));
    return ql_str_of(w.texts[slot]);
}

/* Does what the engine would: the acknowledgement stands in the store when it returns. */
static ql_err world_command(void *host, const struct ql_command *command)
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

static ql_err world_status(void *host, struct ql_buf *out)
{
    (void)host;
    return ql_buf_text(out, "{\"version\":\"0.1.0\",\"series\":3}");
}
static ql_time world_now(void *host)
{
    (void)host;
    return story_at(12);
}
static ql_err world_events(void *host, uint64_t *cursor, int timeout_ms, struct ql_buf *out)
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
static bool world_ready(void *host)
{
    (void)host;
    return w.ready;
}

/* ---- the world ---------------------------------------------------------------------- */

static void world_tick(uint32_t tick)
{
    ql_batch_reset(&w.bus);
    story_tick(&w.bus, tick);
    w.sequence = tick;
    assert_int_equal(ql_store_apply(w.store, tick, story_at(tick), &w.bus), QL_OK);
}

static ql_err world_slos(void *host, struct ql_slo_state **ret_states, uint32_t *ret_count)
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

static int world_setup(void **state)
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

static int world_teardown(void **state)
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

/* Sends the text and reads until the server closes. The reply stands in w.reply. */
static int ask_raw(const char *text)
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

static int ask(const char *method, const char *path, const char *headers, const char *body)
{
    char text[8192];
    (void)snprintf(text, sizeof(text),
                   "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s"
                   "Content-Length: %zu\r\n\r\n%s",
                   method, path, headers, strlen(body), body);
    return ask_raw(text);
}

static int get(const char *path)
{
    return ask("GET", path, "", "");
}

#define JSON "Content-Type: application/json\r\n"
static int post(const char *path, const char *body)
{
    return ask("POST", path, JSON, body);
}

static const char *reply_body(void)
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

/* ---- tests --------------------------------------------------------------------------- */

static void every_route_is_in_the_document(void **state)
{
    (void)state;
    char why[QL_JSON_WHY_BYTES];
    struct ql_json root;
    assert_int_equal(ql_json_parse(ql_openapi_document(), 64, &root, why), QL_OK);
    const struct ql_json paths = ql_json_get(root, "paths");
    uint32_t operations = 0;
    for (struct ql_json_iter path = ql_json_each(paths); ql_json_next(&path);) {
        for (struct ql_json_iter method = ql_json_each(path.value); ql_json_next(&method);) {
            bool found = false;
            for (uint32_t i = 0; i < ql_api_row_count && !found; i++) {
                found = ql_str_eq(path.key, ql_str_of(ql_api_rows[i].path)) &&
                        (ql_api_rows[i].method[0] | 32) == method.key.at[0];
            }
            if (!found) {
                print_error("no row for %.*s\n", QL_STR_ARG(path.key));
            }
            assert_true(found);
            operations++;
        }
    }
    assert_int_equal(operations, ql_api_row_count); /* and so every row has its operation */
    ql_json_done();
}

static void patterns_match_one_segment(void **state)
{
    (void)state;
    static const struct { const char *pattern, *path, *id; } rows[] = {
        { "/a/{id}", "/a/7", "7" },        { "/a/{id}/ack", "/a/7/ack", "7" },
        { "/a/{id}", "/a/", NULL },        { "/a/{id}", "/a/7/ack", NULL },
        { "/a/{id}/ack", "/a/7", NULL },   { "/a/{id}/ack", "/a//ack", NULL },
        { "/a/{id}/ack", "/a/ack", NULL }, { "/a/{id}/ack", "/a/7/8/ack", NULL },
        { "/a", "/a", "" },                { "/a", "/ab", NULL },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_str id;
        const bool matches = ql_api_path_matches(rows[i].pattern, ql_str_of(rows[i].path), &id);
        assert_int_equal(matches, rows[i].id != NULL);
        assert_true(!matches || ql_str_eq(id, ql_str_of(rows[i].id)));
    }
}

static const struct { const char *path; int status; const char *has; } get_rows[] = {
    { "/api/v1/incidents", 200, "{\"incidents\":[{\"id\":1,\"state\":\"resolved\"" },
    { "/api/v1/incidents", 200, "\"suspect\":{\"entity\":\"service/checkout\",\"metric\":\"db_" },
    { "/api/v1/incidents", 200, "\"next_before\":null}" },
    { "/api/v1/incidents?merged=true&limit=1", 200, "\"merged_into\":1," },
    { "/api/v1/incidents?merged=true&limit=1", 200, "\"next_before\":2}" },
    { "/api/v1/incidents?merged=true&before=2", 200, "{\"incidents\":[{\"id\":1," },
    { "/api/v1/incidents?state=open", 200, "{\"incidents\":[],\"next_before\":null}" },
    { "/api/v1/incidents?state=odd", 400, "state: 'odd' is not one of: all, active, open, " },
    { "/api/v1/incidents?limit=0", 400, "limit: '0' is not a whole number from 1 to 1000" },
    { "/api/v1/incidents?limit=x", 400, "limit: 'x' is not" },
    { "/api/v1/incidents?since=yesterday", 400, "since: 'yesterday' is not a time" },
    { "/api/v1/incidents?entity=checkout", 200, "{\"incidents\":[{\"id\":1," },
    { "/api/v1/incidents?entity=service/frontend", 200, "{\"incidents\":[{\"id\":1," },
    { "/api/v1/incidents?entity=service/cart", 200, "{\"incidents\":[],\"next_before\":null}" },
    { "/api/v1/incidents?since=5s", 200, "{\"incidents\":[]," },
    { "/api/v1/incidents?since=1h", 200, "{\"incidents\":[{" },
    { "/api/v1/incidents?since=2026-01-05T09:00:00Z", 200, "{\"incidents\":[{" },
    { "/api/v1/incidents/1", 200, "\"opened\":\"2026-01-05T09:00:30.000Z\"" },
    { "/api/v1/incidents/1", 200, "\"members\":[{\"kind\":\"signal\",\"id\":\"17293822569102" },
    { "/api/v1/incidents/1", 200, "\"series\":\"00112233445566778899aabbccddeeff\"" },
    { "/api/v1/incidents/1", 200, "\"labels\":{\"pool\":\"main\",\"service\":\"checkout\"}" },
    { "/api/v1/incidents/1", 200, "\"causes\":[{\"rank\":1,\"entity\":\"service/checkout\"" },
    { "/api/v1/incidents/1", 200, "\"cause_rankings\":2" },
    { "/api/v1/incidents/1", 200, "\"history\":[{\"state\":\"proposed\"" },
    { "/api/v1/incidents/1", 200, "\"timeline\":[{\"at\":\"2026-01-05T09:00:10.000Z\"" },
    { "/api/v1/incidents/1", 200, "\"verdict\":\"right_cause\"" },
    { "/api/v1/incidents/1", 200, "\"noise\":{\"raw\":6,\"incidents\":1,\"saved\":5}" },
    { "/api/v1/incidents/9", 404, "no incident 9" },
    { "/api/v1/incidents/x", 404, "no incident 'x'" },
    { "/api/v1/incidents/99999999999999999999", 404, "no incident" },
    { "/api/v1/incidents/1/nothing", 404, "no such address" },
    { "/api/v1/incidents/1/ack", 405, "another method" },
    { "/api/v1/actions", 200, "{\"actions\":[{\"id\":\"5\",\"incident\":1" },
    { "/api/v1/actions?state=running", 200, "{\"actions\":[]}" },
    { "/api/v1/actions?incident=1&state=succeeded", 200, "\"timeout_s\":30" },
    { "/api/v1/signals", 200,
      "\"kind\":\"level shift\",\"state\":\"closed\",\"importance\":\"high\",\"value\":40" },
    { "/api/v1/signals?entity=checkout", 200, "{\"signals\":[{" },
    { "/api/v1/signals?entity=service/other", 200, "{\"signals\":[]}" },
    { "/api/v1/signals?state=open", 200, "{\"signals\":[]}" },
    { "/api/v1/alerts", 200, "\"state\":\"resolved\",\"received_count\":3,\"incident\":1" },
    { "/api/v1/changes", 200, "\"kind\":\"deploy\",\"entity\":\"service/checkout\"" },
    { "/api/v1/topology", 200, "\"caller\":\"service/frontend\",\"callee\":\"service/checkout\"" },
    { "/api/v1/topology", 200, "{\"name\":\"service/checkout\",\"kind\":\"service\"" },
    { "/api/v1/status", 200, "{\"version\":\"0.1.0\"" },
    { "/api/v1/stats", 200, "\"incidents\":1,\"resolved\":1,\"raw_count\":6,\"saved\":5" },
    { "/api/v1/stats", 200, "\"mttd_s\":20,\"mtta_s\":20,\"mttr_s\":100" },
    { "/api/v1/stats?window=1s", 200, "\"noise_reduction\":null" },
    { "/api/v1/stats?window=week", 400, "window: 'week' is not a duration" },
    { "/api/v1/known-series", 400, "match[]: a selector is required" },
    { "/api/v1/known-series?match[]=up", 200, "\"labels\":{\"instance\":\"a\",\"job\":\"node\"}" },
    { "/api/v1/known-series?match[]=up&limit=1", 200, "\"more\":true" },
    { "/api/v1/known-series?match=up&limit=2", 200, "\"more\":false" },
    { "/api/v1/known-series?match[]={job%3D~%22w.*%22}", 200, "{\"series\":[{\"id\":\"abcdef000" },
    { "/api/v1/known-series?match[]=up{", 400, "match[]: 'up{' is no selector: at character 4" },
    { "/api/v1/bands", 400, "series or match[]: one of them is required" },
    { "/api/v1/bands?series=12", 400, "series: '12' is not an id of 32" },
    { "/api/v1/bands?match=rate&start=1767603600&end=1767603605", 200,
      "\"points\":[[1767603600,0],[1767603601,1],[1767603602,2],[1767603603,null],[1767603604,4]" },
    { "/api/v1/bands?match=rate&start=1767603600&end=1767603605", 200,
      "\"bands\":[[1767603600,2,1,3]]" },
    { "/api/v1/bands?series=abcdef00000000000000000000000002&start=5m", 200,
      "\"labels\":{\"instance\":\"b\",\"job\":\"node\"}" },
    { "/api/v1/bands?series=ffffffffffffffffffffffffffffffff", 200, "\"series\":[]" },
    { "/api/v1/bands?match=up&match[]=up&limit=1", 200, "\"more\":true" },
    { "/api/v1/bands?match=up&start=2026-01-05T09:00:00Z&end=2026-01-05T08:00:00Z", 400,
      "start: it lies after end" },
    { "/api/v1/forecast", 400, "match[]: a selector is required" },
    { "/api/v1/forecast?match[]=up{", 400, "match[]: 'up{' is no selector: at character 4" },
    { "/api/v1/forecast?match=up&horizon=soon", 400, "horizon: 'soon' is not a duration" },
    { "/api/v1/forecast?match=up&horizon=500d", 400, "horizon: '500d' is outside 1s to 400d" },
    { "/api/v1/forecast?match=up&limit=21", 400, "limit: " },
    { "/api/v1/forecast?match=up&horizon=30s&limit=1", 200, "\"more\":true" },
    { "/api/v1/forecast?match=up&horizon=30s", 200, "\"points\":4096,\"seasons_s\":[" },
    { "/api/v1/capacity", 200, "{\"horizon_s\":86400,\"limits\":[{" },
    { "/api/v1/capacity", 200, "\"metric\":\"pool_used\",\"limit_metric\":\"pool_max\"" },
    { "/api/v1/capacity", 200, "\"rule\":\"full\",\"full\":1," },
    { "/api/v1/capacity?match={disk%3D%22sda%22}", 200,
      "\"limit_metric\":\"its failure\",\"labels\":{\"disk\":\"sda\",\"job\":\"node\"}" },
    { "/api/v1/capacity?match={disk%3D%22sda%22}", 200,
      "\"rule\":\"disk\",\"full\":1,\"early\":null,\"middle\":null,\"late\":null," },
    { "/api/v1/capacity?match={disk%3D%22sda%22}", 200,
      "\"why\":\"disk sda: 2 pending sectors; of 43,364 disks this rule found .676 of" },
    { "/api/v1/capacity?match=up", 200, "\"limits\":[],\"more\":false" },
    { "/api/v1/capacity?horizon=soon", 400, "horizon: 'soon' is not a duration" },
    { "/api/v1/capacity?match=up{", 400, "match[]: 'up{' is no selector" },
    { "/api/v1/slos", 200, "{\"slos\":[{\"name\":\"checkout\",\"entity\":\"service/checkout\","
      "\"state\":\"page\",\"target\":99.9,\"window_s\":2592000,\"burn_rate\":{\"5m\":20,\"30m\":null," },
    { "/api/v1/slos", 200, "\"budget_left\":0.5,\"gone\":null,\"bad\":1,\"total\":100,\"since\":null,"
      "\"at\":\"2026-01-05T09:00:00.000Z\"}]}" },
    { "/api/v1/query?query=1%2B1&time=1767603600.5", 200,
      "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1767603600.5,\"2\"]}}" },
    { "/api/v1/query?query=up%7Binstance%3D%22a%22%7D&time=1767603720", 200,
      "\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\",\"job\":\"node\"},\"value\":[1767603720,\"" },
    { "/prometheus/api/v1/query?query=vector(NaN)&time=1", 200, "\"value\":[1,\"NaN\"]" },
    { "/api/v1/query", 400, "\"errorType\":\"bad_data\",\"error\":\"invalid parameter \\\"query\\\": 1:1: " },
    { "/api/v1/query?query=up%5B5m:1m%5D", 422, "\"errorType\":\"execution\",\"error\":\"1:3: subqueries" },
    { "/api/v1/query?query=1&time=noon", 400, "invalid parameter \\\"time\\\": cannot parse \\\"noon" },
    { "/api/v1/query_range?query=1&start=1&end=3&step=1", 200,
      "\"result\":[{\"metric\":{},\"values\":[[1,\"1\"],[2,\"1\"],[3,\"1\"]]}]" },
    { "/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, "maximum resolution of 11,000" },
    { "/api/v1/series", 400, "no match[] parameter provided" },
    { "/api/v1/labels", 200, "\"data\":[\"__name__\",\"disk\",\"instance\",\"job\"]" },
    { "/api/v1/label/job/values", 200, "\"data\":[\"db\",\"node\",\"other\",\"web\"]" },
    { "/api/v1/label/__name__/values", 200, "\"data\":[\"ALERTS\",\"anomaly_score\"," },
    { "/api/v1/label/1x/values", 400, "invalid label name" },
    { "/api/v1/metadata?metric=up", 200, "\"data\":{\"up\":[{\"type\":\"gauge\",\"help\":\"\"," },
    { "/prometheus/api/v1/nothing", 404, "\"errorType\":\"not_found\"" },
    { "/api/v1/openapi.json", 200, "\"openapi\": \"3.0.3\"" },
    { "/api/v2/status", 200, "\"cluster\":{\"status\":\"disabled\"" },
    { "/api/v2/receivers", 200, "[{\"name\":\"quell\"}]" },
    { "/api/v2/silences", 200, "[]" },
    { "/api/v2/alerts", 200, "[]" }, /* it ended */
    { "/api/v2/alerts?filter=x", 400, "filter: " },
    { "/metrics", 200, "# TYPE ql_store_commits_total counter" },
    { "/-/healthy", 200, "healthy" },
    { "/ping", 200, "healthy" },
    { "/-/ready", 200, "ready" },
    { "/nowhere", 404, "" },
    { "/incidents/7", 200, "" },
    { "/assets/none.js", 404, "" },
};

static void questions_are_answered(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(n);
    }
    for (size_t i = 0; i < QL_COUNT_OF(get_rows); i++) {
        const int status = get(get_rows[i].path);
        if (status != get_rows[i].status) {
            print_error("%s: %d\n%s\n", get_rows[i].path, status, reply_body());
        }
        assert_int_equal(status, get_rows[i].status);
        assert_body_has(get_rows[i].has);
    }
}

static void an_empty_store_answers_too(void **state)
{
    (void)state;
    static const char *const paths[] = { "/api/v1/incidents", "/api/v1/signals", "/api/v1/alerts",
                                         "/api/v1/actions", "/api/v1/topology", "/api/v1/stats" };
    for (size_t i = 0; i < QL_COUNT_OF(paths); i++) {
        assert_int_equal(get(paths[i]), 200);
    }
}

static const struct {
    const char *headers, *path, *body;
    int status;
    const char *has;
} post_rows[] = {
    { JSON, "/api/v1/incidents/1/ack", "{\"by\":\"ana\",\"note\":\"on it\"}", 200,
      "\"state\":\"acknowledged\"" },
    { JSON, "/api/v1/incidents/1/ack", "", 200, "\"by\":\"api\"" },
    { JSON, "/api/v1/incidents/1/ack", "{\"by\":7}", 400, "by: number where a string is expected" },
    { JSON, "/api/v1/incidents/1/ack", "[]", 400, "array where an object is expected" },
    { JSON, "/api/v1/incidents/1/ack", "{", 400, "the body is not JSON" },
    { "", "/api/v1/incidents/1/ack", "{}", 415, "Content-Type: application/json is required" },
    { "Content-Type: text/plain\r\n", "/api/v1/incidents/1/ack", "{}", 415, "" },
    { "Content-Type: application/x-www-form-urlencoded\r\n", "/api/v1/incidents/1/ack", "by=x", 415,
      "" },
    { JSON "Sec-Fetch-Site: cross-site\r\n", "/api/v1/incidents/1/ack", "{}", 403, "other sites" },
    { JSON "Sec-Fetch-Site: same-origin\r\n", "/api/v1/incidents/1/ack", "{}", 200, "" },
    { JSON, "/api/v1/incidents/8/ack", "{}", 404, "no incident 8" },
    { JSON, "/api/v1/incidents/x/ack", "{}", 404, "no incident 'x'" },
    { JSON, "/api/v1/incidents/2/resolve", "{}", 409, "was merged into 1" },
    { JSON, "/api/v1/incidents/1", "{}", 405, "" },
    { JSON, "/api/v1/incidents/1/feedback", "{\"verdict\":\"maybe\"}", 400,
      "verdict: 'maybe' is not one of: true, false, right_cause" },
    { JSON, "/api/v1/incidents/1/feedback", "{}", 400, "verdict: ''" },
    { JSON, "/api/v1/incidents/1/feedback", "{\"verdict\":\"right_cause\"}", 400, "entity: " },
    { JSON, "/api/v1/incidents/1/feedback", "{\"verdict\":\"true\"}", 200, "\"id\":1" },
    { JSON, "/api/v1/actions/5/approve", "{\"by\":\"ana\"}", 200, "\"id\":\"5\"" },
    { JSON, "/api/v1/actions/6/approve", "{}", 404, "no action 6" },
};

static void commands_are_taken(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 4; n++) {
        world_tick(n);
    }
    world_tick(9);
    world_tick(10);
    for (size_t i = 0; i < QL_COUNT_OF(post_rows); i++) {
        const int status = ask("POST", post_rows[i].path, post_rows[i].headers, post_rows[i].body);
        if (status != post_rows[i].status) {
            print_error("%s %s: %d\n%s\n", post_rows[i].path, post_rows[i].body, status,
                        reply_body());
        }
        assert_int_equal(status, post_rows[i].status);
        assert_body_has(post_rows[i].has);
    }
}

static void a_command_says_what_was_asked(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 4; n++) {
        world_tick(n);
    }
    assert_int_equal(post("/api/v1/incidents/1/feedback",
                          "{\"verdict\":\"right_cause\",\"entity\":\"payments\",\"by\":\"ana\","
                          "\"note\":\"dns\"}"), 200);
    assert_int_equal(w.command.kind, QL_COMMAND_FEEDBACK);
    assert_int_equal(w.command.incident.v, 1);
    assert_int_equal(w.command.verdict, QL_VERDICT_RIGHT_CAUSE);
    assert_string_equal(w.texts[0], "ana");
    assert_string_equal(w.texts[1], "dns");
    assert_string_equal(w.texts[2], "service/payments");
    assert_true(w.command.at.ns == story_at(12).ns);
    assert_int_equal(post("/api/v1/actions/5/reject", "{}"), 200);
    assert_int_equal(w.command.kind, QL_COMMAND_REJECT);
    assert_int_equal(w.command.action.v, 5);
    assert_int_equal(w.command.incident.v, 1);
}

static void states_that_do_not_allow_it_conflict(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(n);
    }
    assert_int_equal(post("/api/v1/incidents/1/ack", "{}"), 409);
    assert_body_has("incident 1 is resolved already");
    assert_int_equal(post("/api/v1/actions/5/approve", "{}"), 409);
    assert_body_has("action 5 is not awaiting approval: it is succeeded");
    /* What was it about is a question for later as well. */
    assert_int_equal(post("/api/v1/incidents/1/feedback", "{\"verdict\":\"false\"}"), 200);
}

static void engine_errors_have_codes(void **state)
{
    (void)state;
    static const struct { ql_err err; int status; } rows[] = {
        { QL_E_TIMEOUT, 504 }, { QL_E_CLOSED, 503 }, { QL_E_FULL, 503 },
        { QL_E_NOT_FOUND, 404 }, { QL_E_CONFLICT, 409 }, { QL_E_IO, 503 },
    };
    for (uint32_t n = 1; n <= 4; n++) {
        world_tick(n);
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        w.command_err = rows[i].err;
        assert_int_equal(post("/api/v1/incidents/1/ack", "{}"), rows[i].status);
        assert_body_has("{\"error\":\"");
    }
}

static void a_foreign_name_does_not_command(void **state)
{
    (void)state;
    static const struct { const char *host; int status; } rows[] = {
        { "localhost:9428", 404 }, { "127.0.0.1", 404 }, { "[::1]:9428", 404 },
        { "evil.example", 403 }, { "localhost.evil.example", 403 }, { "[::1].evil", 403 },
        { "127.evil.example:9428", 403 }, { "127.0.0.1.evil.example", 403 }, { "127.", 403 },
        { "127.0.0", 403 }, { "127.0.0.256", 403 }, { "127.0.0.1:9428.evil", 403 },
        { "[::1", 403 }, { "127.0.0.1:", 404 }, { "127.8.9.10:1", 404 }, { "LOCALHOST", 404 },
        { "quell.example:80", 403 },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       "POST /api/v1/incidents/1/ack HTTP/1.1\r\nHost: %s\r\n" JSON
                       "Connection: close\r\nContent-Length: 2\r\n\r\n{}", rows[i].host);
        assert_int_equal(ask_raw(text), rows[i].status);
    }
}

#define TOKEN "0123456789abcdef-A"

/* What `commands` of api: asks for, and what a command brings. 404: it was let through. */
static const struct {
    bool loopback;
    const char *token, *given;
    bool open;
    int status;
} token_rows[] = {
    { true, NULL, NULL, false, 404 }, { true, TOKEN, NULL, false, 401 },
    { true, TOKEN, "Bearer " TOKEN, false, 404 }, { false, NULL, NULL, false, 403 },
    { false, NULL, "Bearer " TOKEN, false, 403 }, { false, NULL, "Bearer ", false, 403 },
    { false, NULL, NULL, true, 404 }, { false, TOKEN, NULL, true, 401 },
    { false, TOKEN, "Bearer " TOKEN, false, 404 }, { false, TOKEN, "bearer " TOKEN, false, 404 },
    { false, TOKEN, "Bearer " TOKEN "x", false, 401 }, { false, TOKEN, "Bearer 0", false, 401 },
    { false, TOKEN, "Bearer " TOKEN TOKEN, false, 401 }, { false, TOKEN, "Bearer ", false, 401 },
    { false, TOKEN, "Bearer 0123456789abcdef-a", false, 401 },
    { false, TOKEN, "Basic " TOKEN, false, 401 }, { false, TOKEN, TOKEN, false, 401 },
};

static void commands_need_the_token(void **state)
{
    static const char *const paths[] = {
        "/api/v1/incidents/1/ack", "/api/v1/incidents/1/resolve", "/api/v1/incidents/1/feedback",
        "/api/v1/actions/5/approve", "/api/v1/actions/5/reject",
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(token_rows) * QL_COUNT_OF(paths); i++) {
        const size_t r = i / QL_COUNT_OF(paths);
        const char *token = token_rows[r].token, *given = token_rows[r].given;
        char headers[256];
        w.api->loopback_only = token_rows[r].loopback;
        w.config->api_open_commands = token_rows[r].open;
        w.api->token.bytes = token == NULL ? 0 : strlen(token);
        memcpy(w.api->token.text, token == NULL ? "" : token, w.api->token.bytes);
        (void)snprintf(headers, sizeof(headers), JSON "%s%s%s", given ? "Authorization: " : "",
                       given ? given : "", given ? "\r\n" : "");
        const int status = ask("POST", paths[i % QL_COUNT_OF(paths)], headers, "{}");
        if (status != token_rows[r].status) {
            fail_msg("row %zu: %d where %d is expected", r, status, token_rows[r].status);
        }
        assert_int_equal(strstr(w.reply, "WWW-Authenticate: Bearer") != NULL, status == 401);
        assert_null(strstr(w.reply, "0123456789abcdef"));
    }
    assert_int_equal(get("/api/v1/incidents"), 200); /* reads stay open */
}

static void the_token_is_read_from_where_it_is_said(void **state)
{
    static const struct { const char *text; bool good; } rows[] = {
        { TOKEN "\n", true }, { TOKEN, true }, { TOKEN "\r\n", true }, { "", false },
        { "0123456789abcde\n", false }, { "0123456789 abcdef", false },
        { TOKEN "\n" TOKEN "\n", false }, { "0123456789abcdef\xc3\xa9", false },
    };
    (void)state;
    char path[128], why[512];
    (void)snprintf(path, sizeof(path), "%s/token", w.dir);
    w.config->api_token_file = path;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs(rows[i].text, file);
        (void)fclose(file);
        why[0] = '\0';
        assert_int_equal(ql_api_token_read(w.api, w.config, why, sizeof(why)),
                         rows[i].good ? QL_OK : QL_E_CONFIG);
        assert_int_equal(strstr(why, "api.token_file: ") != NULL, !rows[i].good);
        assert_null(strstr(why, "0123456789")); /* an error must not tell it */
        if (rows[i].good) {
            ql_api_reload(w.api, w.config);
        }
        assert_int_equal(w.api->token.bytes, strlen(TOKEN)); /* a bad file leaves the old one */
    }
    (void)unlink(path);
    assert_int_equal(ql_api_token_read(w.api, w.config, why, sizeof(why)), QL_E_CONFIG);
    w.config->api_token_file = "env:QUELL_TEST_TOKEN";
    assert_int_equal(ql_api_token_read(w.api, w.config, why, sizeof(why)), QL_E_CONFIG);
    assert_int_equal(setenv("QUELL_TEST_TOKEN", TOKEN, 1), 0);
    assert_int_equal(ql_api_token_read(w.api, w.config, why, sizeof(why)), QL_OK);
    w.config->api_token_file = "none";
    assert_int_equal(ql_api_token_read(w.api, w.config, why, sizeof(why)), QL_OK);
    ql_api_reload(w.api, w.config);
    assert_int_equal(w.api->token.bytes, 0);
}

static void listed_names_may_command(void **state)
{
    static const char *hosts[] = { "quell.lan" };
    static const struct { bool loopback, listed; const char *host; int status; } rows[] = {
        { true, true, "quell.lan:80", 404 }, { true, true, "QUELL.LAN", 404 },
        { true, true, "quell.lan.evil", 403 }, { true, false, "quell.lan", 403 },
        { true, true, "localhost", 404 }, { false, true, "quell.lan", 404 },
        { false, true, "evil.example", 403 }, { false, false, "evil.example", 404 },
    };
    (void)state;
    w.config->api_hosts = hosts;
    w.config->api_open_commands = true;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char text[512];
        w.config->api_host_count = rows[i].listed ? 1 : 0;
        w.api->loopback_only = rows[i].loopback;
        (void)snprintf(text, sizeof(text),
                       "POST /api/v1/incidents/1/ack HTTP/1.1\r\nHost: %s\r\n" JSON
                       "Connection: close\r\nContent-Length: 2\r\n\r\n{}", rows[i].host);
        assert_int_equal(ask_raw(text), rows[i].status);
    }
}

static void metrics_come_in_two_dialects(void **state)
{
    (void)state;
    assert_int_equal(get("/metrics"), 200);
    assert_non_null(strstr(w.reply, "text/plain; version=0.0.4"));
    assert_null(strstr(reply_body(), "# EOF"));
    assert_int_equal(ask("GET", "/metrics",
                         "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n",
                         ""), 200);
    assert_non_null(strstr(w.reply, "application/openmetrics-text; version=1.0.0"));
    assert_body_has("# TYPE ql_store_commits counter\n");
    assert_body_has("\nql_store_commits_total ");
    assert_true(ql_str_ends(ql_str_of(w.reply), QL_STR("# EOF\n")));
}

static void events_stream_until_closed(void **state)
{
    (void)state;
    assert_int_equal(get("/api/v1/events"), 200);
    assert_non_null(strstr(w.reply, "text/event-stream"));
    assert_body_has(": connected\n\n");
    assert_body_has("event: incident\ndata: {\"id\":2}\n\n");
    assert_body_has("event: incident\ndata: {\"id\":3}\n\n");
}

static void readiness_follows_the_engine(void **state)
{
    (void)state;
    w.ready = false;
    assert_int_equal(get("/-/ready"), 503);
    assert_int_equal(get("/-/healthy"), 200);
}

static void alertmanager_clients_see_what_fires(void **state)
{
    (void)state;
    static const struct { const char *query; bool shown; } rows[] = {
        { "", true },
        { "?filter=alertname%3D%22HighLatency%22", true },
        { "?filter=alertname%3D~%22High.*%22&filter=severity%3D%22critical%22", true },
        { "?filter=severity%3D%22info%22", false },
        { "?active=false", false },
        { "?receiver=quell", true },
        { "?receiver=other", false },
    };
    world_tick(2);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char path[256];
        (void)snprintf(path, sizeof(path), "/api/v2/alerts%s", rows[i].query);
        assert_int_equal(get(path), 200);
        assert_int_equal(strstr(reply_body(), "\"fingerprint\":\"000000000000004d\"") != NULL,
                         rows[i].shown);
    }
}

static void long_ranges_keep_their_peaks(void **state)
{
    (void)state;
    assert_int_equal(get("/api/v1/bands?match=rate&start=1767500000&end=1767603600"
                         "&max_points=100"), 200);
    assert_body_has("[1767500777,1000000]");
    uint32_t points = 0;
    for (const char *at = reply_body(); (at = strstr(at, "[17")) != NULL; at++) {
        points++;
    }
    assert_in_range(points, 50, 110);
}

static void a_store_that_is_gone_is_503(void **state)
{
    (void)state;
    char path[128], hidden[128];
    (void)snprintf(path, sizeof(path), "%s/state.db", w.dir);
    (void)snprintf(hidden, sizeof(hidden), "%s/audit.db-shm", w.dir);
    (void)unlink(hidden);
    assert_int_equal(rename(path, hidden), 0);
    assert_int_equal(get("/api/v1/incidents"), 503);
    assert_body_has("the store cannot be read");
    assert_int_equal(rename(hidden, path), 0);
    assert_int_equal(get("/api/v1/incidents"), 200);
}

/* More clients than readers, while ticks are written: every answer is whole. */
static void *clients_ask(void *context)
{
    static const char *const paths[] = { "/api/v1/incidents", "/api/v1/incidents/1",
                                         "/api/v1/signals", "/api/v1/stats", "/metrics" };
    uint32_t *failed = context;
    for (uint32_t i = 0; i < 40; i++) {
        char text[256], reply[65536];
        size_t used = 0;
        ssize_t n;
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(ql_http_port(w.http)),
                                        .sin_addr = { htonl(INADDR_LOOPBACK) } };
        (void)snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                       paths[i % QL_COUNT_OF(paths)]);
        bool good = connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 &&
                    write(fd, text, strlen(text)) == (ssize_t)strlen(text);
        while (good && (n = read(fd, reply + used, sizeof(reply) - used)) > 0) {
            used += (size_t)n;
        }
        good = good && ql_str_starts((ql_str){ reply, used }, QL_STR("HTTP/1.1 200"));
        *failed += good ? 0 : 1;
        (void)close(fd);
    }
    return NULL;
}

static void many_clients_ask_at_once(void **state)
{
    (void)state;
    enum { CLIENTS = 20 };
    pthread_t threads[CLIENTS];
    uint32_t failed[CLIENTS] = { 0 };
    for (uint32_t n = 1; n <= 3; n++) {
        world_tick(n);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, clients_ask, &failed[i]), 0);
    }
    for (uint32_t n = 4; n <= STORY_TICKS; n++) {
        world_tick(n);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failed[i], 0);
    }
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_the_document),
        cmocka_unit_test(patterns_match_one_segment),
        WORLD_TEST(questions_are_answered),
        WORLD_TEST(an_empty_store_answers_too),
        WORLD_TEST(commands_are_taken),
        WORLD_TEST(a_command_says_what_was_asked),
        WORLD_TEST(states_that_do_not_allow_it_conflict),
        WORLD_TEST(engine_errors_have_codes),
        WORLD_TEST(a_foreign_name_does_not_command),
        WORLD_TEST(commands_need_the_token),
        WORLD_TEST(the_token_is_read_from_where_it_is_said),
        WORLD_TEST(listed_names_may_command),
        WORLD_TEST(metrics_come_in_two_dialects),
        WORLD_TEST(events_stream_until_closed),
        WORLD_TEST(readiness_follows_the_engine),
        WORLD_TEST(alertmanager_clients_see_what_fires),
        WORLD_TEST(long_ranges_keep_their_peaks),
        WORLD_TEST(a_store_that_is_gone_is_503),
        WORLD_TEST(many_clients_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
