/* parse_call.c - calls and aggregations, and the lists of labels that go with these. */
#include "promql/promql_int.h"

#include <stdio.h>

/* ---- lists of names ------------------------------------------------------------------ */

bool pq_names_has(const struct pq_names *names, ql_str name)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (ql_str_eq(names->at[i], name)) {
            return true;
        }
    }
    return false;
}

bool pq_parse_names(struct pq_parser *p, struct pq_names *ret_names)
{
    enum { NAMES_MAX = 64 };
    char text[64];
    if (!pq_expect(p, PQ_OPEN, "\"(\"", "grouping opts")) {
        return false;
    }
    *ret_names = (struct pq_names){ ql_arena_take(p->arena, NAMES_MAX * sizeof(ql_str)), 0 };
    if (ret_names->at == NULL) {
        return pq_no_memory(p);
    }
    while (p->token.kind != PQ_CLOSE) {
        const ql_str name = { p->text.at + p->token.at, p->token.bytes };
        if (p->token.kind != PQ_NAME || memchr(name.at, ':', name.bytes) != NULL) {
            return pq_fail(p, p->token.at, "unexpected %s in grouping opts, expected label",
                           pq_token_text(p, text));
        }
        if (ret_names->count == NAMES_MAX) {
            return pq_refuse(p, p->token.at, "a list of more than %d labels is not supported",
                             NAMES_MAX);
        }
        if (!pq_names_has(ret_names, name)) {
            ret_names->at[ret_names->count++] = name;
        }
        if (!pq_advance(p)) {
            return false;
        }
        if (p->token.kind == PQ_COMMA) {
            if (!pq_advance(p)) {
                return false;
            }
        } else if (p->token.kind != PQ_CLOSE) {
            return pq_fail(p, p->token.at, "unexpected %s in grouping opts, expected \",\" or"
                           " \")\"", pq_token_text(p, text));
        }
    }
    return pq_advance(p);
}

/* ---- calls --------------------------------------------------------------------------- */

static bool type_expect(struct pq_parser *p, const struct pq_node *node, enum ql_promql_type type,
                        const char *where)
{
    return node->type == type ||
           pq_fail(p, node->at, "expected type %s in %s, got %s", ql_promql_type_text(type), where,
                   ql_promql_type_text(node->type));
}

/* The expressions between ( and ), at most PQ_ARGS_MAX. */
static bool arguments_parse(struct pq_parser *p, struct pq_node *node, const char *where)
{
    if (!pq_expect(p, PQ_OPEN, "\"(\"", where)) {
        return false;
    }
    while (p->token.kind != PQ_CLOSE) {
        if (node->arg_count == PQ_ARGS_MAX) {
            return pq_fail(p, p->token.at, "too many arguments in %s", where);
        }
        struct pq_node *arg = pq_parse_expression(p, 0);
        if (arg == NULL || !pq_node_add(p, node, arg)) {
            return false;
        }
        if (p->token.kind != PQ_COMMA) {
            break;
        }
        if (!pq_advance(p)) {
            return false;
        }
        if (p->token.kind == PQ_CLOSE) {
            return pq_fail(p, p->token.at, "trailing commas not allowed in %s", where);
        }
    }
    return pq_expect(p, PQ_CLOSE, "\")\"", where);
}

static bool call_check(struct pq_parser *p, const struct pq_node *node)
{
    const struct pq_function *f = node->function;
    char where[96];
    uint32_t least = 0, most = 0;
    bool optional = false;
    (void)snprintf(where, sizeof(where), "call to function \"%s\"", f->name);
    for (const char *arg = f->args; *arg != '\0'; arg++) {
        optional = optional || *arg == '?';
        most += *arg != '?';
        least += *arg != '?' && !optional;
    }
    if (node->arg_count < least || node->arg_count > most) {
        return pq_fail(p, node->at, "expected %s %u argument(s) in %s, got %u",
                       least == most ? "exactly" : node->arg_count < least ? "at least" : "at most",
                       node->arg_count < least ? least : most, where, node->arg_count);
    }
    uint32_t i = 0;
    for (const char *arg = f->args; *arg != '\0' && i < node->arg_count; arg++) {
        if (*arg == '?') {
            continue;
        }
        const enum ql_promql_type type = *arg == 's'   ? QL_PROMQL_SCALAR
                                         : *arg == 'v' ? QL_PROMQL_VECTOR
                                                       : QL_PROMQL_MATRIX;
        if (!type_expect(p, node->args[i++], type, where)) {
            return false;
        }
    }
    return true;
}

