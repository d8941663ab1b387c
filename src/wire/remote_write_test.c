/* remote_write_test - series in, records out. A request is written as lines:
 *
 *   series a=1 b=2 | 1.5@1000 stale@2000     labels in this order, then samples at ms
 *   meta 1 name                              MetricMetadata of a type
 *   exemplar a=1 | histogram a=1 | ...       see request_line()
 */
#include "wire/wire_test.h"



struct row {
    const char *story;
    const char *request;
    const char *want;
};

#define A "__name__=a "

static const struct row rows[] = {
    { "one series, one sample", "series " A "job=x | 1.5@1767225600000\n",
      "a{job=\"x\"} 1.5@1767225600000\n" },
    { "several samples keep their order", "series " A "| 1@1767225600000 2@1767225610000 "
          "3@1767225590000\n",
      "a 1@1767225600000 2@1767225610000 3@1767225590000\n" },
    { "several series", "series " A "| 1@1767225600000\nseries __name__=b | 2@1767225600000\n",
      "a 1@1767225600000\nb 2@1767225600000\n" },
    { "a stale marker keeps its bits", "series " A "| stale@1767225600000\n",
      "a stale@1767225600000\n" },
    { "values that are not finite pass", "series " A "| NaN@1767225600000 Inf@1767225601000 "
          "-Inf@1\n",
      "a NaN@1767225600000 +Inf@1767225601000 -Inf@1\n" },
    { "zero value and time are left out on the wire", "series " A "| 0@0 0@1767225600000 7@0\n",
      "a 0@0 0@1767225600000 7@0\n" },
    { "times of six bytes, to the last bit", "series " A
      "| 1@34359738368 1@2199023255552 1@4398046511103 1@1099511627776 1@4393751543808\n",
      "a 1@34359738368 1@2199023255552 1@4398046511103 1@1099511627776 1@4393751543808\n" },
    { "times of five and of seven bytes", "series " A "| 1@34359738367 1@4398046511104\n",
      "a 1@34359738367 1@4398046511104\n" },
    { "a time before 1970", "series " A "| 1@-1000\n", "a 1@-1000\n" },
    { "names not in order are taken as they stand", "series job=x " A "| 1@1767225600000\n",
      "a{job=\"x\"} 1@1767225600000\n" },
    { "an empty value is taken as it stands", "series " A "job= | 1@1767225600000\n",
      "a{job=\"\"} 1@1767225600000\n" },
    { "names that share eight bytes", "series " A "namespace=1 namespace_id=2 | 1@1767225600000\n",
      "a{namespace=\"1\",namespace_id=\"2\"} 1@1767225600000\n" },
    { "UTF-8 in values and names", "series " A "stra\xC3\x9F""e=gr\xC3\xBC\xC3\x9F | "
          "1@1767225600000\n",
      "a{stra\xC3\x9F""e=\"gr\xC3\xBC\xC3\x9F\"} 1@1767225600000\n" },
    { "nothing at all", "", "" },
    { "a series without samples gives nothing", "series " A "|\n", "" },

    { "a label twice, the others kept",
      "series " A "job=x job=y | 1@1767225600000 2@1767225601000\nseries __name__=b | "
      "2@1767225600000\n",
      "b 2@1767225600000\nduplicate_label 2\n"
      "remote write: series 0: label \"job\" stands twice; names must be unique\n" },
    { "a label twice, apart", "series b=1 " A "b=2 | 1@1767225600000\n",
      "duplicate_label 1\nremote write: series 0: label \"b\" stands twice; names must be "
      "unique\n" },
    { "the name twice", "series " A A "| 1@1767225600000\n",
      "duplicate_label 1\n"
      "remote write: series 0: label \"__name__\" stands twice; names must be unique\n" },
    { "no name", "series __name__=z | 1@1767225600000\nseries job=x | 1@1767225600000\n",
      "z 1@1767225600000\nno_name 1\n"
      "remote write: series 1: no label \"__name__\"; every series needs one\n" },
    { "an empty name", "series __name__= job=x | 1@1767225600000\n",
      "no_name 1\nremote write: series 0: no label \"__name__\"; every series needs one\n" },
    { "no labels", "series | 1@1767225600000\n",
      "no_name 1\nremote write: series 0: no label \"__name__\"; every series needs one\n" },
    { "not UTF-8", "series " A "job=\xFF | 1@1767225600000\n",
      "malformed 1\nremote write: series 0: a label without a name, cut off or not UTF-8\n" },
    { "a label without a name", "series " A "=x | 1@1767225600000\n",
      "malformed 1\nremote write: series 0: a label without a name, cut off or not UTF-8\n" },
    { "a time past what fits", "series " A "| 1@9000000000001 2@1767225600000\n",
      "a 2@1767225600000\nbad_time 1\n"
      "remote write: series 0: time 9000000000001 ms; times are milliseconds since 1970, at most "
      "9000000000000\n" },
    { "exemplars and native histograms are counted",
      "series " A "| 1@1767225600000\nexemplar " A "|\nhistogram " A "|\n",
      "a 1@1767225600000\nunsupported 2\n"
      "remote write: series 1: an exemplar is not taken; only samples are\n" },
    { "labels scattered between samples are gathered", "scattered " A "job=x | 1@1767225600000\n",
      "a{job=\"x\"} 1@1767225600000\n" },
    { "fields of a later version are skipped", "later " A "job=x | 1@1767225600000\n",
      "a{job=\"x\"} 1@1767225600000\n" },
    { "labels behind the samples", "behind " A "job=x | 1@1767225600000\n",
      "a{job=\"x\"} 1@1767225600000\n" },

    { "types from metadata in the same request",
      "series __name__=c_total | 1@1767225600000\nseries __name__=g | 1@1767225600000\n"
      "series __name__=h_bucket le=1 | 1@1767225600000\nseries __name__=s quantile=0.5 | 1@1\n"
      "series __name__=s_sum | 1@1767225600000\nseries __name__=other | 1@1767225600000\n"
      "meta 1 c\nmeta 2 g\nmeta 3 h\nmeta 5 s\n",
      "c_total counter 1@1767225600000\ng gauge 1@1767225600000\n"
      "h_bucket{le=\"1\"} counter 1@1767225600000\ns{quantile=\"0.5\"} gauge 1@1\n"
      "s_sum counter 1@1767225600000\nother 1@1767225600000\n" },
    { "metadata alone", "meta 1 c\n", "" },
};

