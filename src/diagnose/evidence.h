/* evidence.h - everything that speaks for an entity being the cause, one item each.
 *
 * Collectors turn the parts of a case into items of one common strength; rank.c then
 * explains away and adds up. Kinds in order: the metric kinds of model/metric_kind.h,
 * then those below.
 *
 * Ownership     items and texts live in the arena of the list.
 * Bounds        item_count_max fixed when the list is made; what does not fit is left out.
 */
#ifndef QL_DIAGNOSE_EVIDENCE_H
#define QL_DIAGNOSE_EVIDENCE_H

#include "base/arena.h"
#include "diagnose/case.h"
#include "diagnose/measure.h"

/* X(name, weight, explained by the entity's callees) after the metric kinds */
#define QL_EVIDENCE_MAP(X)                                                             \
    X(OUTBOUND, 1.0, true)  /* the entity's own calls to others became worse */          \
    X(INBOUND, 1.0, false)  /* calls to it became worse for its callers */               \
    X(GAP, 1.0, false)      /* time between a caller's span and its own: network, queue */ \
    X(SELF, 1.0, true)      /* time spent in it and in nothing it calls */               \
    X(LOG, 1.0, true)       /* messages that were not, or hardly ever, written before */ \
    X(ALERT, 1.0, true)     /* an alert of the incident stands at it */                  \
    X(CHANGE, 1.0, false)   /* somebody changed it shortly before */
enum ql_evidence_kind {
    QL_EVIDENCE_METRIC_LAST = QL_METRIC_KIND_COUNT - 1,
#define X(name, weight, explained) QL_EVIDENCE_##name,
    QL_EVIDENCE_MAP(X)
#undef X
    QL_EVIDENCE_COUNT
};
double ql_evidence_weight(uint32_t kind);
/* May the trouble of a callee be the whole reason for this? */
bool ql_evidence_is_felt(uint32_t kind);
/* Does it tell of a state of the entity itself? */
bool ql_evidence_is_state(uint32_t kind);

struct ql_evidence {
    uint32_t entity;
    uint32_t kind;               /* enum ql_metric_kind or enum ql_evidence_kind */
    uint32_t series;             /* of the case; QL_CASE_NONE for other kinds */
    uint32_t other;              /* GAP: the caller; INBOUND: the worst caller */
    double strength;             /* weighted; what the ranking adds up */
    struct ql_measure measure;   /* z, before, after, onset; other kinds fill what they know */
    uint32_t past_count, fault_count; /* spans, log lines */
    ql_str name;                 /* metric, operation, template, change */
};

struct ql_evidence_list {
    struct ql_evidence *items;
    uint32_t count, count_max;
    struct ql_case_edge *edges;  /* of the case and those that spans show; no repeats */
    uint32_t edge_count, edge_count_max;
    struct ql_arena *arena;
    double *scratch;             /* 3 x the longest series, 3 x all spans */
};

/* NULL when the list is full. */
struct ql_evidence *ql_evidence_add(struct ql_evidence_list *list, uint32_t entity, uint32_t kind,
                                    double strength);
void ql_evidence_edge(struct ql_evidence_list *list, uint32_t caller, uint32_t callee);

/* Collectors. Spans come before anything that needs edges. */
QL_MUST_USE ql_err ql_evidence_from_spans(const struct ql_case *c, struct ql_evidence_list *list);
QL_MUST_USE ql_err ql_evidence_from_metrics(const struct ql_case *c,
                                            struct ql_evidence_list *list);
QL_MUST_USE ql_err ql_evidence_from_logs(const struct ql_case *c, struct ql_evidence_list *list);
void ql_evidence_from_events(const struct ql_case *c, struct ql_evidence_list *list);

#endif
