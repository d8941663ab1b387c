/* policy_test - whom a policy of a core's signal reaches, what is counted, who changed lately. */
#include "config/config_test.h"
#include "model/labels.h"
#include "policy/ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW_S INT64_C(1767571200) /* Monday 2026-01-05 00:00 UTC */

static ql_time at_minute(int64_t minute)
{
    return (ql_time){ (NOW_S + minute * 60) * QL_NS_PER_S };
}

static struct ql_config *config_of(const char *policies)
{
    char yaml[2048];
    (void)snprintf(yaml, sizeof(yaml), "policies: [%s]\n", policies);
    return test_config(yaml);
}

/* ---- one word of all policies ------------------------------------------------------- */

#define ALL "{name: all, match: '{}', "
#define DISK "{name: disk, match: '{__name__=\"disk_used\"}', "

static const struct word_row {
    const char *what, *policies;
    int64_t minute;
    enum ql_held held;
    const char *held_by;
    enum ql_importance importance;
    const char *said;
} word_rows[] = {
    { "no policy at all", "", 0, QL_HELD_NONE, "", QL_IMPORTANCE_HIGH, "" },
    { "none for it", "{name: a, match: other, detector: off, importance: low}", 0, QL_HELD_NONE,
      "", QL_IMPORTANCE_HIGH, "" },
    { "off", DISK "detector: off}", 0, QL_HELD_DETECTOR, "disk", QL_IMPORTANCE_HIGH, "" },
    { "off for all, on for it", ALL "detector: off}, " DISK "detector: on}", 0, QL_HELD_NONE, "",
      QL_IMPORTANCE_HIGH, "" },
    { "on for all, off for it", ALL "detector: on}, " DISK "detector: off}", 0, QL_HELD_DETECTOR,
      "disk", QL_IMPORTANCE_HIGH, "" },
    { "in the window", DISK "mute: ['00:10-00:20']}", 10, QL_HELD_MUTE, "disk",
      QL_IMPORTANCE_HIGH, "" },
    { "at its end no more", DISK "mute: ['00:10-00:20']}", 20, QL_HELD_NONE, "",
      QL_IMPORTANCE_HIGH, "" },
    { "after the change", DISK "mute_after_change: 5m}", 34, QL_HELD_CHANGE, "disk",
      QL_IMPORTANCE_HIGH, "" },
    { "long after the change", DISK "mute_after_change: 5m}", 35, QL_HELD_NONE, "",
      QL_IMPORTANCE_HIGH, "" },
    { "before the change", DISK "mute_after_change: 5m}", 29, QL_HELD_NONE, "",
      QL_IMPORTANCE_HIGH, "" },
    { "off comes before a window", ALL "detector: off}, " DISK "mute: [daily]}", 0,
      QL_HELD_DETECTOR, "all", QL_IMPORTANCE_HIGH, "" },
    { "importance", ALL "importance: low}, " DISK "importance: critical}", 0, QL_HELD_NONE, "",
      QL_IMPORTANCE_CRITICAL, " (importance critical, policy disk)" },
    { "down to normal", DISK "importance: normal}", 0, QL_HELD_NONE, "", QL_IMPORTANCE_NORMAL,
      " (importance normal, policy disk)" },
    { "what it is anyway", DISK "importance: high}", 0, QL_HELD_NONE, "", QL_IMPORTANCE_HIGH,
      "" },
    { "values and bands are not its", DISK "direction: down, min_absolute: 1e9, "
      "min_relative: 10, valid_range: [0, 1]}", 0, QL_HELD_NONE, "", QL_IMPORTANCE_HIGH, "" },
};

