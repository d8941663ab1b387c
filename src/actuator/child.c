/* child.c - the second process: requests in, commands run, outcomes out. */
#include "actuator/actuator.h"
#include "actuator/held.h"
#include "actuator/message.h"
#include "actuator/ran.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define CHILD_TERM_MS 2000u  /* between SIGTERM and SIGKILL */
#define CHILD_DRAIN_MS 300u  /* for output to arrive after the command ended */
#define CHILD_HEAD_BYTES 16384u

struct job {
    struct child *child;
    struct job *next;          /* in child->running or child->waiting */
    uint64_t id;
    ql_duration timeout;
    char *argv;                /* words */
    size_t argv_bytes;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    uint32_t open_handles;
    bool exited, drained, timed_out, told;
    int exit_code;
    size_t output_bytes;
    char output[QL_ACTUATOR_OUTPUT_MAX];
};

struct child {
    uv_loop_t loop;
    uv_pipe_t socket;
    uv_timer_t end_timer;
    struct ql_ran *ran;
    struct ql_buf in;
    struct job *running, *waiting;
    uint32_t running_count, waiting_count, writes;
    bool ending, failed, closed;
};

static void child_next(struct child *c);
static void child_end(struct child *c);

/* ---- answers --------------------------------------------------------------------------- */

struct answer { uv_write_t write; struct child *child; struct ql_buf bytes; };

static void answer_close_when_done(struct child *c)
{
    if (c->ending && c->running_count == 0 && c->writes == 0 && !c->closed) {
        c->closed = true;
        uv_close((uv_handle_t *)&c->end_timer, NULL);
        uv_close((uv_handle_t *)&c->socket, NULL);
    }
}

static void answer_written(uv_write_t *write, int status)
{
    struct answer *a = write->data;
    struct child *c = a->child;
    (void)status; /* a daemon that is gone needs no answer */
    ql_buf_fini(&a->bytes);
    free(a);
    c->writes--;
    answer_close_when_done(c);
}

static void answer_send(struct child *c, const struct ql_outcome *outcome)
{
    struct answer *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return; /* the daemon's deadline passes instead */
    }
    a->child = c;
    a->write.data = a;
    ql_buf_init(&a->bytes, QL_RESPONSE_BYTES_MAX + 8);
    const ql_err err = ql_response_write(outcome, &a->bytes);
    const uv_buf_t part = uv_buf_init(a->bytes.at, (unsigned)a->bytes.bytes);
    if (err != QL_OK ||
        uv_write(&a->write, (uv_stream_t *)&c->socket, &part, 1, answer_written) != 0) {
        ql_buf_fini(&a->bytes);
        free(a);
        return;
    }
    c->writes++;
}

static void answer_text(struct child *c, uint64_t id, int exit_code, bool timed_out,
                        const char *text)
{
    answer_send(c, &(struct ql_outcome){ .action = { id }, .at = ql_clock_now(),
                                         .exit_code = exit_code, .timed_out = timed_out,
                                         .output = ql_str_of(text) });
}

/* ---- one command -------------------------------------------------------------------------- */

static void job_unlink(struct job **list, const struct job *job)
{
    while (*list != job) {
        QL_ASSERT(*list != NULL);
        list = &(*list)->next;
    }
    *list = job->next;
}

static void job_free(struct job *job)
{
    free(job->argv);
    free(job);
}

static void job_handle_closed(uv_handle_t *handle)
{
    struct job *job = handle->data;
    if (--job->open_handles > 0) {
        return;
    }
    struct child *c = job->child;
    job_unlink(&c->running, job);
    c->running_count--;
    job_free(job);
    child_next(c);
    answer_close_when_done(c);
}

static void job_close(struct job *job)
{
    uv_handle_t *handles[] = { (uv_handle_t *)&job->process, (uv_handle_t *)&job->pipe,
                               (uv_handle_t *)&job->timer };
    for (size_t i = 0; i < QL_COUNT_OF(handles); i++) {
        if (handles[i]->type != UV_UNKNOWN_HANDLE) { /* the process, when nothing was spawned */
            uv_close(handles[i], job_handle_closed);
        } else {
            job->open_handles--;
        }
    }
}

/* Ended, and its output read: say so. */
static void job_settle(struct job *job)
{
    if (!job->exited || !job->drained || job->told) {
        return;
    }
    job->told = true;
    ql_ran_end(job->child->ran, job->id, job->exit_code, job->timed_out);
    answer_send(job->child, &(struct ql_outcome){
                                .action = { job->id }, .at = ql_clock_now(),
                                .exit_code = job->exit_code, .timed_out = job->timed_out,
                                .output = { job->output, job->output_bytes } });
    job_close(job);
}

