/* case.h - all that is known when the cause of one incident is asked for.
 *
 * The same struct is filled from windows of a running engine and from the files of a case
 * folder, so one ranking serves both. Entities are numbered; names are only for words.
 *
 * Units         values in the series' own unit (counters as rates), span durations in ms.
 * Ownership     everything is borrowed for the call.
 */
#ifndef QL_DIAGNOSE_CASE_H
#define QL_DIAGNOSE_CASE_H

#include "base/base.h"
#include "model/record.h"

#define QL_CASE_NONE UINT32_MAX

struct ql_case_series {
    uint32_t entity, count;
    ql_str metric;
    const struct ql_sample *samples; /* in order of arrival; times may repeat */
};
struct ql_case_edge { uint32_t caller, callee; };
struct ql_case_span {
    ql_time start;
    uint64_t id, parent;             /* hashes of trace and span id; parent 0: a root */
    double duration_ms;
    uint32_t entity, operation;      /* operation: number of a text in `operations` */
    bool error;
};
struct ql_case_log { ql_time at; uint32_t entity; ql_str message; };
struct ql_case_change { ql_time at; uint32_t entity; ql_str text; };
struct ql_case_alert { ql_time at; uint32_t entity; ql_str name; };

struct ql_model_set;

struct ql_case {
    ql_time at;                      /* when the incident was first noticed */
    const ql_str *entities;          /* "checkout" or "service/checkout" */
    uint32_t entity_count;
    const struct ql_case_series *series;
    uint32_t series_count;
    const struct ql_case_edge *edges;
    uint32_t edge_count;
    const struct ql_case_span *spans;
    uint32_t span_count;
    const ql_str *operations;
    const struct ql_case_log *logs;
    uint32_t log_count;
    const struct ql_case_change *changes;
    uint32_t change_count;
    const struct ql_case_alert *alerts; /* of this incident */
    uint32_t alert_count;
    uint32_t symptom_entity;         /* where the trouble was seen, or QL_CASE_NONE */
    ql_str symptom_metric;
    const struct ql_model_set *model; /* learnt priors; may be NULL */
};

#endif
