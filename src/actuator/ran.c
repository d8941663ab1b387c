#include "actuator/ran.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define RAN_FILE_BYTES_MAX ((size_t)32 << 20)

struct ql_ran {
    int fd, lock_fd;
    char *path;
    struct ql_ran_row *rows;
    uint32_t count;
    struct ql_map64 by_id;
};

/* ---- rows ------------------------------------------------------------------------ */

static struct ql_ran_row *ran_row(const struct ql_ran *ran, uint64_t id)
{
    const uint32_t index = ql_map64_get(&ran->by_id, id);
    return index == QL_MAP_NONE ? NULL : &ran->rows[index];
}

const struct ql_ran_row *ql_ran_find(const struct ql_ran *ran, uint64_t id)
{
    return ran_row(ran, id);
}

/* Rows stand in order of their start; the map is made anew after they moved. */
static void ran_forget_older_half(struct ql_ran *ran)
{
    const uint32_t keep = ran->count / 2;
    memmove(ran->rows, ran->rows + (ran->count - keep), keep * sizeof(*ran->rows));
    ran->count = keep;
    ql_map64_clear(&ran->by_id);
    for (uint32_t i = 0; i < keep; i++) {
        const ql_err err = ql_map64_put(&ran->by_id, ran->rows[i].id, i);
        QL_ASSERT(err == QL_OK); /* it held more before */
    }
}

static struct ql_ran_row *ran_add(struct ql_ran *ran, uint64_t id)
{
    if (ran->count == QL_RAN_ROWS_MAX) {
        ran_forget_older_half(ran);
    }
    if (ql_map64_put(&ran->by_id, id, ran->count) != QL_OK) {
        return NULL;
    }
    struct ql_ran_row *row = &ran->rows[ran->count++];
    *row = (struct ql_ran_row){ .id = id };
    return row;
}

/* ---- the file ---------------------------------------------------------------------- */

static void ran_read_line(struct ql_ran *ran, const char *line)
{
    uint64_t id, ticks;
    int pid, exit_code, timed_out;
    if (sscanf(line, "start %" SCNu64, &id) == 1) {
        if (ran_row(ran, id) == NULL) {
            (void)ran_add(ran, id);
        }
    } else if (sscanf(line, "pid %" SCNu64 " %d %" SCNu64, &id, &pid, &ticks) == 3) {
        struct ql_ran_row *row = ran_row(ran, id);
        if (row != NULL) {
            row->pid = pid;
            row->ticks = ticks;
        }
    } else if (sscanf(line, "end %" SCNu64 " %d %d", &id, &exit_code, &timed_out) == 3) {
        struct ql_ran_row *row = ran_row(ran, id);
        if (row != NULL) {
            row->ended = true;
            row->exit_code = exit_code;
            row->timed_out = timed_out != 0;
        }
    }
}

static ql_err ran_read(struct ql_ran *ran)
{
    struct ql_buf text;
    ql_buf_init(&text, RAN_FILE_BYTES_MAX);
    ql_err err = ql_file_read(ran->path, &text);
    if (err == QL_OK && text.bytes > 0) {
        char *at = text.at;
        for (char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
            *end = '\0';
            ran_read_line(ran, at);
        }
        /* A last line that a crash cut short was never acted upon. */
        if (ftruncate(ran->fd, at - text.at) != 0) {
            err = QL_E_IO;
        }
    }
    ql_buf_fini(&text);
    return err;
}

static void ran_write_row(const struct ql_ran_row *row, struct ql_buf *out)
{
    (void)ql_buf_printf(out, "start %" PRIu64 "\n", row->id);
    if (row->pid != 0) {
        (void)ql_buf_printf(out, "pid %" PRIu64 " %d %" PRIu64 "\n", row->id, row->pid, row->ticks);
    }
    if (row->ended) {
        (void)ql_buf_printf(out, "end %" PRIu64 " %d %d\n", row->id, row->exit_code,
                            row->timed_out);
    }
}

/* The rows as a new file in the place of the old one. */
static ql_err ran_rewrite(struct ql_ran *ran)
{
    struct ql_buf text;
    ql_buf_init(&text, RAN_FILE_BYTES_MAX);
    for (uint32_t i = 0; i < ran->count; i++) {
        ran_write_row(&ran->rows[i], &text);
    }
    ql_err err = ql_buf_check(&text);
    if (err == QL_OK) {
        err = ql_file_replace(ran->path, ql_buf_view(&text));
    }
    ql_buf_fini(&text);
    const int fd = err == QL_OK ? open(ran->path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0) {
        return QL_E_IO;
    }
    (void)close(ran->fd);
    ran->fd = fd;
    return QL_OK;
}

