/* buf_test - writes up to the maximum, one failure that sticks, reads that stick too. */
#include "base/buf.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void writes_and_stays_printable(void **state)
{
    struct ql_buf buf;
    (void)state;
    ql_buf_init(&buf, 100000);
    assert_true(ql_str_eq(ql_buf_view(&buf), QL_STR("")));
    assert_int_equal(ql_buf_printf(&buf, "%s-%d", "a", 7), QL_OK);
    assert_int_equal(ql_buf_char(&buf, '!'), QL_OK);
    assert_string_equal(buf.at, "a-7!");
    assert_int_equal(ql_buf_printf(&buf, "%0*d", 5000, 1), QL_OK);
    assert_int_equal(buf.bytes, 5004);
    assert_int_equal(buf.at[5003], '1');
    assert_int_equal(buf.at[5004], '\0');
    ql_buf_reset(&buf);
    assert_string_equal(buf.at, "");
    ql_buf_fini(&buf);
    ql_buf_fini(&buf);
    ql_buf_fini(NULL);
}

/* One row: a maximum, what is written, what must be there afterwards. */
static void maximum_changes_nothing_and_sticks(void **state)
{
    static const struct { size_t max; const char *first, *second, *left; ql_err err; } rows[] = {
        { 4, "abcd", "", "abcd", QL_OK },   { 4, "abc", "de", "abc", QL_E_FULL },
        { 4, "abcd", "e", "abcd", QL_E_FULL }, { 0, "", "", "", QL_OK },
        { 0, "", "a", "", QL_E_FULL },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf buf;
        ql_buf_init(&buf, rows[i].max);
        assert_int_equal(ql_buf_text(&buf, rows[i].first), QL_OK);
        assert_int_equal(ql_buf_text(&buf, rows[i].second), rows[i].err);
        assert_int_equal(ql_buf_check(&buf), rows[i].err);
        assert_true(ql_str_eq(ql_buf_view(&buf), ql_str_of(rows[i].left)));
        if (rows[i].err != QL_OK) {
            /* Even what would fit is refused now: no holes inside a document. */
            assert_int_equal(ql_buf_text(&buf, ""), QL_E_FULL);
            assert_int_equal(ql_buf_printf(&buf, "%s", ""), QL_E_FULL);
        }
        ql_buf_reset(&buf);
        assert_int_equal(ql_buf_check(&buf), QL_OK);
        ql_buf_fini(&buf);
    }
}

static void reserve_then_advance(void **state)
{
    struct ql_buf buf;
    char *at;
    (void)state;
    ql_buf_init(&buf, 1000);
    assert_int_equal(ql_buf_text(&buf, "ab"), QL_OK);
    assert_int_equal(ql_buf_reserve(&buf, 500, &at), QL_OK);
    memcpy(at, "cd", 2);
    ql_buf_advance(&buf, 2);
    assert_string_equal(buf.at, "abcd");
    assert_int_equal(ql_buf_reserve(&buf, 997, &at), QL_E_FULL);
    ql_buf_fini(&buf);
}

static void give_hands_over(void **state)
{
    struct ql_buf buf;
    size_t bytes = 0;
    (void)state;
    ql_buf_init(&buf, 10);
    char *nothing = ql_buf_give(&buf, &bytes);
    assert_string_equal(nothing, "");
    assert_int_equal(bytes, 0);
    free(nothing);
    assert_int_equal(ql_buf_text(&buf, "abc"), QL_OK);
    char *text = ql_buf_give(&buf, &bytes);
    assert_string_equal(text, "abc");
    assert_int_equal(bytes, 3);
    free(text);
    assert_int_equal(ql_buf_text(&buf, "0123456789"), QL_OK); /* usable again, same maximum */
    assert_int_equal(ql_buf_text(&buf, "x"), QL_E_FULL);
    ql_buf_fini(&buf);
}

static void numbers_come_back(void **state)
{
    struct ql_buf buf;
    (void)state;
    ql_buf_init(&buf, 1000);
    (void)ql_buf_u8(&buf, 0xfe);
    (void)ql_buf_u32(&buf, 0x01020304);
    (void)ql_buf_u64(&buf, UINT64_MAX - 1);
    (void)ql_buf_i64(&buf, INT64_MIN);
    (void)ql_buf_f64(&buf, -0.0);
    (void)ql_buf_lstr(&buf, QL_STR("hello"));
    (void)ql_buf_lstr(&buf, QL_STR(""));
    assert_int_equal(ql_buf_check(&buf), QL_OK);
    assert_memory_equal(buf.at + 1, "\x04\x03\x02\x01", 4); /* little-endian everywhere */

    struct ql_reader r = ql_reader_of(ql_buf_view(&buf));
    assert_int_equal(ql_reader_u8(&r), 0xfe);
    assert_int_equal(ql_reader_u32(&r), 0x01020304);
    assert_true(ql_reader_u64(&r) == UINT64_MAX - 1);
    assert_true(ql_reader_i64(&r) == INT64_MIN);
    assert_true(signbit(ql_reader_f64(&r)));
    assert_true(ql_str_eq(ql_reader_lstr(&r), QL_STR("hello")));
    assert_true(ql_str_eq(ql_reader_lstr(&r), QL_STR("")));
    assert_int_equal(ql_reader_left(&r), 0);
    assert_false(r.failed);
    ql_buf_fini(&buf);
}

