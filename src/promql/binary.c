/* binary.c - arithmetic, comparison and set operators between scalars and vectors.
 *
 * Vectors meet by a key of their labels. Who meets whom is found out once for all steps,
 * but whether a match is unique is decided step by step, since series come and go.
 */
#include "model/labels.h"
#include "promql/promql_int.h"

#include <math.h>

/* ---- numbers ------------------------------------------------------------------------- */

static bool op_is_comparison(enum pq_op op)
{
    return op >= PQ_EQ && op <= PQ_LE;
}

/* Does a result lose the metric's name? Prometheus keeps it for atan2, and so do we. */
static bool op_drops_name(const struct pq_node *node)
{
    return node->op < PQ_ATAN2 || node->returns_bool;
}

static bool numbers_equal(double a, double b)
{
    return !(a < b || a > b || isnan(a) || isnan(b));
}

static bool op_compare(enum pq_op op, double a, double b)
{
    switch (op) {
    case PQ_EQ: return numbers_equal(a, b);
    case PQ_NE: return !numbers_equal(a, b);
    case PQ_GT: return a > b;
    case PQ_LT: return a < b;
    case PQ_GE: return a >= b;
    default: return a <= b;
    }
}

static double op_compute(enum pq_op op, double a, double b)
{
    switch (op) {
    case PQ_ADD: return a + b;
    case PQ_SUB: return a - b;
    case PQ_MUL: return a * b;
    case PQ_DIV: return a / b;
    case PQ_MOD: return fmod(a, b);
    case PQ_POW: return pow(a, b);
    default: return atan2(a, b);
    }
}

/* The value of a cell, or false when a comparison filters it out. `kept` is what a filter
 * lets through. */
static bool op_cell(const struct pq_node *node, double a, double b, double kept,
                    double *ret_value)
{
    if (!op_is_comparison(node->op)) {
        *ret_value = op_compute(node->op, a, b);
        return true;
    }
    const bool true_here = op_compare(node->op, a, b);
    *ret_value = node->returns_bool ? (true_here ? 1.0 : 0.0) : kept;
    return true_here || node->returns_bool;
}

/* ---- with scalars -------------------------------------------------------------------- */

static bool binary_scalars(const struct pq_eval *e, const struct pq_node *node,
                           struct pq_value *left, const struct pq_value *right,
                           struct pq_value *ret_value)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        (void)op_cell(node, left->scalar[s], right->scalar[s], 0.0, &left->scalar[s]);
    }
    *ret_value = *left;
    return true;
}

static bool binary_mixed(struct pq_eval *e, const struct pq_node *node, struct pq_value *vector,
                         const double *scalar, bool scalar_left, struct pq_value *ret_value)
{
    const double absent = ql_promql_absent();
    const bool drop = op_drops_name(node);
    for (uint32_t i = 0; i < vector->count; i++) {
        struct ql_promql_row *row = &vector->rows[i];
        row->labels = drop ? pq_labels_drop(e->arena, row->labels, NULL, true) : row->labels;
        for (uint32_t s = 0; s < e->steps; s++) {
            const double x = row->values[s];
            if (ql_promql_is_absent(x)) {
                continue;
            }
            if (!op_cell(node, scalar_left ? scalar[s] : x, scalar_left ? x : scalar[s], x,
                         &row->values[s])) {
                memcpy(&row->values[s], &absent, sizeof(absent));
            }
        }
    }
    *ret_value = *vector;
    return pq_merge(e, node, ret_value, false);
}

/* ---- keys of both sides -------------------------------------------------------------- */

struct sides {
    struct pq_value many, one;   /* of set operators: left and right */
    uint32_t *many_key, *one_key;
    uint32_t key_count;
    bool swapped;                /* group_right: the right side is the many */
};

