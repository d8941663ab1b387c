/* dt_policy.h - what people said about series, between the judge and the outside.
 *
 * The judge goes on learning whatever a policy says. A signal that a policy does not want
 * told is held: it stays open inside, is counted by reason, and is told as soon as the
 * reason ends while it still stands (a deploy's mute ends, the fault remains). A value
 * outside the valid range is a signal by itself and never reaches the judge.
 *
 * Units         times in ns, values in the series' unit.
 * Ownership     open/close. A set borrows the config; adopt makes a new one of the new.
 * Threads       one at a time.
 * Errors        open, adopt: QL_E_MEMORY; adopt then changed nothing. load: QL_E_MALFORMED.
 * Bounds        4 B a series, touched only once there are policies; EFFECTS and BOUNDS as
 *               below and changes as changed.h, beyond which is counted. A series without
 *               policy costs one load and one branch a point; without any only the branch.
 */
#ifndef QL_DETECT_DT_POLICY_H
#define QL_DETECT_DT_POLICY_H

#include "base/buf.h"
#include "base/map.h"
#include "base/stat.h"
#include "config/policy.h"
#include "detect/dt_signal.h"
#include "model/series.h"
#include "policy/changed.h"
#include "policy/held.h"

#define QL_DT_EFFECTS_MAX 16384u /* different results of policies */
#define QL_DT_BOUNDS_MAX 65536u  /* series outside of their range at once */

#define QL_DT_MARK_HELD 1u       /* the judge's open signal is not told */
#define QL_DT_MARK_ABSENT 2u     /* the absence is not told */
#define QL_DT_MARK_BOUND 4u      /* stands in `bounds` */
struct ql_dt_mark { uint16_t effect; uint8_t flags, run; }; /* effect 0: unknown, 1: none */
_Static_assert(sizeof(struct ql_dt_mark) == 4, "state of a series");

struct ql_dt_bound {             /* a series outside of its range */
    int64_t onset_ns, last_ns;
    double value;                /* the last outside */
    uint32_t series;
    uint16_t inside_run;         /* values in a row that are inside again */
    uint16_t told;
};

struct ql_dt_policy {
    bool active;                 /* there are policies, or there were */
    bool by_change;              /* one of them mutes after changes */
    struct ql_policy_set *set;
    struct ql_policy_effect *effects; /* [0] is unused, [1] the defaults */
    uint32_t effect_count;
    struct ql_map64 effect_of;   /* hash of the effect -> index */
    struct ql_dt_mark *marks;
    uint32_t series_max;
    struct ql_dt_bound *bounds;
    uint32_t bound_count;
    struct ql_map64 bound_of;    /* series -> index */
    struct ql_changed changed;
    struct ql_series_table *series; /* borrowed */
    struct ql_buf scratch;
    struct ql_held_counts counts;
};

QL_MUST_USE ql_err ql_dt_policy_open(struct ql_dt_policy *policy, const struct ql_config *config,
                                     struct ql_series_table *series, struct ql_stats *stats);
void ql_dt_policy_close(struct ql_dt_policy *policy);
QL_MUST_USE ql_err ql_dt_policy_adopt(struct ql_dt_policy *policy, const struct ql_config *config);

void ql_dt_policy_change(struct ql_dt_policy *policy, ql_entity_id entity, ql_time at);
/* Forgets changes that hold nothing back any more; each tick. */
void ql_dt_policy_sweep(struct ql_dt_policy *policy, ql_time now);

/* What applies to a series; resolved at first sight and again after adopt. */
const struct ql_policy_effect *ql_dt_policy_of(struct ql_dt_policy *policy, uint32_t series);
/* Whether a signal may be told now by time alone (mute, change, detector). */
enum ql_held ql_dt_policy_hold(struct ql_dt_policy *policy, uint32_t series, ql_time at,
                               bool by_detector);
/* What becomes of the judge's change: SAME while held, OPENED when told late. */
struct ql_dt_passing {
    enum ql_dt_change change;
    bool open;                   /* after the change */
    enum ql_signal_kind kind;
    const struct ql_point *point;
    const struct ql_dt_verdict *verdict;
    float threshold;
};
enum ql_dt_change ql_dt_policy_pass(struct ql_dt_policy *policy, uint32_t series,
                                    const struct ql_dt_passing *passing);
/* One more of that kind is held, by the policy of the series that set the field. */
void ql_dt_policy_count(struct ql_dt_policy *policy, uint32_t series, enum ql_held hold,
                        enum ql_signal_kind kind);
/* Nothing applies and nothing is held: the rest may be left out. */
static inline bool ql_dt_policy_idle(struct ql_dt_policy *policy, uint32_t series)
{
    const struct ql_dt_mark *mark = &policy->marks[series];
    return mark->effect == 1 && mark->flags == 0;
}

/* Bounds: the entry of a series, made on demand; NULL when the table is full (counted). */
struct ql_dt_bound *ql_dt_policy_bound(struct ql_dt_policy *policy, uint32_t series);
struct ql_dt_bound *ql_dt_policy_bound_add(struct ql_dt_policy *policy, uint32_t series,
                                           int64_t onset_ns);
void ql_dt_policy_bound_drop(struct ql_dt_policy *policy, uint32_t series);

ql_err ql_dt_policy_save(const struct ql_dt_policy *policy, uint32_t series_count,
                         struct ql_buf *out);
QL_MUST_USE ql_err ql_dt_policy_load(struct ql_dt_policy *policy, struct ql_reader *in);

#endif
