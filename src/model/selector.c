/* selector.c - the parser of selectors, by hand, and PCRE2 for their expressions. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/selector.h"

#include <pcre2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 100000, HEAP_KIB_MAX = 1024 };

/* Texts go to the selector's buffer in the order of the matchers, name before value. On
 * the way only their lengths are noted (`at` is NULL), because the buffer may move. */
struct selector_parser {
    ql_str text;
    size_t at;
    struct ql_selector *selector;
    char *why;
};

static ql_err selector_fail(struct selector_parser *p, const char *format, ...) QL_PRINTF(2, 3);
static ql_err selector_fail(struct selector_parser *p, const char *format, ...)
{
    char text[QL_SELECTOR_WHY_BYTES - 40];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(p->why, QL_SELECTOR_WHY_BYTES, "at character %zu: %s", p->at + 1, text);
    return QL_E_MALFORMED;
}

static int selector_peek(const struct selector_parser *p)
{
    return p->at < p->text.bytes ? (unsigned char)p->text.at[p->at] : -1;
}

static void selector_skip_blanks(struct selector_parser *p)
{
    int c = selector_peek(p);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        p->at++;
        c = selector_peek(p);
    }
}

static bool selector_is_name_char(int c, bool first, bool colon)
{
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    return letter || (colon && c == ':') || (!first && c >= '0' && c <= '9');
}

/* The longest bare name from here on; empty when there is none. */
static ql_str selector_bare_name(struct selector_parser *p, bool colon)
{
    const size_t from = p->at;
    while (selector_is_name_char(selector_peek(p), p->at == from, colon)) {
        p->at++;
    }
    return (ql_str){ p->text.at + from, p->at - from };
}

static bool selector_unescape(int c, char *ret_c)
{
    static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
    const char *found = c > 0 ? memchr(from, c, sizeof(from) - 1) : NULL;
    if (found == NULL) {
        return false;
    }
    *ret_c = to[found - from];
    return true;
}

/* Appends the text between quotes to the selector's buffer, without its quotes. */
static ql_err selector_quoted(struct selector_parser *p, ql_str *ret_range)
{
    struct ql_buf *out = &p->selector->text;
    const size_t from = out->bytes;
    const int quote = selector_peek(p);
    if (quote != '"' && quote != '\'' && quote != '`') {
        return selector_fail(p, "a text in quotes is expected");
    }
    for (p->at++; selector_peek(p) != quote; p->at++) {
        int c = selector_peek(p);
        char plain = (char)c;
        if (c < 0 || c == 0) {
            return selector_fail(p, "the closing %c is missing", quote);
        }
        if (c == '\\' && quote != '`') {
            p->at++;
            c = selector_peek(p);
            if (!selector_unescape(c, &plain)) {
                return selector_fail(p, "unknown escape; known are \\n \\t \\\\ \\\" and the like");
            }
        }
        ql_buf_char(out, plain);
    }
    p->at++;
    *ret_range = (ql_str){ NULL, out->bytes - from }; /* `at` is set when all texts stand */
    return ql_buf_check(out);
}

static ql_err selector_op(struct selector_parser *p, char *ret_op)
{
    static const struct {
        char text[3];
        char op;
    } ops[] = {
        { "=~", '~' },
        { "!~", '^' },
        { "!=", '!' },
        { "=", '=' },
    };
    const ql_str rest = { p->text.at + p->at, p->text.bytes - p->at };
    for (size_t i = 0; i < QL_COUNT_OF(ops); i++) {
        if (ql_str_starts(rest, ql_str_of(ops[i].text))) {
            p->at += strlen(ops[i].text);
            *ret_op = ops[i].op;
            return QL_OK;
        }
    }
    return selector_fail(p, "=, !=, =~ or !~ is expected");
}

static ql_err selector_room(struct selector_parser *p, struct ql_matcher **ret_matcher)
{
    struct ql_selector *s = p->selector;
    if (s->count == QL_MATCHERS_MAX) {
        (void)selector_fail(p, "at most %u matchers are allowed", QL_MATCHERS_MAX);
        return QL_E_RANGE;
    }
    *ret_matcher = &s->matchers[s->count++];
    return QL_OK;
}

static ql_err selector_put_name(struct selector_parser *p, ql_str metric, bool in_buffer)
{
    struct ql_matcher *matcher;
    const ql_err err = selector_room(p, &matcher);
    if (err != QL_OK) {
        return err;
    }
    *matcher = (struct ql_matcher){ QL_STR("__name__"), { NULL, metric.bytes }, '=' };
    return in_buffer ? QL_OK : ql_buf_str(&p->selector->text, metric);
}

