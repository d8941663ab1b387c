/* pool.h - what all series together say about how rare a surprise really is.
 *
 * One series sees too little to know its one-in-a-hundred-thousand. A pool counts the
 * raw surprises of many series in bins of 0.05 decades and turns a raw surprise into a
 * calibrated one: -log10 of the share of all points that were at least as strange.
 * Until it has counted much, it leans on a prior slope.
 *
 * Units         surprise in decades, [0, QL_POOL_SURPRISE_MAX].
 * Ownership     plain bytes of the caller; ql_pool_init first.
 * Bounds        count O(1); map O(1) from a table that refresh() renews in O(bins).
 * Determinism   integers and + - * /; refresh is called at fixed counts by the owner.
 */
#ifndef QL_MATH_POOL_H
#define QL_MATH_POOL_H

#include "base/base.h"

#define QL_POOL_BINS 256u
#define QL_POOL_BIN_DECADES 0.05f
#define QL_POOL_SURPRISE_MAX 12.75f

/* What is believed before anything was counted: calibrated = raw up to `knee`, then
 * rises by `slope` a decade; weighs as much as `weight` counted points. */
struct ql_pool_prior { float knee, slope, weight; };

struct ql_pool {
    uint32_t bins[QL_POOL_BINS];
    float calibrated[QL_POOL_BINS]; /* at the lower edge of each bin */
};

void ql_pool_init(struct ql_pool *pool, struct ql_pool_prior prior);
static inline uint32_t ql_pool_bin(float surprise)
{
    const float place = surprise * (1.0f / QL_POOL_BIN_DECADES);
    return place <= 0.0f ? 0 : (place >= 255.0f ? 255 : (uint32_t)place);
}
static inline void ql_pool_count(struct ql_pool *pool, float surprise)
{
    pool->bins[ql_pool_bin(surprise)]++;
}
static inline float ql_pool_map(const struct ql_pool *pool, float surprise)
{
    const uint32_t bin = ql_pool_bin(surprise);
    const float low = pool->calibrated[bin];
    const float high = pool->calibrated[bin < QL_POOL_BINS - 1 ? bin + 1 : bin];
    const float part = surprise * (1.0f / QL_POOL_BIN_DECADES) - (float)bin;
    return low + (part < 1.0f ? part : 1.0f) * (high - low);
}
/* Renews the table from the counts; `points` is how many were judged in all, those with
 * surprise 0 too. halve forgets half of the counts (halve `points` with them). */
void ql_pool_refresh(struct ql_pool *pool, struct ql_pool_prior prior, uint64_t points);
void ql_pool_halve(struct ql_pool *pool);

#endif
