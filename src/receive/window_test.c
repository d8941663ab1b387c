/* window_test - samples at the edges of what is allowed behind and ahead of the clock. */
#include "model/labels.h"
#include "receive/receive_int.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_window_edges(void **state)
{
    (void)state;
    static const struct { double behind_s, ahead_s; uint32_t outside; const char *first; } rows[] = {
        { 10, 10, 0, "" },
        { 9.5, 10, 1, "behind the clock than limits.sample_behind_max, 9.5 s: a" },
        { 10, 9.5, 1, "ahead than limits.sample_ahead_max, 9.5 s: b" },
        { 1, 1, 2, "behind" },
        { 1e300, 1e300, 0, "" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const ql_time now = { 1000 * QL_NS_PER_S };
        struct ql_buf labels[2];
        struct receive_outside outside = { .count = 99 };
        struct ql_batch batch;
        ql_batch_init(&batch, 1 << 20);
        for (int k = 0; k < 2; k++) { /* ten seconds ago, now, and in ten seconds */
            ql_buf_init(&labels[k], 1000);
            assert_int_equal(ql_labels_parse(ql_str_of(k == 0 ? "a" : "b"), &labels[k]), QL_OK);
            struct ql_run *run = ql_batch_add_run(&batch);
            *run = (struct ql_run){ .labels = ql_buf_view(&labels[k]),
                                    .sample_first = batch.samples.count, .sample_count = 2 };
            for (int s = 0; s < 2; s++) {
                struct ql_sample *sample = ql_batch_add_sample(&batch);
                *sample = (struct ql_sample){ { now.ns + (s - 1 + k) * 10 * QL_NS_PER_S }, 1.0 };
            }
        }
        ql_receive_find_outside(
            &batch, now, &(struct receive_window){ rows[i].ahead_s, rows[i].behind_s }, &outside);
        assert_int_equal(outside.count, rows[i].outside);
        assert_true(outside.count == 0 || strstr(outside.text, rows[i].first) != NULL);
        ql_batch_fini(&batch);
        ql_buf_fini(&labels[0]);
        ql_buf_fini(&labels[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