/* One of `a="b"`, `"a"="b"`, `"metric"`. */
static ql_err selector_matcher(struct selector_parser *p)
{
    ql_str name = selector_bare_name(p, false);
    if (name.bytes > 0) {
        const ql_err err = ql_buf_str(&p->selector->text, name);
        if (err != QL_OK) {
            return err;
        }
        name.at = NULL;
    } else {
        const ql_err err = selector_quoted(p, &name);
        if (err != QL_OK) {
            return err;
        }
        selector_skip_blanks(p);
        if (selector_peek(p) == ',' || selector_peek(p) == '}') {
            return selector_put_name(p, name, true);
        }
    }
    struct ql_matcher *matcher;
    ql_err err = selector_room(p, &matcher);
    if (err != QL_OK) {
        return err;
    }
    *matcher = (struct ql_matcher){ name, { NULL, 0 }, '=' };
    selector_skip_blanks(p);
    err = selector_op(p, &matcher->op);
    if (err != QL_OK) {
        return err;
    }
    selector_skip_blanks(p);
    return selector_quoted(p, &matcher->value);
}

static ql_err selector_braces(struct selector_parser *p)
{
    p->at++; /* the { */
    for (;;) {
        selector_skip_blanks(p);
        if (selector_peek(p) == '}') {
            p->at++;
            return QL_OK;
        }
        const ql_err err = selector_matcher(p);
        if (err != QL_OK) {
            return err;
        }
        selector_skip_blanks(p);
        if (selector_peek(p) == ',') {
            p->at++;
        } else if (selector_peek(p) != '}') {
            return selector_fail(p, ", or } is expected");
        }
    }
}

/* Turns the lengths noted on the way into slices of the buffer, which moves no more. */
static void selector_place(struct ql_selector *s)
{
    const char *at = ql_buf_view(&s->text).at;
    for (uint32_t i = 0; i < s->count; i++) {
        struct ql_matcher *m = &s->matchers[i];
        if (m->name.at == NULL) {
            m->name.at = at;
            at += m->name.bytes;
        }
        m->value.at = at;
        at += m->value.bytes;
    }
    QL_ASSERT(at == ql_buf_view(&s->text).at + s->text.bytes);
}

static ql_err selector_compile(struct ql_selector *s, char why[QL_SELECTOR_WHY_BYTES])
{
    const uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL | PCRE2_UTF |
                             PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct ql_matcher *m = &s->matchers[i];
        if (m->op != '~' && m->op != '^') {
            continue;
        }
        int code;
        PCRE2_SIZE at;
        pcre2_code *pattern =
            pcre2_compile((PCRE2_SPTR)m->value.at, m->value.bytes, options, &code, &at, NULL);
        if (pattern == NULL) {
            PCRE2_UCHAR text[120];
            (void)pcre2_get_error_message(code, text, sizeof(text));
            (void)snprintf(why, QL_SELECTOR_WHY_BYTES,
                           "in the expression of '%.*s', character %zu: %s",
                           (int)(m->name.bytes < 40 ? m->name.bytes : 40), m->name.at, at + 1,
                           (const char *)text);
            return QL_E_MALFORMED;
        }
        (void)pcre2_jit_compile(pattern, PCRE2_JIT_COMPLETE); /* without it: slower, as right */
        s->patterns[i] = pattern;
    }
    return QL_OK;
}

struct selector_scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static ql_err selector_scratch_make(struct ql_selector *s)
{
    bool any = false;
    for (uint32_t i = 0; i < s->count; i++) {
        any = any || s->patterns[i] != NULL;
    }
    struct selector_scratch *scratch = any ? calloc(1, sizeof(*scratch)) : NULL;
    if (scratch == NULL) {
        return any ? QL_E_MEMORY : QL_OK;
    }
    s->scratch = scratch;
    scratch->data = pcre2_match_data_create(1, NULL); /* only whether, never where */
    scratch->limits = pcre2_match_context_create(NULL);
    if (scratch->data == NULL || scratch->limits == NULL) {
        return QL_E_MEMORY;
    }
    (void)pcre2_set_match_limit(scratch->limits, STEPS_MAX);
    (void)pcre2_set_depth_limit(scratch->limits, STEPS_MAX);
    (void)pcre2_set_heap_limit(scratch->limits, HEAP_KIB_MAX);
    return QL_OK;
}

static ql_err selector_finish(struct ql_selector *s, char why[QL_SELECTOR_WHY_BYTES])
{
    selector_place(s);
    ql_err err = selector_compile(s, why);
    if (err == QL_OK) {
        err = selector_scratch_make(s);
    }
    return err;
}