/* Every prefix of a record must fail, and fail without reading past its end. */
static void short_input_sticks(void **state)
{
    struct ql_buf buf;
    (void)state;
    ql_buf_init(&buf, 1000);
    (void)ql_buf_u32(&buf, 7);
    (void)ql_buf_lstr(&buf, QL_STR("hello"));
    for (size_t cut = 0; cut < buf.bytes; cut++) {
        char *part = malloc(cut + 1); /* exact, so that ASan sees a read past the end */
        memcpy(part, buf.at, cut);
        struct ql_reader r = ql_reader_of((ql_str){ part, cut });
        (void)ql_reader_u32(&r);
        assert_int_equal(ql_reader_lstr(&r).bytes, 0);
        assert_true(r.failed);
        assert_int_equal(ql_reader_u8(&r), 0);
        free(part);
    }
    struct ql_reader huge = ql_reader_of(QL_STR("\xff\xff\xff\xff" "abc"));
    assert_int_equal(ql_reader_lstr(&huge).bytes, 0);
    assert_true(huge.failed);
    ql_buf_fini(&buf);
}

static void lstr_is_all_or_nothing(void **state)
{
    struct ql_buf buf;
    (void)state;
    ql_buf_init(&buf, 8);
    assert_int_equal(ql_buf_lstr(&buf, QL_STR("hello")), QL_E_FULL);
    assert_int_equal(buf.bytes, 0);
    ql_buf_fini(&buf);
}

static void copies_all_or_nothing(void **state)
{
    (void)state;
    char to[4] = "abc";
    struct ql_reader r = ql_reader_of(QL_STR("xyz"));
    assert_true(ql_reader_copy(&r, to, 2));
    assert_string_equal(to, "xyc");
    assert_true(ql_reader_copy(&r, to, 0));
    assert_false(ql_reader_copy(&r, to, 2));
    assert_string_equal(to, "xyc");
    assert_true(r.failed);
}

struct heap { char bytes[4096]; size_t used; uint32_t calls; };

static void heap_take(void *context, const char *at, size_t bytes)
{
    struct heap *heap = context;
    memcpy(heap->bytes + heap->used, at, bytes);
    heap->used += bytes;
    heap->calls++;
}

/* The same writes into one that keeps all and one that spills give the same bytes. */
static void spilt_bytes_are_the_same(void **state)
{
    (void)state;
    struct heap heap = { .used = 0 };
    struct ql_buf whole, spilling;
    ql_buf_init(&whole, 4096);
    ql_buf_init_spill(&spilling, 64, heap_take, &heap);
    for (uint32_t i = 0; i < 20; i++) {
        char text[150];
        memset(text, 'a' + (int)i, sizeof(text));
        struct ql_buf *const both[2] = { &whole, &spilling };
        for (int b = 0; b < 2; b++) {
            assert_int_equal(ql_buf_u32(both[b], i), QL_OK);
            assert_int_equal(ql_buf_lstr(both[b], (ql_str){ text, i * 7 }), QL_OK);
            assert_int_equal(ql_buf_printf(both[b], "%u;", i), QL_OK);
        }
        assert_true(spilling.bytes <= 64);
    }
    ql_buf_flush(&spilling);
    ql_buf_flush(&spilling);
    assert_true(heap.calls > 20);
    assert_int_equal(heap.used, whole.bytes);
    assert_memory_equal(heap.bytes, whole.at, whole.bytes);
    ql_buf_fini(&whole);
    ql_buf_fini(&spilling);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_all_or_nothing),
        cmocka_unit_test(writes_and_stays_printable),
        cmocka_unit_test(maximum_changes_nothing_and_sticks),
        cmocka_unit_test(reserve_then_advance),
        cmocka_unit_test(give_hands_over),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(short_input_sticks),
        cmocka_unit_test(lstr_is_all_or_nothing),
        cmocka_unit_test(spilt_bytes_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
