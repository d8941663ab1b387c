/* eval.c - trees to values: selectors, windows, what joins them; and the evaluation as a whole. */
#include "promql/promql_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TIME_MS_MAX INT64_C(9000000000000) /* well inside of what nanoseconds can say */

/* ---- errors and memory --------------------------------------------------------------- */

bool pq_eval_fail(struct pq_eval *e, const struct pq_node *node, ql_err err, const char *format,
                  ...)
{
    struct ql_promql_error *error = e->error;
    const ql_str text = e->expression->text;
    char said[QL_PROMQL_ERROR_BYTES - 64];
    va_list args;
    if (error->err != QL_OK) {
        return false;
    }
    va_start(args, format);
    (void)vsnprintf(said, sizeof(said), format, args);
    va_end(args);
    error->err = err;
    error->line = error->column = 1;
    for (size_t i = 0; i < node->at && i < text.bytes; i++) {
        error->column = text.at[i] == '\n' ? 1 : error->column + 1;
        error->line += text.at[i] == '\n';
    }
    (void)snprintf(error->text, sizeof(error->text), "%u:%u: %s", error->line, error->column,
                   said);
    return false;
}

void *pq_take(struct pq_eval *e, const struct pq_node *node, size_t count, size_t size)
{
    size_t bytes;
    void *at = __builtin_mul_overflow(count > 0 ? count : 1, size, &bytes)
                   ? NULL
                   : ql_arena_take(e->arena, bytes);
    if (at == NULL) {
        (void)pq_eval_fail(e, node, QL_E_RANGE,
                           "the query needs more than %zu MiB of results: select fewer series or"
                           " a coarser step", QL_PROMQL_BYTES_MAX >> 20);
    }
    return at;
}

double *pq_take_row(struct pq_eval *e, const struct pq_node *node)
{
    const double absent = ql_promql_absent();
    double *row = pq_take(e, node, e->steps, sizeof(*row));
    for (uint32_t s = 0; row != NULL && s < e->steps; s++) {
        memcpy(&row[s], &absent, sizeof(absent));
    }
    return row;
}

/* ---- series -------------------------------------------------------------------------- */

struct selection { struct ql_promql_series *at; uint32_t count; int64_t from_ms, to_ms; };

static int64_t time_clamp(int64_t ms)
{
    return ms > TIME_MS_MAX ? TIME_MS_MAX : ms < -TIME_MS_MAX ? -TIME_MS_MAX : ms;
}

static bool selection_find(struct pq_eval *e, const struct pq_node *node, int64_t back_ms,
                           struct selection *s)
{
    const int64_t last_ms = pq_step_ms(e, e->steps - 1);
    s->from_ms = time_clamp(e->grid.start_ms - node->offset_ms - back_ms);
    s->to_ms = time_clamp(last_ms - node->offset_ms);
    const ql_err err =
        e->source->find(e->source->host, node->matchers, node->matcher_count, s->from_ms, s->to_ms,
                        QL_PROMQL_SERIES_MAX, e->arena, &s->at, &s->count);
    if (err != QL_OK) {
        return pq_eval_fail(e, node, err, "finding series: %s", ql_err_text(err));
    }
    return s->count <= QL_PROMQL_SERIES_MAX ||
           pq_eval_fail(e, node, QL_E_RANGE, "the selector matches more than %u series",
                        QL_PROMQL_SERIES_MAX);
}

static bool series_read(struct pq_eval *e, const struct pq_node *node, const struct selection *s,
                        uint32_t index, const struct ql_sample **ret_samples, uint32_t *ret_count)
{
    const ql_err err = e->source->read(e->source->host, &s->at[index], s->from_ms, s->to_ms,
                                       ret_samples, ret_count);
    if (err != QL_OK) {
        return pq_eval_fail(e, node, err, "reading samples: %s", ql_err_text(err));
    }
    e->samples_read += *ret_count;
    return e->samples_read <= QL_PROMQL_SAMPLES_MAX ||
           pq_eval_fail(e, node, QL_E_RANGE, "the query reads more than %llu samples",
                        (unsigned long long)QL_PROMQL_SAMPLES_MAX);
}

/* ---- instant selectors --------------------------------------------------------------- */

