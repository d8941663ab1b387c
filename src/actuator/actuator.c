/* actuator.c - the daemon's side: keeps a second process alive and asks it to run things. */
#include "actuator/actuator.h"

#include "actuator/message.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACTUATOR_CHILD_FD 3
#define ACTUATOR_VARIABLES_MAX 96u
#define ACTUATOR_PAUSE_MS_MIN 100
#define ACTUATOR_PAUSE_MS_MAX 10000
#define ACTUATOR_FLEETING_NS (2 * QL_NS_PER_S) /* died this soon: it does not work here */
#define ACTUATOR_FLEETING_MAX 4u
#define ACTUATOR_STOP_MS 6000

struct pending {
    uint64_t id;
    char *frame;
    size_t bytes;
    bool used, sent;
};

struct ql_actuator {
    struct ql_actuator_env env;
    char *data_dir;
    char *variables[ACTUATOR_VARIABLES_MAX + 1];
    uint32_t variable_count;
    pthread_t keeper;
    int wake_fd;
    struct ql_stat_cell *starts, *outcomes;

    pthread_mutex_t lock; /* over what follows */
    struct pending pending[QL_ACTUATOR_PENDING_MAX];
    uint32_t order[QL_ACTUATOR_PENDING_MAX], pending_count; /* rows, oldest first */
    bool stopping;
    pid_t pid;

    int fd;               /* keeper's */
    struct ql_buf in, out;
    uint32_t fleeting;
};

/* ---- environment -------------------------------------------------------------------------- */

/* Takes "NAME=VALUE" as from asprintf, NULL when that failed. */
static bool actuator_variable_take(struct ql_actuator *a, char *text)
{
    if (text == NULL || a->variable_count == ACTUATOR_VARIABLES_MAX) {
        free(text);
        return false;
    }
    a->variables[a->variable_count++] = text;
    return true;
}

/* NAME=VALUE as it is; NAME with the value it has here, if it has one. */
static bool actuator_variable(struct ql_actuator *a, const char *name)
{
    char *text;
    const char *value = getenv(name);
    if (strchr(name, '=') != NULL) {
        return actuator_variable_take(a, strdup(name));
    }
    return value == NULL ||
           actuator_variable_take(a, asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text);
}

static bool actuator_environment(struct ql_actuator *a)
{
    static const char *const allowed[] = { "HOME", "LANG", "TZ", "USER" };
    bool fine = getenv("PATH") != NULL
                    ? actuator_variable(a, "PATH")
                    : actuator_variable(a, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                                           "/usr/bin:/sbin:/bin");
    for (size_t i = 0; i < QL_COUNT_OF(allowed) && fine; i++) {
        fine = actuator_variable(a, allowed[i]);
    }
    for (uint32_t i = 0; i < a->env.variable_count && fine; i++) {
        fine = actuator_variable(a, a->env.variables[i]);
    }
    return fine;
}

/* ---- the process -------------------------------------------------------------------------- */

/* The child gets standard error, its end of the socket as descriptor 3, and nothing else. */
static int actuator_posix_spawn(const struct ql_actuator *a, int end, pid_t *ret_pid)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", ACTUATOR_CHILD_FD);
    char *const argv[] = { (char[]){ "quell" }, (char[]){ "actuator" }, number, a->data_dir, NULL };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    if (posix_spawn_file_actions_init(&files) != 0) {
        return ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&files);
        return ENOMEM;
    }
    int err = posix_spawn_file_actions_adddup2(&files, end, ACTUATOR_CHILD_FD);
    err = err != 0 ? err : posix_spawn_file_actions_addclosefrom_np(&files, ACTUATOR_CHILD_FD + 1);
    err = err != 0 ? err : posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    err = err != 0 ? err : posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    err = err != 0 ? err : posix_spawnattr_setsigmask(&attributes, &none);
    err = err != 0 ? err : posix_spawnattr_setsigdefault(&attributes, &all);
    err = err != 0 ? err
                   : posix_spawnattr_setflags(&attributes,
                                              POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    err = err != 0 ? err
                   : posix_spawn(ret_pid, "/proc/self/exe", &files, &attributes, argv,
                                 (char *const *)a->variables);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&files);
    return err;
}