static bool sides_keys(struct pq_eval *e, const struct pq_node *node, struct sides *s)
{
    const uint32_t count = s->many.count + s->one.count;
    ql_str *keys = pq_take(e, node, count, sizeof(*keys));
    uint32_t *groups = pq_take(e, node, count, sizeof(*groups));
    if (keys == NULL || groups == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const ql_str labels = i < s->many.count ? s->many.rows[i].labels
                                                : s->one.rows[i - s->many.count].labels;
        keys[i] = node->on ? pq_labels_keep(e->arena, labels, &node->matching)
                           : pq_labels_drop(e->arena, labels, &node->matching, true);
        if (keys[i].at == NULL) {
            return pq_eval_fail(e, node, QL_E_RANGE, "no room for labels");
        }
    }
    s->many_key = groups;
    s->one_key = groups + s->many.count;
    return pq_group(e->arena, keys, count, groups, &s->key_count) ||
           pq_eval_fail(e, node, QL_E_MEMORY, "no memory");
}

/* ---- set operators ------------------------------------------------------------------- */

/* For each step and key, whether the other side has it: one bit a key, step after step. */
static void keys_present(const struct pq_value *value, const uint32_t *key, uint32_t step,
                         uint8_t *present, uint32_t key_count)
{
    memset(present, 0, key_count);
    for (uint32_t i = 0; i < value->count; i++) {
        present[key[i]] |= !ql_promql_is_absent(value->rows[i].values[step]);
    }
}

static void cells_clear(struct pq_value *value, const uint32_t *key, uint32_t step,
                        const uint8_t *present, bool where)
{
    const double absent = ql_promql_absent();
    for (uint32_t i = 0; i < value->count; i++) {
        if ((present[key[i]] != 0) == where) {
            memcpy(&value->rows[i].values[step], &absent, sizeof(absent));
        }
    }
}

static bool binary_set(struct pq_eval *e, const struct pq_node *node, struct sides *s,
                       struct pq_value *ret_value)
{
    struct pq_value value = { .type = QL_PROMQL_VECTOR };
    uint8_t *present = pq_take(e, node, s->key_count, 1);
    value.rows = pq_take(e, node, (size_t)s->many.count + s->one.count, sizeof(*value.rows));
    if (present == NULL || value.rows == NULL) {
        return false;
    }
    for (uint32_t step = 0; step < e->steps; step++) {
        if (node->op == PQ_OR) {
            keys_present(&s->many, s->many_key, step, present, s->key_count);
            cells_clear(&s->one, s->one_key, step, present, true);
        } else {
            keys_present(&s->one, s->one_key, step, present, s->key_count);
            cells_clear(&s->many, s->many_key, step, present, node->op == PQ_UNLESS);
        }
    }
    memcpy(value.rows, s->many.rows, s->many.count * sizeof(*value.rows));
    value.count = s->many.count;
    if (node->op == PQ_OR) {
        memcpy(value.rows + value.count, s->one.rows, s->one.count * sizeof(*value.rows));
        value.count += s->one.count;
    }
    *ret_value = value;
    return pq_merge(e, node, ret_value, false);
}

/* ---- one to one and many to one ------------------------------------------------------ */

/* The labels of a result: those of the many, less what the operator takes away, with what
 * group_left asks for from the one. */
static bool match_labels(struct pq_eval *e, const struct pq_node *node, ql_str many, ql_str one,
                         ql_str *ret_labels)
{
    ql_str labels = op_drops_name(node) ? pq_labels_drop(e->arena, many, NULL, true) : many;
    if (node->card == PQ_ONE_TO_ONE && labels.at != NULL) {
        labels = node->on ? pq_labels_keep(e->arena, labels, &node->matching)
                          : pq_labels_drop(e->arena, labels, &node->matching, false);
    }
    if (node->include.count > 0 && labels.at != NULL) {
        struct ql_label list[QL_LABELS_COUNT_MAX * 2];
        struct ql_label label;
        struct ql_buf block;
        uint32_t count = 0;
        size_t at = 0;
        while (count < QL_LABELS_COUNT_MAX && ql_labels_next(labels, &at, &label)) {
            if (!pq_names_has(&node->include, label.name)) {
                list[count++] = label;
            }
        }
        for (uint32_t i = 0; i < node->include.count && count < QL_COUNT_OF(list); i++) {
            const ql_str name = node->include.at[i];
            list[count++] = (struct ql_label){ name, ql_labels_get(one, name) };
        }
        ql_buf_init(&block, QL_LABELS_BYTES_MAX * 2);
        const ql_err err = ql_labels_build(list, count, &block);
        labels = ql_arena_str(e->arena, ql_buf_view(&block));
        ql_buf_fini(&block);
        if (err != QL_OK) {
            return pq_eval_fail(e, node, QL_E_RANGE, "labels of a result: %s", ql_err_text(err));
        }
    }
    *ret_labels = labels;
    return labels.at != NULL || pq_eval_fail(e, node, QL_E_RANGE, "no room for labels");
}

