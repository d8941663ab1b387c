/* fc_ar - ridge regressions of a value on values before it, told step by step.
 *
 * Good for     whatever carries over from one hour, day or week to the next.
 * Bad for      fewer points than lags: left out then.
 * Method       normal equations over standardised values, grown from origin to origin, a
 *              small share of the points added to the diagonal (Hoerl and Kennard 1970).
 * Bounds       O(n lags^2 / 2) once, O(lags^3) and O(steps lags) an origin.
 */
#include "forecast/fc_int.h"

#include "math/solve.h"

#include <math.h>

#define AR_SIDE (QL_FC_LAGS_MAX + 1u) /* and the constant */

struct ar {
    const struct ql_fc *fc;
    uint32_t lags[QL_FC_LAGS_MAX], count, longest;
    double ridge;
    double mean, scale;   /* of what came before the first origin */
    double *z;            /* standardised, with room for the steps */
    double *products;     /* AR_SIDE x AR_SIDE, lower triangle */
    double *inverse, *work;
    double targets[AR_SIDE], weights[AR_SIDE];
};

static void ar_lag(struct ar *ar, uint32_t lag)
{
    for (uint32_t i = 0; i < ar->count; i++) {
        if (ar->lags[i] == lag) {
            return;
        }
    }
    if (lag > 0 && ar->count < QL_FC_LAGS_MAX) {
        ar->lags[ar->count++] = lag;
        ar->longest = lag > ar->longest ? lag : ar->longest;
    }
}

static ql_err ar_open(struct ar *ar)
{
    const struct ql_fc *fc = ar->fc;
    const uint32_t first = fc->origins[0];
    if (ar->count == 0 || first < ar->longest + ar->count + 12) {
        return QL_E_UNSUPPORTED;
    }
    const size_t square = (size_t)AR_SIDE * AR_SIDE;
    ar->z = ql_arena_take(fc->scratch, ((size_t)fc->n + fc->steps) * sizeof(double));
    ar->products = ql_arena_take(fc->scratch, 3 * square * sizeof(double));
    if (ar->z == NULL || ar->products == NULL) {
        return QL_E_MEMORY;
    }
    ar->inverse = ar->products + square;
    ar->work = ar->inverse + square;
    memset(ar->products, 0, square * sizeof(double));
    double sum = 0.0, squares = 0.0;
    for (uint32_t i = 0; i < first; i++) {
        sum += fc->y[i];
    }
    ar->mean = sum / (double)first;
    for (uint32_t i = 0; i < first; i++) {
        squares += (fc->y[i] - ar->mean) * (fc->y[i] - ar->mean);
    }
    ar->scale = sqrt(squares / (double)first);
    if (!(ar->scale > 1e-9 * (1.0 + fabs(ar->mean)))) {
        return QL_E_UNSUPPORTED;
    }
    for (uint32_t i = 0; i < fc->n; i++) {
        ar->z[i] = (fc->y[i] - ar->mean) / ar->scale;
    }
    return QL_OK;
}

/* Four sums side by side, in a fixed order. */
static double ar_dot(const double *a, const double *b, uint32_t n)
{
    double sums[4] = { 0 };
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (uint32_t lane = 0; lane < 4; lane++) {
            sums[lane] += a[i + lane] * b[i + lane];
        }
    }
    for (; i < n; i++) {
        sums[0] += a[i] * b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double ar_sum(const double *a, uint32_t n)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        sum += a[i];
    }
    return sum;
}

/* Adds the rows whose target lies in [from, to). */
static void ar_grow(struct ar *ar, uint32_t from, uint32_t to)
{
    const uint32_t side = ar->count + 1, n = to - from;
    const double *z = ar->z;
    for (uint32_t i = 0; i < ar->count; i++) {
        const double *a = z + from - ar->lags[i];
        for (uint32_t j = 0; j <= i; j++) {
            ar->products[i * side + j] += ar_dot(a, z + from - ar->lags[j], n);
        }
        ar->products[ar->count * side + i] += ar_sum(a, n);
        ar->targets[i] += ar_dot(a, z + from, n);
    }
    ar->products[ar->count * side + ar->count] += (double)n;
    ar->targets[ar->count] += ar_sum(z + from, n);
}