/* The beginning and the end are kept, the middle goes. */
static void job_keep(struct job *job, const char *at, size_t bytes)
{
    static const char mark[] = "\n[... cut ...]\n";
    const size_t tail_at = CHILD_HEAD_BYTES + sizeof(mark) - 1;
    const size_t tail_max = QL_ACTUATOR_OUTPUT_MAX - tail_at;
    const size_t room = QL_ACTUATOR_OUTPUT_MAX - job->output_bytes;
    const size_t fits = bytes < room ? bytes : room;
    memcpy(job->output + job->output_bytes, at, fits);
    job->output_bytes += fits;
    at += fits;
    bytes -= fits;
    if (bytes == 0) {
        return;
    }
    if (bytes > tail_max) {
        at += bytes - tail_max;
        bytes = tail_max;
    }
    const size_t kept = tail_max - bytes; /* of what stands at the end now */
    memmove(job->output + tail_at, job->output + QL_ACTUATOR_OUTPUT_MAX - kept, kept);
    memcpy(job->output + CHILD_HEAD_BYTES, mark, sizeof(mark) - 1);
    memcpy(job->output + tail_at + kept, at, bytes);
}

static void job_room(uv_handle_t *handle, size_t wished, uv_buf_t *ret_buf)
{
    static char room[65536]; /* one thread; used up before the next read */
    (void)handle;
    (void)wished;
    *ret_buf = uv_buf_init(room, sizeof(room));
}

static void job_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf)
{
    struct job *job = stream->data;
    if (bytes > 0) {
        job_keep(job, buf->base, (size_t)bytes);
    } else if (bytes < 0) {
        (void)uv_read_stop(stream);
        job->drained = true;
        job_settle(job);
    }
}

static void job_drain_over(uv_timer_t *timer)
{
    struct job *job = timer->data;
    (void)uv_read_stop((uv_stream_t *)&job->pipe);
    job->drained = true; /* something it left behind holds the pipe open: enough */
    job_settle(job);
}

static void job_exited(uv_process_t *process, int64_t status, int number)
{
    struct job *job = process->data;
    job->exited = true;
    job->exit_code = number != 0 ? 128 + number : (int)status;
    if (job->timed_out) {
        (void)kill(-process->pid, SIGKILL); /* what the group still holds */
    }
    (void)uv_timer_stop(&job->timer);
    (void)uv_timer_start(&job->timer, job_drain_over, CHILD_DRAIN_MS, 0);
    job_settle(job);
}

static void job_kill(uv_timer_t *timer)
{
    const struct job *job = timer->data;
    (void)kill(-job->process.pid, SIGKILL);
}

static void job_timed_out(uv_timer_t *timer)
{
    struct job *job = timer->data;
    job->timed_out = true;
    (void)kill(-job->process.pid, SIGTERM);
    (void)uv_timer_start(timer, job_kill, CHILD_TERM_MS, 0);
}

/* The process, held until its number is on record. */
static int job_spawn_held(struct job *job, uv_file output)
{
    uv_file go[2];
    char *words[3 + QL_REQUEST_WORDS_MAX + 1] = { (char[]){ "quell" }, (char[]){ "actuator" },
                                                  (char[]){ QL_HELD_WORD } };
    const struct ql_request request = { .argv = { job->argv, job->argv_bytes } };
    (void)ql_request_words(&request, words + 3);
    int err = uv_pipe(go, 0, 0);
    if (err != 0) {
        return err;
    }
    uv_stdio_container_t stdio[QL_HELD_FD + 1] = {
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = output },
        { .flags = UV_INHERIT_FD, .data.fd = output },
        { .flags = UV_INHERIT_FD, .data.fd = go[0] },
    };
    const uv_process_options_t options = {
        .exit_cb = job_exited, .file = "/proc/self/exe", .args = words, .cwd = "/",
        .flags = UV_PROCESS_DETACHED, .stdio = stdio, .stdio_count = QL_HELD_FD + 1,
    };
    err = uv_spawn(&job->child->loop, &job->process, &options);
    (void)close(go[0]);
    if (err == 0) {
        ql_ran_pid(job->child->ran, job->id, job->process.pid);
        (void)!write(go[1], "", 1); /* who died meanwhile needs no word */
    }
    (void)close(go[1]);
    return err;
}

