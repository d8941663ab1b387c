/* offline_detect_test - files in, judgements out; every malformed file gets its sentence. */
#include "engine/offline_detect.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t progress_done, progress_all; /* as told last */

static void progress_take(const char *what, uint64_t done, uint64_t all)
{
    assert_true(strcmp(what, "judging") == 0 || strcmp(what, "learning") == 0);
    assert_true(done > 0 && done <= all);
    progress_done = done;
    progress_all = all;
}

static ql_err detect(ql_str text, uint64_t train, bool json, struct ql_buf *out,
                     struct ql_buf *why)
{
    const struct ql_offline_detect in = {
        .text = text, .shown_name = "x.csv", .train_rows = train, .json = json,
        .signals_per_day = 10.0, .progress = progress_take,
    };
    progress_done = progress_all = 0;
    ql_buf_reset(out);
    ql_buf_reset(why);
    const ql_err err = ql_offline_detect(&in, out, why);
    assert_true(err != QL_OK || progress_done == progress_all);
    return err;
}

struct bad { const char *text, *why; };
static const struct bad bad_rows[] = {
    { "", "x.csv:1:1: found an empty file, allowed is a header and rows" },
    { "time\n1\n",
      "x.csv:1:1: found a header of one column, allowed is a time and at least one series" },
    { "time,a\n1,2\n2,x\n",
      "x.csv:3:3: found \"x\", allowed is a number, or nothing for a missing value" },
    { "time,a\nnoon,2\n", "x.csv:2:1: found \"noon\", allowed is a time: RFC 3339, "
                          "YYYY-MM-DD HH:MM:SS or seconds since 1970" },
    { "time,a\n1,2,3\n", "x.csv:2:1: found 3 fields, allowed are 2 as in the header" },
    { "time,a\n1,\"2\n", NULL },
};

