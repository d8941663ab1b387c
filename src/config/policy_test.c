/* policy_test - windows of time as rows, and how several policies come together. */
#include "config/policy.h"

#include "config/moment.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* 2026-01-05 was a Monday; `at` is day and time of January 2026, UTC. */
static const struct { const char *window, *at; bool holds; } window_rows[] = {
    { "Mon", "05 00:00", true },
    { "Mon", "05 23:59", true },
    { "Mon", "06 00:00", false },
    { "Mon-Fri 02:00-04:00", "05 01:59", false },
    { "Mon-Fri 02:00-04:00", "05 02:00", true },
    { "Mon-Fri 02:00-04:00", "05 04:00", false },
    { "Mon-Fri 02:00-04:00", "10 03:00", false },
    { "Sat,Sun", "10 12:00", true },
    { "Sat,Sun", "12 12:00", false },
    { "Fri-Mon", "11 12:00", true },
    { "Fri-Mon", "13 12:00", false },
    { "daily 22:00-02:00", "05 23:00", true },
    { "daily 22:00-02:00", "06 01:59", true },
    { "daily 22:00-02:00", "06 02:00", false },
    { "Mon 22:00-02:00", "06 01:00", true },   /* began on Monday */
    { "Mon 22:00-02:00", "05 01:00", false },  /* began on Sunday */
    { "02:00-04:00 +01:00", "05 01:30", true },
    { "02:00-04:00 +01:00", "05 03:30", false },
    { "Mon -05:00", "06 04:59", true },
    { "Mon -05:00", "05 04:59", false },
    { "2026-01-06", "06 10:00", true },
    { "2026-01-06", "07 10:00", false },
    { "2026-01-06..2026-01-08 08:00-09:00", "08 08:30", true },
    { "2026-01-06..2026-01-08 08:00-09:00", "09 08:30", false },
    { "00:00-24:00", "09 08:30", true },
};

static void windows_hold_when_they_say(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(window_rows); i++) {
        struct ql_mute mute;
        int day, hour, minute;
        assert_int_equal(sscanf(window_rows[i].at, "%d %d:%d", &day, &hour, &minute), 3);
        const int64_t s = ((int64_t)ql_day_of_date(2026, 1, day) * 24 + hour) * 3600 + minute * 60;
        assert_true(ql_moment_mute(ql_str_of(window_rows[i].window), &mute));
        if (ql_mute_holds(&mute, 0, (ql_time){ s * QL_NS_PER_S }) != window_rows[i].holds) {
            fail_msg("%s at %s", window_rows[i].window, window_rows[i].at);
        }
    }
}

static void what_is_no_window_is_refused(void **state)
{
    static const char *const rows[] = {
        "", "Mo", "mon", "Mon-", "Mon,", "Mon,,Tue", "+01:00", "24:01-25:00", "10:00-10:00",
        "24:00-01:00", "1:00-2:00", "Mon 10:00", "Mon 10:00-11:00 +1", "Mon 10:00-11:00 +15:00",
        "2026-02-29", "2026-01-08..2026-01-06", "Mon 10:00-11:00 Z now", "Mon Tue",
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_mute mute;
        if (ql_moment_mute(ql_str_of(rows[i]), &mute)) {
            fail_msg("'%s' was taken", rows[i]);
        }
    }
}

static void every_day_comes_back(void **state)
{
    (void)state;
    assert_int_equal(ql_day_of_date(1970, 1, 1), 0);
    assert_int_equal(ql_day_of_date(2000, 3, 1), 11017);
    for (int32_t day = -1000; day < 100000; day++) {
        int32_t y, m, d;
        ql_date_of_day(day, &y, &m, &d);
        assert_int_equal(ql_day_of_date(y, m, d), day);
    }
}

static const char policies_yaml[] =
    "policies:\n"
    "  - {name: all, match: '{}', importance: low, min_absolute: 5}\n"
    "  - {name: latency, match: '{__name__=~\"lat.*\"}', direction: up, mute: [Sat, Sun]}\n"
    "  - {name: checkout, match: 'lat_ms{service=\"checkout\"}', importance: high,\n"
    "     min_absolute: 0, mute: [], valid_range: [0, inf], mute_after_change: 5m}\n";

