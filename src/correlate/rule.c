#include "correlate/rule.h"

#include <math.h>
#include <stdio.h>

const char *ql_rule_opens(const struct ql_rule_evidence *e, ql_duration join)
{
    if (e->alert) {
        return "an alert fires";
    }
    if (e->series_count == 0 || e->low) {
        return NULL;
    }
    if (e->burn && e->high) {
        return "an error budget burns";
    }
    if (e->high) {
        return "a policy says that it matters";
    }
    if (e->series_count >= 2) {
        return "two series of one neighbourhood turned odd together";
    }
    if (e->surprise_max >= QL_RULE_SURPRISE_ALONE) {
        return "one series is far outside anything seen";
    }
    if (e->symptom && e->surprise_max >= QL_RULE_SURPRISE_SYMPTOM) {
        return "callers feel it, and it is strong";
    }
    if (e->symptom && e->lasted.ns >= join.ns) {
        return "callers feel it, and it lasts";
    }
    return NULL;
}

static int64_t apart(ql_time a, ql_time b)
{
    return a.ns > b.ns ? a.ns - b.ns : b.ns - a.ns;
}

/* Signed distance of the onset to the nearer of the two starts. */
static int64_t link_gap(const struct ql_rule_link *l)
{
    const bool first = apart(l->onset, l->since_first) < apart(l->onset, l->since_last);
    return l->onset.ns - (first ? l->since_first : l->since_last).ns;
}

static double link_near(const struct ql_rule_link *l)
{
    switch (l->relation) {
    case QL_RELATION_SAME: return 1.0;
    case QL_RELATION_CHANGE: return 0.5;
    case QL_RELATION_SHARED: return 0.4;
    default: return l->hops == 1 ? 0.7 : 0.8 / (double)l->hops;
    }
}

double ql_rule_link(const struct ql_rule_link *l, ql_duration join)
{
    QL_ASSERT(join.ns > 0);
    const int64_t gap = link_gap(l) < 0 ? -link_gap(l) : link_gap(l);
    int64_t counted = gap, allowed = join.ns;
    if (l->relation == QL_RELATION_SAME) {
        const bool inside = l->lasts && !ql_time_before(l->onset, l->since_first);
        const int64_t after = l->ended_last.ns == QL_TIME_NONE.ns ? gap
                                                                  : apart(l->onset, l->ended_last);
        counted = inside ? 0 : after < gap ? after : gap;
    } else if (l->lasts) {
        allowed = 2 * join.ns;
    }
    if (counted > allowed) {
        return 0.0;
    }
    return link_near(l) * exp(-(double)counted / (double)join.ns);
}

const char *ql_rule_gap_text(const struct ql_rule_link *l, char out[32])
{
    const double gap_s = (double)link_gap(l) / 1e9;
    const double size_s = fabs(gap_s);
    const char *side = gap_s < 0 ? "earlier" : "later";
    if (size_s < 1.0) {
        (void)snprintf(out, 32, "at the same time");
    } else if (size_s < 120.0) {
        (void)snprintf(out, 32, "%.0f s %s", size_s, side);
    } else {
        (void)snprintf(out, 32, "%.0f min %s", size_s / 60.0 < 1e6 ? size_s / 60.0 : 1e6, side);
    }
    return out;
}
