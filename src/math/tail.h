/* tail.h - how surprising residuals are, from a running model of their own upper tails.
 *
 * Eight lanes at once (one an expert) follow the largest 2 % of a stream of non-negative
 * residuals each: a running quantile q, and mean and variance of what exceeds it, which
 * fix a generalised Pareto tail by moments. The shape stays above 0, so the tail never
 * ends and larger is always stranger: ties at "impossible" would destroy the ranking.
 *
 * Units         residuals in any unit; surprise is -log10 P(residual >= r), 0 up to q.
 * Ownership     plain bytes of the caller; all zero is a fresh state.
 * Bounds        O(lanes); the common case (r <= q) is a compare and a multiplication.
 * Determinism   float + - * / and fastlog.h.
 */
#ifndef QL_MATH_TAIL_H
#define QL_MATH_TAIL_H

#include "base/base.h"

#define QL_TAIL_LANES 8u
#define QL_TAIL_RATIO 0.02f           /* share of points that lie in the tail */
#define QL_TAIL_SURPRISE_MIN 1.69897f /* -log10 of it: what a point at q has */
#define QL_TAIL_SURPRISE_MAX 12.0f

struct ql_tails {
    float quantile[QL_TAIL_LANES]; /* q; while warming: the second largest seen */
    float mean[QL_TAIL_LANES];     /* of r - q over the tail; while warming: the largest */
    float variance[QL_TAIL_LANES];
};

/* The first points only raise the two largest values seen; settle() makes the model of
 * them. `least` is the smallest mean excess believed in (a scale floor). */
void ql_tail_start(struct ql_tails *tails, uint32_t lane);
void ql_tail_warm(struct ql_tails *tails, uint32_t lane, float r);
void ql_tail_settle(struct ql_tails *tails, uint32_t lane, float least);

/* The lane goes on with residuals in another unit, `ratio` (> 0) of the old one. */
void ql_tail_scale(struct ql_tails *tails, uint32_t lane, float ratio);

/* Learns that the residuals were inside, and returns a bit for every lane where one was
 * not (r > q): follow with ql_tail_learn_excess() there. gain: of the running quantile, in
 * mean excesses a point; 4 * 0.002 in the long run. 0 learns nothing. */
uint32_t ql_tails_step(struct ql_tails *tails, const float r[QL_TAIL_LANES], float gain);

/* Surprise of r > q in one lane. */
float ql_tail_excess(const struct ql_tails *tails, uint32_t lane, float r, float least);
/* Learns an r > q after ql_tails_step(). rate: weight of the newest excess. */
void ql_tail_learn_excess(struct ql_tails *tails, uint32_t lane, float r, float gain, float rate,
                          float least);
/* The residual that would have `surprise` (>= QL_TAIL_SURPRISE_MIN). */
float ql_tail_residual(const struct ql_tails *tails, uint32_t lane, float surprise, float least);

#endif
