/* dt_peers - one replica against the median of all of them.
 *
 * Good for     a replica that slows, fills or errs while the others do not, however slowly.
 * Bad for      a fleet that goes wrong together (each series' own history sees that).
 * Method       z = (x - median) / (1.4826 MAD + 5 % |median|), smoothed over about five rows,
 *              less where this member usually stands (a leader is always different); the
 *              largest |z| has a running generalised Pareto tail over the group.
 * Baseline     of a run above the usual only the first row is learnt (runs declustering, as
 *              in Coles 2001, 5.3): who leaves the others slowly must not take the
 *              yardstick along. After a day dt_group.c starts anew.
 */
#include "detect/dt_group.h"

#include "math/order.h"

#include <math.h>

#define PEER_NOW_RATIO 0.2f      /* five rows */
#define PEER_USUAL_RATIO 0.002f  /* of the newest row, in the long run */
#define PEER_LEVEL_FLOOR 0.05
#define PEER_Z_MAX 30.0
#define PEER_LEAST 0.1f          /* least mean excess believed in */
enum { PEER_ROWS_FIRST = 64 };

static float peers_gain(uint32_t rows)
{
    const float first = 10.0f / ((float)rows + 1.0f);
    return first > 0.002f ? first : 0.002f;
}

static void peers_learn(struct ql_dt_group *g, float most)
{
    const float residuals[QL_TAIL_LANES] = { most };
    const float gain = peers_gain(g->rows);
    if (g->rows < PEER_ROWS_FIRST) {
        ql_tail_warm(&g->tails, 0, most);
    } else if (g->rows == PEER_ROWS_FIRST) {
        ql_tail_settle(&g->tails, 0, PEER_LEAST);
    } else if ((ql_tails_step(&g->tails, residuals, gain) & 1u) != 0) {
        ql_tail_learn_excess(&g->tails, 0, most, gain, 0.05f, PEER_LEAST);
    }
}

/* Where each stands becomes where it usually does, slowly. */
static void peers_settle(struct ql_dt_group *g)
{
    const float fresh = 1.0f / ((float)g->rows + 1.0f);
    const float ratio = fresh > PEER_USUAL_RATIO ? fresh : PEER_USUAL_RATIO;
    for (uint32_t i = 0; i < g->count; i++) {
        if (isfinite(g->values[i])) {
            g->usual[i] += ratio * (g->now[i] - g->usual[i]);
        }
    }
}

uint32_t ql_dt_peers_row(struct ql_dt_group *g, struct ql_dt_verdict *v, uint32_t *ret_present)
{
    double sorted[QL_DT_GROUP_MAX];
    uint32_t present = 0, lead = 0;
    float most = 0.0f;
    *v = (struct ql_dt_verdict){ 0 };
    for (uint32_t i = 0; i < g->count; i++) {
        if (isfinite(g->values[i])) {
            sorted[present++] = g->values[i];
        }
    }
    *ret_present = present;
    if (present < QL_DT_PEERS_MIN) {
        return 0;
    }
    const double median = ql_median(sorted, present);
    const double spread = 1.4826 * ql_mad(sorted, present, median) +
                          PEER_LEVEL_FLOOR * fabs(median) + 1e-9;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!isfinite(g->values[i])) {
            continue;
        }
        const double z = (g->values[i] - median) / spread;
        const float near = (float)fmax(-PEER_Z_MAX, fmin(PEER_Z_MAX, z));
        g->now[i] += (g->rows == 0 ? 1.0f : PEER_NOW_RATIO) * (near - g->now[i]);
        const float away = fabsf(g->now[i] - g->usual[i]);
        if (away > most) {
            most = away;
            lead = i;
        }
    }
    v->judged = g->rows > PEER_ROWS_FIRST;
    v->evidence = most;
    v->evidence_surprise = v->judged && most > g->tails.quantile[0]
                               ? ql_tail_excess(&g->tails, 0, most, PEER_LEAST)
                               : 0.0f;
    v->expected = median + (double)g->usual[lead] * spread;
    const double half = (double)(g->tails.quantile[0] + 1.0f) * spread;
    v->lower = v->expected - half;
    v->upper = v->expected + half;
    v->has_band = true;
    if (g->run <= 1) {
        peers_settle(g);
        peers_learn(g, most);
        g->rows++;
    }
    return lead;
}
