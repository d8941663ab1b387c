/* Evidence from what people and rules said: changes shortly before, alerts of the incident.
 * Weak on purpose: they break ties, and speak alone only where no telemetry does. */
#include "diagnose/evidence.h"

#define CHANGE_STRENGTH 0.5
#define ALERT_STRENGTH 1.0
#define CHANGE_BEFORE QL_MIN(30)

static void change_add(const struct ql_case *c, struct ql_evidence_list *list,
                       const struct ql_case_change *change)
{
    const int64_t before = c->at.ns - change->at.ns;
    if (before < -QL_MEASURE_GUARD.ns || before > CHANGE_BEFORE.ns) {
        return;
    }
    struct ql_evidence *item =
        ql_evidence_add(list, change->entity, QL_EVIDENCE_CHANGE, CHANGE_STRENGTH);
    if (item != NULL) {
        item->measure.onset = change->at;
        item->name = change->text;
    }
}

void ql_evidence_from_events(const struct ql_case *c, struct ql_evidence_list *list)
{
    for (uint32_t i = 0; i < c->change_count; i++) {
        change_add(c, list, &c->changes[i]);
    }
    for (uint32_t i = 0; i < c->alert_count; i++) {
        struct ql_evidence *item =
            ql_evidence_add(list, c->alerts[i].entity, QL_EVIDENCE_ALERT, ALERT_STRENGTH);
        if (item != NULL) {
            item->measure.onset = c->alerts[i].at;
            item->name = c->alerts[i].name;
        }
    }
}
