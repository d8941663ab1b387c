/* pipeline.h - calls the stages of one side in order and holds them to their contract.
 *
 * After every call it asserts that the stage appended only to the lists it declares,
 * and folds what was appended into that stage's digest for the current tick.
 *
 * Ownership     open/close; the bus is the caller's.
 * Threads       one thread at a time.
 * Errors        as stage.h; open fails whole.
 */
#ifndef QL_ENGINE_PIPELINE_H
#define QL_ENGINE_PIPELINE_H

#include "model/stage.h"

enum ql_pipeline_side { QL_SIDE_SHARD, QL_SIDE_CORE };
#define QL_PIPELINE_STAGES_MAX 8u

struct ql_pipeline {
    uint32_t count;
    const struct ql_stage_type *types[QL_PIPELINE_STAGES_MAX];
    void *stages[QL_PIPELINE_STAGES_MAX];
    uint64_t digests[QL_PIPELINE_STAGES_MAX]; /* since the last take */
};

QL_MUST_USE ql_err ql_pipeline_open(struct ql_pipeline *pipeline, enum ql_pipeline_side side,
                                    const struct ql_stage_env *env);
void ql_pipeline_close(struct ql_pipeline *pipeline);
void ql_pipeline_push(struct ql_pipeline *pipeline, ql_time now, struct ql_batch *bus);
void ql_pipeline_tick(struct ql_pipeline *pipeline, ql_time now, struct ql_batch *bus);
void ql_pipeline_adopt(struct ql_pipeline *pipeline, const struct ql_model_set *set);
/* All or nothing is the caller's duty: a checked configuration is not refused by a stage. */
QL_MUST_USE ql_err ql_pipeline_adopt_config(struct ql_pipeline *pipeline,
                                            const struct ql_config *config);
QL_MUST_USE ql_err ql_pipeline_save(const struct ql_pipeline *pipeline, struct ql_buf *out);
QL_MUST_USE ql_err ql_pipeline_load(struct ql_pipeline *pipeline, struct ql_reader *in);
/* The stage of that name, or NULL. */
void *ql_pipeline_stage(const struct ql_pipeline *pipeline, const char *name);

#endif
