/* model_set.h - what was learnt from feedback and outcomes: immutable and versioned.
 *
 * The learn stage makes set n+1; the engine gives it to every stage between two ticks.
 * Every value is the shipped value plus a bounded delta; version 0 is "as shipped".
 *
 * Ownership     plain bytes, copied on adoption.
 */
#ifndef QL_MODEL_MODEL_SET_H
#define QL_MODEL_MODEL_SET_H

#include "base/base.h"
#include "model/record.h"

#define QL_MODEL_PRIORS_MAX 256u

struct ql_cause_prior { /* Beta(right, wrong) of an entity's metric family being the cause */
    uint64_t family_hash;  /* XXH3-64 of the metric name */
    float right, wrong;
};

struct ql_model_set {
    uint32_t version;
    uint32_t prior_count;
    ql_time made;
    double threshold_offset_decades; /* added to the signal threshold; [-1, 2] */
    struct ql_cause_prior priors[QL_MODEL_PRIORS_MAX];
};

#endif
