/* parse.c - expressions by precedence climbing, checked for types as they are put together. */
#include "promql/promql_int.h"

#include <stdio.h>
#include <stdlib.h>

enum { POWER_UNARY = 6, ARENA_BYTES_MAX = 8 << 20 };

const char *ql_promql_type_text(enum ql_promql_type type)
{
    static const char *const texts[] = { [QL_PROMQL_SCALAR] = "scalar",
                                         [QL_PROMQL_VECTOR] = "instant vector",
                                         [QL_PROMQL_MATRIX] = "range vector",
                                         [QL_PROMQL_STRING] = "string" };
    return texts[(size_t)type % QL_COUNT_OF(texts)];
}

/* ---- operators ----------------------------------------------------------------------- */

struct operator_row { const char *text; enum pq_op op; int power; bool comparison, set; };
static const struct operator_row operators[] = {
    { "or", PQ_OR, 1, false, true }, { "and", PQ_AND, 2, false, true },
    { "unless", PQ_UNLESS, 2, false, true }, { "==", PQ_EQ, 3, true, false },
    { "!=", PQ_NE, 3, true, false }, { "<=", PQ_LE, 3, true, false },
    { "<", PQ_LT, 3, true, false }, { ">=", PQ_GE, 3, true, false },
    { ">", PQ_GT, 3, true, false }, { "+", PQ_ADD, 4, false, false },
    { "-", PQ_SUB, 4, false, false }, { "*", PQ_MUL, 5, false, false },
    { "/", PQ_DIV, 5, false, false }, { "%", PQ_MOD, 5, false, false },
    { "atan2", PQ_ATAN2, 5, false, false }, { "^", PQ_POW, 7, false, false },
};

static const struct operator_row *operator_here(const struct pq_parser *p)
{
    for (size_t i = 0; i < QL_COUNT_OF(operators); i++) {
        const struct operator_row *row = &operators[i];
        if (p->token.kind == PQ_OPERATOR ? p->token.op == row->op : pq_is_word(p, row->text)) {
            return row;
        }
    }
    return NULL;
}

/* ---- nodes --------------------------------------------------------------------------- */

struct pq_node *pq_node_new(struct pq_parser *p, enum pq_kind kind, enum ql_promql_type type,
                            size_t at)
{
    if (++p->node_count > QL_PROMQL_NODES_MAX) {
        (void)pq_refuse(p, at, "an expression of more than %u parts is not supported",
                        QL_PROMQL_NODES_MAX);
        return NULL;
    }
    struct pq_node *node = ql_arena_take(p->arena, sizeof(*node));
    if (node == NULL) {
        (void)pq_no_memory(p);
        return NULL;
    }
    *node = (struct pq_node){ .kind = kind, .type = type, .at = (uint32_t)at, .depth = 1 };
    return node;
}

/* Chains such as a + b + c are as deep as they are long: the depth is the tree's. */
bool pq_node_add(struct pq_parser *p, struct pq_node *node, struct pq_node *arg)
{
    QL_ASSERT(node->arg_count < PQ_ARGS_MAX);
    node->args[node->arg_count++] = arg;
    node->depth = node->depth > arg->depth ? node->depth : arg->depth + 1;
    return node->depth <= QL_PROMQL_DEPTH_MAX ||
           pq_refuse(p, node->at, "an expression nested deeper than %u is not supported",
                     QL_PROMQL_DEPTH_MAX);
}

bool pq_expect(struct pq_parser *p, enum pq_token_kind kind, const char *wanted,
               const char *where)
{
    char text[64];
    if (p->token.kind != kind) {
        return pq_fail(p, p->token.at, "unexpected %s in %s, expected %s", pq_token_text(p, text),
                       where, wanted);
    }
    return pq_advance(p);
}

/* ---- primaries ----------------------------------------------------------------------- */

/* The next character that is no blank: tells `sum (x)` from a metric called sum. */
static int next_char(const struct pq_parser *p)
{
    size_t at = p->at;
    while (at < p->text.bytes && memchr(" \t\r\n", p->text.at[at], 4) != NULL) {
        at++;
    }
    return at < p->text.bytes ? (unsigned char)p->text.at[at] : -1;
}

static bool next_is_grouping(const struct pq_parser *p)
{
    struct pq_parser ahead = *p;
    struct ql_promql_error error;
    ahead.error = &error;
    return pq_advance(&ahead) && (pq_is_word(&ahead, "by") || pq_is_word(&ahead, "without"));
}

