/* detect_forget - what is left behind of a series that is forgotten.
 *
 * Method       first all that is open of it is closed with a reason, then the lists of what is
 *              open are swept as at every tick, then states, marks and places are let go of: an
 *              index that another series gets has nothing of the one before.
 */
#include "detect/detect_int.h"

static void forget_close_one(struct dt_stage *d, struct ql_batch *bus,
                             const struct ql_retired *one)
{
    const struct ql_dt_series *s = &d->judge.states[one->series];
    const int64_t at_ns = d->now_ns;
    if ((s->flags & QL_DT_ABSENT) != 0) {
        dt_absent_close(d, bus, one->series, at_ns, one->idle_s);
    }
    if ((s->flags & QL_DT_OPEN) != 0) {
        dt_gone_close(d, bus, one->series, at_ns, one->idle_s);
    }
    if (d->policy.active && (d->policy.marks[one->series].flags & QL_DT_MARK_BOUND) != 0) {
        const double value = ql_dt_policy_bound(&d->policy, one->series)->value;
        dt_bound_end(d, bus, one->series, value, at_ns, one->idle_s);
    }
}

/* The group's signal is told by the series that it is about, while that one still has a name. */
static void forget_close_group(struct dt_stage *d, struct ql_batch *bus,
                               enum ql_dt_group_kind kind, const struct ql_retired *one)
{
    struct ql_dt_group_finding f;
    if (!ql_dt_groups_leave(&d->groups, kind, one->series, d->now_ns, &f)) {
        return;
    }
    dt_finding_write(d, bus, &(struct dt_finding){
                                 .series = f.series,
                                 .kind = kind == QL_DT_GROUP_PEERS ? QL_SIGNAL_PEER
                                                                   : QL_SIGNAL_FUSED,
                                 .phase = QL_PHASE_CLOSE,
                                 .onset_ns = f.onset_ns,
                                 .at_ns = f.at_ns,
                                 .value = f.value,
                                 .verdict = &f.verdict,
                                 .forgotten_s = one->idle_s,
                             });
}

void dt_forget_close(struct dt_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->retired.count; i++) {
        forget_close_one(d, bus, &bus->retired.at[i]);
        for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
            forget_close_group(d, bus, (enum ql_dt_group_kind)k, &bus->retired.at[i]);
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
