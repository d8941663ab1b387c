/* detect_bound - values outside of what a policy calls valid: a signal by itself, and nothing that
 * the judge learns of. */
#include "detect/detect_int.h"

enum { BOUND_CALM = 3 };       /* values in a row inside the range that end a bound signal */
#define BOUND_SURPRISE 12.0    /* somebody said so: as sure as anything seen */

static void bound_write(struct dt_stage *d, struct ql_batch *bus,
                        const struct ql_dt_bound *bound, enum ql_phase phase, double value,
                        int64_t at_ns, struct dt_end end)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, bound->series);
    struct ql_dt_verdict v = { 0 };
    v.expected = value > e->high ? e->high : value < e->low ? e->low : value;
    v.lower = e->low > -1e300 ? e->low : v.expected; /* an infinite end has no number */
    v.upper = e->high < 1e300 ? e->high : v.expected;
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = bound->series,
                              .kind = QL_SIGNAL_BOUND,
                              .phase = phase,
                              .onset_ns = bound->onset_ns,
                              .at_ns = at_ns,
                              .value = value,
                              .end = end,
                              .surprise = BOUND_SURPRISE,
                              .verdict = &v,
                          });
}

static void bound_outside(struct dt_stage *d, struct ql_batch *bus,
                          const struct ql_point *point, struct ql_dt_bound *bound)
{
    const bool first = bound == NULL;
    if (first) {
        bound = ql_dt_policy_bound_add(&d->policy, point->series, point->at.ns);
    }
    if (bound == NULL) {
        return;
    }
    bound->value = point->value;
    bound->last_ns = point->at.ns;
    bound->inside_run = 0;
    if (bound->told != 0) {
        return;
    }
    const enum ql_held hold = ql_dt_policy_hold(&d->policy, point->series, point->at, false);
    if (hold == QL_HELD_NONE) {
        bound->told = 1;
        bound_write(d, bus, bound, QL_PHASE_OPEN, point->value, point->at.ns,
                    (struct dt_end){ 0 });
        ql_stat_add(d->policy.counts.told_late, first ? 0 : 1);
    } else if (first) {
        ql_dt_policy_count(&d->policy, point->series, hold, QL_SIGNAL_BOUND);
    }
}

void dt_bound_end(struct dt_stage *d, struct ql_batch *bus, uint32_t series, double value,
                  int64_t at_ns, struct dt_end end)
{
    const struct ql_dt_bound bound = *ql_dt_policy_bound(&d->policy, series);
    ql_dt_policy_bound_drop(&d->policy, series);
    if (bound.told != 0) {
        bound_write(d, bus, &bound, QL_PHASE_CLOSE, value, at_ns, end);
    }
}

/* True: the value is outside of its range and nothing is to be learnt of it. */
bool dt_bound_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, point->series);
    const bool outside = point->value < e->low || point->value > e->high;
    const bool known = (d->policy.marks[point->series].flags & QL_DT_MARK_BOUND) != 0;
    struct ql_dt_bound *bound = known ? ql_dt_policy_bound(&d->policy, point->series) : NULL;
    if (outside) {
        const int64_t since_ns = known ? bound->onset_ns : point->at.ns;
        bound_outside(d, bus, point, bound);
        ql_dt_series_pass(&d->judge.states[point->series], since_ns, point->at.ns,
                          ql_series_at(d->series, point->series)->step_ms);
    } else if (bound != NULL && ++bound->inside_run >= BOUND_CALM) {
        dt_bound_end(d, bus, point->series, point->value, point->at.ns, (struct dt_end){ 0 });
    }
    return outside;
}

/* Gives up on what is silent for a day. */
void dt_bound_sweep(struct dt_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < d->policy.bound_count;) {
        const struct ql_dt_bound bound = d->policy.bounds[i];
        const int64_t silent_ns = d->judge.newest_ns - bound.last_ns;
        if (silent_ns > DT_FORGET_NS) {
            const struct dt_end end = { .why = DT_END_SILENT,
                                        .hours = (double)silent_ns / 3.6e12 };
            dt_bound_end(d, bus, bound.series, bound.value, d->judge.newest_ns, end);
        } else {
            i++;
        }
    }
}
