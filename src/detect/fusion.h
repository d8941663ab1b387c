/* fusion.h - whether the metrics of one entity still go together as they used to.
 *
 * Each metric is predicted from all of them by what their correlations allow; what is
 * left, in units of its own usual remainder, is summed over the metrics. Magnitudes are
 * kept (an entity is stranger when one metric is far out than when many are a little),
 * only very large ones are capped.
 *
 * Units         rows are values in the metrics' own units; NaN is a missing value. The
 *               score is 1 for what is usual, without upper end.
 * Ownership     new/free.
 * Threads       one at a time.
 * Errors        new: QL_E_MEMORY, QL_E_RANGE (no metric, or over QL_FUSION_METRICS_MAX).
 * Bounds        O(metrics * 64) a row; ql_fusion_bytes(): 4.5 kB for 32 metrics, 15 kB for
 *               64, which is a block.
 * Determinism   + - * / and sqrt.
 */
#ifndef QL_DETECT_FUSION_H
#define QL_DETECT_FUSION_H

#include "base/base.h"

#define QL_FUSION_METRICS_MAX 65536u
#define QL_FUSION_BLOCK 64u /* metrics that are related to each other */

struct ql_fusion;
struct ql_fusion_verdict {
    bool judged;                   /* false while learning: nothing else is then set */
    float score;                   /* mean of the last rows */
    float surprise;                /* -log10 p of it by its own running tail */
    uint32_t lead;                 /* metric with the largest part */
    double expected, lower, upper; /* of that metric */
};

QL_MUST_USE ql_err ql_fusion_new(uint32_t metrics, struct ql_fusion **ret_fusion);
void ql_fusion_free(struct ql_fusion *fusion);

/* The same in memory of the caller's (aligned to 8), which may be copied and saved as
 * bytes; holds() tells whether bytes that were read can be one of so many metrics. */
size_t ql_fusion_bytes(uint32_t metrics);
struct ql_fusion *ql_fusion_place(void *memory, uint32_t metrics);
bool ql_fusion_holds(const struct ql_fusion *fusion, uint32_t metrics);

/* Rows known to be normal: every one through learn(), then fit(), then every one again
 * through settle(). Without them the first rows of step() are learnt from instead. */
void ql_fusion_learn(struct ql_fusion *fusion, const double *row);
void ql_fusion_fit(struct ql_fusion *fusion);
void ql_fusion_settle(struct ql_fusion *fusion, const double *row);
/* Judges, and learns if `learn` says so. */
void ql_fusion_step(struct ql_fusion *fusion, const double *row, bool learn,
                    struct ql_fusion_verdict *ret_verdict);
/* How much of the last row's oddness is one metric's, 0 to 1. */
float ql_fusion_share(struct ql_fusion *fusion, uint32_t metric);

#endif
