/* engine.h - the running engine: one order of inputs, threads for shards and core, views.
 *
 * Everything from outside enters through accept(): it gets a place in the journal, and
 * only when it is on disk is it acknowledged and handed to its shard or the core. Ticks
 * have their place in the same order, so the journal alone says what happened.
 *
 * Threads       one sequencer (writes the journal, makes ticks), one a shard, one core.
 *               A shard may run ahead of the core by at most one tick: at tick k+1 it
 *               answers what the core asked at tick k.
 * Ownership     open takes the config; stop and free end everything that open started.
 * Errors        open: QL_E_IO, QL_E_VERSION, QL_E_MALFORMED (damaged journal), QL_E_MEMORY;
 *               the reason for people is in ret_why.
 */
#ifndef QL_ENGINE_ENGINE_H
#define QL_ENGINE_ENGINE_H

#include "base/stat.h"
#include "model/accept.h"
#include "model/view.h"

struct ql_config;
struct ql_engine;

struct ql_engine_env {
    struct ql_config *config;  /* taken; in force from here on, once all is as it was */
    struct ql_stats *stats;
    bool clock_input;          /* the engine's time follows the newest input, not the wall */
    /* Hands a step to the actuator; called on the core's thread, must not block. After an
     * error the step has failed: the engine says so in the place of an outcome. */
    QL_MUST_USE ql_err (*dispatch)(void *context, const struct ql_action *action);
    void *context;
};

/* Opens journal, store and history, loads the newest checkpoint that can be, and replays what
 * follows under the settings that were in force then. The new ones are the next record. */
QL_MUST_USE ql_err ql_engine_open(const struct ql_engine_env *env, struct ql_engine **ret_engine,
                                  struct ql_buf *ret_why);
QL_MUST_USE ql_err ql_engine_start(struct ql_engine *engine);
const struct ql_accept *ql_engine_accept(struct ql_engine *engine);
const struct ql_view *ql_engine_view(struct ql_engine *engine);
/* Journals the outcome of an action and returns when it is on disk: QL_E_IO when the disk
 * refuses (it left no trace, say it again), QL_E_FULL (likewise), QL_E_CLOSED (stopped). Not on
 * the threads of the engine. */
QL_MUST_USE ql_err ql_engine_outcome(struct ql_engine *engine, const struct ql_outcome *outcome);
/* A checked configuration from here on; journaled. Takes effect in every stage or none: once
 * the engine runs, it returns when the journal has it. QL_E_IO: the disk refuses, all is as it
 * was; QL_E_CONFIG, QL_E_CLOSED. */
QL_MUST_USE ql_err ql_engine_reload(struct ql_engine *engine, ql_str yaml);
/* Refuses new input, works off what was accepted, saves a checkpoint, ends the threads. */
void ql_engine_stop(struct ql_engine *engine);
void ql_engine_free(struct ql_engine *engine); /* NULL is fine */

#endif
