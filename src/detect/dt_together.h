/* dt_together.h - many series that are a little odd at once are together surer than one.
 *
 * A threshold for a single series asks the same of the hundredth that is odd in a tick as
 * of the first. The step-up rule of Benjamini and Hochberg (JRSS B 57, 1995) asks less of
 * each the more there are: the k-th smallest p-value of a tick need only be below k times
 * the level. At the level of the budget's threshold, on a tick in which all is normal, as
 * many open as without it; what it adds, it adds where many are odd.
 *
 * Series that pass the threshold alone open at once; those that come near are kept until
 * the tick, where the rule is applied to both, for each tenant by itself. Families may have
 * thresholds of their own, so what is ordered is how far a series is past its own.
 *
 * Units         surprise and threshold in decades.
 * Ownership     open/close.
 * Threads       one at a time.
 * Errors        open: QL_E_MEMORY.
 * Bounds        QL_DT_NEAR_MAX series a tick, each tenant an equal part of them (15 of the most
 *               there can be: ten are what the rule can make of it within its decade); who
 *               comes later is only judged alone.
 * Determinism   order is by tenant, by how far past its threshold, then by series.
 */
#ifndef QL_DETECT_DT_TOGETHER_H
#define QL_DETECT_DT_TOGETHER_H

#include "detect/dt_tenant.h"

#define QL_DT_NEAR_MAX 1024u
#define QL_DT_NEAR_DECADES 1.0f /* how far below the threshold is near */

struct ql_dt_near {
    uint32_t series, tenant;
    uint32_t quota;          /* of its family; for the caller */
    float past;              /* decades over its threshold; below 0 */
    struct ql_dt_input in;
    struct ql_dt_verdict verdict;
};
struct ql_dt_together {
    struct ql_dt_near *near;
    uint32_t count;
    uint32_t noted[QL_DT_TENANTS_MAX]; /* of them */
    uint32_t alone[QL_DT_TENANTS_MAX]; /* opened by themselves since the last tick */
};

QL_MUST_USE ql_err ql_dt_together_open(struct ql_dt_together *together);
void ql_dt_together_close(struct ql_dt_together *together);
/* `tenants` is how many share the room. */
void ql_dt_together_note(struct ql_dt_together *together, uint32_t tenants,
                         const struct ql_dt_near *near);
/* How many of `near` open: they are the first ones then, each series once, and stay until
 * the next note. `states` tell who has opened meanwhile. Ends the tick. */
uint32_t ql_dt_together_pick(struct ql_dt_together *together, const struct ql_dt_series *states);

#endif
