/* solve - Cholesky factorisation, then the inverse of the factor, then its square.
 *
 * Good for     covariance matrices with something added to the diagonal.
 * Bad for      near-singular matrices: add to the diagonal first.
 * Method       A = L L^T (Cholesky, published by Benoit 1924); A^-1 = L^-T L^-1.
 */
#include "math/solve.h"

static bool solve_factor(double *a, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++) {
        double d = a[j * n + j];
        for (uint32_t k = 0; k < j; k++) {
            d -= a[j * n + k] * a[j * n + k];
        }
        if (!(d > 0.0)) {
            return false;
        }
        const double root = __builtin_sqrt(d);
        a[j * n + j] = root;
        for (uint32_t i = j + 1; i < n; i++) {
            double sum = a[i * n + j];
            for (uint32_t k = 0; k < j; k++) {
                sum -= a[i * n + k] * a[j * n + k];
            }
            a[i * n + j] = sum / root;
        }
    }
    return true;
}

/* inv := L^-1, lower triangle. */
static void solve_invert_factor(const double *l, uint32_t n, double *inv)
{
    for (uint32_t j = 0; j < n; j++) {
        for (uint32_t i = 0; i < j; i++) {
            inv[i * n + j] = 0.0;
        }
        inv[j * n + j] = 1.0 / l[j * n + j];
        for (uint32_t i = j + 1; i < n; i++) {
            double sum = 0.0;
            for (uint32_t k = j; k < i; k++) {
                sum -= l[i * n + k] * inv[k * n + j];
            }
            inv[i * n + j] = sum / l[i * n + i];
        }
    }
}

bool ql_invert_spd(double *at, uint32_t size, double *scratch)
{
    QL_ASSERT(size > 0);
    if (!solve_factor(at, size)) {
        return false;
    }
    solve_invert_factor(at, size, scratch);
    for (uint32_t i = 0; i < size; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            double sum = 0.0;
            for (uint32_t k = i; k < size; k++) {
                sum += scratch[k * size + i] * scratch[k * size + j];
            }
            at[i * size + j] = at[j * size + i] = sum;
        }
    }
    return true;
}
