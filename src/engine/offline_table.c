/* offline_table - see offline_table.h. */
#include "engine/offline_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static ql_err table_refuse(struct ql_offline_table *t, uint32_t line, size_t column,
                           const char *what)
{
    (void)ql_buf_printf(t->why, "%s:%u:%zu: %s", t->shown_name, line, column, what);
    return QL_E_MALFORMED;
}

static ql_err table_csv_refuse(struct ql_offline_table *t)
{
    unsigned line = t->csv.line;
    size_t column = 1;
    int used = 0;
    if (sscanf(t->csv.why, "line %u, column %zu: %n", &line, &column, &used) < 2) {
        used = 0;
    }
    return table_refuse(t, line, column, t->csv.why + used);
}

static ql_err table_field_refuse(struct ql_offline_table *t, ql_str field, const char *allowed)
{
    const char *start = t->text.at, *at = field.at;
    size_t column = 1;
    if (at >= start && at <= start + t->text.bytes) {
        while (at > start && at[-1] != '\n') {
            at--;
            column++;
        }
    }
    char what[160];
    const int shown = field.bytes < 40 ? (int)field.bytes : 40;
    (void)snprintf(what, sizeof(what), "found \"%.*s\", allowed is %s", shown, field.at, allowed);
    return table_refuse(t, t->csv.row_line, column, what);
}

static ql_err table_header(struct ql_offline_table *t)
{
    uint32_t count = 0;
    const ql_err err = ql_csv_row(&t->csv, t->fields, QL_TABLE_COLUMNS_MAX, &count);
    if (err == QL_E_NOT_FOUND) {
        return table_refuse(t, 1, 1, "found an empty file, allowed is a header and rows");
    }
    if (err != QL_OK) {
        return table_csv_refuse(t);
    }
    if (count < 2) {
        return table_refuse(t, 1, 1,
                            "found a header of one column, allowed is a time and at least one "
                            "series");
    }
    t->series_count = count - 1;
    t->names = calloc(count - 1, sizeof(*t->names));
    t->values = calloc(count - 1, sizeof(*t->values));
    if (t->names == NULL || t->values == NULL) {
        return QL_E_MEMORY;
    }
    memcpy(t->names, t->fields + 1, (count - 1) * sizeof(*t->names));
    t->first_row = t->csv;
    return QL_OK;
}

static ql_err table_cells(struct ql_offline_table *t, uint32_t count)
{
    if (count != t->series_count + 1) {
        char what[96];
        (void)snprintf(what, sizeof(what), "found %u fields, allowed are %u as in the header",
                       count, t->series_count + 1);
        return table_refuse(t, t->csv.row_line, 1, what);
    }
    if (ql_str_to_time(t->fields[0], &t->at) != QL_OK) {
        return table_field_refuse(t, t->fields[0],
                                    "a time: RFC 3339, YYYY-MM-DD HH:MM:SS or seconds since 1970");
    }
    for (uint32_t i = 0; i < t->series_count; i++) {
        const ql_str cell = t->fields[i + 1];
        t->values[i] = NAN;
        if (cell.bytes == 0) {
            continue;
        }
        if (ql_str_to_double(cell, &t->values[i]) != QL_OK) {
            return table_field_refuse(t, cell, "a number, or nothing for a missing value");
        }
        if (!isfinite(t->values[i]) || fabs(t->values[i]) > 1e150) {
            t->values[i] = NAN;
        }
    }
    return QL_OK;
}

ql_err ql_offline_table_init(struct ql_offline_table *t, ql_str text, const char *shown_name,
                             struct ql_buf *why)
{
    *t = (struct ql_offline_table){ .text = text, .shown_name = shown_name, .why = why };
    ql_arena_init(&t->arena, (size_t)1 << 30);
    ql_csv_init(&t->csv, text, &t->arena);
    t->fields = calloc(QL_TABLE_COLUMNS_MAX, sizeof(*t->fields));
    return t->fields == NULL ? QL_E_MEMORY : table_header(t);
}

void ql_offline_table_fini(struct ql_offline_table *t)
{
    ql_arena_fini(&t->arena);
    free(t->fields);
    free(t->names);
    free(t->values);
}

ql_err ql_offline_table_row(struct ql_offline_table *t)
{
    uint32_t count = 0;
    ql_arena_reset(&t->arena);
    const ql_err err = ql_csv_row(&t->csv, t->fields, QL_TABLE_COLUMNS_MAX, &count);
    if (err != QL_OK) {
        return err == QL_E_NOT_FOUND ? err : table_csv_refuse(t);
    }
    return table_cells(t, count);
}

void ql_offline_table_rewind(struct ql_offline_table *t)
{
    t->csv = t->first_row;
}

void ql_offline_put_text(struct ql_buf *out, ql_str s)
{
    (void)ql_buf_char(out, '"');
    for (size_t i = 0; i < s.bytes; i++) {
        const unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\') {
            (void)ql_buf_printf(out, "\\%c", c);
        } else if (c < 0x20) {
            (void)ql_buf_printf(out, "\\u%04x", c);
        } else {
            (void)ql_buf_char(out, (char)c);
        }
    }
    (void)ql_buf_char(out, '"');
}
