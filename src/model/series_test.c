/* series_test - identity: one series however it is sent, found again, kept over a save. */
#include "model/series.h"

#include "base/rng.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The block of `name{...}` with its labels in reverse order: well-formed, not canonical. */
static void block_reversed(ql_str canonical, struct ql_buf *out)
{
    struct ql_label label;
    size_t starts[QL_LABELS_COUNT_MAX + 1] = { 0 };
    uint32_t count = 0;
    for (size_t at = 0; ql_labels_next(canonical, &at, &label);) {
        starts[++count] = at;
    }
    for (; count > 0; count--) {
        (void)ql_buf_put(out, canonical.at + starts[count - 1], starts[count] - starts[count - 1]);
    }
}

static uint32_t add(struct ql_series_table *table, ql_str block, bool want_new)
{
    uint32_t index = 0;
    bool is_new = !want_new;
    const ql_hash128 raw = ql_hash128_of(block.at, block.bytes);
    assert_int_equal(ql_series_add(table, raw, block, QL_METRIC_GAUGE, &index, &is_new), QL_OK);
    assert_int_equal(is_new, want_new);
    assert_int_equal(ql_series_find_raw(table, raw), index);
    return index;
}

static void one_series_however_it_is_sent(void **state)
{
    (void)state;
    struct ql_series_table *table;
    struct ql_buf block, reversed, text;
    ql_buf_init(&block, 4096);
    ql_buf_init(&reversed, 4096);
    ql_buf_init(&text, 4096);
    assert_int_equal(ql_series_table_new(100, &table), QL_OK);
    assert_int_equal(ql_labels_parse(QL_STR("up{job=\"a\",instance=\"b:1\"}"), &block), QL_OK);
    block_reversed(ql_buf_view(&block), &reversed);
    const uint32_t first = add(table, ql_buf_view(&block), true);
    assert_int_equal(add(table, ql_buf_view(&reversed), false), first);
    assert_int_equal(add(table, ql_buf_view(&reversed), false), first);
    assert_int_equal(ql_series_count(table), 1);
    assert_true(ql_str_eq(ql_series_name(table, first), QL_STR("up")));
    assert_true(ql_str_eq(ql_series_label(table, first, QL_STR("instance")), QL_STR("b:1")));
    assert_int_equal(ql_series_label(table, first, QL_STR("nope")).bytes, 0);
    assert_int_equal(ql_series_labels(table, first, &text), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&text), ql_buf_view(&block)));
    ql_series_table_free(table);
    ql_buf_fini(&block);
    ql_buf_fini(&reversed);
    ql_buf_fini(&text);
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct { const char *story, *text; ql_err err; } rows[] = {
        { "no metric name", "{job=\"a\"}", QL_E_MALFORMED },
        { "the table is full", "c", QL_E_FULL },
    };
    struct ql_series_table *table;
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_series_table_new(2, &table), QL_OK);
    for (const char *name = "ab"; *name != '\0'; name++) {
        ql_buf_reset(&block);
        assert_int_equal(ql_labels_parse((ql_str){ name, 1 }, &block), QL_OK);
        (void)add(table, ql_buf_view(&block), true);
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        uint32_t index;
        bool is_new;
        ql_buf_reset(&block);
        assert_int_equal(ql_labels_parse(ql_str_of(rows[i].text), &block), QL_OK);
        const ql_hash128 raw = ql_hash128_of(block.at, block.bytes);
        const ql_err err = ql_series_add(table, raw, ql_buf_view(&block), QL_METRIC_GAUGE, &index,
                                         &is_new);
        if (err != rows[i].err) {
            fail_msg("%s: %s", rows[i].story, ql_err_name(err));
        }
    }
    assert_int_equal(ql_series_count(table), 2);
    ql_series_table_free(table);
    ql_buf_fini(&block);
}

static void a_random_text(struct ql_rng *rng, struct ql_buf *text)
{
    ql_buf_reset(text);
    (void)ql_buf_printf(text, "metric_%u{pod=\"p%u\",zone=\"z%u\"}",
                        (unsigned)ql_rng_below(rng, 20), (unsigned)ql_rng_below(rng, 50),
                        (unsigned)ql_rng_below(rng, 4));
}

