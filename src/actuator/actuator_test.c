/* Real processes: this test is its own actuator when it is started as one. Waits are for
 * events, with a deadline; nothing sleeps for a fixed time. */
#include "actuator/actuator.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_WAIT_S 60
#define RIG_OUTCOMES_MAX 64u

struct seen { uint64_t id; int exit_code; bool timed_out; size_t bytes; char output[65537]; };
struct rig {
    char dir[64];
    struct ql_actuator *actuator;
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct seen seen[RIG_OUTCOMES_MAX];
    uint32_t count;
};

static void rig_outcome(void *context, const struct ql_outcome *outcome)
{
    struct rig *rig = context;
    (void)pthread_mutex_lock(&rig->lock);
    assert_true(rig->count < RIG_OUTCOMES_MAX);
    struct seen *seen = &rig->seen[rig->count++];
    seen->id = outcome->action.v;
    seen->exit_code = outcome->exit_code;
    seen->timed_out = outcome->timed_out;
    seen->bytes = outcome->output.bytes;
    memcpy(seen->output, outcome->output.at, outcome->output.bytes);
    seen->output[outcome->output.bytes] = '\0';
    (void)pthread_cond_signal(&rig->arrived);
    (void)pthread_mutex_unlock(&rig->lock);
}

static const char *rig_variables[] = { "QL_TEST_SECRET_NOT", "QL_TEST_GIVEN=yes" };

static void rig_start(struct rig *rig)
{
    const struct ql_actuator_env env = { .data_dir = rig->dir, .outcome = rig_outcome,
                                         .context = rig, .variables = rig_variables,
                                         .variable_count = 2 };
    assert_int_equal(ql_actuator_spawn(&env, &rig->actuator), QL_OK);
}

static struct rig *rig_open(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/quell-actuator-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    (void)pthread_mutex_init(&rig->lock, NULL);
    (void)pthread_cond_init(&rig->arrived, NULL);
    rig_start(rig);
    return rig;
}

static void rig_stop(struct rig *rig)
{
    ql_actuator_stop(rig->actuator); /* NULL is fine */
    ql_actuator_free(rig->actuator);
    rig->actuator = NULL;
}

static void rig_close(struct rig *rig)
{
    char path[512];
    rig_stop(rig);
    DIR *dir = opendir(rig->dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        (void)snprintf(path, sizeof(path), "%s/%s", rig->dir, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(rig->dir), 0);
    (void)pthread_cond_destroy(&rig->arrived);
    (void)pthread_mutex_destroy(&rig->lock);
    free(rig);
}

/* argv as one text with '~' between the words. */
static ql_err rig_send(struct rig *rig, uint64_t id, const char *words, ql_duration timeout)
{
    char argv[1024];
    const size_t bytes = strlen(words) + 1;
    memcpy(argv, words, bytes);
    for (char *at = argv; (at = strchr(at, '~')) != NULL;) {
        *at = '\0';
        at++;
    }
    const struct ql_action action = { .id = { id }, .argv = { argv, bytes }, .timeout = timeout };
    return ql_actuator_send(rig->actuator, &action);
}

/* Waits for the n-th outcome (from 1) and returns it. */
static const struct seen *rig_wait(struct rig *rig, uint32_t n)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_WAIT_S;
    (void)pthread_mutex_lock(&rig->lock);
    while (rig->count < n) {
        if (pthread_cond_timedwait(&rig->arrived, &rig->lock, &until) != 0) {
            (void)pthread_mutex_unlock(&rig->lock);
            fail_msg("outcome %u did not come", n);
        }
    }
    (void)pthread_mutex_unlock(&rig->lock);
    return &rig->seen[n - 1];
}

/* Whether a process has ended. Init may take its time to bury it; the dead do nothing. */
static bool process_ended(int pid)
{
    char path[64];
    struct ql_buf text;
    ql_buf_init(&text, 4096);
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const char *name_end =
        ql_file_read(path, &text) == QL_OK ? strrchr(text.at, ')') : NULL;
    const bool ended = name_end == NULL || name_end[2] == 'Z' || name_end[2] == 'X';
    ql_buf_fini(&text);
    return ended;
}

static void process_await_end(int pid)
{
    for (int i = 0; i < RIG_WAIT_S * 200 && !process_ended(pid); i++) {
        (void)usleep(5000);
    }
    assert_true(process_ended(pid));
}

static const struct { const char *words; int exit_code; const char *output; } command_rows[] = {
    { "/bin/true", 0, "" },
    { "/bin/false", 1, "" },
    { "/bin/echo~a  b~$HOME~;", 0, "a  b $HOME ;\n" },
    { "/bin/sh~-c~echo out; echo err >&2; exit 7", 7, "out\nerr\n" },
    { "/bin/sh~-c~kill -9 $$", 137, "" },
    { "/no/such/program", 127, "cannot start /no/such/program: no such file or directory" },
    { "/bin/sh~-c~cat; echo end", 0, "end\n" }, /* nothing on standard input */
    { "/bin/sh~-c~echo \"$QL_TEST_GIVEN-$QL_TEST_SECRET\"", 0, "yes-\n" },
    { "/bin/ls~/proc/self/fd", 0, "0\n1\n2\n3\n" }, /* 3: what ls reads; nothing of ours */
};

