/* api_test - what the api answers: every route, a store that is empty or gone, streams, many
 * clients at once. Commands: api_commands_test.c. */
#include "api/api_test.h"

/* Doors, and other names of them, are held against the document by cli/document_test. */
static bool is_door(ql_str method, struct ql_json operation)
{
    ql_str tag = QL_STR("");
    for (struct ql_json_iter it = ql_json_each(ql_json_get(operation, "tags")); ql_json_next(&it);) {
        (void)ql_json_str(it.value, &tag);
    }
    return ql_str_eq(method, QL_STR("$ref")) || ql_str_eq(tag, QL_STR("doors"));
}

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
            if (is_door(method.key, method.value)) {
                continue;
            }
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

/* Whoever reaches the port reads the settings: of the environment of commands only names. */
static void settings_are_shown_without_values_of_variables(void **state)
{
    (void)state;
    static const char *variables[] = { "KUBECONFIG", "PASSWORD=hunter2", "TOKEN=a=b", "EMPTY=" };
    w.config->act_env = variables;
    w.config->act_env_count = QL_COUNT_OF(variables);
    assert_int_equal(get("/api/v2/status"), 200);
    assert_body_has("  env: [KUBECONFIG, \\\"PASSWORD=***\\\", \\\"TOKEN=***\\\", \\\"EMPTY=***\\\"]\\n");
    assert_null(strstr(reply_body(), "hunter2"));
    assert_null(strstr(reply_body(), "a=b"));
    w.config->act_env_count = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_the_document),
        cmocka_unit_test(patterns_match_one_segment),
        WORLD_TEST(questions_are_answered),
        WORLD_TEST(settings_are_shown_without_values_of_variables),
        WORLD_TEST(an_empty_store_answers_too),
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
