/* recent_test - what is kept of a series in memory comes back: chunks, slots, bands. */
#include "engine/recent.h"

#include "model/labels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ARENA_BYTES_MAX ((size_t)1 << 20)
#define START_MS INT64_C(1700000040000) /* the begin of a slot */

struct world {
    struct ql_series_table *table;
    struct ql_recent *recent;
    struct ql_batch bus, out;
    uint32_t sealed_count, sealed_bands;
};

static void on_seal(void *context, const struct ql_history_row *row)
{
    struct world *w = context;
    w->sealed_count += row->chunk.count;
    w->sealed_bands += row->band_count;
}

static struct world open_world(void)
{
    struct world w = { 0 };
    struct ql_buf block;
    uint32_t index;
    bool is_new;
    ql_buf_init(&block, 4096);
    ql_batch_init(&w.bus, ARENA_BYTES_MAX);
    ql_batch_init(&w.out, ARENA_BYTES_MAX);
    assert_int_equal(ql_series_table_new(4, &w.table), QL_OK);
    assert_int_equal(ql_recent_new(4, &w.recent), QL_OK);
    assert_int_equal(ql_labels_parse(QL_STR("depth{queue=\"a\"}"), &block), QL_OK);
    const ql_str view = ql_buf_view(&block);
    assert_int_equal(ql_series_add(w.table, ql_hash128_of(view.at, view.bytes), view,
                                   QL_METRIC_GAUGE, &index, &is_new), QL_OK);
    ql_buf_fini(&block);
    return w;
}

static void close_world(struct world *w)
{
    ql_recent_free(w->recent);
    ql_series_table_free(w->table);
    ql_batch_fini(&w->bus);
    ql_batch_fini(&w->out);
}

static void record(struct world *w, int64_t at_ms, double value, const float *band)
{
    ql_batch_reset(&w->bus);
    struct ql_point *point = ql_batch_add_point(&w->bus);
    *point = (struct ql_point){ .at = ql_time_from_ms(at_ms), .value = value, .raw = value,
                                .kind = QL_POINT_VALUE };
    if (band != NULL) {
        struct ql_band *b = ql_batch_add_band(&w->bus);
        *b = (struct ql_band){ .at = point->at, .expected = band[0], .lower = band[1],
                               .upper = band[2] };
    }
    ql_recent_record(w->recent, w->table, &w->bus);
}

/* Two chunks are kept sample by sample; what sealed before them was handed on. */
static void samples_come_back(void **state)
{
    (void)state;
    struct world w = open_world();
    enum { COUNT = 1000 };
    ql_recent_on_seal(w.recent, on_seal, &w);
    for (int i = 0; i < COUNT; i++) {
        record(&w, START_MS + i * 10000, (double)(i * 7 % 100), NULL);
    }
    const uint32_t count = ql_recent_samples(w.recent, 0, ql_time_from_ms(0),
                                             ql_time_from_ms(START_MS + COUNT * 10000), &w.out);
    assert_in_range(count, 80, 300);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t number = COUNT - count + i;
        assert_int_equal(ql_time_to_ms(w.out.samples.at[i].at), START_MS + number * 10000);
        assert_true(w.out.samples.at[i].value == (double)(number * 7 % 100));
    }
    assert_int_equal(ql_recent_oldest(w.recent, 0).ns, w.out.samples.at[0].at.ns);
    ql_recent_flush(w.recent, w.table);
    assert_int_equal(w.sealed_count, COUNT);
    close_world(&w);
}

/* An hour is kept at two minutes, with gaps where nothing came, to 0.4 %. */
static void slots_keep_the_hour(void **state)
{
    static const struct { int64_t minute; double value; } rows[] = {
        { 0, 0.0 }, { 2, 1.0 }, { 4, -3.25e7 }, { 12, 1e-9 }, { 60, 123456.0 },
    };
    static const struct { int64_t now_minute; size_t first, fine; } asks[] = {
        { 60, 0, 1 }, { 62, 0, 1 }, { 64, 1, 1 }, { 76, 4, 1 }, { 300, 5, 1 },
    };
    (void)state;
    for (size_t a = 0; a < QL_COUNT_OF(asks); a++) {
        struct world w = open_world();
        for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
            record(&w, START_MS + rows[i].minute * 60000, rows[i].value, NULL);
        }
        /* Random doubles push all that out of the chunks within one slot. */
        for (int i = 0; i < 60; i++) {
            record(&w, START_MS + asks[a].now_minute * 60000 + 1 + i, sqrt(2.0 + i), NULL);
        }
        const uint32_t count = ql_recent_window(w.recent, 0, QL_METRIC_GAUGE, ql_time_from_ms(0),
                                                ql_time_from_ms(START_MS * 2), &w.out);
        uint32_t at = 0;
        for (size_t i = asks[a].first; i < QL_COUNT_OF(rows); i++, at++) {
            const struct ql_sample s = w.out.samples.at[at];
            assert_true(at < count);
            assert_int_equal(ql_time_to_ms(s.at), START_MS + rows[i].minute * 60000);
            assert_true(fabs(s.value - rows[i].value) <= 0.004 * fabs(rows[i].value));
        }
        assert_true(at + asks[a].fine <= count);
        assert_true(ql_time_to_ms(w.out.samples.at[at].at) >= START_MS + asks[a].now_minute * 60000);
        close_world(&w);
    }
}

/* Nothing was judged yet: number 0 means that there is no slot, it is not the slot of 1970. */
static void no_slot_is_made_up(void **state)
{
    (void)state;
    struct world w = open_world();
    record(&w, 5000, 3.0, NULL);
    assert_int_equal(ql_recent_window(w.recent, 0, QL_METRIC_GAUGE, ql_time_from_ms(0),
                                      ql_time_from_ms(60000), &w.out), 1);
    assert_true(w.out.samples.at[0].value == 3.0);
    close_world(&w);
}

static void bands_span_the_chunk(void **state)
{
    (void)state;
    struct world w = open_world();
    for (int i = 0; i < 40; i++) {
        const float band[3] = { 50.0f, 40.0f, 65.0f };
        record(&w, START_MS + i * 60000, 50.0, band);
    }
    ql_recent_bands(w.recent, 0, ql_time_from_ms(0), ql_time_from_ms(START_MS * 2), &w.out);
    assert_in_range(w.out.bands.count, 1, QL_RECENT_BANDS);
    for (uint32_t i = 0; i < w.out.bands.count; i++) {
        const struct ql_band *band = &w.out.bands.at[i];
        assert_true(band->expected == 50.0f);
        assert_true(fabsf(band->lower - 40.0f) <= 0.004f * 10.0f);
        assert_true(fabsf(band->upper - 65.0f) <= 0.004f * 15.0f);
    }
    assert_int_equal(ql_time_to_ms(w.out.bands.at[0].at), START_MS);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back),
        cmocka_unit_test(slots_keep_the_hour),
        cmocka_unit_test(no_slot_is_made_up),
        cmocka_unit_test(bands_span_the_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
