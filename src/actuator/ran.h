/* ran.h - which actions were ever started, so that none is started twice.
 *
 * A text file of lines, appended and synced: "start ID" before a command runs, "pid ID PID
 * TICKS" when it does, "end ID STATUS TIMED_OUT" after it. A start without an end was
 * running when the actuator died. One process at a time holds the file: open waits for
 * the one before to end.
 *
 * Ownership     open gives, close takes.
 * Errors        QL_E_IO: a line that does not fit on the disk is cut off again; QL_E_MALFORMED
 *               with the place on standard error. A last line that was cut by a crash is ignored.
 * Bounds        RAN_ROWS_MAX ids; the older half is forgotten when that is reached.
 */
#ifndef QL_ACTUATOR_RAN_H
#define QL_ACTUATOR_RAN_H

#include "base/base.h"
#include "base/buf.h"

#define QL_RAN_ROWS_MAX 65536u

struct ql_ran_row {
    uint64_t id;
    uint64_t ticks;    /* start time of the process, so that a reused pid is not taken for it */
    int32_t pid;       /* 0: not known */
    int32_t exit_code;
    bool ended, timed_out;
};

/* One line of the file, without its end; read takes exactly what write writes. */
enum ql_ran_kind { QL_RAN_START, QL_RAN_PID, QL_RAN_END };
struct ql_ran_line {
    enum ql_ran_kind kind;
    uint64_t id;
    int32_t value;  /* pid, or exit status */
    uint64_t ticks; /* or whether it timed out */
};
QL_MUST_USE ql_err ql_ran_line_read(ql_str line, struct ql_ran_line *ret_line);
void ql_ran_line_write(const struct ql_ran_line *line, struct ql_buf *out); /* and '\n' */

struct ql_ran;
QL_MUST_USE ql_err ql_ran_open(const char *path, struct ql_ran **ret_ran);
void ql_ran_close(struct ql_ran *ran);
const struct ql_ran_row *ql_ran_find(const struct ql_ran *ran, uint64_t id); /* or NULL */
/* On disk before it returns; after an error it was not started. */
QL_MUST_USE ql_err ql_ran_start(struct ql_ran *ran, uint64_t id);
void ql_ran_pid(struct ql_ran *ran, uint64_t id, int pid);
void ql_ran_end(struct ql_ran *ran, uint64_t id, int exit_code, bool timed_out);
/* Kills the process groups of starts without an end, left by an actuator that died. */
void ql_ran_kill_orphans(struct ql_ran *ran);

#endif