struct pq_node *pq_parse_call(struct pq_parser *p, ql_str name, size_t at)
{
    struct pq_node *node = pq_node_new(p, PQ_K_CALL, QL_PROMQL_VECTOR, at);
    if (node == NULL) {
        return NULL;
    }
    node->function = pq_function_find(name);
    if (node->function == NULL) {
        if (pq_function_is_known(name)) {
            (void)pq_refuse(p, at, "the function %.*s() is not supported", QL_STR_ARG(name));
        } else {
            (void)pq_fail(p, at, "unknown function with name \"%.*s\"",
                          (int)(name.bytes < 60 ? name.bytes : 60), name.at);
        }
        return NULL;
    }
    node->type = node->function->type;
    return arguments_parse(p, node, "function call") && call_check(p, node) ? node : NULL;
}

/* ---- aggregations -------------------------------------------------------------------- */

static const struct pq_aggregate_row aggregates[] = {
    { "sum", PQ_SUM, false }, { "avg", PQ_AVG, false }, { "min", PQ_MIN, false },
    { "max", PQ_MAX, false }, { "count", PQ_COUNT, false }, { "group", PQ_GROUP, false },
    { "stddev", PQ_STDDEV, false }, { "stdvar", PQ_STDVAR, false }, { "topk", PQ_TOPK, true },
    { "bottomk", PQ_BOTTOMK, true }, { "quantile", PQ_QUANTILE, true },
};

const struct pq_aggregate_row *pq_aggregate_here(const struct pq_parser *p)
{
    for (size_t i = 0; i < QL_COUNT_OF(aggregates); i++) {
        if (pq_is_word(p, aggregates[i].name)) {
            return &aggregates[i];
        }
    }
    return NULL;
}

static bool grouping_parse(struct pq_parser *p, struct pq_node *node)
{
    node->without = pq_is_word(p, "without");
    return pq_advance(p) && pq_parse_names(p, &node->grouping);
}

struct pq_node *pq_parse_aggregate(struct pq_parser *p, const struct pq_aggregate_row *row,
                                   size_t at)
{
    char where[64];
    struct pq_node *node = pq_node_new(p, PQ_K_AGGREGATE, QL_PROMQL_VECTOR, at);
    if (node == NULL) {
        return NULL;
    }
    node->aggregate = row->which;
    const bool before = pq_is_word(p, "by") || pq_is_word(p, "without");
    if (before && !grouping_parse(p, node)) {
        return NULL;
    }
    if (!arguments_parse(p, node, "aggregation")) {
        return NULL;
    }
    if (!before && (pq_is_word(p, "by") || pq_is_word(p, "without")) && !grouping_parse(p, node)) {
        return NULL;
    }
    const uint32_t wanted = row->parameter ? 2 : 1;
    if (node->arg_count != wanted) {
        (void)pq_fail(p, at, "wrong number of arguments for aggregate expression provided, expected"
                      " %u, got %u", wanted, node->arg_count);
        return NULL;
    }
    (void)snprintf(where, sizeof(where), "aggregation expression");
    if (!type_expect(p, node->args[wanted - 1], QL_PROMQL_VECTOR, where)) {
        return NULL;
    }
    (void)snprintf(where, sizeof(where), "aggregation parameter");
    return wanted == 1 || type_expect(p, node->args[0], QL_PROMQL_SCALAR, where) ? node : NULL;
}