static void commands_run_and_are_told(void **state)
{
    (void)state;
    (void)setenv("QL_TEST_SECRET", "hunter2", 1);
    struct rig *rig = rig_open();
    for (uint32_t i = 0; i < QL_COUNT_OF(command_rows); i++) {
        assert_int_equal(rig_send(rig, i + 1, command_rows[i].words, QL_S(10)), QL_OK);
        const struct seen *seen = rig_wait(rig, i + 1);
        assert_int_equal(seen->id, i + 1);
        assert_string_equal(seen->output, command_rows[i].output);
        assert_int_equal(seen->exit_code, command_rows[i].exit_code);
        assert_false(seen->timed_out);
    }
    assert_int_equal(rig_send(rig, 99, "true", QL_S(10)), QL_E_RANGE);
    rig_close(rig);
}

/* The whole group ends at the timeout: the shell and what it started in the background. */
static void a_timeout_ends_the_whole_group(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    assert_int_equal(rig_send(rig, 1, "/bin/sh~-c~sleep 600 & echo $!; wait", QL_MS(1500)), QL_OK);
    const struct seen *seen = rig_wait(rig, 1);
    assert_true(seen->timed_out);
    assert_int_equal(seen->exit_code, 128 + SIGTERM);
    const int pid = (int)strtol(seen->output, NULL, 10);
    assert_true(pid > 1);
    process_await_end(pid);
    rig_close(rig);
}

static void who_ignores_the_first_signal_gets_the_second(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    assert_int_equal(rig_send(rig, 1, "/bin/sh~-c~trap '' TERM; while :; do sleep 600; done",
                              QL_MS(1500)), QL_OK); /* the trap is set by then */
    const struct seen *seen = rig_wait(rig, 1);
    assert_true(seen->timed_out);
    assert_int_equal(seen->exit_code, 128 + SIGKILL);
    rig_close(rig);
}

static void a_flood_is_cut_in_the_middle(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    assert_int_equal(rig_send(rig, 1, "/bin/sh~-c~echo first; head -c 3000000 /dev/zero | tr '\\0' x;"
                                      " echo; echo last", QL_S(20)), QL_OK);
    const struct seen *seen = rig_wait(rig, 1);
    assert_int_equal(seen->exit_code, 0);
    assert_int_equal(seen->bytes, QL_ACTUATOR_OUTPUT_MAX);
    assert_memory_equal(seen->output, "first\nxxx", 9);
    assert_null(memchr(seen->output, '\0', seen->bytes));
    assert_string_equal(seen->output + seen->bytes - 7, "x\nlast\n");
    assert_non_null(strstr(seen->output, "[... cut ...]"));
    rig_close(rig);
}

static void an_id_runs_once_for_ever(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    char words[256], path[128];
    struct ql_buf text;
    ql_buf_init(&text, 4096);
    (void)snprintf(path, sizeof(path), "%s/count", rig->dir);
    (void)snprintf(words, sizeof(words), "/bin/sh~-c~echo ran >> %s; exit 3", path);
    assert_int_equal(rig_send(rig, 5, words, QL_S(10)), QL_OK);
    assert_int_equal(rig_wait(rig, 1)->exit_code, 3);
    assert_int_equal(rig_send(rig, 5, words, QL_S(10)), QL_OK);
    assert_int_equal(rig_wait(rig, 2)->exit_code, 3); /* as it was, not again */
    assert_string_equal(rig->seen[1].output, "ran before; not run again");
    rig_stop(rig); /* and in another process, later */
    rig_start(rig);
    assert_int_equal(rig_send(rig, 5, words, QL_S(10)), QL_OK);
    assert_int_equal(rig_wait(rig, 3)->exit_code, 3);
    assert_int_equal(ql_file_read(path, &text), QL_OK);
    assert_string_equal(text.at, "ran\n");
    ql_buf_fini(&text);
    rig_close(rig);
}

static int rig_new_pid(struct rig *rig, int old)
{
    for (int i = 0; i < RIG_WAIT_S * 200; i++) {
        const int pid = ql_actuator_pid(rig->actuator);
        if (pid != 0 && pid != old) {
            return pid;
        }
        (void)usleep(5000);
    }
    fail_msg("the actuator was not started again");
    return 0;
}

