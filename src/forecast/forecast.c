/* forecast - the pool: replayed from the past, weighed, and its own errors as bands.
 *
 * Weights       1 / (mean absolute error)^4 over the origins, newer ones more.
 * Bands         conformal: at every origin the pool is weighed by the other origins only, so
 *               its errors there are honest; quantiles of them by distance, widened for how
 *               few they are.
 */
#include "forecast/forecast.h"

#include "forecast/fc_int.h"
#include "math/order.h"

#include <math.h>

#define POOL_MAX 24u
#define ORIGIN_AGE 0.6           /* weight of an origin against the next newer one */
#define ERROR_POWER 4.0
#define FLAT_SEASON 24u          /* points of a season that rule a flat forecast out */
#define LEAST_HISTORY 8u         /* points before the first origin */
#define GROWTH_BUCKETS 6u
#define WIDEN_80 1.10            /* quantiles of so few, dependent errors are too small */
#define WIDEN_95 1.10
#define GUESS_RATIO 0.25         /* of the value: deviation of a series nothing is known of */

struct pool {
    const struct ql_forecast_in *in;
    struct ql_arena *scratch;
    double *y;                   /* gaps filled, from first to last real value */
    double *logs;                /* their logarithms; NULL unless all are above 0 */
    uint32_t missing;            /* steps between the last real value and the end */
    struct ql_fc fc;
    uint32_t members;
    double *told[POOL_MAX];      /* origin_count x steps each */
    double errors[POOL_MAX][QL_FC_ORIGINS_MAX];
    double *mean;                /* origin_count x steps: of the pool */
    double low, high;            /* of y */
    double *residuals;           /* (origin_count - 1) x steps, signed */
};

static void *pool_take(struct pool *p, size_t count)
{
    return ql_arena_take(p->scratch, (count > 0 ? count : 1) * sizeof(double));
}

/* ---- the series ------------------------------------------------------------------ */

static ql_err pool_read(struct pool *p)
{
    const struct ql_forecast_in *in = p->in;
    uint32_t from = in->count > QL_FORECAST_POINTS_MAX ? in->count - QL_FORECAST_POINTS_MAX : 0;
    uint32_t to = in->count;
    while (from < to && !isfinite(in->values[from])) {
        from++;
    }
    while (to > from && !isfinite(in->values[to - 1])) {
        to--;
    }
    if (from == to) {
        return QL_E_NOT_FOUND;
    }
    p->missing = in->count - to;
    if (p->missing > QL_FORECAST_STEPS_MAX) {
        p->missing = QL_FORECAST_STEPS_MAX;
    }
    const uint32_t n = to - from;
    p->y = pool_take(p, n);
    if (p->y == NULL) {
        return QL_E_MEMORY;
    }
    memcpy(p->y, in->values + from, n * sizeof(*p->y));
    const double day = in->step_s > 0.0 ? 86400.0 / in->step_s : 0.0;
    ql_fc_fill(p->y, n, day >= 2.0 && day < (double)n ? (uint32_t)(day + 0.5) : 0);
    p->low = p->high = p->y[0];
    for (uint32_t i = 1; i < n; i++) {
        p->low = p->y[i] < p->low ? p->y[i] : p->low;
        p->high = p->y[i] > p->high ? p->y[i] : p->high;
    }
    uint32_t periods[2];
    ql_fc_periods(p->y, n, in->step_s, periods);
    p->fc = (struct ql_fc){ .y = p->y, .n = n, .p1 = periods[0], .p2 = periods[1],
                            .steps = in->horizon + p->missing, .scratch = p->scratch };
    return QL_OK;
}

static ql_err pool_logs(struct pool *p)
{
    /* Zeros are common in rates and loads: a small share of the range keeps them finite. */
    const double shift = p->low > 0.0 ? 0.0 : 0.02 * (p->high - p->low);
    if (p->low < 0.0 || !(p->high > p->low)) {
        return QL_OK;
    }
    p->logs = pool_take(p, p->fc.n);
    if (p->logs == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < p->fc.n; i++) {
        p->logs[i] = log(p->y[i] + shift);
    }
    return QL_OK;
}

