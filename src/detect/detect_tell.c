/* detect_tell - what is found becomes signals with a reason, and bands. */
#include "detect/detect_int.h"

#include "detect/dt_why.h"

/* The same for every phase of a signal; signals of different sorts and one onset differ. */
static ql_id finding_id(ql_series_id series, const struct dt_finding *f)
{
    const uint64_t sort = f->kind == QL_SIGNAL_ABSENCE ? 1
                          : f->kind == QL_SIGNAL_BOUND ? 2
                          : f->kind == QL_SIGNAL_FUSED ? 3
                          : f->kind == QL_SIGNAL_PEER  ? 4
                          : f->kind == QL_SIGNAL_RESET ? 5
                                                       : 0;
    const uint64_t words[4] = { series.h.high, series.h.low, (uint64_t)f->onset_ns, sort };
    return (ql_id){ ql_hash64(words, sizeof(words)) };
}

/* Why it ends, where that is not for its values. */
static void finding_end(struct dt_stage *d, ql_str metric, const struct dt_end *end)
{
    ql_buf_reset(&d->scratch);
    (void)ql_buf_printf(&d->scratch, "%.*s is ", QL_STR_ARG(metric));
    switch (end->why) {
    case DT_END_NONE: QL_ASSERT(false); break;
    case DT_END_FORGOTTEN:
        (void)ql_buf_printf(&d->scratch, "forgotten: no sample for %.3g h", end->hours);
        break;
    case DT_END_SILENT:
        (void)ql_buf_printf(&d->scratch, "given up: no value for %.3g h", end->hours);
        break;
    case DT_END_OFF:
        (void)ql_buf_text(&d->scratch, "not judged any more: switched off by the settings");
        break;
    case DT_END_FEW:
        (void)ql_buf_printf(&d->scratch,
                            "not compared any more: %u of its group of %u have values",
                            end->present, end->count);
        break;
    case DT_END_AWAY:
        (void)ql_buf_text(&d->scratch, "not compared any more: it has no value");
        break;
    }
}

static ql_str finding_text(struct dt_stage *d, struct ql_batch *bus)
{
    const ql_str text = ql_batch_text(bus, ql_buf_view(&d->scratch));
    ql_buf_reset(&d->scratch);
    return text;
}

/* Says in the sentence who made a signal more or less important, or set the bound. */
static void finding_policy(struct dt_stage *d, const struct dt_finding *f,
                           struct ql_signal *signal)
{
    if (!d->policy.active) {
        return;
    }
    const struct ql_policy_effect *e = ql_dt_policy_of(&d->policy, f->series);
    signal->importance = (enum ql_importance)e->importance;
    if (f->kind == QL_SIGNAL_BOUND && e->by[QL_POLICY_VALID_RANGE] != 0) {
        (void)ql_buf_printf(&d->scratch, " (policy %s)",
                            ql_policy_name(d->policy.set, e->by[QL_POLICY_VALID_RANGE]));
    }
    if (signal->importance != QL_IMPORTANCE_NORMAL) {
        (void)ql_buf_printf(&d->scratch, " (importance %s, policy %s)",
                            ql_importance_text(signal->importance),
                            ql_policy_name(d->policy.set, e->by[QL_POLICY_IMPORTANCE]));
    }
}

/* What was changed just before it began. */
static void finding_change(struct dt_stage *d, const struct dt_finding *f)
{
    const struct ql_series *row = ql_series_at(d->series, f->series);
    const struct ql_dt_change_row *change =
        ql_dt_changes_find(&d->changes, row->entity, f->onset_ns, row->step_ms);
    if (change != NULL) {
        const double after_s = (double)(f->onset_ns - change->at_ns) / 1e9;
        (void)ql_buf_printf(&d->scratch, "; %.0f s after %s", after_s > 0.0 ? after_s : 0.0,
                            change->text);
    }
}

/* Whom a group's signal was found among. */
static void finding_group(struct dt_stage *d, const struct dt_finding *f)
{
    const struct ql_dt_group_finding *g = f->group;
    if (g == NULL || f->phase == QL_PHASE_CLOSE) {
        return;
    }
    if (f->kind == QL_SIGNAL_PEER) {
        (void)ql_buf_printf(&d->scratch, ", among %u", g->peers);
        return;
    }
    (void)ql_buf_printf(&d->scratch, ", %.0f %% of what is odd", (double)g->share * 100.0);
    for (uint32_t i = 0; i < QL_COUNT_OF(g->with) && g->with_share[i] >= 0.05f; i++) {
        const ql_str name = ql_series_name(d->series, g->with[i]);
        (void)ql_buf_printf(&d->scratch, "; %.*s %.0f %%", QL_STR_ARG(name),
                            (double)g->with_share[i] * 100.0);
    }
}

void dt_finding_write(struct dt_stage *d, struct ql_batch *bus,
                          const struct dt_finding *f)
{
    const struct ql_series *row = ql_series_at(d->series, f->series);
    struct ql_signal *signal = ql_batch_add_signal(bus);
    if (signal == NULL) {
        ql_stat_add(d->signals_dropped, 1);
        return;
    }
    const struct ql_dt_reason reason = {
        .metric = ql_series_name(d->series, f->series),
        .type = (enum ql_metric_type)row->type,
        .kind = f->kind,
        .value = f->value,
        .expected = f->verdict->expected,
        .lower = f->verdict->lower,
        .upper = f->verdict->upper,
        .surprise = f->surprise,
        .silence = { (d->now_ns > f->at_ns ? d->now_ns : f->at_ns) - f->onset_ns },
        .who = f->who,
        .seen_at = f->seen_at,
        .within = { f->last_ns - f->onset_ns },
        .over = f->phase == QL_PHASE_CLOSE,
    };
    *signal = (struct ql_signal){
        .id = finding_id(row->id, f),
        .series = row->id,
        .entity = row->entity,
        .kind = f->kind,
        .phase = f->phase,
        .lapsed = f->end.why != DT_END_NONE,
        .onset = { f->onset_ns },
        .at = { f->at_ns },
        .value = f->value,
        .expected = reason.expected,
        .lower = reason.lower,
        .upper = reason.upper,
        .surprise = f->surprise,
    };
    signal->metric = ql_batch_text(bus, reason.metric);
    ql_buf_reset(&d->scratch);
    (void)ql_series_labels(d->series, f->series, &d->scratch);
    signal->labels = finding_text(d, bus);
    ql_dt_why(&reason, &d->scratch);
    if (f->end.why != DT_END_NONE) {
        finding_end(d, reason.metric, &f->end);
    }
    finding_group(d, f);
    finding_change(d, f);
    finding_policy(d, f, signal);
    signal->why = finding_text(d, bus);
    ql_stat_add(f->phase == QL_PHASE_OPEN ? d->opened : d->closed, f->phase != QL_PHASE_UPDATE);
}

static float narrow(double x)
{
    const double most = 3e38;
    return (float)(x > most ? most : (x < -most ? -most : x));
}

void dt_band_write(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point,
                       const struct ql_dt_verdict *v)
{
    struct ql_band *band = ql_batch_add_band(bus);
    if (band == NULL) {
        ql_stat_add(d->bands_dropped, 1);
        return;
    }
    *band = (struct ql_band){
        .at = point->at,
        .series = point->series,
        .expected = narrow(v->expected),
        .lower = narrow(v->lower),
        .upper = narrow(v->upper),
        .surprise = v->evidence_surprise,
    };
}
