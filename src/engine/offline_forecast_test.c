/* offline_forecast_test - files in, steps out; every malformed file gets its sentence. */
#include "engine/offline_forecast.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct row { const char *text; uint32_t horizon; bool json; ql_err err; const char *want; };
static const struct row rows[] = {
    { "time,a,b\n0,5,\n60,5,\n120,5,\n", 2, false, QL_OK,
      "series,step,mean,lower80,upper80,lower95,upper95\n" },
    { "time,\"a,b\"\n0,\n60,\n", 1, false, QL_OK,
      "series,step,mean,lower80,upper80,lower95,upper95\n" },
    { "time,a\n0,\n60,\n", 1, true, QL_OK, "[]\n" },
    { "", 1, false, QL_E_MALFORMED,
      "x.csv:1:1: found an empty file, allowed is a header and rows" },
    { "time\n1\n", 1, false, QL_E_MALFORMED,
      "x.csv:1:1: found a header of one column, allowed is a time and at least one series" },
    { "time,a\n1,2\n2,x\n", 1, false, QL_E_MALFORMED,
      "x.csv:3:3: found \"x\", allowed is a number, or nothing for a missing value" },
    { "time,a\nnoon,2\n", 1, false, QL_E_MALFORMED,
      "x.csv:2:1: found \"noon\", allowed is a time: RFC 3339, "
      "YYYY-MM-DD HH:MM:SS or seconds since 1970" },
    { "time,a\n1,2,3\n", 1, false, QL_E_MALFORMED,
      "x.csv:2:1: found 3 fields, allowed are 2 as in the header" },
    { "time,a\n1,\"2\n", 1, false, QL_E_MALFORMED, "x.csv:" },
};

static void files_are_answered(void **state)
{
    (void)state;
    struct ql_buf out, why;
    ql_buf_init(&out, 1 << 20);
    ql_buf_init(&why, 4096);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_offline_forecast in = { ql_str_of(rows[i].text), "x.csv",
                                                rows[i].horizon, rows[i].json, NULL };
        ql_buf_reset(&out);
        ql_buf_reset(&why);
        assert_int_equal(ql_offline_forecast(&in, &out, &why), rows[i].err);
        const ql_str got = ql_buf_view(rows[i].err == QL_OK ? &out : &why);
        if (!ql_str_starts(got, ql_str_of(rows[i].want))) {
            fail_msg("row %zu: want %s\ngot  %.*s", i, rows[i].want, QL_STR_ARG(got));
        }
    }
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

static void every_series_gets_every_step(void **state)
{
    (void)state;
    struct ql_buf text, out, why;
    ql_buf_init(&text, 1 << 20);
    ql_buf_init(&out, 1 << 20);
    ql_buf_init(&why, 4096);
    (void)ql_buf_text(&text, "time,early,late\n");
    for (int i = 0; i < 60; i++) {
        (void)ql_buf_printf(&text, i < 40 ? "%d,%d,\n" : "%d,%d,7\n", i * 60, i % 5);
    }
    const struct ql_offline_forecast in = { ql_buf_view(&text), "x.csv", 3, false, NULL };
    assert_int_equal(ql_offline_forecast(&in, &out, &why), QL_OK);
    assert_int_equal(ql_buf_check(&out), QL_OK);
    static const char *const want[] = { "\nearly,1,", "\nearly,3,", "\nlate,1,7,7,7,7,7\n",
                                        "\nlate,3,7,7,7,7,7\n" };
    assert_int_equal(ql_buf_char(&out, '\0'), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(want); i++) {
        assert_non_null(strstr(out.at, want[i]));
    }
    assert_null(strstr(out.at, "early,4"));
    ql_buf_fini(&text);
    ql_buf_fini(&out);
    ql_buf_fini(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_answered),
        cmocka_unit_test(every_series_gets_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
