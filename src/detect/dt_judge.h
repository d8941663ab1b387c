/* dt_judge.h - the detector as a whole, for whoever has points: many series, a budget for
 * each tenant.
 *
 * The stage (detect.c) and the batch verb judge through this, so a file is judged as the
 * service would have judged it.
 *
 * Units         as dt_series.h; series are dense indexes below series_max.
 * Ownership     init/fini; states are borrowed until fini and never move.
 * Threads       one at a time.
 * Errors        init: QL_E_MEMORY. load: QL_E_MALFORMED, and the judge is then unusable.
 * Bounds        O(1) a point; memory as said in detect.h.
 */
#ifndef QL_DETECT_DT_JUDGE_H
#define QL_DETECT_DT_JUDGE_H

#include "base/buf.h"
#include "detect/dt_series.h"
#include "detect/dt_signal.h"
#include "detect/dt_tenant.h"
#include "detect/dt_together.h"

/* How often points of series that were not odd already reached a surprise, against how
 * often 1 in 10^n should: the honesty of the calibration, real anomalies included. */
#define QL_DT_OBSERVED_LEVELS 4u
struct ql_dt_observed {
    uint64_t points;
    uint64_t reached[QL_DT_OBSERVED_LEVELS]; /* 2, 3, 4, 5 decades */
};

struct ql_dt_judge {
    struct ql_dt_series *states;    /* by series index */
    size_t states_ready;            /* bytes of them, ql_pages_ready() */
    struct ql_dt_slab *slabs;       /* profiles; states name them from 1 */
    uint32_t series_max, slab_max, slab_count, slab_free;
    uint32_t profile_count;         /* in use */
    uint32_t active_count;          /* series past warming */
    double step_ms;                 /* mean distance of points of a series */
    int64_t newest_ns;              /* of all points; INT64_MIN: none yet */
    struct ql_dt_tenants tenants;
    struct ql_dt_together together; /* since the last tick */
    struct ql_dt_observed observed; /* not saved: counted since the start */
};

QL_MUST_USE ql_err ql_dt_judge_init(struct ql_dt_judge *judge, uint32_t series_max,
                                    double signals_per_day);
void ql_dt_judge_fini(struct ql_dt_judge *judge);

/* Judges and learns one value; family is any number that series of one metric share. */
enum ql_dt_change ql_dt_judge_value(struct ql_dt_judge *judge, uint32_t series, uint32_t family,
                                    const struct ql_dt_input *in,
                                    struct ql_dt_verdict *ret_verdict);
static inline void ql_dt_judge_prefetch(const struct ql_dt_judge *judge, uint32_t series)
{
    const char *state = (const char *)&judge->states[series];
    for (size_t line = 0; line < sizeof(*judge->states); line += 64) {
        __builtin_prefetch(state + line, 1);
    }
}
/* Opens the series that were odd together since the last call (each tick): the first n of
 * judge->together.near, to be told by the caller. Returns n. */
uint32_t ql_dt_judge_together(struct ql_dt_judge *judge);
/* Works out the thresholds from what was seen; call it now and then (each tick). */
void ql_dt_judge_threshold(struct ql_dt_judge *judge);

size_t ql_dt_judge_bytes(const struct ql_dt_judge *judge, uint32_t series_count);

/* The tenant of a series, and what it is judged by; quota: ql_dt_quota_of() its family, or
 * QL_DT_OF_GROUPS. */
static inline struct ql_dt_tenant *ql_dt_judge_tenant(const struct ql_dt_judge *judge,
                                                      uint32_t series)
{
    return ql_dt_tenant_of(&judge->tenants, series);
}
static inline uint32_t ql_dt_quota_of(uint32_t family) { return family % QL_DT_FAMILY_BUCKETS; }
static inline const struct ql_dt_rule *ql_dt_judge_rule(const struct ql_dt_judge *judge,
                                                        uint32_t series, uint32_t quota)
{
    return &ql_dt_judge_tenant(judge, series)->rules[quota];
}
/* Finds out whose a series is, where that is not known. */
void ql_dt_judge_find(struct ql_dt_judge *judge, uint32_t series);
/* The same for series that have no values, a few each tick. */
void ql_dt_judge_sweep(struct ql_dt_judge *judge, uint32_t series_count);

/* Lets go of all that is kept of a series; nothing of it may be open. */
void ql_dt_judge_forget(struct ql_dt_judge *judge, uint32_t series, uint32_t step_ms);

/* The first series_count states, and all that is shared. */
ql_err ql_dt_judge_save(const struct ql_dt_judge *judge, uint32_t series_count,
                        struct ql_buf *out);
QL_MUST_USE ql_err ql_dt_judge_load(struct ql_dt_judge *judge, struct ql_reader *in);

#endif
