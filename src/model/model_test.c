/* model_test - batches, digests, counters and entities: small promises, row by row. */
#include "model/batch.h"
#include "model/counter.h"
#include "model/entity.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct counter_row {
    const char *story;
    enum ql_metric_type type;
    double before, value;  /* before NAN-like: see has_before */
    bool has_before;
    int64_t seconds;
    enum ql_point_kind kind;
    double want;
};
static const struct counter_row counter_rows[] = {
    { "a gauge is itself", QL_METRIC_GAUGE, 5, 7, true, 10, QL_POINT_VALUE, 7 },
    { "the first of a counter says nothing", QL_METRIC_COUNTER, 0, 7, false, 10, QL_POINT_HOLE, 0 },
    { "growth over time", QL_METRIC_COUNTER, 100, 150, true, 10, QL_POINT_VALUE, 5 },
    { "no growth", QL_METRIC_COUNTER, 100, 100, true, 10, QL_POINT_VALUE, 0 },
    { "a fall is a reset, which says from where", QL_METRIC_COUNTER, 100, 3, true, 10,
      QL_POINT_RESET, 100 },
    { "a delta over its time", QL_METRIC_DELTA, 9, 30, true, 15, QL_POINT_VALUE, 2 },
    { "no time passed", QL_METRIC_COUNTER, 1, 2, true, 0, QL_POINT_HOLE, 0 },
};

static void counters_become_rates(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(counter_rows); i++) {
        const struct counter_row *row = &counter_rows[i];
        const struct ql_sample before = { { 0 }, row->before };
        const struct ql_sample sample = { { row->seconds * QL_NS_PER_S }, row->value };
        const struct ql_point point =
            ql_counter_judge(row->type, row->has_before ? &before : NULL, sample);
        if (point.kind != row->kind || point.value < row->want || point.value > row->want) {
            fail_msg("%s: kind %d value %g", row->story, point.kind, point.value);
        }
        assert_true(point.raw <= row->value && point.raw >= row->value);
    }
}

