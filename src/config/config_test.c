/* Whole files: what a person is told about a bad one, and what a good one becomes. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static ql_err config_of(const char *yaml, struct ql_config **ret_config, struct ql_buf *ret_why)
{
    return ql_config_parse(ql_str_of(yaml), "quell.yaml", ret_config, ret_why);
}

/* ---- bad files ------------------------------------------------------------------- */

static const struct { const char *yaml, *why; } bad_rows[] = {
    { "server:\n  lisen: 127.0.0.1:1\n",
      "quell.yaml:2:3: unknown key 'lisen' under 'server'; did you mean 'listen'?\n"
      "      lisen: 127.0.0.1:1\n"
      "      ^\n" },
    { "server:\n  http_threads: 9000\n",
      "quell.yaml:2:17: 9000 is out of range; allowed: 1 to 64\n"
      "      http_threads: 9000\n"
      "                    ^\n" },
    { "engine: {tick: \"90\"}\n",
      "quell.yaml:1:16: '90' is not a duration such as 90s, 5m or 1h30m; allowed: 100ms to 1m\n"
      "    engine: {tick: \"90\"}\n"
      "                   ^\n" },
    { "detect:\n  absence_steps: 4\n  absence_steps: 5\n",
      "quell.yaml:3:3: the key 'absence_steps' stands twice\n"
      "      absence_steps: 5\n"
      "      ^\n" },
    { "signals_per_day: 3\n",
      "quell.yaml:1:1: unknown key 'signals_per_day'; it belongs under 'detect:'\n"
      "    signals_per_day: 3\n"
      "    ^\n" },
    { "colour: red\n",
      "quell.yaml:1:1: unknown key 'colour'; allowed: server, api, limits, engine, detect, calendar, "
      "forecast, correlate, diagnose, act, store, scrapes, runbooks, edges, policies, slos, "
      "resources, remote_write, tenants\n"
      "    colour: red\n"
      "    ^\n" },
    { "server: 5\n",
      "quell.yaml:1:9: found a single value where a map is needed for 'server'\n"
      "    server: 5\n"
      "            ^\n" },
    { "- a\n",
      "quell.yaml:1:1: found a list where a map is needed for 'the file'\n"
      "    - a\n"
      "    ^\n" },
    { "server:\n  listen: [a, b]\n",
      "quell.yaml:2:11: found a list for 'listen'; allowed: HOST:PORT, [IPV6]:PORT or :PORT\n"
      "      listen: [a, b]\n"
      "              ^\n" },
    { "server:\n  listen:\n",
      "quell.yaml:2:3: found nothing for 'listen'; allowed: HOST:PORT, [IPV6]:PORT or :PORT\n"
      "      listen:\n"
      "      ^\n" },
    { "server:\n\tlisten: x\n",
      "quell.yaml:2:1: not valid YAML: tab character may not be used as indentation\n"
      "    \tlisten: x\n"
      "    ^\n" },
    { "a: &x 1\nb: *x\n",
      "quell.yaml:1:7: anchors, aliases and tags are not taken here: write the value out\n"
      "    a: &x 1\n"
      "          ^\n" },
    { "store: {history_days: 3}\n---\nstore: {}\n",
      "quell.yaml:2:1: a second document ('---'): a settings file holds one\n"
      "    ---\n"
      "    ^\n" },
    { "%YAML 1.2\n---\nstore: {}\n",
      "quell.yaml:1:1: a line must not start with '%'\n"
      "    %YAML 1.2\n"
      "    ^\n" },
    { "? [a]\n: 1\n",
      "quell.yaml:1:3: a key must be a plain word\n"
      "    ? [a]\n"
      "      ^\n" },
    { "scrapes:\n  - job: node\n",
      "quell.yaml:2:5: a scrape needs 'targets': HOST:PORT\n"
      "      - job: node\n"
      "        ^\n" },
    { "scrapes:\n  - {job: node, targets: []}\n",
      "quell.yaml:2:26: 'targets' is empty; allowed: HOST:PORT\n"
      "      - {job: node, targets: []}\n"
      "                             ^\n" },
    { "scrapes:\n  - {job: n, targets: [a:1], interval: 5s, timeout: 6s}\n",
      "quell.yaml:2:53: the timeout is longer than the interval of 5s; allowed: at most that\n"
      "      - {job: n, targets: [a:1], interval: 5s, timeout: 6s}\n"
      "                                                        ^\n" },
    { "scrapes:\n  - {job: n, targets: [a:1], labels: {1x: y}}\n",
      "quell.yaml:2:39: '1x' is not a label name; allowed: letters, digits and '_', not starting "
      "with a digit or with '__'\n"
      "      - {job: n, targets: [a:1], labels: {1x: y}}\n"
      "                                          ^\n" },
    { "runbooks:\n  - {name: r, entity: checkout, steps: [{name: a, run: [/bin/true]}]}\n",
      "quell.yaml:2:23: 'checkout' names no kind; allowed: KIND/NAME such as service/checkout\n"
      "      - {name: r, entity: checkout, steps: [{name: a, run: [/bin/true]}]}\n"
      "                          ^\n" },
    { "runbooks:\n- name: r\n  entity: service/a\n  steps:\n  - {name: a, run: [sh, -c, x]}\n",
      "quell.yaml:5:21: 'sh' is not an absolute path; allowed: /path/to/program, so that what "
      "runs does not depend on PATH\n"
      "      - {name: a, run: [sh, -c, x]}\n"
      "                        ^\n" },
    { "runbooks:\n- name: r\n  entity: service/a\n  steps:\n  - {name: a, run: [/b/x, '{entty}']}\n",
      "quell.yaml:5:27: unknown placeholder '{entty}'; did you mean '{entity}'?\n"
      "      - {name: a, run: [/b/x, '{entty}']}\n"
      "                              ^\n" },
    { "runbooks:\n- name: r\n  entity: service/a\n  steps:\n  - {name: a, run: ['/b/{name}']}\n",
      "quell.yaml:5:21: a placeholder must not choose the program; allowed: in arguments\n"
      "      - {name: a, run: ['/b/{name}']}\n"
      "                        ^\n" },
    { "edges:\n  - {caller: a}\n  - b\n",
      "quell.yaml:2:5: an edge needs 'callee': KIND/NAME or a service\n"
      "      - {caller: a}\n"
      "        ^\n"
      "quell.yaml:3:5: found a single value where a map is needed for 'edges'\n"
      "      - b\n"
      "        ^\n" },
    { "policies:\n  - {name: a, match: up, directon: up}\n",
      "quell.yaml:2:26: unknown key 'directon' in a policy; did you mean 'direction'?\n"
      "      - {name: a, match: up, directon: up}\n"
      "                             ^\n" },
    { "policies:\n  - name: a\n    match: 'up{a=\"b\"'\n",
      "quell.yaml:3:12: not a selector: at character 9: , or } is expected\n"
      "        match: 'up{a=\"b\"'\n"
      "               ^\n" },
    { "policies:\n  - {name: a, match: up, valid_range: [3, 1]}\n",
      "quell.yaml:2:39: the range is empty: 3 is above 1; allowed: [LOWEST, HIGHEST]\n"
      "      - {name: a, match: up, valid_range: [3, 1]}\n"
      "                                          ^\n" },
    { "policies:\n  - {name: a, match: up, valid_range: [1]}\n",
      "quell.yaml:2:39: a range has two ends; allowed: [LOWEST, HIGHEST]\n"
      "      - {name: a, match: up, valid_range: [1]}\n"
      "                                          ^\n" },
    { "policies:\n  - {name: a, match: up, valid_range: [0, much]}\n",
      "quell.yaml:2:43: 'much' is not a number; allowed: a number, -inf, inf\n"
      "      - {name: a, match: up, valid_range: [0, much]}\n"
      "                                              ^\n" },
    { "policies:\n  - {name: a, match: up, mute: [Mon 25:00-26:00]}\n",
      "quell.yaml:2:33: 'Mon 25:00-26:00' is no window of time; allowed: [DAYS] [HH:MM-HH:MM] "
      "[+HH:MM], DAYS: daily, Mon, Mon-Fri, Sat,Sun, YYYY-MM-DD, YYYY-MM-DD..YYYY-MM-DD\n"
      "      - {name: a, match: up, mute: [Mon 25:00-26:00]}\n"
      "                                    ^\n" },
    { "policies:\n  - {name: a, match: up, importance: huge}\n",
      "quell.yaml:2:38: 'huge' is not known; allowed: normal, low, high, critical\n"
      "      - {name: a, match: up, importance: huge}\n"
      "                                         ^\n" },
    { "slos:\n  - {name: a, good: up}\n",
      "quell.yaml:2:5: an SLO needs 'target': 1 to 99.9999\n"
      "      - {name: a, good: up}\n"
      "        ^\n" },
    { "slos:\n  - {name: a, target: 99, good: up}\n",
      "quell.yaml:2:5: an SLO is good and total, bad and total, or match with above or below; "
      "found: good\n"
      "      - {name: a, target: 99, good: up}\n"
      "        ^\n" },
    { "slos:\n  - {name: a, target: 99, bad: e, good: g, total: t}\n",
      "quell.yaml:2:5: an SLO is good and total, bad and total, or match with above or below; "
      "found: good, bad, total\n"
      "      - {name: a, target: 99, bad: e, good: g, total: t}\n"
      "        ^\n" },
    { "slos:\n  - {name: a, target: 99}\n",
      "quell.yaml:2:5: an SLO is good and total, bad and total, or match with above or below; "
      "found: none of them\n"
      "      - {name: a, target: 99}\n"
      "        ^\n" },
    { "slos:\n  - {name: a, target: 100, bad: e, total: t}\n",
      "quell.yaml:2:23: 100 is out of range; allowed: 1 to 99.9999\n"
      "      - {name: a, target: 100, bad: e, total: t}\n"
      "                          ^\n" },
    { "slos:\n  - {name: a, target: 99, window: 1h, bad: e, total: t}\n",
      "quell.yaml:2:35: 1h is out of range; allowed: 1d to 90d\n"
      "      - {name: a, target: 99, window: 1h, bad: e, total: t}\n"
      "                                      ^\n" },
    { "slos:\n  - {name: a, target: 99, bad: 'e{', total: t}\n",
      "quell.yaml:2:32: not a selector: at character 3: a text in quotes is expected\n"
      "      - {name: a, target: 99, bad: 'e{', total: t}\n"
      "                                   ^\n" },
    { "slos:\n  - {name: a, target: 99, match: up, above: 1, below: 2}\n",
      "quell.yaml:2:55: every value is bad: below 2 or above 1; allowed: below <= above\n"
      "      - {name: a, target: 99, match: up, above: 1, below: 2}\n"
      "                                                          ^\n" },
    { "slos:\n  - {name: 'a\"b', target: 99, match: up, below: 1}\n",
      "quell.yaml:2:12: 'a\"b' is no name for an SLO; allowed: up to 64 of letters, digits, "
      "blanks and _ . - / :\n"
      "      - {name: 'a\"b', target: 99, match: up, below: 1}\n"
      "               ^\n" },
    { "slos:\n  - {name: a, target: 99, bad: e, total: t}\n"
      "  - {name: a, target: 98, bad: e, total: t}\n",
      "quell.yaml:3:12: an SLO called 'a' stands twice\n"
      "      - {name: a, target: 98, bad: e, total: t}\n"
      "               ^\n" },
    { "tenants:\n  - {name: a, match: up, signals_per_dy: 3}\n",
      "quell.yaml:2:5: a tenant needs 'signals_per_day': 0.01 to 1000000\n"
      "      - {name: a, match: up, signals_per_dy: 3}\n"
      "        ^\n"
      "quell.yaml:2:26: unknown key 'signals_per_dy' in a tenant; did you mean "
      "'signals_per_day'?\n"
      "      - {name: a, match: up, signals_per_dy: 3}\n"
      "                             ^\n" },
    { "tenants:\n  - {name: a, match: up}\n",
      "quell.yaml:2:5: a tenant needs 'signals_per_day': 0.01 to 1000000\n"
      "      - {name: a, match: up}\n"
      "        ^\n" },
    { "tenants:\n  - {name: a, match: 'up{', signals_per_day: 3}\n",
      "quell.yaml:2:22: not a selector: at character 4: a text in quotes is expected\n"
      "      - {name: a, match: 'up{', signals_per_day: 3}\n"
      "                         ^\n" },
    { "tenants:\n  - {name: default, match: up, signals_per_day: 3}\n",
      "quell.yaml:2:12: 'default' is no name for a tenant; allowed: up to 63 of letters, digits "
      "and _ . -, not default\n"
      "      - {name: default, match: up, signals_per_day: 3}\n"
      "               ^\n" },
    { "tenants:\n  - {name: a, match: up, signals_per_day: 0}\n",
      "quell.yaml:2:43: 0 is out of range; allowed: 0.01 to 1000000\n"
      "      - {name: a, match: up, signals_per_day: 0}\n"
      "                                              ^\n" },
    { "tenants:\n  - {name: a, match: up, signals_per_day: 1}\n"
      "  - {name: a, match: up, signals_per_day: 1}\n",
      "quell.yaml:3:12: a tenant called 'a' stands twice\n"
      "      - {name: a, match: up, signals_per_day: 1}\n"
      "               ^\n" },
    { "calendar: {utc_offset: 1h}\n",
      "quell.yaml:1:24: '1h' is not an offset; allowed: +HH:MM or -HH:MM\n"
      "    calendar: {utc_offset: 1h}\n"
      "                           ^\n" },
    { "resources:\n  - {name: a, match: up}\n",
      "quell.yaml:2:5: a resource needs its limit; allowed: either 'limit', above 0, or "
      "'limit_match'\n"
      "      - {name: a, match: up}\n"
      "        ^\n" },
    { "calendar: {holidays: [02-30 Nonesuch]}\n",
      "quell.yaml:1:23: '02-30 Nonesuch' is no day; allowed: YYYY-MM-DD NAME, or MM-DD NAME for "
      "every year\n"
      "    calendar: {holidays: [02-30 Nonesuch]}\n"
      "                          ^\n" },
    { "# \xC3\xA9\nstore: {\xC3\xA9: 3}\n",
      "quell.yaml:2:9: unknown key '\xC3\xA9' under 'store'; allowed: history_days, "
      "history_size_max, raw_for, minutes_for\n"
      "    store: {\xC3\xA9: 3}\n"
      "            ^\n" },
};

