#include "cli/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_STOP_STEP_MS 20

void demo_sleep_ms(int ms)
{
    const struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };
    (void)nanosleep(&wait, NULL);
}

/* Between fork and exec: only what is safe there. */
static _Noreturn void child_become(const char *const *argv, int log_fd)
{
    /* A group of its own: Ctrl-C is for the demo, which then stops its children in order. */
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd >= 0) {
        (void)dup2(null_fd, STDIN_FILENO);
    }
    (void)dup2(log_fd, STDOUT_FILENO);
    (void)dup2(log_fd, STDERR_FILENO);
    /* execv takes char *const[] for historical reasons and changes nothing. */
    union { const char *const *in; char *const *out; } arguments = { .in = argv };
    (void)execv(argv[0], arguments.out);
    _exit(127);
}

ql_err demo_spawn(const char *const *argv, const char *log_path, pid_t *ret_pid)
{
    const int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) {
        return QL_E_IO;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        child_become(argv, log_fd);
    }
    (void)close(log_fd);
    if (pid < 0) {
        return QL_E_IO;
    }
    *ret_pid = pid;
    return QL_OK;
}

bool demo_ended(pid_t *pid, int *ret_status)
{
    int status = 0;
    if (*pid == 0 || waitpid(*pid, &status, WNOHANG) != *pid) {
        return false;
    }
    *pid = 0;
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

void demo_stop(pid_t *pid, int grace_ms)
{
    int status;
    if (*pid == 0) {
        return;
    }
    (void)kill(*pid, SIGTERM);
    for (int ms = 0; ms < grace_ms; ms += CHILD_STOP_STEP_MS) {
        if (demo_ended(pid, &status)) {
            return;
        }
        demo_sleep_ms(CHILD_STOP_STEP_MS);
    }
    (void)kill(*pid, SIGKILL);
    (void)waitpid(*pid, &status, 0);
    *pid = 0;
}

static int child_remove(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

ql_err demo_remove_tree(const char *path)
{
    return nftw(path, child_remove, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ? QL_OK
                                                                                      : QL_E_IO;
}
