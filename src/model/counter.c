#include "model/counter.h"

static struct ql_point counter_point(enum ql_point_kind kind, struct ql_sample s, double value)
{
    return (struct ql_point){ .at = s.at, .value = value, .raw = s.value, .kind = kind };
}

struct ql_point ql_counter_judge(enum ql_metric_type type, const struct ql_sample *previous,
                                 struct ql_sample sample)
{
    if (type == QL_METRIC_GAUGE || type == QL_METRIC_UNKNOWN) {
        return counter_point(QL_POINT_VALUE, sample, sample.value);
    }
    if (previous == NULL || sample.at.ns <= previous->at.ns) {
        return counter_point(QL_POINT_HOLE, sample, 0.0);
    }
    const double seconds = ql_duration_s(ql_time_since(sample.at, previous->at));
    if (type == QL_METRIC_DELTA) {
        return counter_point(QL_POINT_VALUE, sample, sample.value / seconds);
    }
    if (sample.value < previous->value) {
        return counter_point(QL_POINT_RESET, sample, previous->value);
    }
    return counter_point(QL_POINT_VALUE, sample, (sample.value - previous->value) / seconds);
}
