/* dt_together - Benjamini and Hochberg's step-up rule over what came near in one tick. */
#include "detect/dt_together.h"

#include "math/fastlog.h"

#include <stdlib.h>

ql_err ql_dt_together_open(struct ql_dt_together *t)
{
    *t = (struct ql_dt_together){ .near = malloc(QL_DT_NEAR_MAX * sizeof(*t->near)) };
    return t->near != NULL ? QL_OK : QL_E_MEMORY;
}

void ql_dt_together_close(struct ql_dt_together *t)
{
    free(t->near);
    t->near = NULL;
}

void ql_dt_together_note(struct ql_dt_together *t, uint32_t tenants,
                         const struct ql_dt_near *near)
{
    QL_ASSERT(near->tenant < tenants && tenants <= QL_DT_TENANTS_MAX);
    if (t->count < QL_DT_NEAR_MAX && t->noted[near->tenant] < QL_DT_NEAR_MAX / tenants) {
        t->near[t->count++] = *near;
        t->noted[near->tenant]++;
    }
}

/* ---- picking --------------------------------------------------------------------- */

static int near_by_series(const void *a, const void *b)
{
    const struct ql_dt_near *x = a, *y = b;
    if (x->series != y->series) {
        return x->series < y->series ? -1 : 1;
    }
    return x->in.at_ns < y->in.at_ns ? -1 : x->in.at_ns > y->in.at_ns;
}

static int near_by_tenant(const void *a, const void *b)
{
    const struct ql_dt_near *x = a, *y = b;
    if (x->tenant != y->tenant) {
        return x->tenant < y->tenant ? -1 : 1;
    }
    if (x->past > y->past || x->past < y->past) {
        return x->past > y->past ? -1 : 1;
    }
    return x->series < y->series ? -1 : x->series > y->series;
}

/* Leaves the newest of each series that is not open by now. */
static uint32_t near_once(struct ql_dt_together *t, const struct ql_dt_series *states)
{
    uint32_t kept = 0;
    qsort(t->near, t->count, sizeof(*t->near), near_by_series);
    for (uint32_t i = 0; i < t->count; i++) {
        const bool newest = i + 1 == t->count || t->near[i + 1].series != t->near[i].series;
        if (newest && (states[t->near[i].series].flags & QL_DT_OPEN) == 0) {
            t->near[kept++] = t->near[i];
        }
    }
    return kept;
}

/* How many of the `count` best of one tenant open, beside those that did alone. */
static uint32_t near_step_up(const struct ql_dt_near *near, uint32_t count, uint32_t alone)
{
    if (count + alone < 2) {
        return 0;
    }
    while (count > 0 && near[count - 1].past < -ql_log10f((float)(alone + count))) {
        count--;
    }
    return count;
}

uint32_t ql_dt_together_pick(struct ql_dt_together *t, const struct ql_dt_series *states)
{
    uint32_t picked = 0;
    const uint32_t count = t->count > 0 ? near_once(t, states) : 0;
    qsort(t->near, count, sizeof(*t->near), near_by_tenant);
    for (uint32_t from = 0, to = 0; from < count; from = to) {
        const uint32_t tenant = t->near[from].tenant;
        while (to < count && t->near[to].tenant == tenant) {
            to++;
        }
        const uint32_t open = near_step_up(&t->near[from], to - from, t->alone[tenant]);
        memmove(&t->near[picked], &t->near[from], open * sizeof(*t->near));
        picked += open;
    }
    t->count = 0;
    memset(t->noted, 0, sizeof(t->noted));
    memset(t->alone, 0, sizeof(t->alone));
    return picked;
}
