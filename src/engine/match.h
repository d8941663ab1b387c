/* match.h - label matchers made ready to be asked many times.
 *
 * Errors        QL_E_MALFORMED: a regex does not compile.
 * Bounds        regexes run under PCRE2 match limits; over a limit means "no match".
 */
#ifndef QL_ENGINE_MATCH_H
#define QL_ENGINE_MATCH_H

#include "model/series.h"
#include "model/view.h"

#define QL_MATCHERS_MAX 32u
struct ql_match;
QL_MUST_USE ql_err ql_match_new(const struct ql_matcher *matchers, uint32_t count,
                                struct ql_match **ret_match);
void ql_match_free(struct ql_match *match);
bool ql_match_series(const struct ql_match *match, const struct ql_series_table *table,
                     uint32_t index);

#endif
