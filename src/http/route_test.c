/* route_test - which row serves what. Rows of the table are named by their index. */
#include "http/http_int.h"

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void nothing(void *host, struct ql_http_request *request) { (void)host, (void)request; }

static const struct ql_http_route routes[] = {
    { "GET", "/*", nothing, NULL, 0, false },
    { "POST", "/api/v1/write", nothing, NULL, 10, true },
    { "GET", "/api/v1/incidents", nothing, NULL, 0, false },
    { "GET", "/api/v1/incidents/*", nothing, NULL, 0, false },
    { "POST", "/api/v1/incidents/*", nothing, NULL, 10, false },
    { "GET", "/metrics", nothing, NULL, 0, false },
    { "POST", "/metrics", nothing, NULL, 0, false },
};

static const struct { const char *story, *method, *path; int row; const char *rest, *allow; } rows[] = {
    { "exact", "POST", "/api/v1/write", 1, "", "" },
    { "one path, two methods", "POST", "/metrics", 6, "", "" },
    { "the root of the page", "GET", "/", 0, "", "" },
    { "a file of the page", "GET", "/assets/a.js", 0, "assets/a.js", "" },
    { "HEAD is GET", "HEAD", "/metrics", 5, "", "" },
    { "exact before prefix", "GET", "/api/v1/incidents", 2, "", "" },
    { "longer prefix first", "GET", "/api/v1/incidents/7/why", 3, "7/why", "" },
    { "the method picks among equals", "POST", "/api/v1/incidents/7/ack", 4, "7/ack", "" },
    { "the page does not swallow a door", "GET", "/api/v1/write", -1, "", "POST" },
    { "a method nobody takes", "DELETE", "/metrics", -1, "", "GET, HEAD, POST" },
    { "methods are case-sensitive", "get", "/metrics", -1, "", "GET, HEAD, POST" },
    { "nothing starts so", "GET", "metrics", -1, "", "" },
};

static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char allow[64];
        ql_str rest = QL_STR("");
        print_message("  %s\n", rows[i].story);
        const struct ql_http_route *got =
            ql_http_route_find(routes, QL_COUNT_OF(routes), ql_str_of(rows[i].method),
                               ql_str_of(rows[i].path), &rest, allow, sizeof(allow));
        assert_int_equal(got == NULL ? -1 : (int)(got - routes), rows[i].row);
        assert_true(ql_str_eq(rest, ql_str_of(rows[i].rest)));
        assert_string_equal(allow, rows[i].allow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_routes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
