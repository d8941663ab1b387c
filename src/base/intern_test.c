/* intern_test - every text once, numbered in order of first sight. */
#include "base/intern.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void behaves_like_a_list(void **state)
{
    enum { TEXT_COUNT = 5000 };
    const uint64_t seed = 13;
    static uint32_t numbers[TEXT_COUNT];
    struct ql_intern in;
    struct ql_rng rng;
    uint32_t seen = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "intern_test");
    ql_intern_init(&in, TEXT_COUNT, 1 << 20);
    memset(numbers, 0xff, sizeof(numbers));
    for (int i = 0; i < 30000; i++) {
        char text[32];
        uint32_t got;
        const uint64_t pick = ql_rng_below(&rng, TEXT_COUNT);
        const int bytes = pick == 0 ? 0 : snprintf(text, sizeof(text), "text-%u", (unsigned)pick);
        const ql_str s = { text, (size_t)bytes };
        assert_int_equal(ql_intern_find(&in, s), numbers[pick]);
        assert_int_equal(ql_intern_put(&in, s, &got), QL_OK);
        if (numbers[pick] == QL_MAP_NONE) {
            numbers[pick] = seen++;
        }
        assert_int_equal(got, numbers[pick]);
        assert_true(ql_str_eq(ql_intern_text(&in, got), s));
    }
    assert_int_equal(in.count, seen);
    assert_true(ql_intern_bytes(&in) > 10 * (size_t)seen);
    ql_intern_fini(&in);
    ql_intern_fini(NULL);
}

static void limits_refuse_new_texts_only(void **state)
{
    static const struct { uint32_t count_max; size_t bytes_max; } rows[] = {
        { 1, 1 << 20 }, { 100, 120 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_intern in;
        uint32_t number = 7;
        ql_intern_init(&in, rows[i].count_max, rows[i].bytes_max);
        assert_int_equal(ql_intern_put(&in, QL_STR("first"), &number), QL_OK);
        assert_int_equal(number, 0);
        assert_int_equal(ql_intern_put(&in, QL_STR("a second text that is longer than the arena "
                                                   "of the second row has room for, by far"),
                                       &number), QL_E_FULL);
        assert_int_equal(in.count, 1);
        assert_int_equal(ql_intern_put(&in, QL_STR("first"), &number), QL_OK);
        ql_intern_fini(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_a_list),
        cmocka_unit_test(limits_refuse_new_texts_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
