/* The language over a source held in memory: one row, one question. Agreement with a real
 * Prometheus on much more is tests/e2e/case_promql.py's; here stand the corners and bounds. */
#include "model/labels.h"
#include "model/selector.h"
#include "promql/promql.h"
#include "wire/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the source ---------------------------------------------------------------------------- */

/* A token a minute from minute 0: a number, _ nothing, S a stale marker. */
static const struct { const char *labels, *samples; } world[] = {
    { "c{a=\"1\",j=\"x\"}", "0 10 20 30 40 50 60 70 80 90 100" },
    { "c{a=\"2\",j=\"x\"}", "0 5 10 15 0 5 10 15 20 25 30" },
    { "g{a=\"1\",j=\"x\"}", "1 2 3 4 5 6 7 8 9 10 11" },
    { "g{a=\"2\",j=\"y\"}", "5 5 5 5 5 5 5 5 5 5 5" },
    { "g{a=\"3\",j=\"y\"}", "-1 -2 -3 -4 -5 -6 -7 -8 -9 -10 -11" },
    { "ends{a=\"1\"}", "1 1 1 S" },
    { "gone{a=\"1\"}", "1 1 1" },
    { "hole{a=\"1\"}", "1 _ _ _ _ _ _ 8 9 10" },
    { "twin{k=\"1\"}", "1 1 1 1 S" },
    { "twin2{k=\"1\"}", "_ _ _ _ _ 2 2 2 2 2 2" },
    { "one{a=\"1\"}", "3 3 3 3 3 3 3 3 3 3 3" },
    { "extra{a=\"1\",v=\"7\"}", "1 1 1 1 1 1 1 1 1 1 1" },
    { "b{le=\"1\"}", "10 10 10 10 10 10 10 10 10 10 10" },
    { "b{le=\"2\"}", "30 30 30 30 30 30 30 30 30 30 30" },
    { "b{le=\"+Inf\"}", "40 40 40 40 40 40 40 40 40 40 40" },
};

struct host {
    struct ql_buf labels[QL_COUNT_OF(world)];
    struct ql_sample samples[64];
    uint32_t copies;      /* find() gives every series so many times */
    uint32_t read_count;  /* read() says there are so many samples, if not 0 */
    ql_err find_err, read_err;
};

static ql_err host_find(void *context, const struct ql_matcher *matchers, uint32_t count,
                        int64_t from_ms, int64_t to_ms, uint32_t count_max,
                        struct ql_arena *arena, struct ql_promql_series **ret_series,
                        uint32_t *ret_count)
{
    const struct host *host = context;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    uint32_t found = 0;
    assert_true(from_ms <= to_ms);
    if (host->find_err != QL_OK) {
        return host->find_err;
    }
    assert_int_equal(ql_selector_of(matchers, count, &selector, why), QL_OK);
    struct ql_promql_series *series = ql_arena_take(arena, sizeof(*series) * (count_max + 1));
    assert_non_null(series);
    for (uint32_t i = 0; i < QL_COUNT_OF(world); i++) {
        const ql_str labels = ql_buf_view(&host->labels[i]);
        for (uint32_t k = 0; k < host->copies && found <= count_max; k++) {
            if (ql_selector_matches(&selector, labels)) {
                series[found++] = (struct ql_promql_series){ labels, { i, 0, 0 } };
            }
        }
    }
    ql_selector_fini(&selector);
    *ret_series = series;
    *ret_count = found;
    return QL_OK;
}

static ql_err host_read(void *context, const struct ql_promql_series *series, int64_t from_ms,
                        int64_t to_ms, const struct ql_sample **ret_samples, uint32_t *ret_count)
{
    struct host *host = context;
    uint32_t count = 0, minute = 0;
    for (const char *at = world[series->handle[0]].samples; *at != '\0'; minute++) {
        const size_t bytes = strcspn(at, " ");
        const int64_t ms = (int64_t)minute * 60000;
        double value = ql_stale_marker();
        if (*at != '_' && *at != 'S') {
            assert_int_equal(ql_str_to_double((ql_str){ at, bytes }, &value), QL_OK);
        }
        if (*at != '_' && ms >= from_ms && ms <= to_ms) {
            host->samples[count++] = (struct ql_sample){ ql_time_from_ms(ms), value };
        }
        at += bytes + (at[bytes] == ' ');
    }
    *ret_samples = host->samples;
    *ret_count = host->read_count != 0 ? host->read_count : count;
    return host->read_err;
}

static struct host host;
static const struct ql_promql_source source = { &host, host_find, host_read };

