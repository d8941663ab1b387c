/* finding_test - what the look-ahead journals reads back, and nothing impossible does. */
#include "wire/wire_test.h"

#include "model/labels.h"

#include <math.h>

static const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };

static ql_err decode(ql_str body, struct ql_batch *batch)
{
    const struct ql_wire_input in = { .door = QL_DOOR_FINDING, .format = QL_FORMAT_OWN,
                                      .body = body };
    struct ql_reject reject = { 0 };
    ql_batch_reset(batch);
    return ql_wire_decode(&in, &limits, batch, &reject);
}

static struct ql_finding sample(struct ql_buf *labels)
{
    ql_buf_reset(labels);
    assert_int_equal(ql_labels_parse(QL_STR("pool_used{service=\"db\"}"), labels), QL_OK);
    return (struct ql_finding){
        .series = { { 1, 2 } }, .labels = ql_buf_view(labels), .limit_name = QL_STR("pool_max"),
        .kind = QL_FINDING_AHEAD, .at = { 5 }, .used = -1.5, .limit = 100, .full = 0.9,
        .horizon_s = 86400, .early_s = 1, .middle_s = 2, .late_s = INFINITY, .tests = 20,
        .right = 17 };
}

static void there_and_back(void **state)
{
    (void)state;
    struct ql_buf labels, out;
    struct ql_batch batch;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&out, 4096);
    ql_batch_init(&batch, 1 << 20);
    const struct ql_finding said = sample(&labels);
    assert_int_equal(ql_wire_finding_write(&said, &out), QL_OK);
    assert_int_equal(decode(ql_buf_view(&out), &batch), QL_OK);
    assert_int_equal(batch.findings.count, 1);
    const struct ql_finding *got = &batch.findings.at[0];
    assert_true(ql_series_id_eq(got->series, said.series) && got->at.ns == 5);
    assert_true(got->used == -1.5 && got->limit == 100.0 && got->full == 0.9);
    assert_true(got->early_s == 1.0 && got->middle_s == 2.0 && isinf(got->late_s));
    assert_true(got->tests == 20 && got->right == 17 && got->horizon_s == 86400.0);
    assert_true(ql_str_eq(got->labels, said.labels));
    assert_true(ql_str_eq(got->limit_name, said.limit_name));
    for (size_t cut = 1; cut < out.bytes; cut++) {
        assert_int_equal(decode((ql_str){ out.at, cut }, &batch), QL_E_MALFORMED);
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
    ql_buf_fini(&labels);
}

static struct ql_finding disk_sample(struct ql_buf *labels)
{
    struct ql_finding f = sample(labels);
    const double smart[] = { 3, 0, 4295032833.0, -1, 12 };
    f.kind = QL_FINDING_DISK;
    memcpy(f.smart, smart, sizeof(smart));
    return f;
}

/* Beside one of another kind, which is still written without counters. */
static void a_disk_there_and_back(void **state)
{
    (void)state;
    struct ql_buf labels, out;
    struct ql_batch batch;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&out, 4096);
    ql_batch_init(&batch, 1 << 20);
    const struct ql_finding said = disk_sample(&labels);
    struct ql_finding other = said;
    other.kind = QL_FINDING_FULL;
    assert_int_equal(ql_wire_finding_write(&said, &out), QL_OK);
    const size_t disk_bytes = out.bytes;
    assert_int_equal(ql_wire_finding_write(&other, &out), QL_OK);
    assert_int_equal(out.bytes, 2 * disk_bytes - sizeof(said.smart));
    assert_int_equal(out.at[disk_bytes], 1);
    assert_int_equal(decode(ql_buf_view(&out), &batch), QL_OK);
    assert_int_equal(batch.findings.count, 2);
    assert_int_equal(batch.findings.at[0].kind, QL_FINDING_DISK);
    assert_memory_equal(batch.findings.at[0].smart, said.smart, sizeof(said.smart));
    assert_true(batch.findings.at[1].smart[0] == 0.0);
    for (size_t cut = 1; cut < disk_bytes; cut++) {
        assert_int_equal(decode((ql_str){ out.at, cut }, &batch), QL_E_MALFORMED);
    }
    out.at[0] = 1; /* a disk in the form that has none */
    assert_int_equal(decode((ql_str){ out.at, disk_bytes }, &batch), QL_E_MALFORMED);
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
    ql_buf_fini(&labels);
}

static void counters_that_no_disk_has(void **state)
{
    (void)state;
    static const double wrong[] = { -2, -0.5, NAN, INFINITY, 281474976710657.0 };
    struct ql_buf labels, out;
    struct ql_batch batch;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&out, 4096);
    ql_batch_init(&batch, 1 << 20);
    for (size_t i = 0; i < QL_COUNT_OF(wrong) * QL_FINDING_COUNTERS; i++) {
        struct ql_finding f = disk_sample(&labels);
        f.smart[i % QL_FINDING_COUNTERS] = wrong[i / QL_FINDING_COUNTERS];
        ql_buf_reset(&out);
        assert_int_equal(ql_wire_finding_write(&f, &out), QL_OK);
        assert_int_equal(decode(ql_buf_view(&out), &batch), QL_E_MALFORMED);
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
    ql_buf_fini(&labels);
}

static void what_no_look_ahead_says(void **state)
{
    (void)state;
    struct ql_buf labels, out;
    struct ql_batch batch;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&out, 4096);
    ql_batch_init(&batch, 1 << 20);
    const struct ql_finding good = sample(&labels);
    for (int row = 0; row < 9; row++) {
        struct ql_finding f = good;
        switch (row) {
        case 0: break;
        case 1: f.limit = 0; break;
        case 2: f.used = NAN; break;
        case 3: f.full = 1.01; break;
        case 4: f.right = 21; break;
        case 5: f.early_s = 3; break;
        case 6: f.horizon_s = INFINITY; break;
        case 7: f.at.ns = -1; break;
        default: f.labels = QL_STR("no block"); break;
        }
        ql_buf_reset(&out);
        assert_int_equal(ql_wire_finding_write(&f, &out), QL_OK);
        const ql_err err = decode(ql_buf_view(&out), &batch);
        if (err != (row == 0 ? QL_OK : QL_E_MALFORMED)) {
            fail_msg("row %d: %s", row, ql_err_text(err));
        }
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
    ql_buf_fini(&labels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(a_disk_there_and_back),
        cmocka_unit_test(counters_that_no_disk_has),
        cmocka_unit_test(what_no_look_ahead_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
