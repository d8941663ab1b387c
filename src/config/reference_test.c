/* The committed docs/configuration.md is what the rows say. With QL_UPDATE=1 in the
 * environment it is written anew instead. */
#include "base/file.h"
#include "config/config.h"
#include "config/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void page_is_what_the_rows_say(void **state)
{
    (void)state;
    const char *root = getenv("QL_SOURCE_ROOT");
    char path[4096];
    struct ql_buf made, kept;
    ql_buf_init(&made, 1 << 20);
    ql_buf_init(&kept, 1 << 20);
    (void)snprintf(path, sizeof(path), "%s/docs/configuration.md", root == NULL ? "." : root);
    assert_int_equal(ql_config_reference(&made), QL_OK);
    if (getenv("QL_UPDATE") != NULL) {
        assert_int_equal(ql_file_replace(path, ql_buf_view(&made)), QL_OK);
    }
    assert_int_equal(ql_file_read(path, &kept), QL_OK);
    if (!ql_str_eq(ql_buf_view(&made), ql_buf_view(&kept))) {
        fail_msg("docs/configuration.md is old: `quell check --reference` makes the new one");
    }
    ql_buf_fini(&kept);
    ql_buf_fini(&made);
}

static void every_row_has_a_sentence(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < cf_setting_count; i++) {
        const struct cf_row *row = &cf_settings[i];
        const size_t bytes = strlen(row->sentence);
        assert_true(bytes > 8);
        assert_true(row->sentence[bytes - 1] == '.');
        assert_true(row->allowed[0] != '\0');
        for (uint32_t j = 0; j < i; j++) {
            assert_false(strcmp(row->key, cf_settings[j].key) == 0 &&
                         strcmp(row->section, cf_settings[j].section) == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(page_is_what_the_rows_say),
        cmocka_unit_test(every_row_has_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
