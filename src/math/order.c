/* order - selection by three-way partition (Hoare 1961; Dijkstra's Dutch flag).
 *
 * Good for     one or a few order statistics of a window of any length; many ties.
 * Bad for      all quantiles at once (sort), or a moving window (keep a sketch).
 * Cost         expected 2-3 n comparisons; O(n^2) only for inputs built against it.
 */
#include "math/order.h"

#define ORDER_SELECT(name, type)                                                       \
    type name(type *at, uint32_t count, uint32_t k)                                    \
    {                                                                                  \
        QL_ASSERT(count > 0);                                                          \
        QL_ASSERT(k < count);                                                          \
        uint32_t first = 0, last = count - 1;                                          \
        while (first < last) {                                                         \
            const type a = at[first], b = at[first + (last - first) / 2], c = at[last];\
            const type low = a < b ? a : b, high = a < b ? b : a;                      \
            const type pivot = c < low ? low : (c > high ? high : c);                  \
            uint32_t less = first, i = first, more = last;                             \
            while (i <= more) {                                                        \
                const type x = at[i];                                                  \
                if (x < pivot) {                                                       \
                    at[i++] = at[less];                                                \
                    at[less++] = x;                                                    \
                } else if (x > pivot) {                                                \
                    at[i] = at[more];                                                  \
                    at[more] = x;                                                      \
                    more--; /* never below 0: the pivot itself is in the range */      \
                } else {                                                               \
                    i++;                                                               \
                }                                                                      \
            }                                                                          \
            if (k < less) {                                                            \
                last = less - 1;                                                       \
            } else if (k > more) {                                                     \
                first = more + 1;                                                      \
            } else {                                                                   \
                return at[k];                                                          \
            }                                                                          \
        }                                                                              \
        return at[k];                                                                  \
    }

ORDER_SELECT(ql_select, double)
ORDER_SELECT(ql_select_float, float)

double ql_quantile(double *at, uint32_t count, double ratio)
{
    QL_ASSERT(count > 0);
    QL_ASSERT(ratio >= 0.0);
    QL_ASSERT(ratio <= 1.0);
    const double place = ratio * (double)(count - 1);
    const uint32_t k = (uint32_t)place;
    const double low = ql_select(at, count, k);
    if (k + 1 >= count || place == (double)k) {
        return low;
    }
    /* Everything after k is not smaller: the next value is the least of the rest. */
    double high = at[k + 1];
    for (uint32_t i = k + 2; i < count; i++) {
        high = at[i] < high ? at[i] : high;
    }
    return low + (place - (double)k) * (high - low);
}

double ql_median(double *at, uint32_t count)
{
    return ql_quantile(at, count, 0.5);
}

double ql_mad(double *at, uint32_t count, double center)
{
    for (uint32_t i = 0; i < count; i++) {
        at[i] = at[i] < center ? center - at[i] : at[i] - center;
    }
    return ql_median(at, count);
}
