/* aggregate.c - sum, avg, topk and their kin, by or without labels. */
#include "promql/promql_int.h"

#include <math.h>
#include <stdlib.h>

/* ---- groups -------------------------------------------------------------------------- */

struct grouped {
    struct pq_value arg;
    uint32_t *group_of;   /* row to group */
    uint32_t *members;    /* rows, those of one group together and in order */
    uint32_t *first;      /* where a group's members start; [group_count] is the end */
    ql_str *labels;       /* of each group */
    uint32_t group_count;
};

static bool group_rows(struct pq_eval *e, const struct pq_node *node, struct grouped *g)
{
    const uint32_t count = g->arg.count;
    ql_str *keys = pq_take(e, node, count, sizeof(*keys));
    g->group_of = pq_take(e, node, count, sizeof(*g->group_of));
    g->members = pq_take(e, node, count, sizeof(*g->members));
    g->first = pq_take(e, node, count + 2, sizeof(*g->first));
    g->labels = pq_take(e, node, count, sizeof(*g->labels));
    if (keys == NULL || g->group_of == NULL || g->members == NULL || g->first == NULL ||
        g->labels == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const ql_str labels = g->arg.rows[i].labels;
        keys[i] = node->without ? pq_labels_drop(e->arena, labels, &node->grouping, true)
                                : pq_labels_keep(e->arena, labels, &node->grouping);
        if (keys[i].at == NULL) {
            return pq_eval_fail(e, node, QL_E_RANGE, "no room for labels");
        }
    }
    if (!pq_group(e->arena, keys, count, g->group_of, &g->group_count)) {
        return pq_eval_fail(e, node, QL_E_MEMORY, "no memory");
    }
    memset(g->first, 0, (count + 2) * sizeof(*g->first));
    for (uint32_t i = 0; i < count; i++) {
        g->first[g->group_of[i] + 2]++;
        g->labels[g->group_of[i]] = keys[i];
    }
    for (uint32_t i = 2; i < count + 2; i++) {
        g->first[i] += g->first[i - 1];
    }
    for (uint32_t i = 0; i < count; i++) {
        g->members[g->first[g->group_of[i] + 1]++] = i;
    }
    return true;
}

/* ---- one number a group and step ----------------------------------------------------- */

struct total { double value, mean; uint32_t count; };

static void total_first(struct total *t, enum pq_aggregate which, double x)
{
    const bool plain = which == PQ_SUM || which == PQ_MIN || which == PQ_MAX || which == PQ_AVG;
    *t = (struct total){ .value = plain ? x : 0.0, .mean = x, .count = 1 };
}

static void total_mean(struct total *t, double x)
{
    t->count++;
    if (isinf(t->mean) &&
        ((isinf(x) && (t->mean > 0.0) == (x > 0.0)) || (!isinf(x) && !isnan(x)))) {
        return;
    }
    t->mean += x / (double)t->count - t->mean / (double)t->count;
}

static void total_add(struct total *t, enum pq_aggregate which, double x)
{
    switch (which) {
    case PQ_SUM: t->value += x; break;
    case PQ_AVG: total_mean(t, x); break;
    case PQ_MIN: t->value = t->value > x || isnan(t->value) ? x : t->value; break;
    case PQ_MAX: t->value = t->value < x || isnan(t->value) ? x : t->value; break;
    case PQ_STDDEV:
    case PQ_STDVAR: {
        const double delta = x - t->mean;
        t->mean += delta / (double)++t->count;
        t->value += delta * (x - t->mean);
        break;
    }
    default: t->count++; break;
    }
}

static double total_end(const struct total *t, enum pq_aggregate which)
{
    switch (which) {
    case PQ_AVG: return t->mean;
    case PQ_COUNT: return (double)t->count;
    case PQ_GROUP: return 1.0;
    case PQ_STDDEV: return sqrt(t->value / (double)t->count);
    case PQ_STDVAR: return t->value / (double)t->count;
    default: return t->value;
    }
}

static void group_total(const struct pq_eval *e, const struct pq_node *node,
                        const struct grouped *g, uint32_t group, double *row)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        struct total total = { .count = 0 };
        for (uint32_t k = g->first[group]; k < g->first[group + 1]; k++) {
            const double x = g->arg.rows[g->members[k]].values[s];
            if (ql_promql_is_absent(x)) {
                continue;
            }
            if (total.count == 0) {
                total_first(&total, node->aggregate, x);
            } else {
                total_add(&total, node->aggregate, x);
            }
        }
        if (total.count > 0) {
            row[s] = total_end(&total, node->aggregate);
        }
    }
}

static void group_quantile(const struct pq_eval *e, const struct grouped *g, uint32_t group,
                           const double *parameter, double *scratch, double *row)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        uint32_t count = 0;
        for (uint32_t k = g->first[group]; k < g->first[group + 1]; k++) {
            const double x = g->arg.rows[g->members[k]].values[s];
            if (!ql_promql_is_absent(x)) {
                scratch[count++] = x;
            }
        }
        if (count > 0) {
            row[s] = pq_quantile(parameter[s], scratch, count);
        }
    }
}

