/* call.c - functions of instant vectors and scalars. */
#include "model/labels.h"
#include "promql/promql_int.h"

#include <math.h>
#include <stdlib.h>

/* ---- arguments ----------------------------------------------------------------------- */

struct call_args { struct pq_value at[PQ_ARGS_MAX]; };

static bool args_eval(struct pq_eval *e, const struct pq_node *node, struct call_args *args)
{
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (!pq_eval_node(e, node->args[i], &args->at[i])) {
            return false;
        }
    }
    return true;
}

static bool rows_drop_name(struct pq_eval *e, const struct pq_node *node, struct pq_value *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        value->rows[i].labels = pq_labels_drop(e->arena, value->rows[i].labels, NULL, true);
        if (value->rows[i].labels.at == NULL) {
            return pq_eval_fail(e, node, QL_E_RANGE, "no room for labels");
        }
    }
    return true;
}

/* A vector with one row that has no labels. */
static bool single_row(struct pq_eval *e, const struct pq_node *node, double *row,
                       struct pq_value *ret_value)
{
    *ret_value = (struct pq_value){ .type = QL_PROMQL_VECTOR, .count = 1 };
    ret_value->rows = pq_take(e, node, 1, sizeof(*ret_value->rows));
    if (row == NULL || ret_value->rows == NULL) {
        return false;
    }
    ret_value->rows[0] = (struct ql_promql_row){ .labels = QL_STR(""), .values = row };
    return true;
}

/* ---- number by number ---------------------------------------------------------------- */

static double round_to(double x, double nearest)
{
    const double inverse = 1.0 / nearest;
    return floor(x * inverse + 0.5) / inverse;
}

/* As Go's math.Max and math.Min: no number wins. */
static double max_go(double a, double b)
{
    return isnan(a) || isnan(b) ? __builtin_nan("") : fmax(a, b);
}

static double min_go(double a, double b)
{
    return isnan(a) || isnan(b) ? __builtin_nan("") : fmin(a, b);
}

/* The value of one cell; false when the call leaves it empty. */
static bool cell_map(const struct pq_node *node, const struct call_args *args, uint32_t step,
                     double x, double *ret_value)
{
    const struct pq_function *f = node->function;
    const double one = node->arg_count > 1 ? args->at[1].scalar[step] : 0.0;
    const double two = node->arg_count > 2 ? args->at[2].scalar[step] : 0.0;
    switch (f->handler) {
    case PQ_H_MATH: *ret_value = f->math(x); return true;
    case PQ_H_ROUND: *ret_value = round_to(x, node->arg_count > 1 ? one : 1.0); return true;
    default: break;
    }
    QL_ASSERT(f->handler == PQ_H_CLAMP);
    if (f->which == 0) {
        *ret_value = max_go(one, min_go(two, x));
        return !(two < one);
    }
    *ret_value = f->which == 1 ? max_go(one, x) : min_go(one, x);
    return true;
}

static bool call_map(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    const double absent = ql_promql_absent();
    struct call_args args;
    if (!args_eval(e, node, &args) || !rows_drop_name(e, node, &args.at[0])) {
        return false;
    }
    for (uint32_t i = 0; i < args.at[0].count; i++) {
        double *row = args.at[0].rows[i].values;
        for (uint32_t s = 0; s < e->steps; s++) {
            if (!ql_promql_is_absent(row[s]) && !cell_map(node, &args, s, row[s], &row[s])) {
                memcpy(&row[s], &absent, sizeof(absent));
            }
        }
    }
    *ret_value = args.at[0];
    ret_value->sorted = false;
    return pq_merge(e, node, ret_value, false);
}

/* ---- dates --------------------------------------------------------------------------- */

struct date { int64_t year; int month, day, weekday, yearday, hour, minute; bool leap; };

/* The civil calendar from days since 1970 (H. Hinnant, "chrono-compatible low-level date
 * algorithms"): eras of 400 years that start in March. */
static struct date date_of(int64_t seconds)
{
    static const int before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    struct date d;
    const int64_t days = (seconds - (seconds % 86400 + 86400) % 86400) / 86400;
    const int64_t rest = seconds - days * 86400, z = days + 719468;
    const int64_t era = (z - (z % 146097 + 146097) % 146097) / 146097, doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    d.day = (int)(doy - (153 * mp + 2) / 5) + 1;
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = yoe + era * 400 + (d.month <= 2 ? 1 : 0);
    d.leap = (d.year % 4 == 0 && d.year % 100 != 0) || d.year % 400 == 0;
    d.weekday = (int)(((days + 4) % 7 + 7) % 7);
    d.yearday = before[d.month - 1] + d.day + (d.leap && d.month > 2 ? 1 : 0);
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest / 60 % 60);
    return d;
}