/* Moments of the past, newest first at a horizon's distance, as long as enough lies before. */
static void pool_origins(struct pool *p)
{
    struct ql_fc *fc = &p->fc;
    uint32_t least = ql_fc_longest(fc) * 2 + 50;
    if (ql_fc_longest(fc) == 0 || least > fc->n) {
        least = fc->n / 3 > LEAST_HISTORY ? fc->n / 3 : LEAST_HISTORY;
    }
    const uint32_t span = fc->n > least ? fc->n - least : 0;
    uint32_t apart = fc->steps;
    if (span < 2 * apart) {
        apart = span / 2 > 0 ? span / 2 : 1;
    }
    uint32_t past = span / apart;
    past = past > QL_FC_ORIGINS_MAX - 1 ? QL_FC_ORIGINS_MAX - 1 : past;
    for (uint32_t k = 0; k <= past; k++) {
        fc->origins[k] = fc->n - (past - k) * apart;
    }
    fc->origin_count = past + 1;
}

/* ---- members --------------------------------------------------------------------- */

static double pool_clip(const struct pool *p, double x)
{
    const double range = p->high - p->low;
    const double low = p->low < 0.0 ? p->low - 0.5 * range : 0.5 * p->low;
    const double high = p->high + 0.5 * range;
    return isfinite(x) ? (x < low ? low : (x > high ? high : x)) : p->y[p->fc.n - 1];
}

static ql_err pool_member(struct pool *p, ql_fc_member *member, bool logs)
{
    const size_t cells = (size_t)p->fc.origin_count * p->fc.steps;
    struct ql_fc fc = p->fc;
    if (logs && p->logs == NULL) {
        return QL_OK;
    }
    double *out = pool_take(p, cells);
    if (out == NULL) {
        return QL_E_MEMORY;
    }
    fc.y = logs ? p->logs : p->y;
    const double shift = p->low > 0.0 ? 0.0 : 0.02 * (p->high - p->low);
    const ql_err err = member(&fc, out);
    if (err != QL_OK) {
        return err == QL_E_UNSUPPORTED ? QL_OK : err;
    }
    for (size_t i = 0; i < cells; i++) {
        out[i] = pool_clip(p, logs ? exp(out[i]) - shift : out[i]);
    }
    QL_ASSERT(p->members < POOL_MAX);
    p->told[p->members++] = out;
    return QL_OK;
}

static ql_err pool_members(struct pool *p)
{
    static const struct { ql_fc_member *member; bool logs, flat_only; } all[] = {
        { ql_fc_last, false, false },         { ql_fc_middle_short, false, true },
        { ql_fc_middle, false, true },        { ql_fc_middle_long, false, true },
        { ql_fc_naive_short, false, false },  { ql_fc_naive_long, false, false },
        { ql_fc_profile_fast, false, false }, { ql_fc_profile_slow, false, false },
        { ql_fc_theta, false, false },        { ql_fc_theta, true, false },
        { ql_fc_damped, false, false },       { ql_fc_winters, false, false },
        { ql_fc_winters, true, false },       { ql_fc_ar_few, false, false },
        { ql_fc_ar_few, true, false },        { ql_fc_ar_many, false, false },
        { ql_fc_ar_many, true, false },       { ql_fc_ar_seasonal, false, false },
    };
    for (size_t i = 0; i < QL_COUNT_OF(all); i++) {
        if (all[i].flat_only && ql_fc_longest(&p->fc) >= FLAT_SEASON) {
            continue; /* the middle of a day says nothing about an hour of it */
        }
        const ql_err err = pool_member(p, all[i].member, all[i].logs);
        if (err != QL_OK) {
            return err;
        }
    }
    return QL_OK;
}

/* ---- weights --------------------------------------------------------------------- */

/* Steps after origin k that are known by now. */
static uint32_t pool_known(const struct pool *p, uint32_t k)
{
    const uint32_t left = p->fc.n - p->fc.origins[k];
    return left < p->fc.steps ? left : p->fc.steps;
}

static void pool_errors(struct pool *p)
{
    for (uint32_t m = 0; m < p->members; m++) {
        for (uint32_t k = 0; k + 1 < p->fc.origin_count; k++) {
            const double *told = p->told[m] + (size_t)k * p->fc.steps;
            const double *real = p->y + p->fc.origins[k];
            const uint32_t known = pool_known(p, k);
            double sum = 0.0;
            for (uint32_t j = 0; j < known; j++) {
                sum += fabs(told[j] - real[j]);
            }
            p->errors[m][k] = sum / (double)known;
        }
    }
}