/* Entity 7 was changed at minute 30. */
static void policies_say_one_word(void **state)
{
    (void)state;
    struct ql_buf labels, said;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&said, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("disk_used{host=\"a\"}"), &labels), QL_OK);
    const struct ql_ruled ruled = { ql_buf_view(&labels), { 7 }, QL_SIGNAL_EXHAUSTION,
                                    QL_IMPORTANCE_HIGH };
    struct ql_change change = { .entity = { 7 }, .at = at_minute(30) };
    const struct ql_batch bus = { .changes = { &change, 1, 1 } };
    for (size_t i = 0; i < QL_COUNT_OF(word_rows); i++) {
        const struct word_row *row = &word_rows[i];
        struct ql_config *config = config_of(row->policies);
        struct ql_stats *stats = ql_stats_new(64);
        struct ql_ruling ruling;
        assert_int_equal(ql_ruling_open(&ruling, config, stats), QL_OK);
        ql_ruling_push(&ruling, &bus);
        const struct ql_policy_word word = ql_ruling_of(&ruling, &ruled, at_minute(row->minute));
        ql_buf_reset(&said);
        (void)ql_buf_text(&said, "");
        ql_ruling_say(&ruled, &word, &said);
        if (word.held != row->held || word.importance != row->importance ||
            (word.held != QL_HELD_NONE && strcmp(word.held_by, row->held_by) != 0) ||
            !ql_str_eq(ql_buf_view(&said), ql_str_of(row->said))) {
            fail_msg("%s: held '%s' by '%s', %s%s", row->what, ql_held_text(word.held),
                     word.held == QL_HELD_NONE ? "" : word.held_by,
                     ql_importance_text(word.importance), said.at);
        }
        ql_ruling_close(&ruling);
        ql_stats_free(stats);
        ql_config_free(config);
    }
    ql_buf_fini(&labels);
    ql_buf_fini(&said);
}

/* ---- counting ----------------------------------------------------------------------- */

static const char held[] = "ql_detect_held_total";

static void held_once_is_counted_once(void **state)
{
    (void)state;
    struct ql_config *config = config_of(DISK "mute: ['00:10-00:20']}");
    struct ql_stats *stats = ql_stats_new(64);
    struct ql_ruling ruling;
    struct ql_buf labels;
    bool is_held = false;
    ql_buf_init(&labels, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("disk_used"), &labels), QL_OK);
    const struct ql_ruled ruled = { ql_buf_view(&labels), { 7 }, QL_SIGNAL_EXHAUSTION,
                                    QL_IMPORTANCE_NORMAL };
    assert_int_equal(ql_ruling_open(&ruling, config, stats), QL_OK);
    for (int64_t minute = 10; minute < 20; minute++) {
        assert_true(ql_ruling_holds(&ruling, &ruled, at_minute(minute), &is_held));
        assert_true(is_held);
    }
    assert_int_equal(ql_stats_sum(stats, held, ""), 1);
    for (int64_t minute = 20; minute < 25; minute++) {
        assert_false(ql_ruling_holds(&ruling, &ruled, at_minute(minute), &is_held));
        assert_int_equal(ql_stats_sum(stats, "ql_detect_told_late_total", ""), 1);
    }
    ql_ruling_close(&ruling);
    ql_buf_fini(&labels);
    ql_stats_free(stats);
    ql_config_free(config);
}

/* Names are people's: whatever they are, the page of metrics stays readable, and nothing is lost
 * when there are more than cells. */
static void any_name_has_its_count(void **state)
{
    (void)state;
    static const struct { const char *name, *shown; } rows[] = {
        { "plain", "policy=\"plain\"" },
        { "say \"no\" \\ \n", "policy=\"say \\\"no\\\" \\\\ \\n\"" },
        { "0123456789012345678901234567890123456789012345678901234567890123456789",
          "policy=\"012345678901234567890123456789012345678901234567890123456789012\"" },
        { "01234567890123456789012345678901234567890123456789012345678901\xc3\xa4",
          "policy=\"01234567890123456789012345678901234567890123456789012345678901\"" },
        { "\xc3\xa4\xc3", "policy=\"\xc3\xa4\xc3\"" },
    };
    struct ql_stats *stats = ql_stats_new(1024);
    struct ql_held_counts counts;
    ql_held_counts_init(&counts, stats);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_held_count(&counts, QL_HELD_DIRECTION, rows[i].name, QL_SIGNAL_PEER);
        if (ql_stats_sum(stats, held, rows[i].shown) != 1) {
            fail_msg("%s is not shown as %s", rows[i].name, rows[i].shown);
        }
    }
    for (uint32_t i = 0; i < 2 * QL_HELD_CELLS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%u", i);
        ql_held_count(&counts, QL_HELD_MUTE, name, QL_SIGNAL_SPIKE);
        ql_held_count(&counts, QL_HELD_MUTE, name, QL_SIGNAL_SPIKE);
    }
    const int64_t others = ql_stats_sum(stats, held, "policy=\"(others)\"");
    assert_int_equal(others, 2 * (QL_HELD_CELLS_MAX + (int64_t)QL_COUNT_OF(rows)));
    assert_int_equal(ql_stats_sum(stats, held, ""),
                     4 * QL_HELD_CELLS_MAX + (int64_t)QL_COUNT_OF(rows));
    ql_stats_free(stats);
}