static bool aggregate_numbers(struct pq_eval *e, const struct pq_node *node,
                              const struct grouped *g, const double *parameter,
                              struct pq_value *ret_value)
{
    struct pq_value value = { .type = QL_PROMQL_VECTOR };
    double *scratch = pq_take(e, node, g->arg.count, sizeof(*scratch));
    value.rows = pq_take(e, node, g->group_count, sizeof(*value.rows));
    if (value.rows == NULL || scratch == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < g->group_count; i++) {
        double *row = pq_take_row(e, node);
        if (row == NULL) {
            return false;
        }
        if (node->aggregate == PQ_QUANTILE) {
            group_quantile(e, g, i, parameter, scratch, row);
        } else {
            group_total(e, node, g, i, row);
        }
        value.rows[value.count++] =
            (struct ql_promql_row){ .labels = g->labels[i], .values = row };
    }
    *ret_value = value;
    return true;
}

/* ---- the k largest or smallest ------------------------------------------------------- */

struct ranked { double value; uint32_t row; };

/* Largest first, then no numbers; equal ones in the order of their rows. */
static int rank_fall(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value)) {
        return isnan(x->value) - isnan(y->value);
    }
    if (x->value > y->value || x->value < y->value) {
        return x->value > y->value ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

static int rank_rise(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (isnan(x->value) != isnan(y->value)) {
        return isnan(x->value) - isnan(y->value);
    }
    if (x->value > y->value || x->value < y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

struct ranking {
    const struct grouped *g;
    const double *k;
    struct ranked *ranked;
    uint32_t *order;       /* of an answer at one time: rows as they are shown */
    uint32_t order_count;
};

static bool rank_count(struct pq_eval *e, const struct pq_node *node, double k,
                       uint32_t *ret_count)
{
    if (isnan(k) || k < -9.2e18 || k > 9.2e18) {
        return pq_eval_fail(e, node, QL_E_RANGE, "Scalar value %g overflows int64", k);
    }
    *ret_count = k < 1.0 ? 0 : k > 4e9 ? UINT32_MAX : (uint32_t)k;
    return true;
}

/* Empties the cells of a group that are not among the k. */
static bool rank_group(struct pq_eval *e, const struct pq_node *node, struct ranking *r,
                       uint32_t group, uint32_t step)
{
    const double absent = ql_promql_absent();
    const struct grouped *g = r->g;
    uint32_t count = 0, k = 0;
    if (!rank_count(e, node, r->k[step], &k)) {
        return false;
    }
    for (uint32_t i = g->first[group]; i < g->first[group + 1]; i++) {
        const double x = g->arg.rows[g->members[i]].values[step];
        if (!ql_promql_is_absent(x)) {
            r->ranked[count++] = (struct ranked){ x, g->members[i] };
        }
    }
    qsort(r->ranked, count, sizeof(*r->ranked),
          node->aggregate == PQ_TOPK ? rank_fall : rank_rise);
    for (uint32_t i = 0; i < count; i++) {
        if (i >= k) {
            memcpy(&g->arg.rows[r->ranked[i].row].values[step], &absent, sizeof(absent));
        } else if (e->steps == 1) {
            r->order[r->order_count++] = r->ranked[i].row;
        }
    }
    return true;
}

static bool aggregate_rank(struct pq_eval *e, const struct pq_node *node, const struct grouped *g,
                           const double *k, struct pq_value *ret_value)
{
    struct ranking r = { .g = g, .k = k };
    r.ranked = pq_take(e, node, g->arg.count, sizeof(*r.ranked));
    r.order = pq_take(e, node, g->arg.count, sizeof(*r.order));
    if (r.ranked == NULL || r.order == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < g->group_count; i++) {
        for (uint32_t s = 0; s < e->steps; s++) {
            if (!rank_group(e, node, &r, i, s)) {
                return false;
            }
        }
    }
    *ret_value = g->arg;
    if (e->steps == 1) {
        ret_value->rows = pq_take(e, node, r.order_count, sizeof(*ret_value->rows));
        for (uint32_t i = 0; ret_value->rows != NULL && i < r.order_count; i++) {
            ret_value->rows[i] = g->arg.rows[r.order[i]];
        }
        ret_value->count = r.order_count;
        ret_value->sorted = true;
    }
    return ret_value->rows != NULL;
}

bool pq_eval_aggregate(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct grouped g = { .group_count = 0 };
    struct pq_value parameter = { .scalar = NULL };
    if (node->arg_count == 2 && !pq_eval_node(e, node->args[0], &parameter)) {
        return false;
    }
    if (!pq_eval_node(e, node->args[node->arg_count - 1], &g.arg) || !group_rows(e, node, &g)) {
        return false;
    }
    if (node->aggregate == PQ_TOPK || node->aggregate == PQ_BOTTOMK) {
        return aggregate_rank(e, node, &g, parameter.scalar, ret_value);
    }
    return aggregate_numbers(e, node, &g, parameter.scalar, ret_value);
}
