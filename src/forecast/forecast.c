/* forecast - a pool of simple models, weighted by what each would have been worth.
 *
 * Good for     series with seasons of a day and a week, levels that wander, spiky loads.
 * Bad for      a break that the past does not show; horizons longer than the past.
 * Method       every model is continued from origins that lie a horizon and more before the
 *              end; weights are 1 / (mean absolute error)^2 there (^4 without a season), the newer origin counting
 *              more. Pooling beats picking (Makridakis et al. 2020). What the pool misses on
 *              the newest stretch with weights from the older ones is its honest error.
 * Cost         models * (origins + 1).
 */
#include "forecast/forecast.h"

#include "forecast/fc_model.h"

#include <math.h>

enum { MODELS_MAX = 16, ORIGINS_MAX = 16, PAST_LEAST = 24 };
#define DAY_S 86400.0
#define SEASON_CORRELATION 0.2
#define ORIGIN_DECAY_SEASON 0.43 /* of the two origins the newer counts .7 */
#define ORIGIN_DECAY_FLAT 0.95
#define RESTLESS_POINTS 336u
#define SCALE_LEAST 1e-9

/* One row a model; which are asked depends on whether there is a season. */
struct model { bool (*run)(const struct fc_task *task); };

static bool seasonal_day(const struct fc_task *t) { return ql_fc_again(t, t->s->day); }
static bool seasonal_week(const struct fc_task *t) { return ql_fc_again(t, t->s->week); }
static bool profile_near(const struct fc_task *t) { return ql_fc_profile(t, 0.9, t->s->day); }
static bool profile_far(const struct fc_task *t)
{
    return ql_fc_profile(t, 0.98, t->s->week > 0 ? t->s->week : t->s->day);
}
static bool holt_plain(const struct fc_task *t) { return ql_fc_holt(t, t->s->y, &t->s->holt); }
static bool ridge_short(const struct fc_task *t) { return ql_fc_ridge(t, t->s->y, FC_LAGS_SHORT); }
static bool ridge_long(const struct fc_task *t) { return ql_fc_ridge(t, t->s->y, FC_LAGS_LONG); }
static bool ridge_season(const struct fc_task *t)
{
    return ql_fc_ridge(t, t->s->y, FC_LAGS_SEASON);
}
static bool theta_season(const struct fc_task *t)
{
    return ql_fc_theta(t, t->s->week > 0 ? t->s->week : t->s->day);
}

static void from_log(const struct fc_task *t)
{
    double most = -INFINITY;
    for (uint32_t i = 0; i < t->n; i++) {
        most = t->s->log[i] > most ? t->s->log[i] : most;
    }
    for (uint32_t j = 0; j < t->h; j++) {
        t->out[j] = exp(t->out[j] < most + 1.1 ? t->out[j] : most + 1.1);
    }
}

static bool holt_log(const struct fc_task *t)
{
    if (t->s->log == NULL || !ql_fc_holt(t, t->s->log, &t->s->holt_log)) {
        return false;
    }
    from_log(t);
    return true;
}

static bool ridge_log(const struct fc_task *t)
{
    if (t->s->log == NULL || !ql_fc_ridge(t, t->s->log, FC_LAGS_LONG)) {
        return false;
    }
    from_log(t);
    return true;
}

static const struct model models_season[] = {
    { seasonal_day }, { seasonal_week }, { profile_near }, { profile_far }, { holt_plain },
    { holt_log }, { ridge_short }, { ridge_long }, { ridge_season }, { ridge_log },
    { theta_season },
};