/* ---- changes ------------------------------------------------------------------------ */

static void changes_are_kept_for_a_day(void **state)
{
    (void)state;
    struct ql_stats *stats = ql_stats_new(8);
    struct ql_changed c, again;
    struct ql_buf saved;
    const int64_t hour = 3600 * QL_NS_PER_S;
    ql_buf_init(&saved, 1 << 20);
    ql_changed_init(&c, ql_stats_cell(stats, QL_STAT_COUNTER, "dropped", "help", ""));
    assert_false(ql_changed_within(&c, (ql_entity_id){ 1 }, hour, at_minute(0)));
    assert_int_equal(ql_changed_activate(&c), QL_OK);
    for (uint64_t entity = 0; entity < 100; entity++) {
        ql_changed_note(&c, (ql_entity_id){ entity }, at_minute((int64_t)entity));
    }
    assert_int_equal(c.count, 99); /* 0 is nobody */
    assert_false(ql_changed_within(&c, (ql_entity_id){ 0 }, hour, at_minute(0)));
    assert_true(ql_changed_within(&c, (ql_entity_id){ 9 }, hour, at_minute(68)));
    assert_false(ql_changed_within(&c, (ql_entity_id){ 9 }, hour, at_minute(69)));
    assert_false(ql_changed_within(&c, (ql_entity_id){ 9 }, 0, at_minute(9)));
    ql_changed_note(&c, (ql_entity_id){ 9 }, at_minute(5)); /* an older one changes nothing */
    assert_true(ql_changed_within(&c, (ql_entity_id){ 9 }, hour, at_minute(68)));
    ql_changed_note(&c, (ql_entity_id){ 100 }, (ql_time){ INT64_MIN + 1 }); /* the year 1677 */
    assert_false(ql_changed_within(&c, (ql_entity_id){ 100 }, hour, at_minute(0)));
    ql_changed_sweep(&c, at_minute(24 * 60 + 50));
    assert_int_equal(c.count, 50);
    for (uint64_t entity = 1; entity < 100; entity++) {
        assert_int_equal(ql_changed_within(&c, (ql_entity_id){ entity }, 24 * hour,
                                           at_minute(24 * 60 + 20)), entity >= 50);
    }
    assert_int_equal(ql_changed_save(&c, &saved), QL_OK);
    for (size_t bytes = 0; bytes <= saved.bytes; bytes++) {
        ql_changed_init(&again, c.dropped);
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, bytes });
        assert_int_equal(ql_changed_load(&again, &in),
                         bytes == saved.bytes ? QL_OK : QL_E_MALFORMED);
        assert_true(bytes < saved.bytes ||
                    ql_changed_within(&again, (ql_entity_id){ 99 }, hour, at_minute(100)));
        ql_changed_fini(&again);
    }
    ql_changed_fini(&c);
    ql_buf_fini(&saved);
    ql_stats_free(stats);
}

static void more_changes_than_places_are_counted(void **state)
{
    (void)state;
    struct ql_stats *stats = ql_stats_new(8);
    struct ql_changed c;
    ql_changed_init(&c, ql_stats_cell(stats, QL_STAT_COUNTER, "dropped", "help", ""));
    assert_int_equal(ql_changed_activate(&c), QL_OK);
    for (uint64_t entity = 1; entity <= QL_CHANGED_MAX + 3; entity++) {
        ql_changed_note(&c, (ql_entity_id){ entity }, at_minute(0));
    }
    assert_int_equal(ql_stats_sum(stats, "dropped", ""), 3);
    ql_changed_fini(&c);
    ql_stats_free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_say_one_word),
        cmocka_unit_test(held_once_is_counted_once),
        cmocka_unit_test(any_name_has_its_count),
        cmocka_unit_test(changes_are_kept_for_a_day),
        cmocka_unit_test(more_changes_than_places_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
