/* offline_diagnose.h - ranks the causes of a past incident from a folder of files.
 *
 * The folder holds any of metrics.csv, edges.csv, logs.csv, spans.csv, changes.csv and
 * symptom.csv; the ranking is the service's own (diagnose/rank.h) with its defaults.
 *
 * Ownership     everything is the caller's.
 * Errors        QL_E_MALFORMED with "FILE:LINE:COLUMN: what was found, what is allowed" in
 *               `why`; QL_E_NOT_FOUND (no such folder, or none of the files is in it) and
 *               QL_E_IO with the path in `why`; QL_E_MEMORY, QL_E_TOO_LARGE.
 * Bounds        files up to 4 GiB; memory about twice the files.
 * Determinism   the same folder gives the same bytes.
 */
#ifndef QL_ENGINE_OFFLINE_DIAGNOSE_H
#define QL_ENGINE_OFFLINE_DIAGNOSE_H

#include "base/buf.h"

struct ql_offline_diagnose {
    const char *folder;
    ql_time at;               /* when the incident was first noticed */
    bool json;
    /* While a file is read (in bytes), and before the ranking (all is 0); may be NULL. */
    void (*progress)(const char *what, uint64_t done, uint64_t all);
};
/* Appends the answer: rank,entity,metric,score,onset,evidence as CSV, or an array of
 * objects with confidence and role besides. */
QL_MUST_USE ql_err ql_offline_diagnose(const struct ql_offline_diagnose *in, struct ql_buf *out,
                                       struct ql_buf *why);

#endif
