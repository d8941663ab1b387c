/* expiry.h - a value that is itself a time: a certificate's end, a licence's last day.
 *
 * Nothing grows here; what is there to know is whether such ends come true, or whether
 * somebody renews in time as always. The record says it: of the moments of the past when the
 * end was nearer than the horizon, how often it was still the same when it came.
 *
 * Units         ends in seconds since 1970, on a grid of step_s whose last cell ends at now_s.
 * Ownership     everything is the caller's.
 * Errors        QL_E_RANGE: step or horizon not above 0; QL_E_NOT_FOUND: no finite value.
 * Bounds        O(points * tests).
 * Determinism   no clock, no randomness.
 */
#ifndef QL_FORECAST_EXPIRY_H
#define QL_FORECAST_EXPIRY_H

#include "forecast/capacity.h"

struct ql_expiry_in {
    const double *ends;   /* oldest first; not finite = missing */
    uint32_t count;
    double step_s, now_s, horizon_s;
};
/* Fills full, the three times, tests and right; the rule is TREND, or FULL once it is over. */
QL_MUST_USE ql_err ql_expiry(const struct ql_expiry_in *in, struct ql_capacity *ret);

/* Whether a metric of this name holds such times: *_not_after, *_cert_expiry, ... */
bool ql_expiry_name(ql_str name);

#endif
