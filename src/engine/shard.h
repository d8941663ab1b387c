/* shard.h - the owner of a share of the series: judges batches, remembers, answers.
 *
 * A shard is driven by calls and knows no thread: the daemon gives each one a thread, a
 * replay drives all of them in turn, and both get the same results.
 *
 * Life          open -> (push | tick | read)* -> close; load right after open.
 * Ownership     open/close. A pushed batch stays the caller's.
 * Determinism   results depend on the order of push and tick calls and their arguments.
 */
#ifndef QL_ENGINE_SHARD_H
#define QL_ENGINE_SHARD_H

#include "engine/pipeline.h"
#include "engine/recent.h"
#include "model/view.h"

struct ql_shard;

/* What a shard says at a tick. `batch` holds signals, edges, entities, windows + samples. */
struct ql_shard_out {
    struct ql_batch batch;
    uint32_t digest_count;
    uint64_t digests[QL_PIPELINE_STAGES_MAX];
};

struct ql_shard_env {
    const struct ql_config *config;
    struct ql_stats *stats;
    uint64_t seed;
    uint32_t index, count;
    uint32_t rows_min;   /* room for at least so many series, whatever the settings allow */
};

QL_MUST_USE ql_err ql_shard_open(const struct ql_shard_env *env, struct ql_shard **ret_shard);
void ql_shard_close(struct ql_shard *shard);
struct ql_recent *ql_shard_recent(struct ql_shard *shard);
/* Called with each series that is forgotten, behind its last chunk; may be NULL (replay). */
void ql_shard_on_forget(struct ql_shard *shard,
                        void (*forget)(void *context, const struct ql_series_info *info,
                                       ql_time now),
                        void *context);

void ql_shard_push(struct ql_shard *shard, ql_time now, struct ql_batch *batch);
/* Closes the tick: answers `requests`, fills `out` (reset by the caller). */
void ql_shard_tick(struct ql_shard *shard, ql_time now, const struct ql_batch *requests,
                   struct ql_shard_out *out);
/* Copies the signals, entities, edges and SLO parts that the core wants; returns how many had no
 * room. */
uint32_t ql_shard_carry(struct ql_batch *to, const struct ql_batch *from);
void ql_shard_adopt(struct ql_shard *shard, const struct ql_model_set *set);
QL_MUST_USE ql_err ql_shard_adopt_config(struct ql_shard *shard, const struct ql_config *config);
QL_MUST_USE ql_err ql_shard_save(const struct ql_shard *shard, struct ql_buf *out);
QL_MUST_USE ql_err ql_shard_load(struct ql_shard *shard, struct ql_reader *in);

/* Between two batches, for the view. Matchers' regexes are anchored (PCRE2). */
QL_MUST_USE ql_err ql_shard_find(const struct ql_shard *shard, const struct ql_matcher *matchers,
                                 uint32_t matcher_count, uint32_t count_max,
                                 struct ql_arena *texts, struct ql_series_info *ret_infos,
                                 uint32_t *ret_count);
/* QL_E_NOT_FOUND when the series is not this shard's; QL_E_FULL when `texts` is. */
QL_MUST_USE ql_err ql_shard_get(const struct ql_shard *shard, ql_series_id id,
                                struct ql_arena *texts, struct ql_series_info *ret_info);
bool ql_shard_has(const struct ql_shard *shard, ql_series_id id);
/* Raw samples and bands from memory; QL_E_NOT_FOUND when the series is not this shard's. */
QL_MUST_USE ql_err ql_shard_read(const struct ql_shard *shard, ql_series_id id, ql_time from,
                                 ql_time to, struct ql_batch *out,
                                 enum ql_metric_type *ret_type);
/* Answers those of the tails whose series is this shard's; samples stay in out raw, with
 * nothing judged yet. */
void ql_shard_tails(const struct ql_shard *shard, struct ql_tail *tails, uint32_t count,
                    struct ql_batch *out);
void ql_shard_flush(struct ql_shard *shard); /* open chunks to history */
uint32_t ql_shard_series_count(const struct ql_shard *shard); /* known */
uint32_t ql_shard_series_max(const struct ql_shard *shard);   /* that may be */
uint32_t ql_shard_rows_max(const struct ql_shard *shard);     /* that its tables are made for */
const struct ql_pipeline *ql_shard_pipeline(const struct ql_shard *shard);

#endif
