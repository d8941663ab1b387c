/* otlp_metrics.h - the state that reading one OTLP metrics request needs. Private to
 * otlp_metrics.c (messages down to the metric) and otlp_points.c (its points to runs). */
#ifndef QL_WIRE_OTLP_METRICS_H
#define QL_WIRE_OTLP_METRICS_H

#include "wire/otlp.h"

/* Field numbers of a Metric's data. */
enum {
    QL_OTLP_GAUGE = 5, QL_OTLP_SUM = 7, QL_OTLP_HISTOGRAM = 9, QL_OTLP_EXPONENTIAL = 10,
    QL_OTLP_SUMMARY = 11
};

/* A metric's series: its own name, and those of its parts. */
enum ql_otlp_part { QL_OTLP_PLAIN, QL_OTLP_COUNT, QL_OTLP_TOTAL_SUM, QL_OTLP_BUCKET,
                    QL_OTLP_PART_COUNT };

enum { QL_OTLP_LABEL_CACHE = 64 }; /* attribute keys repeat on every point */

struct ql_otlp_metrics {
    struct ql_otlp otlp;
    struct ql_block base;   /* the resource's labels */
    struct ql_block labels; /* ... and the point's */
    struct ql_block series; /* ... and the name, le, quantile */
    struct ql_otlp_attributes attributes;
    struct ql_buf text;             /* for names while they are made */
    struct ql_buf counts, bounds;   /* of a histogram point */
    ql_str names[QL_OTLP_PART_COUNT];
    uint32_t kind;                  /* of the metric */
    enum ql_metric_type type;       /* of its series */
    struct { ql_str key, label; } cache[QL_OTLP_LABEL_CACHE];
};

void ql_otlp_metrics_init(struct ql_otlp_metrics *m, const struct ql_wire_job *job);
void ql_otlp_metrics_fini(struct ql_otlp_metrics *m);
/* Makes the names of the metric whose points follow. */
void ql_otlp_metrics_name(struct ql_otlp_metrics *m, const struct ql_otlp_metric_name *name);
/* One data point of m->kind to runs, or to a reject. */
void ql_otlp_metrics_point(struct ql_otlp_metrics *m, const struct ql_otlp_field *point);

#endif
