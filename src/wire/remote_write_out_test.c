/* What is written is read back by our own door, bit for bit. */
#include "wire/remote_write_out.h"

#include "model/batch.h"
#include "model/labels.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void our_own_door_reads_it_back(void **state)
{
    static const char *const texts[] = { "yhat{for=\"cpu\",host=\"a\"}", "up", "e{x=\"\xc3\xa9\"}" };
    const struct ql_sample samples[] = {
        { ql_time_from_ms(INT64_C(1767225600123)), 1.5 }, { ql_time_from_ms(INT64_C(1767225615123)), -0.0 },
        { ql_time_from_ms(INT64_C(1767225630123)), ql_stale_marker() },
    };
    struct ql_remote_write_out out;
    struct ql_buf block;
    struct ql_batch batch;
    ql_str body;
    (void)state;
    ql_remote_write_out_init(&out, 1 << 20);
    ql_batch_init(&batch, 1 << 20);
    ql_buf_init(&block, 4096);
    for (int round = 0; round < 2; round++) { /* begin starts over */
        ql_remote_write_out_begin(&out);
        for (size_t i = 0; i < QL_COUNT_OF(texts); i++) {
            ql_buf_reset(&block);
            assert_int_equal(ql_labels_parse(ql_str_of(texts[i]), &block), QL_OK);
            assert_int_equal(ql_remote_write_out_add(&out, ql_buf_view(&block), samples,
                                                     (uint32_t)i + 1), QL_OK);
        }
    }
    assert_int_equal(out.series_count, 3);
    assert_int_equal(out.sample_count, 6);
    assert_int_equal(ql_remote_write_out_finish(&out, &body), QL_OK);
    const struct ql_wire_input in = { .door = QL_DOOR_REMOTE_WRITE, .encoding = QL_ENCODING_SNAPPY,
                                      .format = QL_FORMAT_PROTOBUF, .body = body,
                                      .accepted = samples[2].at };
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };
    struct ql_reject reject = { .total = 0 };
    assert_int_equal(ql_wire_decode(&in, &limits, &batch, &reject), QL_OK);
    assert_int_equal(reject.total, 0);
    assert_int_equal(batch.runs.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct ql_run *run = &batch.runs.at[i];
        struct ql_buf text;
        ql_buf_init(&text, 4096);
        assert_int_equal(ql_labels_text(run->labels, &text), QL_OK);
        assert_string_equal(text.at, texts[i]);
        assert_int_equal(run->sample_count, i + 1);
        for (uint32_t k = 0; k <= i; k++) {
            const struct ql_sample *sample = &batch.samples.at[run->sample_first + k];
            assert_int_equal(sample->at.ns, samples[k].at.ns);
            assert_memory_equal(&sample->value, &samples[k].value, sizeof(double));
        }
        ql_buf_fini(&text);
    }
    ql_buf_fini(&block);
    ql_batch_fini(&batch);
    ql_remote_write_out_fini(&out);
}

static void a_full_request_keeps_what_it_has(void **state)
{
    static const struct ql_sample samples[64];
    struct ql_remote_write_out out;
    ql_str body;
    uint32_t added = 0;
    (void)state;
    ql_remote_write_out_init(&out, 4096);
    while (ql_remote_write_out_add(&out, QL_STR(""), samples, 64) == QL_OK) {
        added++;
    }
    assert_in_range(added, 2, 10);
    assert_int_equal(out.sample_count, added * 64);
    assert_int_equal(ql_remote_write_out_add(&out, QL_STR(""), samples, 1), QL_OK);
    assert_int_equal(ql_remote_write_out_finish(&out, &body), QL_OK);
    assert_true(body.bytes > 0);
    ql_remote_write_out_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_door_reads_it_back),
        cmocka_unit_test(a_full_request_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
