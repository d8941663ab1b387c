#include "diagnose/evidence.h"

struct kind_row { double weight; bool is_felt; };

/* What carries less: traffic and network move with every fault anywhere; a disk is read and
 * written for many reasons; a metric whose name says nothing may be anything. */
static const struct kind_row kind_rows[QL_EVIDENCE_COUNT] = {
    [QL_METRIC_KIND_RESTART] = { 1.0, false },
    [QL_METRIC_KIND_ERROR] = { 1.0, true },
    [QL_METRIC_KIND_AVAILABILITY] = { 1.0, true },
    [QL_METRIC_KIND_LATENCY] = { 1.0, true },
    [QL_METRIC_KIND_CPU] = { 1.0, false },
    [QL_METRIC_KIND_MEMORY] = { 1.0, false },
    [QL_METRIC_KIND_DISK] = { 0.5, false },
    [QL_METRIC_KIND_NETWORK] = { 0.3, true },
    [QL_METRIC_KIND_POOL] = { 1.0, false },
    [QL_METRIC_KIND_TRAFFIC] = { 0.3, true },
    [QL_METRIC_KIND_OTHER] = { 0.5, false },
#define X(name, weight, explained) [QL_EVIDENCE_##name] = { (weight), (explained) },
    QL_EVIDENCE_MAP(X)
#undef X
};

double ql_evidence_weight(uint32_t kind)
{
    QL_ASSERT(kind < QL_EVIDENCE_COUNT);
    return kind_rows[kind].weight;
}

bool ql_evidence_is_felt(uint32_t kind)
{
    QL_ASSERT(kind < QL_EVIDENCE_COUNT);
    return kind_rows[kind].is_felt;
}

bool ql_evidence_is_state(uint32_t kind)
{
    QL_ASSERT(kind < QL_EVIDENCE_COUNT);
    return kind < QL_METRIC_KIND_COUNT ? ql_metric_is_internal((enum ql_metric_kind)kind)
                                       : kind == QL_EVIDENCE_SELF || kind == QL_EVIDENCE_GAP ||
                                             kind == QL_EVIDENCE_CHANGE;
}

struct ql_evidence *ql_evidence_add(struct ql_evidence_list *list, uint32_t entity, uint32_t kind,
                                    double strength)
{
    if (list->count == list->count_max) {
        return NULL;
    }
    struct ql_evidence *item = &list->items[list->count++];
    *item = (struct ql_evidence){ .entity = entity, .kind = kind, .strength = strength,
                                  .series = QL_CASE_NONE, .other = QL_CASE_NONE };
    return item;
}

void ql_evidence_edge(struct ql_evidence_list *list, uint32_t caller, uint32_t callee)
{
    if (caller == callee) {
        return;
    }
    for (uint32_t i = 0; i < list->edge_count; i++) {
        if (list->edges[i].caller == caller && list->edges[i].callee == callee) {
            return;
        }
    }
    if (list->edge_count < list->edge_count_max) {
        list->edges[list->edge_count++] = (struct ql_case_edge){ caller, callee };
    }
}