static int host_setup(void **state)
{
    (void)state;
    host = (struct host){ .copies = 1 };
    for (size_t i = 0; i < QL_COUNT_OF(world); i++) {
        ql_buf_init(&host.labels[i], QL_LABELS_BYTES_MAX);
        assert_int_equal(ql_labels_parse(ql_str_of(world[i].labels), &host.labels[i]), QL_OK);
    }
    return 0;
}

static int host_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(world); i++) {
        ql_buf_fini(&host.labels[i]);
    }
    return 0;
}

/* ---- answers as text ------------------------------------------------------------------------- */

static void number_put(struct ql_buf *out, double value)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    (void)ql_double_text(value, text);
    (void)ql_buf_text(out, ql_promql_is_absent(value) ? "_" : text);
}

/* "name{a="b"} 1 2 _; ..." or the error. */
static void answer_text(const char *query, const struct ql_promql_grid *grid, struct ql_buf *out)
{
    struct ql_promql *expression;
    struct ql_promql_error error;
    struct ql_promql_result result;
    if (ql_promql_parse(ql_str_of(query), &expression, &error) != QL_OK) {
        (void)ql_buf_text(out, error.text);
        return;
    }
    if (ql_promql_eval(expression, &source, grid, &result, &error) != QL_OK) {
        (void)ql_buf_text(out, error.text);
        ql_promql_free(expression);
        return;
    }
    for (uint32_t i = 0; i < result.row_count; i++) {
        const struct ql_promql_row *row = &result.rows[i];
        (void)ql_buf_text(out, i > 0 ? "; " : "");
        (void)ql_labels_text(row->labels, out);
        for (uint32_t s = 0; row->samples == NULL && s < result.step_count; s++) {
            (void)ql_buf_char(out, ' ');
            number_put(out, row->values[s]);
        }
        for (uint32_t s = 0; row->samples != NULL && s < row->sample_count; s++) {
            (void)ql_buf_printf(out, " %lld:", (long long)(row->samples[s].at.ns / QL_NS_PER_S));
            number_put(out, row->samples[s].value);
        }
    }
    (void)ql_buf_str(out, result.text);
    ql_promql_result_fini(&result);
    ql_promql_free(expression);
}

