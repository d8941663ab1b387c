/* csv_test - one row, one story: text in, fields out as [a|b|c] per row, or the error. */
#include "wire/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FIELDS_MAX = 8 };

struct row {
    const char *story;
    const char *text;
    const char *want; /* "[a|b][c]", and "!" with the error text after what stood before it */
};

static const struct row rows[] = {
    { "nothing", "", "" },
    { "only empty lines", "\n\r\n\n", "" },
    { "one field", "a", "[a]" },
    { "a last line without its end", "a,b\nc,d", "[a|b][c|d]" },
    { "CRLF", "a,b\r\nc,d\r\n", "[a|b][c|d]" },
    { "empty fields stay", ",a,\n,\n", "[|a|][|]" },
    { "empty lines are no rows", "a\n\n\r\nb\n", "[a][b]" },
    { "a byte order mark is no text", "\xEF\xBB\xBFtime,value\n", "[time|value]" },
    { "blanks belong to the field", " a , b \n", "[ a | b ]" },
    { "quotes", "\"a\",\"b c\"\n", "[a|b c]" },
    { "an empty quoted field is a row", "\"\"\n", "[]" },
    { "commas and line ends in quotes", "\"a,b\",\"c\r\nd\ne\"\n", "[a,b|c\r\nd\ne]" },
    { "a doubled quote is one", "\"say \"\"hi\"\"\",\"\"\"\"\n", "[say \"hi\"|\"]" },
    { "UTF-8 passes", "gr\xC3\xBC\xC3\x9F,\xE2\x82\xAC\n", "[gr\xC3\xBC\xC3\x9F|\xE2\x82\xAC]" },
    { "a quote not closed names where it opened", "a,b\nc,\"d\ne\n",
      "[a|b]!line 2, column 3: this quote is never closed" },
    { "a quote inside a plain field", "a,b\"c\n",
      "!line 1, column 4: a quote inside a field that does not begin with one; quote the whole "
      "field and double the quotes in it" },
    { "text after a closing quote", "x\n\"a\"b\n",
      "[x]!line 2, column 4: after a closing quote only a comma or a line end" },
    { "the line count goes on inside quotes", "\"a\nb\"\n\"c\n\"d",
      "[a\nb]!line 4, column 2: after a closing quote only a comma or a line end" },
    { "a bare carriage return", "a\rb\n", "!line 1, column 2: a carriage return without a line "
          "feed" },
    { "too many fields", "1,2,3,4,5,6,7,8,9\n",
      "!line 1, column 17: more fields in a row than are allowed" },
};

static void text_render(ql_str text, struct ql_buf *out)
{
    struct ql_arena arena;
    struct ql_csv csv;
    ql_str fields[FIELDS_MAX];
    uint32_t count = 0;
    ql_err err;
    ql_arena_init(&arena, 1 << 20);
    ql_csv_init(&csv, text, &arena);
    while ((err = ql_csv_row(&csv, fields, FIELDS_MAX, &count)) == QL_OK) {
        (void)ql_buf_char(out, '[');
        for (uint32_t i = 0; i < count; i++) {
            (void)ql_buf_text(out, i > 0 ? "|" : "");
            (void)ql_buf_str(out, fields[i]);
        }
        (void)ql_buf_char(out, ']');
    }
    if (err != QL_E_NOT_FOUND) {
        (void)ql_buf_printf(out, "!%s", csv.why);
    }
    assert_int_equal(ql_csv_row(&csv, fields, FIELDS_MAX, &count), err); /* it sticks */
    ql_arena_fini(&arena);
}

static void rows_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf out;
        ql_buf_init(&out, 1 << 16);
        text_render(ql_str_of(rows[i].text), &out);
        (void)ql_buf_text(&out, "");
        const char *got = out.bytes > 0 ? out.at : "";
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s\n  want %s\n  got  %s", rows[i].story, rows[i].want, got);
        }
        ql_buf_fini(&out);
    }
}

/* Half a file must be read or refused, never read past its end (ASan watches). */
static void rows_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const size_t bytes = strlen(rows[i].text);
        for (size_t cut = 0; cut <= bytes; cut++) {
            char *part = malloc(cut > 0 ? cut : 1);
            assert_non_null(part);
            memcpy(part, rows[i].text, cut);
            struct ql_buf out;
            ql_buf_init(&out, 1 << 16);
            text_render((ql_str){ part, cut }, &out);
            ql_buf_fini(&out);
            free(part);
        }
    }
}

static const char *const fields_hard[] = {
    "", "plain", "a,b", "say \"hi\"", "\"", "\"\"", "two\nlines", "cr\r", "\r\n", ",", " blank ",
    "\xEF\xBB\xBFmark",
};

/* What the writer wrote, the reader gives back. */
static void fields_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(fields_hard); i++) {
        for (size_t j = 0; j < QL_COUNT_OF(fields_hard); j++) {
            const ql_str in[2] = { ql_str_of(fields_hard[i]), ql_str_of(fields_hard[j]) };
            const uint32_t in_count = j == 0 ? 1 : 2;
            struct ql_buf text;
            struct ql_arena arena;
            struct ql_csv csv;
            ql_str got[FIELDS_MAX];
            uint32_t count = 0;
            ql_buf_init(&text, 1 << 16);
            ql_arena_init(&arena, 1 << 20);
            assert_int_equal(ql_csv_put_row(&text, in, in_count), QL_OK);
            ql_csv_init(&csv, ql_buf_view(&text), &arena);
            assert_int_equal(ql_csv_row(&csv, got, FIELDS_MAX, &count), QL_OK);
            assert_int_equal(count, in_count);
            for (uint32_t k = 0; k < count; k++) {
                assert_true(ql_str_eq(got[k], in[k]));
            }
            assert_int_equal(ql_csv_row(&csv, got, FIELDS_MAX, &count), QL_E_NOT_FOUND);
            ql_arena_fini(&arena);
            ql_buf_fini(&text);
        }
    }
}

static void header_is_found_by_name(void **state)
{
    (void)state;
    const ql_str header[] = { QL_STR("time"), QL_STR("entity"), QL_STR("value") };
    assert_int_equal(ql_csv_find(header, 3, "value"), 2);
    assert_int_equal(ql_csv_find(header, 3, "val"), UINT32_MAX);
    assert_int_equal(ql_csv_find(header, 2, "value"), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read),
        cmocka_unit_test(rows_cut_anywhere),
        cmocka_unit_test(fields_there_and_back),
        cmocka_unit_test(header_is_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