static double date_part(double at_s, int which)
{
    static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (!(fabs(at_s) < 1e15)) {
        return __builtin_nan("");
    }
    const struct date d = date_of((int64_t)at_s);
    switch (which) {
    case 0: return d.day;
    case 1: return d.weekday;
    case 2: return d.yearday;
    case 3: return lengths[d.month - 1] + (d.leap && d.month == 2 ? 1 : 0);
    case 4: return d.hour;
    case 5: return d.minute;
    case 6: return d.month;
    default: return (double)d.year;
    }
}

static bool call_time_row(struct pq_eval *e, const struct pq_node *node, double **ret_row)
{
    double *row = pq_take_row(e, node);
    for (uint32_t s = 0; row != NULL && s < e->steps; s++) {
        row[s] = (double)pq_step_ms(e, s) / 1000.0;
    }
    *ret_row = row;
    return row != NULL;
}

static bool call_date(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct call_args args;
    double *now;
    if (node->arg_count == 0) {
        if (!call_time_row(e, node, &now) || !single_row(e, node, now, &args.at[0])) {
            return false;
        }
    } else if (!args_eval(e, node, &args) || !rows_drop_name(e, node, &args.at[0])) {
        return false;
    }
    for (uint32_t i = 0; i < args.at[0].count; i++) {
        double *row = args.at[0].rows[i].values;
        for (uint32_t s = 0; s < e->steps; s++) {
            row[s] = ql_promql_is_absent(row[s]) ? row[s]
                                                 : date_part(row[s], node->function->which);
        }
    }
    *ret_value = args.at[0];
    return pq_merge(e, node, ret_value, false);
}

/* ---- between scalars and vectors ----------------------------------------------------- */

static bool call_scalar(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct call_args args;
    double *scalar = pq_take(e, node, e->steps, sizeof(*scalar));
    if (scalar == NULL || !args_eval(e, node, &args)) {
        return false;
    }
    for (uint32_t s = 0; s < e->steps; s++) {
        uint32_t found = 0;
        scalar[s] = __builtin_nan("");
        for (uint32_t i = 0; i < args.at[0].count && found < 2; i++) {
            const double x = args.at[0].rows[i].values[s];
            if (!ql_promql_is_absent(x)) {
                scalar[s] = found++ == 0 ? x : __builtin_nan("");
            }
        }
    }
    *ret_value = (struct pq_value){ .type = QL_PROMQL_SCALAR, .scalar = scalar };
    return true;
}

static bool call_vector(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct call_args args;
    return args_eval(e, node, &args) && single_row(e, node, args.at[0].scalar, ret_value);
}

static bool call_number(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    double *row;
    if (!call_time_row(e, node, &row)) {
        return false;
    }
    for (uint32_t s = 0; node->function->handler == PQ_H_PI && s < e->steps; s++) {
        row[s] = M_PI;
    }
    *ret_value = (struct pq_value){ .type = QL_PROMQL_SCALAR, .scalar = row };
    return true;
}

static bool call_timestamp(struct pq_eval *e, const struct pq_node *node,
                           struct pq_value *ret_value)
{
    const struct pq_node *arg = node->args[0];
    if (arg->kind == PQ_K_SELECTOR) {
        return pq_eval_selector(e, arg, true, ret_value) && rows_drop_name(e, node, ret_value) &&
               pq_merge(e, node, ret_value, false);
    }
    if (!pq_eval_node(e, arg, ret_value) || !rows_drop_name(e, node, ret_value)) {
        return false;
    }
    for (uint32_t i = 0; i < ret_value->count; i++) {
        double *row = ret_value->rows[i].values;
        for (uint32_t s = 0; s < e->steps; s++) {
            row[s] = ql_promql_is_absent(row[s]) ? row[s] : (double)pq_step_ms(e, s) / 1000.0;
        }
    }
    return pq_merge(e, node, ret_value, false);
}

/* ---- order --------------------------------------------------------------------------- */

/* Rows by their only value, no numbers last; equal ones keep their order. */
static int row_rise(const void *a, const void *b)
{
    const struct ql_promql_row *x = a, *y = b;
    const double p = x->values[0], q = y->values[0];
    if (isnan(p) || isnan(q)) {
        return isnan(p) - isnan(q);
    }
    return p < q ? -1 : p > q ? 1 : ql_str_cmp(x->labels, y->labels);
}

