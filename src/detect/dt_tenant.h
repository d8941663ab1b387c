/* dt_tenant.h - who has a budget of signals of their own, and which rule follows from it.
 *
 * [0] is the default tenant, for whatever no selector takes; it is all there is until
 * ql_dt_tenants_adopt() brings others. Each has a budget (dt_budget.h) and with it a rule for
 * each family of metrics, and pools (dt_series.h): what is rare for one tenant is no matter of
 * another. One that is new starts from a little of what the default's pools know.
 *
 * A series is looked up once, at its first value; after a new list came, at its next one or
 * by the sweep, whichever is first. While some are not looked up yet they count as everybody's,
 * so that no threshold starts too low.
 *
 * Units         rates in points a day.
 * Ownership     open/close. `series` is borrowed, and may be NULL when nothing is adopted.
 * Threads       one at a time.
 * Errors        open, prepare: QL_E_MEMORY. load: QL_E_MALFORMED.
 * Bounds        1 + QL_CONFIG_TENANTS_MAX tenants of 2.1 kB and 190 kB of pools (the default's
 *               0.7 MB), touched when used; 1 B a series, touched once there are tenants. A point
 *               costs a load and a multiplication then, before that a branch.
 * Determinism   which series are looked up when follows from points and ticks alone.
 */
#ifndef QL_DETECT_DT_TENANT_H
#define QL_DETECT_DT_TENANT_H

#include "base/buf.h"
#include "config/tenant.h"
#include "detect/dt_budget.h"
#include "detect/dt_signal.h"
#include "model/series.h"

#define QL_DT_TENANTS_MAX (1 + QL_CONFIG_TENANTS_MAX)
#define QL_DT_SWEEP 16384u          /* selectors tried in a tick, at most */
#define QL_DT_POOLS_DEFAULT QL_DT_FAMILY_BUCKETS
#define QL_DT_POOLS_TENANT 8u       /* smaller estates: fewer families that each see enough */

struct ql_dt_tenant {
    char name[QL_TENANT_NAME_BYTES];
    struct ql_dt_pools *pools;      /* [0] of all its series, then the families' */
    uint32_t pool_count;            /* of families; a power of two */
    uint32_t pad;
    double rate;                    /* of its series that are judged */
    double threshold;               /* of a family without a correction */
    struct ql_dt_budget budget;
    struct ql_dt_rule rules[QL_DT_QUOTAS];
};

struct ql_dt_tenants {
    struct ql_dt_tenant *at;
    uint32_t count;                 /* with the default */
    uint32_t series_max;
    uint8_t *of;                    /* by series: 1 + tenant; 0: not looked up */
    struct ql_tenant_set *set;      /* NULL: only the default */
    uint64_t key;                   /* of the list: who and what, not how many signals */
    uint32_t known;                 /* judged series that are in `rate` of theirs */
    uint32_t cursor;                /* of the sweep */
    double rates;                   /* sum of all */
    struct ql_series_table *series;
    struct ql_buf scratch;
};

QL_MUST_USE ql_err ql_dt_tenants_open(struct ql_dt_tenants *tenants, uint32_t series_max,
                                      double signals_per_day);
void ql_dt_tenants_close(struct ql_dt_tenants *tenants);
/* A new list in two steps, so that nothing is taken before everything can be: what may fail
 * is all in the first. Budgets are those of the config times `share`; who keeps name and budget
 * keeps what was learnt. */
struct ql_dt_tenants_next { struct ql_dt_tenant *at; struct ql_tenant_set *set; };
QL_MUST_USE ql_err ql_dt_tenants_prepare(const struct ql_config *config,
                                         struct ql_dt_tenants_next *ret_next);
void ql_dt_tenants_discard(struct ql_dt_tenants_next *next);
void ql_dt_tenants_adopt(struct ql_dt_tenants *tenants, struct ql_dt_tenants_next *next,
                         const struct ql_config *config, struct ql_series_table *series,
                         double share);

static inline uint32_t ql_dt_tenant_index(const struct ql_dt_tenants *tenants, uint32_t series)
{
    const uint32_t of = tenants->count > 1 ? tenants->of[series] : 0;
    return of - (of > 0);
}
static inline struct ql_dt_tenant *ql_dt_tenant_of(const struct ql_dt_tenants *tenants,
                                                   uint32_t series)
{
    return tenants->count <= 1 ? tenants->at
                               : &tenants->at[ql_dt_tenant_index(tenants, series)];
}
static inline bool ql_dt_tenants_unknown(const struct ql_dt_tenants *tenants, uint32_t series)
{
    return tenants->count > 1 && tenants->of[series] == 0;
}
/* What a point of a family is counted in, besides pools[0]. */
static inline struct ql_dt_pools *ql_dt_tenant_pools(const struct ql_dt_tenant *tenant,
                                                     uint32_t family)
{
    return &tenant->pools[1 + (family & (tenant->pool_count - 1))];
}
/* Looks a series up; `judged` when it counts for the rate already. */
void ql_dt_tenants_find(struct ql_dt_tenants *tenants, uint32_t series, bool judged);
/* A series is judged from now on. */
void ql_dt_tenants_judged(struct ql_dt_tenants *tenants, uint32_t series, uint32_t step_ms);

/* A series is there no more; `judged` when it counted for the rate. */
void ql_dt_tenants_forget(struct ql_dt_tenants *tenants, uint32_t series, bool judged,
                          uint32_t step_ms);

/* Hands the points of the day to the budgets and makes the rules; `judged` series in all. */
void ql_dt_tenants_pass(struct ql_dt_tenants *tenants, int64_t newest_ns, double points_per_day,
                        uint32_t judged);
/* Makes the rules anew, of budgets that were changed from outside. */
void ql_dt_tenants_rules(struct ql_dt_tenants *tenants);

size_t ql_dt_tenants_bytes(const struct ql_dt_tenants *tenants);

ql_err ql_dt_tenants_save(const struct ql_dt_tenants *tenants, uint32_t series_count,
                          struct ql_buf *out);
QL_MUST_USE ql_err ql_dt_tenants_load(struct ql_dt_tenants *tenants, uint32_t series_count,
                                      struct ql_reader *in);

#endif
