/* The batch verb's files: what is read, what is refused and where, what is printed. */
#include "engine/offline_diagnose.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct folder { char path[64]; struct ql_buf out, why; };

static void folder_open(struct folder *f)
{
    (void)snprintf(f->path, sizeof f->path, "/tmp/quell-case-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    ql_buf_init(&f->out, 1 << 20);
    ql_buf_init(&f->why, 1 << 12);
}

static void put(const struct folder *f, const char *name, ql_str text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    assert_int_equal(ql_file_replace(path, text), QL_OK);
}

static void folder_close(struct folder *f)
{
    static const char *const names[] = { "metrics.csv", "edges.csv", "logs.csv",
                                         "spans.csv", "changes.csv", "symptom.csv" };
    char path[128];
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(f->path);
    ql_buf_fini(&f->out);
    ql_buf_fini(&f->why);
}

static char progress_last[64]; /* what was told last */

static void progress_take(const char *what, uint64_t done, uint64_t all)
{
    assert_true(done <= all);
    assert_int_equal(all == 0, strcmp(what, "ranking") == 0);
    (void)snprintf(progress_last, sizeof(progress_last), "%s", what);
}

static ql_err ask(struct folder *f, bool json)
{
    const struct ql_offline_diagnose request = { f->path, { INT64_C(1600) * QL_NS_PER_S }, json,
                                                 progress_take };
    progress_last[0] = '\0';
    const ql_err err = ql_offline_diagnose(&request, &f->out, &f->why);
    assert_true(err != QL_OK || strcmp(progress_last, "ranking") == 0);
    return err;
}

/* checkout's connections leak at 1600 s; the names need quoting. */
static void leak_metrics(const struct folder *f)
{
    struct ql_buf text;
    ql_buf_init(&text, 1 << 20);
    (void)ql_buf_text(&text, "time,entity,metric,value\r\n");
    for (int t = 1000; t < 1800; t += 10) {
        const int wobble = t / 10 * 7 % 5;
        (void)ql_buf_printf(&text, "%d,\"check,out\",\"pool \"\"a\"\" in use\",%d\r\n", t,
                            (t < 1600 ? 12 : 90) + wobble);
        (void)ql_buf_printf(&text, "%d,front,latency,%d\n", t, (t < 1600 ? 20 : 80) + wobble);
        (void)ql_buf_printf(&text, "%d,front,empty,\n", t);
    }
    put(f, "metrics.csv", ql_buf_view(&text));
    ql_buf_fini(&text);
}

static void a_case_is_ranked_in_csv_and_json(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    leak_metrics(&f);
    put(&f, "edges.csv", QL_STR("caller,callee\nfront,\"check,out\"\n"));
    assert_int_equal(ask(&f, false), QL_OK);
    const char *want = "rank,entity,metric,score,onset,evidence\n"
                       "1,\"check,out\",\"pool \"\"a\"\" in use\",";
    print_message("%s", f.out.at);
    assert_true(ql_str_starts(ql_buf_view(&f.out), ql_str_of(want)));
    assert_non_null(strstr(f.out.at, "1970-01-01T00:26:40"));
    ql_buf_reset(&f.out);
    assert_int_equal(ask(&f, true), QL_OK);
    assert_non_null(strstr(f.out.at, "\"role\":\"state change\""));
    assert_non_null(strstr(f.out.at, "\"entity\":\"front\""));
    folder_close(&f);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct { const char *file, *text, *want; } rows[] = {
        { "metrics.csv", "time,entity,metric,value\n1,a,b,3\n2,a,b,x\n",
          "metrics.csv:3:7: found \"x\", allowed is a number" },
        { "metrics.csv", "time,entity,metric,value\nnoon,a,b,3\n",
          "metrics.csv:2:1: found \"noon\", allowed is a time" },
        { "metrics.csv", "time,entity,metric,value\n1,,b,3\n",
          "metrics.csv:2:3: found \"\", allowed is the name of an entity" },
        { "metrics.csv", "time,entity,metric,value\n1,a,b\n",
          "metrics.csv:2:1: found 3 fields, allowed are 4" },
        { "metrics.csv", "time,entity,value\n", "metrics.csv:1:1: found no column \"metric\"" },
        { "edges.csv", "", "edges.csv:1:1: found an empty file" },
        { "spans.csv",
          "time,trace_id,span_id,parent_id,entity,operation,duration_ms,error\n"
          "1,t,s,,a,op,-5,0\n",
          "spans.csv:2:13: found \"-5\", allowed is a duration" },
        { "spans.csv",
          "time,trace_id,span_id,parent_id,entity,operation,duration_ms,error\n"
          "1,t,s,,a,op,5,maybe\n",
          "spans.csv:2:15: found \"maybe\", allowed is 0 or 1" },
        { "logs.csv", "time,entity,message\n1,a,\"open\n",
          "logs.csv:2:5: this quote is never closed" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct folder f;
        folder_open(&f);
        put(&f, rows[i].file, ql_str_of(rows[i].text));
        assert_int_equal(ask(&f, false), QL_E_MALFORMED);
        print_message("%s\n", f.why.at);
        assert_non_null(strstr(f.why.at, rows[i].want));
        assert_int_equal(f.out.bytes, 0);
        folder_close(&f);
    }
}

static void an_empty_or_missing_folder_is_told(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    assert_int_equal(ask(&f, false), QL_E_NOT_FOUND);
    assert_non_null(strstr(f.why.at, "found none of metrics.csv"));
    folder_close(&f);
}

static void a_header_alone_is_a_case_without_cause(void **state)
{
    (void)state;
    struct folder f;
    folder_open(&f);
    put(&f, "metrics.csv", QL_STR("time,entity,metric,value\n"));
    assert_int_equal(ask(&f, false), QL_OK);
    assert_string_equal(f.out.at, "rank,entity,metric,score,onset,evidence\n");
    ql_buf_reset(&f.out);
    assert_int_equal(ask(&f, true), QL_OK);
    assert_string_equal(f.out.at, "[]\n");
    folder_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_is_ranked_in_csv_and_json),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(an_empty_or_missing_folder_is_told),
        cmocka_unit_test(a_header_alone_is_a_case_without_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