static bool last(const struct fc_task *t) { return ql_fc_again(t, 1); }
static bool median_6(const struct fc_task *t) { return ql_fc_median(t, 6); }
static bool median_12(const struct fc_task *t) { return ql_fc_median(t, 12); }
static bool median_24(const struct fc_task *t) { return ql_fc_median(t, 24); }
static bool median_48(const struct fc_task *t) { return ql_fc_median(t, 48); }
static bool median_36(const struct fc_task *t) { return ql_fc_median(t, 36); }
static bool median_96(const struct fc_task *t) { return ql_fc_median(t, 96); }
static bool median_all(const struct fc_task *t) { return ql_fc_median(t, 288); }
static bool return_near(const struct fc_task *t) { return ql_fc_return(t, 24, 0.5); }
static bool return_far(const struct fc_task *t) { return ql_fc_return(t, 24, 0.85); }
static bool theta_flat(const struct fc_task *t) { return ql_fc_theta(t, 1); }
static bool ridge_flat(const struct fc_task *t) { return ql_fc_ridge(t, t->s->y, FC_LAGS_FLAT); }

static const struct model models_flat[] = {
    { last }, { median_6 }, { median_12 }, { median_24 }, { median_36 }, { median_48 },
    { median_96 }, { median_all },
    { return_near }, { return_far }, { theta_flat }, { ridge_flat }, { ql_fc_trend },
};

struct pool {
    struct fc_series s;
    const struct model *models;
    uint32_t model_count, origin_count, h;
    uint32_t origins[ORIGINS_MAX];           /* newest first */
    double errors[MODELS_MAX][ORIGINS_MAX];  /* NAN: it could not */
    double *paths;                           /* [model][h] of the origin just run */
    bool ran[MODELS_MAX];
    double least, most;
};

/* ---- the series -------------------------------------------------------------------- */

/* Copies what is used and draws straight lines over holes. */
static double *series_fill(const struct ql_forecast_input *in, struct ql_arena *arena,
                           uint32_t *ret_count)
{
    uint32_t first = in->count > QL_FORECAST_POINTS_MAX ? in->count - QL_FORECAST_POINTS_MAX : 0;
    while (first < in->count && !isfinite(in->values[first])) {
        first++;
    }
    double *y = ql_arena_take(arena, ((size_t)in->count - first + 1) * sizeof *y);
    if (y == NULL || first == in->count) {
        *ret_count = 0;
        return y;
    }
    uint32_t known = 0; /* the newest value that is there */
    for (uint32_t i = 0; i < in->count - first; i++) {
        const double value = in->values[first + i];
        if (!isfinite(value)) {
            y[i] = y[known];
            continue;
        }
        y[i] = value;
        for (uint32_t k = known + 1; k < i; k++) {
            y[k] = y[known] + (value - y[known]) * (double)(k - known) / (double)(i - known);
        }
        known = i;
    }
    *ret_count = in->count - first;
    return y;
}

static double correlation_at(const double *y, uint32_t n, uint32_t lag)
{
    double mean = 0.0, top = 0.0, bottom = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        mean += y[i] / (double)n;
    }
    for (uint32_t i = 0; i < n; i++) {
        bottom += (y[i] - mean) * (y[i] - mean);
        top += i >= lag ? (y[i] - mean) * (y[i - lag] - mean) : 0.0;
    }
    return bottom > 0.0 ? top / bottom * (double)n / (double)(n - lag) : 0.0;
}

/* The clock proposes a day (a week of days, a year of weeks), the series confirms it. */
static void series_seasons(struct fc_series *s, double step_s)
{
    const double fit = step_s < 0.13 * DAY_S ? DAY_S : (step_s < 1.5 * DAY_S ? 7.0 * DAY_S
                                                                          : 364.0 * DAY_S);
    const double steps = step_s > 0.0 ? floor(fit / step_s + 0.5) : 0.0;
    s->day = s->week = 0;
    if (steps < 4.0 || 3.0 * steps > (double)s->count ||
        correlation_at(s->y, s->count, (uint32_t)steps) < SEASON_CORRELATION) {
        return;
    }
    s->day = (uint32_t)steps;
    if (fit <= DAY_S && 5 * 7 * s->day <= 2 * s->count) {
        s->week = 7 * s->day;
    }
}