static void check_answer(const char *query, const struct ql_promql_grid *grid, const char *wanted)
{
    struct ql_buf got;
    ql_buf_init(&got, 1 << 20);
    answer_text(query, grid, &got);
    if (!ql_str_eq(ql_buf_view(&got), ql_str_of(wanted))) {
        print_error("%s\n  gives %.*s\n  not   %s\n", query, QL_STR_ARG(ql_buf_view(&got)), wanted);
        fail();
    }
    ql_buf_fini(&got);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void a_question_at_one_time(void **state)
{
    static const struct { const char *query; int64_t at_s; const char *wanted; } rows[] = {
        { "g{a=\"1\"}", 600, "g{a=\"1\",j=\"x\"} 11" },
        { "g{a=\"1\"}", 630, "g{a=\"1\",j=\"x\"} 11" },
        { "g{a=\"1\"} offset 2m", 600, "g{a=\"1\",j=\"x\"} 9" },
        { "g{a=\"1\"} offset -2m", 300, "g{a=\"1\",j=\"x\"} 8" },
        /* The look-back holds its far end; a stale marker ends a series at once. */
        { "gone", 420, "gone{a=\"1\"} 1" },
        { "gone", 421, "" },
        { "ends", 179, "ends{a=\"1\"} 1" },
        { "ends", 180, "" },
        { "count_over_time(ends[5m])", 240, "{a=\"1\"} 3" },
        { "ends[2m]", 180, "ends{a=\"1\"} 60:1 120:1" },
        /* Windows are closed on both sides. */
        { "count_over_time(g{a=\"1\"}[2m])", 600, "{a=\"1\",j=\"x\"} 3" },
        { "rate(c{a=\"1\"}[5m])", 600, "{a=\"1\",j=\"x\"} 0.16666666666666669" },
        { "increase(c{a=\"2\"}[5m])", 300, "{a=\"2\",j=\"x\"} 20" },
        /* 70 s to the end are more than 1.1 steps: half a step is added, not 70 s. */
        { "increase(c{a=\"1\"}[5m])", 670, "{a=\"1\",j=\"x\"} 43.333333333333336" },
        { "timestamp(ends)", 150, "{a=\"1\"} 120" },
        { "timestamp(ends)", 181, "" },
        { "rate(hole[5m])", 300, "" },
        { "sum(g)", 600, "{} 5" },
        { "sum by (j) (g)", 600, "{j=\"x\"} 11; {j=\"y\"} -6" },
        { "sum(g) without (a)", 600, "{j=\"x\"} 11; {j=\"y\"} -6" },
        { "topk(1, g)", 600, "g{a=\"1\",j=\"x\"} 11" },
        { "topk(0, g)", 600, "" },
        { "bottomk(2, g)", 600, "g{a=\"3\",j=\"y\"} -11; g{a=\"2\",j=\"y\"} 5" },
        { "quantile(0.5, g)", 600, "{} 5" },
        { "g > 5", 600, "g{a=\"1\",j=\"x\"} 11" },
        { "5 < g", 600, "g{a=\"1\",j=\"x\"} 11" },
        { "g > bool 5", 600, "{a=\"1\",j=\"x\"} 1; {a=\"2\",j=\"y\"} 0; {a=\"3\",j=\"y\"} 0" },
        { "g * on(a) one", 600, "{a=\"1\"} 33" },
        { "g - ignoring(j) one", 600, "{a=\"1\"} 8" },
        { "one * on(a) group_right g", 600, "{a=\"1\",j=\"x\"} 33" },
        { "g * on(a) group_left(v) extra", 600, "{a=\"1\",j=\"x\",v=\"7\"} 11" },
        { "one or g{a=\"2\"}", 600, "one{a=\"1\"} 3; g{a=\"2\",j=\"y\"} 5" },
        { "g and on(a) one", 600, "g{a=\"1\",j=\"x\"} 11" },
        { "g unless on(a) one", 600, "g{a=\"2\",j=\"y\"} 5; g{a=\"3\",j=\"y\"} -11" },
        { "histogram_quantile(0.5, b)", 600, "{} 1.5" },
        { "histogram_quantile(0.9, b)", 600, "{} 2" },
        { "absent(nothing{x=\"y\",z!=\"w\"})", 600, "{x=\"y\"} 1" },
        { "scalar(g)", 600, "{} NaN" },
        { "1 - -2 ^ 2", 0, "{} 5" },
        { "\"t\\u00e9\"", 0, "t\xc3\xa9" },
        { "day_of_week(vector(1709164800)) + 10 * days_in_month(vector(1709164800))", 0, "{} 294" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_promql_grid grid = { rows[i].at_s * 1000, rows[i].at_s * 1000, 0 };
        check_answer(rows[i].query, &grid, rows[i].wanted);
    }
}

static void a_question_over_a_grid(void **state)
{
    static const struct { const char *query, *wanted; } rows[] = {
        { "hole", "hole{a=\"1\"} 1 1 1 _ 9 10 10 10" },
        { "ends", "ends{a=\"1\"} 1 1 _ _ _ _ _ _" },
        { "sum(g > 0)", "{} 6 8 10 12 14 16 16 16" },
        { "count_over_time(hole[2m])", "{a=\"1\"} 1 1 _ _ 2 2 _ _" },
        { "absent(hole)", "{} _ _ _ 1 _ _ _ _" },
        { "absent(ends)", "{} _ _ 1 1 1 1 1 1" },
        { "topk(1, g)", "g{a=\"1\",j=\"x\"} _ _ 5 7 9 11 11 11; g{a=\"2\",j=\"y\"} 5 5 _ _ _ _ _ _" },
        /* Series that came to have the same labels are one, as long as they never meet. */
        { "{__name__=~\"twin2?\"} + 0", "{k=\"1\"} 1 1 _ 2 2 2 2 2" },
        { "time()", "{} 0 120 240 360 480 600 720 840" },
    };
    const struct ql_promql_grid grid = { 0, 840000, 120000 };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        check_answer(rows[i].query, &grid, rows[i].wanted);
    }
}

/* ---- refusals ---------------------------------------------------------------------------------- */

static void what_is_refused_is_named_with_its_place(void **state)
{
    static const struct { const char *query, *wanted; } rows[] = {
        { "", "1:1: parse error: no expression found in input" },
        { "1 +", "1:4: parse error: unexpected end of input" },
        { "g{a=\"1\"", "1:8: parse error: unexpected end of input in label matching, expected \",\" or"
                       " \"}\"" },
        { "sum(\n  foo(g))", "2:3: parse error: unknown function with name \"foo\"" },
        { "g[5m:1m]", "1:2: subqueries ([range:step]) are not supported" },
        { "rate(g[5m])[5m:]", "1:12: subqueries ([range:step]) are not supported" },
        { "g @ 5", "1:3: the @ modifier is not supported" },
        { "1 + holt_winters(g[5m], 1, 1)", "1:5: the function holt_winters() is not supported" },
        { "rate(g)", "1:6: parse error: expected type range vector in call to function \"rate\", got"
                     " instant vector" },
        { "g{a=~\"(\"}", "1:1: parse error: in the expression of 'a', character 2: missing closing"
                         " parenthesis" },
        { "c / on(j) c", "1:3: found duplicate series for the match group {j=\"x\"} on the right"
                         " hand-side of the operation;many-to-many matching not allowed: matching"
                         " labels must be unique on one side" },
        { "c / on(j) c{a=\"1\"}", "1:3: multiple matches for labels: many-to-one matching must be"
                                  " explicit (group_left/group_right)" },
        { "{__name__=~\"g|one\",a=\"1\"} + 0 or -{__name__=~\"c|g\",a=\"1\"}",
          "1:34: vector cannot contain metrics with the same labelset" },
        { "g[5m]", "g{a=\"1\",j=\"x\"} 600:11; g{a=\"2\",j=\"y\"} 600:5; g{a=\"3\",j=\"y\"} 600:-11" },
    };
    const struct ql_promql_grid grid = { 900000, 900000, 0 }, early = { 600000, 600000, 0 };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const bool matrix = strcmp(rows[i].query, "g[5m]") == 0;
        check_answer(rows[i].query, matrix ? &grid : &early, rows[i].wanted);
    }
}

