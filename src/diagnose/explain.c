/* explain.c - explain-away over the call graph: what of each entity's evidence counts as its own.
 *
 * Method       gaps, and what clients measure of their calls, are joined to who is called; an
 *              entity without data of its own speaks through its callers; then callees explain
 *              what their callers feel (rank.c says how far).
 * Cost         edges x kinds, entities x kinds.
 */
#include "diagnose/rank_int.h"

#include <math.h>

#define EXPLAINED_WEIGHT 0.3
#define OUTBOUND_WEIGHT 0.3
#define OUTBOUND_RATIO 0.5      /* ... and a client's view of its calls from this share */
#define STARVED_RATIO 0.5
#define HIDDEN_CALLERS_MIN 2.0
#define HIDDEN_SHARE_MIN 0.8
#define HIDDEN_FELT_MIN 0.5
#define GAP_BEST_SHARE 0.5      /* the worst caller against the mean of all callers */

static void rows_fill(struct ranking *r)
{
    for (uint32_t i = 0; i < r->list.count; i++) {
        struct ql_evidence *item = &r->list.items[i];
        struct entity_row *row = &r->rows[item->entity];
        if (row->best[item->kind] == NULL || item->strength > row->strength[item->kind]) {
            row->best[item->kind] = item;
            row->strength[item->kind] = item->strength;
        }
        row->has_gap = row->has_gap || item->kind == QL_EVIDENCE_GAP;
    }
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        r->rows[r->list.edges[i].caller].has_callees = true;
    }
    for (uint32_t i = 0; i < r->c->series_count; i++) {
        r->rows[r->c->series[i].entity].has_data = true;
    }
}

static double starving(const struct entity_row *row)
{
    return larger(row->strength[QL_METRIC_KIND_CPU], row->strength[QL_EVIDENCE_SELF]);
}

/* A gap on one edge may be the caller's fault; on all edges into an entity it is its own. */
static void gaps_join(struct ranking *r)
{
    double *best = r->list.scratch, *sum = best + r->c->entity_count;
    double *weight = sum + r->c->entity_count;
    memset(best, 0, 3 * r->c->entity_count * sizeof *best);
    for (uint32_t i = 0; i < r->list.count; i++) {
        struct ql_evidence *item = &r->list.items[i];
        if (item->kind != QL_EVIDENCE_GAP) {
            continue;
        }
        const double own = starving(&r->rows[item->entity]);
        const double caller = starving(&r->rows[item->other]);
        if (caller > STARVED_RATIO * item->strength && own < caller) {
            item->strength *= EXPLAINED_WEIGHT;
        }
        if (item->strength >= best[item->entity]) {
            best[item->entity] = item->strength;
            r->rows[item->entity].best[QL_EVIDENCE_GAP] = item;
        }
        sum[item->entity] += item->strength * item->measure.usual;
        weight[item->entity] += item->measure.usual;
    }
    for (uint32_t e = 0; e < r->c->entity_count; e++) {
        if (weight[e] > 0.0) {
            r->rows[e].strength[QL_EVIDENCE_GAP] =
                GAP_BEST_SHARE * best[e] + (1.0 - GAP_BEST_SHARE) * sum[e] / weight[e];
        }
    }
}

/* What callers measure of their calls, as evidence for the callee. */
static void inbound_join(struct ranking *r)
{
    double *sum = r->list.scratch, *worst = sum + r->c->entity_count;
    double *callers = worst + r->c->entity_count;
    memset(sum, 0, 3 * r->c->entity_count * sizeof *sum);
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        const struct ql_case_edge e = r->list.edges[i];
        const double outbound = r->rows[e.caller].strength[QL_EVIDENCE_OUTBOUND];
        sum[e.callee] += outbound;
        callers[e.callee] += 1.0;
        if (outbound > worst[e.callee]) {
            worst[e.callee] = outbound;
            r->rows[e.callee].best[QL_EVIDENCE_INBOUND] =
                r->rows[e.caller].best[QL_EVIDENCE_OUTBOUND];
        }
    }
    for (uint32_t e = 0; e < r->c->entity_count; e++) {
        if (sum[e] > 0.0 && !r->rows[e].has_gap) { /* spans know better who waited for whom */
            r->rows[e].strength[QL_EVIDENCE_INBOUND] = sum[e] / sqrt(callers[e]);
        }
    }
}

