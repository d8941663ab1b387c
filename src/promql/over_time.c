/* over_time.c - what one window of samples gives, number for number as Prometheus 2.42.
 *
 * Good for     exact agreement: the sums are compensated (Neumaier, "Rundungsfehleranalyse
 *              einiger Verfahren zur Summation endlicher Summen", 1974) where Prometheus
 *              compensates, and plain where it does not.
 * Cost         one pass a window; a quantile sorts.
 */
#include "promql/promql_int.h"

#include <math.h>
#include <stdlib.h>

/* ---- sums ---------------------------------------------------------------------------- */

void pq_kahan_add(struct pq_kahan *k, double x)
{
    const double t = k->sum + x;
    if (fabs(k->sum) >= fabs(x)) {
        k->rest += (k->sum - t) + x;
    } else {
        k->rest += (x - t) + k->sum;
    }
    k->sum = t;
}

static double kahan_total(const struct pq_kahan *k)
{
    return isinf(k->sum) ? k->sum : k->sum + k->rest;
}

bool pq_window_sum(const struct pq_window *w, double *ret_value)
{
    struct pq_kahan k = { 0.0, 0.0 };
    for (uint32_t i = 0; i < w->count; i++) {
        pq_kahan_add(&k, w->values[i]);
    }
    *ret_value = kahan_total(&k);
    return w->count > 0;
}

/* A running mean, so that no sum overflows. */
bool pq_window_avg(const struct pq_window *w, double *ret_value)
{
    struct pq_kahan mean = { 0.0, 0.0 };
    for (uint32_t i = 0; i < w->count; i++) {
        const double x = w->values[i], n = (double)(i + 1);
        if (isinf(mean.sum) &&
            ((isinf(x) && (mean.sum > 0.0) == (x > 0.0)) || (!isinf(x) && !isnan(x)))) {
            continue; /* infinity stays what it is, unless it meets its opposite */
        }
        pq_kahan_add(&mean, x / n - mean.sum / n);
    }
    *ret_value = kahan_total(&mean);
    return w->count > 0;
}

bool pq_window_count(const struct pq_window *w, double *ret_value)
{
    *ret_value = (double)w->count;
    return w->count > 0;
}

bool pq_window_present(const struct pq_window *w, double *ret_value)
{
    *ret_value = 1.0;
    return w->count > 0;
}

/* ---- extremes and spread ------------------------------------------------------------- */

bool pq_window_min(const struct pq_window *w, double *ret_value)
{
    double least = w->count > 0 ? w->values[0] : 0.0;
    for (uint32_t i = 1; i < w->count; i++) {
        if (w->values[i] < least || isnan(least)) {
            least = w->values[i];
        }
    }
    *ret_value = least;
    return w->count > 0;
}

bool pq_window_max(const struct pq_window *w, double *ret_value)
{
    double most = w->count > 0 ? w->values[0] : 0.0;
    for (uint32_t i = 1; i < w->count; i++) {
        if (w->values[i] > most || isnan(most)) {
            most = w->values[i];
        }
    }
    *ret_value = most;
    return w->count > 0;
}

bool pq_window_last(const struct pq_window *w, double *ret_value)
{
    *ret_value = w->count > 0 ? w->values[w->count - 1] : 0.0;
    return w->count > 0;
}

bool pq_window_stdvar(const struct pq_window *w, double *ret_value)
{
    struct pq_kahan mean = { 0.0, 0.0 }, square = { 0.0, 0.0 };
    for (uint32_t i = 0; i < w->count; i++) {
        const double delta = w->values[i] - (mean.sum + mean.rest);
        pq_kahan_add(&mean, delta / (double)(i + 1));
        pq_kahan_add(&square, delta * (w->values[i] - (mean.sum + mean.rest)));
    }
    *ret_value = (square.sum + square.rest) / (double)w->count;
    return w->count > 0;
}

bool pq_window_stddev(const struct pq_window *w, double *ret_value)
{
    if (!pq_window_stdvar(w, ret_value)) {
        return false;
    }
    *ret_value = sqrt(*ret_value);
    return true;
}

static int number_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) {
        return isnan(y) - isnan(x); /* no numbers come first */
    }
    return x < y ? -1 : x > y;
}

double pq_quantile(double q, double *values, uint32_t count)
{
    if (count == 0 || isnan(q)) {
        return __builtin_nan("");
    }
    if (q < 0.0 || q > 1.0) {
        return q < 0.0 ? -__builtin_inf() : __builtin_inf();
    }
    qsort(values, count, sizeof(*values), number_order);
    const double n = (double)count, rank = q * (n - 1.0);
    const double lower = fmax(0.0, floor(rank)), upper = fmin(n - 1.0, lower + 1.0);
    const double weight = rank - floor(rank);
    return values[(uint32_t)lower] * (1.0 - weight) + values[(uint32_t)upper] * weight;
}

bool pq_window_quantile(const struct pq_window *w, double *ret_value)
{
    memcpy(w->scratch, w->values, w->count * sizeof(*w->values));
    *ret_value = pq_quantile(w->parameter, w->scratch, w->count);
    return w->count > 0;
}

