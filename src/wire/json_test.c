/* json_test - what is JSON and what is not; and that what is written is read back. */
#include "wire/json_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row {
    const char *story;
    const char *text;
    const char *want; /* the document written again, or "!" and the error's name */
};

static const struct row rows[] = {
    { "an object", "{ \"a\" : 1 , \"b\":[true,false,null] }", "{\"a\":1,\"b\":[true,false,null]}" },
    { "a lone value", " \"x\" ", "\"x\"" },
    { "numbers", "[0,-1,1.5,1e3,9223372036854775807,18446744073709551615,1e-7]",
      "[0,-1,1.5,1000,9223372036854775807,18446744073709551615,1e-07]" },
    { "escapes", "\"\\u20ac\\n\\\"\\\\\\u0000\\ud83d\\ude00\"",
      "\"\xE2\x82\xAC\\n\\\"\\\\\\u0000\xF0\x9F\x98\x80\"" },
    { "empty containers", "[{},[],\"\"]", "[{},[],\"\"]" },
    { "containers side by side", "[[1],[2,3],{\"a\":[4]},{\"b\":5}]",
      "[[1],[2,3],{\"a\":[4]},{\"b\":5}]" },
    { "a name standing twice keeps both in order", "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}" },
    { "nesting up to the limit", "[[[[1]]]]", "[[[[1]]]]" },
    { "and no deeper", "[[[[[1]]]]]", "!RANGE" },
    { "nothing", "", "!MALFORMED" },
    { "blanks", "  ", "!MALFORMED" },
    { "half an object", "{\"a\":", "!MALFORMED" },
    { "a comma too many", "[1,]", "!MALFORMED" },
    { "something after the end", "{} x", "!MALFORMED" },
    { "no JSON number", "[NaN]", "!MALFORMED" },
    { "not UTF-8", "\"\xC0\xAF\"", "!MALFORMED" },
    { "a bare control character", "\"a\nb\"", "!MALFORMED" },
    { "an integer past 64 bits", "[99999999999999999999]", "!MALFORMED" },
    { "single quotes", "{'a':1}", "!MALFORMED" },
    { "half a surrogate pair", "\"\\ud83d\"", "!MALFORMED" },
};

static void text_rewrite(ql_str text, struct ql_buf *out)
{
    struct ql_json root;
    char why[QL_JSON_WHY_BYTES] = "";
    const ql_err err = ql_json_parse(text, 4, &root, why);
    if (err != QL_OK) {
        assert_true(why[0] != '\0');
        (void)ql_buf_printf(out, "!%s", ql_err_name(err));
    } else {
        struct ql_json_out w;
        ql_json_out_init(&w, out);
        value_write(root, &w);
    }
    ql_json_done();
}

static void rows_read_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf out;
        ql_buf_init(&out, 1 << 16);
        text_rewrite(ql_str_of(rows[i].text), &out);
        if (out.bytes == 0 || strcmp(out.at, rows[i].want) != 0) {
            fail_msg("%s\n  want %s\n  got  %s", rows[i].story, rows[i].want,
                     out.bytes == 0 ? "" : out.at);
        }
        ql_buf_fini(&out);
    }
}

static void rows_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (size_t cut = 0; cut < strlen(rows[i].text); cut++) {
            char *part = malloc(cut > 0 ? cut : 1);
            assert_non_null(part);
            memcpy(part, rows[i].text, cut);
            struct ql_buf out;
            ql_buf_init(&out, 1 << 16);
            text_rewrite((ql_str){ part, cut }, &out);
            ql_buf_fini(&out);
            free(part);
        }
    }
}

