/* lex.c - PromQL's tokens. Words are told from names by where they stand, in the parser. */
#include "promql/promql_int.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- errors -------------------------------------------------------------------------- */

static void error_place(struct ql_promql_error *error, ql_str text, size_t at)
{
    error->line = 1;
    error->column = 1;
    for (size_t i = 0; i < at && i < text.bytes; i++) {
        error->column++;
        if (text.at[i] == '\n') {
            error->line++;
            error->column = 1;
        }
    }
}

static void error_write(struct pq_parser *p, size_t at, ql_err err, const char *format,
                        va_list args)
{
    char text[QL_PROMQL_ERROR_BYTES - 64];
    if (p->failed) {
        return;
    }
    p->failed = true;
    p->error->err = err;
    error_place(p->error, p->text, at);
    (void)vsnprintf(text, sizeof(text), format, args);
    (void)snprintf(p->error->text, sizeof(p->error->text), "%u:%u: %s%s", p->error->line,
                   p->error->column, err == QL_E_MALFORMED ? "parse error: " : "", text);
}

bool pq_fail(struct pq_parser *p, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_write(p, at, QL_E_MALFORMED, format, args);
    va_end(args);
    return false;
}

bool pq_refuse(struct pq_parser *p, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_write(p, at, QL_E_UNSUPPORTED, format, args);
    va_end(args);
    return false;
}

bool pq_no_memory(struct pq_parser *p)
{
    if (!p->failed) {
        p->failed = true;
        p->error->err = QL_E_MEMORY;
        (void)snprintf(p->error->text, sizeof(p->error->text),
                       "no memory to take the expression apart");
    }
    return false;
}

/* ---- characters ---------------------------------------------------------------------- */

