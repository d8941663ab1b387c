/* Tables line up, fit, and let nothing through that a terminal would obey. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct ql_table_column columns[] = {
    { "ID", true, 0, false }, { "NAME", false, 6, false }, { "WHY", false, 8, false },
};

static void render(const struct ql_term *term, uint32_t indent, struct ql_buf *out)
{
    struct ql_table table;
    ql_table_init(&table, columns, QL_COUNT_OF(columns));
    ql_table_cell(&table, QL_PAINT_NONE, "%d", 7);
    ql_table_str(&table, QL_PAINT_RED, QL_STR("größer"));
    ql_table_str(&table, QL_PAINT_NONE, QL_STR("a short one"));
    ql_table_cell(&table, QL_PAINT_NONE, "%d", 1234);
    ql_table_str(&table, QL_PAINT_NONE, QL_STR("x"));
    ql_table_str(&table, QL_PAINT_NONE, QL_STR("a sentence that is much longer than that"));
    ql_buf_reset(out);
    assert_int_equal(ql_table_render(&table, term, indent, out), QL_OK);
    ql_table_fini(&table);
}

static void columns_line_up_and_fit(void **state)
{
    (void)state;
    static const struct { struct ql_term term; uint32_t indent; const char *want; } rows[] = {
        { { 0, false }, 0, "  ID  NAME    WHY\n"
                           "   7  größer  a short one\n"
                           "1234  x       a sentence that is much longer than that\n" },
        { { 32, false }, 0, "  ID  NAME    WHY\n"
                            "   7  größer  a short one\n"
                            "1234  x       a sentence that i…\n" },
        { { 24, false }, 2, "    ID  NAME    WHY\n"
                            "     7  größer  a short…\n"
                            "  1234  x       a sente…\n" },
        { { 10, false }, 0, "  ID  NAME    WHY\n" /* narrower than the least: no smaller */
                            "   7  größer  a short…\n"
                            "1234  x       a sente…\n" },
        { { 32, true }, 0, "  \033[2mID\033[0m  \033[2mNAME\033[0m    \033[2mWHY\033[0m\n"
                           "   7  \033[31mgrößer\033[0m  a short one\n"
                           "1234  x       a sentence that i…\n" },
    };
    struct ql_buf out;
    ql_buf_init(&out, 65536);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        render(&rows[i].term, rows[i].indent, &out);
        assert_string_equal(out.at, rows[i].want);
    }
    ql_buf_fini(&out);
}

static void spare_columns_give_way(void **state)
{
    (void)state;
    static const struct ql_table_column some[] = {
        { "A", false, 0, false }, { "B", false, 0, true }, { "C", true, 4, false },
        { "D", false, 4, true },
    };
    static const struct { uint32_t columns; const char *want; } rows[] = {
        { 0, "A      B      C  D\naaaaa  bbb  ccc  dddddddd\n" },
        { 21, "A      B      C  D\naaaaa  bbb  ccc  ddd…\n" },
        { 20, "A      B      C\naaaaa  bbb  ccc\n" },
        { 14, "A        C\naaaaa  ccc\n" },
        { 5, "A        C\naaaaa  ccc\n" },
    };
    struct ql_buf out;
    ql_buf_init(&out, 65536);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_term term = { .columns = rows[i].columns };
        static const char *const cells[] = { "aaaaa", "bbb", "ccc", "dddddddd" };
        struct ql_table table;
        ql_table_init(&table, some, QL_COUNT_OF(some));
        for (size_t c = 0; c < QL_COUNT_OF(cells); c++) {
            ql_table_str(&table, QL_PAINT_NONE, ql_str_of(cells[c]));
        }
        ql_buf_reset(&out);
        assert_int_equal(ql_table_render(&table, &term, 0, &out), QL_OK);
        assert_string_equal(out.at, rows[i].want);
        ql_table_fini(&table);
    }
    ql_buf_fini(&out);
}

static void nothing_moves_the_cursor(void **state)
{
    (void)state;
    const struct ql_term term = { .columns = 0 };
    struct ql_buf out;
    ql_buf_init(&out, 4096);
    ql_term_text(&term, &out, QL_PAINT_RED, QL_STR("a\033[2Jb\r\nc\x7f" "d\xc2\x9b" "e\xc3\xa9"));
    assert_string_equal(out.at, "a [2Jb  c d e\xc3\xa9");
    ql_buf_fini(&out);
}

static void words_wrap(void **state)
{
    (void)state;
    static const struct { uint32_t columns, indent; const char *text, *want; } rows[] = {
        { 0, 2, "one two three", "  one two three\n" },
        { 10, 2, "one two three", "  one two\n  three\n" },
        { 9, 2, "one two three", "  one two\n  three\n" },
        { 8, 2, "one two three", "  one\n  two\n  three\n" },
        { 8, 2, "incomprehensible yes", "  incomprehensible\n  yes\n" },
        { 20, 0, "  many   blanks\nhere ", "many blanks here\n" },
        { 20, 0, "", "\n" },
    };
    struct ql_buf out;
    ql_buf_init(&out, 4096);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_term term = { .columns = rows[i].columns };
        ql_buf_reset(&out);
        ql_term_wrap(&term, &out, rows[i].indent, ql_str_of(rows[i].text));
        assert_string_equal(out.at, rows[i].want);
    }
    ql_buf_fini(&out);
}

static void spans_are_short_and_long(void **state)
{
    (void)state;
    static const struct { int64_t s; const char *brief, *full; } rows[] = {
        { 0, "0s", "0 s" },          { 59, "59s", "59 s" },        { 60, "1m", "1 min" },
        { 754, "12m", "12 min 34 s" }, { 3600, "1h", "1 h" },      { 3599, "59m", "59 min 59 s" },
        { 12000, "3h", "3 h 20 min" }, { 100000, "27h", "1 d 3 h" }, { 172800, "2d", "2 d" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char out[QL_SPAN_TEXT_BYTES];
        assert_string_equal(ql_span_short(QL_S(rows[i].s), out), rows[i].brief);
        assert_string_equal(ql_span_long(QL_S(rows[i].s), out), rows[i].full);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up_and_fit),
        cmocka_unit_test(spare_columns_give_way),
        cmocka_unit_test(nothing_moves_the_cursor),
        cmocka_unit_test(words_wrap),
        cmocka_unit_test(spans_are_short_and_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
