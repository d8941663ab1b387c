/* fastlog.h - logarithms and powers of two for hot loops, from bits and a short polynomial.
 *
 * Good for     turning ratios into decades by the million, where four digits are plenty.
 * Bad for      anything that is added up exactly or shown with more than four digits.
 * Method       exponent from the bits; mantissa m in [0.75, 1.5) through the odd series
 *              of s = (m-1)/(m+1): 2 (s + s^3/3 + s^5/5 + s^7/7).
 * Cost         about 4 ns, no table, no libm.
 *
 * Units         ql_log10f, ql_logf: absolute error below 1e-5 for normal positive floats;
 *               0, negatives and denormals give the value of the least normal float.
 *               ql_exp2f: relative error below 1e-4; 0 below 2^-126, 2^127 above.
 * Determinism   + - * / on floats only: the same bits on every machine.
 */
#ifndef QL_MATH_FASTLOG_H
#define QL_MATH_FASTLOG_H

#include "base/base.h"

static inline float ql_log2f(float x)
{
    const float least = 1.17549435e-38f;
    uint32_t bits;
    x = x > least ? x : least;
    memcpy(&bits, &x, sizeof(bits));
    const uint32_t shifted = bits - 0x3f400000u; /* of 0.75: m lands in [0.75, 1.5) */
    const int32_t exponent = (int32_t)shifted >> 23;
    bits -= (uint32_t)exponent << 23;
    float m;
    memcpy(&m, &bits, sizeof(m));
    const float s = (m - 1.0f) / (m + 1.0f);
    const float ss = s * s;
    const float series = s * (1.0f + ss * (1.0f / 3.0f + ss * (0.2f + ss * (1.0f / 7.0f))));
    return (float)exponent + 2.88539008f * series; /* 2 / ln 2 */
}

static inline float ql_logf(float x) { return 0.69314718f * ql_log2f(x); }
static inline float ql_log10f(float x) { return 0.30103f * ql_log2f(x); }

static inline float ql_exp2f(float x)
{
    if (x < -126.0f) {
        return 0.0f;
    }
    x = x > 127.0f ? 127.0f : x;
    const int32_t whole = (int32_t)x - (x < 0.0f ? 1 : 0);
    const float part = x - (float)whole; /* [0, 1] */
    const uint32_t bits = (uint32_t)(whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof(power));
    return power * (1.0f + part * (0.69583282f + part * (0.22606716f + part * 0.07802454f)));
}

/* 10^-s: a probability from a surprise. */
static inline float ql_exp10f(float x) { return ql_exp2f(3.32192809f * x); }

#endif