static void a_killed_actuator_comes_back_and_its_runs_failed(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    char path[128], words[256];
    struct ql_buf text;
    ql_buf_init(&text, 4096);
    (void)snprintf(path, sizeof(path), "%s/orphan", rig->dir);
    (void)snprintf(words, sizeof(words), "/bin/sh~-c~echo $$ > %s; exec sleep 600", path);
    assert_int_equal(rig_send(rig, 1, words, QL_S(600)), QL_OK);
    for (int i = 0; i < RIG_WAIT_S * 200 && text.bytes < 2; i++) {
        ql_buf_reset(&text);
        (void)!ql_file_read(path, &text);
        (void)usleep(5000);
    }
    const int orphan = (int)strtol(text.at, NULL, 10);
    assert_true(orphan > 1);
    const int pid = ql_actuator_pid(rig->actuator);
    assert_int_equal(kill(pid, SIGKILL), 0);
    const struct seen *seen = rig_wait(rig, 1);
    assert_int_equal(seen->exit_code, 125);
    assert_string_equal(seen->output, "the actuator died while this ran; not run again");
    (void)rig_new_pid(rig, pid);
    process_await_end(orphan); /* what it had started is ended too */
    assert_int_equal(rig_send(rig, 2, "/bin/true", QL_S(10)), QL_OK);
    assert_int_equal(rig_wait(rig, 2)->exit_code, 0);
    ql_buf_fini(&text);
    rig_close(rig);
}

/* Its folder is gone: each new process ends at once, and nobody waits for ever. */
static void an_actuator_that_cannot_live_fails_what_waits(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    struct ql_actuator *fine = rig->actuator;
    const struct ql_actuator_env env = { .data_dir = "/nonexistent/quell", .outcome = rig_outcome,
                                         .context = rig };
    assert_int_equal(ql_actuator_spawn(&env, &rig->actuator), QL_OK);
    assert_int_equal(rig_send(rig, 1, "/bin/true", QL_S(10)), QL_OK);
    const struct seen *seen = rig_wait(rig, 1);
    assert_int_equal(seen->exit_code, 125);
    assert_string_equal(seen->output, "the actuator died and cannot be started");
    rig_stop(rig);
    rig->actuator = fine;
    rig_close(rig);
}

static void no_more_than_eight_run_at_once_and_all_are_told(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    char words[512];
    /* Each counts those that hold a directory; more than eight would show. */
    (void)snprintf(words, sizeof(words),
                   "/bin/sh~-c~mkdir %s/d.$$; ls -d %s/d.* | wc -l; sleep 0.05; rmdir %s/d.$$",
                   rig->dir, rig->dir, rig->dir);
    for (uint64_t i = 1; i <= 24; i++) {
        assert_int_equal(rig_send(rig, i, words, QL_S(20)), QL_OK);
    }
    for (uint32_t i = 1; i <= 24; i++) {
        const struct seen *seen = rig_wait(rig, i);
        assert_int_equal(seen->exit_code, 0);
        assert_true((int)strtol(seen->output, NULL, 10) <= (int)QL_ACTUATOR_RUNNING_MAX);
    }
    rig_close(rig);
}

static void stop_ends_what_runs_and_tells(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    assert_int_equal(rig_send(rig, 1, "/bin/sh~-c~echo up; exec sleep 600", QL_S(600)), QL_OK);
    assert_int_equal(rig_send(rig, 2, "/bin/true", QL_S(10)), QL_OK);
    (void)rig_wait(rig, 1); /* the second is done, so the first was started */
    ql_actuator_stop(rig->actuator);
    assert_int_equal(rig->count, 2);
    assert_int_equal(rig->seen[1].id, 1);
    assert_int_equal(rig->seen[1].exit_code, 128 + SIGTERM);
    /* The engine's last ticks come behind the stop. */
    assert_int_equal(rig_send(rig, 3, "/bin/true", QL_S(10)), QL_E_CLOSED);
    assert_int_equal(rig->count, 2);
    ql_actuator_free(rig->actuator);
    rig->actuator = NULL;
    rig_close(rig);
}

/* Sent and at once stopped: whether the process had seen it or not, each is told once. */
static void what_is_sent_just_before_the_stop_is_told(void **state)
{
    (void)state;
    struct rig *rig = rig_open();
    for (uint64_t i = 1; i <= 40; i++) {
        assert_int_equal(rig_send(rig, i, "/bin/sh~-c~exec sleep 600", QL_S(600)), QL_OK);
    }
    ql_actuator_stop(rig->actuator);
    assert_int_equal(rig->count, 40);
    uint64_t told = 0;
    for (uint32_t i = 0; i < rig->count; i++) {
        told |= UINT64_C(1) << rig->seen[i].id;
        assert_int_not_equal(rig->seen[i].exit_code, 0);
    }
    assert_int_equal(told, ((UINT64_C(1) << 40) - 1) << 1);
    ql_actuator_free(rig->actuator);
    rig->actuator = NULL;
    rig_close(rig);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "actuator") == 0) {
        return ql_actuator_main(argc - 1, argv + 1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_run_and_are_told),
        cmocka_unit_test(a_timeout_ends_the_whole_group),
        cmocka_unit_test(who_ignores_the_first_signal_gets_the_second),
        cmocka_unit_test(a_flood_is_cut_in_the_middle),
        cmocka_unit_test(an_id_runs_once_for_ever),
        cmocka_unit_test(a_killed_actuator_comes_back_and_its_runs_failed),
        cmocka_unit_test(an_actuator_that_cannot_live_fails_what_waits),
        cmocka_unit_test(no_more_than_eight_run_at_once_and_all_are_told),
        cmocka_unit_test(stop_ends_what_runs_and_tells),
        cmocka_unit_test(what_is_sent_just_before_the_stop_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
