/* otlp_points.c - one OTLP data point to the runs of its series. */
#include "wire/json_out.h"
#include "wire/otlp_metrics.h"

#include <stdlib.h>

/* The four kinds of points share their meanings but not their field numbers. */
enum point_field {
    POINT_OTHER, POINT_ATTRIBUTES, POINT_TIME, POINT_FLAGS, POINT_DOUBLE, POINT_INT, POINT_COUNT,
    POINT_SUM, POINT_BUCKETS, POINT_BOUNDS, POINT_QUANTILES
};
enum { POINT_NUMBERS = 12, FLAG_NO_VALUE = 1 };

struct point_kind {
    uint8_t meaning[POINT_NUMBERS];
    const struct ql_otlp_name *names;
};

static const struct point_kind point_number = {
    { [7] = POINT_ATTRIBUTES, [3] = POINT_TIME, [8] = POINT_FLAGS, [4] = POINT_DOUBLE,
      [6] = POINT_INT },
    (const struct ql_otlp_name[]){ { "attributes", 7 }, { "timeUnixNano", 3 }, { "flags", 8 },
                                   { "asDouble", 4 }, { "asInt", 6 }, { NULL, 0 } },
};
static const struct point_kind point_histogram = {
    { [9] = POINT_ATTRIBUTES, [3] = POINT_TIME, [10] = POINT_FLAGS, [4] = POINT_COUNT,
      [5] = POINT_SUM, [6] = POINT_BUCKETS, [7] = POINT_BOUNDS },
    (const struct ql_otlp_name[]){ { "attributes", 9 }, { "timeUnixNano", 3 }, { "flags", 10 },
                                   { "count", 4 }, { "sum", 5 }, { "bucketCounts", 6 },
                                   { "explicitBounds", 7 }, { NULL, 0 } },
};
static const struct point_kind point_exponential = {
    { [1] = POINT_ATTRIBUTES, [3] = POINT_TIME, [10] = POINT_FLAGS, [4] = POINT_COUNT,
      [5] = POINT_SUM },
    (const struct ql_otlp_name[]){ { "attributes", 1 }, { "timeUnixNano", 3 }, { "flags", 10 },
                                   { "count", 4 }, { "sum", 5 }, { NULL, 0 } },
};
static const struct point_kind point_summary = {
    { [7] = POINT_ATTRIBUTES, [3] = POINT_TIME, [8] = POINT_FLAGS, [4] = POINT_COUNT,
      [5] = POINT_SUM, [6] = POINT_QUANTILES },
    (const struct ql_otlp_name[]){ { "attributes", 7 }, { "timeUnixNano", 3 }, { "flags", 8 },
                                   { "count", 4 }, { "sum", 5 }, { "quantileValues", 6 },
                                   { NULL, 0 } },
};
static const struct ql_otlp_name quantile_names[] = { { "quantile", 1 }, { "value", 2 },
                                                      { NULL, 0 } };

/* Big enough for any request that fits the body limit; the buffers grow as needed. */
#define LIST_BYTES_MAX ((size_t)1 << 30)

struct point {
    uint64_t time_ns, flags, count;
    ql_time at;
    double value, sum;
    bool has_value, has_sum;
};

void ql_otlp_metrics_init(struct ql_otlp_metrics *m, const struct ql_wire_job *job)
{
    m->otlp = (struct ql_otlp){ .job = job, .record_noun = "metric" };
    ql_block_init(&m->base);
    ql_buf_init(&m->text, 1 << 20);
    ql_buf_init(&m->counts, LIST_BYTES_MAX);
    ql_buf_init(&m->bounds, LIST_BYTES_MAX);
    memset(m->cache, 0, sizeof(m->cache));
}

void ql_otlp_metrics_fini(struct ql_otlp_metrics *m)
{
    ql_buf_fini(&m->text);
    ql_buf_fini(&m->counts);
    ql_buf_fini(&m->bounds);
}

void ql_otlp_metrics_name(struct ql_otlp_metrics *m, const struct ql_otlp_metric_name *name)
{
    static const char *const suffixes[QL_OTLP_PART_COUNT] = { "", "_count", "_sum", "_bucket" };
    ql_buf_reset(&m->text);
    ql_otlp_metric_name(name, &m->text);
    const ql_str plain = ql_buf_view(&m->text);
    for (int i = 0; i < QL_OTLP_PART_COUNT; i++) {
        m->names[i] = plain.bytes == 0 ? (ql_str){ "", 0 }
                                       : ql_arena_printf(&m->otlp.job->out->arena, "%.*s%s",
                                                         QL_STR_ARG(plain), suffixes[i]);
        if (m->names[i].at == NULL) {
            ql_otlp_full(&m->otlp);
            return;
        }
    }
}

