/* `quell check` as it is called: what it prints where, and its exit status. */
#include "base/buf.h"
#include "base/file.h"
#include "cli/cli.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

int ql_cli_check(int argc, char **argv);

static char check_folder[] = "/tmp/quell-check-XXXXXX";

static void check_path(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", check_folder, name);
}

/* Runs it with standard output (1) or standard error (2) going to a file. */
static int check_run(int stream, int argc, char **argv, struct ql_buf *said)
{
    char path[128];
    check_path(path, "said");
    (void)fflush(NULL);
    const int kept = dup(stream), fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, stream), stream);
    const int status = ql_cli_check(argc, argv);
    (void)fflush(NULL);
    assert_int_equal(dup2(kept, stream), stream);
    (void)close(kept);
    (void)close(fd);
    ql_buf_reset(said);
    assert_int_equal(ql_file_read(path, said), QL_OK);
    (void)unlink(path);
    return status;
}

static const struct { const char *yaml, *option; int stream, status; const char *said; } rows[] = {
    { "server: {listen: ':0'}\n", NULL, 1, 0, "ok\nlistens on :0, keeps its data in ./quell-data\n" },
    { "server: {listen: ':0'}\n", NULL, 2, 0, "" },
    { "detect: {signals_per_day: 4}\n", "--explain", 1, 0, "signals_per_day: 4" },
    { "server: {lisen: ':0'}\n", NULL, 2, 2, ":1:10: unknown key 'lisen' under 'server'; did you "
                                             "mean 'listen'?" },
    { "server: {lisen: ':0'}\n", NULL, 1, 2, "" },
};

static void check_says_what_it_finds(void **state)
{
    (void)state;
    char path[128];
    struct ql_buf said;
    ql_buf_init(&said, 1 << 20);
    check_path(path, "q.yaml");
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char *argv[] = { (char[]){ "check" }, path, NULL, NULL };
        char option[32] = "";
        assert_int_equal(ql_file_replace(path, ql_str_of(rows[i].yaml)), QL_OK);
        if (rows[i].option != NULL) {
            (void)snprintf(option, sizeof(option), "%s", rows[i].option);
            argv[2] = option;
        }
        const int argc = rows[i].option == NULL ? 2 : 3;
        assert_int_equal(check_run(rows[i].stream, argc, argv, &said), rows[i].status);
        if (rows[i].said[0] == '\0') {
            assert_int_equal(said.bytes, 0);
        } else if (said.bytes == 0 || strstr(said.at, rows[i].said) == NULL) {
            fail_msg("row %u said: %s", i, said.bytes == 0 ? "" : said.at);
        }
    }
    (void)unlink(path);
    char *missing[] = { (char[]){ "check" }, (char[]){ "/nonexistent.yaml" }, NULL };
    assert_int_equal(check_run(2, 2, missing, &said), 2);
    assert_string_equal(said.at, "/nonexistent.yaml: no such thing\n");
    char *series[] = { (char[]){ "check" }, (char[]){ "--explain" }, (char[]){ "up{a=\"b\"}" },
                       NULL };
    assert_int_equal(check_run(1, 3, series, &said), 0);
    assert_non_null(strstr(said.at, "up{a=\"b\"}\n0 of 0 policies apply\n"
                                    "  direction: both  (default)"));
    assert_int_equal(ql_file_replace(path, ql_str_of(
        "slos:\n - {name: answers, target: 99, bad: 'up{a=\"b\"}', total: up}\n"
        " - {name: other, target: 99, match: down, above: 1}\n")), QL_OK);
    char *counted[] = { (char[]){ "check" }, (char[]){ "--explain" }, (char[]){ "up{a=\"b\"}" },
                        path, NULL };
    assert_int_equal(check_run(1, 4, counted, &said), 0);
    assert_non_null(strstr(said.at, "counts for: answers  (as bad, total)\n"));
    assert_null(strstr(said.at, "other"));
    (void)unlink(path);
    char *odd[] = { (char[]){ "check" }, (char[]){ "--explain" }, (char[]){ "up{a=b}" }, NULL };
    assert_int_equal(check_run(2, 3, odd, &said), 2);
    assert_non_null(strstr(said.at, "'up{a=b}' is no series"));
    char *two[] = { (char[]){ "check" }, (char[]){ "a" }, (char[]){ "b" }, NULL };
    assert_int_equal(check_run(2, 3, two, &said), 2);
    char *none[] = { (char[]){ "check" }, NULL };
    assert_int_equal(check_run(1, 1, none, &said), 0);
    ql_buf_fini(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(check_says_what_it_finds) };
    if (mkdtemp(check_folder) == NULL) {
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(check_folder) != 0 || failed != 0;
}
