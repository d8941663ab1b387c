/* Bands become series: labels, values, and how long a band holds. */
#include "model/band_series.h"
#include "model/labels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_score_is_one_on_the_edge(void **state)
{
    static const struct { double value; float expected, lower, upper; double score; } rows[] = {
        { 10, 10, 8, 14, 0.0 },  { 14, 10, 8, 14, 1.0 }, { 8, 10, 8, 14, 1.0 },
        { 18, 10, 8, 14, 2.0 },  { 6, 10, 8, 14, 2.0 },  { 12, 10, 8, 14, 0.5 },
        { 5, 5, 5, 5, 0.0 },     { 6, 5, 5, 5, QL_BAND_SCORE_MAX },
        { 1e9, 5, 4, 6, QL_BAND_SCORE_MAX },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_band band = { .expected = rows[i].expected, .lower = rows[i].lower,
                                      .upper = rows[i].upper };
        assert_true(fabs(ql_band_score(rows[i].value, &band) - rows[i].score) < 1e-12);
    }
    assert_true(isnan(ql_band_score(__builtin_nan(""), &(struct ql_band){ .upper = 1 })));
}

static void labels_are_those_of_the_series_and_for(void **state)
{
    static const struct { const char *series, *yhat; } rows[] = {
        { "cpu{host=\"a\"}", "yhat{for=\"cpu\",host=\"a\"}" },
        { "cpu", "yhat{for=\"cpu\"}" },
        { "cpu{for=\"x\",z=\"1\"}", "yhat{exported_for=\"x\",for=\"cpu\",z=\"1\"}" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_arena arena;
        struct ql_buf block, text;
        ql_arena_init(&arena, 1 << 16);
        ql_buf_init(&block, 4096);
        ql_buf_init(&text, 4096);
        assert_int_equal(ql_labels_parse(ql_str_of(rows[i].series), &block), QL_OK);
        const ql_str made = ql_band_series_labels(&arena, ql_buf_view(&block), QL_BAND_YHAT);
        assert_non_null(made.at);
        assert_int_equal(ql_labels_text(made, &text), QL_OK);
        assert_string_equal(text.at, rows[i].yhat);
        ql_buf_fini(&text);
        ql_buf_fini(&block);
        ql_arena_fini(&arena);
    }
}

static void a_band_holds_until_the_next_and_no_longer_than_it_may(void **state)
{
    const struct ql_sample judged[] = {
        { QL_TIME_NONE, 0 }, { { 50 * QL_NS_PER_S }, 1 }, { { 100 * QL_NS_PER_S }, 2 },
        { { 199 * QL_NS_PER_S }, 3 }, { { 200 * QL_NS_PER_S }, 4 },
        { { 7400 * QL_NS_PER_S }, 5 }, { { 7401 * QL_NS_PER_S }, 6 },
    };
    const struct ql_band bands[] = {
        { .at = { 100 * QL_NS_PER_S }, .expected = 10, .lower = 8, .upper = 12 },
        { .at = { 200 * QL_NS_PER_S }, .expected = 20, .lower = 16, .upper = 24 },
    };
    static const double wanted[] = { 10, 10, 20, 20 };
    struct ql_sample made[7];
    (void)state;
    assert_int_equal(ql_band_series_samples(QL_BAND_YHAT, judged + 1, 6, bands, 2, made), 4);
    for (size_t i = 0; i < QL_COUNT_OF(wanted); i++) {
        assert_true(fabs(made[i].value - wanted[i]) < 1e-9);
        assert_int_equal(made[i].at.ns, judged[i + 2].at.ns);
    }
    assert_int_equal(ql_band_series_samples(QL_BAND_UPPER, judged + 1, 6, bands, 0, made), 0);
    assert_int_equal(ql_band_series_samples(QL_BAND_UPPER, judged + 3, 1, bands, 2, made), 1);
    assert_true(fabs(made[0].value - 12.0) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_score_is_one_on_the_edge),
        cmocka_unit_test(labels_are_those_of_the_series_and_for),
        cmocka_unit_test(a_band_holds_until_the_next_and_no_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
