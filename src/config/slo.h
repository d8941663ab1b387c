/* slo.h - which SLOs count a series, for people.
 *
 * Ownership     nothing is kept.
 * Threads       any.
 * Errors        QL_E_MEMORY, QL_E_FULL; QL_E_CONFIG when a selector does not parse (a config that
 *               was read has none such).
 * Bounds        walks all SLOs.
 * Determinism   pure.
 */
#ifndef QL_CONFIG_SLO_H
#define QL_CONFIG_SLO_H

#include "base/buf.h"
#include "config/config.h"

/* A line an SLO that counts the series: "counts for: NAME  (as bad, total)". `labels` is a
 * canonical block. */
QL_MUST_USE ql_err ql_slo_explain(const struct ql_config *config, ql_str labels,
                                  struct ql_buf *out);

#endif