static void label_put(struct ql_buf *series, const char *name, const char *value)
{
    struct ql_buf label;
    ql_buf_init(&label, 1 << 16);
    pb_bytes(&label, 1, ql_str_of(name));
    if (value[0] != '\0') {
        pb_bytes(&label, 2, ql_str_of(value));
    }
    pb_bytes(series, 1, ql_buf_view(&label));
    ql_buf_fini(&label);
}

/* As gogo-protobuf writes it: zero fields are left out. */
static void sample_put(struct ql_buf *series, const char *text)
{
    struct ql_buf sample;
    const char *at = strchr(text, '@');
    const uint64_t stale = UINT64_C(0x7ff0000000000002);
    ql_buf_init(&sample, 1 << 10);
    const long long ms = strtoll(at + 1, NULL, 10);
    if (strncmp(text, "stale", 5) == 0) {
        pb_fixed64(&sample, 1, stale);
    } else if (strtod(text, NULL) != 0.0) {
        pb_double(&sample, 1, strtod(text, NULL));
    }
    if (ms != 0) {
        pb_int(&sample, 2, (uint64_t)ms);
    }
    pb_bytes(series, 2, ql_buf_view(&sample));
    ql_buf_fini(&sample);
}

static void words_put(char *words, bool labels, struct ql_buf *series)
{
    char *left = NULL;
    for (char *word = strtok_r(words, " ", &left); word != NULL;
         word = strtok_r(NULL, " ", &left)) {
        if (labels) {
            char *value = strchr(word, '=');
            *value = '\0';
            label_put(series, word, value + 1);
        } else {
            sample_put(series, word);
        }
    }
}