static void later_policies_win_field_by_field(void **state)
{
    (void)state;
    struct ql_config *config;
    struct ql_policy_set *set;
    struct ql_policy_effect e;
    struct ql_buf text, block;
    ql_buf_init(&text, 65536);
    ql_buf_init(&block, 65536);
    assert_int_equal(ql_config_parse(ql_str_of(policies_yaml), "p", &config, &text), QL_OK);
    assert_int_equal(ql_policy_set_open(config, &set), QL_OK);
    assert_int_equal(ql_labels_parse(QL_STR("lat_ms{service=\"checkout\"}"), &block), QL_OK);
    assert_true(ql_policy_resolve(set, ql_buf_view(&block), &e));
    assert_int_equal(e.direction, QL_POLICY_UP);
    assert_int_equal(e.importance, QL_IMPORTANCE_HIGH);
    assert_true(e.min_absolute <= 0.0 && e.low >= 0.0);
    assert_int_equal(e.mute_after_change_ns, INT64_C(300) * QL_NS_PER_S);
    assert_int_equal(e.by[QL_POLICY_DIRECTION], 2);
    assert_int_equal(e.by[QL_POLICY_IMPORTANCE], 3);
    assert_int_equal(e.by[QL_POLICY_DETECTOR], 0);
    const ql_time saturday = { (int64_t)ql_day_of_date(2026, 1, 10) * QL_DAY_S * QL_NS_PER_S };
    assert_null(ql_policy_muted(set, &e, saturday)); /* [] takes the windows away */
    ql_buf_reset(&block);
    assert_int_equal(ql_labels_parse(QL_STR("lat_ms{service=\"cart\"}"), &block), QL_OK);
    assert_true(ql_policy_resolve(set, ql_buf_view(&block), &e));
    assert_int_equal(e.importance, QL_IMPORTANCE_LOW);
    assert_string_equal(ql_policy_muted(set, &e, saturday), "Sat");
    ql_policy_set_close(set);
    ql_config_free(config);
    ql_buf_fini(&text);
    ql_buf_fini(&block);
}

/* One story a row: policies, a series, what must stand in the answer and what must not. */
static const struct { const char *yaml, *series, *want, *not_want; } explain_rows[] = {
    { "{name: a, match: other, detector: off}", "disk_used",
      "  exhaustion, where it has a limit: told; direction, minima and range do not apply\n",
      "held" },
    { "{name: a, match: disk_used, detector: off}", "disk_used",
      "  exhaustion, where it has a limit: never told (detector: off, a);", "told;" },
    { "{name: a, match: disk_used, importance: critical, mute: [Sat, 'Mon 02:00-04:00']}",
      "disk_used{host=\"a\"}",
      "  exhaustion, where it has a limit: told, importance critical; held in Sat, Mon "
      "02:00-04:00;", "out of bounds" },
    { "{name: a, match: disk_used, mute_after_change: 5m}", "disk_used{service=\"db\"}",
      "limit: told; held for 300s after a change of service/db;", "importance critical" },
    { "{name: a, match: disk_used, mute_after_change: 5m}", "disk_used",
      "limit: told; held for 300s after a change of its entity, which no label tells: never;",
      "importance critical" },
    { "{name: a, match: slo_burn_rate, mute_after_change: 5m}", "slo_burn_rate{slo=\"fast\"}",
      "burn rate: told; held for 300s after a change of the SLO's entity;", "value" },
    { "{name: a, match: '{}', detector: off, valid_range: [0, 1]}", "disk_used",
      "  out of bounds: told\n", "signals: told" },
    { "{name: a, match: '{}', valid_range: [0, 1]}, {name: b, match: '{}', valid_range: []}",
      "disk_used", "exhaustion", "out of bounds" },
    { "{name: a, match: '{slo=\"fast\"}', importance: low}",
      "slo_burn_rate{severity=\"page\",slo=\"fast\"}",
      "what that means\n  burn rate: told, importance low; direction", "exhaustion" },
    { "{name: a, match: '{slo=\"fast\"}', importance: low}", "requests_total",
      "counts for: fast  (as bad)\n  its burn rate: policies for slo_burn_rate{slo=\"fast\"}\n",
      "importance low" },
};

static void what_policies_mean_is_explained(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(explain_rows); i++) {
        char yaml[512];
        struct ql_config *config;
        struct ql_buf text;
        ql_buf_init(&text, 65536);
        (void)snprintf(yaml, sizeof(yaml),
                       "slos: [{name: fast, target: 99, bad: requests_total, total: all_total}]\n"
                       "policies: [%s]\n", explain_rows[i].yaml);
        if (ql_config_parse(ql_str_of(yaml), "p", &config, &text) != QL_OK) {
            fail_msg("%s", text.at);
        }
        ql_buf_reset(&text);
        assert_int_equal(ql_policy_explain(config, ql_str_of(explain_rows[i].series), &text),
                         QL_OK);
        if (strstr(text.at, explain_rows[i].want) == NULL ||
            strstr(text.at, explain_rows[i].not_want) != NULL) {
            fail_msg("%s of\n%s\nhas not '%s', or has '%s':\n%s", explain_rows[i].series,
                     explain_rows[i].yaml, explain_rows[i].want, explain_rows[i].not_want, text.at);
        }
        ql_config_free(config);
        ql_buf_fini(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_hold_when_they_say),
        cmocka_unit_test(what_is_no_window_is_refused),
        cmocka_unit_test(every_day_comes_back),
        cmocka_unit_test(later_policies_win_field_by_field),
        cmocka_unit_test(what_policies_mean_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