static int lex_peek(const struct pq_parser *p, size_t ahead)
{
    return p->at + ahead < p->text.bytes ? (unsigned char)p->text.at[p->at + ahead] : -1;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int hex_of(int c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void lex_skip(struct pq_parser *p)
{
    for (int c = lex_peek(p, 0);; c = lex_peek(p, 0)) {
        if (c == '#') {
            while (lex_peek(p, 0) >= 0 && lex_peek(p, 0) != '\n') {
                p->at++;
            }
        } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            p->at++;
        } else {
            return;
        }
    }
}

/* ---- numbers and durations ----------------------------------------------------------- */

/* Each unit at most once, from large to small. */
ql_err ql_promql_duration(ql_str text, int64_t *ret_ms)
{
    static const struct { const char *text; int64_t ms; } units[] = {
        { "y", INT64_C(31536000000) }, { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 },
        { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
    };
    size_t at = 0, unit = 0;
    int64_t ms = 0;
    if (text.bytes == 0) {
        return QL_E_MALFORMED;
    }
    while (at < text.bytes) {
        int64_t n = 0, part;
        const size_t first = at;
        for (; at < text.bytes && is_digit(text.at[at]); at++) {
            if (__builtin_mul_overflow(n, 10, &n) ||
                __builtin_add_overflow(n, text.at[at] - '0', &n)) {
                return QL_E_RANGE;
            }
        }
        const size_t unit_at = at;
        while (at < text.bytes && is_letter(text.at[at])) {
            at++;
        }
        const ql_str name = { text.at + unit_at, at - unit_at };
        while (unit < QL_COUNT_OF(units) && !ql_str_eq(name, ql_str_of(units[unit].text))) {
            unit++;
        }
        if (unit_at == first || unit == QL_COUNT_OF(units)) {
            return QL_E_MALFORMED;
        }
        if (__builtin_mul_overflow(n, units[unit++].ms, &part) ||
            __builtin_add_overflow(ms, part, &ms) || ms > INT64_C(9000000000000)) {
            return QL_E_RANGE;
        }
    }
    *ret_ms = ms;
    return QL_OK;
}

static bool lex_duration(struct pq_parser *p, size_t from)
{
    while (is_letter(lex_peek(p, 0)) || is_digit(lex_peek(p, 0))) {
        p->at++;
    }
    const ql_str text = { p->text.at + from, p->at - from };
    const ql_err err = ql_promql_duration(text, &p->token.duration_ms);
    p->token.kind = PQ_DURATION;
    if (err == QL_E_RANGE) {
        return pq_fail(p, from, "the duration %.*s is too long", QL_STR_ARG(text));
    }
    return err == QL_OK ||
           pq_fail(p, from, "bad number or duration syntax: \"%.*s\"",
                   (int)(text.bytes < 60 ? text.bytes : 60), text.at);
}

static bool lex_hex(struct pq_parser *p, size_t from)
{
    double value = 0.0;
    p->at += 2;
    const size_t first = p->at;
    for (; hex_of(lex_peek(p, 0)) >= 0; p->at++) {
        value = value * 16.0 + hex_of(lex_peek(p, 0));
    }
    p->token.number = value;
    return (p->at > first && !is_letter(lex_peek(p, 0))) ||
           pq_fail(p, from, "bad number or duration syntax");
}

static bool lex_number(struct pq_parser *p)
{
    const size_t from = p->at;
    bool whole = true;
    p->token.kind = PQ_NUMBER;
    if (lex_peek(p, 0) == '0' && (lex_peek(p, 1) | 0x20) == 'x') {
        return lex_hex(p, from);
    }
    while (is_digit(lex_peek(p, 0)) || lex_peek(p, 0) == '.') {
        whole = whole && lex_peek(p, 0) != '.';
        p->at++;
    }
    if ((lex_peek(p, 0) | 0x20) == 'e') {
        const size_t sign = lex_peek(p, 1) == '+' || lex_peek(p, 1) == '-' ? 1 : 0;
        if (is_digit(lex_peek(p, 1 + sign))) {
            whole = false;
            for (p->at += 1 + sign; is_digit(lex_peek(p, 0)); p->at++) {}
        }
    }
    if (whole && is_letter(lex_peek(p, 0))) {
        return lex_duration(p, from);
    }
    const ql_str text = { p->text.at + from, p->at - from };
    return (!is_letter(lex_peek(p, 0)) && ql_str_to_double(text, &p->token.number) == QL_OK) ||
           pq_fail(p, from, "bad number or duration syntax: \"%.*s\"",
                   (int)(text.bytes < 60 ? text.bytes : 60), text.at);
}

/* ---- texts --------------------------------------------------------------------------- */

static size_t utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* `digits` of base 8 or 16 at p->at, which moves past them. */
static bool lex_digits(struct pq_parser *p, uint32_t digits, uint32_t base, uint32_t *ret_code)
{
    uint32_t code = 0;
    for (uint32_t i = 0; i < digits; i++, p->at++) {
        const int digit = hex_of(lex_peek(p, 0));
        if (digit < 0 || (uint32_t)digit >= base) {
            return pq_fail(p, p->at, "invalid character in an escape sequence");
        }
        code = code * base + (uint32_t)digit;
    }
    *ret_code = code;
    return true;
}

/* Behind a backslash; an escape never yields more bytes than it has. */
static bool lex_escape(struct pq_parser *p, int quote, char *out, size_t *used)
{
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    const int c = lex_peek(p, 0);
    const char *found = c > 0 ? memchr(from, c, sizeof(from) - 1) : NULL;
    uint32_t code = 0;
    if (found != NULL || c == quote) {
        out[(*used)++] = found != NULL ? to[found - from] : (char)quote;
        p->at++;
        return true;
    }
    if (c == 'x' || (c >= '0' && c <= '7')) {
        p->at += c == 'x';
        if (!(c == 'x' ? lex_digits(p, 2, 16, &code) : lex_digits(p, 3, 8, &code)) || code > 255) {
            return pq_fail(p, p->at, "invalid escape sequence");
        }
        out[(*used)++] = (char)(unsigned char)code;
        return true;
    }
    if (c == 'u' || c == 'U') {
        p->at++;
        if (!lex_digits(p, c == 'u' ? 4 : 8, 16, &code)) {
            return false;
        }
        if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return pq_fail(p, p->at, "escape sequence is an invalid Unicode code point");
        }
        *used += utf8_put(out + *used, code);
        return true;
    }
    return pq_fail(p, p->at, "unknown escape sequence");
}

static bool lex_string(struct pq_parser *p, int quote)
{
    const size_t from = p->at;
    size_t used = 0;
    const char *end = memchr(p->text.at + from + 1, quote, p->text.bytes - from - 1);
    /* At most as long as the rest of the text; a plain one, as they nearly all are, is exact. */
    const size_t plain = end != NULL ? (size_t)(end - p->text.at) - from : 1;
    const bool escaped = quote != '`' && memchr(p->text.at + from, '\\', plain) != NULL;
    char *out = ql_arena_take(p->arena, (escaped ? p->text.bytes - from : plain) + 1);
    if (out == NULL) {
        return pq_no_memory(p);
    }
    for (p->at++; lex_peek(p, 0) != quote;) {
        const int c = lex_peek(p, 0);
        if (c < 0 || end == NULL || (c == '\n' && quote != '`')) {
            return pq_fail(p, from, "unterminated %sstring", quote == '`' ? "raw " : "quoted ");
        }
        p->at++;
        if (c == '\\' && quote != '`') {
            if (!lex_escape(p, quote, out, &used)) {
                return false;
            }
        } else {
            out[used++] = (char)c;
        }
    }
    p->at++;
    p->token.kind = PQ_STRING;
    p->token.string = (ql_str){ out, used };
    return true;
}

/* ---- tokens -------------------------------------------------------------------------- */

static bool lex_symbol(struct pq_parser *p)
{
    static const struct { char text[3]; enum pq_token_kind kind; enum pq_op op; } symbols[] = {
        { "=~", PQ_MATCH, PQ_ADD }, { "!~", PQ_MATCH_NOT, PQ_ADD },
        { "==", PQ_OPERATOR, PQ_EQ }, { "!=", PQ_OPERATOR, PQ_NE },
        { ">=", PQ_OPERATOR, PQ_GE }, { "<=", PQ_OPERATOR, PQ_LE },
        { ">", PQ_OPERATOR, PQ_GT }, { "<", PQ_OPERATOR, PQ_LT },
        { "+", PQ_OPERATOR, PQ_ADD }, { "-", PQ_OPERATOR, PQ_SUB },
        { "*", PQ_OPERATOR, PQ_MUL }, { "/", PQ_OPERATOR, PQ_DIV },
        { "%", PQ_OPERATOR, PQ_MOD }, { "^", PQ_OPERATOR, PQ_POW },
        { "=", PQ_ASSIGN, PQ_ADD }, { "(", PQ_OPEN, PQ_ADD }, { ")", PQ_CLOSE, PQ_ADD },
        { "{", PQ_BRACE_OPEN, PQ_ADD }, { "}", PQ_BRACE_CLOSE, PQ_ADD },
        { "[", PQ_BRACKET_OPEN, PQ_ADD }, { "]", PQ_BRACKET_CLOSE, PQ_ADD },
        { ",", PQ_COMMA, PQ_ADD }, { "@", PQ_AT, PQ_ADD }, { ":", PQ_COLON, PQ_ADD },
    };
    const ql_str rest = { p->text.at + p->at, p->text.bytes - p->at };
    for (size_t i = 0; i < QL_COUNT_OF(symbols); i++) {
        if (ql_str_starts(rest, ql_str_of(symbols[i].text))) {
            p->token.kind = symbols[i].kind;
            p->token.op = symbols[i].op;
            p->at += strlen(symbols[i].text);
            return true;
        }
    }
    const int c = lex_peek(p, 0);
    return c >= 0x20 && c < 0x7f ? pq_fail(p, p->at, "unexpected character: '%c'", c)
                                 : pq_fail(p, p->at, "unexpected byte: 0x%02x", (unsigned)c);
}

bool pq_advance(struct pq_parser *p)
{
    if (p->failed) {
        return false;
    }
    lex_skip(p);
    p->token = (struct pq_token){ .kind = PQ_END, .at = (uint32_t)p->at };
    const int c = lex_peek(p, 0);
    bool good = true;
    if (is_letter(c) || (c == ':' && (is_letter(lex_peek(p, 1)) || lex_peek(p, 1) == ':'))) {
        p->token.kind = PQ_NAME;
        while (is_letter(lex_peek(p, 0)) || is_digit(lex_peek(p, 0)) || lex_peek(p, 0) == ':') {
            p->at++;
        }
    } else if (is_digit(c) || (c == '.' && is_digit(lex_peek(p, 1)))) {
        good = lex_number(p);
    } else if (c == '"' || c == '\'' || c == '`') {
        good = lex_string(p, c);
    } else if (c >= 0) {
        good = lex_symbol(p);
    }
    p->token.bytes = (uint32_t)p->at - p->token.at;
    return good;
}

bool pq_is_word(const struct pq_parser *p, const char *word)
{
    if (p->token.kind != PQ_NAME || p->token.bytes != strlen(word)) {
        return false;
    }
    for (size_t i = 0; i < p->token.bytes; i++) {
        const int c = (unsigned char)p->text.at[p->token.at + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != word[i]) {
            return false;
        }
    }
    return true;
}

const char *pq_token_text(const struct pq_parser *p, char out[64])
{
    if (p->token.kind == PQ_END) {
        (void)snprintf(out, 64, "end of input");
    } else {
        const uint32_t shown = p->token.bytes < 48 ? p->token.bytes : 48;
        (void)snprintf(out, 64, "\"%.*s\"", (int)shown, p->text.at + p->token.at);
    }
    return out;
}
