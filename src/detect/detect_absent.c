/* detect_absent - silence of a series that spoke steadily is a signal; it ends with a value.
 *
 * Whatever is open of a series that fell silent is listed, so that a day later it is given up. */
#include "detect/detect_int.h"

enum { STEADY_MIN = 32 };      /* values in a row before silence means anything */

/* ---- telling --------------------------------------------------------------------- */

/* The last value that came, whether the judge learnt it or a range kept it away. */
static double absent_value(struct dt_stage *d, uint32_t series)
{
    const struct ql_dt_series *s = &d->judge.states[series];
    const bool bound = d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_BOUND) != 0;
    const struct ql_dt_bound *outside = bound ? ql_dt_policy_bound(&d->policy, series) : NULL;
    return outside != NULL && outside->inside_run == 0 ? outside->value
                                                       : s->origin + (double)s->last;
}

static void absent_write(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                         struct dt_finding finding)
{
    const struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    finding.series = series;
    finding.kind = QL_SIGNAL_ABSENCE;
    finding.onset_ns = s->last_ns;
    finding.value = absent_value(d, series);
    finding.verdict = &v;
    dt_finding_write(d, bus, &finding);
}

void dt_absent_close(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                     int64_t at_ns, struct dt_end end)
{
    struct ql_dt_series *s = &d->judge.states[series];
    s->flags &= (uint8_t)~QL_DT_ABSENT;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_ABSENT) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_ABSENT; /* was never told */
        s->steady_run = 0;
        return;
    }
    absent_write(d, bus, series, (struct dt_finding){ .phase = QL_PHASE_CLOSE, .at_ns = at_ns,
                                                      .end = end });
}

static void absent_tell(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                        uint32_t steady, int64_t at_ns)
{
    double surprise = 2.0;
    for (uint32_t n = steady / 10u; n > 0; n /= 10u) {
        surprise += 1.0;
    }
    absent_write(d, bus, series, (struct dt_finding){ .phase = QL_PHASE_OPEN, .at_ns = at_ns,
                                                      .surprise = surprise });
}

/* ---- beginning ------------------------------------------------------------------- */

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

void dt_absent_begin(struct dt_stage *d, struct ql_batch *bus, uint32_t series, ql_time at)
{
    struct ql_dt_series *s = &d->judge.states[series];
    const uint16_t steady = s->steady_run;
    s->steady_run = 0;
    s->flags |= QL_DT_ABSENT;
    if (!absent_held(d, series, steady, at)) {
        absent_tell(d, bus, series, steady, at.ns);
    }
}

static bool absent_list(struct dt_stage *d, uint32_t series)
{
    struct ql_dt_series *s = &d->judge.states[series];
    if ((s->flags & QL_DT_LISTED) == 0) {
        if (d->absent_count == DT_ABSENT_MAX) {
            ql_stat_add(d->absent_dropped, 1);
            return false;
        }
        d->absent[d->absent_count++] = series;
        s->flags |= QL_DT_LISTED;
    }
    return true;
}

/* Something is open that only a value of the series can close. */
static bool absent_waits(const struct dt_stage *d, uint32_t series)
{
    return (d->judge.states[series].flags & (QL_DT_OPEN | QL_DT_ABSENT | QL_DT_ENDED)) != 0 ||
           ql_dt_groups_leads(&d->groups, QL_DT_GROUP_ENTITY, series) ||
           ql_dt_groups_leads(&d->groups, QL_DT_GROUP_PEERS, series);
}

void dt_absent_open(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    const bool steady = s->steady_run >= STEADY_MIN;
    if ((s->flags & (QL_DT_ABSENT | QL_DT_ENDED)) != 0) {
        return;
    }
    if (!steady) {
        s->steady_run = 0;
    }
    if ((!steady && !absent_waits(d, point->series)) || !absent_list(d, point->series)) {
        s->steady_run = 0;
    } else if (steady && ql_is_stale_marker(point->raw)) {
        s->flags |= QL_DT_ENDED; /* and how steady it was stays known */
    } else if (steady) {
        dt_absent_begin(d, bus, point->series, point->at);
    }
}

void dt_absent_value(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    struct ql_dt_series *s = &d->judge.states[point->series];
    if ((s->flags & QL_DT_ABSENT) != 0) {
        dt_absent_close(d, bus, point->series, point->at.ns, (struct dt_end){ 0 });
    } else {
        s->flags &= (uint8_t)~QL_DT_ENDED;
        s->steady_run = 0;
    }
}

/* ---- at the tick ----------------------------------------------------------------- */

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

static void absent_give_up(struct dt_stage *d, struct ql_batch *bus, uint32_t series)
{
    const int64_t now_ns = d->judge.newest_ns, silent_ns = now_ns - d->judge.states[series].last_ns;
    const struct dt_end end = { .why = DT_END_SILENT, .hours = (double)silent_ns / 3.6e12 };
    if (silent_ns <= DT_FORGET_NS) {
        return;
    }
    dt_end_series(d, bus, series, now_ns, end);
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        const enum ql_dt_group_kind kind = (enum ql_dt_group_kind)k;
        struct ql_dt_group_finding f;
        if (ql_dt_groups_leads(&d->groups, kind, series) &&
            ql_dt_groups_end(&d->groups, kind, ql_dt_group_of(&d->groups, kind, series), now_ns,
                             &f)) {
            dt_end_group(d, bus, &f, end);
        }
    }
}

void dt_absent_sweep(struct dt_stage *d, struct ql_batch *bus, ql_time now)
{
    uint32_t kept = 0;
    dt_ended_look(d, bus, now);
    for (uint32_t i = 0; i < d->absent_count; i++) {
        const uint32_t series = d->absent[i];
        struct ql_dt_series *s = &d->judge.states[series];
        absent_give_up(d, bus, series);
        if ((s->flags & QL_DT_ABSENT) != 0 && d->policy.active) {
            absent_late(d, bus, series, now);
        }
        if (absent_waits(d, series)) {
            d->absent[kept++] = series;
        } else {
            s->flags &= (uint8_t)~QL_DT_LISTED;
        }
    }
    d->absent_count = kept;
}