/* ---- labels ----------------------------------------------------------------------- */

static ql_str label_name(struct ql_otlp_metrics *m, ql_str key)
{
    const size_t slot = (key.bytes * 31 + (key.bytes > 0 ? (unsigned char)key.at[0] * 7u +
                                           (unsigned char)key.at[key.bytes - 1] : 0)) %
                        QL_OTLP_LABEL_CACHE;
    if (m->cache[slot].label.bytes > 0 && ql_str_eq(m->cache[slot].key, key)) {
        return m->cache[slot].label;
    }
    ql_buf_reset(&m->text);
    ql_otlp_label_name(key, &m->text);
    ql_str label;
    if (!ql_wire_keep(m->otlp.job, ql_buf_view(&m->text), &label)) {
        ql_otlp_full(&m->otlp);
        return (ql_str){ "", 0 };
    }
    m->cache[slot].key = key;
    m->cache[slot].label = label;
    return label;
}

static int attribute_order(const void *a, const void *b)
{
    return ql_str_cmp(((const struct ql_otlp_attribute *)a)->key,
                      ((const struct ql_otlp_attribute *)b)->key);
}

/* By key, so that the same attributes in another order are the same series even where
 * two of them share a label. Senders usually sort already. */
static void attributes_sort(struct ql_otlp_attributes *attributes)
{
    for (uint32_t i = 1; i < attributes->count; i++) {
        if (ql_str_cmp(attributes->at[i - 1].key, attributes->at[i].key) > 0) {
            qsort(attributes->at, attributes->count, sizeof(attributes->at[0]), attribute_order);
            return;
        }
    }
}

/* Two keys may become one label ("a.b" and "a_b"): their values are joined by ';'. */
static ql_err label_join(struct ql_otlp_metrics *m, ql_str name, ql_str value)
{
    const struct ql_label *before = ql_block_find(&m->labels, name);
    QL_ASSERT(before != NULL);
    const ql_str joined = ql_arena_printf(&m->otlp.job->out->arena, "%.*s;%.*s",
                                          QL_STR_ARG(before->value), QL_STR_ARG(value));
    return joined.at == NULL ? QL_E_FULL : ql_block_set(&m->labels, name, joined);
}

static ql_err label_put(struct ql_otlp_metrics *m, const struct ql_otlp_attribute *attribute)
{
    ql_str value, name = label_name(m, attribute->key);
    if (!ql_otlp_attribute_read(&m->otlp, attribute, &value)) {
        return m->otlp.err;
    }
    if (value.bytes == 0) {
        return QL_OK;
    }
    if (ql_block_find(&m->base, name) != NULL || ql_str_eq(name, QL_STR("__name__"))) {
        name = ql_arena_printf(&m->otlp.job->out->arena, "exported_%.*s", QL_STR_ARG(name));
        if (name.at == NULL) {
            return QL_E_FULL;
        }
    }
    const ql_err err = ql_block_put(&m->labels, name, value);
    return err == QL_E_CONFLICT ? label_join(m, name, value) : err;
}

/* The resource's and the point's labels to m->labels; false: the point is left out. */
static bool labels_make(struct ql_otlp_metrics *m)
{
    ql_err err = m->attributes.overflow ? QL_E_RANGE : QL_OK;
    ql_block_copy(&m->labels, &m->base);
    attributes_sort(&m->attributes);
    for (uint32_t i = 0; err == QL_OK && i < m->attributes.count; i++) {
        err = label_put(m, &m->attributes.at[i]);
    }
    if (m->otlp.err != QL_OK) {
        return false;
    }
    switch (err) {
    case QL_OK: return true;
    case QL_E_FULL: ql_otlp_full(&m->otlp); return false;
    case QL_E_RANGE:
        ql_otlp_reject(&m->otlp, QL_REASON_LABEL_LIMIT,
                       "a point has more than 64 labels or 16384 bytes of them");
        return false;
    default:
        ql_otlp_reject(&m->otlp, QL_REASON_MALFORMED,
                       "a point has an attribute without key or not UTF-8");
        return false;
    }
}

/* ---- runs ------------------------------------------------------------------------- */

struct part { enum ql_otlp_part part; const char *label; double bound; enum ql_metric_type type; };

