/* The program as it is called: every verb tells its help, and what is no verb is refused. */
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

struct said { struct ql_buf out, err; };

/* From now on what is written to `stream` goes to a file without a name; returns the old one. */
static int said_divert(int stream, int *ret_file)
{
    char path[] = "/tmp/quell-verbs-XXXXXX";
    const int kept = dup(stream);
    *ret_file = mkostemp(path, O_CLOEXEC);
    assert_true(kept >= 0 && *ret_file >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(dup2(*ret_file, stream), stream);
    return kept;
}

static void said_restore(int stream, int kept, int file, struct ql_buf *out)
{
    char part[4096];
    ssize_t bytes;
    assert_int_equal(dup2(kept, stream), stream);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    ql_buf_reset(out);
    while ((bytes = read(file, part, sizeof(part))) > 0) {
        assert_int_equal(ql_buf_put(out, part, (size_t)bytes), QL_OK);
    }
    assert_int_equal(ql_buf_char(out, '\0'), QL_OK); /* as a string */
    (void)close(kept);
    (void)close(file);
}

static int run(struct said *said, const char *const words[4])
{
    char *argv[6] = { (char[]){ "quell" } };
    int argc = 1, files[2], kept[2];
    for (int i = 0; i < 4 && words[i] != NULL; i++) {
        argv[argc] = strdup(words[i]);
        assert_non_null(argv[argc++]);
    }
    (void)fflush(NULL);
    kept[0] = said_divert(STDOUT_FILENO, &files[0]);
    kept[1] = said_divert(STDERR_FILENO, &files[1]);
    const int status = ql_cli_main(argc, argv);
    (void)fflush(NULL);
    said_restore(STDERR_FILENO, kept[1], files[1], &said->err);
    said_restore(STDOUT_FILENO, kept[0], files[0], &said->out);
    for (int i = 1; i < argc; i++) {
        free(argv[i]);
    }
    return status;
}

static void helps(struct said *said, const struct ql_verb *verb, const char *const words[4])
{
    char usage[512];
    (void)snprintf(usage, sizeof(usage), "usage: quell %s %s\n%s\n", verb->name, verb->usage,
                   verb->summary);
    print_message("quell %s %s %s\n", words[0], words[1], words[2] != NULL ? words[2] : "");
    assert_int_equal(run(said, words), 0);
    assert_string_equal(said->err.at, "");
    assert_int_equal(strncmp(said->out.at, usage, strlen(usage)), 0);
    assert_non_null(strstr(said->out.at, verb->help));
}

static void every_verb_tells_its_help(void **state)
{
    struct said *said = *state;
    for (uint32_t i = 0; i < ql_verb_count; i++) {
        const struct ql_verb *verb = &ql_verbs[i];
        helps(said, verb, (const char *const[4]){ verb->name, "-h" });
        helps(said, verb, (const char *const[4]){ verb->name, "--help" });
        helps(said, verb, (const char *const[4]){ verb->name, "--url=x", "-h" });
        helps(said, verb, (const char *const[4]){ "help", verb->name });
    }
}

static void the_rest_of_the_line(void **state)
{
    struct said *said = *state;
    static const struct {
        const char *words[4];
        int status;
        bool on_out;
        const char *part;
    } rows[] = {
        { { "-h" }, 0, true, "usage: quell VERB" },
        { { "--help" }, 0, true, "usage: quell VERB" },
        { { "help" }, 0, true, "Exit status:\n  0  done\n" },
        { { "--version" }, 0, true, "quell " },
        { { NULL }, 2, false, "usage: quell VERB" },
        { { "fly" }, 2, false, "no verb 'fly'" },
        { { "fly", "-h" }, 2, false, "no verb 'fly'" },
        { { "help", "fly" }, 2, false, "no verb 'fly'" },
        { { "version", "--", "-h" }, 2, false, "usage: quell version" }, /* a word now */
        { { "show" }, 2, false, "usage: quell show" },
        { { "show", "--nothing", "1" }, 2, false, "usage: quell show" },
        { { "show", "--entity", "a", "1" }, 2, false, "it takes no such option" },
        { { "replay", "-o", "csv" }, 2, false, "-o takes json or table, not 'csv'\n" },
        { { "backtest", "--output", "csv" }, 2, false, "-o takes json or table, not 'csv'\n" },
        { { "audit", "/proc/nothing" }, 2, false, "/proc/nothing/audit.db: no such thing" },
        { { "replay", "--output", "json", "/proc/nothing" }, 2, false, "no journal there" },
        { { "detect", "/proc/nothing" }, 2, false, "/proc/nothing: no such thing" },
        { { "serve", "--config", "/proc/nothing" }, 2, false, "/proc/nothing: No such file" },
        { { "status", "--url", "http://127.0.0.1:1" }, 1, false, "no daemon at" },
    };
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const int status = run(said, rows[i].words);
        const char *on = rows[i].on_out ? said->out.at : said->err.at;
        const char *off = rows[i].on_out ? said->err.at : said->out.at;
        if (status != rows[i].status || strstr(on, rows[i].part) == NULL || off[0] != '\0') {
            fail_msg("row %u: %d\nout: %s\nerr: %s", i, status, said->out.at, said->err.at);
        }
    }
}

