#include "model/band_series.h"

#include "model/labels.h"

#include <math.h>

const char *ql_band_series_name(enum ql_band_series which)
{
    static const char *const names[] = { "anomaly_score", "yhat", "yhat_lower", "yhat_upper" };
    QL_ASSERT((size_t)which < QL_COUNT_OF(names));
    return names[which];
}

ql_str ql_band_series_labels(struct ql_arena *arena, ql_str labels, enum ql_band_series which)
{
    struct ql_label list[QL_LABELS_COUNT_MAX + 2], label;
    struct ql_buf block;
    uint32_t count = 0;
    size_t at = 0;
    list[count++] = (struct ql_label){ QL_STR("__name__"), ql_str_of(ql_band_series_name(which)) };
    list[count++] = (struct ql_label){ QL_STR("for"), ql_labels_get(labels, QL_STR("__name__")) };
    while (count < QL_COUNT_OF(list) && ql_labels_next(labels, &at, &label)) {
        if (ql_str_eq(label.name, QL_STR("__name__"))) {
            continue;
        }
        if (ql_str_eq(label.name, QL_STR("for"))) {
            label.name = QL_STR("exported_for");
        }
        list[count++] = label;
    }
    ql_buf_init(&block, (size_t)QL_LABELS_BYTES_MAX * 2);
    const ql_err err = ql_labels_build(list, count, &block);
    const ql_str built = err == QL_OK ? ql_arena_str(arena, ql_buf_view(&block))
                                      : (ql_str){ NULL, 0 };
    ql_buf_fini(&block);
    return built;
}

double ql_band_score(double value, const struct ql_band *band)
{
    const double off = value - (double)band->expected;
    const double room = off >= 0.0 ? (double)band->upper - (double)band->expected
                                   : (double)band->expected - (double)band->lower;
    if (!(fabs(off) > 0.0)) {
        return isnan(off) ? off : 0.0;
    }
    const double score = room > 0.0 ? fabs(off) / room : QL_BAND_SCORE_MAX;
    return score < QL_BAND_SCORE_MAX ? score : QL_BAND_SCORE_MAX;
}

static double band_value(enum ql_band_series which, double value, const struct ql_band *band)
{
    switch (which) {
    case QL_BAND_YHAT: return (double)band->expected;
    case QL_BAND_LOWER: return (double)band->lower;
    case QL_BAND_UPPER: return (double)band->upper;
    default: return ql_band_score(value, band);
    }
}

uint32_t ql_band_series_samples(enum ql_band_series which, const struct ql_sample *judged,
                                uint32_t sample_count, const struct ql_band *bands,
                                uint32_t band_count, struct ql_sample *ret_samples)
{
    uint32_t made = 0, next = 0;
    for (uint32_t i = 0; i < sample_count; i++) {
        while (next < band_count && bands[next].at.ns <= judged[i].at.ns) {
            next++;
        }
        if (next == 0 || judged[i].at.ns - bands[next - 1].at.ns > QL_BAND_HOLD.ns) {
            continue;
        }
        ret_samples[made++] = (struct ql_sample){
            judged[i].at, band_value(which, judged[i].value, &bands[next - 1]) };
    }
    return made;
}
