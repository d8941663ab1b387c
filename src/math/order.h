/* order.h - medians, quantiles and spread by selection, without sorting everything.
 *
 * All functions take finite values in an array that they reorder; whoever needs the
 * order keeps a copy. A quantile between two values is interpolated linearly
 * (Hyndman and Fan 1996, type 7), as R and NumPy do by default.
 *
 * Errors        none; an empty array is a caller's bug and asserted.
 * Bounds        expected O(n) each; no memory.
 * Determinism   the pivot is the median of three fixed places, never random.
 */
#ifndef QL_MATH_ORDER_H
#define QL_MATH_ORDER_H

#include "base/base.h"

/* Moves the values so that at[k] is the one that sorting would put there, with none
 * larger before it and none smaller after it. Returns at[k]. */
double ql_select(double *at, uint32_t count, uint32_t k);
double ql_quantile(double *at, uint32_t count, double ratio); /* ratio in [0, 1] */
double ql_median(double *at, uint32_t count);
/* Median of |x - center|; overwrites the array with those distances. Times 1.4826 it
 * estimates the deviation of a normal distribution. */
double ql_mad(double *at, uint32_t count, double center);

float ql_select_float(float *at, uint32_t count, uint32_t k);

#endif
