/* Rows: what a selector selects, and what is said about one that does not parse. */
#include "model/selector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *selector, *labels;
    bool matches;
};
static const struct row rows[] = {
    { "up", "up{job=\"node\"}", true },
    { "up", "down{job=\"node\"}", false },
    { " up { job = \"node\" } ", "up{job=\"node\"}", true },
    { "up{}", "up", true },
    { "{}", "up{job=\"node\"}", true },
    { "{job=\"node\"}", "up{job=\"node\"}", true },
    { "{job=\"node\",}", "up{job=\"node\"}", true },
    { "up{job=\"node\",instance=\"b\"}", "up{instance=\"a\",job=\"node\"}", false },
    { "up{job!=\"node\"}", "up{job=\"node\"}", false },
    { "up{job!=\"db\"}", "up{job=\"node\"}", true },
    { "up{zone=\"\"}", "up{job=\"node\"}", true },       /* absent is empty */
    { "up{zone!=\"\"}", "up{job=\"node\"}", false },
    { "up{job=~\"no.*\"}", "up{job=\"node\"}", true },
    { "up{job=~\"no\"}", "up{job=\"node\"}", false },    /* the whole value */
    { "up{job=~\"node|db\"}", "up{job=\"db\"}", true },
    { "up{job!~\"node|db\"}", "up{job=\"db\"}", false },
    { "up{job!~\"node|db\"}", "up{job=\"web\"}", true },
    { "up{zone=~\".*\"}", "up{job=\"node\"}", true },
    { "up{zone=~\".+\"}", "up{job=\"node\"}", false },
    { "{__name__=~\"http_.*\"}", "http_requests_total", true },
    { "a:b:c", "a:b:c", true },
    { "{\"my.metric\",\"my.label\"=\"x\"}", "{__name__=\"my.metric\",my_label=\"x\"}", false },
    { "{\"up\"}", "up", true },
    { "up{a=\"q\\\"\\\\\\n\"}", "up{a=\"q\\\"\\\\\\n\"}", true },
    { "up{a='b'}", "up{a=\"b\"}", true },
    { "up{a=`\\d`}", "up{a=\"\\\\d\"}", true },
    { "up{a=~`\\d+`}", "up{a=\"42\"}", true },
    { "up{a=~\"(x+x+)+y\"}", "up{a=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-y\"}", false },
    { "up{a!~\"(x+x+)+y\"}", "up{a=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-y\"}", false },
};

static void row_check(const struct row *row)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    struct ql_buf block;
    print_message("%s on %s\n", row->selector, row->labels);
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    assert_int_equal(ql_labels_parse(ql_str_of(row->labels), &block), QL_OK);
    assert_int_equal(ql_selector_parse(ql_str_of(row->selector), &selector, why), QL_OK);
    assert_int_equal(ql_selector_matches(&selector, ql_buf_view(&block)), row->matches);
    struct ql_selector copy; /* the same from its matchers */
    assert_int_equal(ql_selector_of(selector.matchers, selector.count, &copy, why), QL_OK);
    ql_selector_fini(&selector);
    assert_int_equal(ql_selector_matches(&copy, ql_buf_view(&block)), row->matches);
    ql_selector_fini(&copy);
    ql_buf_fini(&block);
}

static void selectors_select(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        row_check(&rows[i]);
    }
}

static const struct { const char *selector, *why; } bad_rows[] = {
    { "", "at character 1: a metric name or { is expected" },
    { "9up", "at character 1: a metric name or { is expected" },
    { "up{", "at character 4: a text in quotes is expected" },
    { "up{job}", "at character 7: =, !=, =~ or !~ is expected" },
    { "up{job=node}", "at character 8: a text in quotes is expected" },
    { "up{job=\"node}", "at character 14: the closing \" is missing" },
    { "up{job=\"\\q\"}", "at character 10: unknown escape; known are \\n \\t \\\\ \\\" and the like" },
    { "up{job=\"a\" b=\"c\"}", "at character 12: , or } is expected" },
    { "up{job=\"a\"} x", "at character 13: the selector should end here" },
    { "up{job==\"a\"}", "at character 8: a text in quotes is expected" },
    { "up{,}", "at character 4: a text in quotes is expected" },
    { "up{job=~\"(\"}", "in the expression of 'job', character 2: missing closing parenthesis" },
};

static void errors_say_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(bad_rows); i++) {
        char why[QL_SELECTOR_WHY_BYTES];
        struct ql_selector selector;
        assert_int_equal(ql_selector_parse(ql_str_of(bad_rows[i].selector), &selector, why),
                         QL_E_MALFORMED);
        assert_string_equal(why, bad_rows[i].why);
    }
}

static void limits_hold(void **state)
{
    (void)state;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    struct ql_buf text;
    ql_buf_init(&text, 1 << 16);
    ql_buf_char(&text, '{');
    for (uint32_t i = 0; i < QL_MATCHERS_MAX; i++) {
        ql_buf_printf(&text, "a%u=\"x\",", i);
    }
    const size_t fits = text.bytes;
    ql_buf_char(&text, '}');
    assert_int_equal(ql_selector_parse(ql_buf_view(&text), &selector, why), QL_OK);
    ql_selector_fini(&selector);
    text.bytes = fits;
    ql_buf_text(&text, "b=\"x\"}");
    assert_int_equal(ql_selector_parse(ql_buf_view(&text), &selector, why), QL_E_RANGE);
    while (text.bytes <= QL_SELECTOR_BYTES_MAX) {
        ql_buf_char(&text, ' ');
    }
    assert_int_equal(ql_selector_parse(ql_buf_view(&text), &selector, why), QL_E_RANGE);
    ql_buf_fini(&text);
}

static void a_slow_expression_gives_up(void **state)
{
    (void)state;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    struct ql_buf block;
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    assert_int_equal(ql_labels_parse(QL_STR("a{b=\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-y\"}"),
                                     &block), QL_OK);
    assert_int_equal(ql_selector_parse(QL_STR("a{b=~\"(x+x+)+y\"}"), &selector, why), QL_OK);
    assert_false(ql_selector_matches(&selector, ql_buf_view(&block)));
    assert_true(selector.gave_up);
    ql_selector_fini(&selector);
    ql_buf_fini(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_select),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_slow_expression_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
