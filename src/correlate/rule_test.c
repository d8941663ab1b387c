/* Each rule beside its refusal: one row, one story. */
#include "correlate/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T(s) ((ql_time){ (int64_t)(s) * QL_NS_PER_S })

static void one_weak_oddity_pages_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *story;
        struct ql_rule_evidence evidence;
        bool opens;
    } rows[] = {
        { "an alert", { .alert = true }, true },
        { "nothing", { 0 }, false },
        { "one weak series", { .series_count = 1, .surprise_max = 6.0 }, false },
        { "one weak symptom", { .series_count = 1, .surprise_max = 6.0, .symptom = true }, false },
        { "one strong symptom", { .series_count = 1, .surprise_max = 8.0, .symptom = true }, true },
        { "as strong, but nobody feels it", { .series_count = 1, .surprise_max = 8.0 }, false },
        { "extreme", { .series_count = 1, .surprise_max = 12.0 }, true },
        { "weak, but a policy says that it matters",
          { .series_count = 1, .surprise_max = 3.0, .high = true }, true },
        { "a budget that burns",
          { .series_count = 1, .surprise_max = 6.0, .high = true, .burn = true }, true },
        { "a disk alone", { .surprise_max = 20.0, .high = true }, false },
        { "extreme, but a policy says that it does not",
          { .series_count = 2, .surprise_max = 20.0, .symptom = true, .low = true }, false },
        { "a pair", { .series_count = 2, .surprise_max = 6.0 }, true },
        { "an extreme disk is no series", { .surprise_max = 20.0 }, false },
        { "a weak symptom that lasts",
          { .series_count = 1, .surprise_max = 6.0, .symptom = true,
            .lasted = { 300 * QL_NS_PER_S } }, true },
        { "a weak gauge that lasts",
          { .series_count = 1, .surprise_max = 6.0, .lasted = { 3000 * QL_NS_PER_S } }, false },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i].story);
        assert_int_equal(ql_rule_opens(&rows[i].evidence, QL_MIN(5)) != NULL, rows[i].opens);
    }
}

static void links_need_nearness_and_time(void **state)
{
    (void)state;
    static const struct {
        const char *story;
        enum ql_rule_relation relation;
        uint32_t hops;
        bool lasts;
        int onset, first, last, ended; /* seconds; ended 0: none */
        bool joins, merges;
    } rows[] = {
        { "same entity, still burning after an hour", QL_RELATION_SAME, 0, true, 3600, 10, 10, 0,
          true, true },
        { "same entity, ended just now", QL_RELATION_SAME, 0, false, 3600, 10, 10, 3550,
          true, true },
        { "same entity, ended long ago", QL_RELATION_SAME, 0, false, 3600, 10, 10, 2000,
          false, false },
        { "same entity, began a little before", QL_RELATION_SAME, 0, true, 900, 1000, 1000, 0,
          true, true },
        { "same entity, began long before", QL_RELATION_SAME, 0, true, 100, 1000, 1000, 0,
          false, false },
        { "a caller, 40 s later", QL_RELATION_CALLS, 1, true, 1040, 1000, 1000, 0, true, true },
        { "a caller, 4 min later", QL_RELATION_CALLS, 1, true, 1240, 1000, 1000, 0, true, false },
        { "a caller, 8 min later, it lasts", QL_RELATION_CALLS, 1, true, 1480, 1000, 1000, 0,
          true, false },
        { "a caller, 8 min later, it is over", QL_RELATION_CALLS, 1, false, 1480, 1000, 1000,
          1100, false, false },
        { "a caller, 11 min later", QL_RELATION_CALLS, 1, true, 1660, 1000, 1000, 0,
          false, false },
        { "a caller, 1 min after the newest of a chain", QL_RELATION_CALLS, 1, true, 2060, 1000,
          2000, 0, true, true },
        { "two hops", QL_RELATION_CALLED, 2, true, 1010, 1000, 1000, 0, true, false },
        { "a shared callee", QL_RELATION_SHARED, 2, true, 1001, 1000, 1000, 0, true, false },
        { "the same change", QL_RELATION_CHANGE, 0, true, 1001, 1000, 1000, 0, true, true },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_rule_link link = {
            .relation = rows[i].relation, .hops = rows[i].hops, .lasts = rows[i].lasts,
            .onset = T(rows[i].onset), .since_first = T(rows[i].first),
            .since_last = T(rows[i].last),
            .ended_last = rows[i].ended == 0 ? QL_TIME_NONE : T(rows[i].ended),
        };
        const double strength = ql_rule_link(&link, QL_MIN(5));
        print_message("%s: %.3f\n", rows[i].story, strength);
        assert_true(strength >= 0.0 && strength <= 1.0);
        assert_int_equal(strength > 0.0, rows[i].joins);
        assert_int_equal(strength >= QL_RULE_MERGE_STRENGTH, rows[i].merges);
    }
}

static void gaps_read_as_people_say_them(void **state)
{
    (void)state;
    static const struct { int onset, first, last; const char *want; } rows[] = {
        { 1040, 1000, 1000, "40 s later" }, { 960, 1000, 1000, "40 s earlier" },
        { 1000, 1000, 1000, "at the same time" }, { 1300, 1000, 1000, "5 min later" },
        { 2010, 1000, 2000, "10 s later" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char text[32];
        const struct ql_rule_link link = { .onset = T(rows[i].onset),
                                           .since_first = T(rows[i].first),
                                           .since_last = T(rows[i].last) };
        assert_string_equal(ql_rule_gap_text(&link, text), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_weak_oddity_pages_nobody),
        cmocka_unit_test(links_need_nearness_and_time),
        cmocka_unit_test(gaps_read_as_people_say_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
