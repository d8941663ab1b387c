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
    int64_t bytes; /* of whole lines in the file */
    bool broken;   /* a piece of a line could not be cut off: nothing is started any more */
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

static const struct { const char *word; uint32_t values; } ran_kinds[] = {
    [QL_RAN_START] = { "start", 0 }, [QL_RAN_PID] = { "pid", 2 }, [QL_RAN_END] = { "end", 2 },
};

/* Digits as printf writes them: no sign but '-', no zero in front, nothing that does not fit. */
static bool ran_take_number(ql_str *line, bool negative, uint64_t max, uint64_t *ret_value)
{
    const bool minus = negative && line->bytes > 0 && line->at[0] == '-';
    size_t at = minus;
    uint64_t value = 0;
    while (at < line->bytes && line->at[at] >= '0' && line->at[at] <= '9') {
        const uint64_t digit = (uint64_t)(line->at[at++] - '0');
        if (digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    const size_t digits = at - minus;
    if (digits == 0 || (line->at[minus] == '0' && (digits > 1 || minus))) {
        return false;
    }
    *line = (ql_str){ line->at + at, line->bytes - at };
    *ret_value = minus ? 0 - value : value;
    return true;
}

static bool ran_take_space(ql_str *line)
{
    if (line->bytes == 0 || line->at[0] != ' ') {
        return false;
    }
    *line = (ql_str){ line->at + 1, line->bytes - 1 };
    return true;
}

ql_err ql_ran_line_read(ql_str line, struct ql_ran_line *ret_line)
{
    struct ql_ran_line read = { .kind = QL_RAN_START };
    uint64_t first = 0;
    while (!ql_str_starts(line, ql_str_of(ran_kinds[read.kind].word))) {
        if (++read.kind > QL_RAN_END) {
            return QL_E_MALFORMED;
        }
    }
    const size_t word = strlen(ran_kinds[read.kind].word);
    line = (ql_str){ line.at + word, line.bytes - word };
    bool fine = ran_take_space(&line) && ran_take_number(&line, false, UINT64_MAX, &read.id);
    if (read.kind == QL_RAN_PID) {
        fine = fine && ran_take_space(&line) && ran_take_number(&line, false, INT32_MAX, &first) &&
               ran_take_space(&line) && ran_take_number(&line, false, UINT64_MAX, &read.ticks);
    } else if (read.kind == QL_RAN_END) {
        fine = fine && ran_take_space(&line) && ran_take_number(&line, true, INT32_MAX, &first) &&
               ran_take_space(&line) && ran_take_number(&line, false, 1, &read.ticks);
    }
    if (!fine || line.bytes > 0) {
        return QL_E_MALFORMED;
    }
    read.value = (int32_t)(int64_t)first;
    *ret_line = read;
    return QL_OK;
}

void ql_ran_line_write(const struct ql_ran_line *line, struct ql_buf *out)
{
    (void)ql_buf_printf(out, "%s %" PRIu64, ran_kinds[line->kind].word, line->id);
    if (line->kind != QL_RAN_START) {
        (void)ql_buf_printf(out, " %" PRId32 " %" PRIu64, line->value, line->ticks);
    }
    (void)ql_buf_char(out, '\n');
}

/* Lines about ids that were forgotten meanwhile say nothing. */
static void ran_take_line(struct ql_ran *ran, const struct ql_ran_line *line)
{
    struct ql_ran_row *row = ran_row(ran, line->id);
    if (row == NULL && line->kind == QL_RAN_START) {
        (void)ran_add(ran, line->id);
    } else if (row != NULL && line->kind == QL_RAN_PID) {
        row->pid = line->value;
        row->ticks = line->ticks;
    } else if (row != NULL && line->kind == QL_RAN_END) {
        row->ended = true;
        row->exit_code = line->value;
        row->timed_out = line->ticks != 0;
    }
}

/* A line that cannot be read may be the start of anything: nothing runs until a person looked. */
static ql_err ran_read_lines(struct ql_ran *ran, ql_str text)
{
    uint32_t number = 1;
    for (const char *end; text.bytes > 0 && (end = memchr(text.at, '\n', text.bytes)) != NULL;
         number++) {
        const ql_str line = { text.at, (size_t)(end - text.at) };
        struct ql_ran_line read;
        if (ql_ran_line_read(line, &read) != QL_OK) {
            (void)fprintf(stderr, "quell actuator: %s, line %" PRIu32 ": not 'start ID', 'pid ID "
                          "PID TICKS' or 'end ID STATUS 0|1'; no action runs until the line is "
                          "mended or taken out\n", ran->path, number);
            return QL_E_MALFORMED;
        }
        ran_take_line(ran, &read);
        text = (ql_str){ end + 1, text.bytes - line.bytes - 1 };
        ran->bytes += (int64_t)line.bytes + 1;
    }
    return QL_OK;
}

static ql_err ran_read(struct ql_ran *ran)
{
    struct ql_buf text;
    ql_buf_init(&text, RAN_FILE_BYTES_MAX);
    ran->bytes = 0;
    ql_err err = ql_file_read(ran->path, &text);
    if (err == QL_OK) {
        err = ran_read_lines(ran, ql_buf_view(&text));
    }
    /* A last line that a crash cut short was never acted upon. */
    if (err == QL_OK && ftruncate(ran->fd, ran->bytes) != 0) {
        err = QL_E_IO;
    }
    ql_buf_fini(&text);
    return err;
}

static void ran_write_row(const struct ql_ran_row *row, struct ql_buf *out)
{
    ql_ran_line_write(&(struct ql_ran_line){ .kind = QL_RAN_START, .id = row->id }, out);
    if (row->pid != 0) {
        ql_ran_line_write(&(struct ql_ran_line){ .kind = QL_RAN_PID, .id = row->id,
                                                 .value = row->pid, .ticks = row->ticks }, out);
    }
    if (row->ended) {
        ql_ran_line_write(&(struct ql_ran_line){ .kind = QL_RAN_END, .id = row->id,
                                                 .value = row->exit_code,
                                                 .ticks = row->timed_out }, out);
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
    const int64_t bytes = (int64_t)text.bytes;
    ql_buf_fini(&text);
    const int fd = err == QL_OK ? open(ran->path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (fd < 0) {
        return QL_E_IO;
    }
    (void)close(ran->fd);
    ran->fd = fd;
    ran->bytes = bytes;
    return QL_OK;
}

/* All of the line or nothing: the next one would be glued to a piece of it, and lost. A piece
 * that cannot be cut off ends the writing for good. */
static ql_err ran_append(struct ql_ran *ran, const struct ql_ran_line *line, bool sync)
{
    struct ql_buf text;
    ql_buf_init(&text, 256);
    ql_ran_line_write(line, &text);
    ql_err err = ran->broken ? QL_E_IO : ql_buf_check(&text);
    if (err == QL_OK) {
        const ssize_t written = write(ran->fd, text.at, text.bytes);
        if (written != (ssize_t)text.bytes || (sync && fdatasync(ran->fd) != 0)) {
            ran->broken = ftruncate(ran->fd, ran->bytes) != 0;
            err = QL_E_IO;
        } else {
            ran->bytes += (int64_t)text.bytes;
        }
    }
    ql_buf_fini(&text);
    return err;
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
    QL_ASSERT(ran_row(ran, id) == NULL);
    if (ran->count == QL_RAN_ROWS_MAX) {
        ran_forget_older_half(ran);
        const ql_err err = ran_rewrite(ran);
        if (err != QL_OK) {
            return err;
        }
    }
    if (ran_add(ran, id) == NULL) {
        return QL_E_MEMORY;
    }
    const ql_err err = ran_append(ran, &(struct ql_ran_line){ .kind = QL_RAN_START, .id = id },
                                  true);
    if (err != QL_OK) { /* it was not started */
        ql_map64_drop(&ran->by_id, id);
        ran->count--;
    }
    return err;
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
    struct ql_ran_row *row = ran_row(ran, id);
    QL_ASSERT(row != NULL);
    row->pid = pid;
    row->ticks = ran_ticks(pid);
    (void)!ran_append(ran, &(struct ql_ran_line){ .kind = QL_RAN_PID, .id = id, .value = pid,
                                                  .ticks = row->ticks },
                      false); /* only helps to end orphans */
}

void ql_ran_end(struct ql_ran *ran, uint64_t id, int exit_code, bool timed_out)
{
    struct ql_ran_row *row = ran_row(ran, id);
    QL_ASSERT(row != NULL);
    row->ended = true;
    row->exit_code = exit_code;
    row->timed_out = timed_out;
    /* When it cannot be written, the run will later read as died: failed, never repeated. */
    (void)!ran_append(ran, &(struct ql_ran_line){ .kind = QL_RAN_END, .id = id,
                                                  .value = exit_code, .ticks = timed_out },
                      true);
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
