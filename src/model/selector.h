/* selector.h - `name{a="b",c!="d",e=~"re",f!~"re"}` to matchers, and the judge of them.
 *
 * Written as in Prometheus: the name may be left out or stand quoted among the matchers
 * ({"my.metric",a="b"}), label names may be quoted, values stand in "", '' or ``, and
 * regular expressions (PCRE2) must match the whole value. A label that is absent has the
 * value "". `{}` selects everything.
 *
 * Ownership     parse/fini. Matchers and their texts live in the selector until fini.
 * Threads       one at a time: matching uses scratch space of the selector.
 * Errors        QL_E_MALFORMED (where and what is expected stands in ret_why), QL_E_RANGE
 *               (over a maximum), QL_E_MEMORY. On error there is nothing to free.
 * Bounds        QL_SELECTOR_BYTES_MAX of text, QL_MATCHERS_MAX matchers; a regular expression
 *               gives up after a fixed number of steps: it then does not match, `gave_up` is
 *               set, and neither =~ nor !~ lets the series through.
 */
#ifndef QL_MODEL_SELECTOR_H
#define QL_MODEL_SELECTOR_H

#include "base/base.h"
#include "base/buf.h"
#include "model/view.h"

#define QL_MATCHERS_MAX 32u
#define QL_SELECTOR_BYTES_MAX 8192u
#define QL_SELECTOR_WHY_BYTES 200

struct ql_selector {
    struct ql_matcher matchers[QL_MATCHERS_MAX];
    void *patterns[QL_MATCHERS_MAX]; /* compiled; NULL for = and != */
    uint32_t count;
    bool gave_up;
    void *scratch;                   /* of matching; NULL without patterns */
    struct ql_buf text;              /* unescaped names and values */
};

QL_MUST_USE ql_err ql_selector_parse(ql_str text, struct ql_selector *ret_selector,
                                     char ret_why[QL_SELECTOR_WHY_BYTES]);
/* From matchers that stand already; copies their texts. */
QL_MUST_USE ql_err ql_selector_of(const struct ql_matcher *matchers, uint32_t count,
                                  struct ql_selector *ret_selector,
                                  char ret_why[QL_SELECTOR_WHY_BYTES]);
void ql_selector_fini(struct ql_selector *selector);
/* `labels` is a canonical block (labels.h); the metric's name is its "__name__". */
bool ql_selector_matches(struct ql_selector *selector, ql_str labels);

#endif
