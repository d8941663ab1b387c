/* exposition_test - a scrape's text in, records out; the target is instance="h:1", job="j". */
#include "wire/wire_test.h"

struct row {
    const char *story;
    const char *text;
    const char *want;
};

#define NOW "1767225600000"
#define OWN "instance=\"h:1\",job=\"j\""

static const struct row rows[] = {
    { "nothing", "", "" },
    { "one sample", "up 1\n", "up{" OWN "} 1@" NOW "\n" },
    { "labels, blanks, a comma at the end", " a { b = \"c\" , d=\"e\", } 2.5 \n",
      "a{b=\"c\",d=\"e\"," OWN "} 2.5@" NOW "\n" },
    { "a time of its own, in milliseconds", "a 1 1767225000000\n", "a{" OWN "} 1@1767225000000\n" },
    { "values that are not finite", "a NaN\nb +Inf\nc -Inf\nd 1e-7\n",
      "a{" OWN "} NaN@" NOW "\nb{" OWN "} +Inf@" NOW "\nc{" OWN "} -Inf@" NOW "\nd{" OWN
      "} 1e-07@" NOW "\n" },
    { "escapes", "a{p=\"C:\\\\x\",q=\"say \\\"hi\\\"\",n=\"x\\ny\",z=\"\\t\"} 1\n",
      "a{" OWN ",n=\"x\\ny\",p=\"C:\\\\x\",q=\"say \\\"hi\\\"\",z=\"\\\\t\"} 1@" NOW "\n" },
    { "CRLF", "a 1\r\nb 2\r\n", "a{" OWN "} 1@" NOW "\nb{" OWN "} 2@" NOW "\n" },
    { "types by family",
      "# HELP c_total x\n# TYPE c_total counter\nc_total 1\n# TYPE g gauge\ng 2\n"
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"
      "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\n# TYPE u untyped\nu 1\nother 1\n",
      "c_total{" OWN "} counter 1@" NOW "\ng{" OWN "} gauge 2@" NOW "\n"
      "h_bucket{" OWN ",le=\"1\"} counter 1@" NOW "\nh_sum{" OWN "} counter 1@" NOW "\n"
      "h_count{" OWN "} counter 1@" NOW "\ns{" OWN ",quantile=\"0.5\"} gauge 1@" NOW "\n"
      "s_count{" OWN "} counter 2@" NOW "\nu{" OWN "} 1@" NOW "\nother{" OWN "} 1@" NOW "\n" },
    { "a family's name is no prefix of another's", "# TYPE a counter\na_b_total 1\n",
      "a_b_total{" OWN "} 1@" NOW "\n" },
    { "the target's labels win", "a{job=\"mine\",x=\"1\"} 1\n",
      "a{exported_job=\"mine\"," OWN ",x=\"1\"} 1@" NOW "\n" },
    { "and move on when that is taken too", "a{job=\"mine\",exported_job=\"y\"} 1\n",
      "a{exported_exported_job=\"mine\",exported_job=\"y\"," OWN "} 1@" NOW "\n" },
    { "an empty scraped label is no label", "a{job=\"\",x=\"\"} 1\n", "a{" OWN "} 1@" NOW "\n" },
    { "OpenMetrics: seconds, counters by suffix",
      "# TYPE c counter\nc_total 5 1767225000.25\nc_created 1767220000\n# EOF\n",
      "c_total{" OWN "} counter 5@1767225000250\nc_created{" OWN "} gauge 1767220000@" NOW "\n" },
    { "OpenMetrics: an exemplar is counted, its sample taken",
      "# TYPE c counter\nc_total 5 # {trace_id=\"x\"} 1 1767225000.5\n# EOF\n",
      "c_total{" OWN "} counter 5@" NOW "\nunsupported 1\n"
      "scrape: line 2: exemplars are not taken, the sample is\n" },
    { "OpenMetrics without a last line end", "a 1\n# EOF", "a{" OWN "} 1@" NOW "\n" },
    { "quoted names", "{\"my.metric\",\"a.b\"=\"c\"} 1\n",
      "my.metric{a.b=\"c\"," OWN "} 1@" NOW "\n" },
    { "other comments", "#\n# hello\n# UNIT a seconds\na 1\n", "a{" OWN "} 1@" NOW "\n" },

    { "a bad line is left out, the others stand", "a 1\nb{ 2\nc 3\n",
      "a{" OWN "} 1@" NOW "\nc{" OWN "} 3@" NOW "\nmalformed 1\n"
      "scrape: line 2, column 4: a label name is wanted: letters, digits and _\n" },
    { "the last line may be half a number", "a 1\nb 12",
      "a{" OWN "} 1@" NOW "\nmalformed 1\n"
      "scrape: line 2, column 1: the text is cut off inside this line\n" },
    { "no value", "a\n", "no_value 1\nscrape: line 1, column 2: a number is wanted here\n" },
    { "no number", "a x1\n", "no_value 1\nscrape: line 1, column 3: a number is wanted here\n" },
    { "no time", "a 1 soon\n",
      "bad_time 1\nscrape: line 1, column 9: a time in milliseconds since 1970 is wanted\n" },
    { "too much on a line", "a 1 2 3\n",
      "malformed 1\nscrape: line 1, column 7: a line ends after value and time\n" },
    { "no name", "{b=\"c\"} 1\n",
      "malformed 1\nscrape: line 1, column 8: a metric name is wanted: letters, digits, _ and "
      ":\n" },
    { "a label twice", "a{b=\"1\",b=\"2\"} 1\n",
      "duplicate_label 1\nscrape: line 1, column 14: a label stands twice before here\n" },
    { "the name as a label", "a{__name__=\"b\"} 1\n",
      "duplicate_label 1\nscrape: line 1, column 12: the name stands before the braces\n" },
    { "a quote not closed", "a{b=\"c} 1\n",
      "malformed 1\nscrape: line 1, column 5: a quote is not closed on this line\n" },
    { "a value without quotes", "a{b=c} 1\n",
      "malformed 1\nscrape: line 1, column 5: a label value in double quotes is wanted\n" },
    { "not UTF-8", "a{b=\"\xFF\"} 1\n",
      "malformed 1\nscrape: line 1, column 8: a label that is not UTF-8 before here\n" },
    { "HTML", "<html>\n", "malformed 1\nscrape: line 1, column 1: a metric name is wanted: "
                          "letters, digits, _ and :\n" },
    { "a sample behind the end", "a 1\n# EOF\nb 2\n# EOF\n",
      "a{" OWN "} 1@" NOW "\nmalformed 2\n"
      "scrape: line 3, column 1: nothing may stand behind # EOF\n" },
};

static struct ql_wire_input input_of(ql_str body, ql_str origin)
{
    return (struct ql_wire_input){ .door = QL_DOOR_SCRAPE, .format = QL_FORMAT_TEXT,
                                   .origin = origin, .body = body };
}

static void rows_decode(void **state)
{
    (void)state;
    struct ql_buf origin;
    ql_buf_init(&origin, 1 << 16);
    assert_int_equal(ql_labels_parse(QL_STR("{instance=\"h:1\",job=\"j\"}"), &origin), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_wire_input in = input_of(ql_str_of(rows[i].text), ql_buf_view(&origin));
        decode_check(rows[i].story, &in, rows[i].want);
        decode_cut(&in);
    }
    ql_buf_fini(&origin);
}

static void without_an_origin(void **state)
{
    (void)state;
    const struct ql_wire_input in = input_of(QL_STR("a{job=\"x\"} 1\n"), (ql_str){ "", 0 });
    decode_check("labels stay as scraped", &in, "a{job=\"x\"} 1@" NOW "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_decode),
        cmocka_unit_test(without_an_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
