/* Requests and responses as bytes: what is taken, what is half there, what is refused. */
#include "actuator/actuator.h"
#include "actuator/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ARGV(text) { text "\0", sizeof(text "\0") - 1 }

static const struct { const char *why; struct ql_request request; ql_err err; } request_rows[] = {
    { "a command", { { 7 }, { 1 }, false, ARGV("/bin/true") }, QL_OK },
    { "words", { { 7 }, { 1 }, true, ARGV("/bin/echo\0a b\0") }, QL_OK },
    { "no id", { { 0 }, { 1 }, false, ARGV("/bin/true") }, QL_E_RANGE },
    { "no time", { { 7 }, { 0 }, false, ARGV("/bin/true") }, QL_E_RANGE },
    { "too much time", { { 7 }, { INT64_MAX }, false, ARGV("/bin/true") }, QL_E_RANGE },
    { "a relative path", { { 7 }, { 1 }, false, ARGV("true") }, QL_E_RANGE },
    { "no command", { { 7 }, { 1 }, false, { "", 0 } }, QL_E_RANGE },
    { "no end", { { 7 }, { 1 }, false, { "/bin/true", 9 } }, QL_E_RANGE },
};

static void requests_are_checked_on_both_sides(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(request_rows); i++) {
        struct ql_buf out;
        struct ql_request again;
        size_t used = 99;
        ql_buf_init(&out, 4096);
        assert_int_equal(ql_request_write(&request_rows[i].request, &out), request_rows[i].err);
        if (request_rows[i].err == QL_OK) {
            assert_int_equal(ql_request_read(ql_buf_view(&out), &again, &used), QL_OK);
            assert_int_equal(used, out.bytes);
            assert_int_equal(again.action.v, 7);
            assert_int_equal(again.dry_run, request_rows[i].request.dry_run);
            assert_true(ql_str_eq(again.argv, request_rows[i].request.argv));
            for (size_t cut = 0; cut < out.bytes; cut++) { /* half a message waits */
                assert_int_equal(ql_request_read((ql_str){ out.at, cut }, &again, &used), QL_OK);
                assert_int_equal(used, 0);
            }
        }
        ql_buf_fini(&out);
    }
}

static void strange_bytes_are_malformed(void **state)
{
    (void)state;
    struct ql_buf out;
    struct ql_request request;
    size_t used;
    ql_buf_init(&out, 4096);
    assert_int_equal(ql_request_write(&request_rows[0].request, &out), QL_OK);
    static const struct { size_t at; char byte; } rows[] = {
        { 0, 0 },    /* length 0 */
        { 2, 1 },    /* length over the limit */
        { 4, 2 },    /* a response where a request belongs */
        { 21, 2 },   /* neither dry nor not */
        { 22, 127 }, /* argv longer than the message */
        { 26, 'b' }, /* not an absolute path */
        { 35, 'x' }, /* the last word has no end */
    };
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char bytes[128];
        memcpy(bytes, out.at, out.bytes);
        bytes[rows[i].at] = rows[i].byte;
        if (i == 0) {
            memset(bytes, 0, 4);
        }
        if (ql_request_read((ql_str){ bytes, out.bytes }, &request, &used) != QL_E_MALFORMED) {
            fail_msg("row %u was taken", i);
        }
    }
    ql_buf_fini(&out);
}

static void responses_come_back_whole(void **state)
{
    (void)state;
    static char text[QL_ACTUATOR_OUTPUT_MAX];
    struct ql_buf out;
    struct ql_outcome again;
    size_t used;
    memset(text, 'x', sizeof(text));
    const struct ql_outcome outcome = { .action = { 9 }, .at = { 5 }, .exit_code = -3,
                                        .timed_out = true, .output = { text, sizeof(text) } };
    ql_buf_init(&out, QL_RESPONSE_BYTES_MAX + 8);
    assert_int_equal(ql_response_write(&outcome, &out), QL_OK);
    assert_int_equal(ql_response_read(ql_buf_view(&out), &again, &used), QL_OK);
    assert_int_equal(used, out.bytes);
    assert_int_equal(again.exit_code, -3);
    assert_true(again.timed_out);
    assert_int_equal(again.at.ns, 5);
    assert_true(ql_str_eq(again.output, outcome.output));
    assert_int_equal(ql_response_read((ql_str){ out.at, out.bytes - 1 }, &again, &used), QL_OK);
    assert_int_equal(used, 0);
    ql_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_checked_on_both_sides),
        cmocka_unit_test(strange_bytes_are_malformed),
        cmocka_unit_test(responses_come_back_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
