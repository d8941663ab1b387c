/* pool - pooled empirical re-calibration of surprises.
 *
 * Good for     honest false-alarm rates far out in the tail, over thousands of series.
 * Bad for      a handful of series over a short time: there the prior speaks.
 * Method       survival of a histogram of -log10 p, mixed with a prior; past the highest
 *              hundred counts the log survival goes on with its slope over the decade
 *              before (a straight line there is a Pareto tail in p).
 * Cost         2 kB; refresh about 2 us.
 */
#include "math/pool.h"

#include "math/fastlog.h"

#define POOL_TAIL_COUNT 20.0f /* fewer points than this above a bin: extrapolate */
#define POOL_SLOPE_MIN 0.25f
#define POOL_SLOPE_MAX 1.5f

static float pool_prior_at(struct ql_pool_prior prior, float surprise)
{
    return surprise <= prior.knee ? surprise
                                  : prior.knee + prior.slope * (surprise - prior.knee);
}

void ql_pool_init(struct ql_pool *pool, struct ql_pool_prior prior)
{
    QL_ASSERT(prior.slope > 0.0f);
    QL_ASSERT(prior.weight > 0.0f);
    *pool = (struct ql_pool){ 0 };
    ql_pool_refresh(pool, prior, 0);
}

/* Slope of the calibrated surprise over the decade below `bin`; the prior's where hardly
 * anything was counted there. */
static float pool_slope(const struct ql_pool *pool, const float *above, uint32_t bin,
                        float prior_slope)
{
    const uint32_t decade = (uint32_t)(1.0f / QL_POOL_BIN_DECADES);
    if (bin < decade || above[bin - decade] < POOL_TAIL_COUNT) {
        return prior_slope;
    }
    const float slope = pool->calibrated[bin] - pool->calibrated[bin - decade];
    return slope < POOL_SLOPE_MIN ? POOL_SLOPE_MIN
                                  : (slope > POOL_SLOPE_MAX ? POOL_SLOPE_MAX : slope);
}

void ql_pool_refresh(struct ql_pool *pool, struct ql_pool_prior prior, uint64_t points)
{
    const float all = (float)points + prior.weight;
    float above[QL_POOL_BINS], sum = 0.0f;
    for (uint32_t bin = QL_POOL_BINS; bin-- > 0;) {
        sum += (float)pool->bins[bin];
        above[bin] = sum;
    }
    float slope = 0.0f, last = 0.0f;
    for (uint32_t bin = 0; bin < QL_POOL_BINS; bin++) {
        const float surprise = (float)bin * QL_POOL_BIN_DECADES;
        const float prior_above = prior.weight * ql_exp10f(-pool_prior_at(prior, surprise));
        if (bin == 0) {
            pool->calibrated[0] = 0.0f;
        } else if (above[bin] + prior_above >= POOL_TAIL_COUNT) {
            pool->calibrated[bin] = -ql_log10f((above[bin] + prior_above) / all);
        } else {
            slope = slope > 0.0f ? slope : pool_slope(pool, above, bin - 1, prior.slope);
            pool->calibrated[bin] = last + slope * QL_POOL_BIN_DECADES;
        }
        if (pool->calibrated[bin] < last) {
            pool->calibrated[bin] = last;
        }
        last = pool->calibrated[bin];
    }
}

void ql_pool_halve(struct ql_pool *pool)
{
    for (uint32_t bin = 0; bin < QL_POOL_BINS; bin++) {
        pool->bins[bin] /= 2;
    }
}
