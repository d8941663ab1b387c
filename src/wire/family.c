/* family.c - from the type of a metric family to the type of each of its series. */
#include "wire/wire_int.h"

/* Which parts of a family count up. "_created" is a time and so a gauge. */
static bool family_part_counts(ql_str part)
{
    static const char *const parts[] = { "_total", "_bucket", "_count", "_sum" };
    for (size_t i = 0; i < QL_COUNT_OF(parts); i++) {
        if (ql_str_eq(part, ql_str_of(parts[i]))) {
            return true;
        }
    }
    return false;
}

enum ql_metric_type ql_family_type(enum ql_metric_family family, ql_str part)
{
    switch (family) {
    case QL_FAMILY_COUNTER:
        return part.bytes == 0 || family_part_counts(part) ? QL_METRIC_COUNTER : QL_METRIC_GAUGE;
    case QL_FAMILY_HISTOGRAM:
    case QL_FAMILY_SUMMARY: /* its own name carries the quantiles */
        return family_part_counts(part) ? QL_METRIC_COUNTER : QL_METRIC_GAUGE;
    case QL_FAMILY_GAUGE:
    case QL_FAMILY_GAUGE_HISTOGRAM:
    case QL_FAMILY_INFO:
    case QL_FAMILY_STATE_SET: return QL_METRIC_GAUGE;
    case QL_FAMILY_UNKNOWN: break;
    }
    return QL_METRIC_UNKNOWN;
}
