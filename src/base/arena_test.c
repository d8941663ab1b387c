/* arena_test - alignment, the maximum, and that a warm arena allocates nothing. */
#include "base/arena.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void pieces_do_not_overlap(void **state)
{
    enum { COUNT = 2000 };
    static unsigned char *pieces[COUNT];
    static size_t sizes[COUNT];
    struct ql_arena arena;
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 1, "arena_test");
    ql_arena_init(&arena, 64 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            sizes[i] = ql_rng_below(&rng, i % 100 == 0 ? 100000 : 200);
            pieces[i] = ql_arena_take(&arena, sizes[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)(i % 251), sizes[i]);
        }
        for (size_t i = 0; i < COUNT; i++) {
            for (size_t k = 0; k < sizes[i]; k++) {
                assert_int_equal(pieces[i][k], i % 251);
            }
        }
        assert_true(arena.used_bytes <= arena.block_bytes);
        ql_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    ql_arena_fini(&arena);
    ql_arena_fini(&arena);
    ql_arena_fini(NULL);
}

static void warm_arena_allocates_nothing(void **state)
{
    struct ql_arena arena;
    void *first[100];
    (void)state;
    ql_arena_init(&arena, 10 << 20);
    for (int i = 0; i < 100; i++) {
        first[i] = ql_arena_take(&arena, i == 50 ? 500000 : 1000);
    }
    const size_t held = arena.block_bytes;
    for (int round = 0; round < 5; round++) {
        ql_arena_reset(&arena);
        for (int i = 0; i < 100; i++) {
            assert_ptr_equal(ql_arena_take(&arena, i == 50 ? 500000 : 1000), first[i]);
        }
        assert_int_equal(arena.block_bytes, held);
    }
    ql_arena_fini(&arena);
}

/* A reset behind hardly any use gives back what many blocks held; behind more, nothing. */
static void many_blocks_are_given_back(void **state)
{
    static const struct { int then; bool kept; } rows[] = {
        { 5000, true }, { 1000, true }, { 10, false }
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_arena arena;
        ql_arena_init(&arena, 10 << 20);
        for (int k = 0; k < 5000; k++) {
            assert_non_null(ql_arena_take(&arena, 1000));
        }
        const size_t held = arena.block_bytes;
        ql_arena_reset(&arena);
        for (int k = 0; k < rows[i].then; k++) {
            assert_non_null(ql_arena_take(&arena, 1000));
        }
        ql_arena_reset(&arena);
        assert_int_equal(arena.block_bytes == held, rows[i].kept);
        assert_true(rows[i].kept || arena.block_bytes < 10000);
        assert_non_null(ql_arena_take(&arena, 100000));
        ql_arena_fini(&arena);
    }
}

static void maximum_holds(void **state)
{
    static const struct { size_t max, piece; bool any; } rows[] = {
        { 0, 1, false },        { 16, 1, false },  { 1000, 100, true },
        { 1000, 2000, false },  { 100000, 1, true }, { 1 << 20, SIZE_MAX, false },
        { 1 << 20, SIZE_MAX - 8, false },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_arena arena;
        uint32_t count = 0;
        ql_arena_init(&arena, rows[i].max);
        while (ql_arena_take(&arena, rows[i].piece) != NULL) {
            count++;
            assert_true(arena.block_bytes <= rows[i].max);
        }
        assert_int_equal(count > 0, rows[i].any);
        ql_arena_fini(&arena);
    }
}

/* Small blocks kept from an earlier use must not stand in the way of one large piece. */
static void large_piece_after_small_ones(void **state)
{
    struct ql_arena arena;
    (void)state;
    ql_arena_init(&arena, 100000);
    while (ql_arena_take(&arena, 64) != NULL) {
    }
    ql_arena_reset(&arena);
    assert_non_null(ql_arena_take(&arena, 64));
    assert_non_null(ql_arena_take(&arena, 80000));
    assert_true(arena.block_bytes <= 100000);
    ql_arena_fini(&arena);
}

static void texts(void **state)
{
    struct ql_arena arena;
    (void)state;
    ql_arena_init(&arena, 100000);
    const ql_str copy = ql_arena_str(&arena, QL_STR("abc"));
    assert_string_equal(copy.at, "abc");
    assert_int_equal(copy.bytes, 3);
    assert_string_equal(ql_arena_str(&arena, (ql_str){ NULL, 0 }).at, "");
    assert_string_equal(ql_arena_printf(&arena, "%d-%s", 7, "x").at, "7-x");
    const ql_str wide = ql_arena_printf(&arena, "%0*d", 1000, 1);
    assert_int_equal(wide.bytes, 1000);
    assert_int_equal(wide.at[999], '1');
    assert_null(ql_arena_printf(&arena, "%0*d", 200000, 1).at);
    ql_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(warm_arena_allocates_nothing),
        cmocka_unit_test(many_blocks_are_given_back),
        cmocka_unit_test(maximum_holds),
        cmocka_unit_test(large_piece_after_small_ones),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
