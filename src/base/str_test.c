/* str_test - texts to numbers, times and durations: one row, one story. */
#include "base/base.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void comparing(void **state)
{
    static const struct { const char *a, *b; int order; bool starts, ends; } rows[] = {
        { "", "", 0, true, true },       { "a", "", 1, true, true },
        { "", "a", -1, false, false },   { "ab", "a", 1, true, false },
        { "ab", "b", -1, false, true },  { "\xff", "a", 1, false, false },
        { "abc", "abd", -1, false, false },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const ql_str a = ql_str_of(rows[i].a), b = ql_str_of(rows[i].b);
        assert_int_equal(ql_str_cmp(a, b), rows[i].order);
        assert_int_equal(ql_str_cmp(b, a), -rows[i].order);
        assert_int_equal(ql_str_starts(a, b), rows[i].starts);
        assert_int_equal(ql_str_ends(a, b), rows[i].ends);
    }
}

static void whole_numbers(void **state)
{
    static const struct { const char *text; ql_err err; int64_t value; } rows[] = {
        { "0", QL_OK, 0 },
        { "-0", QL_OK, 0 },
        { "+17", QL_OK, 17 },
        { "9223372036854775807", QL_OK, INT64_MAX },
        { "-9223372036854775808", QL_OK, INT64_MIN },
        { "9223372036854775808", QL_E_RANGE, 0 },
        { "-9223372036854775809", QL_E_RANGE, 0 },
        { "99999999999999999999999", QL_E_RANGE, 0 },
        { "", QL_E_MALFORMED, 0 },
        { "-", QL_E_MALFORMED, 0 },
        { "1 ", QL_E_MALFORMED, 0 },
        { " 1", QL_E_MALFORMED, 0 },
        { "1.0", QL_E_MALFORMED, 0 },
        { "0x10", QL_E_MALFORMED, 0 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        int64_t value = 4711;
        assert_int_equal(ql_str_to_i64(ql_str_of(rows[i].text), &value), rows[i].err);
        assert_true(value == (rows[i].err == QL_OK ? rows[i].value : 4711));
    }
}

static void decimal_numbers(void **state)
{
    static const struct { const char *text; ql_err err; double value; } rows[] = {
        { "0", QL_OK, 0.0 },
        { "-0", QL_OK, -0.0 },
        { "0.1", QL_OK, 0.1 },
        { ".5", QL_OK, 0.5 },
        { "5.", QL_OK, 5.0 },
        { "-12.75e-3", QL_OK, -0.01275 },
        { "1E+3", QL_OK, 1000.0 },
        { "123456789012345", QL_OK, 123456789012345.0 },
        { "1234567890.123456789", QL_OK, 1234567890.123456789 },
        { "1e308", QL_OK, 1e308 },
        { "4.9e-324", QL_OK, 4.9e-324 },
        { "1e-400", QL_OK, 0.0 },
        { "+Inf", QL_OK, INFINITY },
        { "-inf", QL_OK, -INFINITY },
        { "Infinity", QL_OK, INFINITY },
        { "1e309", QL_E_RANGE, 0.0 },
        { "", QL_E_MALFORMED, 0.0 },
        { ".", QL_E_MALFORMED, 0.0 },
        { "+", QL_E_MALFORMED, 0.0 },
        { "e5", QL_E_MALFORMED, 0.0 },
        { "1e", QL_E_MALFORMED, 0.0 },
        { "1e+", QL_E_MALFORMED, 0.0 },
        { "1,5", QL_E_MALFORMED, 0.0 },
        { "0x1p3", QL_E_MALFORMED, 0.0 },
        { "nan(1)", QL_E_MALFORMED, 0.0 },
        { "1 ", QL_E_MALFORMED, 0.0 },
        { "\n1", QL_E_MALFORMED, 0.0 },
        { "--1", QL_E_MALFORMED, 0.0 },
    };
    double value;
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        value = 47.11;
        assert_int_equal(ql_str_to_double(ql_str_of(rows[i].text), &value), rows[i].err);
        const double want = rows[i].err == QL_OK ? rows[i].value : 47.11;
        assert_memory_equal(&value, &want, sizeof(value)); /* bit for bit: -0 is not 0 */
    }
    assert_int_equal(ql_str_to_double(QL_STR("NaN"), &value), QL_OK);
    assert_true(isnan(value));
}

/* The short way and strtod must agree on every bit. */
static void decimals_round_like_strtod(void **state)
{
    const uint64_t seed = 20260105;
    struct ql_rng rng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "str_test");
    for (int i = 0; i < 100000; i++) {
        char text[64];
        double value;
        const int decimals = (int)ql_rng_below(&rng, 18);
        const double scale = pow(10.0, (double)ql_rng_below(&rng, 20) - 4.0);
        const int bytes = snprintf(text, sizeof(text), "%.*f", decimals,
                                   (ql_rng_ratio(&rng) - 0.5) * scale);
        assert_int_equal(ql_str_to_double((ql_str){ text, (size_t)bytes }, &value), QL_OK);
        const double want = strtod(text, NULL);
        assert_memory_equal(&value, &want, sizeof(value));
    }
}

