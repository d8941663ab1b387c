/* rule.h - the rules of correlation as pure functions: what opens, what joins, what merges.
 *
 * OPEN    An alert always may: somebody wrote a rule for it. Signals alone open an incident
 *         only as a group (two series of an entity or of direct neighbours, each odd within
 *         the join window of the other, and not one number under two names), or one signal
 *         that is extreme (surprise >= 12), or one that callers feel (latency, errors,
 *         availability) and that is strong (surprise >= 8) or has lasted as long as the
 *         join window. Failing disks, which may be found weeks after they began, many at
 *         once, open nothing by themselves. One weak odd series therefore pages nobody. A policy
 *         may say otherwise: a signal of high or critical importance opens alone, one of low
 *         importance opens nothing and helps no other to; it still joins.
 * JOIN    A new member joins an incident when it is near one of its entities and close in
 *         time. Near: the same entity, or reached along call edges in one direction (what
 *         fails hurts its callers), or calling the same callee, or touched by the same
 *         change. Close: at the same entity, while a member there lasts or ended less than
 *         join ago; elsewhere within join of a member's start, twice that while it lasts.
 *         Strength falls with distance and time; the strongest link wins, so two faults in
 *         unconnected parts stay two incidents.
 * MERGE   A newcomer that is strongly linked (>= 0.45: the same entity, or one call and
 *         under half the window) to two open incidents makes them one; the older stays.
 *
 * Units         surprise is -log10 of a calibrated probability; strength in [0, 1].
 * Determinism   pure functions.
 */
#ifndef QL_CORRELATE_RULE_H
#define QL_CORRELATE_RULE_H

#include "base/base.h"
#include "model/metric_kind.h"

#define QL_RULE_SURPRISE_ALONE 12.0
#define QL_RULE_SURPRISE_SYMPTOM 8.0
#define QL_RULE_MERGE_STRENGTH 0.45

struct ql_rule_evidence {
    bool alert;              /* one is firing */
    bool low, high;          /* importance by policy: never opens; opens alone */
    bool burn;               /* an error budget burns: high by what somebody promised */
    bool symptom;            /* the strongest signal is one that callers feel */
    uint32_t series_count;   /* distinct odd series of the neighbourhood, failing disks left out */
    double surprise_max;
    ql_duration lasted;      /* of the newcomer, when it still lasts; else 0 */
};
/* Why an incident may be opened on this, or NULL: not yet. */
const char *ql_rule_opens(const struct ql_rule_evidence *evidence, ql_duration join);

enum ql_rule_relation {
    QL_RELATION_SAME,       /* the same entity */
    QL_RELATION_CALLS,      /* the newcomer calls the member */
    QL_RELATION_CALLED,     /* the member calls the newcomer */
    QL_RELATION_SHARED,     /* both call a third */
    QL_RELATION_CHANGE      /* one change touched both */
};
struct ql_rule_link {
    enum ql_rule_relation relation;
    uint32_t hops;
    bool lasts;             /* a member is open at that entity */
    ql_time onset;          /* of the newcomer */
    ql_time since_first, since_last; /* starts of the members at that entity */
    ql_time ended_last;     /* newest end of a member there; QL_TIME_NONE: none ended */
};
/* Strength in (0, 1], or 0: does not join. */
double ql_rule_link(const struct ql_rule_link *link, ql_duration join);
/* "40 s later", "2 min earlier", "at the same time": onset against the nearest start. */
const char *ql_rule_gap_text(const struct ql_rule_link *link, char out[32]);

#endif