static bool match_is_ambiguous(struct pq_eval *e, const struct pq_node *node,
                               const struct sides *s, uint32_t row)
{
    struct ql_buf text;
    ql_buf_init(&text, 4096);
    const ql_str labels = s->one.rows[row].labels;
    (void)ql_labels_text(node->on ? pq_labels_keep(e->arena, labels, &node->matching)
                                  : pq_labels_drop(e->arena, labels, &node->matching, true),
                         &text);
    const ql_str shown = ql_buf_view(&text);
    (void)pq_eval_fail(e, node, QL_E_RANGE,
                       "found duplicate series for the match group %.*s on the %s hand-side of the"
                       " operation;many-to-many matching not allowed: matching labels must be"
                       " unique on one side",
                       (int)(shown.bytes < 200 ? shown.bytes : 200), shown.at,
                       s->swapped ? "left" : "right");
    ql_buf_fini(&text);
    return false;
}

struct matcher {
    struct sides *s;
    uint32_t *one_at;        /* key to row of the one side at this step; or NONE */
    uint32_t *taken_by;      /* one to one: key to the row of the many that had it, + 1 */
    uint32_t *pair_next;     /* pairs of one row of the many, linked */
    uint32_t *pair_first, *pair_one;
    struct ql_promql_row *pairs;
    uint32_t pair_count, pair_max;
};
#define MATCH_NONE UINT32_MAX

static bool match_step_one(struct pq_eval *e, const struct pq_node *node, struct matcher *m,
                           uint32_t step)
{
    const struct sides *s = m->s;
    bool any_many = false; /* with nothing on one side, nothing can be ambiguous */
    for (uint32_t i = 0; i < s->many.count && !any_many; i++) {
        any_many = !ql_promql_is_absent(s->many.rows[i].values[step]);
    }
    memset(m->one_at, 0xff, s->key_count * sizeof(*m->one_at));
    memset(m->taken_by, 0, s->key_count * sizeof(*m->taken_by));
    for (uint32_t i = 0; any_many && i < s->one.count; i++) {
        if (ql_promql_is_absent(s->one.rows[i].values[step])) {
            continue;
        }
        if (m->one_at[s->one_key[i]] != MATCH_NONE) {
            return match_is_ambiguous(e, node, s, i);
        }
        m->one_at[s->one_key[i]] = i;
    }
    return true;
}

/* The row of results of this pair of series; made when the pair first meets. */
static double *match_pair(struct pq_eval *e, const struct pq_node *node, struct matcher *m,
                          uint32_t many, uint32_t one)
{
    uint32_t at = m->pair_first[many];
    while (at != MATCH_NONE && m->pair_one[at] != one) {
        at = m->pair_next[at];
    }
    if (at != MATCH_NONE) {
        return m->pairs[at].values;
    }
    if (m->pair_count == m->pair_max) {
        (void)pq_eval_fail(e, node, QL_E_RANGE, "more than %u pairs of series match",
                           m->pair_max);
        return NULL;
    }
    at = m->pair_count;
    m->pairs[at] = (struct ql_promql_row){ .values = pq_take_row(e, node) };
    if (m->pairs[at].values == NULL ||
        !match_labels(e, node, m->s->many.rows[many].labels, m->s->one.rows[one].labels,
                      &m->pairs[at].labels)) {
        return NULL;
    }
    m->pair_one[at] = one;
    m->pair_next[at] = m->pair_first[many];
    m->pair_first[many] = at;
    m->pair_count++;
    return m->pairs[at].values;
}

