/* fc_periods - gaps filled, and the seasons that the clock suggests and the series confirms.
 *
 * People work by the day and the week, jobs by the hour: only such lengths are tried. One
 * is believed when changes repeat after it (autocorrelation of differences) or when the
 * values do so better than at lengths a little shorter and longer.
 */
#include "forecast/fc_int.h"

#include <math.h>

#define FILL_LINE_MAX 3u      /* longer gaps follow the day before instead of a line */
#define PERIODS_LEAST 2.4     /* seasons that must be seen before one is believed */
#define DIFFERENCE_Z 3.0      /* autocorrelation of differences, in deviations of noise */
#define LEVEL_GAIN 0.05       /* autocorrelation of values above that beside the season */

static void fill_gap(double *y, uint32_t from, uint32_t to, uint32_t n, uint32_t day)
{
    const bool repeat = to - from > FILL_LINE_MAX && day > 0 && from >= day;
    const double left = y[from - 1], right = to < n ? y[to] : left;
    for (uint32_t i = from; i < to; i++) {
        const double part = (double)(i - from + 1) / (double)(to - from + 1);
        y[i] = repeat ? y[i - day] : left + part * (right - left);
    }
}

void ql_fc_fill(double *y, uint32_t n, uint32_t day)
{
    for (uint32_t i = 1; i < n; i++) {
        if (isfinite(y[i])) {
            continue;
        }
        uint32_t to = i;
        while (to < n && !isfinite(y[to])) {
            to++;
        }
        fill_gap(y, i, to, n, day);
        i = to;
    }
}

static double series_mean(const double *y, uint32_t n)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += y[i];
    }
    return sum / (double)n;
}

/* Autocorrelation of values (difference 0) or of changes (difference 1). */
static double series_acf(const double *y, uint32_t n, double mean, uint32_t lag,
                         uint32_t difference)
{
    double cross = 0.0, own = 0.0;
    for (uint32_t i = difference; i < n; i++) {
        const double x = difference ? y[i] - y[i - 1] : y[i] - mean;
        own += x * x;
        if (i >= lag + difference) {
            cross += x * (difference ? y[i - lag] - y[i - lag - 1] : y[i - lag] - mean);
        }
    }
    return own > 0.0 ? cross / own * (double)n / (double)(n - lag) : 0.0;
}

static bool period_holds(const double *y, uint32_t n, uint32_t p, uint32_t beside)
{
    if (p < 2 || (double)n < PERIODS_LEAST * (double)p) {
        return false;
    }
    const double mean = series_mean(y, n);
    if (series_acf(y, n, mean, p, 1) > DIFFERENCE_Z / sqrt((double)(n - p))) {
        return true;
    }
    const double here = series_acf(y, n, mean, p, 0);
    return here > 0.2 && here > series_acf(y, n, mean, p - beside, 0) + LEVEL_GAIN &&
           here > series_acf(y, n, mean, p + beside, 0) + LEVEL_GAIN;
}

/* 0 when that time is not a whole number of steps. */
static uint32_t points_of(double seconds, double step_s)
{
    const double points = seconds / step_s;
    const double whole = floor(points + 0.5);
    return whole >= 2.0 && whole < 1e6 && fabs(points - whole) < 0.01 * whole ? (uint32_t)whole
                                                                            : 0;
}

void ql_fc_periods(const double *y, uint32_t n, double step_s, uint32_t ret_period[2])
{
    static const double hours[] = { 24.0, 12.0, 8.0, 6.0, 1.0, 0.5, 0.25 };
    ret_period[0] = ret_period[1] = 0;
    if (!(step_s > 0.0)) {
        return;
    }
    uint32_t found[2] = { 0, 0 }, count = 0;
    const uint32_t day = points_of(86400.0, step_s), week = points_of(7.0 * 86400.0, step_s);
    if (week > 0 && period_holds(y, n, week, day > 0 ? day : 1)) {
        found[count++] = week;
    } else if (step_s >= 86400.0) {
        const uint32_t year = points_of(365.25 * 86400.0, step_s);
        if (year > 0 && period_holds(y, n, year, year / 4 > 0 ? year / 4 : 1)) {
            found[count++] = year;
        }
    }
    for (size_t i = 0; i < QL_COUNT_OF(hours) && count < 2; i++) {
        const uint32_t p = points_of(hours[i] * 3600.0, step_s);
        if (p > 0 && period_holds(y, n, p, p / 4 > 0 ? p / 4 : 1)) {
            found[count++] = p;
            break;
        }
    }
    ret_period[0] = found[count == 2 ? 1 : 0];
    ret_period[1] = count == 2 ? found[0] : 0;
}