/* The newest sample within the look-back of each step, unless it is a stale marker. */
static void row_look_back(const struct pq_eval *e, const struct pq_node *node,
                          const struct ql_sample *samples, uint32_t count, bool times,
                          double *row)
{
    uint32_t next = 0; /* the first sample behind the step */
    for (uint32_t s = 0; s < e->steps; s++) {
        const int64_t at_ms = pq_step_ms(e, s) - node->offset_ms;
        while (next < count && ql_time_to_ms(samples[next].at) <= at_ms) {
            next++;
        }
        if (next == 0) {
            continue;
        }
        const int64_t ms = ql_time_to_ms(samples[next - 1].at);
        if (ms < at_ms - QL_PROMQL_LOOKBACK_MS || ql_promql_is_absent(samples[next - 1].value)) {
            continue;
        }
        row[s] = times ? (double)ms / 1000.0 : samples[next - 1].value;
    }
}

bool pq_eval_selector(struct pq_eval *e, const struct pq_node *node, bool times,
                      struct pq_value *ret_value)
{
    struct selection s;
    struct pq_value value = { .type = QL_PROMQL_VECTOR };
    if (!selection_find(e, node, QL_PROMQL_LOOKBACK_MS, &s)) {
        return false;
    }
    value.rows = pq_take(e, node, s.count, sizeof(*value.rows));
    for (uint32_t i = 0; value.rows != NULL && i < s.count; i++) {
        const struct ql_sample *samples;
        uint32_t count;
        if (!series_read(e, node, &s, i, &samples, &count)) {
            return false;
        }
        if (count == 0) {
            continue;
        }
        double *row = pq_take_row(e, node);
        if (row == NULL) {
            return false;
        }
        row_look_back(e, node, samples, count, times, row);
        value.rows[value.count++] =
            (struct ql_promql_row){ .labels = s.at[i].labels, .values = row };
    }
    *ret_value = value;
    return value.rows != NULL;
}

/* ---- range selectors ----------------------------------------------------------------- */

/* Room in the evaluation for one series' samples; grown, never shrunk. */
static bool window_room(struct pq_eval *e, const struct pq_node *node, uint32_t count)
{
    if (count <= e->window_count_max) {
        return true;
    }
    const uint32_t wanted = count + count / 2;
    e->window_ms = pq_take(e, node, wanted, sizeof(*e->window_ms));
    e->window_values = pq_take(e, node, wanted, sizeof(*e->window_values));
    e->scratch = pq_take(e, node, wanted, sizeof(*e->scratch));
    e->window_count_max = wanted;
    return e->window_ms != NULL && e->window_values != NULL && e->scratch != NULL;
}

/* Copies all but the stale markers, which no window shows. */
static uint32_t window_load(struct pq_eval *e, const struct ql_sample *samples, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!ql_promql_is_absent(samples[i].value)) {
            e->window_ms[kept] = ql_time_to_ms(samples[i].at);
            e->window_values[kept++] = samples[i].value;
        }
    }
    return kept;
}

struct window_call {
    const struct pq_node *node, *selector;
    const double *parameter; /* one a step, or NULL */
};

static bool row_windows(struct pq_eval *e, const struct window_call *call, uint32_t count,
                        double *row)
{
    uint32_t first = 0, behind = 0;
    for (uint32_t s = 0; s < e->steps; s++) {
        const int64_t end_ms = pq_step_ms(e, s) - call->selector->offset_ms;
        const int64_t start_ms = end_ms - call->selector->range_ms;
        for (; behind < count && e->window_ms[behind] <= end_ms; behind++) {}
        for (; first < behind && e->window_ms[first] < start_ms; first++) {}
        const struct pq_window window = {
            .ms = e->window_ms + first, .values = e->window_values + first,
            .count = behind - first, .start_ms = start_ms, .end_ms = end_ms,
            .range_ms = call->selector->range_ms, .now_ms = pq_step_ms(e, s),
            .parameter = call->parameter != NULL ? call->parameter[s] : 0.0, .scratch = e->scratch,
        };
        double value;
        e->visits += window.count;
        if (window.count > 0 && call->node->function->window(&window, &value)) {
            row[s] = value;
        }
    }
    return e->visits <= QL_PROMQL_VISITS_MAX ||
           pq_eval_fail(e, call->node, QL_E_RANGE,
                        "the windows of the query hold more than %llu samples in all: take"
                        " shorter ranges or a coarser step",
                        (unsigned long long)QL_PROMQL_VISITS_MAX);
}

