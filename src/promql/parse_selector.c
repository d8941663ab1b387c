/* parse_selector.c - name{a="b"}[5m] offset 1h. */
#include "model/selector.h"
#include "promql/promql_int.h"

/* ---- matchers ------------------------------------------------------------------------ */

static bool matcher_op(struct pq_parser *p, char *ret_op)
{
    char text[64];
    switch (p->token.kind) {
    case PQ_ASSIGN: *ret_op = '='; return true;
    case PQ_MATCH: *ret_op = '~'; return true;
    case PQ_MATCH_NOT: *ret_op = '^'; return true;
    case PQ_OPERATOR:
        if (p->token.op == PQ_NE) {
            *ret_op = '!';
            return true;
        }
        break;
    default: break;
    }
    return pq_fail(p, p->token.at, "unexpected %s in label matching, expected one of =, !=, =~, !~",
                   pq_token_text(p, text));
}

static bool matcher_parse(struct pq_parser *p, struct ql_matcher *matcher)
{
    char text[64];
    const ql_str name = { p->text.at + p->token.at, p->token.bytes };
    if (p->token.kind != PQ_NAME || memchr(name.at, ':', name.bytes) != NULL) {
        return pq_fail(p, p->token.at, "unexpected %s in label matching, expected a label's name or"
                       " \"}\"", pq_token_text(p, text));
    }
    matcher->name = name;
    if (!pq_advance(p) || !matcher_op(p, &matcher->op) || !pq_advance(p)) {
        return false;
    }
    if (p->token.kind != PQ_STRING) {
        return pq_fail(p, p->token.at, "unexpected %s in label matching, expected a string",
                       pq_token_text(p, text));
    }
    matcher->value = p->token.string;
    return pq_advance(p);
}

static bool matchers_parse(struct pq_parser *p, struct pq_node *node)
{
    char text[64];
    if (!pq_advance(p)) { /* the { */
        return false;
    }
    while (p->token.kind != PQ_BRACE_CLOSE) {
        if (node->matcher_count == QL_MATCHERS_MAX) {
            return pq_refuse(p, p->token.at, "a selector with more than %u matchers is not"
                             " supported", QL_MATCHERS_MAX);
        }
        if (!matcher_parse(p, &node->matchers[node->matcher_count])) {
            return false;
        }
        node->matcher_count++;
        if (p->token.kind == PQ_COMMA) {
            if (!pq_advance(p)) {
                return false;
            }
        } else if (p->token.kind != PQ_BRACE_CLOSE) {
            return pq_fail(p, p->token.at, "unexpected %s in label matching, expected \",\" or"
                           " \"}\"", pq_token_text(p, text));
        }
    }
    return pq_advance(p);
}

/* A selector that the empty label set satisfies would mean every series there is. */
static bool matchers_check(struct pq_parser *p, const struct pq_node *node)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    uint32_t names = 0;
    bool narrow = false;
    for (uint32_t i = 0; i < node->matcher_count; i++) {
        const struct ql_matcher *m = &node->matchers[i];
        names += ql_str_eq(m->name, QL_STR("__name__")) && m->op == '=';
        const ql_err err = ql_selector_of(m, 1, &selector, why);
        if (err == QL_E_MEMORY) {
            return pq_no_memory(p);
        }
        if (err != QL_OK) {
            return pq_fail(p, node->at, "%s", why);
        }
        narrow = narrow || !ql_selector_matches(&selector, QL_STR(""));
        ql_selector_fini(&selector);
    }
    if (!narrow) {
        return pq_fail(p, node->at, "vector selector must contain at least one non-empty matcher");
    }
    return names < 2 || pq_fail(p, node->at, "metric name must not be set twice");
}

/* ---- durations ----------------------------------------------------------------------- */

static bool range_parse(struct pq_parser *p, struct pq_node *node)
{
    char text[64];
    const size_t at = p->token.at;
    if (!pq_advance(p)) {
        return false;
    }
    if (p->token.kind != PQ_DURATION) {
        return pq_fail(p, p->token.at, "unexpected %s in range, expected a duration",
                       pq_token_text(p, text));
    }
    node->range_ms = p->token.duration_ms;
    if (!pq_advance(p)) {
        return false;
    }
    /* "[5m:1m]" lexes as 5m, :, 1m or, without blanks, as one word that starts with a colon. */
    if (p->token.kind == PQ_COLON ||
        (p->token.kind == PQ_NAME && p->text.at[p->token.at] == ':')) {
        return pq_refuse(p, at, "subqueries ([range:step]) are not supported");
    }
    if (p->token.kind != PQ_BRACKET_CLOSE) {
        return pq_fail(p, p->token.at, "unexpected %s in range, expected \"]\"",
                       pq_token_text(p, text));
    }
    if (node->range_ms <= 0) {
        return pq_fail(p, at, "duration must be greater than 0");
    }
    node->type = QL_PROMQL_MATRIX;
    return pq_advance(p);
}

bool pq_parse_offset(struct pq_parser *p, struct pq_node *node)
{
    char text[64];
    const size_t at = p->token.at;
    if (!pq_advance(p)) { /* the word */
        return false;
    }
    if (node->kind != PQ_K_SELECTOR || node->in_parens) {
        return pq_fail(p, at, "offset modifier must be preceded by an instant vector selector or"
                       " range vector selector or a subquery");
    }
    if (node->has_offset) {
        return pq_fail(p, at, "offset may not be set multiple times");
    }
    const bool minus = p->token.kind == PQ_OPERATOR && p->token.op == PQ_SUB;
    const bool plus = p->token.kind == PQ_OPERATOR && p->token.op == PQ_ADD;
    if ((minus || plus) && !pq_advance(p)) {
        return false;
    }
    if (p->token.kind != PQ_DURATION) {
        return pq_fail(p, p->token.at, "unexpected %s in offset, expected duration",
                       pq_token_text(p, text));
    }
    node->offset_ms = minus ? -p->token.duration_ms : p->token.duration_ms;
    node->has_offset = true;
    return pq_advance(p);
}

struct pq_node *pq_parse_selector(struct pq_parser *p)
{
    struct pq_node *node = pq_node_new(p, PQ_K_SELECTOR, QL_PROMQL_VECTOR, p->token.at);
    if (node == NULL) {
        return NULL;
    }
    node->matchers = ql_arena_take(p->arena, sizeof(*node->matchers) * (QL_MATCHERS_MAX + 1));
    if (node->matchers == NULL) {
        (void)pq_no_memory(p);
        return NULL;
    }
    if (p->token.kind == PQ_NAME) {
        const ql_str name = { p->text.at + p->token.at, p->token.bytes };
        node->matchers[node->matcher_count++] =
            (struct ql_matcher){ QL_STR("__name__"), name, '=' };
        if (!pq_advance(p)) {
            return NULL;
        }
    }
    if ((p->token.kind == PQ_BRACE_OPEN && !matchers_parse(p, node)) || !matchers_check(p, node) ||
        (p->token.kind == PQ_BRACKET_OPEN && !range_parse(p, node))) {
        return NULL;
    }
    return node;
}
