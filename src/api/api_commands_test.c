/* api_commands_test - what clients may command: what is taken, what is refused and how, who may.
 */
#include "api/api_test.h"

/* ---- the world ---------------------------------------------------------------------- */

#define JSON "Content-Type: application/json\r\n"
static int post(const char *path, const char *body)
{
    return ask("POST", path, JSON, body);
}

/* ---- tests --------------------------------------------------------------------------- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(commands_are_taken),
        WORLD_TEST(a_command_says_what_was_asked),
        WORLD_TEST(states_that_do_not_allow_it_conflict),
        WORLD_TEST(engine_errors_have_codes),
        WORLD_TEST(a_foreign_name_does_not_command),
        WORLD_TEST(commands_need_the_token),
        WORLD_TEST(the_token_is_read_from_where_it_is_said),
        WORLD_TEST(listed_names_may_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
