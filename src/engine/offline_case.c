#include "engine/offline_case.h"

#include "base/file.h"
#include "wire/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX ((size_t)4 << 30)
#define ARENA_BYTES_MAX ((size_t)4 << 30)
#define COLUMNS_MAX 8u
#define FIELDS_MAX 64u
#define NAMES_MAX (1u << 24)

/* One row being read: its fields in the order that the file's table row names them. */
struct row { struct ql_offline_case *o; const struct ql_csv *csv; ql_str text; const char *file;
             ql_str field[COLUMNS_MAX]; };

struct file {
    const char *name;
    const char *columns[COLUMNS_MAX + 1];
    ql_err (*take)(struct row *row);
};

/* ---- refusals ---- */

static ql_err refuse(const struct row *row, uint32_t line, size_t column, const char *what)
{
    (void)ql_buf_printf(row->o->why, "%s/%s:%u:%zu: %s", row->o->folder, row->file, line, column,
                        what);
    return QL_E_MALFORMED;
}

static ql_err refuse_csv(const struct row *row)
{
    unsigned line = row->csv->line;
    size_t column = 1;
    int used = 0;
    if (sscanf(row->csv->why, "line %u, column %zu: %n", &line, &column, &used) < 2) {
        used = 0;
    }
    return refuse(row, line, column, row->csv->why + used);
}

static ql_err refuse_field(const struct row *row, ql_str field, const char *allowed)
{
    char what[200];
    size_t column = 1;
    const char *at = field.at, *start = row->text.at;
    if (at >= start && at <= start + row->text.bytes) {
        for (; at > start && at[-1] != '\n'; at--) {
            column++;
        }
    }
    const int shown = field.bytes < 40 ? (int)field.bytes : 40;
    (void)snprintf(what, sizeof what, "found \"%.*s\", allowed is %s", shown, field.at, allowed);
    return refuse(row, row->csv->row_line, column, what);
}

/* ---- growing arrays and names ---- */

/* Room for one more; `at` points to the array's pointer. Doubles, so amortised O(1). */
static bool grow(void *at, uint32_t count, size_t bytes)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return true;
    }
    void **array = at;
    const size_t capacity = count == 0 ? 1 : (size_t)count * 2;
    void *grown = realloc(*array, capacity * bytes);
    if (grown != NULL) {
        *array = grown;
    }
    return grown != NULL;
}

static ql_err name_number(struct ql_map64 *map, ql_str **names, uint32_t *count, ql_str name,
                          uint32_t *ret_number)
{
    const uint64_t hash = ql_hash64(name.at, name.bytes);
    const uint32_t known = ql_map64_get(map, hash);
    if (known != QL_MAP_NONE) {
        *ret_number = known;
        return QL_OK;
    }
    if (!grow(names, *count, sizeof **names)) {
        return QL_E_MEMORY;
    }
    const ql_err err = ql_map64_put(map, hash, *count);
    if (err == QL_OK) {
        (*names)[*count] = name;
        *ret_number = (*count)++;
    }
    return err;
}

static ql_err entity_number(struct row *row, ql_str name, uint32_t *ret_number)
{
    struct ql_offline_case *o = row->o;
    if (name.bytes == 0) {
        return refuse_field(row, name, "the name of an entity");
    }
    return name_number(&o->entity_of, &o->entities, &o->entity_count, name, ret_number);
}

static ql_err time_field(struct row *row, ql_str field, ql_time *ret_time)
{
    return ql_str_to_time(field, ret_time) == QL_OK
               ? QL_OK
               : refuse_field(row, field,
                              "a time: RFC 3339, YYYY-MM-DD HH:MM:SS or seconds since 1970");
}

/* ---- one function a file ---- */

