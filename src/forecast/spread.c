/* spread - widths of intervals from the misses of many series.
 *
 * Good for     series that are forecast together, each with only one stretch held back.
 * Bad for      a single series whose newest stretch was unlike the next.
 * Method       split conformal prediction (Vovk et al. 2005) across series: quantiles of
 *              |miss| / scale by how far ahead; half of the width is the series' own.
 * Cost         one selection a bucket and level.
 */
#include "forecast/forecast.h"
#include "math/order.h"

#include <math.h>
#include <stdlib.h>

enum { BUCKETS_MAX = 16, BUCKET_STEPS_LEAST = 4, COUNT_LEAST = 40, LEVELS = 2, OWN_LEAST = 8 };

static const double spread_levels[LEVELS] = { 0.80, 0.95 };
static const double spread_prior[LEVELS] = { 1.8, 3.4 }; /* before anything was seen */

struct ql_forecast_spread {
    uint32_t horizon, bucket_steps, buckets, room;
    uint32_t counts[BUCKETS_MAX];
    double *misses[BUCKETS_MAX]; /* [room] in units of scale */
    double width[BUCKETS_MAX][LEVELS];
};

ql_err ql_forecast_spread_new(uint32_t horizon, uint32_t series_max,
                              struct ql_forecast_spread **ret_spread)
{
    struct ql_forecast_spread *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return QL_E_MEMORY;
    }
    s->horizon = horizon;
    s->bucket_steps = (horizon + BUCKETS_MAX - 1) / BUCKETS_MAX;
    s->bucket_steps = s->bucket_steps < BUCKET_STEPS_LEAST ? BUCKET_STEPS_LEAST : s->bucket_steps;
    s->buckets = (horizon + s->bucket_steps - 1) / s->bucket_steps;
    s->room = s->bucket_steps * series_max;
    for (uint32_t b = 0; b < s->buckets; b++) {
        s->misses[b] = malloc((size_t)s->room * sizeof(double));
        if (s->misses[b] == NULL) {
            ql_forecast_spread_free(s);
            return QL_E_MEMORY;
        }
    }
    *ret_spread = s;
    return QL_OK;
}

void ql_forecast_spread_free(struct ql_forecast_spread *s)
{
    for (uint32_t b = 0; s != NULL && b < BUCKETS_MAX; b++) {
        free(s->misses[b]);
    }
    free(s);
}

void ql_forecast_spread_add(struct ql_forecast_spread *s, const struct ql_forecast_fit *fit)
{
    for (uint32_t j = 0; j < s->horizon; j++) {
        const uint32_t b = j / s->bucket_steps;
        if (isfinite(fit->miss[j]) && s->counts[b] < s->room) {
            s->misses[b][s->counts[b]++] = fit->miss[j] / fit->scale;
        }
    }
}

void ql_forecast_spread_close(struct ql_forecast_spread *s)
{
    for (uint32_t level = 0; level < LEVELS; level++) {
        double widest = 0.0;
        for (uint32_t b = 0; b < s->buckets; b++) {
            const double seen = s->counts[b] == 0
                                    ? 0.0
                                    : ql_quantile(s->misses[b], s->counts[b], spread_levels[level]);
            const double trust = (double)s->counts[b] / ((double)s->counts[b] + COUNT_LEAST);
            const double width = trust * seen + (1.0 - trust) * spread_prior[level];
            widest = width > widest ? width : widest; /* further ahead is never surer */
            s->width[b][level] = 0.5 * (width + widest);
        }
    }
}

/* The series' own quantiles over its whole stretch, in units of scale; the pool's where it
 * has none. */
static void own_widths(const struct ql_forecast_fit *fit, uint32_t horizon,
                       double ret_own[LEVELS])
{
    double *room = malloc((size_t)horizon * sizeof *room);
    for (uint32_t level = 0; level < LEVELS; level++) {
        uint32_t count = 0;
        for (uint32_t j = 0; room != NULL && j < horizon; j++) {
            if (isfinite(fit->miss[j])) {
                room[count++] = fit->miss[j] / fit->scale;
            }
        }
        ret_own[level] =
            count < OWN_LEAST ? NAN : ql_quantile(room, count, spread_levels[level]);
    }
    free(room);
}

static double inside(double x, const struct ql_forecast_fit *fit)
{
    const double least = fit->least < 0.0 ? x : 0.0; /* what never was negative will not be */
    return x > least ? x : least;
}

void ql_forecast_steps(const struct ql_forecast_fit *fit, const struct ql_forecast_spread *s,
                       uint32_t horizon, struct ql_forecast_step *ret_steps)
{
    QL_ASSERT(horizon <= s->horizon);
    double own[LEVELS];
    own_widths(fit, horizon, own);
    for (uint32_t j = 0; j < horizon; j++) {
        const double *pooled = s->width[j / s->bucket_steps];
        double half[LEVELS];
        for (uint32_t level = 0; level < LEVELS; level++) {
            const double ratio =
                isfinite(own[level]) ? 0.5 * (pooled[level] + own[level]) : pooled[level];
            half[level] = ratio * fit->scale;
        }
        half[1] = half[1] > half[0] ? half[1] : half[0];
        const double mean = fit->mean[j];
        ret_steps[j] = (struct ql_forecast_step){
            mean, inside(mean - half[0], fit), mean + half[0], inside(mean - half[1], fit),
            mean + half[1],
        };
    }
}