/* ---- counters ------------------------------------------------------------------------ */

/* The growth between the first and the last sample, stretched to the window's ends unless
 * they lie more than 1.1 mean steps away, then by half a step; a counter is never stretched
 * to where it would be below zero. */
static bool extrapolated(const struct pq_window *w, bool counter, bool per_second,
                         double *ret_value)
{
    if (w->count < 2) {
        return false;
    }
    const uint32_t last = w->count - 1;
    double result = w->values[last] - w->values[0];
    for (uint32_t i = 1; counter && i < w->count; i++) {
        result += w->values[i] < w->values[i - 1] ? w->values[i - 1] : 0.0;
    }
    double to_start = (double)(w->ms[0] - w->start_ms) / 1000.0;
    const double to_end = (double)(w->end_ms - w->ms[last]) / 1000.0;
    const double sampled = (double)(w->ms[last] - w->ms[0]) / 1000.0;
    const double step = sampled / (double)last;
    if (counter && result > 0.0 && w->values[0] >= 0.0) {
        const double to_zero = sampled * (w->values[0] / result);
        to_start = to_zero < to_start ? to_zero : to_start;
    }
    const double threshold = step * 1.1;
    double stretched = sampled;
    stretched += to_start < threshold ? to_start : step / 2.0;
    stretched += to_end < threshold ? to_end : step / 2.0;
    double factor = stretched / sampled;
    if (per_second) {
        factor /= (double)w->range_ms / 1000.0;
    }
    *ret_value = result * factor;
    return true;
}

bool pq_window_rate(const struct pq_window *w, double *ret_value)
{
    return extrapolated(w, true, true, ret_value);
}

bool pq_window_increase(const struct pq_window *w, double *ret_value)
{
    return extrapolated(w, true, false, ret_value);
}

bool pq_window_delta(const struct pq_window *w, double *ret_value)
{
    return extrapolated(w, false, false, ret_value);
}

bool pq_window_irate(const struct pq_window *w, double *ret_value)
{
    if (w->count < 2) {
        return false;
    }
    const double last = w->values[w->count - 1], before = w->values[w->count - 2];
    const int64_t ms = w->ms[w->count - 1] - w->ms[w->count - 2];
    *ret_value = (last < before ? last : last - before) / ((double)ms / 1000.0);
    return ms != 0;
}

bool pq_window_idelta(const struct pq_window *w, double *ret_value)
{
    if (w->count < 2) {
        return false;
    }
    *ret_value = w->values[w->count - 1] - w->values[w->count - 2];
    return true;
}

bool pq_window_changes(const struct pq_window *w, double *ret_value)
{
    double changes = 0.0;
    for (uint32_t i = 1; i < w->count; i++) {
        const double a = w->values[i - 1], b = w->values[i];
        changes += (a < b || a > b || isnan(a) != isnan(b)) ? 1.0 : 0.0;
    }
    *ret_value = changes;
    return w->count > 0;
}

bool pq_window_resets(const struct pq_window *w, double *ret_value)
{
    double resets = 0.0;
    for (uint32_t i = 1; i < w->count; i++) {
        resets += w->values[i] < w->values[i - 1] ? 1.0 : 0.0;
    }
    *ret_value = resets;
    return w->count > 0;
}

/* ---- lines --------------------------------------------------------------------------- */

struct line { double slope, intercept; };

static struct line line_fit(const struct pq_window *w, int64_t origin_ms)
{
    struct pq_kahan x_sum = { 0 }, y_sum = { 0 }, xy_sum = { 0 }, xx_sum = { 0 };
    bool constant = true;
    for (uint32_t i = 0; i < w->count; i++) {
        const double x = (double)(w->ms[i] - origin_ms) / 1000.0, y = w->values[i];
        constant = constant && !(y < w->values[0] || y > w->values[0] || isnan(y));
        pq_kahan_add(&x_sum, x);
        pq_kahan_add(&y_sum, y);
        pq_kahan_add(&xy_sum, x * y);
        pq_kahan_add(&xx_sum, x * x);
    }
    if (constant) {
        const double nan = __builtin_nan("");
        return isinf(w->values[0]) ? (struct line){ nan, nan } : (struct line){ 0.0, w->values[0] };
    }
    const double n = (double)w->count;
    const double x = x_sum.sum + x_sum.rest, y = y_sum.sum + y_sum.rest;
    const double xy = xy_sum.sum + xy_sum.rest, xx = xx_sum.sum + xx_sum.rest;
    const double slope = (xy - x * y / n) / (xx - x * x / n);
    return (struct line){ slope, y / n - slope * x / n };
}

bool pq_window_deriv(const struct pq_window *w, double *ret_value)
{
    if (w->count < 2) {
        return false;
    }
    *ret_value = line_fit(w, w->ms[0]).slope;
    return true;
}

bool pq_window_predict(const struct pq_window *w, double *ret_value)
{
    if (w->count < 2) {
        return false;
    }
    const struct line line = line_fit(w, w->now_ms);
    *ret_value = line.slope * w->parameter + line.intercept;
    return true;
}
