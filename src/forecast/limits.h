/* limits.h - which metrics have a limit, and which other metric says it.
 *
 * Known pairs of exporters first; otherwise by name: what ends in _limit, _max or _capacity
 * limits the metric that is named the same without it, or with _used, _usage, _active,
 * _current or _in_use instead.
 *
 * Ownership     nothing is kept; texts are the caller's or static.
 * Errors        none.
 * Bounds        O(pairs + name).
 * Determinism   the table and the name only.
 */
#ifndef QL_FORECAST_LIMITS_H
#define QL_FORECAST_LIMITS_H

#include "base/base.h"

enum ql_limit_kind {
    QL_LIMIT_USED,   /* the metric is what is used */
    QL_LIMIT_FREE    /* ... what is left: used is limit minus it */
};
struct ql_limit_pair { const char *metric, *limit; enum ql_limit_kind kind; };

extern const struct ql_limit_pair ql_limit_pairs[];
extern const uint32_t ql_limit_pair_count;

/* Whether `limit` names the limit of `metric`, and how the metric counts. */
bool ql_limit_of(ql_str metric, ql_str limit, enum ql_limit_kind *ret_kind);
/* Whether a metric of this name may be a limit at all: a known one, or by its ending. */
bool ql_limit_name(ql_str name);

#endif