static void bad_files_are_told_exactly(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(bad_rows); i++) {
        struct ql_config *config = NULL;
        struct ql_buf why;
        ql_buf_init(&why, 65536);
        assert_int_equal(config_of(bad_rows[i].yaml, &config, &why), QL_E_CONFIG);
        assert_null(config);
        assert_string_equal(why.at, bad_rows[i].why);
        ql_buf_fini(&why);
    }
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void many_problems_are_shown_in_order_and_counted(void **state)
{
    (void)state;
    struct ql_config *config = NULL;
    struct ql_buf yaml, why;
    ql_buf_init(&yaml, 65536);
    ql_buf_init(&why, 65536);
    for (int i = 0; i < 23; i++) {
        (void)ql_buf_printf(&yaml, "unknown_%c: 1\n", 'a' + i);
    }
    assert_int_equal(ql_config_parse(ql_buf_view(&yaml), "f", &config, &why), QL_E_CONFIG);
    assert_int_equal(count_of(why.at, "unknown key"), QL_CONFIG_PROBLEMS_MAX);
    assert_non_null(strstr(why.at, "and 3 more\n"));
    assert_true(strstr(why.at, "f:1:1:") < strstr(why.at, "f:20:1:"));
    ql_buf_fini(&why);
    ql_buf_fini(&yaml);
}

