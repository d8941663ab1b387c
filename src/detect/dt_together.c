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

void ql_dt_together_note(struct ql_dt_together *t, uint32_t series, const struct ql_dt_input *in,
                         const struct ql_dt_verdict *verdict)
{
    if (t->count < QL_DT_NEAR_MAX) {
        t->near[t->count++] =
            (struct ql_dt_near){ series, verdict->evidence_surprise, *in, *verdict };
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

static int near_by_surprise(const void *a, const void *b)
{
    const struct ql_dt_near *x = a, *y = b;
    if (x->surprise > y->surprise || x->surprise < y->surprise) {
        return x->surprise > y->surprise ? -1 : 1;
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

uint32_t ql_dt_together_pick(struct ql_dt_together *t, const struct ql_dt_series *states,
                             float threshold)
{
    const uint32_t alone = t->alone;
    uint32_t count = t->count > 0 ? near_once(t, states) : 0;
    t->count = t->alone = 0;
    if (count + alone < 2) {
        return 0;
    }
    qsort(t->near, count, sizeof(*t->near), near_by_surprise);
    while (count > 0 &&
           t->near[count - 1].surprise < threshold - ql_log10f((float)(alone + count))) {
        count--;
    }
    return count;
}
