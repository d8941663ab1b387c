/* listen_test - what may stand in `listen`, and what is said when it cannot be had. */
#include "http/http_int.h"

#include <stdio.h>
#include <unistd.h>
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct { const char *text; ql_err err; const char *host; uint16_t port; } rows[] = {
    { "127.0.0.1:9428", QL_OK, "127.0.0.1", 9428 },
    { "[::1]:0", QL_OK, "::1", 0 },
    { ":9428", QL_OK, "", 9428 },
    { "9428", QL_OK, "", 9428 },
    { "*:80", QL_OK, "", 80 },
    { "localhost:65535", QL_OK, "localhost", 65535 },
    { "", QL_E_CONFIG, "", 0 },
    { ":", QL_E_CONFIG, "", 0 },
    { "localhost", QL_E_CONFIG, "", 0 },
    { "127.0.0.1:", QL_E_CONFIG, "", 0 },
    { "127.0.0.1:65536", QL_E_CONFIG, "", 0 },
    { "127.0.0.1:-1", QL_E_CONFIG, "", 0 },
    { "127.0.0.1:80x", QL_E_CONFIG, "", 0 },
    { "::1:80", QL_E_CONFIG, "", 0 },
    { "[::1:80", QL_E_CONFIG, "", 0 },
    { "[]:80", QL_E_CONFIG, "", 0 },
    { "http://a:80", QL_E_CONFIG, "", 0 },
    { "a b:80", QL_E_CONFIG, "", 0 },
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct http_address got = { "untouched", 1 };
        char why[512] = "";
        print_message("  '%s'\n", rows[i].text);
        assert_int_equal(ql_http_listen_parse(ql_str_of(rows[i].text), &got, why, sizeof(why)),
                         rows[i].err);
        if (rows[i].err == QL_OK) {
            assert_string_equal(got.host, rows[i].host);
            assert_int_equal(got.port, rows[i].port);
        } else {
            assert_string_equal(got.host, "untouched");
            assert_non_null(strstr(why, "allowed"));
            assert_non_null(strstr(why, rows[i].text));
        }
    }
}

static void test_in_use(void **state)
{
    (void)state;
    int first = -1, second = -1;
    uint16_t port = 0, other = 0;
    char why[512] = "", text[64];
    assert_int_equal(ql_http_listen("127.0.0.1:0", &first, &port, why, sizeof(why)), QL_OK);
    assert_int_not_equal(port, 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    assert_int_equal(ql_http_listen(text, &second, &other, why, sizeof(why)), QL_E_IO);
    assert_non_null(strstr(why, "address already in use"));
    assert_non_null(strstr(why, text));
    (void)close(first);
}

static void test_not_here(void **state)
{
    (void)state;
    int fd = -1;
    uint16_t port = 0;
    char why[512] = "";
    /* TEST-NET-1 is no machine's address. */
    assert_int_equal(ql_http_listen("192.0.2.1:0", &fd, &port, why, sizeof(why)), QL_E_IO);
    assert_non_null(strstr(why, "no such address on this machine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_not_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