static void nested_too_deep_is_refused(void **state)
{
    (void)state;
    struct ql_config *config = NULL;
    struct ql_buf yaml, why;
    ql_buf_init(&yaml, 65536);
    ql_buf_init(&why, 65536);
    for (int i = 0; i < 40; i++) {
        (void)ql_buf_char(&yaml, '[');
    }
    for (int i = 0; i < 40; i++) {
        (void)ql_buf_char(&yaml, ']');
    }
    assert_int_equal(ql_config_parse(ql_buf_view(&yaml), "f", &config, &why), QL_E_CONFIG);
    assert_non_null(strstr(why.at, "nested more than 16 deep"));
    ql_buf_fini(&why);
    ql_buf_fini(&yaml);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct ql_config *config = NULL;
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    assert_int_equal(ql_config_load("/nonexistent/q.yaml", &config, &why), QL_E_NOT_FOUND);
    assert_string_equal(why.at, "/nonexistent/q.yaml: no such thing\n");
    ql_buf_fini(&why);
}

/* ---- good files ------------------------------------------------------------------ */

static void defaults_are_what_runs_without_a_file(void **state)
{
    (void)state;
    struct ql_config *config = NULL;
    assert_int_equal(ql_config_default(&config), QL_OK);
    assert_string_equal(config->listen, "127.0.0.1:9428");
    assert_string_equal(config->data_dir, "./quell-data");
    assert_true(config->tick_s == 1.0);
    assert_true(config->checkpoint_s == 300.0);
    assert_true(config->journal_sync_s == 0.005);
    assert_true(config->journal_bytes_max == 1073741824.0);
    assert_true(config->body_bytes_max == 20971520.0);
    assert_int_equal(config->series_max, 1000000);
    assert_int_equal(config->series_new_per_min_max, 200000);
    assert_true(config->sample_ahead_s_max == 600.0);
    assert_true(config->sample_behind_s_max == 3600.0);
    assert_int_equal(config->shards, 1);
    assert_true(config->signals_per_day == 10.0);
    assert_true(config->absence_steps == 5.0);
    assert_true(config->join_s == 300.0);
    assert_true(config->close_s == 600.0);
    assert_int_equal(config->hops_max, 2);
    assert_true(config->baseline_s == 3600.0);
    assert_int_equal(config->act_mode, QL_ACT_APPROVE);
    assert_true(config->history_days == 400.0);
    assert_int_equal(config->http_threads, 2);
    assert_int_equal(config->connections_max, 1024);
    assert_int_equal(config->batches_in_flight_max, 64);
    assert_int_equal(config->scrape_count + config->runbook_count + config->edge_count, 0);
    ql_config_free(config);
    ql_config_free(NULL);
}

