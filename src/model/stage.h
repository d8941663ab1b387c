/* stage.h - the contract that every stage keeps, and all that a stage may know.
 *
 * A stage is a state machine: (state, records, time) -> (state, records). It has no
 * clock, no randomness but what its seed gives, no file, no socket, no thread, and it
 * includes no other stage. The engine calls it in pipeline order on one bus (batch.h):
 * a stage reads the lists in `reads`, appends to the lists in `writes`, and touches
 * nothing else; the engine asserts this after every call and digests what was appended.
 *
 * Life          open -> (push | tick | adopt | save)* -> close. load only right after open.
 *               At a tick, push is called with what the stages before made of it, then tick.
 *               A stage that keeps anything by the index of a series lets go of it in the tick
 *               that has the series in `retired`; nothing of this tick comes behind it.
 * Ownership     open copies what it keeps of env; borrowed parts are said below.
 * Threads       one thread at a time; different stages may run on different threads.
 * Errors        open: QL_E_CONFIG, QL_E_MEMORY. push and tick cannot fail: what does not
 *               fit is counted in env->stats with a reason. load: QL_E_VERSION, QL_E_MALFORMED.
 * Bounds        all memory is taken in open (large tables by ql_pages, touched lazily).
 * Determinism   same build, same calls, same bytes out; hash-table order never shows.
 *
 * Adding one    write <folder>/<folder>.h with `extern const struct ql_stage_type ql_<name>_stage;`
 *               and add its row to engine/pipeline.def.
 */
#ifndef QL_MODEL_STAGE_H
#define QL_MODEL_STAGE_H

#include "base/base.h"
#include "base/buf.h"
#include "base/stat.h"
#include "model/batch.h"

struct ql_series_table; /* model/series.h */
struct ql_topology;     /* topology/topology.h; NULL in shards */
struct ql_config;       /* config/config.h; borrowed until adopt_config or close */

struct ql_stage_env {
    const struct ql_config *config;
    struct ql_series_table *series;   /* shard stages: normalise writes, others read */
    struct ql_topology *topology;     /* core stages: correlate writes, others read and keep */
    struct ql_stats *stats;
    uint64_t seed;
    uint32_t shard_index, shard_count;
};

struct ql_model_set; /* model/model_set.h */

struct ql_stage_type {
    const char *name;
    uint32_t reads, writes;           /* QL_LIST_BIT()s */
    uint32_t state_version;
    QL_MUST_USE ql_err (*open)(const struct ql_stage_env *env, void **ret_stage);
    void (*close)(void *stage);       /* NULL stage is fine */
    void (*push)(void *stage, ql_time now, struct ql_batch *bus);
    void (*tick)(void *stage, ql_time now, struct ql_batch *bus);
    void (*adopt)(void *stage, const struct ql_model_set *set);          /* may be NULL */
    QL_MUST_USE ql_err (*adopt_config)(void *stage, const struct ql_config *config); /* may be NULL */
    QL_MUST_USE ql_err (*save)(const void *stage, struct ql_buf *out);
    QL_MUST_USE ql_err (*load)(void *stage, uint32_t version, struct ql_reader *in);
    size_t (*bytes)(const void *stage); /* memory of its tables in use; may be NULL */
};

#endif
