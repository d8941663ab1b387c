/* What people copy must work: the example runbooks load, and docs/runbooks.md shows only
 * settings that are right and names every gate and every state. */
#include "act/act_test.h"
#include "base/file.h"

#include <dirent.h>

static void path_of(char out[4096], const char *rest)
{
    const char *root = getenv("QL_SOURCE_ROOT");
    (void)snprintf(out, 4096, "%s/%s", root == NULL ? "." : root, rest);
}

static void every_example_loads(void **state)
{
    (void)state;
    char folder[4096], path[4400];
    uint32_t count = 0;
    path_of(folder, "examples/runbooks");
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        struct ql_config *config = NULL;
        struct ql_buf why;
        ql_buf_init(&why, 65536);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (ql_config_load(path, &config, &why) != QL_OK) {
            fail_msg("%s", why.at);
        }
        assert_true(config->runbook_count > 0);
        ql_config_free(config);
        ql_buf_fini(&why);
        count++;
    }
    (void)closedir(dir);
    assert_true(count >= 4);
}

static void read_page(struct ql_buf *page)
{
    char path[4096];
    ql_buf_init(page, 1 << 20);
    path_of(path, "docs/runbooks.md");
    assert_int_equal(ql_file_read(path, page), QL_OK);
}

static void the_page_shows_settings_that_are_right(void **state)
{
    (void)state;
    static const char fence[] = "```yaml\n";
    struct ql_buf page;
    uint32_t count = 0;
    read_page(&page);
    for (const char *at = page.at; (at = strstr(at, fence)) != NULL; count++) {
        at += sizeof(fence) - 1;
        const char *end = strstr(at, "```");
        struct ql_config *config = NULL;
        struct ql_buf why;
        assert_non_null(end);
        ql_buf_init(&why, 65536);
        if (ql_config_parse((ql_str){ at, (size_t)(end - at) }, "runbooks.md", &config, &why) !=
            QL_OK) {
            fail_msg("%s", why.at);
        }
        ql_config_free(config);
        ql_buf_fini(&why);
    }
    assert_true(count > 0);
    ql_buf_fini(&page);
}

static void the_page_names_every_gate_and_state(void **state)
{
    (void)state;
    struct ql_buf page;
    char row[128];
    read_page(&page);
    for (uint32_t i = 0; i < AC_GATE_COUNT; i++) {
        (void)snprintf(row, sizeof(row), "| %s |", ql_ac_gate_word((enum ac_gate)i));
        if (strstr(page.at, row) == NULL) {
            fail_msg("docs/runbooks.md has no row for gate '%s'", ql_ac_gate_word((enum ac_gate)i));
        }
    }
    for (uint32_t i = 0; i < QL_ACTION_STATE_COUNT; i++) {
        assert_non_null(strstr(page.at, ql_action_state_text((enum ql_action_state)i)));
    }
    ql_buf_fini(&page);
}

static const struct { const char *pattern, *text; bool matches; } glob_rows[] = {
    { "service/*", "service/checkout", true }, { "service/*", "host/a", false },
    { "*", "", true }, { "*", "anything", true }, { "", "", true }, { "", "a", false },
    { "a?c", "abc", true }, { "a?c", "ac", false }, { "*connections*", "db_connections_in_use", true },
    { "*_bytes", "x_bytes_total", false }, { "a*b*c", "aXbYbZc", true }, { "a*b*c", "aXbY", false },
    { "**", "ab", true }, { "a*", "a", true },
};

static void globs_match(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(glob_rows); i++) {
        if (ql_ac_glob(glob_rows[i].pattern, ql_str_of(glob_rows[i].text)) !=
            glob_rows[i].matches) {
            fail_msg("'%s' against '%s'", glob_rows[i].pattern, glob_rows[i].text);
        }
    }
}

/* The moves as listed: what holds an entity has a way out, what ends has none but to stop. */
static void every_live_state_can_end(void **state)
{
    (void)state;
    static const struct { enum ql_action_state from; uint32_t out; } rows[] = {
#define QL_MOVE(from, event, to) { QL_ACTION_##from, QL_ACTION_##to },
#include "act/moves.def"
    };
    for (uint32_t s = 0; s < QL_ACTION_STATE_COUNT; s++) {
        uint32_t out = 0, in = s == QL_ACTION_PROPOSED;
        for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
            out += rows[i].from == s && rows[i].out != s;
            in += rows[i].out == s;
        }
        assert_true(in > 0);
        assert_int_equal(out > 0, ql_ac_is_live((enum ql_action_state)s) ||
                                      s == QL_ACTION_FAILED || s == QL_ACTION_INEFFECTIVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_loads),
        cmocka_unit_test(the_page_shows_settings_that_are_right),
        cmocka_unit_test(the_page_names_every_gate_and_state),
        cmocka_unit_test(globs_match),
        cmocka_unit_test(every_live_state_can_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
