/* exhaust_disk_test - disks pass after pass: told once, updated as counters grow, closed when the
 * disk is another one. Every row runs again with a restart after each pass. */
#include "forecast/exhaust_test.h"
#include "forecast/smart.h"

#include <math.h>

static void bed_open(struct bed *bed, const char *yaml)
{
    bed_open_for(bed, yaml, "smartmon_reallocated_sector_ct_raw_value"
                            "{disk=\"/dev/sda\",instance=\"db1:9100\"}");
}

/* What the look-ahead saw of the disk; '_' is a pass without a word about it. */
struct letter { char letter; double smart[QL_FINDING_COUNTERS]; };
static const struct letter letters[] = {
    { '0', { 0, 0, 0, 0, 0 } },  { '-', { 0, -1, -1, 0, 0 } }, { '1', { 3, 0, 0, 12, 0 } },
    { '2', { 4, 0, 0, 12, 0 } }, { 'p', { 4, 0, 0, 2, 0 } },   { 'q', { 5, 0, 0, 2, 0 } },
    { 'T', { 0, -1, 4295032833.0, 0, 0 } },
};

static void bed_find(struct bed *bed, char letter, ql_time now)
{
    for (size_t i = 0; i < QL_COUNT_OF(letters); i++) {
        if (letters[i].letter != letter) {
            continue;
        }
        const struct ql_disk_verdict verdict = ql_disk_judge(letters[i].smart);
        struct ql_finding *f = ql_batch_add_finding(&bed->bus);
        assert_non_null(f);
        *f = (struct ql_finding){
            .series = { { 1, 2 } }, .labels = ql_buf_view(&bed->labels),
            .limit_name = QL_STR("its failure"), .kind = QL_FINDING_DISK, .at = now,
            .used = verdict.score, .limit = 1, .full = verdict.failing ? 1.0 : 0.0,
            .horizon_s = 86400, .early_s = INFINITY, .middle_s = INFINITY, .late_s = INFINITY };
        memcpy(f->smart, letters[i].smart, sizeof(f->smart));
    }
}

static void bed_pass(struct bed *bed, char letter, uint32_t pass)
{
    ql_batch_reset(&bed->bus);
    bed_find(bed, letter, bed_time(pass));
    const struct ql_signal *signal = bed_hear(bed, pass, QL_SIGNAL_DISK);
    assert_true(signal == NULL || (signal->expected == 0.0 && signal->lower == 0.0 &&
                                   signal->upper > 0.0 && signal->upper < log(2.0)));
}

struct row { const char *what, *findings, *said, *yaml; };
#define POLICY(fields) "policies: [{name: night, match: '{disk=\"/dev/sda\"}', " fields "}]\n"
static const struct row rows[] = {
    { "a healthy disk is silent", "00000000", "........", "" },
    { "so is one that lacks counters", "--------", "........", "" },
    { "a failing one is told once", "0111111111", "...o......", "" },
    { "at once where one pass is enough", "0111", ".o..", "forecast: {passes: 1}\n" },
    { "two passes are an accident", "0110110110", "..........", "" },
    { "a counter grows", "111122211", "..o.u....", "" },
    { "growth while another falls", "2222ppqq", "..o...u.", "" },
    { "packed timeouts alone", "TTTTTT", "..o...", "" },
    { "replaced", "1111000000", "..o...c...", "" },
    { "replaced by one with less counters", "1111------", "..o...c...", "" },
    { "a zero between is no replacement", "111010101", "..o......", "" },
    { "zeros and back is nothing new", "11100111", "..o.....", "" },
    { "nor is what grew again", "1112ppqq22", "..ou..u...", "" },
    { "after a close it takes four times the passes", "1110001111111111111",
      "..o..c...........o.", "" },
    { "a window holds, growth in it too", "1112222", ".....o.", POLICY("mute: ['22:30-23:20']") },
    { "held and replaced: never told", "1111000", ".......", POLICY("detector: off") },
    { "by another name it is not held", "1111", "..o.",
      "policies: [{name: night, match: '{disk=\"/dev/sdb\"}', detector: off}]\n" },
};

static void what_becomes_of_a_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (int restarts = 0; restarts < 2; restarts++) {
            struct bed bed;
            bed_open(&bed, rows[i].yaml);
            for (uint32_t pass = 0; rows[i].findings[pass] != '\0'; pass++) {
                bed_pass(&bed, rows[i].findings[pass], pass);
                if (restarts > 0) {
                    bed_restart(&bed);
                }
            }
            bed_assert_said(&bed, rows[i].what, rows[i].findings, rows[i].said);
            bed_close(&bed);
        }
    }
}

static void a_disk_that_is_gone(void **state)
{
    (void)state;
    struct bed bed;
    uint32_t closed = 0;
    bed_open(&bed, "");
    for (uint32_t pass = 0; pass < 110; pass++) {
        bed_pass(&bed, pass < 3 ? '1' : '_', pass);
        closed = bed.said[pass] == 'c' ? pass : closed;
    }
    assert_int_equal(closed, 2 + 86400 / PASS_S + 1);
    bed_close(&bed);
}

static void the_sentence_and_the_numbers(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, POLICY("importance: high"));
    for (uint32_t pass = 0; pass < 3; pass++) {
        bed_pass(&bed, '1', pass);
    }
    assert_string_equal(bed.why, "disk /dev/sda of db1: 3 reallocated sectors, 12 pending sectors; "
                                 QL_SMART_RECORD " (importance high, policy night)");
    assert_int_equal(bed.importance, QL_IMPORTANCE_HIGH);
    assert_true(fabs(bed.value - log1p(3) - log1p(12)) < 1e-12);
    assert_true(bed.surprise > 1.1 && bed.surprise < 1.2); /* .074 of the healthy ones */
    bed_pass(&bed, '2', 3);
    assert_int_equal(bed.said[3], 'u');
    assert_non_null(strstr(bed.why, ": 4 reallocated sectors, 12 pending"));
    for (uint32_t pass = 4; pass < 7; pass++) {
        bed_pass(&bed, '0', pass);
    }
    assert_int_equal(bed.said[6], 'c');
    assert_non_null(strstr(bed.why, "disk /dev/sda of db1: none of its five"));
    assert_int_equal(ql_stats_sum(bed.stats, "ql_exhaustion_signals_total", ""), 2);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_exhaustion_unproven_total", ""), 0);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_becomes_of_a_disk),
        cmocka_unit_test(a_disk_that_is_gone),
        cmocka_unit_test(the_sentence_and_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
