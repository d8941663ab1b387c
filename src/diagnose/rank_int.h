/* rank_int.h - what rank.c and explain.c share: every entity of a case with its evidence by kind.
 *
 * Ownership     all of it lies in the arena of the ranking.
 */
#ifndef QL_DIAGNOSE_RANK_INT_H
#define QL_DIAGNOSE_RANK_INT_H

#include "diagnose/case.h"
#include "diagnose/evidence.h"

#define RANK_EXPLAINED_RATIO 0.6 /* a callee explains from this share of the caller's evidence */

struct entity_row {
    struct ql_evidence *best[QL_EVIDENCE_COUNT]; /* strongest item of each kind */
    double strength[QL_EVIDENCE_COUNT];          /* as collected */
    double counted[QL_EVIDENCE_COUNT];           /* after explaining away */
    double score;
    bool has_callees, has_gap, has_data, explained, is_hidden;
};

struct ranking {
    const struct ql_case *c;
    struct ql_evidence_list list;
    struct entity_row *rows;
};

/* From the evidence as it was collected to what counts of it (explain.c). */
void ql_rank_explain(struct ranking *r);
/* The strongest thing of an entity that can explain what its callers feel. */
double ql_rank_explaining(const struct entity_row *row);

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

#endif