static struct pq_node *word_parse(struct pq_parser *p)
{
    const size_t at = p->token.at;
    const ql_str name = { p->text.at + at, p->token.bytes };
    if (pq_is_word(p, "nan") || pq_is_word(p, "inf")) {
        struct pq_node *node = pq_node_new(p, PQ_K_NUMBER, QL_PROMQL_SCALAR, at);
        if (node != NULL) {
            node->number = pq_is_word(p, "nan") ? __builtin_nan("") : __builtin_inf();
        }
        return node != NULL && pq_advance(p) ? node : NULL;
    }
    const struct pq_aggregate_row *aggregate = pq_aggregate_here(p);
    if (aggregate != NULL && (next_char(p) == '(' || next_is_grouping(p))) {
        return pq_advance(p) ? pq_parse_aggregate(p, aggregate, at) : NULL;
    }
    if (pq_is_word(p, "count_values") && (next_char(p) == '(' || next_is_grouping(p))) {
        (void)pq_refuse(p, at, "the aggregation count_values is not supported");
        return NULL;
    }
    if (next_char(p) == '(') {
        return pq_advance(p) ? pq_parse_call(p, name, at) : NULL;
    }
    return pq_parse_selector(p);
}

static struct pq_node *literal_parse(struct pq_parser *p)
{
    const bool number = p->token.kind == PQ_NUMBER;
    struct pq_node *node = pq_node_new(p, number ? PQ_K_NUMBER : PQ_K_STRING,
                                       number ? QL_PROMQL_SCALAR : QL_PROMQL_STRING, p->token.at);
    if (node != NULL) {
        node->number = p->token.number;
        node->string = p->token.string;
    }
    return node != NULL && pq_advance(p) ? node : NULL;
}

static struct pq_node *parens_parse(struct pq_parser *p)
{
    if (!pq_advance(p)) {
        return NULL;
    }
    struct pq_node *node = pq_parse_expression(p, 0);
    if (node == NULL || !pq_expect(p, PQ_CLOSE, "\")\"", "parenthesized expression")) {
        return NULL;
    }
    node->in_parens = true;
    return node;
}

static struct pq_node *negate_parse(struct pq_parser *p)
{
    const size_t at = p->token.at;
    const bool minus = p->token.op == PQ_SUB;
    if (!pq_advance(p)) {
        return NULL;
    }
    struct pq_node *arg = pq_parse_expression(p, POWER_UNARY);
    if (arg == NULL) {
        return NULL;
    }
    if (arg->type != QL_PROMQL_SCALAR && arg->type != QL_PROMQL_VECTOR) {
        (void)pq_fail(p, at, "unary expression only allowed on expressions of type scalar or"
                      " instant vector, got \"%s\"", ql_promql_type_text(arg->type));
        return NULL;
    }
    if (!minus) {
        return arg;
    }
    struct pq_node *node = pq_node_new(p, PQ_K_NEGATE, arg->type, at);
    return node != NULL && pq_node_add(p, node, arg) ? node : NULL;
}

static struct pq_node *primary_parse(struct pq_parser *p)
{
    char text[64];
    switch (p->token.kind) {
    case PQ_NAME: return word_parse(p);
    case PQ_BRACE_OPEN: return pq_parse_selector(p);
    case PQ_NUMBER:
    case PQ_STRING: return literal_parse(p);
    case PQ_OPEN: return parens_parse(p);
    case PQ_OPERATOR:
        if (p->token.op == PQ_SUB || p->token.op == PQ_ADD) {
            return negate_parse(p);
        }
        break;
    default: break;
    }
    if (p->token.kind == PQ_END && p->token.at == 0) {
        (void)pq_fail(p, 0, "no expression found in input");
    } else {
        (void)pq_fail(p, p->token.at, "unexpected %s", pq_token_text(p, text));
    }
    return NULL;
}

