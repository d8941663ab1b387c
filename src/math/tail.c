/* tail - peaks over a running threshold, fitted by moments.
 *
 * Good for     residuals whose spread and tail differ from series to series.
 * Bad for      claims below about one in a hundred thousand from one series alone: pool
 *              the surprises of many series (pool.h) to be right there.
 * Method       Pickands 1975, Hosking and Wallis 1987 (moments); quantile by stochastic
 *              approximation (Robbins and Monro 1951); an excess is clipped before it is
 *              learnt, so one monster does not make the next one look normal.
 * Cost         96 bytes for eight lanes; 2 ns inside, about 10 ns a lane in the tail.
 */
#include "math/tail.h"

#include "math/fastlog.h"

#define TAIL_SHAPE_MIN 0.02f
#define TAIL_SHAPE_MAX 0.40f
#define TAIL_CLIP 12.0f /* mean excesses: most that one point can teach */

void ql_tail_start(struct ql_tails *tails, uint32_t lane)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    tails->quantile[lane] = tails->mean[lane] = tails->variance[lane] = 0.0f;
}

void ql_tail_warm(struct ql_tails *tails, uint32_t lane, float r)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    if (r > tails->mean[lane]) {
        tails->quantile[lane] = tails->mean[lane];
        tails->mean[lane] = r;
    } else if (r > tails->quantile[lane]) {
        tails->quantile[lane] = r;
    }
}

/* Two largest values say little about a mean excess: it is taken between an eighth of q
 * and q itself. */
void ql_tail_settle(struct ql_tails *tails, uint32_t lane, float least)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    const float q = tails->quantile[lane];
    const float gap = tails->mean[lane] - q;
    float mean = gap < 0.25f * q ? 0.5f * (gap + 0.25f * q) : gap;
    mean = mean > q ? q : mean;
    tails->mean[lane] = mean > least ? mean : least;
    tails->variance[lane] = 2.0f * tails->mean[lane] * tails->mean[lane]; /* shape 1/4 */
}

void ql_tail_scale(struct ql_tails *tails, uint32_t lane, float ratio)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    QL_ASSERT(ratio > 0.0f);
    tails->quantile[lane] *= ratio;
    tails->mean[lane] *= ratio;
    tails->variance[lane] = tails->variance[lane] * ratio * ratio; /* the square may be too large */
}

uint32_t ql_tails_step(struct ql_tails *tails, const float r[QL_TAIL_LANES], float gain)
{
    uint32_t over = 0;
    const float fall = gain * QL_TAIL_RATIO;
    for (uint32_t lane = 0; lane < QL_TAIL_LANES; lane++) {
        const float q = tails->quantile[lane];
        over |= (uint32_t)(r[lane] > q) << lane;
        const float lower = q - fall * tails->mean[lane];
        tails->quantile[lane] = lower > 0.0f ? lower : 0.0f;
    }
    return over;
}

struct tail_shape { float mean, shape, scale; };

static struct tail_shape tail_shape(const struct ql_tails *tails, uint32_t lane, float least)
{
    struct tail_shape t = { .mean = tails->mean[lane], .shape = TAIL_SHAPE_MIN };
    t.mean = t.mean > least ? t.mean : least;
    const float square = t.mean * t.mean;
    if (tails->variance[lane] > square) {
        t.shape = 0.5f * (1.0f - square / tails->variance[lane]);
        t.shape = t.shape < TAIL_SHAPE_MIN ? TAIL_SHAPE_MIN : t.shape;
        t.shape = t.shape > TAIL_SHAPE_MAX ? TAIL_SHAPE_MAX : t.shape;
    }
    t.scale = t.mean * (1.0f - t.shape);
    return t;
}

float ql_tail_excess(const struct ql_tails *tails, uint32_t lane, float r, float least)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    const struct tail_shape t = tail_shape(tails, lane, least);
    const float excess = r > tails->quantile[lane] ? r - tails->quantile[lane] : 0.0f;
    const float surprise =
        QL_TAIL_SURPRISE_MIN + ql_log10f(1.0f + t.shape * excess / t.scale) / t.shape;
    return surprise < QL_TAIL_SURPRISE_MAX ? surprise : QL_TAIL_SURPRISE_MAX;
}

float ql_tail_residual(const struct ql_tails *tails, uint32_t lane, float surprise, float least)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    const struct tail_shape t = tail_shape(tails, lane, least);
    const float decades = surprise > QL_TAIL_SURPRISE_MIN ? surprise - QL_TAIL_SURPRISE_MIN : 0.0f;
    return tails->quantile[lane] +
           t.scale * (ql_exp2f(3.32192809f * decades * t.shape) - 1.0f) / t.shape;
}

void ql_tail_learn_excess(struct ql_tails *tails, uint32_t lane, float r, float gain, float rate,
                          float least)
{
    QL_ASSERT(lane < QL_TAIL_LANES);
    const float mean = tails->mean[lane] > least ? tails->mean[lane] : least;
    const float excess = r - tails->quantile[lane], most = TAIL_CLIP * mean;
    const float d = (excess < most ? excess : most) - mean;
    tails->quantile[lane] += gain * mean;
    tails->mean[lane] = mean + rate * d;
    tails->variance[lane] += rate * (d * d - tails->variance[lane]);
}