/* kind labels | samples */
static void request_line(char *line, struct ql_buf *body)
{
    struct ql_buf series;
    char *rest = strchr(line, ' ');
    *rest++ = '\0';
    ql_buf_init(&series, 1 << 20);
    if (strcmp(line, "meta") == 0) {
        pb_int(&series, 1, (uint64_t)strtoul(rest, &rest, 10));
        pb_bytes(&series, 2, ql_str_of(rest + 1));
        pb_bytes(&series, 4, QL_STR("help"));
        pb_bytes(body, 3, ql_buf_view(&series));
        ql_buf_fini(&series);
        return;
    }
    char *samples = strchr(rest, '|');
    *samples++ = '\0';
    if (strcmp(line, "behind") == 0) {
        words_put(samples, false, &series);
        words_put(rest, true, &series);
    } else if (strcmp(line, "scattered") == 0) {
        char *second = strchr(rest, ' ');
        *second++ = '\0';
        words_put(rest, true, &series);
        words_put(samples, false, &series);
        words_put(second, true, &series);
    } else {
        words_put(rest, true, &series);
        words_put(samples, false, &series);
    }
    if (strcmp(line, "exemplar") == 0) {
        pb_bytes(&series, 3, QL_STR(""));
    } else if (strcmp(line, "histogram") == 0) {
        pb_bytes(&series, 4, QL_STR(""));
    } else if (strcmp(line, "later") == 0) {
        pb_bytes(&series, 9, QL_STR("x"));
        pb_int(&series, 10, 3);
        pb_int(body, 2, 1);
    }
    pb_bytes(body, 1, ql_buf_view(&series));
    ql_buf_fini(&series);
}

static void request_make(const char *text, struct ql_buf *body)
{
    char copy[4096], *left = NULL;
    (void)snprintf(copy, sizeof(copy), "%s", text);
    for (char *line = strtok_r(copy, "\n", &left); line != NULL;
         line = strtok_r(NULL, "\n", &left)) {
        request_line(line, body);
    }
}

static struct ql_wire_input input_of(ql_str body)
{
    return (struct ql_wire_input){ .door = QL_DOOR_REMOTE_WRITE, .format = QL_FORMAT_PROTOBUF,
                                   .body = body };
}

static void rows_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf body;
        ql_buf_init(&body, 1 << 20);
        request_make(rows[i].request, &body);
        const struct ql_wire_input in = input_of(ql_buf_view(&body));
        decode_check(rows[i].story, &in, rows[i].want);
        decode_cut(&in);
        ql_buf_fini(&body);
    }
}

static void limits_of_labels(void **state)
{
    (void)state;
    struct ql_buf body, series;
    ql_buf_init(&body, 1 << 20);
    ql_buf_init(&series, 1 << 20);
    for (uint32_t labels = QL_LABELS_COUNT_MAX; labels <= QL_LABELS_COUNT_MAX + 1; labels++) {
        ql_buf_reset(&body);
        ql_buf_reset(&series);
        label_put(&series, "__name__", "a");
        for (uint32_t i = 1; i < labels; i++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "l%03u", i);
            label_put(&series, name, "v");
        }
        sample_put(&series, "1@1767225600000");
        pb_bytes(&body, 1, ql_buf_view(&series));
        const struct ql_wire_input in = input_of(ql_buf_view(&body));
        struct ql_buf got;
        ql_buf_init(&got, 1 << 20);
        decode_text(&in, &got);
        const bool refused = labels > QL_LABELS_COUNT_MAX;
        assert_int_equal(ql_str_starts(ql_buf_view(&got), QL_STR("label_limit 1\n")), refused);
        ql_buf_fini(&got);
    }
    ql_buf_fini(&series);
    ql_buf_fini(&body);
}