static bool series_logs(struct fc_series *s)
{
    double *log_y = ql_arena_take(s->arena, (size_t)s->count * sizeof *log_y);
    bool positive = true;
    for (uint32_t i = 0; log_y != NULL && i < s->count && positive; i++) {
        positive = s->y[i] > 0.0;
        log_y[i] = positive ? log(s->y[i]) : 0.0;
    }
    s->log = positive ? log_y : NULL;
    return log_y != NULL;
}

/* ---- the pool ---------------------------------------------------------------------- */

static void pool_origins(struct pool *p)
{
    const uint32_t n = p->s.count;
    const bool season = p->s.day > 0;
    const uint32_t apart = season ? p->h : (p->h + 1) / 2, most = season ? 2 : ORIGINS_MAX;
    const uint32_t least = season ? 2 * p->s.day : PAST_LEAST;
    p->origin_count = 0;
    for (uint32_t back = p->h; p->origin_count < most && back + least <= n; back += apart) {
        p->origins[p->origin_count++] = n - back;
    }
}

static void pool_bounds(struct pool *p)
{
    double low = INFINITY, high = -INFINITY;
    for (uint32_t i = 0; i < p->s.count; i++) {
        low = p->s.y[i] < low ? p->s.y[i] : low;
        high = p->s.y[i] > high ? p->s.y[i] : high;
    }
    const double range = high - low;
    p->least = low < 0.0 ? low - 0.3 * range : (low * 0.5 < low - 0.5 * range ? low * 0.5
                                                : (low - 0.5 * range > 0.0 ? low - 0.5 * range
                                                                          : 0.0));
    p->most = high + 0.5 * range;
}

/* Runs every model from the origin; paths stay inside the bounds. */
static void pool_run(struct pool *p, uint32_t n)
{
    for (uint32_t m = 0; m < p->model_count; m++) {
        double *path = p->paths + (size_t)m * p->h;
        const struct fc_task task = { &p->s, n, p->h, path };
        p->ran[m] = p->models[m].run(&task);
        for (uint32_t j = 0; p->ran[m] && j < p->h; j++) {
            p->ran[m] = isfinite(path[j]);
            path[j] = path[j] < p->least ? p->least : (path[j] > p->most ? p->most : path[j]);
        }
    }
}

static void pool_try(struct pool *p, uint32_t origin)
{
    const uint32_t n = p->origins[origin];
    const uint32_t seen = p->s.count - n < p->h ? p->s.count - n : p->h;
    pool_run(p, n);
    for (uint32_t m = 0; m < p->model_count; m++) {
        double sum = 0.0;
        for (uint32_t j = 0; j < seen; j++) {
            sum += fabs(p->s.y[n + j] - p->paths[(size_t)m * p->h + j]);
        }
        p->errors[m][origin] = p->ran[m] ? sum / (double)seen : NAN;
    }
}

/* Weights from origins [first, origin_count); equal ones when there is none. */
static void pool_mix(const struct pool *p, uint32_t first, double *ret_path)
{
    double sum = 0.0;
    memset(ret_path, 0, p->h * sizeof *ret_path);
    for (uint32_t m = 0; m < p->model_count; m++) {
        double error = 0.0, weights = 0.0, weight = 1.0;
        for (uint32_t o = first; o < p->origin_count; o++) {
            if (isfinite(p->errors[m][o])) {
                error += weight * p->errors[m][o];
                weights += weight;
            }
            weight *= p->s.day > 0 ? ORIGIN_DECAY_SEASON : ORIGIN_DECAY_FLAT;
        }
        if (!p->ran[m] || (weights <= 0.0 && first < p->origin_count)) {
            continue;
        }
        error = weights > 0.0 ? error / weights + SCALE_LEAST : 1.0;
        const double square = 1.0 / (error * error);
        const double share = p->s.day > 0 ? square : square * square; /* more origins tell */
        for (uint32_t j = 0; j < p->h; j++) {
            ret_path[j] += share * p->paths[(size_t)m * p->h + j];
        }
        sum += share;
    }
    for (uint32_t j = 0; j < p->h; j++) {
        ret_path[j] = sum > 0.0 ? ret_path[j] / sum : p->s.y[p->s.count - 1];
    }
}

