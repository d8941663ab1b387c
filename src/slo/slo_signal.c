/* slo_signal - a burn opens, grows and closes under one id, and says whom it is about.
 *
 * Good for     two signals an SLO, that correlate like any other.
 * Method       the id is a hash of the signal's own series and its onset.
 */
#include "slo/slo_int.h"

#include "model/entity.h"
#include "model/labels.h"

#include <math.h>

#define GREW 2.0 /* told again when it burns this many times faster */

/* ---- whom it is about ------------------------------------------------------------ */

static uint64_t entity_worst(const struct slo_row *row)
{
    const struct slo_entity *worst = &row->entities[0];
    for (uint32_t i = 1; i < SLO_ENTITIES; i++) {
        const struct slo_entity *e = &row->entities[i];
        const bool worse = e->bad != worst->bad       ? e->bad > worst->bad
                           : e->total != worst->total ? e->total > worst->total
                                                      : e->id < worst->id;
        if (e->id != 0 && (worst->id == 0 || worse)) {
            worst = e;
        }
    }
    return worst->id;
}

/* "kind/name" of the entity that the configuration names, into s->scratch. */
ql_str slo_entity_named(struct slo_stage *s, const struct ql_slo *slo)
{
    ql_buf_reset(&s->scratch);
    ql_entity_of_name(ql_str_of(slo->entity), &s->scratch);
    return ql_buf_view(&s->scratch);
}

ql_entity_id slo_row_entity(struct slo_stage *s, const struct slo_row *row)
{
    if (row->slo != NULL && row->slo->entity != NULL) {
        return ql_entity_id_of(slo_entity_named(s, row->slo));
    }
    return (ql_entity_id){ entity_worst(row) };
}

/* An entity that only the configuration names is told to the stages behind. */
static void entity_tell(struct slo_stage *s, const struct slo_row *row, struct ql_batch *bus)
{
    if (row->slo == NULL || row->slo->entity == NULL) {
        return;
    }
    const ql_str name = slo_entity_named(s, row->slo);
    struct ql_entity_seen *seen = ql_batch_add_entity(bus);
    if (seen == NULL) {
        ql_stat_add(s->unwritten, 1);
        return;
    }
    *seen = (struct ql_entity_seen){ .id = ql_entity_id_of(name),
                                     .name = ql_batch_text(bus, name) };
}

/* The signal's own series: the same for every burn of that SLO and severity; in s->scratch. */
static ql_str row_labels(struct slo_stage *s, const struct slo_row *row,
                         enum slo_severity severity)
{
    struct ql_label labels[] = {
        { QL_STR("__name__"), QL_STR("slo_burn_rate") },
        { QL_STR("severity"), ql_str_of(slo_rules[severity].name) },
        { QL_STR("slo"), ql_str_of(row->name) },
    };
    ql_buf_reset(&s->scratch);
    if (ql_labels_build(labels, QL_COUNT_OF(labels), &s->scratch) != QL_OK) {
        ql_stat_add(s->unwritten, 1); /* no memory: the signal is told without its labels */
    }
    return ql_buf_view(&s->scratch);
}

static struct ql_ruled row_ruled(const struct slo_row *row, enum slo_severity severity,
                                 ql_str labels)
{
    return (struct ql_ruled){ .labels = labels, .entity = { row->burns[severity].entity },
                              .kind = QL_SIGNAL_BURN_RATE,
                              .importance = slo_rules[severity].importance };
}

/* What policies say of it, and its sentence with that. */
static enum ql_importance signal_policy(struct slo_stage *s, const struct ql_ruled *ruled,
                                        ql_time at, ql_str why, struct ql_batch *bus,
                                        ql_str *ret_why)
{
    const struct ql_policy_word word = ql_ruling_of(&s->ruling, ruled, at);
    ql_buf_reset(&s->scratch);
    (void)ql_buf_str(&s->scratch, why);
    ql_ruling_say(ruled, &word, &s->scratch);
    *ret_why = ql_batch_text(bus, ql_buf_view(&s->scratch));
    return word.importance;
}