static const char whole[] =
    "server:\n"
    "  listen: :0\n"
    "detect:\n"
    "scrapes:\n"
    "  - job: node\n"
    "    targets: [127.0.0.1:9100, 'b:2']\n"
    "    labels: {env: demo, team: \"a b\"}\n"
    "    interval: 5s\n"
    "  - {job: self, targets: [c:3]}\n"
    "runbooks:\n"
    "  - name: restart\n"
    "    entity: service/check*\n"
    "    mode: auto\n"
    "    score_min: 0.5\n"
    "    verify: 1h30m\n"
    "    steps:\n"
    "      - name: stop\n"
    "        run: [/usr/bin/env, stop, '{name}', \"a\\nb\"]\n"
    "        timeout: 90s\n"
    "      - {name: start, run: [/usr/bin/env, start, '{entity}']}\n"
    "act: {mode: auto, env: [KUBECONFIG, 'A=b c']}\n"
    "edges:\n"
    "  - {caller: web, callee: checkout}\n";

static void a_whole_file_arrives(void **state)
{
    (void)state;
    struct ql_config *config = NULL;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    const ql_err err = config_of(whole, &config, &why);
    if (err != QL_OK) {
        fail_msg("%s", why.at);
    }
    assert_string_equal(config->listen, ":0");
    assert_int_equal(config->scrape_count, 2);
    assert_string_equal(config->scrapes[0].targets[1], "b:2");
    assert_string_equal(config->scrapes[0].label_names[1], "team");
    assert_string_equal(config->scrapes[0].label_values[1], "a b");
    assert_string_equal(config->scrapes[1].path, "/metrics");
    assert_true(config->scrapes[1].interval_s == 15.0);
    assert_int_equal(config->runbook_count, 1);
    const struct ql_runbook *runbook = &config->runbooks[0];
    assert_int_equal(runbook->mode, QL_ACT_AUTO);
    assert_true(runbook->verify_s == 5400.0);
    assert_int_equal(runbook->attempts_max, 2);
    assert_string_equal(runbook->metric, "*");
    assert_int_equal(runbook->step_count, 2);
    assert_int_equal(runbook->steps[0].argc, 4);
    assert_string_equal(runbook->steps[0].argv[3], "a\nb");
    assert_true(runbook->steps[0].timeout_s == 90.0);
    assert_true(runbook->steps[1].timeout_s == 60.0);
    assert_int_equal(config->act_env_count, 2);
    assert_string_equal(config->act_env[1], "A=b c");
    assert_string_equal(config->edges[0].callee, "checkout");
    ql_config_free(config);
    ql_buf_fini(&why);
}