/* Weights from every origin but `without`; they sum to 1. */
static void pool_weigh(const struct pool *p, uint32_t without, double weights[POOL_MAX])
{
    double all = 0.0;
    const double floor = 1e-9 * (1.0 + fabs(p->high) + fabs(p->low));
    for (uint32_t m = 0; m < p->members; m++) {
        double sum = 0.0, share = 0.0, age = 1.0;
        for (uint32_t k = p->fc.origin_count - 1; k-- > 0;) {
            if (k != without) {
                sum += age * p->errors[m][k];
                share += age;
            }
            age *= ORIGIN_AGE;
        }
        weights[m] = share > 0.0 ? pow(sum / share + floor, -ERROR_POWER) : 1.0;
        all += weights[m];
    }
    for (uint32_t m = 0; m < p->members; m++) {
        weights[m] /= all;
    }
}

static ql_err pool_mean(struct pool *p)
{
    const uint32_t steps = p->fc.steps;
    p->mean = pool_take(p, (size_t)p->fc.origin_count * steps);
    p->residuals = pool_take(p, (size_t)p->fc.origin_count * steps);
    if (p->mean == NULL || p->residuals == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t k = 0; k < p->fc.origin_count; k++) {
        double weights[POOL_MAX];
        pool_weigh(p, k, weights);
        for (uint32_t j = 0; j < steps; j++) {
            double sum = 0.0;
            for (uint32_t m = 0; m < p->members; m++) {
                sum += weights[m] * p->told[m][(size_t)k * steps + j];
            }
            p->mean[(size_t)k * steps + j] = sum;
        }
        for (uint32_t j = 0; j < pool_known(p, k) && k + 1 < p->fc.origin_count; j++) {
            const size_t at = (size_t)k * steps + j;
            p->residuals[at] = p->y[p->fc.origins[k] + j] - p->mean[at];
        }
    }
    return QL_OK;
}

/* ---- bands ----------------------------------------------------------------------- */

struct band_growth { double at[GROWTH_BUCKETS]; uint32_t steps, known; };

/* Mean error by distance: rising, and beyond what was tried by the root of the distance. */
static void band_grow(const struct pool *p, struct band_growth *g)
{
    double sums[GROWTH_BUCKETS] = { 0 }, counts[GROWTH_BUCKETS] = { 0 }, all = 0.0, count = 0.0;
    g->steps = p->fc.steps;
    g->known = p->fc.origin_count > 1 ? pool_known(p, 0) : 0;
    for (uint32_t k = 0; k + 1 < p->fc.origin_count; k++) {
        for (uint32_t j = 0; j < pool_known(p, k); j++) {
            const double r = fabs(p->residuals[(size_t)k * p->fc.steps + j]);
            const uint32_t bucket = j * GROWTH_BUCKETS / g->known;
            sums[bucket < GROWTH_BUCKETS ? bucket : GROWTH_BUCKETS - 1] += r;
            counts[bucket < GROWTH_BUCKETS ? bucket : GROWTH_BUCKETS - 1] += 1.0;
            all += r;
            count += 1.0;
        }
    }
    double before = 0.0;
    for (uint32_t b = 0; b < GROWTH_BUCKETS; b++) {
        /* Half of the errors of its own distance, half of all: few origins say little. */
        const double overall = count > 0.0 ? all / count : 0.0;
        const double own = counts[b] > 0.0 ? sums[b] / counts[b] : overall;
        const double now = 0.5 * own + 0.5 * overall;
        g->at[b] = before = now > before ? now : before;
    }
}

static double band_growth_at(const struct band_growth *g, uint32_t step)
{
    if (g->known == 0) {
        return sqrt((double)(step + 1));
    }
    if (step >= g->known) {
        return g->at[GROWTH_BUCKETS - 1] * sqrt((double)(step + 1) / (double)g->known);
    }
    return g->at[step * GROWTH_BUCKETS / g->known];
}

/* Deviation for a series with nothing to test on: its own changes, or a share of its size. */
static double band_guess(const struct pool *p)
{
    double sum = 0.0;
    for (uint32_t i = 1; i < p->fc.n; i++) {
        sum += fabs(p->y[i] - p->y[i - 1]);
    }
    const double moves = p->fc.n > 1 ? 1.25 * sum / (double)(p->fc.n - 1) : 0.0;
    const double size = GUESS_RATIO * fabs(p->y[p->fc.n - 1]);
    return moves > 0.0 || p->fc.n >= 20 ? moves : size;
}

struct band { double low80, high80, low95, high95; };

static double band_end(double *at, uint32_t count, double ratio, double both, double widen)
{
    /* Half from the signed tail, half from the size of errors on either side. */
    const double signed_end = ql_quantile(at, count, ratio);
    return widen * (ratio < 0.5 ? 0.5 * (signed_end < 0.0 ? signed_end : 0.0) - 0.5 * both
                                : 0.5 * (signed_end > 0.0 ? signed_end : 0.0) + 0.5 * both);
}

