/* Holds whether or not the page was built: what is found is whole, what is not there is not. */
#include "api/ui.h"

#include <libdeflate.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_unknown_paths(void **state)
{
    (void)state;
    static const char *const rows[] = { "", "/", "/index.htm", "/index.html/", "/../etc/passwd",
                                        "index.html" };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        print_message("%s\n", rows[i]);
        assert_null(ql_ui_find(ql_str_of(rows[i])));
    }
}

static void test_index_unpacks(void **state)
{
    (void)state;
    const struct ql_ui_file *file = ql_ui_find(QL_STR("/index.html"));
    if (file == NULL) {
        print_message("built without the page\n");
        skip();
        return;
    }
    char *plain = malloc(file->plain_bytes);
    struct libdeflate_decompressor *unpacker = libdeflate_alloc_decompressor();
    size_t bytes = 0;
    assert_non_null(plain);
    assert_non_null(unpacker);
    assert_int_equal(libdeflate_gzip_decompress(unpacker, file->gzip, file->gzip_bytes, plain,
                                                file->plain_bytes, &bytes),
                     LIBDEFLATE_SUCCESS);
    assert_int_equal(bytes, file->plain_bytes);
    assert_memory_equal(plain, "<!doctype html>", 15);
    assert_string_equal(file->content_type, "text/html; charset=utf-8");
    assert_false(file->immutable); /* it names the others and must be asked for anew */
    libdeflate_free_decompressor(unpacker);
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_unknown_paths),
                                        cmocka_unit_test(test_index_unpacks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
