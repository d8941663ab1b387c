/* functions.c - the table of functions, and the names of those that are refused. */
#include "promql/promql_int.h"

#include <math.h>

static double math_deg(double x)
{
    return x * 180.0 / M_PI;
}

static double math_rad(double x)
{
    return x * M_PI / 180.0;
}

static double math_sgn(double x)
{
    return x < 0.0 ? -1.0 : x > 0.0 ? 1.0 : x;
}

static const struct pq_function functions[] = {
#define PQ_FUNCTION(name, args, type, handler, window, math, which, keeps_name) \
    { name, args, QL_PROMQL_##type, PQ_H_##handler, window, math, which, keeps_name },
#include "promql/functions.def"
};

/* What Prometheus has and this subset has not. */
static const char *const refused[] = {
    "histogram_count", "histogram_fraction", "histogram_sum", "holt_winters", "label_join",
    "label_replace", "mad_over_time", "double_exponential_smoothing", "histogram_avg",
    "histogram_stddev", "histogram_stdvar", "info", "sort_by_label", "sort_by_label_desc",
    "limitk", "limit_ratio",
};

const struct pq_function *pq_function_find(ql_str name)
{
    for (size_t i = 0; i < QL_COUNT_OF(functions); i++) {
        if (ql_str_eq(name, ql_str_of(functions[i].name))) {
            return &functions[i];
        }
    }
    return NULL;
}

bool pq_function_is_known(ql_str name)
{
    for (size_t i = 0; i < QL_COUNT_OF(refused); i++) {
        if (ql_str_eq(name, ql_str_of(refused[i]))) {
            return true;
        }
    }
    return false;
}
