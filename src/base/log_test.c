/* log_test - one line an event, quoted, cut where it is too long, still valid. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct capture { FILE *file; int stderr_was; char text[8192]; };

static void capture_begin(struct capture *c)
{
    c->file = tmpfile();
    assert_non_null(c->file);
    c->stderr_was = dup(STDERR_FILENO);
    assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

static const char *capture_end(struct capture *c)
{
    assert_true(dup2(c->stderr_was, STDERR_FILENO) >= 0);
    (void)close(c->stderr_was);
    const ssize_t bytes = pread(fileno(c->file), c->text, sizeof(c->text) - 1, 0);
    assert_true(bytes >= 0);
    c->text[bytes] = '\0';
    (void)fclose(c->file);
    return c->text;
}

/* What follows the time, which is the one thing that differs from run to run. */
static const char *after_time(const char *line, const char *mark)
{
    const char *at = strstr(line, mark);
    assert_non_null(at);
    return at;
}

static void both_formats(void **state)
{
    struct capture c;
    (void)state;
    capture_begin(&c);
    ql_log_setup(QL_LOG_INFO, QL_LOG_LOGFMT);
    QL_LOG(INFO, "a b", QL_LOG_T("plain", "x"), QL_LOG_T("odd", "q\"\n\x01"), QL_LOG_T("none", ""),
           QL_LOG_N("n", 3), QL_LOG_N("f", 0.5));
    QL_LOG(DEBUG, "not shown");
    assert_string_equal(after_time(capture_end(&c), " level"),
                        " level=info msg=\"a b\" plain=x odd=\"q\\\"\\n\\u0001\" none=\"\""
                        " n=3 f=0.5\n");
    capture_begin(&c);
    ql_log_setup(QL_LOG_WARN, QL_LOG_JSON);
    QL_LOG(INFO, "not shown");
    ql_log_write(QL_LOG_ERROR, "m", NULL);
    QL_LOG(WARN, "x\\y", QL_LOG_N("n", -2));
    const char *text = capture_end(&c);
    assert_int_equal(strncmp(text, "{\"time\":\"", 9), 0);
    assert_non_null(strstr(text, ",\"level\":\"error\",\"msg\":\"m\"}\n{\"time\""));
    assert_non_null(strstr(text, ",\"level\":\"warn\",\"msg\":\"x\\\\y\",\"n\":-2}\n"));
}

/* Cut at every offset inside a text of three-byte characters and escapes. */
static void long_lines_are_cut_whole(void **state)
{
    static char wide[6000];
    (void)state;
    ql_log_setup(QL_LOG_INFO, QL_LOG_JSON);
    for (size_t shift = 0; shift < 8; shift++) {
        struct capture c;
        memset(wide, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof(wide); i += 4) {
            memcpy(wide + i, "\xe2\x82\xac\"", 5);
        }
        capture_begin(&c);
        QL_LOG(INFO, "long", QL_LOG_T("wide", wide), QL_LOG_T("after", "lost"));
        const char *text = capture_end(&c);
        const char *end = after_time(text, "\",\"cut\":true}\n");
        assert_true(strlen(text) <= 4096);
        assert_int_equal(strlen(end), 14);
        assert_null(strstr(text, "after"));
        const bool whole = end[-1] == 'x' || memcmp(end - 3, "\xe2\x82\xac", 3) == 0 ||
                           memcmp(end - 2, "\\\"", 2) == 0;
        assert_true(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_formats),
        cmocka_unit_test(long_lines_are_cut_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
