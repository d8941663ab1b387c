/* Single values: what is read, what is refused and how it is shown again. */
#include "config/config.h"
#include "config/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct value_row {
    enum cf_type type;
    const char *allowed, *text;
    const char *shown; /* as it is shown again; NULL: refused */
    const char *why;
} value_rows[] = {
    { CF_COUNT, "1 to 64", "1", "1", NULL },
    { CF_COUNT, "1 to 64", "64", "64", NULL },
    { CF_COUNT, "1 to 64", "65", NULL, "65 is out of range; allowed: 1 to 64" },
    { CF_COUNT, "1 to 64", "0", NULL, "0 is out of range; allowed: 1 to 64" },
    { CF_COUNT, "1 to 64", "-1", NULL, "-1 is out of range; allowed: 1 to 64" },
    { CF_COUNT, "1 to 64", "1.5", NULL, "'1.5' is not a whole number; allowed: 1 to 64" },
    { CF_COUNT, "1 to 64", "99999999999999999999", NULL,
      "99999999999999999999 is out of range; allowed: 1 to 64" },
    { CF_COUNT, "1 to 64", "", NULL, "'' is not a whole number; allowed: 1 to 64" },
    { CF_REAL, "0.01 to 10", "0.25", "0.25", NULL },
    { CF_REAL, "0.01 to 10", "NaN", NULL, "NaN is out of range; allowed: 0.01 to 10" },
    { CF_REAL, "0.01 to 10", "ten", NULL, "'ten' is not a number; allowed: 0.01 to 10" },
    { CF_DURATION, "1s to 1d", "90s", "1m30s", NULL },
    { CF_DURATION, "1s to 1d", "1h30m", "1h30m", NULL },
    { CF_DURATION, "1ms to 1d", "1500ms", "1s500ms", NULL },
    { CF_DURATION, "1s to 1d", "1d", "1d", NULL },
    { CF_DURATION, "1s to 1d", "2d", NULL, "2d is out of range; allowed: 1s to 1d" },
    { CF_DURATION, "0s to 1d", "0s", "0s", NULL },
    { CF_DURATION, "1s to 1d", "90", NULL,
      "'90' is not a duration such as 90s, 5m or 1h30m; allowed: 1s to 1d" },
    { CF_BYTES, "1KiB to 1GiB", "64MiB", "64MiB", NULL },
    { CF_BYTES, "1KiB to 1GiB", "1.5 KiB", "1536B", NULL },
    { CF_BYTES, "1KiB to 1GiB", "2MB", "2000000B", NULL },
    { CF_BYTES, "1KiB to 1GiB", "1023B", NULL, "1023B is out of range; allowed: 1KiB to 1GiB" },
    { CF_BYTES, "1KiB to 1GiB", "64", NULL,
      "'64' is not a size such as 64MiB or 1GiB; allowed: 1KiB to 1GiB" },
    { CF_BYTES, "1KiB to 1GiB", "MiB", NULL,
      "'MiB' is not a size such as 64MiB or 1GiB; allowed: 1KiB to 1GiB" },
    { CF_CHOICE, "info, warn", "warn", "warn", NULL },
    { CF_CHOICE, "info, warn", "war", NULL, "'war' is not known; allowed: info, warn" },
    { CF_BOOL, "false, true", "true", "true", NULL },
    { CF_BOOL, "false, true", "yes", NULL, "'yes' is not known; allowed: false, true" },
    { CF_MODE, "off, observe, approve, auto", "auto", "auto", NULL },
    { CF_ADDRESS, "HOST:PORT", "127.0.0.1:9428", "\"127.0.0.1:9428\"", NULL },
    { CF_ADDRESS, "HOST:PORT", ":0", "\":0\"", NULL },
    { CF_ADDRESS, "HOST:PORT", "[::1]:80", "\"[::1]:80\"", NULL },
    { CF_ADDRESS, "HOST:PORT", "localhost", NULL,
      "'localhost' is not an address; allowed: HOST:PORT" },
    { CF_ADDRESS, "HOST:PORT", "a:65536", NULL, "'a:65536' is not an address; allowed: HOST:PORT" },
    { CF_ADDRESS, "HOST:PORT", "::1:80", NULL, "'::1:80' is not an address; allowed: HOST:PORT" },
    { CF_TEXT, "a path", "a b", "\"a b\"", NULL },
    { CF_TEXT, "a path", "", NULL, "an empty text is not allowed here; allowed: a path" },
};

struct value_holder { double room[2]; };

static void value_reads(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(value_rows); i++) {
        const struct value_row *r = &value_rows[i];
        const struct cf_row row = { .key = "k", .type = r->type, .allowed = r->allowed };
        struct value_holder holder = { { 0 } };
        struct ql_arena arena;
        struct ql_buf shown;
        char why[280] = "";
        ql_arena_init(&arena, 65536);
        ql_buf_init(&shown, 1024);
        const ql_err err =
            cf_value_read(&row, ql_str_of(r->text), &arena, &holder, why, sizeof(why));
        if (r->shown == NULL) {
            assert_int_equal(err, QL_E_CONFIG);
            assert_string_equal(why, r->why);
        } else {
            if (err != QL_OK) {
                fail_msg("'%s': %s", r->text, why);
            }
            assert_int_equal(cf_value_show(&row, &holder, &shown), QL_OK);
            assert_string_equal(shown.at, r->shown);
        }
        ql_buf_fini(&shown);
        ql_arena_fini(&arena);
    }
}

static const struct { const char *a, *b; uint32_t distance; } distance_rows[] = {
    { "", "", 0 }, { "a", "", 1 }, { "", "abc", 3 }, { "listen", "lisen", 1 },
    { "kitten", "sitting", 3 }, { "flaw", "lawn", 2 }, { "same", "same", 0 },
};

static void distance_is_levenshtein(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(distance_rows); i++) {
        const ql_str a = ql_str_of(distance_rows[i].a), b = ql_str_of(distance_rows[i].b);
        assert_int_equal(cf_distance(a, b), distance_rows[i].distance);
        assert_int_equal(cf_distance(b, a), distance_rows[i].distance);
    }
}

static void nearest_is_near_or_nothing(void **state)
{
    (void)state;
    static const char *const known[] = { "listen", "data_dir", "tick" };
    assert_string_equal(cf_nearest(QL_STR("lisen"), known, 3), "listen");
    assert_string_equal(cf_nearest(QL_STR("datadir"), known, 3), "data_dir");
    assert_string_equal(cf_nearest(QL_STR("tock"), known, 3), "tick");
    assert_null(cf_nearest(QL_STR("colour"), known, 3));
    assert_null(cf_nearest(QL_STR(""), known, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_reads),
        cmocka_unit_test(distance_is_levenshtein),
        cmocka_unit_test(nearest_is_near_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
