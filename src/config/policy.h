/* policy.h - which policies apply to a series, and what they come to together.
 *
 * Every policy whose selector matches applies, in the order of the file; where two set
 * the same field, the later one wins. A field is taken whole: a later `mute` replaces the
 * earlier list. What no policy sets keeps its default (both directions, no minimum, no
 * bound, normal, on, never muted).
 *
 * Ownership     open/close; a set borrows the config, which must outlive it.
 * Threads       one at a time (matching uses scratch space).
 * Errors        open: QL_E_MEMORY; QL_E_CONFIG when a selector does not parse (a config that
 *               was read has none such).
 * Bounds        resolving walks all policies; the effect is plain bytes and comparable.
 * Determinism   pure.
 */
#ifndef QL_CONFIG_POLICY_H
#define QL_CONFIG_POLICY_H

#include "base/buf.h"
#include "config/config.h"

struct ql_policy_effect {
    double min_absolute, min_relative;
    double low, high;               /* -inf, +inf: no bound */
    int64_t mute_after_change_ns;
    uint32_t direction, importance; /* enum ql_policy_direction, enum ql_importance */
    uint32_t detector;              /* 0: off */
    uint16_t by[QL_POLICY_FIELDS];  /* 1 + the policy that set it; 0: the default */
};
_Static_assert(sizeof(struct ql_policy_effect) == 72, "compared as bytes: no hidden padding");

struct ql_policy_set;
QL_MUST_USE ql_err ql_policy_set_open(const struct ql_config *config,
                                      struct ql_policy_set **ret_set);
void ql_policy_set_close(struct ql_policy_set *set);
/* False: no policy matches, and the effect is the defaults. `labels` is a canonical block. */
bool ql_policy_resolve(struct ql_policy_set *set, ql_str labels,
                       struct ql_policy_effect *ret_effect);
/* The window that holds the series back at `at`, as it stands in the file; NULL: none. */
const char *ql_policy_muted(const struct ql_policy_set *set,
                            const struct ql_policy_effect *effect, ql_time at);
const char *ql_policy_name(const struct ql_policy_set *set, uint16_t by); /* "default" for 0 */
/* For people: which policies match `name{label="value"}`, the result field by field, what it
 * means for each sort of signals, which SLOs count it, and whose budget its signals are on.
 * QL_E_MALFORMED: it is no series. */
QL_MUST_USE ql_err ql_policy_explain(const struct ql_config *config, ql_str series,
                                     struct ql_buf *out);

#endif