static ql_err actuator_start(struct ql_actuator *a)
{
    int ends[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return QL_E_IO;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const int err = actuator_posix_spawn(a, ends[1], &pid);
    (void)close(ends[1]);
    if (err != 0) {
        (void)close(ends[0]);
        return QL_E_IO;
    }
    a->fd = ends[0];
    ql_buf_reset(&a->in);
    ql_buf_reset(&a->out);
    if (a->starts != NULL) {
        ql_stat_add(a->starts, 1);
    }
    (void)pthread_mutex_lock(&a->lock);
    a->pid = pid;
    (void)pthread_mutex_unlock(&a->lock);
    return QL_OK;
}

/* ---- what is under way -------------------------------------------------------------------- */

static bool pending_drop(struct ql_actuator *a, uint64_t id)
{
    for (uint32_t i = 0; i < a->pending_count; i++) {
        struct pending *p = &a->pending[a->order[i]];
        if (p->id == id) {
            free(p->frame);
            *p = (struct pending){ 0 };
            memmove(&a->order[i], &a->order[i + 1],
                    (a->pending_count - i - 1) * sizeof(a->order[0]));
            a->pending_count--;
            return true;
        }
    }
    return false;
}

/* Outcomes of ids that nobody waits for are not passed on: each is told once. */
static void actuator_report(struct ql_actuator *a, const struct ql_outcome *outcome)
{
    (void)pthread_mutex_lock(&a->lock);
    const bool known = pending_drop(a, outcome->action.v);
    (void)pthread_mutex_unlock(&a->lock);
    if (!known) {
        return;
    }
    if (a->outcomes != NULL) {
        ql_stat_add(a->outcomes, 1);
    }
    a->env.outcome(a->env.context, outcome);
}

/* No actuator can be had: everything under way has failed. */
static void actuator_give_up(struct ql_actuator *a, const char *why)
{
    for (;;) {
        (void)pthread_mutex_lock(&a->lock);
        const uint64_t id = a->pending_count > 0 ? a->pending[a->order[0]].id : 0;
        (void)pthread_mutex_unlock(&a->lock);
        if (id == 0) {
            return;
        }
        actuator_report(a, &(struct ql_outcome){
                               .action = { id }, .at = ql_clock_now(), .exit_code = 125,
                               .output = ql_str_of(why) });
    }
}

static void pending_unsend_all(struct ql_actuator *a)
{
    (void)pthread_mutex_lock(&a->lock);
    for (uint32_t i = 0; i < a->pending_count; i++) {
        a->pending[a->order[i]].sent = false; /* the next one is asked again, and knows */
    }
    (void)pthread_mutex_unlock(&a->lock);
}

ql_err ql_actuator_send(struct ql_actuator *a, const struct ql_action *action)
{
    struct ql_buf frame;
    const struct ql_request request = { .action = action->id, .timeout = action->timeout,
                                        .dry_run = action->dry_run, .argv = action->argv };
    ql_buf_init(&frame, QL_REQUEST_BYTES_MAX);
    ql_err err = ql_request_write(&request, &frame);
    (void)pthread_mutex_lock(&a->lock);
    if (err == QL_OK && a->stopping) {
        err = QL_E_CLOSED;
    }
    if (err == QL_OK && a->pending_count == QL_ACTUATOR_PENDING_MAX) {
        err = QL_E_FULL;
    }
    bool known = false;
    for (uint32_t i = 0; i < a->pending_count && err == QL_OK; i++) {
        known |= a->pending[a->order[i]].id == action->id.v;
    }
    if (err == QL_OK && !known) {
        uint32_t row = 0;
        while (a->pending[row].used) {
            row++;
        }
        struct pending *p = &a->pending[row];
        p->frame = ql_buf_give(&frame, &p->bytes);
        p->id = action->id.v;
        p->used = true;
        p->sent = false;
        a->order[a->pending_count++] = row;
    }
    (void)pthread_mutex_unlock(&a->lock);
    ql_buf_fini(&frame);
    if (err == QL_OK) {
        const uint64_t one = 1;
        (void)!write(a->wake_fd, &one, sizeof(one));
    }
    return err;
}

int ql_actuator_pid(struct ql_actuator *a)
{
    (void)pthread_mutex_lock(&a->lock);
    const int pid = (int)a->pid;
    (void)pthread_mutex_unlock(&a->lock);
    return pid;
}

/* ---- the keeper's thread -------------------------------------------------------------------- */

static bool keeper_is_stopping(struct ql_actuator *a)
{
    (void)pthread_mutex_lock(&a->lock);
    const bool stopping = a->stopping;
    (void)pthread_mutex_unlock(&a->lock);
    return stopping;
}

/* Moves frames that were not sent yet into `out`. */
static void keeper_gather(struct ql_actuator *a)
{
    (void)pthread_mutex_lock(&a->lock);
    for (uint32_t i = 0; i < a->pending_count; i++) {
        struct pending *p = &a->pending[a->order[i]];
        if (!p->sent && ql_buf_put(&a->out, p->frame, p->bytes) == QL_OK) {
            p->sent = true;
        }
    }
    (void)pthread_mutex_unlock(&a->lock);
}

static bool keeper_write(struct ql_actuator *a)
{
    const ssize_t bytes = send(a->fd, a->out.at, a->out.bytes, MSG_NOSIGNAL);
    if (bytes < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    memmove(a->out.at, a->out.at + bytes, a->out.bytes - (size_t)bytes);
    a->out.bytes -= (size_t)bytes;
    return true;
}

/* False when the other end is gone or speaks nonsense. */
static bool keeper_read(struct ql_actuator *a)
{
    char *room;
    size_t done = 0, used;
    struct ql_outcome outcome;
    if (ql_buf_reserve(&a->in, 65536, &room) != QL_OK) {
        return false;
    }
    const ssize_t bytes = recv(a->fd, room, 65536, 0);
    if (bytes <= 0) {
        return bytes < 0 && (errno == EAGAIN || errno == EINTR);
    }
    ql_buf_advance(&a->in, (size_t)bytes);
    for (;;) {
        const ql_str rest = { a->in.at + done, a->in.bytes - done };
        if (ql_response_read(rest, &outcome, &used) != QL_OK) {
            return false;
        }
        if (used == 0) {
            break;
        }
        actuator_report(a, &outcome);
        done += used;
    }
    memmove(a->in.at, a->in.at + done, a->in.bytes - done);
    a->in.bytes -= done;
    return true;
}

/* Speaks with one process until it is gone. */
static void keeper_serve(struct ql_actuator *a)
{
    bool said_goodbye = false;
    int64_t deadline_ns = INT64_MAX;
    for (;;) {
        const bool stopping = keeper_is_stopping(a);
        if (stopping && !said_goodbye) {
            said_goodbye = true;
            deadline_ns = ql_clock_mono_ns() + ACTUATOR_STOP_MS * INT64_C(1000000);
            (void)shutdown(a->fd, SHUT_WR);
        } else if (!stopping) {
            keeper_gather(a);
        }
        if (ql_clock_mono_ns() > deadline_ns) {
            return;
        }
        const bool writes = !said_goodbye && a->out.bytes > 0;
        struct pollfd waits[2] = {
            { .fd = a->fd, .events = (short)(POLLIN | (writes ? POLLOUT : 0)) },
            { .fd = a->wake_fd, .events = POLLIN },
        };
        (void)poll(waits, 2, said_goodbye ? 200 : -1);
        uint64_t woken;
        if ((waits[1].revents & POLLIN) != 0) {
            (void)!read(a->wake_fd, &woken, sizeof(woken));
        }
        if ((waits[0].revents & POLLOUT) != 0 && writes && !keeper_write(a)) {
            return;
        }
        if ((waits[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !keeper_read(a)) {
            return;
        }
    }
}

/* After its socket closed the process has nothing left to do. */
static void keeper_bury(struct ql_actuator *a)
{
    int status;
    (void)pthread_mutex_lock(&a->lock);
    const pid_t pid = a->pid;
    a->pid = 0;
    (void)pthread_mutex_unlock(&a->lock);
    (void)close(a->fd);
    a->fd = -1;
    for (int i = 0; i < 100; i++) {
        if (waitpid(pid, &status, WNOHANG) != 0) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
}

static void keeper_pause(struct ql_actuator *a)
{
    int64_t pause_ms = ACTUATOR_PAUSE_MS_MIN << (a->fleeting < 8 ? a->fleeting : 8);
    pause_ms = pause_ms < ACTUATOR_PAUSE_MS_MAX ? pause_ms : ACTUATOR_PAUSE_MS_MAX;
    const int64_t until_ns = ql_clock_mono_ns() + pause_ms * 1000000;
    while (!keeper_is_stopping(a) && ql_clock_mono_ns() < until_ns) {
        (void)poll(NULL, 0, 20);
    }
}

static void *keeper_run(void *context)
{
    struct ql_actuator *a = context;
    int64_t started_ns = ql_clock_mono_ns();
    for (;;) {
        if (a->fd >= 0) {
            keeper_serve(a);
            keeper_bury(a);
        }
        if (keeper_is_stopping(a)) {
            actuator_give_up(a, "the daemon stopped before the actuator said how it went");
            return NULL;
        }
        a->fleeting = ql_clock_mono_ns() - started_ns < ACTUATOR_FLEETING_NS ? a->fleeting + 1 : 0;
        QL_LOG(ERROR, "the actuator died; it is started again",
               QL_LOG_N("soon_in_a_row", a->fleeting));
        if (a->fleeting >= ACTUATOR_FLEETING_MAX) {
            actuator_give_up(a, "the actuator died and cannot be started");
        }
        pending_unsend_all(a);
        keeper_pause(a);
        started_ns = ql_clock_mono_ns();
        if (!keeper_is_stopping(a)) {
            (void)!actuator_start(a); /* else the next round tries again */
        }
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

void ql_actuator_free(struct ql_actuator *a)
{
    if (a == NULL) {
        return;
    }
    for (uint32_t i = 0; i < QL_ACTUATOR_PENDING_MAX; i++) {
        free(a->pending[i].frame);
    }
    for (uint32_t i = 0; i < a->variable_count; i++) {
        free(a->variables[i]);
    }
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    if (a->wake_fd >= 0) {
        (void)close(a->wake_fd);
    }
    (void)pthread_mutex_destroy(&a->lock);
    ql_buf_fini(&a->in);
    ql_buf_fini(&a->out);
    free(a->data_dir);
    free(a);
}

static void actuator_cells(struct ql_actuator *a, struct ql_stats *stats)
{
    if (stats != NULL) {
        a->starts = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_actuator_starts_total",
                                  "Times the actuator process was started.", "");
        a->outcomes = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_actuator_outcomes_total",
                                    "Outcomes of commands.", "");
    }
}

ql_err ql_actuator_spawn(const struct ql_actuator_env *env, struct ql_actuator **ret_actuator)
{
    struct ql_actuator *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return QL_E_MEMORY;
    }
    QL_ASSERT(env->outcome != NULL);
    a->env = *env;
    a->fd = -1;
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->data_dir = strdup(env->data_dir);
    (void)pthread_mutex_init(&a->lock, NULL);
    ql_buf_init(&a->in, QL_RESPONSE_BYTES_MAX + 131072);
    ql_buf_init(&a->out, (size_t)QL_ACTUATOR_PENDING_MAX * (QL_REQUEST_BYTES_MAX + 4));
    actuator_cells(a, env->stats);
    ql_err err = a->data_dir == NULL || !actuator_environment(a) ? QL_E_MEMORY : QL_OK;
    if (err == QL_OK) {
        err = a->wake_fd < 0 ? QL_E_IO : actuator_start(a);
    }
    if (err == QL_OK && pthread_create(&a->keeper, NULL, keeper_run, a) != 0) {
        (void)kill(a->pid, SIGKILL);
        (void)waitpid(a->pid, NULL, 0);
        err = QL_E_IO;
    }
    if (err != QL_OK) {
        ql_actuator_free(a);
        return err;
    }
    *ret_actuator = a;
    return QL_OK;
}

void ql_actuator_stop(struct ql_actuator *a)
{
    if (a == NULL) {
        return;
    }
    const uint64_t one = 1;
    (void)pthread_mutex_lock(&a->lock);
    a->stopping = true;
    (void)pthread_mutex_unlock(&a->lock);
    (void)!write(a->wake_fd, &one, sizeof(one));
    (void)pthread_join(a->keeper, NULL);
}
