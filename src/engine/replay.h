/* replay.h - a journal, driven through the machine again, and compared with what it did.
 *
 * Starts from the beginning when the journal still has it, else from the oldest
 * checkpoint kept. With the journal's own settings every digest must agree; with other
 * settings (`config`) there is nothing to compare and the result is the answer to "what
 * would this configuration have done?".
 *
 * Errors        QL_E_NOT_FOUND (no journal there), QL_E_MALFORMED (damage, records that were
 *               lost, or the first difference: place and stage are in ret_why), QL_E_CONFIG.
 */
#ifndef QL_ENGINE_REPLAY_H
#define QL_ENGINE_REPLAY_H

#include "base/stat.h"
#include "engine/machine.h"

/* One record into the machine. Digest records are given to `digest` (may be NULL);
 * config records are skipped when `keep_config`. `tick` is called with each tick's bus. */
struct ql_replay_hooks {
    bool keep_config;
    void (*tick)(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus);
    ql_err (*digest)(void *context, uint64_t tick_sequence, ql_str recorded);
    void *context;
};
/* Whether records are missing between what the machine has seen and this one. */
bool ql_replay_lacks(const struct ql_machine *machine, const struct ql_journal_record *record);
QL_MUST_USE ql_err ql_replay_record(struct ql_machine *machine,
                                    const struct ql_journal_record *record, ql_str origin,
                                    ql_str body, const struct ql_replay_hooks *hooks);

/* The first settings that the journal has: what a machine without a checkpoint is made of.
 * QL_E_NOT_FOUND: it has none. */
QL_MUST_USE ql_err ql_replay_first_config(const char *journal_dir, struct ql_config **ret_config,
                                          struct ql_buf *ret_why);

struct ql_replay_env {
    const char *data_dir;       /* a daemon's --data */
    struct ql_config *config;   /* taken; NULL: the journal's own */
    uint64_t from_checkpoint;   /* start at the newest checkpoint up to this sequence; 0: at
                                 * the beginning, or what is left of it */
    uint64_t until;             /* newest sequence to replay; 0: all */
    struct ql_stats *stats;
    void (*tick)(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus);
    void (*progress)(void *context, uint64_t records, ql_time now);
    void *context;
};
struct ql_replay_result {
    uint64_t records, ticks, compared, first_sequence, last_sequence;
    ql_time first, last;
    uint64_t digest;            /* over all ticks and stages: one number for the whole run */
};
QL_MUST_USE ql_err ql_replay_run(const struct ql_replay_env *env,
                                 struct ql_replay_result *ret_result, struct ql_buf *ret_why);

#endif