static void signal_write(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                         enum ql_phase phase, ql_time at, ql_str why, struct ql_batch *bus)
{
    const struct slo_rule *rule = &slo_rules[severity];
    struct slo_burn *burn = &row->burns[severity];
    struct ql_signal *signal = ql_batch_add_signal(bus);
    if (signal == NULL) {
        ql_stat_add(s->unwritten, 1);
        return;
    }
    const ql_str labels = ql_batch_text(bus, row_labels(s, row, severity));
    const ql_series_id series = { ql_hash128_of(labels.at, labels.bytes) };
    if (phase == QL_PHASE_OPEN) {
        const uint64_t words[] = { series.h.high, series.h.low, (uint64_t)burn->onset_ns };
        const uint64_t id = ql_hash64(words, sizeof(words));
        burn->id = id == 0 ? 1 : id; /* 0 is none */
        ql_stat_add(s->opened[severity], 1);
    }
    const struct ql_ruled ruled = row_ruled(row, severity, labels);
    const enum ql_importance importance = signal_policy(s, &ruled, at, why, bus, &why);
    const double value = row->slo != NULL ? row->view.burn[rule->long_window] : burn->told;
    *signal = (struct ql_signal){
        .id = { burn->id }, .series = series, .entity = { burn->entity },
        .metric = ql_labels_get(labels, QL_STR("__name__")), .labels = labels,
        .kind = QL_SIGNAL_BURN_RATE, .phase = phase, .importance = importance,
        .onset = { burn->onset_ns }, .at = at, .value = isnan(value) ? 0.0 : value,
        .expected = 1.0, .lower = 0.0, .upper = rule->factor, .surprise = rule->surprise,
        .why = why,
    };
}

static ql_str why_text(struct slo_stage *s, struct ql_batch *bus)
{
    return ql_batch_text(bus, ql_buf_view(&s->scratch));
}

static void burn_tell(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                      enum ql_phase phase, ql_time at, struct ql_batch *bus)
{
    ql_buf_reset(&s->scratch);
    slo_why_burn(row, &slo_rules[severity], at, &s->scratch);
    const ql_str why = why_text(s, bus);
    row->burns[severity].told = row->view.burn[slo_rules[severity].long_window];
    signal_write(s, row, severity, phase, at, why, bus);
}

/* What a policy holds keeps its onset, and is asked for again while it burns. */
static void burn_open(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                      int64_t end, ql_time at, struct ql_batch *bus)
{
    struct slo_burn *burn = &row->burns[severity];
    if (!burn->held) {
        burn->onset_ns =
            slo_onset(row->ring, row->slo, &slo_rules[severity], end) * SLO_MINUTE_NS;
    }
    burn->entity = slo_row_entity(s, row).v;
    const struct ql_ruled ruled = row_ruled(row, severity, row_labels(s, row, severity));
    if (!ql_ruling_holds(&s->ruling, &ruled, at, &burn->held)) {
        entity_tell(s, row, bus);
        burn_tell(s, row, severity, QL_PHASE_OPEN, at, bus);
    }
}

/* Calm again, or nothing is heard of it any more. */
static bool burn_over(const struct slo_row *row, const struct slo_rule *rule, int64_t end)
{
    return slo_is_calm(&row->view, rule) || end - row->covered > SLO_GIVE_UP;
}

void slo_burn_close(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                    enum slo_close because, ql_time at, struct ql_batch *bus)
{
    ql_buf_reset(&s->scratch);
    slo_why_close(row, &slo_rules[severity], because, &s->scratch);
    const ql_str why = why_text(s, bus);
    signal_write(s, row, severity, QL_PHASE_CLOSE, at, why, bus);
    row->burns[severity] = (struct slo_burn){ 0 };
}

void slo_burn_step(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                   int64_t end, ql_time at, struct ql_batch *bus)
{
    const struct slo_rule *rule = &slo_rules[severity];
    struct slo_burn *burn = &row->burns[severity];
    if (burn->id == 0) {
        if (slo_burns(&row->view, rule) && (!burn->held || slo_lasts(&row->view, rule))) {
            burn_open(s, row, severity, end, at, bus);
        } else if (burn->held && burn_over(row, rule, end)) {
            *burn = (struct slo_burn){ 0 }; /* never told */
        }
    } else if (slo_is_calm(&row->view, rule)) {
        slo_burn_close(s, row, severity, SLO_CALM, at, bus);
    } else if (end - row->covered > SLO_GIVE_UP) {
        slo_burn_close(s, row, severity, SLO_NO_DATA, at, bus);
    } else if (row->view.burn[rule->long_window] >= GREW * burn->told) {
        burn_tell(s, row, severity, QL_PHASE_UPDATE, at, bus);
    }
}