static ql_err series_number(struct row *row, uint32_t entity, ql_str metric, uint32_t *ret_number)
{
    struct ql_offline_case *o = row->o;
    const uint64_t parts[2] = { entity, ql_hash64(metric.at, metric.bytes) };
    const uint64_t key = ql_hash64(parts, sizeof parts);
    const uint32_t known = ql_map64_get(&o->series_of, key);
    if (known != QL_MAP_NONE) {
        *ret_number = known;
        return QL_OK;
    }
    if (!grow(&o->series, o->series_count, sizeof *o->series)) {
        return QL_E_MEMORY;
    }
    const ql_err err = ql_map64_put(&o->series_of, key, o->series_count);
    if (err == QL_OK) {
        o->series[o->series_count] =
            (struct ql_offline_series){ .entity = entity, .metric = metric };
        *ret_number = o->series_count++;
    }
    return err;
}

static ql_err take_metric(struct row *row)
{
    struct ql_offline_case *o = row->o;
    struct ql_offline_value value = { 0 };
    uint32_t entity = 0;
    ql_err err = time_field(row, row->field[0], &value.sample.at);
    if (err == QL_OK) {
        err = entity_number(row, row->field[1], &entity);
    }
    if (err == QL_OK && row->field[2].bytes == 0) {
        err = refuse_field(row, row->field[2], "the name of a metric");
    }
    if (err != QL_OK || row->field[3].bytes == 0) {
        return err; /* an empty cell is a missing value */
    }
    if (ql_str_to_double(row->field[3], &value.sample.value) != QL_OK) {
        return refuse_field(row, row->field[3], "a number, or nothing for a missing value");
    }
    if (!isfinite(value.sample.value) || fabs(value.sample.value) > 1e150) {
        return QL_OK;
    }
    err = series_number(row, entity, row->field[2], &value.series);
    if (err == QL_OK && !grow(&o->values, o->value_count, sizeof *o->values)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        o->values[o->value_count++] = value;
        o->series[value.series].count++;
    }
    return err;
}

static ql_err take_edge(struct row *row)
{
    struct ql_offline_case *o = row->o;
    struct ql_case_edge edge = { 0 };
    ql_err err = entity_number(row, row->field[0], &edge.caller);
    if (err == QL_OK) {
        err = entity_number(row, row->field[1], &edge.callee);
    }
    if (err == QL_OK && !grow(&o->edges, o->edge_count, sizeof *o->edges)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        o->edges[o->edge_count++] = edge;
    }
    return err;
}

static ql_err take_log(struct row *row)
{
    struct ql_offline_case *o = row->o;
    struct ql_case_log log = { .message = row->field[2] };
    ql_err err = time_field(row, row->field[0], &log.at);
    if (err == QL_OK) {
        err = entity_number(row, row->field[1], &log.entity);
    }
    if (err == QL_OK && !grow(&o->logs, o->log_count, sizeof *o->logs)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        o->logs[o->log_count++] = log;
    }
    return err;
}

static uint64_t span_key(ql_str trace, ql_str span)
{
    const uint64_t parts[2] = { ql_hash64(trace.at, trace.bytes), ql_hash64(span.at, span.bytes) };
    const uint64_t key = ql_hash64(parts, sizeof parts);
    return key == 0 ? 1 : key;
}

static ql_err take_span(struct row *row)
{
    struct ql_offline_case *o = row->o;
    struct ql_case_span span = { 0 };
    const ql_str *f = row->field;
    ql_err err = time_field(row, f[0], &span.start);
    if (err == QL_OK) {
        err = entity_number(row, f[4], &span.entity);
    }
    if (err == QL_OK && (ql_str_to_double(f[6], &span.duration_ms) != QL_OK ||
                         !(span.duration_ms >= 0.0 && span.duration_ms < 1e15))) {
        err = refuse_field(row, f[6], "a duration in milliseconds, 0 or more");
    }
    const bool is_flag = f[7].bytes == 1 && (f[7].at[0] == '0' || f[7].at[0] == '1');
    if (err == QL_OK && f[7].bytes != 0 && !is_flag) {
        err = refuse_field(row, f[7], "0 or 1");
    }
    if (err == QL_OK) {
        err = name_number(&o->operation_of, &o->operations, &o->operation_count, f[5],
                          &span.operation);
    }
    if (err == QL_OK && !grow(&o->spans, o->span_count, sizeof *o->spans)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        span.id = span_key(f[1], f[2]);
        span.parent = f[3].bytes == 0 ? 0 : span_key(f[1], f[3]);
        span.error = is_flag && f[7].at[0] == '1';
        o->spans[o->span_count++] = span;
    }
    return err;
}

