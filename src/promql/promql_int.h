/* promql_int.h - tokens, trees and values, shared by the files of this folder.
 *
 * A tree is made by the parser, checked for types while it is made, and never changed
 * after. A value is what a tree gives over the whole grid of times at once: one number for
 * each series and step, so that a function runs down a row, not through a tree, per step.
 */
#ifndef QL_PROMQL_PROMQL_INT_H
#define QL_PROMQL_PROMQL_INT_H

#include "promql/promql.h"

/* ---- tokens (lex.c) ------------------------------------------------------------------ */

enum pq_token_kind {
    PQ_END, PQ_NAME, PQ_NUMBER, PQ_DURATION, PQ_STRING, PQ_OPEN, PQ_CLOSE, PQ_BRACE_OPEN,
    PQ_BRACE_CLOSE, PQ_BRACKET_OPEN, PQ_BRACKET_CLOSE, PQ_COMMA, PQ_COLON, PQ_AT, PQ_ASSIGN,
    PQ_MATCH, PQ_MATCH_NOT, PQ_OPERATOR
};

enum pq_op {
    PQ_ADD, PQ_SUB, PQ_MUL, PQ_DIV, PQ_MOD, PQ_POW, PQ_ATAN2, PQ_EQ, PQ_NE, PQ_GT, PQ_LT, PQ_GE,
    PQ_LE, PQ_AND, PQ_OR, PQ_UNLESS
};

struct pq_token {
    enum pq_token_kind kind;
    enum pq_op op;
    uint32_t at, bytes;      /* where it stands in the text */
    double number;
    int64_t duration_ms;
    ql_str string;           /* unescaped */
};

/* ---- trees (parse.c) ----------------------------------------------------------------- */

enum pq_kind { PQ_K_NUMBER, PQ_K_STRING, PQ_K_SELECTOR, PQ_K_CALL, PQ_K_AGGREGATE, PQ_K_BINARY,
               PQ_K_NEGATE };

enum pq_aggregate {
    PQ_SUM, PQ_AVG, PQ_MIN, PQ_MAX, PQ_COUNT, PQ_GROUP, PQ_STDDEV, PQ_STDVAR, PQ_TOPK, PQ_BOTTOMK,
    PQ_QUANTILE
};

enum pq_card { PQ_ONE_TO_ONE, PQ_MANY_TO_ONE, PQ_ONE_TO_MANY, PQ_MANY_TO_MANY };

struct pq_names { ql_str *at; uint32_t count; }; /* sorted, distinct */

#define PQ_ARGS_MAX 4u
struct pq_node {
    enum pq_kind kind;
    enum ql_promql_type type;
    uint32_t at;                  /* byte of the text, for errors */
    uint32_t depth;
    bool in_parens;
    struct pq_node *args[PQ_ARGS_MAX];  /* of calls; [0] and [1] of the others */
    uint32_t arg_count;
    double number;
    ql_str string;
    /* selector */
    struct ql_matcher *matchers;
    uint32_t matcher_count;
    int64_t range_ms, offset_ms;
    bool has_offset;
    /* call */
    const struct pq_function *function;
    /* aggregate */
    enum pq_aggregate aggregate;
    bool without;
    struct pq_names grouping;
    /* binary */
    enum pq_op op;
    bool returns_bool, on;
    enum pq_card card;
    struct pq_names matching, include;
};

struct ql_promql {
    struct ql_arena arena;
    ql_str text;
    struct pq_node *root;
};

struct pq_parser {
    ql_str text;
    size_t at;
    struct pq_token token;     /* the one not yet used */
    struct ql_arena *arena;
    struct ql_promql_error *error;
    uint32_t depth, node_count;
    bool failed;
};

/* Notes the first error; always false. */
bool pq_fail(struct pq_parser *p, size_t at, const char *format, ...) QL_PRINTF(3, 4);
bool pq_refuse(struct pq_parser *p, size_t at, const char *format, ...) QL_PRINTF(3, 4);
bool pq_no_memory(struct pq_parser *p);
QL_MUST_USE bool pq_advance(struct pq_parser *p); /* reads the next token */
bool pq_is_word(const struct pq_parser *p, const char *word); /* the token, in any case */
const char *pq_token_text(const struct pq_parser *p, char out[64]);
struct pq_node *pq_node_new(struct pq_parser *p, enum pq_kind kind, enum ql_promql_type type,
                            size_t at);
/* A selector from its name or brace on, with range and offset (parse_selector.c). */
struct pq_node *pq_parse_selector(struct pq_parser *p);
QL_MUST_USE bool pq_parse_offset(struct pq_parser *p, struct pq_node *node);
QL_MUST_USE bool pq_node_add(struct pq_parser *p, struct pq_node *node, struct pq_node *arg);
/* Past a token of this kind, in what `where` names. */
QL_MUST_USE bool pq_expect(struct pq_parser *p, enum pq_token_kind kind, const char *wanted,
                           const char *where);
/* Behind its name (parse_call.c). */
struct pq_aggregate_row { const char *name; enum pq_aggregate which; bool parameter; };
const struct pq_aggregate_row *pq_aggregate_here(const struct pq_parser *p); /* NULL: no such name */
struct pq_node *pq_parse_aggregate(struct pq_parser *p, const struct pq_aggregate_row *row,
                                   size_t at);