/* Against a plain list of texts; then the same through save and load. */
static void many_random_series_keep_their_identity(void **state)
{
    (void)state;
    enum { DRAWS = 5000, TEXTS_MAX = 4000 };
    const uint64_t seed = 20260105;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct ql_rng rng;
    struct ql_series_table *table, *loaded;
    struct ql_buf text, block, saved;
    char **texts = calloc(TEXTS_MAX, sizeof(*texts));
    uint32_t known = 0;
    ql_rng_init(&rng, seed, "series");
    ql_buf_init(&text, 4096);
    ql_buf_init(&block, 4096);
    ql_buf_init(&saved, 1 << 24);
    assert_non_null(texts);
    assert_int_equal(ql_series_table_new(TEXTS_MAX, &table), QL_OK);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t at = 0;
        a_random_text(&rng, &text);
        while (at < known && strcmp(texts[at], text.at) != 0) {
            at++;
        }
        ql_buf_reset(&block);
        assert_int_equal(ql_labels_parse(ql_buf_view(&text), &block), QL_OK);
        assert_int_equal(add(table, ql_buf_view(&block), at == known), at);
        if (at == known) {
            texts[known++] = strdup(text.at);
        }
    }
    ql_series_at(table, 7)->last_raw = 42.5;
    assert_int_equal(ql_series_save(table, &saved), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_series_table_new(TEXTS_MAX, &loaded), QL_OK);
    assert_int_equal(ql_series_load(loaded, &in), QL_OK);
    assert_int_equal(ql_series_count(loaded), known);
    assert_true(ql_series_at(loaded, 7)->last_raw == 42.5);
    for (uint32_t i = 0; i < known; i++) {
        assert_int_equal(ql_series_find(loaded, ql_series_at(table, i)->id), i);
    }
    struct ql_series_table *cut;
    assert_int_equal(ql_series_table_new(TEXTS_MAX, &cut), QL_OK);
    in = ql_reader_of((ql_str){ saved.at, saved.bytes / 2 });
    assert_int_not_equal(ql_series_load(cut, &in), QL_OK);
    for (uint32_t i = 0; i < known; i++) {
        free(texts[i]);
    }
    free(texts);
    ql_series_table_free(table);
    ql_series_table_free(loaded);
    ql_series_table_free(cut);
    ql_buf_fini(&text);
    ql_buf_fini(&block);
    ql_buf_fini(&saved);
}

static void churn_block(uint32_t number, bool reversed, struct ql_buf *out)
{
    char text[128];
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    (void)snprintf(text, sizeof(text), "m%u{app=\"a\",pod=\"p-%u\"}", number % 300, number);
    ql_buf_reset(out);
    assert_int_equal(ql_labels_parse(ql_str_of(text), &block), QL_OK);
    if (reversed) {
        block_reversed(ql_buf_view(&block), out);
    } else {
        (void)ql_buf_str(out, ql_buf_view(&block));
    }
    ql_buf_fini(&block);
}

static ql_hash128 churn_raw(uint32_t number, bool reversed)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    churn_block(number, reversed, &block);
    const ql_hash128 raw = ql_hash128_of(block.at, block.bytes);
    ql_buf_fini(&block);
    return raw;
}

/* The same series, the same free indexes in the same order. */
static struct ql_series_table *churn_again(struct ql_series_table *table, uint32_t series_max)
{
    struct ql_series_table *loaded;
    struct ql_buf saved, again;
    ql_buf_init(&saved, 1 << 24);
    ql_buf_init(&again, 1 << 24);
    assert_int_equal(ql_series_save(table, &saved), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_series_table_new(series_max, &loaded), QL_OK);
    assert_int_equal(ql_series_load(loaded, &in), QL_OK);
    assert_int_equal(ql_series_save(loaded, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    ql_series_table_free(table);
    ql_buf_fini(&saved);
    ql_buf_fini(&again);
    return loaded;
}

/* Ten tables full of series, each with names and pairs of its own, every other one sent in a form
 * that is not canonical: what is dropped is found by no form, and there is room for the next. */
static void dropped_series_make_room(void **state)
{
    enum { MAX = 1000, BATCH = 250, ROUNDS = 40 };
    struct ql_series_table *table;
    struct ql_buf block;
    static uint32_t indexes[MAX];
    (void)state;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_series_table_new(MAX, &table), QL_OK);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t first = round * BATCH;
        if (round >= MAX / BATCH) {
            const uint32_t old = first - MAX;
            ql_series_drop(table, indexes + old % MAX, BATCH);
            for (uint32_t i = old; i < old + BATCH; i++) {
                assert_false(ql_series_is_live(table, indexes[i % MAX]));
                assert_int_equal(ql_series_find_raw(table, churn_raw(i, false)), UINT32_MAX);
                assert_int_equal(ql_series_find_raw(table, churn_raw(i, true)), UINT32_MAX);
            }
        }
        table = round % 7 == 5 ? churn_again(table, MAX) : table;
        for (uint32_t i = first; i < first + BATCH; i++) {
            churn_block(i, i % 2 == 1, &block);
            indexes[i % MAX] = add(table, ql_buf_view(&block), true);
            assert_int_equal(ql_series_find_raw(table, churn_raw(i, false)), indexes[i % MAX]);
        }
        assert_int_equal(ql_series_live(table), first + BATCH < MAX ? first + BATCH : MAX);
        assert_true(ql_series_count(table) <= MAX);
    }
    for (uint32_t i = (ROUNDS - 4) * BATCH; i < ROUNDS * BATCH; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "m%u", i % 300);
        assert_true(ql_str_eq(ql_series_name(table, indexes[i % MAX]), ql_str_of(name)));
    }
    ql_series_table_free(table);
    ql_buf_fini(&block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_series_however_it_is_sent),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(many_random_series_keep_their_identity),
        cmocka_unit_test(dropped_series_make_room),
    };
    return cmocka_run_group_tests_name("model/series", tests, NULL, NULL);
}