/* The calls whose one range vector and at most one number give a number a window. */
static bool window_arguments(struct pq_eval *e, const struct pq_node *node,
                             struct window_call *call)
{
    *call = (struct window_call){ .node = node };
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->type == QL_PROMQL_MATRIX) {
            call->selector = node->args[i];
            continue;
        }
        struct pq_value parameter;
        if (!pq_eval_node(e, node->args[i], &parameter)) {
            return false;
        }
        call->parameter = parameter.scalar;
    }
    QL_ASSERT(call->selector != NULL && call->selector->kind == PQ_K_SELECTOR);
    return true;
}

static int window_extreme(const struct pq_function *function)
{
    return function->window == pq_window_max ? 1 : function->window == pq_window_min ? -1 : 0;
}

bool pq_eval_window(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct window_call call;
    struct selection s;
    struct pq_value value = { .type = QL_PROMQL_VECTOR };
    if (!window_arguments(e, node, &call) ||
        !selection_find(e, call.selector, call.selector->range_ms, &s)) {
        return false;
    }
    value.rows = pq_take(e, node, s.count, sizeof(*value.rows));
    for (uint32_t i = 0; value.rows != NULL && i < s.count; i++) {
        const struct ql_sample *samples;
        uint32_t count;
        s.at[i].extreme = window_extreme(node->function);
        if (!series_read(e, call.selector, &s, i, &samples, &count) ||
            !window_room(e, node, count)) {
            return false;
        }
        count = window_load(e, samples, count);
        double *row = count > 0 ? pq_take_row(e, node) : NULL;
        if (count == 0) {
            continue;
        }
        if (row == NULL || !row_windows(e, &call, count, row)) {
            return false;
        }
        const ql_str labels = node->function->keeps_name
                                  ? s.at[i].labels
                                  : pq_labels_drop(e->arena, s.at[i].labels, NULL, true);
        value.rows[value.count++] = (struct ql_promql_row){ .labels = labels, .values = row };
    }
    *ret_value = value;
    return value.rows != NULL && pq_merge(e, node, ret_value, true);
}

/* A range selector by itself, which only a query at one time may ask. */
bool pq_eval_raw(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    struct selection s;
    struct pq_value value = { .type = QL_PROMQL_MATRIX };
    if (!selection_find(e, node, node->range_ms, &s)) {
        return false;
    }
    value.rows = pq_take(e, node, s.count, sizeof(*value.rows));
    for (uint32_t i = 0; value.rows != NULL && i < s.count; i++) {
        const struct ql_sample *samples;
        uint32_t count, kept = 0;
        if (!series_read(e, node, &s, i, &samples, &count)) {
            return false;
        }
        struct ql_sample *copy = pq_take(e, node, count, sizeof(*copy));
        if (copy == NULL) {
            return false;
        }
        for (uint32_t k = 0; k < count; k++) {
            if (!ql_promql_is_absent(samples[k].value)) {
                copy[kept++] = samples[k];
            }
        }
        if (kept > 0) {
            value.rows[value.count++] = (struct ql_promql_row){
                .labels = s.at[i].labels, .samples = copy, .sample_count = kept };
        }
    }
    *ret_value = value;
    return value.rows != NULL;
}

/* ---- trees --------------------------------------------------------------------------- */

static bool eval_number(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    *ret_value = (struct pq_value){ .type = QL_PROMQL_SCALAR };
    ret_value->scalar = pq_take(e, node, e->steps, sizeof(double));
    for (uint32_t s = 0; ret_value->scalar != NULL && s < e->steps; s++) {
        ret_value->scalar[s] = node->number;
    }
    return ret_value->scalar != NULL;
}

static bool eval_negate(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    if (!pq_eval_node(e, node->args[0], ret_value)) {
        return false;
    }
    if (ret_value->type == QL_PROMQL_SCALAR) {
        for (uint32_t s = 0; s < e->steps; s++) {
            ret_value->scalar[s] = -ret_value->scalar[s];
        }
        return true;
    }
    for (uint32_t i = 0; i < ret_value->count; i++) {
        struct ql_promql_row *row = &ret_value->rows[i];
        row->labels = pq_labels_drop(e->arena, row->labels, NULL, true);
        for (uint32_t s = 0; s < e->steps; s++) {
            if (!ql_promql_is_absent(row->values[s])) {
                row->values[s] = -row->values[s];
            }
        }
    }
    return pq_merge(e, node, ret_value, true);
}

