/* map_test - both maps against a plain array, with keys made to collide. */
#include "base/map.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KEY_COUNT = 600, STEP_COUNT = 60000 };

/* Few distinct low bits: long probe runs, so that deletion has to shift over them. */
static ql_hash128 key128_of(uint64_t number)
{
    return (ql_hash128){ .high = number * 77, .low = number % 7 + (number % 3 << 40) };
}

static void map128_behaves_like_an_array(void **state)
{
    const uint64_t seed = 11;
    static uint32_t values[KEY_COUNT];
    struct ql_map128 map;
    struct ql_rng rng;
    uint32_t count = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "map128");
    ql_map128_init(&map, KEY_COUNT);
    memset(values, 0xff, sizeof(values));
    for (int i = 0; i < STEP_COUNT; i++) {
        const uint64_t number = ql_rng_below(&rng, KEY_COUNT);
        const ql_hash128 key = key128_of(number);
        assert_int_equal(ql_map128_get(&map, key), values[number]);
        if (ql_rng_below(&rng, 2) == 0) {
            const uint32_t value = (uint32_t)ql_rng_below(&rng, 1000);
            count += values[number] == QL_MAP_NONE;
            values[number] = value;
            assert_int_equal(ql_map128_put(&map, key, value), QL_OK);
        } else {
            assert_int_equal(ql_map128_drop(&map, key), values[number] != QL_MAP_NONE);
            count -= values[number] != QL_MAP_NONE;
            values[number] = QL_MAP_NONE;
        }
        assert_int_equal(map.count, count);
        assert_true(map.count * 4 <= map.capacity * 3);
    }
    for (uint64_t number = 0; number < KEY_COUNT; number++) {
        assert_int_equal(ql_map128_get(&map, key128_of(number)), values[number]);
    }
    ql_map128_fini(&map);
    ql_map128_fini(NULL);
}

static void map64_behaves_like_an_array(void **state)
{
    const uint64_t seed = 12;
    static uint32_t values[KEY_COUNT];
    struct ql_map64 map;
    struct ql_rng rng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "map64");
    ql_map64_init(&map, KEY_COUNT);
    memset(values, 0xff, sizeof(values));
    for (int i = 0; i < STEP_COUNT; i++) {
        const uint64_t number = ql_rng_below(&rng, KEY_COUNT);
        const uint64_t key = number << 50; /* ids that differ only in their high bits */
        assert_int_equal(ql_map64_get(&map, key), values[number]);
        if (ql_rng_below(&rng, 2) == 0) {
            values[number] = (uint32_t)ql_rng_below(&rng, 1000);
            assert_int_equal(ql_map64_put(&map, key, values[number]), QL_OK);
        } else {
            assert_int_equal(ql_map64_drop(&map, key), values[number] != QL_MAP_NONE);
            values[number] = QL_MAP_NONE;
        }
    }
    ql_map64_clear(&map);
    assert_int_equal(map.count, 0);
    for (uint64_t number = 0; number < KEY_COUNT; number++) {
        assert_int_equal(ql_map64_get(&map, number << 50), QL_MAP_NONE);
    }
    ql_map64_fini(&map);
    ql_map64_fini(NULL);
}

static void full_refuses_new_keys_only(void **state)
{
    struct ql_map64 map;
    (void)state;
    ql_map64_init(&map, 3);
    assert_int_equal(ql_map64_get(&map, 0), QL_MAP_NONE);
    assert_false(ql_map64_drop(&map, 0));
    for (uint64_t key = 0; key < 3; key++) {
        assert_int_equal(ql_map64_put(&map, key, 1), QL_OK);
    }
    assert_int_equal(ql_map64_put(&map, 3, 1), QL_E_FULL);
    assert_int_equal(ql_map64_put(&map, 2, 9), QL_OK);
    assert_int_equal(ql_map64_get(&map, 2), 9);
    assert_true(ql_map64_drop(&map, 0));
    assert_int_equal(ql_map64_put(&map, 3, 1), QL_OK);
    ql_map64_fini(&map);
}

static void zero_is_a_key(void **state)
{
    struct ql_map128 map;
    (void)state;
    ql_map128_init(&map, 10);
    assert_int_equal(ql_map128_get(&map, (ql_hash128){ 0, 0 }), QL_MAP_NONE);
    assert_int_equal(ql_map128_put(&map, (ql_hash128){ 0, 0 }, 0), QL_OK);
    assert_int_equal(ql_map128_get(&map, (ql_hash128){ 0, 0 }), 0);
    assert_int_equal(ql_map128_get(&map, (ql_hash128){ 1, 0 }), QL_MAP_NONE);
    ql_map128_fini(&map);
}

/* The keys stand in an array as an owner keeps them: many share a tag, some all their low bits. */
static void tags_find_candidates(void **state)
{
    struct ql_map_tag map;
    (void)state;
    ql_map_tag_init(&map, KEY_COUNT);
    uint32_t cursor = 0;
    assert_int_equal(ql_map_tag_next(&map, key128_of(1), &cursor), QL_MAP_NONE);
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        assert_int_equal(ql_map_tag_add(&map, key128_of(i), i), QL_OK);
    }
    assert_int_equal(ql_map_tag_add(&map, key128_of(KEY_COUNT), KEY_COUNT), QL_E_FULL);
    for (uint32_t i = 0; i <= KEY_COUNT; i++) {
        const ql_hash128 key = key128_of(i);
        uint32_t found = 0, index;
        for (cursor = 0; (index = ql_map_tag_next(&map, key, &cursor)) != QL_MAP_NONE;) {
            assert_int_equal((uint32_t)key128_of(index).low, (uint32_t)key.low);
            found += index == i;
        }
        assert_int_equal(found, i < KEY_COUNT ? 1 : 0);
    }
    for (uint32_t i = 0; i < KEY_COUNT; i += 2) {
        assert_true(ql_map_tag_drop(&map, key128_of(i), i));
        assert_false(ql_map_tag_drop(&map, key128_of(i), i));
    }
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        uint32_t found = 0, index;
        for (cursor = 0; (index = ql_map_tag_next(&map, key128_of(i), &cursor)) != QL_MAP_NONE;) {
            found += index == i;
        }
        assert_int_equal(found, i % 2);
    }
    assert_int_equal(map.count, KEY_COUNT / 2);
    ql_map_tag_fini(&map);
    ql_map_tag_fini(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map128_behaves_like_an_array),
        cmocka_unit_test(map64_behaves_like_an_array),
        cmocka_unit_test(full_refuses_new_keys_only),
        cmocka_unit_test(zero_is_a_key),
        cmocka_unit_test(tags_find_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
