/* otlp_metrics.c - OTLP metrics as Prometheus series: one run a point, more for histograms.
 *
 * Good for     what SDKs and collectors export: few attributes, many points a resource.
 *              A resource's labels are put together once and copied into each point.
 * Bad for      points with hundreds of buckets: each bucket is a series with its labels.
 * Method       the names and labels of Prometheus' own OTLP door (otlp_names.c); identity
 *              of the sender from the resource attributes listed in resource_labels.
 *
 * ExportMetricsServiceRequest { 1 ResourceMetrics* { 1 resource, 2 ScopeMetrics* {
 *   2 Metric* { 1 name, 3 unit, 5 gauge, 7 sum, 9 histogram, 10 exponential, 11 summary } } } }
 */
#include "wire/otlp_metrics.h"

static const struct ql_otlp_name request_names[] = { { "resourceMetrics", 1 }, { NULL, 0 } };
static const struct ql_otlp_name resource_names[] = { { "resource", 1 }, { "scopeMetrics", 2 },
                                                      { NULL, 0 } };
static const struct ql_otlp_name scope_names[] = { { "metrics", 2 }, { NULL, 0 } };
static const struct ql_otlp_name metric_names[] = {
    { "name", 1 }, { "unit", 3 }, { "gauge", QL_OTLP_GAUGE }, { "sum", QL_OTLP_SUM },
    { "histogram", QL_OTLP_HISTOGRAM }, { "exponentialHistogram", QL_OTLP_EXPONENTIAL },
    { "summary", QL_OTLP_SUMMARY }, { NULL, 0 },
};
static const struct ql_otlp_name data_names[] = {
    { "dataPoints", 1 }, { "aggregationTemporality", 2 }, { "isMonotonic", 3 }, { NULL, 0 },
};

/* Which resource attributes say who the sender is; the others describe it and would only
 * make every series of a new version a new series. */
static const struct { const char *attribute, *label; } resource_labels[] = {
    { "service.name", "service_name" },
    { "service.namespace", "service_namespace" },
    { "service.instance.id", "instance" },
    { "host.name", "host_name" },
    { "deployment.environment.name", "deployment_environment" },
    { "deployment.environment", "deployment_environment" },
    { "k8s.namespace.name", "k8s_namespace_name" },
    { "k8s.pod.name", "k8s_pod_name" },
    { "k8s.container.name", "k8s_container_name" },
};

static void base_make(struct ql_otlp_metrics *m, struct ql_otlp_cursor resource)
{
    ql_block_init(&m->base);
    if (!ql_otlp_resource(&m->otlp, resource, &m->attributes)) {
        return;
    }
    for (size_t i = 0; i < QL_COUNT_OF(resource_labels); i++) {
        ql_str value = ql_otlp_attribute_text(&m->otlp, &m->attributes,
                                              resource_labels[i].attribute);
        const ql_str name = ql_str_of(resource_labels[i].label);
        /* Mends what is not UTF-8, so that putting can only find the name there already. */
        if (ql_otlp_keep(&m->otlp, value, &value) &&
            ql_block_put(&m->base, name, value) == QL_E_RANGE) {
            ql_otlp_reject(&m->otlp, QL_REASON_LABEL_LIMIT,
                           "the resource's labels are larger than 16384 bytes");
        }
    }
}

/* What a metric's data message says about all of its points. */
static bool data_head(struct ql_otlp_metrics *m, struct ql_otlp_cursor data,
                      int64_t *ret_temporality, bool *ret_monotonic)
{
    for (struct ql_otlp_field field; ql_otlp_next(&data, &field);) {
        if (field.number == 2) {
            (void)ql_otlp_i64(&m->otlp, &field, ret_temporality);
        } else if (field.number == 3) {
            (void)ql_otlp_bool(&m->otlp, &field, ret_monotonic);
        }
    }
    return m->otlp.err == QL_OK;
}

static enum ql_metric_type data_type(uint32_t kind, int64_t temporality, bool monotonic)
{
    enum { DELTA = 1, CUMULATIVE = 2 };
    if (kind == QL_OTLP_SUMMARY) {
        return QL_METRIC_COUNTER; /* its count and sum; it has no temporality */
    }
    if (kind == QL_OTLP_GAUGE) {
        return QL_METRIC_GAUGE;
    }
    if (temporality == DELTA) {
        return QL_METRIC_DELTA;
    }
    if (kind == QL_OTLP_SUM && !monotonic) {
        return QL_METRIC_GAUGE;
    }
    return temporality == CUMULATIVE ? QL_METRIC_COUNTER : QL_METRIC_UNKNOWN;
}

static void data_read(struct ql_otlp_metrics *m, const struct ql_otlp_field *metric_field,
                      struct ql_otlp_metric_name name)
{
    struct ql_otlp_cursor data;
    int64_t temporality = 0;
    bool monotonic = false;
    m->kind = metric_field->number;
    if (!ql_otlp_sub(&m->otlp, metric_field, data_names, &data) ||
        !data_head(m, data, &temporality, &monotonic)) {
        return;
    }
    name.monotonic_sum = m->kind == QL_OTLP_SUM && monotonic;
    name.gauge = m->kind == QL_OTLP_GAUGE;
    m->type = data_type(m->kind, temporality, monotonic);
    ql_otlp_metrics_name(m, &name);
    for (struct ql_otlp_field field; ql_otlp_next(&data, &field);) {
        if (field.number == 1) {
            ql_otlp_metrics_point(m, &field);
        }
    }
}

static void metric_read(struct ql_otlp_metrics *m, const struct ql_otlp_field *metric)
{
    struct ql_otlp_cursor cursor;
    struct ql_otlp_field data = { .number = 0 };
    struct ql_otlp_metric_name name = { .name = { "", 0 }, .unit = { "", 0 } };
    if (!ql_otlp_sub(&m->otlp, metric, metric_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        switch (field.number) {
        case 1: (void)ql_otlp_text(&m->otlp, &field, &name.name); break;
        case 3: (void)ql_otlp_text(&m->otlp, &field, &name.unit); break;
        case QL_OTLP_GAUGE:
        case QL_OTLP_SUM:
        case QL_OTLP_HISTOGRAM:
        case QL_OTLP_EXPONENTIAL:
        case QL_OTLP_SUMMARY: data = field; break; /* a oneof: the last wins */
        default: break;
        }
    }
    if (m->otlp.err == QL_OK && data.number != 0) {
        data_read(m, &data, name);
    }
}

static void scope_read(struct ql_otlp_metrics *m, const struct ql_otlp_field *scope)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(&m->otlp, scope, scope_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            metric_read(m, &field);
            m->otlp.record_index++;
        }
    }
}

static void resource_read(struct ql_otlp_metrics *m, const struct ql_otlp_field *resource)
{
    struct ql_otlp_cursor cursor;
    if (!ql_otlp_sub(&m->otlp, resource, resource_names, &cursor)) {
        return;
    }
    base_make(m, cursor);
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 2) {
            scope_read(m, &field);
        }
    }
}

ql_err ql_otlp_metrics_decode(const struct ql_wire_job *job)
{
    struct ql_otlp_metrics m; /* large, so that only what is read before it is written is set */
    struct ql_otlp_cursor cursor;
    ql_otlp_metrics_init(&m, job);
    ql_err err = ql_otlp_open(&m.otlp, request_names, &cursor);
    if (err == QL_OK) {
        for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field); m.otlp.resource_index++) {
            if (field.number == 1) {
                resource_read(&m, &field);
            }
        }
        err = m.otlp.err;
    }
    ql_otlp_metrics_fini(&m);
    ql_json_done();
    return err;
}
