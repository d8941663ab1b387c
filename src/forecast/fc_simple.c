/* fc_simple - models without equations: the last season, a profile, a level, a median.
 *
 * Good for     being hard to beat, each on its own kind of series.
 * Bad for      anything that needs two ideas at once: that is the pool's work.
 * Method       see each function; medians minimise the absolute error that is scored.
 * Cost         one pass each.
 */
#include "forecast/fc_model.h"
#include "math/order.h"

#include <math.h>

bool ql_fc_again(const struct fc_task *task, uint32_t season)
{
    if (season == 0 || task->n < season) {
        return false;
    }
    for (uint32_t j = 0; j < task->h; j++) {
        task->out[j] = task->s->y[task->n - season + j % season];
    }
    return true;
}

/* What each step of the week (or day) brought, recent ones more, and the newest level's
 * distance from it, fading. */
bool ql_fc_profile(const struct fc_task *task, double fade, uint32_t recent)
{
    const double forget = 0.6;
    const uint32_t season = task->s->week > 0 ? task->s->week : task->s->day;
    if (season == 0 || task->n < season || recent == 0 || recent > season) {
        return false;
    }
    double *profile = ql_arena_take(task->s->arena, (size_t)season * sizeof *profile);
    if (profile == NULL) {
        return false;
    }
    double off = 0.0;
    for (uint32_t slot = 0; slot < season; slot++) { /* 0: the step after the last */
        double sum = 0.0, weights = 0.0, weight = 1.0;
        for (uint32_t back = season - slot; back <= task->n; back += season) {
            sum += weight * task->s->y[task->n - back];
            weights += weight;
            weight *= forget;
        }
        profile[slot] = sum / weights;
        if (season - slot <= recent) {
            off += (task->s->y[task->n - season + slot] - profile[slot]) / (double)recent;
        }
    }
    for (uint32_t j = 0; j < task->h; j++) {
        off *= fade;
        task->out[j] = profile[j % season] + off;
    }
    return true;
}

static double smooth_level(const double *x, uint32_t n, double weight, double *ret_error)
{
    double level = x[0], error = 0.0;
    for (uint32_t t = 1; t < n; t++) {
        error += fabs(x[t] - level);
        level += weight * (x[t] - level);
    }
    *ret_error = error;
    return level;
}

static double smooth_best(const double *x, uint32_t n)
{
    static const double weights[] = { .05, .1, .2, .4, .7, .95 };
    double least = INFINITY, best = x[n - 1];
    for (size_t i = 0; i < QL_COUNT_OF(weights); i++) {
        double error;
        const double level = smooth_level(x, n, weights[i], &error);
        if (error < least) {
            least = error;
            best = level;
        }
    }
    return best;
}

static double slope_of(const double *x, uint32_t n)
{
    const double middle = ((double)n - 1.0) / 2.0;
    double top = 0.0, bottom = 0.0;
    for (uint32_t t = 0; t < n; t++) {
        const double d = (double)t - middle;
        top += d * x[t];
        bottom += d * d;
    }
    return bottom > 0.0 ? top / bottom : 0.0;
}

/* Seasonal means of what is left after a moving average, into `seasonal`. */
static void seasonal_means(const double *y, uint32_t n, uint32_t season, double *seasonal,
                           uint32_t *counts)
{
    double window = 0.0, all = 0.0;
    memset(seasonal, 0, season * sizeof *seasonal);
    memset(counts, 0, season * sizeof *counts);
    for (uint32_t t = 0; t < season; t++) {
        window += y[t];
    }
    const uint32_t half = season / 2;
    for (uint32_t t = half; t + season - half < n; t++) {
        const double ends = 0.5 * (y[t + season - half] - y[t - half]);
        seasonal[t % season] += y[t] - (window + ends) / (double)season;
        counts[t % season]++;
        window += y[t + season - half] - y[t - half];
    }
    for (uint32_t i = 0; i < season; i++) {
        seasonal[i] = counts[i] > 0 ? seasonal[i] / (double)counts[i] : 0.0;
        all += seasonal[i] / (double)season;
    }
    for (uint32_t i = 0; i < season; i++) {
        seasonal[i] -= all;
    }
}

bool ql_fc_theta(const struct fc_task *task, uint32_t season)
{
    const uint32_t n = task->n, width = season > 1 ? season : 1;
    double *x = ql_arena_take(task->s->arena, ((size_t)n + width) * sizeof *x);
    uint32_t *counts = ql_arena_take(task->s->arena, (size_t)width * sizeof *counts);
    if (x == NULL || counts == NULL || n < 2 * width || n < 8) {
        return false;
    }
    double *seasonal = x + n;
    seasonal[0] = 0.0;
    if (season > 1) {
        seasonal_means(task->s->y, n, season, seasonal, counts);
    }
    for (uint32_t t = 0; t < n; t++) {
        x[t] = task->s->y[t] - seasonal[t % width];
    }
    const double level = smooth_best(x, n), drift = 0.15 * slope_of(x, n);
    for (uint32_t j = 0; j < task->h; j++) {
        task->out[j] = level + drift * (double)(j + 1) + seasonal[(n + j) % width];
    }
    return true;
}

static bool newest_median(const struct fc_task *task, uint32_t count, double *ret_median)
{
    const uint32_t taken = count < task->n ? count : task->n;
    double *room = ql_arena_take(task->s->arena, (size_t)taken * sizeof *room);
    if (room == NULL || task->n < count / 2) {
        return false;
    }
    memcpy(room, task->s->y + task->n - taken, taken * sizeof *room);
    *ret_median = ql_median(room, taken);
    return true;
}

bool ql_fc_median(const struct fc_task *task, uint32_t count)
{
    double median;
    if (!newest_median(task, count, &median)) {
        return false;
    }
    for (uint32_t j = 0; j < task->h; j++) {
        task->out[j] = median;
    }
    return true;
}

bool ql_fc_return(const struct fc_task *task, uint32_t count, double fade)
{
    double median;
    if (!newest_median(task, count, &median)) {
        return false;
    }
    double off = task->s->y[task->n - 1] - median;
    for (uint32_t j = 0; j < task->h; j++) {
        off *= fade;
        task->out[j] = median + off;
    }
    return true;
}

bool ql_fc_trend(const struct fc_task *task)
{
    const double damp = 0.9, follow = 0.3, bend = 0.1;
    const double *y = task->s->y;
    if (task->n < 8) {
        return false;
    }
    double level = y[0], slope = 0.0;
    for (uint32_t t = 1; t < task->n; t++) {
        const double expected = level + damp * slope, error = y[t] - expected;
        level = expected + follow * error;
        slope = damp * slope + follow * bend * error;
    }
    double ahead = 0.0, step = damp;
    for (uint32_t j = 0; j < task->h; j++) {
        ahead += step;
        step *= damp;
        task->out[j] = level + ahead * slope;
    }
    return true;
}