static ql_err series_make(struct ql_otlp_metrics *m, const struct part *part, ql_str *ret_labels)
{
    char bound[QL_DOUBLE_TEXT_BYTES];
    ql_err err;
    ql_block_copy(&m->series, &m->labels);
    err = ql_block_put(&m->series, QL_STR("__name__"), m->names[part->part]);
    if (err == QL_OK && part->label != NULL) {
        const ql_str name = ql_str_of(part->label);
        const ql_str value = { bound, ql_double_text(part->bound, bound) };
        err = ql_block_put(&m->series, name, value);
        if (err == QL_E_CONFLICT) {
            err = ql_block_set(&m->series, name, value); /* the histogram's own meaning wins */
        }
    }
    return err != QL_OK ? err
                        : ql_block_write(&m->series, &m->otlp.job->out->arena, ret_labels);
}

static bool run_add(struct ql_otlp_metrics *m, const struct part *part, ql_time at, double value)
{
    struct ql_batch *out = m->otlp.job->out;
    ql_str labels;
    const ql_err err = series_make(m, part, &labels);
    if (err == QL_E_RANGE) {
        ql_otlp_reject(&m->otlp, QL_REASON_LABEL_LIMIT,
                       "a point has more than 64 labels or 16384 bytes of them");
        return false;
    }
    const uint32_t first = out->samples.count;
    struct ql_sample *sample = err == QL_OK ? ql_batch_add_sample(out) : NULL;
    struct ql_run *run = sample != NULL ? ql_batch_add_run(out) : NULL;
    if (run == NULL) {
        ql_otlp_full(&m->otlp);
        return false;
    }
    *sample = (struct ql_sample){ at, value };
    *run = (struct ql_run){ .raw = ql_hash128_of(labels.at, labels.bytes), .labels = labels,
                            .sample_first = first, .sample_count = 1, .type = part->type };
    return true;
}