/* What the pool missed on the newest stretch, weighted as it would have been then. */
static void pool_miss(struct pool *p, double *ret_miss)
{
    const uint32_t n = p->origins[0];
    for (uint32_t o = p->origin_count; o-- > 1;) {
        pool_try(p, o);
    }
    pool_try(p, 0);
    pool_mix(p, p->origin_count > 1 ? 1 : p->origin_count, ret_miss);
    for (uint32_t j = 0; j < p->h; j++) {
        ret_miss[j] = n + j < p->s.count ? fabs(p->s.y[n + j] - ret_miss[j]) : NAN;
    }
}

static double restlessness(const struct fc_series *s, const double *miss, uint32_t h)
{
    const uint32_t count = s->count - 1 < RESTLESS_POINTS ? s->count - 1 : RESTLESS_POINTS;
    double moves = 0.0, missed = 0.0, level = fabs(s->y[s->count - 1]);
    uint32_t known = 0;
    for (uint32_t i = s->count - count; i < s->count; i++) {
        moves += fabs(s->y[i] - s->y[i - 1]) / (double)count;
    }
    for (uint32_t j = 0; j < h; j++) {
        missed += isfinite(miss[j]) ? miss[j] : 0.0;
        known += isfinite(miss[j]);
    }
    const double scale = known > 0 ? 0.5 * missed / (double)known + 0.5 * moves : moves;
    return scale > SCALE_LEAST * level ? scale : SCALE_LEAST * (level > 1.0 ? level : 1.0);
}

static bool pool_open(struct pool *p, const struct ql_forecast_input *in, struct ql_arena *arena)
{
    *p = (struct pool){ .s.arena = arena, .h = in->horizon };
    double *y = series_fill(in, arena, &p->s.count);
    p->s.y = y;
    if (y == NULL || p->s.count == 0) {
        return y != NULL;
    }
    series_seasons(&p->s, in->step_s);
    const bool season = p->s.day > 0;
    p->models = season ? models_season : models_flat;
    p->model_count = season ? QL_COUNT_OF(models_season) : QL_COUNT_OF(models_flat);
    p->paths = ql_arena_take(arena, (size_t)MODELS_MAX * in->horizon * sizeof *p->paths);
    pool_origins(p);
    pool_bounds(p);
    const bool logs = series_logs(&p->s);
    if (season && logs) {
        const uint32_t n = p->origin_count > 0 ? p->origins[p->origin_count - 1] : p->s.count;
        ql_fc_holt_fit(&p->s, p->s.y, n, &p->s.holt);
        if (p->s.log != NULL) {
            ql_fc_holt_fit(&p->s, p->s.log, n, &p->s.holt_log);
        }
    }
    return logs && p->paths != NULL;
}

ql_err ql_forecast_fit(const struct ql_forecast_input *in, struct ql_arena *arena,
                       struct ql_forecast_fit *ret_fit)
{
    struct pool p;
    if (in->horizon == 0 || in->horizon > QL_FORECAST_HORIZON_MAX) {
        return QL_E_RANGE;
    }
    double *mean = ql_arena_take(arena, 2 * (size_t)in->horizon * sizeof *mean);
    if (mean == NULL || !pool_open(&p, in, arena)) {
        return QL_E_MEMORY;
    }
    if (p.s.count == 0) {
        return QL_E_RANGE;
    }
    double *miss = mean + in->horizon;
    for (uint32_t j = 0; j < in->horizon; j++) {
        miss[j] = NAN;
    }
    if (p.origin_count > 0) {
        pool_miss(&p, miss);
    }
    pool_run(&p, p.s.count);
    pool_mix(&p, 0, mean);
    *ret_fit = (struct ql_forecast_fit){ mean, miss, restlessness(&p.s, miss, in->horizon),
                                         p.least, p.most };
    return QL_OK;
}
