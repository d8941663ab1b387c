/* rank.h - which entity is the cause, and how sure: one pure function over a case.
 *
 * Evidence of many kinds is brought to one strength (evidence.h), callees explain what
 * their callers feel, states inside an entity are never explained away, and the rest is
 * the strongest item plus a share of all. Every entity with any evidence is listed.
 *
 * "Do not know" is an answer: confidence joins how strong the best is with how far it
 * stands before the next; below QL_RANK_CONFIDENCE_MIN nobody should be blamed.
 *
 * Ownership     results and their texts live in the arena.
 * Errors        QL_E_MEMORY (arena too small for the case).
 * Bounds        O(samples + spans log spans + log lines + entities x edges); the arena needs
 *               about 200 B an evidence item and the scratch of the longest series.
 * Determinism   ties go by entity number.
 */
#ifndef QL_DIAGNOSE_RANK_H
#define QL_DIAGNOSE_RANK_H

#include "base/arena.h"
#include "diagnose/case.h"

#define QL_RANK_CONFIDENCE_MIN 0.25

struct ql_rank_cause {
    uint32_t entity;
    uint32_t series;          /* of the case; QL_CASE_NONE when the evidence is no series */
    ql_str metric;            /* or "span:...", "log:...", "change:..." */
    double score, confidence; /* >= 0; [0, 1] */
    ql_time onset;
    enum ql_cause_role role;
    ql_str evidence;          /* one sentence with numbers */
};

QL_MUST_USE ql_err ql_rank(const struct ql_case *c, struct ql_arena *arena,
                           struct ql_rank_cause **ret_causes, uint32_t *ret_count);

#endif