/* Both outputs go into one pipe, in the order in which they were written. */
static int job_spawn(struct job *job)
{
    uv_file ends[2];
    int err = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);
    if (err != 0) {
        return err;
    }
    err = job_spawn_held(job, ends[1]);
    (void)close(ends[1]);
    if (err != 0 || uv_pipe_open(&job->pipe, ends[0]) != 0) {
        (void)close(ends[0]);
        job->drained = true;
        return err;
    }
    if (uv_read_start((uv_stream_t *)&job->pipe, job_room, job_read) != 0) {
        job->drained = true;
    }
    return 0;
}

static void job_start(struct job *job)
{
    struct child *c = job->child;
    job->next = c->running;
    c->running = job;
    c->running_count++;
    job->open_handles = 3;
    (void)uv_pipe_init(&c->loop, &job->pipe, 0);
    (void)uv_timer_init(&c->loop, &job->timer);
    job->process.data = job->pipe.data = job->timer.data = job;
    const ql_err ran_err = ql_ran_start(c->ran, job->id);
    const int err = ran_err == QL_OK ? job_spawn(job) : 0;
    if (ran_err == QL_OK && err == 0) {
        (void)uv_timer_start(&job->timer, job_timed_out, (uint64_t)(job->timeout.ns / 1000000) + 1,
                             0);
        return;
    }
    if (ran_err == QL_OK) {
        (void)snprintf(job->output, 512, "cannot start %.400s: %s", job->argv, uv_strerror(err));
        job->exit_code = QL_HELD_NOT_RUN;
        ql_ran_end(c->ran, job->id, job->exit_code, false);
    } else {
        (void)snprintf(job->output, 512, "not run: the journal of actions cannot be written");
        job->exit_code = QL_HELD_NOT_RUN;
    }
    job->told = true;
    answer_text(c, job->id, job->exit_code, false, job->output);
    job_close(job);
}

/* ---- requests ------------------------------------------------------------------------------ */

static bool child_has(const struct child *c, uint64_t id)
{
    for (const struct job *job = c->running; job != NULL; job = job->next) {
        if (job->id == id) {
            return true;
        }
    }
    for (const struct job *job = c->waiting; job != NULL; job = job->next) {
        if (job->id == id) {
            return true;
        }
    }
    return false;
}

/* Starts what waits, oldest first. */
static void child_next(struct child *c)
{
    while (!c->ending && c->waiting != NULL && c->running_count < QL_ACTUATOR_RUNNING_MAX) {
        struct job *job = c->waiting;
        c->waiting = job->next;
        c->waiting_count--;
        job_start(job);
    }
}

static void child_answer_dry(struct child *c, const struct ql_request *request)
{
    char text[512];
    const char *program = request->argv.at;
    struct stat file;
    const bool fine = stat(program, &file) == 0 && S_ISREG(file.st_mode) &&
                      access(program, X_OK) == 0;
    (void)snprintf(text, sizeof(text), "dry run: %.400s %s", program,
                   fine ? "would run" : "is not a program that can be run");
    answer_text(c, request->action.v, fine ? 0 : QL_HELD_NOT_FOUND, false, text);
}

static void child_request(struct child *c, const struct ql_request *request)
{
    const uint64_t id = request->action.v;
    const struct ql_ran_row *row = ql_ran_find(c->ran, id);
    if (child_has(c, id)) {
        return; /* its outcome will come */
    }
    if (row != NULL) {
        answer_text(c, id, row->ended ? row->exit_code : QL_HELD_NOT_RUN, row->timed_out,
                    row->ended ? "ran before; not run again"
                               : "the actuator died while this ran; not run again");
        return;
    }
    if (request->dry_run) {
        child_answer_dry(c, request);
        return;
    }
    struct job *job = c->waiting_count < QL_ACTUATOR_PENDING_MAX ? calloc(1, sizeof(*job)) : NULL;
    char *argv = job == NULL ? NULL : malloc(request->argv.bytes);
    if (argv == NULL) {
        free(job);
        answer_text(c, id, QL_HELD_NOT_RUN, false, "not run: too much is waiting");
        return;
    }
    memcpy(argv, request->argv.at, request->argv.bytes);
    job->child = c;
    job->id = id;
    job->timeout = request->timeout;
    job->argv = argv;
    job->argv_bytes = request->argv.bytes;
    struct job **last = &c->waiting;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = job;
    c->waiting_count++;
    child_next(c);
}