static ql_err take_change(struct row *row)
{
    struct ql_offline_case *o = row->o;
    struct ql_case_change change = { .text = row->field[2] };
    ql_err err = time_field(row, row->field[0], &change.at);
    if (err == QL_OK) {
        err = entity_number(row, row->field[1], &change.entity);
    }
    if (err == QL_OK && !grow(&o->changes, o->change_count, sizeof *o->changes)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        o->changes[o->change_count++] = change;
    }
    return err;
}

/* The first row counts: where the trouble was seen first. */
static ql_err take_symptom(struct row *row)
{
    struct ql_offline_case *o = row->o;
    if (o->c.symptom_entity != QL_CASE_NONE) {
        return QL_OK;
    }
    o->c.symptom_metric = row->field[1];
    return entity_number(row, row->field[0], &o->c.symptom_entity);
}

static const struct file files[QL_OFFLINE_FILES] = {
    { "metrics.csv", { "time", "entity", "metric", "value", NULL }, take_metric },
    { "edges.csv", { "caller", "callee", NULL }, take_edge },
    { "logs.csv", { "time", "entity", "message", NULL }, take_log },
    { "spans.csv",
      { "time", "trace_id", "span_id", "parent_id", "entity", "operation", "duration_ms",
        "error", NULL },
      take_span },
    { "changes.csv", { "time", "entity", "description", NULL }, take_change },
    { "symptom.csv", { "entity", "metric", NULL }, take_symptom },
};

/* ---- reading ---- */

static ql_err read_header(struct row *row, struct ql_csv *csv, const struct file *file,
                          uint32_t columns[COLUMNS_MAX], uint32_t *ret_count)
{
    ql_str fields[FIELDS_MAX];
    uint32_t count = 0;
    const ql_err err = ql_csv_row(csv, fields, FIELDS_MAX, &count);
    if (err == QL_E_NOT_FOUND) {
        return refuse(row, 1, 1, "found an empty file, allowed is a header and rows");
    }
    if (err != QL_OK) {
        return refuse_csv(row);
    }
    for (uint32_t i = 0; file->columns[i] != NULL; i++) {
        columns[i] = ql_csv_find(fields, count, file->columns[i]);
        if (columns[i] == UINT32_MAX) {
            char what[120];
            (void)snprintf(what, sizeof what, "found no column \"%s\" in the header",
                           file->columns[i]);
            return refuse(row, csv->row_line, 1, what);
        }
    }
    *ret_count = count;
    return QL_OK;
}

static ql_err read_rows(struct row *row, struct ql_csv *csv, const struct file *file)
{
    ql_str fields[FIELDS_MAX];
    uint32_t columns[COLUMNS_MAX], width = 0, count = 0;
    ql_err err = read_header(row, csv, file, columns, &width);
    while (err == QL_OK) {
        err = ql_csv_row(csv, fields, FIELDS_MAX, &count);
        if (err == QL_E_NOT_FOUND) {
            return QL_OK;
        }
        if (err != QL_OK) {
            return refuse_csv(row);
        }
        if (count != width) {
            char what[96];
            (void)snprintf(what, sizeof what, "found %u fields, allowed are %u as in the header",
                           count, width);
            return refuse(row, csv->row_line, 1, what);
        }
        for (uint32_t i = 0; file->columns[i] != NULL; i++) {
            row->field[i] = fields[columns[i]];
        }
        err = file->take(row);
        if (row->o->progress != NULL) {
            row->o->progress(file->name, (uint64_t)(csv->at - row->text.at), row->text.bytes);
        }
    }
    return err;
}