/* What may stand behind a primary: offset, and what is refused. */
static struct pq_node *postfix_parse(struct pq_parser *p)
{
    struct pq_node *node = primary_parse(p);
    while (node != NULL) {
        if (pq_is_word(p, "offset")) {
            node = pq_parse_offset(p, node) ? node : NULL;
        } else if (p->token.kind == PQ_AT) {
            (void)pq_refuse(p, p->token.at, "the @ modifier is not supported");
            node = NULL;
        } else if (p->token.kind == PQ_BRACKET_OPEN) {
            const char *close = memchr(p->text.at + p->token.at, ']',
                                       p->text.bytes - p->token.at);
            const size_t bytes = close != NULL ? (size_t)(close - p->text.at) - p->token.at : 0;
            if (bytes > 0 && memchr(p->text.at + p->token.at, ':', bytes) != NULL) {
                (void)pq_refuse(p, p->token.at, "subqueries ([range:step]) are not supported");
            } else {
                (void)pq_fail(p, p->token.at, "ranges only allowed for vector selectors");
            }
            node = NULL;
        } else {
            break;
        }
    }
    return node;
}

/* ---- binary expressions -------------------------------------------------------------- */

static bool group_parse(struct pq_parser *p, struct pq_node *node)
{
    if (!pq_is_word(p, "group_left") && !pq_is_word(p, "group_right")) {
        return true;
    }
    node->card = pq_is_word(p, "group_left") ? PQ_MANY_TO_ONE : PQ_ONE_TO_MANY;
    if (!pq_advance(p)) {
        return false;
    }
    return p->token.kind != PQ_OPEN || pq_parse_names(p, &node->include);
}

static bool modifiers_parse(struct pq_parser *p, struct pq_node *node,
                            const struct operator_row *row)
{
    if (pq_is_word(p, "bool")) {
        if (!row->comparison) {
            return pq_fail(p, p->token.at, "bool modifier can only be used on comparison operators");
        }
        node->returns_bool = true;
        if (!pq_advance(p)) {
            return false;
        }
    }
    if (pq_is_word(p, "on") || pq_is_word(p, "ignoring")) {
        node->on = pq_is_word(p, "on");
        return pq_advance(p) && pq_parse_names(p, &node->matching) && group_parse(p, node);
    }
    return true;
}

static bool binary_check(struct pq_parser *p, const struct pq_node *node,
                         const struct operator_row *row)
{
    const enum ql_promql_type left = node->args[0]->type, right = node->args[1]->type;
    if ((left != QL_PROMQL_SCALAR && left != QL_PROMQL_VECTOR) ||
        (right != QL_PROMQL_SCALAR && right != QL_PROMQL_VECTOR)) {
        return pq_fail(p, node->at, "binary expression must contain only scalar and instant vector"
                       " types");
    }
    const bool both_vectors = left == QL_PROMQL_VECTOR && right == QL_PROMQL_VECTOR;
    if (row->comparison && left == QL_PROMQL_SCALAR && right == QL_PROMQL_SCALAR &&
        !node->returns_bool) {
        return pq_fail(p, node->at, "comparisons between scalars must use BOOL modifier");
    }
    if (row->set && !both_vectors) {
        return pq_fail(p, node->at, "set operator \"%s\" not allowed in binary scalar expression",
                       row->text);
    }
    if (node->matching.count > 0 && !both_vectors) {
        return pq_fail(p, node->at, "vector matching only allowed between instant vectors");
    }
    if (row->set && (node->card == PQ_MANY_TO_ONE || node->card == PQ_ONE_TO_MANY)) {
        return pq_fail(p, node->at, "no grouping allowed for \"%s\" operation", row->text);
    }
    for (uint32_t i = 0; i < node->include.count && node->on; i++) {
        if (pq_names_has(&node->matching, node->include.at[i])) {
            return pq_fail(p, node->at, "label \"%.*s\" must not occur in ON and GROUP clause at"
                           " once", QL_STR_ARG(node->include.at[i]));
        }
    }
    return true;
}

static struct pq_node *binary_parse(struct pq_parser *p, struct pq_node *left,
                                    const struct operator_row *row)
{
    struct pq_node *node = pq_node_new(p, PQ_K_BINARY, QL_PROMQL_VECTOR, p->token.at);
    if (node == NULL || !pq_advance(p)) {
        return NULL;
    }
    node->op = row->op;
    node->card = PQ_ONE_TO_ONE;
    if (!modifiers_parse(p, node, row)) {
        return NULL;
    }
    /* ^ is the only one that binds to the right. */
    struct pq_node *right =
        pq_parse_expression(p, row->op == PQ_POW ? row->power : row->power + 1);
    if (right == NULL || !pq_node_add(p, node, left) || !pq_node_add(p, node, right) ||
        !binary_check(p, node, row)) {
        return NULL;
    }
    if (row->set) {
        node->card = PQ_MANY_TO_MANY;
    }
    if (left->type == QL_PROMQL_SCALAR && right->type == QL_PROMQL_SCALAR) {
        node->type = QL_PROMQL_SCALAR;
    }
    return node;
}

