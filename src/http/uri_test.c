/* uri_test - one row, one text as a client might send it. */
#include "http/http_int.h"

#include <stdio.h>
#include <stdlib.h>
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct { const char *story, *from; bool plus; ql_err err; const char *want; } decodes[] = {
    { "nothing to do", "/api/v1/write", false, QL_OK, "/api/v1/write" },
    { "escapes in both cases", "/a%2Fb%2fc%7e", false, QL_OK, "/a/b/c~" },
    { "a plus is a plus in a path", "/a+b", false, QL_OK, "/a+b" },
    { "and a space in a query", "a+b", true, QL_OK, "a b" },
    { "UTF-8 passes", "/%C3%A9", false, QL_OK, "/\xC3\xA9" },
    { "half an escape", "/a%2", false, QL_E_MALFORMED, NULL },
    { "only the sign", "/a%", false, QL_E_MALFORMED, NULL },
    { "no hexadecimal", "/a%zz", false, QL_E_MALFORMED, NULL },
    { "an encoded NUL would cut the path", "/api%00/x", false, QL_E_MALFORMED, NULL },
    { "nothing at all", "", false, QL_OK, "" },
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(decodes); i++) {
        char to[64];
        ql_str got = QL_STR("untouched");
        print_message("  %s\n", decodes[i].story);
        const ql_err err = ql_http_decode(ql_str_of(decodes[i].from), decodes[i].plus, to, &got);
        assert_int_equal(err, decodes[i].err);
        const ql_str want = err == QL_OK ? ql_str_of(decodes[i].want) : QL_STR("untouched");
        assert_true(ql_str_eq(got, want));
    }
}

static const struct { const char *story, *from; ql_err err; const char *want; } queries[] = {
    { "none", "", QL_OK, "" },
    { "one", "a=b", QL_OK, "a=b;" },
    { "repeated, in order", "match[]=x&match[]=y", QL_OK, "match[]=x;match[]=y;" },
    { "encoded", "match%5B%5D=up%7Bjob%3D%22a+b%22%7D", QL_OK, "match[]=up{job=\"a b\"};" },
    { "no value, no equals sign", "a&b=", QL_OK, "a=;b=;" },
    { "a second equals sign belongs to the value", "a=b=c", QL_OK, "a=b=c;" },
    { "empty parts are nothing", "&&a=1&&", QL_OK, "a=1;" },
    { "an encoded ampersand does not split", "a=1%262&b=3", QL_OK, "a=1&2;b=3;" },
    { "a broken escape spoils it", "a=1&b=%4", QL_E_MALFORMED, NULL },
};

static void test_params(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(queries); i++) {
        char text[128], shown[128] = "";
        struct http_params params = { .at = NULL };
        print_message("  %s\n", queries[i].story);
        (void)snprintf(text, sizeof(text), "%s", queries[i].from);
        assert_int_equal(ql_http_params_parse(text, strlen(text), &params), queries[i].err);
        for (uint32_t p = 0; queries[i].err == QL_OK && p < params.count; p++) {
            const size_t at = strlen(shown);
            (void)snprintf(shown + at, sizeof(shown) - at, "%.*s=%.*s;",
                           QL_STR_ARG(params.at[p].name), QL_STR_ARG(params.at[p].value));
        }
        if (queries[i].err == QL_OK) {
            assert_string_equal(shown, queries[i].want);
        }
        free(params.at);
    }
}

static void test_too_many_params(void **state)
{
    (void)state;
    char text[2 * (HTTP_PARAMS_MAX + 2)];
    struct http_params params = { .at = NULL };
    memset(text, 'a', sizeof(text));
    for (size_t i = 1; i < sizeof(text); i += 2) {
        text[i] = '&';
    }
    assert_int_equal(ql_http_params_parse(text, sizeof(text), &params), QL_E_FULL);
    assert_null(params.at);
    assert_int_equal(ql_http_params_parse(text, 2 * HTTP_PARAMS_MAX - 1, &params), QL_OK);
    assert_int_equal(params.count, HTTP_PARAMS_MAX);
    free(params.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_too_many_params),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