static ql_err selector_text(struct selector_parser *p)
{
    selector_skip_blanks(p);
    const ql_str metric = selector_bare_name(p, true);
    ql_err err = metric.bytes > 0 ? selector_put_name(p, metric, false) : QL_OK;
    selector_skip_blanks(p);
    if (err == QL_OK && selector_peek(p) == '{') {
        err = selector_braces(p);
    } else if (err == QL_OK && metric.bytes == 0) {
        return selector_fail(p, "a metric name or { is expected");
    }
    selector_skip_blanks(p);
    if (err == QL_OK && p->at < p->text.bytes) {
        return selector_fail(p, "the selector should end here");
    }
    return err;
}

ql_err ql_selector_parse(ql_str text, struct ql_selector *ret_selector,
                         char ret_why[QL_SELECTOR_WHY_BYTES])
{
    struct ql_selector selector = { .count = 0 };
    struct selector_parser p = { .text = text, .selector = &selector, .why = ret_why };
    (void)snprintf(ret_why, QL_SELECTOR_WHY_BYTES, "at most %u bytes are allowed",
                   QL_SELECTOR_BYTES_MAX);
    if (text.bytes > QL_SELECTOR_BYTES_MAX) {
        return QL_E_RANGE;
    }
    ql_buf_init(&selector.text, QL_SELECTOR_BYTES_MAX);
    ql_err err = selector_text(&p);
    err = err == QL_OK ? selector_finish(&selector, ret_why) : err;
    if (err != QL_OK) {
        ql_selector_fini(&selector);
        return err;
    }
    *ret_selector = selector;
    return QL_OK;
}

ql_err ql_selector_of(const struct ql_matcher *matchers, uint32_t count,
                      struct ql_selector *ret_selector, char ret_why[QL_SELECTOR_WHY_BYTES])
{
    struct ql_selector selector = { .count = 0 };
    (void)snprintf(ret_why, QL_SELECTOR_WHY_BYTES, "at most %u matchers are allowed",
                   QL_MATCHERS_MAX);
    if (count > QL_MATCHERS_MAX) {
        return QL_E_RANGE;
    }
    ql_buf_init(&selector.text, (size_t)QL_SELECTOR_BYTES_MAX * 4);
    for (uint32_t i = 0; i < count; i++) {
        selector.matchers[selector.count++] = (struct ql_matcher){
            { NULL, matchers[i].name.bytes }, { NULL, matchers[i].value.bytes }, matchers[i].op
        };
        ql_buf_str(&selector.text, matchers[i].name);
        ql_buf_str(&selector.text, matchers[i].value);
    }
    ql_err err = ql_buf_check(&selector.text);
    err = err == QL_OK ? selector_finish(&selector, ret_why) : err;
    if (err != QL_OK) {
        ql_selector_fini(&selector);
        return err;
    }
    *ret_selector = selector;
    return QL_OK;
}

void ql_selector_fini(struct ql_selector *selector)
{
    if (selector == NULL) {
        return;
    }
    for (uint32_t i = 0; i < selector->count; i++) {
        pcre2_code_free(selector->patterns[i]);
    }
    struct selector_scratch *scratch = selector->scratch;
    if (scratch != NULL) {
        pcre2_match_data_free(scratch->data);
        pcre2_match_context_free(scratch->limits);
        free(scratch);
    }
    ql_buf_fini(&selector->text);
    *selector = (struct ql_selector){ .count = 0 };
}

/* 1 it matches, 0 it does not, -1 it would take too long to say. */
static int selector_try(struct ql_selector *s, uint32_t index, ql_str value)
{
    const struct selector_scratch *scratch = s->scratch;
    const int code = pcre2_match(s->patterns[index], (PCRE2_SPTR)(value.bytes > 0 ? value.at : ""),
                                 value.bytes, 0, 0, scratch->data, scratch->limits);
    return code >= 0 ? 1 : code == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

bool ql_selector_matches(struct ql_selector *selector, ql_str labels)
{
    for (uint32_t i = 0; i < selector->count; i++) {
        const struct ql_matcher *m = &selector->matchers[i];
        const ql_str value = ql_labels_get(labels, m->name);
        bool pass;
        if (selector->patterns[i] == NULL) {
            pass = ql_str_eq(value, m->value) == (m->op == '=');
        } else {
            const int said = selector_try(selector, i, value);
            selector->gave_up = selector->gave_up || said < 0;
            pass = said == (m->op == '~' ? 1 : 0);
        }
        if (!pass) {
            return false;
        }
    }
    return true;
}