static void bytes_that_are_no_request(void **state)
{
    (void)state;
    static const struct { const char *story; ql_str body; const char *want; } bad[] = {
        { "a series cut off", { "\x0A\x10\x0A", 3 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: the request is cut off here or no protobuf message\n" },
        { "text", { "a 1\n", 4 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: the request is cut off here or no protobuf message\n" },
        { "a group", { "\x0B\x0C", 2 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: the request is cut off here or no protobuf message\n" },
        { "labels as a number", { "\x0A\x02\x08\x01", 4 },
          "!MALFORMED\nmalformed 1\nremote write: series 0: a field has another wire type than "
          "the protocol gives it\n" },
        { "a sample cut off inside", { "\x0A\x04\x12\x02\x09\x01", 6 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: a sample is cut off or no protobuf message\n" },
        { "a varint that never ends", { "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: the request is cut off here or no protobuf message\n" },
        { "a length near 2^64", { "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11 },
          "!MALFORMED\nmalformed 1\n"
          "remote write: series 0: the request is cut off here or no protobuf message\n" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(bad); i++) {
        const struct ql_wire_input in = input_of(bad[i].body);
        decode_check(bad[i].story, &in, bad[i].want);
    }
}

/* A series in the usual shape and the same one in every unusual encoding of it. */
static void fast_and_plain_agree(void **state)
{
    (void)state;
    static const char *const kinds[] = { "series", "later", "behind", "scattered" };
    for (size_t i = 0; i < QL_COUNT_OF(kinds); i++) {
        char request[256];
        struct ql_buf body;
        (void)snprintf(request, sizeof(request), "%s __name__=a job=x | 1@1767225600000\n",
                       kinds[i]);
        ql_buf_init(&body, 1 << 16);
        request_make(request, &body);
        const struct ql_wire_input in = input_of(ql_buf_view(&body));
        decode_check(kinds[i], &in, "a{job=\"x\"} 1@1767225600000\n");
        ql_buf_fini(&body);
    }
}

static void a_request_larger_than_one_take(void **state)
{
    (void)state;
    enum { SERIES = 2500, SAMPLES = 3 };
    struct ql_buf body, series;
    struct ql_batch batch;
    struct ql_reject reject = { 0 };
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 24 };
    ql_buf_init(&body, 1 << 24);
    ql_buf_init(&series, 1 << 16);
    for (uint32_t i = 0; i < SERIES; i++) {
        char value[16];
        (void)snprintf(value, sizeof(value), "%u", i);
        ql_buf_reset(&series);
        label_put(&series, "__name__", "a");
        label_put(&series, i % 5 == 0 ? "__name__" : "i", value); /* every fifth is refused */
        for (uint32_t k = 0; k < SAMPLES; k++) {
            char sample[64];
            (void)snprintf(sample, sizeof(sample), "%u@%llu", i + k, 1767225600000ull + k);
            sample_put(&series, sample);
        }
        pb_bytes(&body, 1, ql_buf_view(&series));
    }
    const struct ql_wire_input in = input_of(ql_buf_view(&body));
    ql_batch_init(&batch, 1 << 20);
    assert_int_equal(ql_wire_decode(&in, &limits, &batch, &reject), QL_OK);
    assert_int_equal(batch.runs.count, SERIES * 4 / 5);
    assert_int_equal(batch.samples.count, SERIES * 4 / 5 * SAMPLES);
    assert_int_equal(reject.counts[QL_REASON_DUPLICATE_LABEL], SERIES / 5 * SAMPLES);
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch.runs.count; i++) { /* samples of a run lie together, in order */
        assert_int_equal(batch.runs.at[i].sample_first, next);
        next += batch.runs.at[i].sample_count;
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&series);
    ql_buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_decode),
        cmocka_unit_test(limits_of_labels),
        cmocka_unit_test(bytes_that_are_no_request),
        cmocka_unit_test(fast_and_plain_agree),
        cmocka_unit_test(a_request_larger_than_one_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
