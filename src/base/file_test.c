/* file_test - whole files in and out, and what each failure is called. */
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *path_of(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void replace_then_read(void **state)
{
    static const char *const contents[] = { "one", "", "a longer second content" };
    struct ql_buf out;
    (void)state;
    ql_buf_init(&out, 100);
    for (size_t i = 0; i < QL_COUNT_OF(contents); i++) {
        ql_buf_reset(&out);
        assert_int_equal(ql_file_replace(path_of("f"), ql_str_of(contents[i])), QL_OK);
        assert_int_equal(ql_file_read(path_of("f"), &out), QL_OK);
        assert_true(ql_str_eq(ql_buf_view(&out), ql_str_of(contents[i])));
        assert_int_equal(access(path_of("f.tmp"), F_OK), -1);
    }
    ql_buf_fini(&out);
}

static void failures_have_names(void **state)
{
    struct ql_buf out;
    (void)state;
    ql_buf_init(&out, 4);
    assert_int_equal(ql_file_read(path_of("none"), &out), QL_E_NOT_FOUND);
    assert_int_equal(ql_file_read(folder, &out), QL_E_IO);
    assert_int_equal(ql_file_replace(path_of("no/such/folder"), QL_STR("x")), QL_E_NOT_FOUND);
    assert_int_equal(ql_file_replace(path_of("five"), QL_STR("12345")), QL_OK);
    assert_int_equal(ql_file_read(path_of("five"), &out), QL_E_TOO_LARGE);
    assert_int_equal(ql_file_sync_dir(path_of("none")), QL_E_NOT_FOUND);
    ql_buf_fini(&out);
}

/* A full disk must leave the old content: /dev/full refuses every byte. */
static void full_disk_keeps_the_old_file(void **state)
{
    struct ql_buf out;
    (void)state;
    ql_buf_init(&out, 100);
    assert_int_equal(ql_file_replace(path_of("kept"), QL_STR("old")), QL_OK);
    assert_int_equal(symlink("/dev/full", path_of("kept.tmp")), 0);
    assert_int_equal(ql_file_replace(path_of("kept"), QL_STR("new")), QL_E_IO);
    assert_int_equal(ql_file_read(path_of("kept"), &out), QL_OK);
    assert_string_equal(out.at, "old");
    ql_buf_fini(&out);
}

static void folders_are_made(void **state)
{
    (void)state;
    assert_int_equal(ql_file_make_dirs(path_of("a/b/c")), QL_OK);
    assert_int_equal(ql_file_make_dirs(path_of("a/b/c")), QL_OK);
    assert_int_equal(ql_file_make_dirs(path_of("a/b/c/")), QL_OK);
    assert_int_equal(access(path_of("a/b/c"), F_OK), 0);
    assert_int_equal(ql_file_replace(path_of("plain"), QL_STR("")), QL_OK);
    assert_int_equal(ql_file_make_dirs(path_of("plain")), QL_E_IO);
    assert_int_not_equal(ql_file_make_dirs(path_of("plain/x")), QL_OK);
    assert_int_not_equal(ql_file_make_dirs(""), QL_OK);
}

static int folder_make(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/ql_file_test_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int folder_remove(void **state)
{
    static const char *const names[] = { "f", "five", "kept", "kept.tmp", "plain", "a/b/c", "a/b",
                                         "a", "" };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        (void)remove(path_of(names[i]));
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_then_read),
        cmocka_unit_test(failures_have_names),
        cmocka_unit_test(full_disk_keeps_the_old_file),
        cmocka_unit_test(folders_are_made),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