static void times(void **state)
{
    static const struct { const char *text; ql_err err; int64_t ns; const char *shown; } rows[] = {
        { "1970-01-01T00:00:00Z", QL_OK, 0, "1970-01-01T00:00:00.000Z" },
        { "2026-01-05T09:00:00.123Z", QL_OK, 1767603600123000000, "2026-01-05T09:00:00.123Z" },
        { "2026-01-05t09:00:00z", QL_OK, 1767603600000000000, "2026-01-05T09:00:00.000Z" },
        { "2026-01-05 09:00:00", QL_OK, 1767603600000000000, "2026-01-05T09:00:00.000Z" },
        { "2026-01-05 09:00:00.5", QL_OK, 1767603600500000000, "2026-01-05T09:00:00.500Z" },
        { "2026-01-05T09:00:00+02:30", QL_OK, 1767594600000000000, "2026-01-05T06:30:00.000Z" },
        { "2026-01-05T09:00:00-0100", QL_OK, 1767607200000000000, "2026-01-05T10:00:00.000Z" },
        { "2026-01-05", QL_OK, 1767571200000000000, "2026-01-05T00:00:00.000Z" },
        { "2024-02-29T12:00:00.123456789012Z", QL_OK, 1709208000123456789,
          "2024-02-29T12:00:00.123Z" },
        { "1969-12-31T23:59:59.999Z", QL_OK, -1000000, "1969-12-31T23:59:59.999Z" },
        { "2016-12-31T23:59:60Z", QL_OK, 1483228800000000000, "2017-01-01T00:00:00.000Z" },
        { "1767603600", QL_OK, 1767603600000000000, "2026-01-05T09:00:00.000Z" },
        { "1767603600.25", QL_OK, 1767603600250000000, "2026-01-05T09:00:00.250Z" },
        { "-0.001", QL_OK, -1000000, "1969-12-31T23:59:59.999Z" },
        { "9223372036", QL_OK, 9223372036000000000, "2262-04-11T23:47:16.000Z" },
        { "9223372037", QL_E_RANGE, 0, NULL },
        { "99999999999999999999", QL_E_RANGE, 0, NULL },
        { "2300-01-01T00:00:00Z", QL_E_RANGE, 0, NULL },
        { "2023-02-29T00:00:00Z", QL_E_MALFORMED, 0, NULL },
        { "2026-13-01T00:00:00Z", QL_E_MALFORMED, 0, NULL },
        { "2026-01-05T24:00:00Z", QL_E_MALFORMED, 0, NULL },
        { "2026-01-05T09:00:00.Z", QL_E_MALFORMED, 0, NULL },
        { "2026-01-05T09:00Z", QL_E_MALFORMED, 0, NULL },
        { "2026-01-05T09:00:00Zx", QL_E_MALFORMED, 0, NULL },
        { "2026-01-05T09:00:00+25:00", QL_E_MALFORMED, 0, NULL },
        { "", QL_E_MALFORMED, 0, NULL },
        { "1767603600.", QL_E_MALFORMED, 0, NULL },
        { "yesterday", QL_E_MALFORMED, 0, NULL },
    };
    char text[QL_TIME_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_time at = { 4711 };
        assert_int_equal(ql_str_to_time(ql_str_of(rows[i].text), &at), rows[i].err);
        assert_true(at.ns == (rows[i].err == QL_OK ? rows[i].ns : 4711));
        if (rows[i].shown != NULL) {
            assert_string_equal(ql_time_text(at, text), rows[i].shown);
        }
    }
    assert_string_equal(ql_time_text(QL_TIME_NONE, text), "-");
}

static void every_day_survives_the_calendar(void **state)
{
    char text[QL_TIME_TEXT_BYTES];
    (void)state;
    for (int64_t day = -100000; day < 100000; day += 13) {
        const ql_time at = { day * 86400 * QL_NS_PER_S + 3600 * QL_NS_PER_S };
        ql_time back;
        assert_int_equal(ql_str_to_time(ql_str_of(ql_time_text(at, text)), &back), QL_OK);
        assert_true(at.ns == back.ns);
    }
}

static void durations(void **state)
{
    static const struct { const char *text; ql_err err; int64_t ns; } rows[] = {
        { "0", QL_OK, 0 },
        { "90s", QL_OK, 90 * QL_NS_PER_S },
        { "5m", QL_OK, 300 * QL_NS_PER_S },
        { "1h30m", QL_OK, 5400 * QL_NS_PER_S },
        { "250ms", QL_OK, 250000000 },
        { "1m1ms", QL_OK, 60001000000 },
        { "2d", QL_OK, 172800 * QL_NS_PER_S },
        { "1w", QL_OK, 604800 * QL_NS_PER_S },
        { "7us3ns", QL_OK, 7003 },
        { "", QL_E_MALFORMED, 0 },
        { "5", QL_E_MALFORMED, 0 },
        { "m", QL_E_MALFORMED, 0 },
        { "5x", QL_E_MALFORMED, 0 },
        { "-5s", QL_E_MALFORMED, 0 },
        { "1.5s", QL_E_MALFORMED, 0 },
        { "5 s", QL_E_MALFORMED, 0 },
        { "9999999999d", QL_E_RANGE, 0 },
        { "99999999999999999999s", QL_E_RANGE, 0 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_duration got = { 4711 };
        assert_int_equal(ql_str_to_duration(ql_str_of(rows[i].text), &got), rows[i].err);
        assert_true(got.ns == (rows[i].err == QL_OK ? rows[i].ns : 4711));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),       cmocka_unit_test(whole_numbers),
        cmocka_unit_test(decimal_numbers), cmocka_unit_test(decimals_round_like_strtod),
        cmocka_unit_test(times),           cmocka_unit_test(every_day_survives_the_calendar),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
