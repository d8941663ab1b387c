/* solve.h - inverse of a small symmetric positive definite matrix.
 *
 * Units         row-major, `size` rows of `size` doubles.
 * Ownership     all arrays are the caller's.
 * Errors        false: not positive definite (to rounding); the output is then undefined.
 * Bounds        O(size^3): 64 rows take about 100 us.
 * Determinism   + - * / and sqrt.
 */
#ifndef QL_MATH_SOLVE_H
#define QL_MATH_SOLVE_H

#include "base/base.h"

/* at := inverse of at. `scratch` has room for size * size. */
QL_MUST_USE bool ql_invert_spd(double *at, uint32_t size, double *scratch);

#endif
