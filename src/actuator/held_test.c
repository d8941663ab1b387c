/* held_test - a command runs when it is told to, and never when who would tell has died. */
#include "actuator/held.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *story;
    bool told;
    const char *word;
    int status;
    const char *output;
} rows[] = {
    { "told to", true, "/bin/echo", 0, "ran\n" },
    { "the actuator dies", false, "/bin/echo", QL_HELD_NOT_RUN, "" },
    { "there is no such program", true, "/no/such/program", QL_HELD_NOT_FOUND,
      "cannot start /no/such/program: no such file or directory" },
};

/* The held process's own life: never returns. */
static void hold(const int go[2], const int output[2], const char *word)
{
    char argument[] = "ran", path[64];
    (void)snprintf(path, sizeof(path), "%s", word);
    char *argv[] = { path, argument, NULL };
    (void)close(go[1]);
    (void)close(output[0]);
    (void)dup2(output[1], STDOUT_FILENO);
    (void)dup2(go[0], QL_HELD_FD);
    _exit(ql_actuator_held(argv));
}

static void a_command_runs_only_when_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int go[2], output[2], status;
        char text[256];
        size_t have = 0;
        print_message("%s\n", rows[i].story);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        assert_int_equal(pipe2(output, O_CLOEXEC), 0);
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            hold(go, output, rows[i].word);
        }
        (void)close(go[0]);
        (void)close(output[1]);
        if (rows[i].told) {
            assert_int_equal(write(go[1], "", 1), 1);
        }
        (void)close(go[1]);
        for (ssize_t got; (got = read(output[0], text + have, sizeof(text) - 1 - have)) > 0;) {
            have += (size_t)got;
        }
        text[have] = '\0';
        (void)close(output[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), rows[i].status);
        assert_string_equal(text, rows[i].output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_command_runs_only_when_told) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