static void entities_come_from_labels(void **state)
{
    (void)state;
    static const struct { const char *labels, *want; } rows[] = {
        { "up{service=\"checkout\",instance=\"a:1\"}", "service/checkout" },
        { "up{service_name=\"cart\"}", "service/cart" },
        { "up{instance=\"10.0.0.7:9100\",job=\"node\"}", "host/10.0.0.7:9100" },
        { "up{job=\"api\"}", "service/api" },
        { "up", "" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf block, name;
        ql_buf_init(&block, 4096);
        ql_buf_init(&name, 4096);
        assert_int_equal(ql_labels_parse(ql_str_of(rows[i].labels), &block), QL_OK);
        assert_int_equal(ql_entity_of_labels(ql_buf_view(&block), &name), rows[i].want[0] != '\0');
        assert_true(ql_str_eq(ql_buf_view(&name), ql_str_of(rows[i].want)));
        ql_buf_fini(&block);
        ql_buf_fini(&name);
    }
    assert_int_equal(ql_entity_id_of(QL_STR("")).v, 0);
    assert_int_not_equal(ql_entity_id_of(QL_STR("service/a")).v,
                         ql_entity_id_of(QL_STR("service/b")).v);
}

static void batches_grow_keep_and_reset(void **state)
{
    (void)state;
    struct ql_batch batch;
    ql_batch_init(&batch, 1 << 20);
    for (uint32_t i = 0; i < 1000; i++) {
        struct ql_point *point = ql_batch_add_point(&batch);
        assert_non_null(point);
        point->series = i;
    }
    assert_int_equal(ql_batch_count(&batch, QL_LIST_points), 1000);
    assert_int_equal(batch.points.at[999].series, 999);
    assert_null(ql_batch_more_points(&batch, 16000000));
    assert_int_equal(batch.points.count, 1000);
    assert_true(ql_str_eq(ql_batch_printf(&batch, "%d of %d", 1, 2), QL_STR("1 of 2")));
    char *body = malloc(3);
    assert_non_null(body);
    memcpy(body, "abc", 3);
    batch.body = ql_blob_take(body, 3);
    struct ql_blob *kept = ql_blob_ref(batch.body);
    ql_batch_reset(&batch);
    assert_int_equal(batch.points.count, 0);
    assert_null(batch.body);
    assert_true(ql_str_eq(ql_blob_view(kept), QL_STR("abc")));
    ql_blob_unref(kept);
    ql_batch_fini(&batch);
}

/* What one outage took is kept while it is used, and given back by the first reset that finds it
 * hardly used; a list of ordinary size stays. */
static void a_large_list_is_given_back(void **state)
{
    static const struct { uint32_t first, then; bool kept; } rows[] = {
        { 200000, 200000, true }, { 200000, 60000, true }, { 200000, 100, false },
        { 200000, 0, false },     { 2000, 0, true },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_batch batch;
        ql_batch_init(&batch, 16 << 20);
        assert_non_null(ql_batch_more_samples(&batch, rows[i].first));
        assert_non_null(ql_arena_take(&batch.arena, rows[i].first * 16));
        const size_t arena_bytes = batch.arena.block_bytes;
        ql_batch_reset(&batch);
        assert_true(batch.samples.capacity >= rows[i].first);
        assert_int_equal(batch.arena.block_bytes, arena_bytes);
        assert_non_null(ql_batch_more_samples(&batch, rows[i].then));
        assert_non_null(ql_arena_take(&batch.arena, rows[i].then * 16 + 1));
        ql_batch_reset(&batch);
        assert_int_equal(batch.samples.count, 0);
        assert_int_equal(batch.samples.capacity >= rows[i].first, rows[i].kept);
        assert_int_equal(batch.samples.capacity == 0, !rows[i].kept);
        ql_batch_fini(&batch);
    }
}

/* Every field that replay must notice changes the digest; addresses do not. */
static void digests_see_content_only(void **state)
{
    (void)state;
    char here[] = "service/a", there[] = "service/a";
    struct ql_batch a, b;
    ql_batch_init(&a, 1 << 16);
    ql_batch_init(&b, 1 << 16);
    const struct ql_signal one = { .id = { 7 }, .metric = ql_str_of(here), .value = 1.5 };
    struct ql_signal other = one;
    other.metric = ql_str_of(there);
    *ql_batch_add_signal(&a) = one;
    *ql_batch_add_signal(&b) = other;
    const uint64_t digest = ql_batch_digest(&a, QL_LIST_signals, 0, 1);
    assert_true(digest == ql_batch_digest(&b, QL_LIST_signals, 0, 1));
    assert_true(digest != ql_batch_digest(&a, QL_LIST_signals, 0, 2));
    assert_true(ql_batch_digest(&a, QL_LIST_signals, 1, 1) == 1);
    b.signals.at[0].value = 1.25;
    assert_true(digest != ql_batch_digest(&b, QL_LIST_signals, 0, 1));
    b.signals.at[0].value = 1.5;
    there[8] = 'b';
    assert_true(digest != ql_batch_digest(&b, QL_LIST_signals, 0, 1));
    ql_batch_fini(&a);
    ql_batch_fini(&b);
}

static void every_kind_has_a_text(void **state)
{
    (void)state;
    for (int i = 0; i < QL_SIGNAL_KIND_COUNT; i++) {
        assert_string_not_equal(ql_signal_kind_text((enum ql_signal_kind)i), "unknown");
    }
    for (int i = 0; i < QL_ACTION_STATE_COUNT; i++) {
        assert_string_not_equal(ql_action_state_text((enum ql_action_state)i), "unknown");
    }
    for (int i = 0; i < QL_LIST_COUNT; i++) {
        assert_string_not_equal(ql_list_name((enum ql_list)i), "unknown");
    }
    assert_string_equal(ql_signal_kind_text(QL_SIGNAL_KIND_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_become_rates),
        cmocka_unit_test(entities_come_from_labels),
        cmocka_unit_test(batches_grow_keep_and_reset),
        cmocka_unit_test(a_large_list_is_given_back),
        cmocka_unit_test(digests_see_content_only),
        cmocka_unit_test(every_kind_has_a_text),
    };
    return cmocka_run_group_tests_name("model/model", tests, NULL, NULL);
}