static ql_err refusal_of(const char *query, const struct ql_promql_grid *grid, const char *part)
{
    struct ql_promql *expression;
    struct ql_promql_error error;
    struct ql_promql_result result;
    ql_err err = ql_promql_parse(ql_str_of(query), &expression, &error);
    if (err == QL_OK) {
        err = ql_promql_eval(expression, &source, grid, &result, &error);
        ql_promql_free(expression);
    }
    assert_int_not_equal(err, QL_OK);
    assert_int_equal(err, error.err);
    if (strstr(error.text, part) == NULL) {
        print_error("%s: %s\n", part, error.text);
        fail();
    }
    return err;
}

static void each_bound_is_an_error_that_says_which(void **state)
{
    const struct ql_promql_grid now = { 600000, 600000, 0 };
    const struct ql_promql_grid fine = { 0, 11001000, 1000 };
    const struct ql_promql_grid most = { 0, 11000000, 1000 };
    char deep[400];
    (void)state;
    assert_int_equal(refusal_of("g", &fine, "more than 11000 points a series"), QL_E_RANGE);
    assert_int_equal(refusal_of("g[5m]", &most, "invalid expression type"), QL_E_MALFORMED);
    memset(deep, '-', sizeof(deep) - 2);
    deep[sizeof(deep) - 2] = '1';
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(refusal_of(deep, &now, "nested deeper than 100"), QL_E_UNSUPPORTED);
    host.copies = QL_PROMQL_SERIES_MAX;
    assert_int_equal(refusal_of("g", &now, "matches more than 20000 series"), QL_E_RANGE);
    host.copies = 10000;
    assert_int_equal(refusal_of("one", &most, "more than 256 MiB"), QL_E_RANGE);
    host.copies = 4000;
    assert_int_equal(refusal_of("count_over_time(one[1y])", &most, "MiB"), QL_E_RANGE);
    host.copies = 1;
    host.read_count = 50000001;
    assert_int_equal(refusal_of("sum(one)", &now, "reads more than 50000000 samples"), QL_E_RANGE);
    host.read_count = 0;
    host.find_err = QL_E_TIMEOUT;
    assert_int_equal(refusal_of("sum(one)", &now, "1:5: finding series"), QL_E_TIMEOUT);
    host.find_err = QL_OK;
    host.read_err = QL_E_IO;
    assert_int_equal(refusal_of("sum(one)", &now, "1:5: reading samples"), QL_E_IO);
}

static void durations_are_those_of_prometheus(void **state)
{
    static const struct { const char *text; int64_t ms; } rows[] = {
        { "5m", 300000 }, { "1h30m", 5400000 }, { "1y", INT64_C(31536000000) }, { "1w2d", 777600000 },
        { "1s5ms", 1005 }, { "0s", 0 }, { "", -1 }, { "5", -1 }, { "m", -1 }, { "5m1h", -1 },
        { "5m5m", -1 }, { "5x", -1 }, { "1.5h", -1 }, { "-5m", -1 }, { "99999999999999999999s", -1 },
        { "9999y", -1 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        int64_t ms = -1;
        const ql_err err = ql_promql_duration(ql_str_of(rows[i].text), &ms);
        assert_int_equal(err == QL_OK, rows[i].ms >= 0);
        assert_int_equal(ms, rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_question_at_one_time, host_setup, host_teardown),
        cmocka_unit_test_setup_teardown(a_question_over_a_grid, host_setup, host_teardown),
        cmocka_unit_test_setup_teardown(what_is_refused_is_named_with_its_place, host_setup,
                                        host_teardown),
        cmocka_unit_test_setup_teardown(each_bound_is_an_error_that_says_which, host_setup,
                                        host_teardown),
        cmocka_unit_test(durations_are_those_of_prometheus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
