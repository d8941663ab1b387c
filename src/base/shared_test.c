/* shared_test - a text stays as long as it is held, and its number goes to a later one. */
#include "base/shared.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { TEXT_COUNT = 3000 };

static ql_str text_of(uint64_t pick, char out[32])
{
    const int bytes = pick == 0 ? 0 : snprintf(out, 32, "text-%u", (unsigned)pick);
    return (ql_str){ out, (size_t)bytes };
}

/* The same as if it was never saved: texts, numbers, and who gets the next one. */
static void check_saved(const struct ql_shared *shared, const uint32_t *holders,
                        const uint32_t *numbers)
{
    struct ql_shared back;
    struct ql_buf bytes, again;
    uint32_t a, b;
    char text[32];
    ql_buf_init(&bytes, 1 << 20);
    ql_buf_init(&again, 1 << 20);
    ql_shared_init(&back, TEXT_COUNT, 1 << 20);
    assert_int_equal(ql_shared_save(shared, &bytes), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&bytes));
    assert_int_equal(ql_shared_load(&back, &in), QL_OK);
    for (uint32_t i = 0; i < TEXT_COUNT; i++) {
        for (uint32_t k = 0; k < holders[i]; k++) {
            assert_int_equal(ql_shared_take(&back, text_of(i, text), &a), QL_OK);
            assert_int_equal(a, numbers[i]);
        }
    }
    assert_true(ql_shared_all_held(&back));
    assert_int_equal(ql_shared_save(&back, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&bytes), ql_buf_view(&again)));
    for (size_t cut = 0; cut < bytes.bytes; cut += 1 + bytes.bytes / 97) {
        struct ql_shared part;
        ql_shared_init(&part, TEXT_COUNT, 1 << 20);
        in = ql_reader_of((ql_str){ bytes.at, cut });
        b = ql_shared_load(&part, &in) == QL_OK;
        assert_int_equal(b, 0);
        ql_shared_fini(&part);
    }
    ql_shared_fini(&back);
    ql_buf_fini(&bytes);
    ql_buf_fini(&again);
}

static void behaves_like_counted_texts(void **state)
{
    const uint64_t seed = 29;
    static uint32_t numbers[TEXT_COUNT], holders[TEXT_COUNT], owner[TEXT_COUNT];
    struct ql_shared shared;
    struct ql_rng rng;
    char text[32];
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "shared_test");
    ql_shared_init(&shared, TEXT_COUNT, 1 << 20);
    memset(owner, 0xff, sizeof(owner));
    for (uint32_t i = 0; i < 200000; i++) {
        const uint32_t pick = (uint32_t)ql_rng_below(&rng, TEXT_COUNT);
        const bool take = ql_rng_below(&rng, 100) < (i / 20000 % 2 == 0 ? 60 : 30);
        assert_int_equal(ql_shared_find(&shared, text_of(pick, text)),
                         holders[pick] > 0 ? numbers[pick] : QL_MAP_NONE);
        if (take) {
            uint32_t number;
            assert_int_equal(ql_shared_take(&shared, text_of(pick, text), &number), QL_OK);
            assert_true(holders[pick] == 0 ? owner[number] == UINT32_MAX : numbers[pick] == number);
            owner[number] = pick;
            numbers[pick] = number;
            holders[pick]++;
        } else if (holders[pick] > 0) {
            ql_shared_drop(&shared, numbers[pick]);
            if (--holders[pick] == 0) {
                owner[numbers[pick]] = UINT32_MAX;
            }
        }
        if (holders[pick] > 0) {
            assert_true(ql_str_eq(ql_shared_text(&shared, numbers[pick]), text_of(pick, text)));
        }
    }
    check_saved(&shared, holders, numbers);
    ql_shared_fini(&shared);
    ql_shared_fini(NULL);
}

/* As many distinct texts as you like, few at a time: neither numbers nor bytes run out. */
static void churn_is_bounded(void **state)
{
    struct ql_shared shared;
    uint32_t numbers[8];
    char text[32];
    (void)state;
    ql_shared_init(&shared, 8, 256 << 10);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(ql_shared_take(&shared, text_of(i + 1, text), &numbers[i]), QL_OK);
    }
    assert_int_equal(ql_shared_take(&shared, QL_STR("one more"), &numbers[0]), QL_E_FULL);
    for (uint32_t i = 0; i < 100000; i++) {
        ql_shared_drop(&shared, numbers[i % 8]);
        assert_int_equal(ql_shared_take(&shared, text_of(i + 9, text), &numbers[i % 8]), QL_OK);
    }
    assert_int_equal(shared.count, 8);
    ql_shared_fini(&shared);
}

static void limits_refuse_new_texts_only(void **state)
{
    static const struct { uint32_t count_max; size_t bytes_max; } rows[] = {
        { 1, 1 << 20 }, { 100, 120 },
    };
    const ql_str second = QL_STR("a second text that is longer than the arena of the second row has "
                                 "room for, by far, whatever the arena rounds it to");
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_shared shared;
        uint32_t number = 7;
        ql_shared_init(&shared, rows[i].count_max, rows[i].bytes_max);
        assert_int_equal(ql_shared_take(&shared, QL_STR("first"), &number), QL_OK);
        assert_int_equal(number, 0);
        assert_int_equal(ql_shared_take(&shared, second, &number), QL_E_FULL);
        assert_int_equal(shared.count, 1);
        assert_int_equal(ql_shared_take(&shared, QL_STR("first"), &number), QL_OK);
        assert_int_equal(number, 0);
        ql_shared_fini(&shared);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_counted_texts),
        cmocka_unit_test(churn_is_bounded),
        cmocka_unit_test(limits_refuse_new_texts_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
