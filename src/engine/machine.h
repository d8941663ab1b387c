/* machine.h - shards and core together, and the meaning of each journal record for them.
 *
 * The machine is the whole deterministic engine without a thread: recovery and replay
 * drive it record by record; the daemon takes its shards and core and gives them threads.
 *
 *   record   -> decoded batch -> every shard that owns a part of it, or the core
 *   config   -> every stage; where a daemon began, what is built at open may be built again
 *   tick     -> every shard closes the tick and answers what the core asked at the tick
 *               before -> the core judges -> effects
 *
 * Ownership     open/close owns shards and core.
 * Errors        as the parts.
 */
#ifndef QL_ENGINE_MACHINE_H
#define QL_ENGINE_MACHINE_H

#include "engine/core.h"
#include "engine/journal.h"
#include "engine/shard.h"

#define QL_SHARDS_MAX 64u

struct ql_machine {
    struct ql_shard *shards[QL_SHARDS_MAX];
    struct ql_shard_out outs[QL_SHARDS_MAX];
    uint32_t shard_count;
    struct ql_core *core;
    struct ql_config *config;  /* in force; owned */
    struct ql_stats *stats;
    uint32_t series_max;       /* what the tables were made for */
    bool settled;              /* nothing came since the last tick: the state can be saved */
    struct ql_batch scratch;   /* decoding in recovery and replay */
    struct ql_batch parts[QL_SHARDS_MAX];
    uint64_t sequence;         /* of the newest record applied */
    ql_time now;
};

/* Takes `config`. */
QL_MUST_USE ql_err ql_machine_open(struct ql_machine *machine, struct ql_config *config,
                                   struct ql_stats *stats);
void ql_machine_close(struct ql_machine *machine);

/* Whether the batch goes to shards (true) or to the core. */
bool ql_machine_is_series(const struct ql_batch *batch);
/* Splits a series batch over `count` > 1 shards by canonical series hash; logs and spans go
 * to shard 0. Parts share the body. QL_E_FULL when a part finds no memory. */
QL_MUST_USE ql_err ql_machine_split(const struct ql_batch *batch, uint32_t count,
                                    struct ql_batch *const *parts);

/* Applies one decoded input, or one tick; returns the core's bus after a tick. */
QL_MUST_USE ql_err ql_machine_input(struct ql_machine *machine, ql_time now,
                                    struct ql_batch *batch);
const struct ql_batch *ql_machine_tick(struct ql_machine *machine, ql_time now);
/* A record of settings (ql_journal_has_settings). */
QL_MUST_USE ql_err ql_machine_config(struct ql_machine *machine,
                                     const struct ql_journal_record *record, ql_str yaml);
/* What a start does before its settings are in force, and only a start can: tables for another
 * limits.series_max (QL_E_FULL, and all as before, when inputs wait for a tick or the series do
 * not fit), or everything forgotten, with `config` (taken) from here on and incidents counted on
 * from `incident`: ids are not given twice. */
QL_MUST_USE ql_err ql_machine_resize(struct ql_machine *machine, uint32_t series_max);
QL_MUST_USE ql_err ql_machine_anew(struct ql_machine *machine, struct ql_config *config,
                                   uint64_t incident);

/* Digests of the last tick, as the journal's DIGEST payload holds them: for each shard,
 * then the core, one u64 a stage. */
ql_err ql_machine_digests(const struct ql_machine *machine, struct ql_buf *out);
/* "shard 0, detect": the name of the i-th digest. */
void ql_machine_digest_name(const struct ql_machine *machine, uint32_t index, char *out,
                            size_t out_bytes);

/* The state as parts: the head and the core here, then one part a shard (ql_shard_save). The
 * head holds the settings in force, as without them the rest would go on differently. */
QL_MUST_USE ql_err ql_machine_save_core(const struct ql_machine *machine, struct ql_buf *out);
QL_MUST_USE ql_err ql_machine_save(const struct ql_machine *machine, struct ql_buf *out);
/* Into a machine just opened, with as many shards as it had. A shard whose state was made for more
 * series than the settings allow is made anew with room for them; no new ones come in until
 * enough were forgotten. Callbacks of its recent samples are the caller's to set. */
QL_MUST_USE ql_err ql_machine_load(struct ql_machine *machine, struct ql_reader *in);
/* Opens and loads, under `config` (taken) or, when NULL, the settings that were in force; shards
 * and tables are in any case as they were. QL_E_CONFIG: this build does not read those settings. */
QL_MUST_USE ql_err ql_machine_restore(struct ql_machine *machine, ql_str state,
                                      struct ql_config *config, struct ql_stats *stats);

#endif
