/* core.h - the owner of incidents, causes and actions: one, driven by ticks.
 *
 * Inputs that are not about series (alerts, changes, commands, outcomes) are collected as
 * they come; at a tick they and what the shards said pass the core's stages together.
 * What comes out stays on the bus until the next tick: the caller stores it, publishes
 * it and sends what is to be dispatched.
 *
 * Life          open -> (input* tick)* -> close; load right after open.
 * Determinism   results depend on the order of input and tick calls and their arguments;
 *               what several shards said is put in order of time and series.
 */
#ifndef QL_ENGINE_CORE_H
#define QL_ENGINE_CORE_H

#include "engine/pipeline.h"
#include "engine/shard.h"

struct ql_core;

QL_MUST_USE ql_err ql_core_open(const struct ql_config *config, struct ql_stats *stats,
                                uint64_t seed, struct ql_core **ret_core);
void ql_core_close(struct ql_core *core);

/* Right after open: incidents get ids above `id`. */
void ql_core_ids_above(struct ql_core *core, uint64_t id);
void ql_core_input(struct ql_core *core, const struct ql_batch *batch); /* copies */
/* The returned bus is borrowed until the next call. */
const struct ql_batch *ql_core_tick(struct ql_core *core, ql_time now,
                                    struct ql_shard_out *const *outs, uint32_t out_count);
/* What the shards must answer at their next tick (may be empty); borrowed likewise. */
const struct ql_batch *ql_core_requests(const struct ql_core *core);
/* A model set made at the last tick, for all to adopt before their next; NULL: none. */
const struct ql_model_set *ql_core_model_set(const struct ql_core *core);
void ql_core_digests(const struct ql_core *core, uint64_t ret_digests[QL_PIPELINE_STAGES_MAX],
                     uint32_t *ret_count); /* of the last tick */
void ql_core_adopt(struct ql_core *core, const struct ql_model_set *set);
QL_MUST_USE ql_err ql_core_adopt_config(struct ql_core *core, const struct ql_config *config);
QL_MUST_USE ql_err ql_core_save(const struct ql_core *core, struct ql_buf *out);
QL_MUST_USE ql_err ql_core_load(struct ql_core *core, struct ql_reader *in);
/* Every SLO as it stood when it was last judged; borrowed until the next call that changes
 * the core. `version` moves when they do. */
const struct ql_slo_state *ql_core_slos(const struct ql_core *core, uint32_t *ret_count,
                                        uint64_t *ret_version);
const struct ql_pipeline *ql_core_pipeline(const struct ql_core *core);

#endif
