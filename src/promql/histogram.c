/* histogram.c - histogram_quantile over classic buckets, interpolated as Prometheus does. */
#include "model/labels.h"
#include "promql/promql_int.h"

#include <math.h>
#include <stdlib.h>

struct bucket { double upper, count; };

struct histograms {
    struct pq_value arg;
    double *upper;       /* of each row; NaN: no bucket */
    uint32_t *group_of;
    ql_str *labels;
    uint32_t group_count;
    struct bucket *buckets;
};

static int bucket_order(const void *a, const void *b)
{
    const double x = ((const struct bucket *)a)->upper, y = ((const struct bucket *)b)->upper;
    return x < y ? -1 : x > y;
}

/* Buckets with one bound are one; counts never fall from bound to bound. */
static uint32_t buckets_tidy(struct bucket *b, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (!(b[i].upper > b[kept].upper)) {
            b[kept].count += b[i].count;
        } else {
            b[++kept] = b[i];
        }
    }
    double most = b[0].count;
    for (uint32_t i = 1; i <= kept; i++) {
        most = b[i].count > most ? b[i].count : most;
        b[i].count = b[i].count < most ? most : b[i].count;
    }
    return kept + 1;
}

static double bucket_quantile(double q, struct bucket *b, uint32_t count)
{
    if (isnan(q)) {
        return __builtin_nan("");
    }
    if (q < 0.0 || q > 1.0) {
        return q < 0.0 ? -__builtin_inf() : __builtin_inf();
    }
    qsort(b, count, sizeof(*b), bucket_order);
    if (!(isinf(b[count - 1].upper) && b[count - 1].upper > 0.0)) {
        return __builtin_nan("");
    }
    count = buckets_tidy(b, count);
    const double observations = b[count - 1].count;
    if (count < 2 || !(observations > 0.0 || observations < 0.0)) {
        return __builtin_nan("");
    }
    const double wanted = q * observations;
    uint32_t at = 0;
    while (at < count - 1 && !(b[at].count >= wanted)) {
        at++;
    }
    if (at == count - 1) {
        return b[count - 2].upper;
    }
    if (at == 0 && b[0].upper <= 0.0) {
        return b[0].upper;
    }
    double start = 0.0, inside = b[at].count, rank = wanted;
    if (at > 0) {
        start = b[at - 1].upper;
        inside -= b[at - 1].count;
        rank -= b[at - 1].count;
    }
    return start + (b[at].upper - start) * (rank / inside);
}

static bool histograms_group(struct pq_eval *e, const struct pq_node *node, struct histograms *h)
{
    ql_str le[1] = { QL_STR("le") };
    const struct pq_names names = { le, 1 };
    const uint32_t count = h->arg.count;
    ql_str *keys = pq_take(e, node, count, sizeof(*keys));
    h->upper = pq_take(e, node, count, sizeof(*h->upper));
    h->group_of = pq_take(e, node, count, sizeof(*h->group_of));
    h->labels = pq_take(e, node, count, sizeof(*h->labels));
    h->buckets = pq_take(e, node, count, sizeof(*h->buckets));
    if (keys == NULL || h->upper == NULL || h->group_of == NULL || h->labels == NULL ||
        h->buckets == NULL) {
        return false;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const ql_str labels = h->arg.rows[i].labels, bound = ql_labels_get(labels, le[0]);
        if (bound.bytes == 0 || ql_str_to_double(bound, &h->upper[kept]) != QL_OK) {
            continue; /* no bucket: Prometheus leaves it out too */
        }
        h->arg.rows[kept] = h->arg.rows[i];
        keys[kept] = pq_labels_drop(e->arena, labels, &names, true);
        if (keys[kept++].at == NULL) {
            return pq_eval_fail(e, node, QL_E_RANGE, "no room for labels");
        }
    }
    h->arg.count = kept;
    if (!pq_group(e->arena, keys, kept, h->group_of, &h->group_count)) {
        return pq_eval_fail(e, node, QL_E_MEMORY, "no memory");
    }
    for (uint32_t i = 0; i < kept; i++) {
        h->labels[h->group_of[i]] = keys[i];
    }
    return true;
}

static void histogram_row(const struct pq_eval *e, const struct histograms *h, uint32_t group,
                          const double *q, double *row)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < h->arg.count; i++) {
            const double x = h->arg.rows[i].values[s];
            if (h->group_of[i] == group && !ql_promql_is_absent(x)) {
                h->buckets[count++] = (struct bucket){ h->upper[i], x };
            }
        }
        if (count > 0) {
            row[s] = bucket_quantile(q[s], h->buckets, count);
        }
    }
}

bool pq_eval_histogram(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct histograms h = { .group_count = 0 };
    struct pq_value q, value = { .type = QL_PROMQL_VECTOR };
    if (!pq_eval_node(e, node->args[0], &q) || !pq_eval_node(e, node->args[1], &h.arg) ||
        !histograms_group(e, node, &h)) {
        return false;
    }
    e->visits += (uint64_t)h.group_count * h.arg.count * e->steps;
    if (e->visits > QL_PROMQL_VISITS_MAX) {
        return pq_eval_fail(e, node, QL_E_RANGE, "too many buckets: select fewer series");
    }
    value.rows = pq_take(e, node, h.group_count, sizeof(*value.rows));
    for (uint32_t i = 0; value.rows != NULL && i < h.group_count; i++) {
        double *row = pq_take_row(e, node);
        if (row == NULL) {
            return false;
        }
        histogram_row(e, &h, i, q.scalar, row);
        value.rows[value.count++] =
            (struct ql_promql_row){ .labels = h.labels[i], .values = row };
    }
    *ret_value = value;
    return value.rows != NULL && pq_merge(e, node, ret_value, false);
}
