/* expiry - the end is known; the doubt is whether it is moved before it comes. */
#include "forecast/expiry.h"

#include <math.h>

#define PAST_LEAST_S 1e8 /* nearer to 1970 it is no time but a duration, or nothing */

bool ql_expiry_name(ql_str name)
{
    static const char *const endings[] = {
        "_not_after", "_not_after_seconds", "_not_after_timestamp_seconds", "_cert_expiry",
        "_cert_expiry_seconds", "_expiration_timestamp_seconds", "_expiry_timestamp_seconds",
    };
    for (size_t i = 0; i < QL_COUNT_OF(endings); i++) {
        const ql_str end = ql_str_of(endings[i]);
        if (name.bytes > end.bytes &&
            memcmp(name.at + name.bytes - end.bytes, end.at, end.bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The newest finite value at or before `at`; NAN without one. */
static double expiry_at(const struct ql_expiry_in *in, uint32_t at)
{
    for (uint32_t i = at + 1; i-- > 0;) {
        if (isfinite(in->ends[i])) {
            return in->ends[i];
        }
    }
    return NAN;
}

static void expiry_record(const struct ql_expiry_in *in, struct ql_capacity *ret)
{
    const double ahead_d = in->horizon_s / in->step_s;
    const uint32_t ahead = ahead_d < 1.0 ? 1 : (ahead_d > 1e9 ? 1000000000u : (uint32_t)ahead_d);
    const uint32_t apart = ahead / 4 > 0 ? ahead / 4 : 1;
    for (uint32_t i = 0; i < QL_CAPACITY_TESTS_MAX; i++) {
        const uint64_t back = (uint64_t)ahead + (uint64_t)i * apart;
        if (back >= in->count) {
            return;
        }
        const uint32_t origin = in->count - 1 - (uint32_t)back;
        const double then = expiry_at(in, origin), then_s = in->now_s - (double)back * in->step_s;
        if (!(then > PAST_LEAST_S) || then <= then_s) {
            continue;
        }
        /* What it was just before the end, or before the horizon when that comes first. */
        const bool claim = then - then_s < in->horizon_s;
        const double cells = (claim ? then - then_s : in->horizon_s) / in->step_s;
        const double later = expiry_at(in, origin + (uint32_t)cells);
        /* A renewed end may lie before the horizon too: it is another one. */
        const bool came = later < (claim ? then + in->step_s : then_s + in->horizon_s);
        ret->tests++;
        ret->right += claim == came;
    }
}

ql_err ql_expiry(const struct ql_expiry_in *in, struct ql_capacity *ret)
{
    if (!(in->step_s > 0.0) || !(in->horizon_s > 0.0)) {
        return QL_E_RANGE;
    }
    const double end = in->count > 0 ? expiry_at(in, in->count - 1) : NAN;
    if (!(end > PAST_LEAST_S)) {
        return QL_E_NOT_FOUND;
    }
    const double left = end - in->now_s;
    *ret = (struct ql_capacity){ .rule = left > 0.0 ? QL_CAPACITY_TREND : QL_CAPACITY_FULL };
    ret->full = left < in->horizon_s ? 1.0 : 0.0;
    ret->early_s = ret->middle_s = ret->late_s = left > 0.0 ? left : 0.0;
    expiry_record(in, ret);
    return QL_OK;
}
