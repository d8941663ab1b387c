/* held.h - why a signal is not told, and how often.
 *
 * A policy holds signals, it does not switch them off: what is held is counted here by the
 * field that did it, the policy that set the field, and the kind of the signal.
 *
 * Ownership     the cells belong to the table of statistics.
 * Threads       one at a time an object; objects of several stages share the cells.
 * Bounds        QL_HELD_CELLS_MAX cells an object; what is beyond counts for policy="(others)".
 */
#ifndef QL_POLICY_HELD_H
#define QL_POLICY_HELD_H

#include "base/stat.h"
#include "config/policy.h"
#include "model/record.h"
#include "policy/changed.h"

#define QL_HELD_MAP(X)                                                                \
    X(NONE, "") X(DETECTOR, "detector") X(DIRECTION, "direction") X(SMALL, "small")   \
    X(MUTE, "mute") X(CHANGE, "change")
enum ql_held {
#define X(name, text) QL_HELD_##name,
    QL_HELD_MAP(X)
#undef X
    QL_HELD_COUNT
};
const char *ql_held_text(enum ql_held held);
/* Whether a window or a change of the entity holds back what is told at `at`. */
enum ql_held ql_held_at(const struct ql_policy_set *set, const struct ql_policy_effect *effect,
                        const struct ql_changed *changed, ql_entity_id entity, ql_time at);
/* The name of the policy that set the field which holds. */
const char *ql_held_by(const struct ql_policy_set *set, const struct ql_policy_effect *effect,
                       enum ql_held held);

#define QL_HELD_CELLS_MAX 256u
struct ql_held_cell { uint64_t key; struct ql_stat_cell *cell; };
struct ql_held_counts {
    struct ql_stats *stats;         /* borrowed */
    struct ql_held_cell cells[QL_HELD_CELLS_MAX];
    uint32_t count;
    struct ql_stat_cell *told_late; /* of what came out in the end */
    struct ql_stat_cell *dropped;   /* of what policies found no room for */
};
void ql_held_counts_init(struct ql_held_counts *counts, struct ql_stats *stats);
/* A signal of that kind is held for the first time; `policy` is the name as in the file. */
void ql_held_count(struct ql_held_counts *counts, enum ql_held held, const char *policy,
                   enum ql_signal_kind kind);

#endif
