#include "wire/csv.h"

#include <stdio.h>

void ql_csv_init(struct ql_csv *csv, ql_str text, struct ql_arena *arena)
{
    QL_ASSERT(csv != NULL);
    QL_ASSERT(arena != NULL);
    if (text.bytes >= 3 && memcmp(text.at, "\xEF\xBB\xBF", 3) == 0) {
        text = (ql_str){ text.at + 3, text.bytes - 3 };
    }
    if (text.bytes == 0) {
        text.at = ""; /* a NULL start would make pointer arithmetic undefined */
    }
    *csv = (struct ql_csv){ .at = text.at, .end = text.at + text.bytes, .line_start = text.at,
                            .arena = arena, .line = 1, .row_line = 1 };
}

static ql_err csv_fail(struct ql_csv *csv, ql_err err, const char *at, const char *what)
{
    csv->err = err;
    (void)snprintf(csv->why, sizeof(csv->why), "line %u, column %zu: %s", csv->line,
                   (size_t)(at - csv->line_start) + 1, what);
    return err;
}

/* Length of the line end at `at`: 0 none, 1 LF, 2 CRLF. */
static size_t csv_line_end(const char *at, const char *end)
{
    if (at < end && *at == '\n') {
        return 1;
    }
    return end - at >= 2 && at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

static void csv_line_next(struct ql_csv *csv, const char *at)
{
    csv->line++;
    csv->line_start = at;
}

static void csv_skip_empty_lines(struct ql_csv *csv)
{
    for (size_t skip; (skip = csv_line_end(csv->at, csv->end)) > 0;) {
        csv->at += skip;
        csv_line_next(csv, csv->at);
    }
}

/* The bytes between the quotes with each "" made one. */
static ql_str csv_unescape(struct ql_arena *arena, ql_str raw)
{
    char *to = ql_arena_take(arena, raw.bytes);
    if (to == NULL) {
        return (ql_str){ NULL, 0 };
    }
    size_t bytes = 0;
    for (size_t i = 0; i < raw.bytes; i++) {
        to[bytes++] = raw.at[i];
        i += raw.at[i] == '"' ? 1 : 0;
    }
    return (ql_str){ to, bytes };
}

/* csv->at stands on the opening quote; afterwards on what follows the closing one. */
static ql_err csv_quoted(struct ql_csv *csv, ql_str *ret_field)
{
    const char *const open = csv->at, *at = open + 1;
    const char *const open_line_start = csv->line_start;
    const uint32_t open_line = csv->line;
    bool doubled = false;
    for (;; at++) {
        if (at == csv->end) {
            csv->line = open_line;
            csv->line_start = open_line_start;
            return csv_fail(csv, QL_E_MALFORMED, open, "this quote is never closed");
        }
        if (*at == '\n') {
            csv_line_next(csv, at + 1);
        } else if (*at == '"') {
            if (csv->end - at < 2 || at[1] != '"') {
                break;
            }
            doubled = true;
            at++;
        }
    }
    ql_str field = { open + 1, (size_t)(at - open - 1) };
    if (doubled) {
        field = csv_unescape(csv->arena, field);
        if (field.at == NULL) {
            return csv_fail(csv, QL_E_MEMORY, open, "no memory left for this field");
        }
    }
    csv->at = at + 1;
    *ret_field = field;
    return QL_OK;
}

static ql_err csv_plain(struct ql_csv *csv, ql_str *ret_field)
{
    const char *at = csv->at;
    while (at < csv->end && *at != ',' && *at != '\n' && *at != '\r') {
        if (*at == '"') {
            return csv_fail(csv, QL_E_MALFORMED, at,
                            "a quote inside a field that does not begin with one; quote the "
                            "whole field and double the quotes in it");
        }
        at++;
    }
    *ret_field = (ql_str){ csv->at, (size_t)(at - csv->at) };
    csv->at = at;
    return QL_OK;
}

/* What may follow a field: a comma (more to come), a line end, the end. */
static ql_err csv_after(struct ql_csv *csv, bool *ret_more)
{
    if (csv->at == csv->end) {
        *ret_more = false;
        return QL_OK;
    }
    if (*csv->at == ',') {
        csv->at++;
        *ret_more = true;
        return QL_OK;
    }
    const size_t skip = csv_line_end(csv->at, csv->end);
    if (skip == 0) {
        return csv_fail(csv, QL_E_MALFORMED, csv->at,
                        *csv->at == '\r' ? "a carriage return without a line feed"
                                         : "after a closing quote only a comma or a line end");
    }
    csv->at += skip;
    csv_line_next(csv, csv->at);
    *ret_more = false;
    return QL_OK;
}

ql_err ql_csv_row(struct ql_csv *csv, ql_str *fields, uint32_t fields_max, uint32_t *ret_count)
{
    QL_ASSERT(fields_max > 0);
    if (csv->err != QL_OK) {
        return csv->err;
    }
    csv_skip_empty_lines(csv);
    if (csv->at == csv->end) {
        csv->err = QL_E_NOT_FOUND;
        return csv->err;
    }
    csv->row_line = csv->line;
    uint32_t count = 0;
    for (bool more = true; more; count++) {
        if (count == fields_max) {
            return csv_fail(csv, QL_E_FULL, csv->at, "more fields in a row than are allowed");
        }
        const bool quoted = csv->at < csv->end && *csv->at == '"';
        ql_err err = quoted ? csv_quoted(csv, &fields[count]) : csv_plain(csv, &fields[count]);
        if (err == QL_OK) {
            err = csv_after(csv, &more);
        }
        if (err != QL_OK) {
            return err;
        }
    }
    *ret_count = count;
    return QL_OK;
}

uint32_t ql_csv_find(const ql_str *fields, uint32_t count, const char *name)
{
    const ql_str wanted = ql_str_of(name);
    for (uint32_t i = 0; i < count; i++) {
        if (ql_str_eq(fields[i], wanted)) {
            return i;
        }
    }
    return UINT32_MAX;
}

static bool csv_must_quote(ql_str field)
{
    for (size_t i = 0; i < field.bytes; i++) {
        const char c = field.at[i];
        if (c == '"' || c == ',' || c == '\n' || c == '\r') {
            return true;
        }
    }
    /* A byte order mark would vanish if this field came first in a file. */
    return field.bytes >= 3 && memcmp(field.at, "\xEF\xBB\xBF", 3) == 0;
}

ql_err ql_csv_put(struct ql_buf *out, ql_str field)
{
    if (!csv_must_quote(field)) {
        return ql_buf_str(out, field);
    }
    (void)ql_buf_char(out, '"');
    while (field.bytes > 0) {
        const char *quote = memchr(field.at, '"', field.bytes);
        const size_t part = quote == NULL ? field.bytes : (size_t)(quote - field.at) + 1;
        (void)ql_buf_put(out, field.at, part);
        if (quote != NULL) {
            (void)ql_buf_char(out, '"');
        }
        field = (ql_str){ field.at + part, field.bytes - part };
    }
    return ql_buf_char(out, '"'); /* a failed buf stays failed */
}

ql_err ql_csv_put_row(struct ql_buf *out, const ql_str *fields, uint32_t count)
{
    if (count == 1 && fields[0].bytes == 0) {
        return ql_buf_text(out, "\"\"\n");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            (void)ql_buf_char(out, ',');
        }
        (void)ql_csv_put(out, fields[i]);
    }
    return ql_buf_char(out, '\n');
}