bool pq_eval_node(struct pq_eval *e, const struct pq_node *node, struct pq_value *ret_value)
{
    switch (node->kind) {
    case PQ_K_NUMBER: return eval_number(e, node, ret_value);
    case PQ_K_SELECTOR:
        return node->type == QL_PROMQL_MATRIX ? pq_eval_raw(e, node, ret_value)
                                              : pq_eval_selector(e, node, false, ret_value);
    case PQ_K_CALL: return pq_eval_call(e, node, ret_value);
    case PQ_K_AGGREGATE: return pq_eval_aggregate(e, node, ret_value);
    case PQ_K_BINARY: return pq_eval_binary(e, node, ret_value);
    case PQ_K_NEGATE: return eval_negate(e, node, ret_value);
    case PQ_K_STRING: break;
    }
    *ret_value = (struct pq_value){ .type = QL_PROMQL_STRING };
    return true;
}

/* ---- the whole ----------------------------------------------------------------------- */

static bool grid_check(struct pq_eval *e)
{
    const struct pq_node *root = e->expression->root;
    const struct ql_promql_grid *grid = &e->grid;
    if (grid->start_ms < -TIME_MS_MAX || grid->end_ms > TIME_MS_MAX || grid->end_ms < grid->start_ms ||
        grid->step_ms < 0) {
        return pq_eval_fail(e, root, QL_E_RANGE, "the times asked for are out of range");
    }
    const int64_t steps =
        grid->step_ms > 0 ? (grid->end_ms - grid->start_ms) / grid->step_ms + 1 : 1;
    if (steps > QL_PROMQL_STEPS_MAX) {
        return pq_eval_fail(e, root, QL_E_RANGE, "more than %u points a series",
                            QL_PROMQL_STEPS_MAX - 1);
    }
    e->steps = (uint32_t)steps;
    if (grid->step_ms > 0 && root->type != QL_PROMQL_SCALAR && root->type != QL_PROMQL_VECTOR) {
        e->error->err = QL_E_MALFORMED;
        (void)snprintf(e->error->text, sizeof(e->error->text),
                       "invalid expression type \"%s\" for range query, must be Scalar or instant"
                       " Vector", ql_promql_type_text(root->type));
        return false;
    }
    return true;
}

static void result_fill(const struct pq_eval *e, struct pq_value *value,
                        struct ql_promql_result *result)
{
    result->type = value->type;
    result->step_count = e->steps;
    result->sorted = value->sorted;
    result->samples_read = e->samples_read;
    result->rows = value->rows;
    result->row_count = value->count;
    result->text = e->expression->root->string;
}

static bool eval_whole(struct pq_eval *e, struct ql_promql_result *result)
{
    const struct pq_node *root = e->expression->root;
    struct pq_value value;
    if (!grid_check(e) || !pq_eval_node(e, root, &value)) {
        return false;
    }
    if (value.type == QL_PROMQL_SCALAR) {
        value.rows = pq_take(e, root, 1, sizeof(*value.rows));
        if (value.rows == NULL) {
            return false;
        }
        value.rows[0] = (struct ql_promql_row){ .labels = QL_STR(""), .values = value.scalar };
        value.count = 1;
    } else if (value.type == QL_PROMQL_VECTOR && !pq_merge(e, root, &value, false)) {
        return false;
    }
    result_fill(e, &value, result);
    return true;
}

ql_err ql_promql_eval(const struct ql_promql *expression, const struct ql_promql_source *source,
                      const struct ql_promql_grid *grid, struct ql_promql_result *ret_result,
                      struct ql_promql_error *ret_error)
{
    struct ql_promql_result result = { .row_count = 0 };
    ql_arena_init(&result.arena, QL_PROMQL_BYTES_MAX);
    *ret_error = (struct ql_promql_error){ .err = QL_OK };
    struct pq_eval e = { .expression = expression, .source = source, .grid = *grid,
                         .arena = &result.arena, .error = ret_error };
    if (!eval_whole(&e, &result)) {
        QL_ASSERT(ret_error->err != QL_OK);
        ql_arena_fini(&result.arena);
        return ret_error->err;
    }
    *ret_result = result;
    return QL_OK;
}

void ql_promql_result_fini(struct ql_promql_result *result)
{
    ql_arena_fini(&result->arena);
    *result = (struct ql_promql_result){ .row_count = 0 };
}