static double stale_marker(void)
{
    static const uint64_t bits = UINT64_C(0x7ff0000000000002);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double number_at(const struct ql_buf *list, size_t index, bool real)
{
    uint64_t count;
    double value;
    memcpy(&count, list->at + index * 8, 8);
    memcpy(&value, list->at + index * 8, 8);
    return real ? value : (double)count;
}

/* Cumulative over the buckets, as Prometheus has them; the last is +Inf. */
static void buckets_add(struct ql_otlp_metrics *m, const struct point *p, bool stale)
{
    const size_t buckets = m->counts.bytes / 8, bounds = m->bounds.bytes / 8;
    double total = 0.0;
    for (size_t i = 0; i < buckets; i++) {
        const struct part part = {
            QL_OTLP_BUCKET, "le",
            i < bounds ? number_at(&m->bounds, i, true) : __builtin_inf(), m->type
        };
        total += number_at(&m->counts, i, false);
        if (!run_add(m, &part, p->at, stale ? stale_marker() : total)) {
            return;
        }
    }
}

static void quantile_add(struct ql_otlp_metrics *m, const struct ql_otlp_field *quantile,
                         const struct point *p, bool stale)
{
    struct ql_otlp_cursor cursor;
    struct part part = { QL_OTLP_PLAIN, "quantile", 0.0, QL_METRIC_GAUGE };
    double value = 0.0;
    if (!ql_otlp_sub(&m->otlp, quantile, quantile_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 1 || field.number == 2) {
            (void)ql_otlp_double(&m->otlp, &field, field.number == 1 ? &part.bound : &value);
        }
    }
    if (m->otlp.err == QL_OK) {
        (void)run_add(m, &part, p->at, stale ? stale_marker() : value);
    }
}

/* ---- points ----------------------------------------------------------------------- */

static void point_field(struct ql_otlp_metrics *m, const struct ql_otlp_field *field,
                        uint8_t meaning, struct point *p)
{
    int64_t whole;
    switch ((enum point_field)meaning) {
    case POINT_ATTRIBUTES: (void)ql_otlp_attribute(&m->otlp, field, &m->attributes); break;
    case POINT_TIME: (void)ql_otlp_u64(&m->otlp, field, &p->time_ns); break;
    case POINT_FLAGS: (void)ql_otlp_u64(&m->otlp, field, &p->flags); break;
    case POINT_DOUBLE: p->has_value = ql_otlp_double(&m->otlp, field, &p->value); break;
    case POINT_INT:
        p->has_value = ql_otlp_i64(&m->otlp, field, &whole);
        p->value = p->has_value ? (double)whole : 0.0;
        break;
    case POINT_COUNT: (void)ql_otlp_u64(&m->otlp, field, &p->count); break;
    case POINT_SUM: p->has_sum = ql_otlp_double(&m->otlp, field, &p->sum); break;
    case POINT_BUCKETS: (void)ql_otlp_u64s(&m->otlp, field, &m->counts); break;
    case POINT_BOUNDS: (void)ql_otlp_doubles(&m->otlp, field, &m->bounds); break;
    case POINT_QUANTILES: /* read when the labels are known */
    case POINT_OTHER: break;
    }
}

static bool point_check(struct ql_otlp_metrics *m, struct point *p, bool stale)
{
    const size_t counts = m->counts.bytes / 8, bounds = m->bounds.bytes / 8;
    if (m->names[QL_OTLP_PLAIN].bytes == 0) {
        ql_otlp_reject(&m->otlp, QL_REASON_NO_NAME, "the name must have a letter or digit");
        return false;
    }
    if (!ql_otlp_time(p->time_ns, m->otlp.job->in->accepted, &p->at)) {
        ql_otlp_reject(&m->otlp, QL_REASON_TIME, "timeUnixNano lies past the year 2262");
        return false;
    }
    if ((m->kind == QL_OTLP_GAUGE || m->kind == QL_OTLP_SUM) && !p->has_value && !stale) {
        ql_otlp_reject(&m->otlp, QL_REASON_NO_VALUE, "a point has neither asDouble nor asInt");
        return false;
    }
    if (counts != 0 && counts != bounds + 1) {
        ql_otlp_reject(&m->otlp, QL_REASON_MALFORMED,
                       "a point has %zu buckets for %zu bounds; one more than bounds is wanted",
                       counts, bounds);
        return false;
    }
    return true;
}

static void point_emit(struct ql_otlp_metrics *m, const struct point *p, bool stale)
{
    const struct part count = { QL_OTLP_COUNT, NULL, 0.0, m->type };
    const struct part sum = { QL_OTLP_TOTAL_SUM, NULL, 0.0, m->type };
    if (m->kind == QL_OTLP_GAUGE || m->kind == QL_OTLP_SUM) {
        const struct part plain = { QL_OTLP_PLAIN, NULL, 0.0, m->type };
        (void)run_add(m, &plain, p->at, stale ? stale_marker() : p->value);
        return;
    }
    if (!run_add(m, &count, p->at, stale ? stale_marker() : (double)p->count)) {
        return;
    }
    if (p->has_sum || stale) {
        (void)run_add(m, &sum, p->at, stale ? stale_marker() : p->sum);
    }
    buckets_add(m, p, stale);
    if (m->kind == QL_OTLP_EXPONENTIAL) {
        ql_otlp_reject(&m->otlp, QL_REASON_UNSUPPORTED,
                       "buckets of an exponential histogram are not taken; its count and sum are");
    }
}

static const struct point_kind *point_kind_of(uint32_t kind)
{
    switch (kind) {
    case QL_OTLP_HISTOGRAM: return &point_histogram;
    case QL_OTLP_EXPONENTIAL: return &point_exponential;
    case QL_OTLP_SUMMARY: return &point_summary;
    default: return &point_number;
    }
}

void ql_otlp_metrics_point(struct ql_otlp_metrics *m, const struct ql_otlp_field *point)
{
    const struct point_kind *kind = point_kind_of(m->kind);
    struct point p = { .time_ns = 0 };
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(&m->otlp, point, kind->names, &cursor)) {
        return;
    }
    struct ql_otlp_cursor again = cursor;
    ql_otlp_attributes_reset(&m->attributes);
    ql_buf_reset(&m->counts);
    ql_buf_reset(&m->bounds);
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number < POINT_NUMBERS) {
            point_field(m, &field, kind->meaning[field.number], &p);
        }
    }
    const bool stale = (p.flags & FLAG_NO_VALUE) != 0;
    if (m->otlp.err != QL_OK || !point_check(m, &p, stale) || !labels_make(m)) {
        return;
    }
    point_emit(m, &p, stale);
    for (struct ql_otlp_field field; m->kind == QL_OTLP_SUMMARY && ql_otlp_next(&again, &field);) {
        if (field.number < POINT_NUMBERS && kind->meaning[field.number] == POINT_QUANTILES) {
            quantile_add(m, &field, &p, stale);
        }
    }
}