static bool ar_solve(struct ar *ar, uint32_t rows)
{
    const uint32_t side = ar->count + 1;
    for (uint32_t i = 0; i < side; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            ar->inverse[i * side + j] = ar->inverse[j * side + i] = ar->products[i * side + j];
        }
        ar->inverse[i * side + i] += (i < ar->count ? ar->ridge : 1e-9) * (double)rows;
    }
    if (!ql_invert_spd(ar->inverse, side, ar->work)) {
        return false;
    }
    for (uint32_t i = 0; i < side; i++) {
        ar->weights[i] = ar_dot(ar->inverse + i * side, ar->targets, side);
    }
    return true;
}

static void ar_tell(struct ar *ar, uint32_t origin, double *out)
{
    const struct ql_fc *fc = ar->fc;
    double low = INFINITY, high = -INFINITY, *z = ar->work;
    const uint32_t back = ar->longest;
    for (uint32_t i = 0; i < origin; i++) {
        low = ar->z[i] < low ? ar->z[i] : low;
        high = ar->z[i] > high ? ar->z[i] : high;
    }
    memcpy(z, ar->z + origin - back, back * sizeof(*z));
    for (uint32_t j = 0; j < fc->steps; j++) {
        double next = ar->weights[ar->count];
        for (uint32_t i = 0; i < ar->count; i++) {
            next += ar->weights[i] * z[back + j - ar->lags[i]];
        }
        next = next < low - 1.0 ? low - 1.0 : (next > high + 1.0 ? high + 1.0 : next);
        z[back + j] = next;
        out[j] = next * ar->scale + ar->mean;
    }
}

static ql_err ar_run(struct ar *ar, double *out)
{
    const struct ql_fc *fc = ar->fc;
    ql_err err = ar_open(ar);
    if (err != QL_OK) {
        return err;
    }
    double *path = ql_arena_take(fc->scratch, ((size_t)ar->longest + fc->steps) * sizeof(double));
    double *square = ar->work;
    if (path == NULL) {
        return QL_E_MEMORY;
    }
    uint32_t from = ar->longest;
    for (uint32_t k = 0; k < fc->origin_count; k++) {
        ar_grow(ar, from, fc->origins[k]);
        from = fc->origins[k];
        ar->work = square;
        if (!ar_solve(ar, from - ar->longest)) {
            return QL_E_UNSUPPORTED;
        }
        ar->work = path;
        ar_tell(ar, fc->origins[k], out + (size_t)k * fc->steps);
    }
    return QL_OK;
}

ql_err ql_fc_ar_few(const struct ql_fc *fc, double *out)
{
    struct ar ar = { .fc = fc, .ridge = 1e-3 };
    const uint32_t seasons[] = { fc->p1, fc->p2 };
    for (uint32_t lag = 1; lag <= 3; lag++) {
        ar_lag(&ar, lag);
    }
    for (size_t i = 0; i < QL_COUNT_OF(seasons); i++) {
        if (seasons[i] > 0) {
            ar_lag(&ar, seasons[i]);
            ar_lag(&ar, seasons[i] + 1);
        }
    }
    return ar_run(&ar, out);
}

ql_err ql_fc_ar_many(const struct ql_fc *fc, double *out)
{
    struct ar ar = { .fc = fc, .ridge = 3e-3 };
    const uint32_t p = fc->p1, q = fc->p2;
    const uint32_t near = p == 0 ? (fc->origins[0] / 8 < 14 ? fc->origins[0] / 8 : 14) : 27;
    for (uint32_t lag = 1; lag <= near; lag++) {
        ar_lag(&ar, lag);
    }
    for (uint32_t days = 1; p > 0 && (q > 0 ? days * p < q && days < 7 : days <= 2); days++) {
        ar_lag(&ar, days * p);
        if (days <= 2) {
            ar_lag(&ar, days * p - 1);
            ar_lag(&ar, days * p + 1);
        }
    }
    if (q > 0) {
        ar_lag(&ar, q - 1);
        ar_lag(&ar, q);
        ar_lag(&ar, q + 1);
    }
    return ar_run(&ar, out);
}

ql_err ql_fc_ar_seasonal(const struct ql_fc *fc, double *out)
{
    struct ar ar = { .fc = fc, .ridge = 1e-3 };
    const uint32_t p = fc->p1, q = fc->p2;
    for (uint32_t days = 1; p > 0 && (q > 0 ? days * p < q && days < 7 : days <= 3); days++) {
        ar_lag(&ar, days * p);
    }
    if (q > 0) {
        ar_lag(&ar, q);
        if (fc->origins[0] > 2 * q + 100) {
            ar_lag(&ar, 2 * q);
        }
    }
    return ar_run(&ar, out);
}