static void child_take(struct child *c)
{
    size_t done = 0, used;
    struct ql_request request;
    for (;;) {
        const ql_str rest = { c->in.at + done, c->in.bytes - done };
        if (ql_request_read(rest, &request, &used) != QL_OK) {
            c->failed = true; /* whoever wrote this is not our daemon */
            child_end(c);
            return;
        }
        if (used == 0) {
            break;
        }
        child_request(c, &request);
        done += used;
    }
    memmove(c->in.at, c->in.at + done, c->in.bytes - done);
    c->in.bytes -= done;
}

static void child_read(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf)
{
    struct child *c = stream->data;
    if (bytes < 0) {
        child_end(c);
    } else if (bytes > 0 && !c->ending) {
        if (ql_buf_put(&c->in, buf->base, (size_t)bytes) != QL_OK) {
            c->failed = true;
            child_end(c);
            return;
        }
        child_take(c);
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

static void child_kill_all(uv_timer_t *timer)
{
    const struct child *c = timer->data;
    for (const struct job *job = c->running; job != NULL; job = job->next) {
        if (!job->exited) {
            (void)kill(-job->process.pid, SIGKILL);
        }
    }
}

/* The daemon is gone or says goodbye: what runs is ended, what waits is not begun. */
static void child_end(struct child *c)
{
    if (c->ending) {
        return;
    }
    c->ending = true;
    (void)uv_read_stop((uv_stream_t *)&c->socket);
    while (c->waiting != NULL) {
        struct job *job = c->waiting;
        c->waiting = job->next;
        answer_text(c, job->id, QL_HELD_NOT_RUN, false, "not run: the daemon stopped");
        job_free(job);
    }
    c->waiting_count = 0;
    for (const struct job *job = c->running; job != NULL; job = job->next) {
        if (!job->exited) {
            (void)kill(-job->process.pid, SIGTERM);
        }
    }
    (void)uv_timer_start(&c->end_timer, child_kill_all, CHILD_TERM_MS, CHILD_TERM_MS);
    answer_close_when_done(c);
}

static ql_err child_open(struct child *c, int fd, const char *data_dir)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/actuator.journal", data_dir);
    ql_buf_init(&c->in, QL_REQUEST_BYTES_MAX + 131072);
    /* Room for at least one read, so that in.at is never NULL. */
    char *unused;
    ql_err err = ql_buf_reserve(&c->in, 4096, &unused);
    if (err == QL_OK) {
        err = ql_ran_open(path, &c->ran);
    }
    if (err != QL_OK) {
        return err;
    }
    ql_ran_kill_orphans(c->ran);
    if (uv_loop_init(&c->loop) != 0) {
        return QL_E_IO;
    }
    (void)uv_pipe_init(&c->loop, &c->socket, 0);
    (void)uv_timer_init(&c->loop, &c->end_timer);
    c->socket.data = c;
    c->end_timer.data = c;
    if (uv_pipe_open(&c->socket, fd) != 0 ||
        uv_read_start((uv_stream_t *)&c->socket, job_room, child_read) != 0) {
        return QL_E_IO;
    }
    return QL_OK;
}

int ql_actuator_child(int fd, const char *data_dir)
{
    struct child *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return 1;
    }
    (void)prctl(PR_SET_NAME, "quell-actuator");
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* It ends when its daemon does: a Ctrl-C or a stop meant for the whole group must not
     * take it away under a daemon that is still working off what it accepted. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    const ql_err err = child_open(c, fd, data_dir);
    int status = 1;
    if (err == QL_OK) {
        (void)uv_run(&c->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&c->loop);
        status = c->failed ? 1 : 0;
    } else {
        (void)fprintf(stderr, "quell actuator: %s/actuator.journal: %s\n", data_dir,
                      ql_err_text(err));
    }
    ql_ran_close(c->ran);
    ql_buf_fini(&c->in);
    free(c);
    return status;
}

int ql_actuator_main(int argc, char **argv)
{
    int64_t fd;
    if (argc >= 3 && strcmp(argv[1], QL_HELD_WORD) == 0) {
        return ql_actuator_held(argv + 2);
    }
    if (argc != 3 || ql_str_to_i64(ql_str_of(argv[1]), &fd) != QL_OK || fd < 3 || fd > 1023 ||
        fcntl((int)fd, F_GETFD) < 0) {
        (void)fprintf(stderr, "quell actuator: started by the daemon only\n");
        return 2;
    }
    return ql_actuator_child((int)fd, argv[2]);
}
