/* offline_case.h - a case folder read into the form that the ranking takes.
 *
 * Ownership     init/fini; the case borrows from the reader until fini.
 * Errors        as offline_diagnose.h.
 */
#ifndef QL_ENGINE_OFFLINE_CASE_H
#define QL_ENGINE_OFFLINE_CASE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "diagnose/case.h"

#define QL_OFFLINE_FILES 6u

/* As in offline_diagnose.h; may be NULL. */
typedef void ql_offline_progress(const char *what, uint64_t done, uint64_t all);

struct ql_offline_series { uint32_t entity, count, first; ql_str metric; };
struct ql_offline_value { uint32_t series; struct ql_sample sample; };

struct ql_offline_case {
    struct ql_case c;
    const char *folder;
    struct ql_buf *why;
    ql_offline_progress *progress;
    struct ql_arena arena;               /* unquoted fields */
    struct ql_buf files[QL_OFFLINE_FILES];
    struct ql_map64 entity_of, series_of, operation_of; /* by hash of the text */
    ql_str *entities, *operations;
    struct ql_offline_series *series;
    struct ql_offline_value *values;
    struct ql_sample *samples;           /* values by series */
    struct ql_case_series *case_series;
    struct ql_case_edge *edges;
    struct ql_case_log *logs;
    struct ql_case_span *spans;
    struct ql_case_change *changes;
    uint32_t entity_count, operation_count, series_count, value_count, edge_count, log_count,
        span_count, change_count, file_count;
};

QL_MUST_USE ql_err ql_offline_case_read(const char *folder, ql_time at, ql_offline_progress *progress,
                                        struct ql_buf *why, struct ql_offline_case *ret_case);
void ql_offline_case_fini(struct ql_offline_case *o); /* also after a failed read */

#endif
