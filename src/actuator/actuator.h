/* actuator.h - the second process: runs commands, parses nothing that came by telemetry.
 *
 * The daemon starts its own binary again as `quell actuator`, with one end of a socket
 * pair and nothing else of its own: every other descriptor is closed and the environment
 * is an allow-list. Typed requests go over (message.h), outcomes come back; a command is a
 * program with arguments, no shell, in a process group of its own that is ended as a whole
 * at its timeout. An action id is run at most once, ever: the ids are in a small journal
 * in data_dir, so neither a restart nor a replay runs anything twice.
 *
 * Ownership     spawn gives; free takes, NULL is fine. send copies the action.
 * Life          spawn -> send* -> stop -> free. Whoever may still send after stop is told so:
 *               the engine's last ticks come after it, with actions of their own.
 * Threads       send from any thread, never blocks. `outcome` is called on one thread of
 *               the actuator's own and may block; it must not call stop.
 *               Stop returns when the last outcome was told.
 * Errors        spawn: QL_E_IO (no process, no socket), QL_E_MEMORY. send: QL_E_FULL
 *               (QL_ACTUATOR_PENDING_MAX under way), QL_E_RANGE (not a command this takes),
 *               QL_E_CLOSED (stopping). After an error there will be no outcome.
 * Bounds        QL_ACTUATOR_PENDING_MAX actions known at a time, 8 running at once, output
 *               kept to 64 KiB (its beginning and its end).
 * Failure       a dead actuator is started again with growing pauses and asked again about
 *               what was under way: it answers from its journal, and what was running when
 *               it died has failed ("the actuator died").
 */
#ifndef QL_ACTUATOR_ACTUATOR_H
#define QL_ACTUATOR_ACTUATOR_H

#include "base/base.h"
#include "base/stat.h"
#include "model/record.h"

#define QL_ACTUATOR_PENDING_MAX 256u
#define QL_ACTUATOR_RUNNING_MAX 8u
#define QL_ACTUATOR_OUTPUT_MAX 65536u

struct ql_actuator;

struct ql_actuator_env {
    const char *data_dir;           /* holds actuator.journal; must exist */
    void (*outcome)(void *context, const struct ql_outcome *outcome);
    void *context;
    struct ql_stats *stats;         /* may be NULL */
    const char **variables;         /* NAME (passed on) or NAME=VALUE, besides the allow-list */
    uint32_t variable_count;
};

QL_MUST_USE ql_err ql_actuator_spawn(const struct ql_actuator_env *env,
                                     struct ql_actuator **ret_actuator);
QL_MUST_USE ql_err ql_actuator_send(struct ql_actuator *actuator, const struct ql_action *action);
/* Ends what runs (SIGTERM, two seconds later SIGKILL), reports it and what was not begun, ends
 * the process. Once; NULL is fine. */
void ql_actuator_stop(struct ql_actuator *actuator);
void ql_actuator_free(struct ql_actuator *actuator); /* after stop */
int ql_actuator_pid(struct ql_actuator *actuator); /* of the running process, 0: none */

/* The second process itself: serves requests on `fd` until the other end closes. Returns
 * the exit status. */
int ql_actuator_child(int fd, const char *data_dir);
/* `quell actuator FD DATA_DIR`, as spawn calls it, and `quell actuator run WORDS`, as the
 * process of an action begins (held.h); also for tests that are their own child. */
int ql_actuator_main(int argc, char **argv);

#endif