static double felt_most(const struct entity_row *row)
{
    double most = 0.0;
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        const bool weak = k == QL_METRIC_KIND_TRAFFIC || k == QL_METRIC_KIND_NETWORK;
        most = ql_evidence_is_felt(k) && !weak ? larger(most, row->strength[k]) : most;
    }
    return most;
}

/* Something that sends no data and speaks through nobody but its callers: when nearly all
 * of several callers suffer, they have it in common. */
static void hidden_join(struct ranking *r)
{
    double *sum = r->list.scratch, *suffering = sum + r->c->entity_count;
    double *callers = suffering + r->c->entity_count;
    memset(sum, 0, 3 * r->c->entity_count * sizeof *sum);
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        const struct ql_case_edge e = r->list.edges[i];
        const double felt = felt_most(&r->rows[e.caller]);
        callers[e.callee] += 1.0;
        suffering[e.callee] += felt > HIDDEN_FELT_MIN ? 1.0 : 0.0;
        sum[e.callee] += felt;
    }
    for (uint32_t e = 0; e < r->c->entity_count; e++) {
        struct entity_row *row = &r->rows[e];
        if (row->has_data || row->has_gap || row->has_callees || callers[e] < HIDDEN_CALLERS_MIN ||
            suffering[e] < HIDDEN_SHARE_MIN * callers[e]) {
            continue;
        }
        row->is_hidden = true;
        row->strength[QL_EVIDENCE_INBOUND] =
            larger(row->strength[QL_EVIDENCE_INBOUND], sum[e] / callers[e]);
    }
}

/* What stands for a hidden entity in words: the worst of its callers' items. */
static void hidden_words(struct ranking *r)
{
    double *worst = r->list.scratch;
    memset(worst, 0, r->c->entity_count * sizeof *worst);
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        const struct ql_case_edge e = r->list.edges[i];
        const struct entity_row *caller = &r->rows[e.caller];
        for (uint32_t k = 0; r->rows[e.callee].is_hidden && k < QL_EVIDENCE_COUNT; k++) {
            if (ql_evidence_is_felt(k) && caller->best[k] != NULL &&
                caller->strength[k] > worst[e.callee]) {
                worst[e.callee] = caller->strength[k];
                r->rows[e.callee].best[QL_EVIDENCE_INBOUND] = caller->best[k];
            }
        }
    }
}

double ql_rank_explaining(const struct entity_row *row)
{
    double best = row->is_hidden ? row->strength[QL_EVIDENCE_INBOUND] : 0.0;
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        if (k != QL_METRIC_KIND_TRAFFIC && k != QL_METRIC_KIND_NETWORK &&
            k != QL_EVIDENCE_OUTBOUND && k != QL_EVIDENCE_INBOUND) {
            best = larger(best, row->strength[k]);
        }
    }
    return best;
}

static void callees_explain(struct ranking *r)
{
    double *callee = r->list.scratch; /* by caller: its strongest callee */
    memset(callee, 0, r->c->entity_count * sizeof *callee);
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        const struct ql_case_edge e = r->list.edges[i];
        callee[e.caller] = larger(callee[e.caller], ql_rank_explaining(&r->rows[e.callee]));
    }
    for (uint32_t e = 0; e < r->c->entity_count; e++) {
        struct entity_row *row = &r->rows[e];
        for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
            const double s = row->strength[k];
            row->counted[k] = s;
            if (s <= 0.0) {
                continue;
            }
            if (k == QL_EVIDENCE_OUTBOUND) {
                row->counted[k] *= row->has_callees ? OUTBOUND_WEIGHT : 1.0;
            } else if (ql_evidence_is_felt(k) && callee[e] > RANK_EXPLAINED_RATIO * s) {
                row->counted[k] *= EXPLAINED_WEIGHT;
                row->explained = true;
            } else if (k == QL_METRIC_KIND_LATENCY && row->has_callees &&
                       row->strength[QL_EVIDENCE_OUTBOUND] > OUTBOUND_RATIO * s) {
                row->counted[k] *= OUTBOUND_WEIGHT;
                row->explained = true;
            }
        }
    }
}

void ql_rank_explain(struct ranking *r)
{
    rows_fill(r);
    gaps_join(r);
    inbound_join(r);
    hidden_join(r);
    hidden_words(r);
    callees_explain(r);
}