static void malformed_files_are_refused(void **state)
{
    (void)state;
    struct ql_buf out, why;
    ql_buf_init(&out, 1 << 20);
    ql_buf_init(&why, 4096);
    for (size_t i = 0; i < QL_COUNT_OF(bad_rows); i++) {
        const ql_str text = ql_str_of(bad_rows[i].text);
        assert_int_equal(detect(text, 0, false, &out, &why), QL_E_MALFORMED);
        assert_true(ql_str_starts(ql_buf_view(&why), QL_STR("x.csv:")));
        if (bad_rows[i].why != NULL && strcmp(why.at, bad_rows[i].why) != 0) {
            fail_msg("want %s\ngot  %s", bad_rows[i].why, why.at);
        }
    }
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

/* `columns` series of noise around levels that move together; a fault in the first column
 * from row `fault` on, for 20 rows. */
static void file_make(struct ql_buf *text, uint32_t columns, uint32_t rows, uint32_t fault)
{
    struct ql_rng rng;
    ql_rng_init(&rng, 5, "offline");
    ql_buf_reset(text);
    (void)ql_buf_text(text, "time");
    for (uint32_t c = 0; c < columns; c++) {
        (void)ql_buf_printf(text, ",m%u", c);
    }
    for (uint32_t r = 0; r < rows; r++) {
        const double load = ql_rng_normal(&rng);
        (void)ql_buf_printf(text, "\n%u", 1600000000u + r * 60u);
        for (uint32_t c = 0; c < columns; c++) {
            double value = 100.0 + 10.0 * load * (c % 2 == 0 ? 1.0 : -1.0) + ql_rng_normal(&rng);
            value += c == 0 && r >= fault && r < fault + 20 ? 80.0 : 0.0;
            (void)ql_buf_printf(text, ",%.3f", value);
        }
    }
    (void)ql_buf_text(text, "\n");
    assert_int_equal(ql_buf_check(text), QL_OK);
}

struct judged { double score; int anomaly; char series[16]; };

static uint32_t lines_read(const struct ql_buf *out, struct judged *rows, uint32_t most)
{
    uint32_t count = 0;
    const char *at = strchr(out->at, '\n') + 1;
    for (; *at != '\0' && count < most; at = strchr(at, '\n') + 1) {
        struct judged *j = &rows[count++];
        *j = (struct judged){ 0 };
        assert_true(sscanf(at, "%*[^,],%lf,%d,%15[^,\n]", &j->score, &j->anomaly, j->series) >= 2);
        assert_true(j->score >= 0.0 && j->score <= 1.0);
    }
    return count;
}

enum { ROWS = 3000, FAULT = 2500 };
static struct judged judged[ROWS], judged_part[ROWS];

static void fault_is_found(uint32_t columns, uint64_t train)
{
    struct ql_buf text, out, why;
    ql_buf_init(&text, 16 << 20);
    ql_buf_init(&out, 16 << 20);
    ql_buf_init(&why, 4096);
    file_make(&text, columns, ROWS, FAULT);
    assert_int_equal(detect(ql_buf_view(&text), train, false, &out, &why), QL_OK);
    assert_int_equal(lines_read(&out, judged, ROWS), ROWS);
    uint32_t false_flags = 0, right_flags = 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        const bool inside = r >= FAULT && r < FAULT + 20;
        right_flags += inside && judged[r].anomaly;
        false_flags += !inside && judged[r].anomaly;
    }
    assert_true(false_flags <= 2); /* two days of minutes at ten a day */
    assert_int_equal(right_flags, 1);
    assert_string_equal(judged[FAULT + 2].series, "m0");
    assert_true(judged[FAULT + 3].score > judged[FAULT - 1].score);

    /* The first 60 % are judged the same without the rest. */
    const char *cut = text.at;
    for (uint32_t r = 0; r <= ROWS * 6 / 10; r++) {
        cut = strchr(cut, '\n') + 1;
    }
    const ql_str part = { text.at, (size_t)(cut - text.at) };
    assert_int_equal(detect(part, train, false, &out, &why), QL_OK);
    assert_int_equal(lines_read(&out, judged_part, ROWS), ROWS * 6 / 10);
    assert_memory_equal(judged, judged_part, sizeof(judged[0]) * (ROWS * 6 / 10));
    ql_buf_fini(&text);
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

/* The same spike every 500 rows: the first is worth most, the tenth still is news. */
static void often_odd_is_worth_less(void **state)
{
    (void)state;
    struct ql_buf text, out, why;
    struct ql_rng rng;
    ql_buf_init(&text, 1 << 20);
    ql_buf_init(&out, 1 << 20);
    ql_buf_init(&why, 4096);
    ql_rng_init(&rng, 6, "often");
    (void)ql_buf_text(&text, "time,a\n");
    for (uint32_t r = 0; r < ROWS; r++) {
        const double value = r % 500 == 250 ? 400.0 : 100.0 + 2.0 * ql_rng_normal(&rng);
        (void)ql_buf_printf(&text, "%u,%.3f\n", 1600000000u + r * 60u, value);
    }
    assert_int_equal(detect(ql_buf_view(&text), 0, false, &out, &why), QL_OK);
    assert_int_equal(lines_read(&out, judged, ROWS), ROWS);
    for (uint32_t r = 750; r < ROWS; r += 500) {
        assert_true(judged[r].score > 0.5);
        assert_true(judged[r].score < judged[r - 500].score);
        assert_true(judged[r + 20].score < 0.5);
    }
    ql_buf_fini(&text);
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

static void one_series(void **state) { (void)state; fault_is_found(1, 0); }
static void one_series_after_training(void **state) { (void)state; fault_is_found(1, 1000); }
static void an_entity(void **state) { (void)state; fault_is_found(8, 0); }
static void an_entity_after_training(void **state) { (void)state; fault_is_found(8, 1000); }
static void a_wide_entity(void **state) { (void)state; fault_is_found(150, 1000); }

static void odd_rows_are_taken(void **state)
{
    (void)state;
    struct ql_buf out, why;
    ql_buf_init(&out, 1 << 20);
    ql_buf_init(&why, 4096);
    /* Missing cells, a repeated time, a step back, NaN, huge numbers, CRLF. */
    const ql_str text = QL_STR("time,\"a, b\"\r\n10,1\r\n20,\r\n20,1\r\n15,NaN\r\n30,1e300\r\n");
    assert_int_equal(detect(text, 0, false, &out, &why), QL_OK);
    assert_string_equal(out.at, "time,score,anomaly,series,expected,lower,upper\n"
                                "10,0.000000,0,,,,\n20,0.000000,0,,,,\n20,0.000000,0,,,,\n"
                                "15,0.000000,0,,,,\n30,0.000000,0,,,,\n");
    assert_int_equal(detect(text, 100, true, &out, &why), QL_OK);
    assert_true(ql_str_starts(ql_buf_view(&out), QL_STR("[\n{\"time\":\"10\",\"score\":0")));
    assert_true(ql_str_ends(ql_buf_view(&out), QL_STR("}\n]\n")));
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_files_are_refused),
        cmocka_unit_test(odd_rows_are_taken),
        cmocka_unit_test(one_series),
        cmocka_unit_test(often_odd_is_worth_less),
        cmocka_unit_test(one_series_after_training),
        cmocka_unit_test(an_entity),
        cmocka_unit_test(an_entity_after_training),
        cmocka_unit_test(a_wide_entity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