static ql_err ran_append(struct ql_ran *ran, const char *line, bool sync)
{
    const size_t bytes = strlen(line);
    if (write(ran->fd, line, bytes) != (ssize_t)bytes || (sync && fdatasync(ran->fd) != 0)) {
        return QL_E_IO;
    }
    return QL_OK;
}

ql_err ql_ran_open(const char *path, struct ql_ran **ret_ran)
{
    struct ql_ran *ran = calloc(1, sizeof(*ran));
    if (ran == NULL) {
        return QL_E_MEMORY;
    }
    ran->path = strdup(path);
    ran->rows = calloc(QL_RAN_ROWS_MAX, sizeof(*ran->rows));
    ql_map64_init(&ran->by_id, QL_RAN_ROWS_MAX);
    char lock[4096];
    (void)snprintf(lock, sizeof(lock), "%s.lock", path);
    ran->fd = -1;
    ran->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ql_err err = ran->path == NULL || ran->rows == NULL ? QL_E_MEMORY : QL_OK;
    if (err == QL_OK && (ran->lock_fd < 0 || flock(ran->lock_fd, LOCK_EX) != 0)) {
        err = QL_E_IO;
    }
    if (err == QL_OK) { /* only now: the one before may have put a new file there */
        ran->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        err = ran->fd < 0 ? QL_E_IO : ran_read(ran);
    }
    if (err != QL_OK) {
        ql_ran_close(ran);
        return err;
    }
    *ret_ran = ran;
    return QL_OK;
}

void ql_ran_close(struct ql_ran *ran)
{
    if (ran == NULL) {
        return;
    }
    if (ran->fd >= 0) {
        (void)close(ran->fd);
    }
    if (ran->lock_fd >= 0) {
        (void)close(ran->lock_fd);
    }
    ql_map64_fini(&ran->by_id);
    free(ran->rows);
    free(ran->path);
    free(ran);
}

ql_err ql_ran_start(struct ql_ran *ran, uint64_t id)
{
    char line[64];
    QL_ASSERT(ran_row(ran, id) == NULL);
    const bool full = ran->count == QL_RAN_ROWS_MAX;
    if (ran_add(ran, id) == NULL) {
        return QL_E_MEMORY;
    }
    if (full) {
        return ran_rewrite(ran);
    }
    (void)snprintf(line, sizeof(line), "start %" PRIu64 "\n", id);
    return ran_append(ran, line, true);
}

/* ---- processes ----------------------------------------------------------------------- */

/* Field 22 of /proc/PID/stat: when the process was started, in ticks since boot. */
static uint64_t ran_ticks(int pid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (bytes <= 0) {
        return 0;
    }
    text[bytes] = '\0';
    const char *at = strrchr(text, ')'); /* the name may hold anything */
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

void ql_ran_pid(struct ql_ran *ran, uint64_t id, int pid)
{
    char line[96];
    struct ql_ran_row *row = ran_row(ran, id);
    QL_ASSERT(row != NULL);
    row->pid = pid;
    row->ticks = ran_ticks(pid);
    (void)snprintf(line, sizeof(line), "pid %" PRIu64 " %d %" PRIu64 "\n", id, pid, row->ticks);
    (void)!ran_append(ran, line, false); /* only helps to end orphans */
}

void ql_ran_end(struct ql_ran *ran, uint64_t id, int exit_code, bool timed_out)
{
    char line[96];
    struct ql_ran_row *row = ran_row(ran, id);
    QL_ASSERT(row != NULL);
    row->ended = true;
    row->exit_code = exit_code;
    row->timed_out = timed_out;
    (void)snprintf(line, sizeof(line), "end %" PRIu64 " %d %d\n", id, exit_code, timed_out);
    /* When it cannot be written, the run will later read as died: failed, never repeated. */
    (void)!ran_append(ran, line, true);
}

void ql_ran_kill_orphans(struct ql_ran *ran)
{
    for (uint32_t i = 0; i < ran->count; i++) {
        const struct ql_ran_row *row = &ran->rows[i];
        if (!row->ended && row->pid > 1 && row->ticks != 0 && ran_ticks(row->pid) == row->ticks) {
            (void)kill(-row->pid, SIGKILL);
        }
    }
}