static void questions_that_do_not_fit(void **state)
{
    (void)state;
    struct ql_json root;
    char why[QL_JSON_WHY_BYTES];
    int64_t i64 = 7;
    uint64_t u64 = 7;
    double real = 7;
    ql_str text;
    bool yes;
    assert_int_equal(ql_json_parse(QL_STR("{\"n\":1.5,\"s\":\"1\",\"w\":2.0,\"neg\":-1,\"o\":{"
        "\"k\":3}}"), 8,
                                   &root, why), QL_OK);
    const struct ql_json absent = ql_json_get(ql_json_get(root, "nothing"), "deeper");
    assert_int_equal(ql_json_type_of(absent), QL_JSON_NONE);
    assert_false(ql_json_str(absent, &text) || ql_json_bool(absent, &yes));
    assert_false(ql_json_i64(absent, &i64) || ql_json_u64(absent, &u64));
    assert_int_equal(ql_json_type_of(ql_json_get(ql_json_get(root, "s"), "x")), QL_JSON_NONE);
    assert_false(ql_json_i64(ql_json_get(root, "n"), &i64)); /* 1.5 is no integer */
    assert_false(ql_json_i64(ql_json_get(root, "s"), &i64)); /* nor is "1" */
    assert_false(ql_json_u64(ql_json_get(root, "neg"), &u64));
    assert_int_equal(i64, 7);
    assert_true(ql_json_i64(ql_json_get(root, "w"), &i64));
    assert_int_equal(i64, 2);
    assert_true(ql_json_double(ql_json_get(root, "neg"), &real));
    assert_true(real == -1.0);
    assert_true(ql_json_i64(ql_json_get(ql_json_get(root, "o"), "k"), &i64));
    assert_int_equal(i64, 3);
    struct ql_json_iter it = ql_json_each(ql_json_get(root, "s"));
    assert_false(ql_json_next(&it));
    assert_int_equal(ql_json_count(absent), 0);
    assert_string_equal(ql_json_type_text(ql_json_type_of(root)), "object");
}

static void writer_makes_commas_and_keys(void **state)
{
    (void)state;
    struct ql_buf out;
    struct ql_json_out w;
    ql_buf_init(&out, 1 << 16);
    ql_json_out_init(&w, &out);
    ql_json_out_object(&w, NULL);
    ql_json_out_text(&w, "state", "open");
    ql_json_out_array(&w, "ids");
    ql_json_out_u64(&w, NULL, UINT64_MAX);
    ql_json_out_i64(&w, NULL, INT64_MIN);
    ql_json_out_object(&w, NULL);
    ql_json_out_end(&w);
    ql_json_out_end(&w);
    ql_json_out_key(&w, QL_STR("a\"b"));
    ql_json_out_printf(&w, NULL, "%d%%", 40);
    ql_json_out_text(&w, "none", NULL);
    ql_json_out_double(&w, "nan", (double)NAN);
    ql_json_out_bool(&w, "yes", true);
    ql_json_out_time(&w, "at", (ql_time){ 0 });
    ql_json_out_time(&w, "never", QL_TIME_NONE);
    ql_json_out_str(&w, "bad", QL_STR("a\xFF\xE2\x82z"));
    ql_json_out_raw(&w, "raw", QL_STR("[1]"));
    ql_json_out_end(&w);
    assert_int_equal(ql_buf_check(&out), QL_OK);
    assert_string_equal(out.at,
        "{\"state\":\"open\",\"ids\":[18446744073709551615,-9223372036854775808,{}],"
        "\"a\\\"b\":\"40%\",\"none\":null,\"nan\":null,\"yes\":true,"
        "\"at\":\"1970-01-01T00:00:00.000Z\",\"never\":null,"
        "\"bad\":\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\",\"raw\":[1]}");
    ql_buf_fini(&out);
}

static void doubles_are_short_and_exact(void **state)
{
    (void)state;
    static const struct { double value; const char *want; } doubles[] = {
        { 0.0, "0" },           { -0.0, "-0.0" },         { 0.1, "0.1" },
        { 100000.0, "100000" }, { 1e16, "10000000000000000" }, { 1e21, "1e+21" },
        { 1.0 / 3, "0.3333333333333333" }, { 5e-324, "5e-324" }, { 0.00001, "0.00001" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { (double)INFINITY, "+Inf" }, { -(double)INFINITY, "-Inf" }, { (double)NAN, "NaN" },
        { -123456.789, "-123456.789" }, { 12345678901234567.0, "12345678901234568" },
    };
    char text[QL_DOUBLE_TEXT_BYTES];
    for (size_t i = 0; i < QL_COUNT_OF(doubles); i++) {
        assert_int_equal(ql_double_text(doubles[i].value, text), strlen(doubles[i].want));
        assert_string_equal(text, doubles[i].want);
        assert_true(isnan(doubles[i].value) || strtod(text, NULL) == doubles[i].value);
    }
    /* Bit patterns all over: what is printed reads back as the same bits. */
    uint64_t bits = UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < 20000; i++) {
        double value;
        bits = bits * UINT64_C(6364136223846793005) + 1442695040888963407u;
        memcpy(&value, &bits, sizeof(value));
        (void)ql_double_text(value, text);
        assert_true(isnan(value) || strtod(text, NULL) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read_and_written),
        cmocka_unit_test(rows_cut_anywhere),
        cmocka_unit_test(questions_that_do_not_fit),
        cmocka_unit_test(writer_makes_commas_and_keys),
        cmocka_unit_test(doubles_are_short_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