static int row_fall(const void *a, const void *b)
{
    const struct ql_promql_row *x = a, *y = b;
    const double p = x->values[0], q = y->values[0];
    if (isnan(p) || isnan(q)) {
        return isnan(p) - isnan(q);
    }
    return p > q ? -1 : p < q ? 1 : ql_str_cmp(x->labels, y->labels);
}

/* Only an answer at one time has an order; over a grid it is by labels in any case. */
static bool call_sort(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct call_args args;
    if (!args_eval(e, node, &args) || !pq_merge(e, node, &args.at[0], false)) {
        return false;
    }
    *ret_value = args.at[0];
    if (e->steps == 1 && ret_value->count > 1) {
        qsort(ret_value->rows, ret_value->count, sizeof(*ret_value->rows),
              node->function->which == 0 ? row_rise : row_fall);
    }
    ret_value->sorted = true;
    return true;
}

/* ---- absence ------------------------------------------------------------------------- */

/* What the selector says about the missing series: its equal matchers, each name once. */
static bool absent_labels(struct pq_eval *e, const struct pq_node *node,
                          const struct pq_node *selector, ql_str *ret_labels)
{
    struct ql_label labels[64];
    struct ql_buf block;
    uint32_t count = 0;
    ql_buf_init(&block, QL_LABELS_BYTES_MAX * 4);
    for (uint32_t i = 0; selector->kind == PQ_K_SELECTOR && i < selector->matcher_count; i++) {
        const struct ql_matcher *m = &selector->matchers[i];
        uint32_t same = 0;
        for (uint32_t k = 0; k < selector->matcher_count; k++) {
            same += ql_str_eq(selector->matchers[k].name, m->name);
        }
        if (m->op == '=' && same == 1 && !ql_str_eq(m->name, QL_STR("__name__"))) {
            labels[count++] = (struct ql_label){ m->name, m->value };
        }
    }
    const ql_err err = ql_labels_build(labels, count, &block);
    *ret_labels = err == QL_OK ? ql_arena_str(e->arena, ql_buf_view(&block)) : QL_STR("");
    ql_buf_fini(&block);
    return err == QL_OK || pq_eval_fail(e, node, QL_E_RANGE, "the labels of the selector: %s",
                                        ql_err_text(err));
}

static bool call_absent(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct pq_value arg;
    ql_str labels;
    const bool window = node->function->handler == PQ_H_ABSENT_WINDOW;
    double *row = pq_take_row(e, node);
    if (row == NULL || !absent_labels(e, node, node->args[0], &labels) ||
        !(window ? pq_eval_window(e, node, &arg) : pq_eval_node(e, node->args[0], &arg))) {
        return false;
    }
    for (uint32_t s = 0; s < e->steps; s++) {
        bool any = false;
        for (uint32_t i = 0; i < arg.count && !any; i++) {
            any = !ql_promql_is_absent(arg.rows[i].values[s]);
        }
        if (!any) {
            row[s] = 1.0;
        }
    }
    if (!single_row(e, node, row, ret_value)) {
        return false;
    }
    ret_value->rows[0].labels = labels;
    return true;
}

/* ---- by handler ---------------------------------------------------------------------- */

bool pq_eval_call(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    switch (node->function->handler) {
    case PQ_H_WINDOW: return pq_eval_window(e, node, ret_value);
    case PQ_H_MATH:
    case PQ_H_ROUND:
    case PQ_H_CLAMP: return call_map(e, node, ret_value);
    case PQ_H_SCALAR: return call_scalar(e, node, ret_value);
    case PQ_H_VECTOR: return call_vector(e, node, ret_value);
    case PQ_H_TIME:
    case PQ_H_PI: return call_number(e, node, ret_value);
    case PQ_H_TIMESTAMP: return call_timestamp(e, node, ret_value);
    case PQ_H_SORT: return call_sort(e, node, ret_value);
    case PQ_H_ABSENT:
    case PQ_H_ABSENT_WINDOW: return call_absent(e, node, ret_value);
    case PQ_H_DATE: return call_date(e, node, ret_value);
    case PQ_H_HISTOGRAM: return pq_eval_histogram(e, node, ret_value);
    }
    return pq_eval_fail(e, node, QL_E_UNSUPPORTED, "the function %s() is not supported",
                        node->function->name);
}