static ql_err read_file(struct ql_offline_case *o, uint32_t number)
{
    const struct file *file = &files[number];
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", o->folder, file->name) >= (int)sizeof path) {
        return QL_E_TOO_LARGE;
    }
    ql_err err = ql_file_read(path, &o->files[number]);
    if (err == QL_E_NOT_FOUND) {
        return QL_OK;
    }
    if (err != QL_OK) {
        (void)ql_buf_printf(o->why, "%s: %s", path, ql_err_text(err));
        return err;
    }
    struct ql_csv csv;
    struct row row = { .o = o, .csv = &csv, .text = ql_buf_view(&o->files[number]),
                       .file = file->name };
    ql_csv_init(&csv, row.text, &o->arena);
    o->file_count++;
    return read_rows(&row, &csv, file);
}

/* Values by series, each in order of arrival: a counting sort. */
static ql_err series_gather(struct ql_offline_case *o)
{
    o->samples = calloc((size_t)o->value_count + 1, sizeof *o->samples);
    o->case_series = calloc((size_t)o->series_count + 1, sizeof *o->case_series);
    if (o->samples == NULL || o->case_series == NULL) {
        return QL_E_MEMORY;
    }
    uint32_t first = 0;
    for (uint32_t i = 0; i < o->series_count; i++) {
        o->series[i].first = first;
        o->case_series[i] = (struct ql_case_series){
            .entity = o->series[i].entity, .metric = o->series[i].metric,
            .count = o->series[i].count, .samples = o->samples + first };
        first += o->series[i].count;
    }
    for (uint32_t i = 0; i < o->value_count; i++) {
        o->samples[o->series[o->values[i].series].first++] = o->values[i].sample;
    }
    return QL_OK;
}

static void case_fill(struct ql_offline_case *o)
{
    o->c.entities = o->entities;
    o->c.entity_count = o->entity_count;
    o->c.series = o->case_series;
    o->c.series_count = o->series_count;
    o->c.edges = o->edges;
    o->c.edge_count = o->edge_count;
    o->c.spans = o->spans;
    o->c.span_count = o->span_count;
    o->c.operations = o->operations;
    o->c.logs = o->logs;
    o->c.log_count = o->log_count;
    o->c.changes = o->changes;
    o->c.change_count = o->change_count;
}

ql_err ql_offline_case_read(const char *folder, ql_time at, ql_offline_progress *progress,
                            struct ql_buf *why, struct ql_offline_case *ret_case)
{
    struct ql_offline_case *o = ret_case;
    *o = (struct ql_offline_case){ .folder = folder, .why = why, .progress = progress };
    o->c.at = at;
    o->c.symptom_entity = QL_CASE_NONE;
    ql_arena_init(&o->arena, ARENA_BYTES_MAX);
    ql_map64_init(&o->entity_of, NAMES_MAX);
    ql_map64_init(&o->series_of, NAMES_MAX);
    ql_map64_init(&o->operation_of, NAMES_MAX);
    for (uint32_t i = 0; i < QL_OFFLINE_FILES; i++) {
        ql_buf_init(&o->files[i], FILE_BYTES_MAX);
    }
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < QL_OFFLINE_FILES && err == QL_OK; i++) {
        err = read_file(o, i);
    }
    if (err == QL_OK && o->file_count == 0) {
        (void)ql_buf_printf(why, "%s: found none of metrics.csv, edges.csv, logs.csv, spans.csv, "
                                 "changes.csv, symptom.csv",
                            folder);
        err = QL_E_NOT_FOUND;
    }
    if (err == QL_OK) {
        err = series_gather(o);
    }
    case_fill(o);
    return err;
}

void ql_offline_case_fini(struct ql_offline_case *o)
{
    for (uint32_t i = 0; i < QL_OFFLINE_FILES; i++) {
        ql_buf_fini(&o->files[i]);
    }
    ql_map64_fini(&o->entity_of);
    ql_map64_fini(&o->series_of);
    ql_map64_fini(&o->operation_of);
    ql_arena_fini(&o->arena);
    free(o->entities);
    free(o->operations);
    free(o->series);
    free(o->values);
    free(o->samples);
    free(o->case_series);
    free(o->edges);
    free(o->logs);
    free(o->spans);
    free(o->changes);
}