/* A full disk below a redirection: the answer is lost, and so the status may not be 0. */
static void an_answer_that_is_lost(void **state)
{
    static const char *const rows[][4] = {
        { "version" }, { "help" }, { "audit", "-h" }, { "check" }, { "check", "--reference" },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        (void)fflush(NULL);
        const int full = open("/dev/full", O_WRONLY | O_CLOEXEC), kept = dup(STDOUT_FILENO);
        assert_true(full >= 0 && kept >= 0);
        assert_int_equal(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
        char *argv[] = { (char[]){ "quell" }, strdup(rows[i][0]),
                         rows[i][1] == NULL ? NULL : strdup(rows[i][1]), NULL };
        const int status = ql_cli_main(rows[i][1] == NULL ? 2 : 3, argv);
        assert_int_equal(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
        clearerr(stdout);
        (void)close(full);
        (void)close(kept);
        free(argv[1]);
        free(argv[2]);
        assert_int_equal(status, 1);
    }
}

/* The list of exit statuses stands in the help and in docs/cli.md, word by word. */
static void the_page_tells_the_same(void **state)
{
    struct said *said = *state;
    char path[4096];
    struct ql_buf page;
    const char *root = getenv("QL_SOURCE_ROOT");
    ql_buf_init(&page, 1 << 20);
    (void)snprintf(path, sizeof(path), "%s/docs/cli.md", root == NULL ? "." : root);
    assert_int_equal(ql_file_read(path, &page), QL_OK);
    assert_int_equal(run(said, (const char *const[4]){ "help" }), 0);
    const char *statuses = strstr(said->out.at, "Exit status:");
    assert_non_null(statuses);
    assert_non_null(strstr(page.at, statuses));
    for (uint32_t i = 0; i < ql_verb_count; i++) {
        char row[64];
        (void)snprintf(row, sizeof(row), "`%s`", ql_verbs[i].name);
        if (ql_verbs[i].summary[0] != '\0' && strstr(page.at, row) == NULL) {
            fail_msg("docs/cli.md does not tell of %s", row);
        }
    }
    ql_buf_fini(&page);
}

int main(void)
{
    struct said said;
    ql_buf_init(&said.out, 1 << 20);
    ql_buf_init(&said.err, 1 << 20);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_verb_tells_its_help, &said),
        cmocka_unit_test_prestate(the_rest_of_the_line, &said),
        cmocka_unit_test(an_answer_that_is_lost),
        cmocka_unit_test_prestate(the_page_tells_the_same, &said),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ql_buf_fini(&said.out);
    ql_buf_fini(&said.err);
    return failed;
}