static void what_is_explained_reads_back(void **state)
{
    (void)state;
    struct ql_config *first = NULL, *second = NULL;
    struct ql_buf why, shown, again;
    ql_buf_init(&why, 65536);
    ql_buf_init(&shown, 65536);
    ql_buf_init(&again, 65536);
    assert_int_equal(config_of(whole, &first, &why), QL_OK);
    assert_int_equal(ql_config_explain(first, &shown), QL_OK);
    assert_non_null(strstr(shown.at, "\n  env: [KUBECONFIG, \"A=***\"]\n"));
    assert_null(strstr(shown.at, "b c")); /* the value, which may be a secret */
    if (ql_config_parse(ql_buf_view(&shown), "shown", &second, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    assert_int_equal(ql_config_explain(second, &again), QL_OK);
    assert_string_equal(shown.at, again.at);
    ql_config_free(first);
    ql_config_free(second);
    ql_buf_fini(&again);
    ql_buf_fini(&shown);
    ql_buf_fini(&why);
}

static const char *const empty_rows[] = { "", "\n", "# only a comment\n", "---\n", "~\n", "{}\n",
                                          "scrapes:\nact:\nedges: []\n" };

static void empty_files_are_defaults(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(empty_rows); i++) {
        struct ql_config *config = NULL;
        struct ql_buf why;
        ql_buf_init(&why, 65536);
        if (config_of(empty_rows[i], &config, &why) != QL_OK) {
            fail_msg("'%s': %s", empty_rows[i], why.at);
        }
        assert_int_equal(config->hops_max, 2);
        ql_config_free(config);
        ql_buf_fini(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_told_exactly),
        cmocka_unit_test(many_problems_are_shown_in_order_and_counted),
        cmocka_unit_test(nested_too_deep_is_refused),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(defaults_are_what_runs_without_a_file),
        cmocka_unit_test(a_whole_file_arrives),
        cmocka_unit_test(what_is_explained_reads_back),
        cmocka_unit_test(empty_files_are_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