struct pq_node *pq_parse_expression(struct pq_parser *p, int power_min)
{
    if (++p->depth > QL_PROMQL_DEPTH_MAX) {
        (void)pq_refuse(p, p->token.at, "an expression nested deeper than %u is not supported",
                        QL_PROMQL_DEPTH_MAX);
        return NULL;
    }
    struct pq_node *node = postfix_parse(p);
    const struct operator_row *row;
    while (node != NULL && (row = operator_here(p)) != NULL && row->power >= power_min) {
        node = binary_parse(p, node, row);
    }
    p->depth--;
    return node;
}

/* ---- the whole ----------------------------------------------------------------------- */

static struct pq_node *whole_parse(struct pq_parser *p)
{
    char text[64];
    if (p->text.bytes > QL_PROMQL_TEXT_BYTES_MAX) {
        (void)pq_refuse(p, 0, "an expression of more than %u bytes is not supported",
                        QL_PROMQL_TEXT_BYTES_MAX);
        return NULL;
    }
    struct pq_node *node = pq_advance(p) ? pq_parse_expression(p, 0) : NULL;
    if (node != NULL && p->token.kind != PQ_END) {
        (void)pq_fail(p, p->token.at, "unexpected %s", pq_token_text(p, text));
        return NULL;
    }
    return node;
}

ql_err ql_promql_parse(ql_str text, struct ql_promql **ret_expression,
                       struct ql_promql_error *ret_error)
{
    struct ql_promql *expression = calloc(1, sizeof(*expression));
    *ret_error = (struct ql_promql_error){ .err = QL_E_MEMORY, .text = "no memory" };
    if (expression == NULL) {
        return QL_E_MEMORY;
    }
    ql_arena_init(&expression->arena, ARENA_BYTES_MAX);
    const bool fits = text.bytes <= QL_PROMQL_TEXT_BYTES_MAX;
    expression->text = fits ? ql_arena_str(&expression->arena, text) : text;
    struct pq_parser p = { .text = expression->text, .arena = &expression->arena,
                           .error = ret_error };
    if (p.text.at != NULL) {
        expression->root = whole_parse(&p);
    }
    if (expression->root == NULL) {
        ql_promql_free(expression);
        QL_ASSERT(ret_error->err != QL_OK);
        return ret_error->err;
    }
    ret_error->err = QL_OK;
    *ret_expression = expression;
    return QL_OK;
}

void ql_promql_free(struct ql_promql *expression)
{
    if (expression != NULL) {
        ql_arena_fini(&expression->arena);
        free(expression);
    }
}

enum ql_promql_type ql_promql_type_of(const struct ql_promql *expression)
{
    return expression->root->type;
}

ql_err ql_promql_parse_selector(ql_str text, struct ql_arena *arena,
                                const struct ql_matcher **ret_matchers, uint32_t *ret_count,
                                struct ql_promql_error *ret_error)
{
    char shown[64];
    *ret_error = (struct ql_promql_error){ .err = QL_E_MEMORY, .text = "no memory" };
    const bool fits = text.bytes <= QL_PROMQL_TEXT_BYTES_MAX;
    struct pq_parser p = { .text = fits ? ql_arena_str(arena, text) : text, .arena = arena,
                           .error = ret_error };
    struct pq_node *node = NULL;
    if (p.text.at == NULL) {
        return QL_E_MEMORY;
    }
    if (!fits) {
        (void)pq_refuse(&p, 0, "a selector of more than %u bytes is not supported",
                        QL_PROMQL_TEXT_BYTES_MAX);
    } else if (pq_advance(&p)) {
        node = p.token.kind == PQ_NAME || p.token.kind == PQ_BRACE_OPEN ? pq_parse_selector(&p)
                                                                        : NULL;
        if (!p.failed && (node == NULL || p.token.kind != PQ_END ||
                          node->type != QL_PROMQL_VECTOR)) {
            (void)pq_fail(&p, p.token.at, "unexpected %s, a metric selector is expected",
                          pq_token_text(&p, shown));
        }
    }
    if (p.failed) {
        return ret_error->err;
    }
    ret_error->err = QL_OK;
    *ret_matchers = node->matchers;
    *ret_count = node->matcher_count;
    return QL_OK;
}
