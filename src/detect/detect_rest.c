/* detect_rest - absence and valid ranges: signals that the judge knows nothing of. */
#include "detect/detect_int.h"

enum {
    BOUND_CALM = 3,            /* values in a row inside the range that end a bound signal */
    STEADY_MIN = 32            /* values in a row before silence means anything */
};
#define BOUND_SURPRISE 12.0    /* somebody said so: as sure as anything seen */

/* ---- absence -------------------------------------------------------------------- */

void dt_absent_close(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                     int64_t at_ns, uint32_t forgotten_s)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_ABSENT) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_ABSENT; /* was never told */
        s->flags &= (uint8_t)~QL_DT_ABSENT;
        s->steady_run = 0;
        return;
    }
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = series,
                              .kind = QL_SIGNAL_ABSENCE,
                              .phase = QL_PHASE_CLOSE,
                              .forgotten_s = forgotten_s,
                              .onset_ns = s->last_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .verdict = &v,
                          });
    s->flags &= (uint8_t)~QL_DT_ABSENT;
}

static void absent_tell(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                        uint32_t steady, int64_t at_ns)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    double surprise = 2.0;
    for (uint32_t n = steady / 10u; n > 0; n /= 10u) {
        surprise += 1.0;
    }
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = series,
                              .kind = QL_SIGNAL_ABSENCE,
                              .phase = QL_PHASE_OPEN,
                              .onset_ns = s->last_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .surprise = surprise,
                              .verdict = &v,
                          });
}

/* How steady it was is kept with a held absence: it is told later, or never. */
static bool absent_held(struct dt_stage *d, uint32_t series, uint16_t steady, ql_time at)
{
    if (!d->policy.active) {
        return false;
    }
    const enum ql_held hold = ql_dt_policy_hold(&d->policy, series, at, true);
    if (hold == QL_HELD_NONE) {
        return false;
    }
    ql_dt_policy_count(&d->policy, series, hold, QL_SIGNAL_ABSENCE);
    d->policy.marks[series].flags |= QL_DT_MARK_ABSENT;
    d->judge.states[series].steady_run = steady;
    return true;
}

void dt_absent_open(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    const uint16_t steady = s->steady_run;
    if ((s->flags & QL_DT_ABSENT) != 0) {
        return;
    }
    s->steady_run = 0;
    if (steady < STEADY_MIN) {
        return;
    }
    if ((s->flags & QL_DT_LISTED) == 0) {
        if (d->absent_count == DT_ABSENT_MAX) {
            ql_stat_add(d->absent_dropped, 1);
            return;
        }
        d->absent[d->absent_count++] = point->series;
        s->flags |= QL_DT_LISTED;
    }
    s->flags |= QL_DT_ABSENT;
    if (!absent_held(d, point->series, steady, point->at)) {
        absent_tell(d, bus, point->series, steady, point->at.ns);
    }
}

/* The silence outlasted what held it back. */
static void absent_late(struct dt_stage *d, struct ql_batch *bus, uint32_t series, ql_time now)
{
    struct ql_dt_mark *mark = &d->policy.marks[series];
    struct ql_dt_series *s = &d->judge.states[series];
    if ((mark->flags & QL_DT_MARK_ABSENT) != 0 &&
        ql_dt_policy_hold(&d->policy, series, now, true) == QL_HELD_NONE) {
        mark->flags &= (uint8_t)~QL_DT_MARK_ABSENT;
        ql_stat_add(d->policy.counts.told_late, 1);
        absent_tell(d, bus, series, s->steady_run, now.ns);
        s->steady_run = 0;
    }
}

/* Closes a value signal whose series is gone for good. */
void dt_gone_close(struct dt_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns,
                   uint32_t forgotten_s)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_HELD) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_HELD;
        s->flags &= (uint8_t)~QL_DT_OPEN;
        return;
    }
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = QL_PHASE_CLOSE,
                              .forgotten_s = forgotten_s,
                              .onset_ns = s->rise_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .verdict = &v,
                          });
    s->flags &= (uint8_t)~QL_DT_OPEN;
}

/* Drops from the list what came back, and gives up on what is silent for a day. */
void dt_absent_sweep(struct dt_stage *d, struct ql_batch *bus, ql_time now)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < d->absent_count; i++) {
        const uint32_t series = d->absent[i];
        struct ql_dt_series *s = &d->judge.states[series];
        if ((s->flags & QL_DT_ABSENT) != 0 && d->judge.newest_ns - s->last_ns > DT_FORGET_NS) {
            dt_absent_close(d, bus, series, d->judge.newest_ns, 0);
            if ((s->flags & QL_DT_OPEN) != 0) {
                dt_gone_close(d, bus, series, d->judge.newest_ns, 0);
            }
        }
        if ((s->flags & QL_DT_ABSENT) != 0) {
            if (d->policy.active) {
                absent_late(d, bus, series, now);
            }
            d->absent[kept++] = series;
        } else {
            s->flags &= (uint8_t)~QL_DT_LISTED;
        }
    }
    d->absent_count = kept;
}

/* ---- valid ranges ---------------------------------------------------------------- */

static void bound_write(struct dt_stage *d, struct ql_batch *bus,
                        const struct ql_dt_bound *bound, enum ql_phase phase, double value,
                        int64_t at_ns, uint32_t forgotten_s)
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
                              .forgotten_s = forgotten_s,
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
        bound_write(d, bus, bound, QL_PHASE_OPEN, point->value, point->at.ns, 0);
        ql_stat_add(d->policy.counts.told_late, first ? 0 : 1);
    } else if (first) {
        ql_dt_policy_count(&d->policy, point->series, hold, QL_SIGNAL_BOUND);
    }
}

void dt_bound_end(struct dt_stage *d, struct ql_batch *bus, uint32_t series, double value,
                  int64_t at_ns, uint32_t forgotten_s)
{
    const struct ql_dt_bound bound = *ql_dt_policy_bound(&d->policy, series);
    ql_dt_policy_bound_drop(&d->policy, series);
    if (bound.told != 0) {
        bound_write(d, bus, &bound, QL_PHASE_CLOSE, value, at_ns, forgotten_s);
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
        bound_outside(d, bus, point, bound);
    } else if (bound != NULL && ++bound->inside_run >= BOUND_CALM) {
        dt_bound_end(d, bus, point->series, point->value, point->at.ns, 0);
    }
    return outside;
}

/* Gives up on what is silent for a day. */
void dt_bound_sweep(struct dt_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < d->policy.bound_count;) {
        const struct ql_dt_bound bound = d->policy.bounds[i];
        if (d->judge.newest_ns - bound.last_ns > DT_FORGET_NS) {
            dt_bound_end(d, bus, bound.series, bound.value, d->judge.newest_ns, 0);
        } else {
            i++;
        }
    }
}