static bool match_step(struct pq_eval *e, const struct pq_node *node, struct matcher *m,
                       uint32_t step)
{
    const struct sides *s = m->s;
    if (!match_step_one(e, node, m, step)) {
        return false;
    }
    for (uint32_t i = 0; i < s->many.count; i++) {
        const double x = s->many.rows[i].values[step];
        const uint32_t one = m->one_at[s->many_key[i]];
        double value;
        if (ql_promql_is_absent(x) || one == MATCH_NONE) {
            continue;
        }
        const double y = s->one.rows[one].values[step];
        const double a = s->swapped ? y : x, b = s->swapped ? x : y;
        if (!op_cell(node, a, b, a, &value)) {
            continue;
        }
        if (node->card == PQ_ONE_TO_ONE && m->taken_by[s->many_key[i]]++ > 0) {
            return pq_eval_fail(e, node, QL_E_RANGE,
                                "multiple matches for labels: many-to-one matching must be"
                                " explicit (group_left/group_right)");
        }
        double *row = match_pair(e, node, m, i, one);
        if (row == NULL) {
            return false;
        }
        row[step] = value;
    }
    return true;
}

static bool binary_match(struct pq_eval *e, const struct pq_node *node, struct sides *s,
                         struct pq_value *ret_value)
{
    struct matcher m = { .s = s };
    /* A series of the many meets one other at a time; over the steps it may be several. */
    m.pair_max = s->many.count * 2 + s->one.count * 2;
    m.one_at = pq_take(e, node, s->key_count, sizeof(*m.one_at));
    m.taken_by = pq_take(e, node, s->key_count, sizeof(*m.taken_by));
    m.pair_first = pq_take(e, node, s->many.count, sizeof(*m.pair_first));
    m.pair_next = pq_take(e, node, m.pair_max, sizeof(*m.pair_next));
    m.pair_one = pq_take(e, node, m.pair_max, sizeof(*m.pair_one));
    m.pairs = pq_take(e, node, m.pair_max, sizeof(*m.pairs));
    if (m.one_at == NULL || m.taken_by == NULL || m.pair_first == NULL || m.pair_next == NULL ||
        m.pair_one == NULL || m.pairs == NULL) {
        return false;
    }
    memset(m.pair_first, 0xff, s->many.count * sizeof(*m.pair_first));
    for (uint32_t step = 0; step < e->steps; step++) {
        if (!match_step(e, node, &m, step)) {
            return false;
        }
    }
    *ret_value =
        (struct pq_value){ .type = QL_PROMQL_VECTOR, .rows = m.pairs, .count = m.pair_count };
    return pq_merge(e, node, ret_value, false);
}

/* ---- by kinds of operands ------------------------------------------------------------ */

bool pq_eval_binary(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct pq_value left, right;
    if (!pq_eval_node(e, node->args[0], &left) || !pq_eval_node(e, node->args[1], &right)) {
        return false;
    }
    const bool left_scalar = left.type == QL_PROMQL_SCALAR;
    if (left_scalar && right.type == QL_PROMQL_SCALAR) {
        return binary_scalars(e, node, &left, &right, ret_value);
    }
    if (left_scalar || right.type == QL_PROMQL_SCALAR) {
        return binary_mixed(e, node, left_scalar ? &right : &left,
                            left_scalar ? left.scalar : right.scalar, left_scalar, ret_value);
    }
    const bool swapped = node->card == PQ_ONE_TO_MANY;
    struct sides s = { .many = swapped ? right : left, .one = swapped ? left : right,
                       .swapped = swapped };
    if (!sides_keys(e, node, &s)) {
        return false;
    }
    return node->card == PQ_MANY_TO_MANY ? binary_set(e, node, &s, ret_value)
                                         : binary_match(e, node, &s, ret_value);
}