/* Ends of the bands in units of the growth. */
static ql_err band_units(struct pool *p, const struct band_growth *g, struct band *ret)
{
    const uint32_t most = p->fc.origin_count * p->fc.steps;
    double *signed_errors = pool_take(p, most), *sizes = pool_take(p, most);
    uint32_t count = 0;
    if (signed_errors == NULL || sizes == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t k = 0; k + 1 < p->fc.origin_count; k++) {
        for (uint32_t j = 0; j < pool_known(p, k); j++) {
            const double unit = band_growth_at(g, j);
            const double r = p->residuals[(size_t)k * p->fc.steps + j];
            signed_errors[count] = unit > 0.0 ? r / unit : 0.0;
            sizes[count] = fabs(signed_errors[count]);
            count++;
        }
    }
    if (count < 4) {
        const double s = band_guess(p);
        *ret = (struct band){ -1.28 * s, 1.28 * s, -1.96 * s, 1.96 * s };
        return QL_OK;
    }
    const double few = 1.0 + 4.0 / (double)count;
    const double q80 = ql_quantile(sizes, count, 0.80), q95 = ql_quantile(sizes, count, 0.95);
    ret->low80 = band_end(signed_errors, count, 0.10, q80, few * WIDEN_80);
    ret->high80 = band_end(signed_errors, count, 0.90, q80, few * WIDEN_80);
    ret->low95 = band_end(signed_errors, count, 0.025, q95, few * WIDEN_95);
    ret->high95 = band_end(signed_errors, count, 0.975, q95, few * WIDEN_95);
    return QL_OK;
}

static double band_floor(const struct pool *p, double x)
{
    return p->low >= 0.0 && x < 0.0 ? 0.0 : x; /* what was never negative will not be */
}

static struct ql_forecast_step band_step(const struct pool *p, double mean, double unit,
                                         const struct band *band)
{
    return (struct ql_forecast_step){
        .mean = mean,
        .lower80 = band_floor(p, mean + unit * band->low80),
        .upper80 = mean + unit * band->high80,
        .lower95 = band_floor(p, mean + unit * band->low95),
        .upper95 = mean + unit * band->high95,
    };
}

static void pool_about(const struct pool *p, const struct band_growth *g, const struct band *band,
                       struct ql_forecast_about *ret)
{
    *ret = (struct ql_forecast_about){ .points = p->fc.n, .period = { p->fc.p1, p->fc.p2 },
                                       .tests = p->fc.origin_count - 1 };
    for (uint32_t k = 0; k + 1 < p->fc.origin_count; k++) {
        for (uint32_t j = 0; j < pool_known(p, k); j++) {
            const double r = p->residuals[(size_t)k * p->fc.steps + j];
            const double unit = band_growth_at(g, j);
            ret->error += fabs(r);
            ret->judged++;
            ret->in80 += r >= unit * band->low80 && r <= unit * band->high80;
            ret->in95 += r >= unit * band->low95 && r <= unit * band->high95;
        }
    }
    ret->error /= ret->judged > 0 ? (double)ret->judged : 1.0;
}

/* ---- the whole ------------------------------------------------------------------- */

static ql_err pool_run(struct pool *p)
{
    ql_err err = pool_read(p);
    if (err == QL_OK) {
        err = pool_logs(p);
    }
    if (err == QL_OK) {
        pool_origins(p);
        err = pool_members(p);
    }
    if (err == QL_OK) {
        pool_errors(p);
        err = pool_mean(p);
    }
    return err;
}

ql_err ql_forecast(const struct ql_forecast_in *in, struct ql_arena *scratch,
                   struct ql_forecast_step *ret_steps, struct ql_forecast_about *ret_about)
{
    struct pool p = { .in = in, .scratch = scratch };
    struct band_growth growth;
    struct band band;
    if (in->horizon == 0 || in->horizon > QL_FORECAST_STEPS_MAX) {
        return QL_E_RANGE;
    }
    ql_err err = pool_run(&p);
    if (err == QL_OK) {
        band_grow(&p, &growth);
        err = band_units(&p, &growth, &band);
    }
    if (err != QL_OK) {
        return err;
    }
    const double *now = p.mean + (size_t)(p.fc.origin_count - 1) * p.fc.steps + p.missing;
    for (uint32_t j = 0; j < in->horizon; j++) {
        ret_steps[j] = band_step(&p, now[j], band_growth_at(&growth, p.missing + j), &band);
    }
    if (ret_about != NULL) {
        pool_about(&p, &growth, &band, ret_about);
    }
    return QL_OK;
}
