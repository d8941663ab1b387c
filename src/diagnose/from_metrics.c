/* Evidence from series.
 *
 * Where the trouble was seen on a known metric, what users feel is weighed by impact: extra
 * latency or lost requests times traffic, thin traffic shrunk, as a share of the largest
 * among the entities that the symptom's entity reaches by calls. Else a node that nobody
 * calls would win with ten times its usual latency. */
#include "diagnose/evidence.h"

#define THIN_RATIO 0.03       /* of the busiest entity's traffic: below it impact is shrunk */
#define UNKNOWN_RATIO 0.05    /* traffic of an entity that does not tell, of the symptom's */
#define UNREACHED_WEIGHT 0.3  /* no call leads there from where the trouble was seen */

struct series_view { struct ql_measure measure; enum ql_metric_kind kind; bool ok; };

struct impact {
    double *traffic;          /* by entity; < 0: not known */
    bool *reached;            /* by entity */
    double busiest, largest;
};

static bool has_symptom(const struct ql_case *c)
{
    return c->symptom_entity != QL_CASE_NONE && c->symptom_metric.bytes > 0;
}

static void impact_traffic(const struct ql_case *c, const struct series_view *views,
                           struct impact *impact)
{
    for (uint32_t i = 0; i < c->entity_count; i++) {
        impact->traffic[i] = -1.0;
        impact->reached[i] = !has_symptom(c);
    }
    for (uint32_t i = 0; i < c->series_count; i++) {
        double *traffic = &impact->traffic[c->series[i].entity];
        if (views[i].ok && views[i].kind == QL_METRIC_KIND_TRAFFIC &&
            views[i].measure.after > *traffic) {
            *traffic = views[i].measure.after;
            impact->busiest = *traffic > impact->busiest ? *traffic : impact->busiest;
        }
    }
}

/* Everything that the symptom's entity reaches over calls, by repeated passes: edges are few. */
static void impact_reach(const struct ql_case *c, const struct ql_evidence_list *list,
                         struct impact *impact)
{
    bool grew = has_symptom(c);
    if (grew) {
        impact->reached[c->symptom_entity] = true;
    }
    while (grew) {
        grew = false;
        for (uint32_t i = 0; i < list->edge_count; i++) {
            const struct ql_case_edge e = list->edges[i];
            if (impact->reached[e.caller] && !impact->reached[e.callee]) {
                impact->reached[e.callee] = grew = true;
            }
        }
    }
}

static double impact_of(const struct ql_case *c, const struct impact *impact, uint32_t entity,
                        const struct ql_measure *m)
{
    double traffic = impact->traffic[entity];
    if (traffic < 0.0) {
        const double seen = impact->traffic[c->symptom_entity];
        traffic = seen < 0.0 ? 1.0 : UNKNOWN_RATIO * seen;
    }
    const double thin = THIN_RATIO * impact->busiest;
    return traffic > 0.0 ? m->worse * traffic * traffic / (traffic + thin) : 0.0;
}

static bool name_has_client(ql_str name)
{
    static const char *const words[] = { "client", "Client", "outbound", "upstream" };
    for (size_t i = 0; i < QL_COUNT_OF(words); i++) {
        if (memmem(name.at, name.bytes, words[i], strlen(words[i])) != NULL) {
            return true;
        }
    }
    return false;
}

/* What a client measures of its calls tells about those it calls. */
static uint32_t evidence_kind(const struct ql_case_series *series, enum ql_metric_kind kind)
{
    const bool of_calls = kind == QL_METRIC_KIND_LATENCY || kind == QL_METRIC_KIND_ERROR;
    return of_calls && name_has_client(series->metric) ? (uint32_t)QL_EVIDENCE_OUTBOUND
                                                       : (uint32_t)kind;
}

static void series_add(const struct ql_case *c, struct ql_evidence_list *list, uint32_t number,
                       const struct series_view *view, const struct impact *impact)
{
    const struct ql_case_series *series = &c->series[number];
    double strength = view->measure.strength * ql_evidence_weight((uint32_t)view->kind);
    if (has_symptom(c) && ql_metric_is_symptom(view->kind)) {
        if (!ql_str_eq(series->metric, c->symptom_metric)) {
            return; /* other statistics of the same thing: one vote is enough */
        }
        const double own = impact_of(c, impact, series->entity, &view->measure);
        strength *= impact->largest > 0.0 && own < impact->largest ? own / impact->largest : 1.0;
    }
    strength *= impact->reached[series->entity] ? 1.0 : UNREACHED_WEIGHT;
    if (strength <= 0.0) {
        return;
    }
    struct ql_evidence *item =
        ql_evidence_add(list, series->entity, evidence_kind(series, view->kind), strength);
    if (item != NULL) {
        item->series = number;
        item->measure = view->measure;
        item->name = series->metric;
    }
}

static void impact_largest(const struct ql_case *c, const struct series_view *views,
                           struct impact *impact)
{
    for (uint32_t i = 0; has_symptom(c) && i < c->series_count; i++) {
        if (views[i].ok && impact->reached[c->series[i].entity] &&
            ql_str_eq(c->series[i].metric, c->symptom_metric)) {
            const double own = impact_of(c, impact, c->series[i].entity, &views[i].measure);
            impact->largest = own > impact->largest ? own : impact->largest;
        }
    }
}

ql_err ql_evidence_from_metrics(const struct ql_case *c, struct ql_evidence_list *list)
{
    struct impact impact = { 0 };
    struct series_view *views = ql_arena_take(list->arena, (c->series_count + 1) * sizeof *views);
    impact.traffic = ql_arena_take(list->arena, (c->entity_count + 1) * sizeof(double));
    impact.reached = ql_arena_take(list->arena, (c->entity_count + 1) * sizeof(bool));
    if (views == NULL || impact.traffic == NULL || impact.reached == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < c->series_count; i++) {
        const struct ql_case_series *s = &c->series[i];
        views[i].kind = ql_metric_kind_of(s->metric);
        views[i].ok = ql_measure_series(s->samples, s->count, c->at, s->metric, list->scratch,
                                        &views[i].measure);
    }
    impact_traffic(c, views, &impact);
    impact_reach(c, list, &impact);
    impact_largest(c, views, &impact);
    for (uint32_t i = 0; i < c->series_count; i++) {
        if (views[i].ok) {
            series_add(c, list, i, &views[i], &impact);
        }
    }
    return QL_OK;
}
