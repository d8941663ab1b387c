/* detect_end - what is open ends although no value says so: its series is forgotten or silent for
 * a day, its group too small, the settings say off. Such an end is marked: it is no recovery.
 *
 * Method       of a series that is forgotten first all that is open is closed with a reason, then
 *              the lists of what is open are swept as at every tick, then states, marks and places
 *              are let go of: an index that another series gets has nothing of the one before.
 */
#include "detect/detect_int.h"

/* A value signal that no value will close. */
static void value_end(struct dt_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns,
                      struct dt_end end)
{
    struct ql_dt_series *s = &d->judge.states[series];
    struct ql_dt_verdict v;
    s->flags &= (uint8_t)~QL_DT_OPEN;
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_HELD) != 0) {
        d->policy.marks[series].flags &= (uint8_t)~QL_DT_MARK_HELD;
        return;
    }
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = series,
                              .kind = (enum ql_signal_kind)s->kind,
                              .phase = QL_PHASE_CLOSE,
                              .end = end,
                              .onset_ns = s->rise_ns,
                              .at_ns = at_ns,
                              .value = s->origin + (double)s->last,
                              .verdict = &v,
                          });
}

void dt_end_series(struct dt_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns,
                   struct dt_end end)
{
    struct ql_dt_series *s = &d->judge.states[series];
    s->flags &= (uint8_t)~QL_DT_ENDED;
    if ((s->flags & QL_DT_ABSENT) != 0) {
        dt_absent_close(d, bus, series, at_ns, end);
    }
    if ((s->flags & QL_DT_OPEN) != 0) {
        value_end(d, bus, series, at_ns, end);
    }
    if (d->policy.active && (d->policy.marks[series].flags & QL_DT_MARK_BOUND) != 0) {
        const double value = ql_dt_policy_bound(&d->policy, series)->value;
        dt_bound_end(d, bus, series, value, at_ns, end);
    }
}

/* The group's signal is told by the series that it is about, while that one still has a name. */
void dt_end_group(struct dt_stage *d, struct ql_batch *bus, const struct ql_dt_group_finding *f,
                  struct dt_end end)
{
    const struct ql_dt_series *s = &d->judge.states[f->series];
    struct ql_dt_verdict v;
    ql_dt_series_expect(s, &ql_dt_params_default, &v);
    dt_finding_write(d, bus, &(struct dt_finding){
                                 .series = f->series,
                                 .kind = f->kind == QL_DT_GROUP_PEERS ? QL_SIGNAL_PEER
                                                                      : QL_SIGNAL_FUSED,
                                 .phase = QL_PHASE_CLOSE,
                                 .end = end,
                                 .onset_ns = f->onset_ns,
                                 .at_ns = f->at_ns,
                                 .value = s->origin + (double)s->last,
                                 .verdict = &v,
                             });
}

/* ---- switched off ------------------------------------------------------------------ */

/* One walk over everything, once after the settings said so or a start found it so. */
void dt_end_switched(struct dt_stage *d, struct ql_batch *bus)
{
    const struct dt_end end = { .why = DT_END_OFF };
    const uint32_t count = d->enabled ? 0 : ql_series_count(d->series);
    if (!d->switched) {
        return;
    }
    d->switched = false;
    if (!d->enabled) {
        dt_reset_off(d, bus);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ql_series_is_live(d->series, i)) {
            dt_end_series(d, bus, i, d->now_ns, end);
        }
    }
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        for (uint32_t i = 0; i < d->groups.counts[k]; i++) {
            struct ql_dt_group_finding f;
            if (ql_dt_groups_end(&d->groups, (enum ql_dt_group_kind)k, i, d->now_ns, &f)) {
                dt_end_group(d, bus, &f, end);
            }
        }
    }
}

/* ---- forgotten --------------------------------------------------------------------- */

void dt_forget_close(struct dt_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->retired.count; i++) {
        const struct ql_retired *one = &bus->retired.at[i];
        const struct dt_end end = { .why = DT_END_FORGOTTEN,
                                    .hours = (double)one->idle_s / 3600.0 };
        dt_end_series(d, bus, one->series, d->now_ns, end);
        dt_reset_forget(d, bus, one->series, end);
        for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
            struct ql_dt_group_finding f;
            if (ql_dt_groups_leave(&d->groups, (enum ql_dt_group_kind)k, one->series, d->now_ns,
                                   &f)) {
                dt_end_group(d, bus, &f, end);
            }
        }
    }
}

void dt_forget_drop(struct dt_stage *d, const struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->retired.count; i++) {
        const uint32_t series = bus->retired.at[i].series;
        ql_dt_judge_forget(&d->judge, series, ql_series_at(d->series, series)->step_ms);
        if (d->policy.active) {
            d->policy.marks[series] = (struct ql_dt_mark){ 0 };
        }
        if (d->drill.series == series) {
            dt_drill_ended(d, ql_dt_drill_break_off(&d->drill, d->judge.newest_ns));
        }
    }
}
