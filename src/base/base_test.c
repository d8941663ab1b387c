/* base_test - error rows and hashes keep what is written to journals. */
#include "base/base.h"
#include "base/clock.h"
#include "base/pages.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void errors_are_stable(void **state)
{
    static const struct { ql_err err; int code; const char *name; enum ql_err_class class_; }
    rows[] = {
        { QL_OK, 0, "OK", QL_CLASS_NONE },
        { QL_E_FULL, -1, "FULL", QL_CLASS_OPER },
        { QL_E_IO, -2, "IO", QL_CLASS_OPER },
        { QL_E_TIMEOUT, -3, "TIMEOUT", QL_CLASS_OPER },
        { QL_E_MALFORMED, -4, "MALFORMED", QL_CLASS_DATA },
        { QL_E_RANGE, -5, "RANGE", QL_CLASS_DATA },
        { QL_E_STALE, -6, "STALE", QL_CLASS_DATA },
        { QL_E_CONFIG, -7, "CONFIG", QL_CLASS_CONF },
        { QL_E_VERSION, -8, "VERSION", QL_CLASS_CONF },
        { QL_E_NOT_FOUND, -9, "NOT_FOUND", QL_CLASS_OPER },
        { QL_E_CLOSED, -10, "CLOSED", QL_CLASS_OPER },
        { QL_E_MEMORY, -11, "MEMORY", QL_CLASS_OPER },
        { QL_E_TOO_LARGE, -12, "TOO_LARGE", QL_CLASS_DATA },
        { QL_E_UNSUPPORTED, -13, "UNSUPPORTED", QL_CLASS_DATA },
        { QL_E_CONFLICT, -14, "CONFLICT", QL_CLASS_OPER },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        assert_int_equal(rows[i].err, rows[i].code);
        assert_string_equal(ql_err_name(rows[i].err), rows[i].name);
        assert_int_equal(ql_err_class_of(rows[i].err), rows[i].class_);
        assert_true(strlen(ql_err_text(rows[i].err)) > 1);
    }
    assert_string_equal(ql_err_name((ql_err)-999), "UNKNOWN");
    assert_int_equal(ql_err_class_of((ql_err)-999), QL_CLASS_BUG);
}

/* Ids stand in stores and journals, so these numbers may never change. */
static void hashes_are_stable(void **state)
{
    (void)state;
    assert_true(ql_hash64("", 0) == UINT64_C(0x2D06800538D394C2));
    const ql_hash128 empty = ql_hash128_of("", 0);
    assert_true(empty.high == UINT64_C(0x99AA06D3014798D8));
    assert_true(empty.low == UINT64_C(0x6001C324468D497F));
    assert_true(ql_hash64("a", 1) != ql_hash64("b", 1));
    assert_false(ql_hash128_eq(ql_hash128_of("a", 1), ql_hash128_of("b", 1)));
    assert_true(ql_hash128_eq(ql_hash128_of("abc", 3), ql_hash128_of("abc", 3)));
}

static void milliseconds_floor(void **state)
{
    (void)state;
    assert_int_equal(ql_time_to_ms((ql_time){ 1999999 }), 1);
    assert_int_equal(ql_time_to_ms((ql_time){ -1 }), -1);
    assert_int_equal(ql_time_to_ms((ql_time){ -1000000 }), -1);
    assert_int_equal(ql_time_to_ms(ql_time_from_ms(-5)), -5);
}

static void clocks_run_forward(void **state)
{
    (void)state;
    const int64_t mono = ql_clock_mono_ns(), cpu = ql_clock_cpu_ns();
    assert_true(ql_clock_mono_ns() >= mono);
    assert_true(ql_clock_cpu_ns() >= cpu);
    assert_true(ql_clock_now().ns > 1600000000 * QL_NS_PER_S);
}

/* A terabyte costs address space only; both ends are zero and can be written. */
static void pages_are_zero_and_lazy(void **state)
{
    const size_t bytes = (size_t)1 << 40;
    (void)state;
    unsigned char *at = ql_pages_new(bytes);
    assert_non_null(at);
    assert_int_equal(at[0], 0);
    assert_int_equal(at[bytes - 1], 0);
    at[bytes - 1] = 1;
    ql_pages_free(at, bytes);
    ql_pages_free(NULL, bytes);
}

/* What was made ready is zero, what was written stays; the last stretch ends with the table. */
static void pages_are_got_in_stretches(void **state)
{
    const size_t bytes = ((size_t)1 << 20) + 4096;
    size_t ready = 0;
    (void)state;
    unsigned char *at = ql_pages_new(bytes);
    assert_non_null(at);
    for (size_t i = 0; i < bytes; i += 1000) {
        ql_pages_ready(at, bytes, &ready, i + 1);
        assert_true(ready > i);
        assert_int_equal(at[i], 0);
        at[i] = 1;
    }
    ql_pages_ready(at, bytes, &ready, bytes);
    for (size_t i = 0; i < bytes; i++) {
        assert_int_equal(at[i], i % 1000 == 0);
    }
    ql_pages_free(at, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_stable),     cmocka_unit_test(hashes_are_stable),
        cmocka_unit_test(milliseconds_floor),    cmocka_unit_test(clocks_run_forward),
        cmocka_unit_test(pages_are_zero_and_lazy), cmocka_unit_test(pages_are_got_in_stretches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