struct pq_node *pq_parse_call(struct pq_parser *p, ql_str name, size_t at);
/* (a, b, c) */
QL_MUST_USE bool pq_parse_names(struct pq_parser *p, struct pq_names *ret_names);
struct pq_node *pq_parse_expression(struct pq_parser *p, int power_min);

/* ---- functions (functions.c) --------------------------------------------------------- */

enum pq_handler {
    PQ_H_WINDOW, PQ_H_MATH, PQ_H_ROUND, PQ_H_CLAMP, PQ_H_SCALAR, PQ_H_VECTOR, PQ_H_TIME, PQ_H_PI,
    PQ_H_TIMESTAMP, PQ_H_SORT, PQ_H_ABSENT, PQ_H_ABSENT_WINDOW, PQ_H_DATE, PQ_H_HISTOGRAM
};

/* The samples of a window, without stale markers, and how it lies. */
struct pq_window {
    const int64_t *ms;
    const double *values;
    uint32_t count;
    int64_t start_ms, end_ms, range_ms, now_ms;
    double parameter;            /* of quantile_over_time, predict_linear */
    double *scratch;             /* room for `count` numbers */
};

struct pq_function {
    const char *name;
    const char *args;            /* s scalar, v vector, m range vector; those behind ? may lack */
    enum ql_promql_type type;
    enum pq_handler handler;
    bool (*window)(const struct pq_window *w, double *ret_value);
    double (*math)(double x);
    int which;                   /* of its handler's kinds */
    bool keeps_name;
};
const struct pq_function *pq_function_find(ql_str name);
/* A function of Prometheus that is outside of the subset. */
bool pq_function_is_known(ql_str name);

/* over_time.c: false when the window gives nothing. */
#define PQ_WINDOW_MAP(X)                                                                       \
    X(avg) X(min) X(max) X(sum) X(count) X(last) X(quantile) X(stddev) X(stdvar) X(present)    \
    X(rate) X(increase) X(delta) X(irate) X(idelta) X(changes) X(resets) X(deriv) X(predict)
#define X(name) bool pq_window_##name(const struct pq_window *w, double *ret_value);
PQ_WINDOW_MAP(X)
#undef X
/* Sorts the values; NaN for none, infinite beyond [0, 1]. */
double pq_quantile(double q, double *values, uint32_t count);
struct pq_kahan { double sum, rest; };
void pq_kahan_add(struct pq_kahan *k, double x);

/* ---- values (eval.c) ----------------------------------------------------------------- */

struct pq_value {
    enum ql_promql_type type;
    struct ql_promql_row *rows;  /* VECTOR, MATRIX */
    uint32_t count;
    double *scalar;              /* SCALAR: one a step */
    bool sorted;
};

struct pq_eval {
    const struct ql_promql *expression;
    const struct ql_promql_source *source;
    struct ql_promql_grid grid;
    uint32_t steps;
    struct ql_arena *arena;
    struct ql_promql_error *error;
    uint64_t samples_read, visits;
    int64_t *window_ms;          /* one series' samples, reused */
    double *window_values, *scratch;
    uint32_t window_count_max;
};

/* Notes an error at the node; always false. */
bool pq_eval_fail(struct pq_eval *e, const struct pq_node *node, ql_err err, const char *format,
                  ...) QL_PRINTF(4, 5);
void *pq_take(struct pq_eval *e, const struct pq_node *node, size_t count, size_t size);
double *pq_take_row(struct pq_eval *e, const struct pq_node *node); /* all absent */
static inline int64_t pq_step_ms(const struct pq_eval *e, uint32_t step)
{
    return e->grid.start_ms + (int64_t)step * e->grid.step_ms;
}
QL_MUST_USE bool pq_eval_node(struct pq_eval *e, const struct pq_node *node,
                              struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_call(struct pq_eval *e, const struct pq_node *node,
                              struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_aggregate(struct pq_eval *e, const struct pq_node *node,
                                   struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_binary(struct pq_eval *e, const struct pq_node *node,
                                struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_histogram(struct pq_eval *e, const struct pq_node *node,
                                   struct pq_value *ret_value);
/* An instant selector; `times` asks for the times of the samples in place of their values. */
QL_MUST_USE bool pq_eval_selector(struct pq_eval *e, const struct pq_node *node, bool times,
                                  struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_window(struct pq_eval *e, const struct pq_node *node,
                                struct pq_value *ret_value);
QL_MUST_USE bool pq_eval_raw(struct pq_eval *e, const struct pq_node *node,
                             struct pq_value *ret_value);

/* ---- label blocks (keys.c) ----------------------------------------------------------- */

/* Blocks are canonical, so a subset of their fields is canonical too. {NULL, 0}: no room. */
ql_str pq_labels_keep(struct ql_arena *arena, ql_str block, const struct pq_names *names);
/* Without these and, if so told, without the name. */
ql_str pq_labels_drop(struct ql_arena *arena, ql_str block, const struct pq_names *names,
                      bool name_too);
bool pq_names_has(const struct pq_names *names, ql_str name);
/* Numbers equal keys alike, 0, 1, 2 in order of their first: ret_groups has `count` slots. */
QL_MUST_USE bool pq_group(struct ql_arena *arena, const ql_str *keys, uint32_t count,
                          uint32_t *ret_groups, uint32_t *ret_group_count);
/* Rows that became alike because a label went: joins those that never stand at one step,
 * fails for others as Prometheus does. `strict`: even those. */
QL_MUST_USE bool pq_merge(struct pq_eval *e, const struct pq_node *node, struct pq_value *value,
                          bool strict);

#endif
