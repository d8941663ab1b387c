/* offline_forecast - the batch verb's work: columns in, steps past the end out. */
#include "engine/offline_forecast.h"

#include "forecast/forecast.h"
#include "math/order.h"
#include "wire/csv.h"
#include "wire/json_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COLUMNS_MAX 16384u
#define CELLS_MAX ((size_t)256 << 20)

_Static_assert(QL_OFFLINE_STEPS_MAX == QL_FORECAST_STEPS_MAX, "one maximum");

struct ahead {
    const struct ql_offline_forecast *in;
    struct ql_buf *out, *why;
    struct ql_csv csv;
    struct ql_arena rows;     /* quoted fields of the header and of one row */
    struct ql_arena scratch;
    ql_str *fields, *names;
    uint32_t series_count;
    double *cells;            /* row by row */
    size_t row_count, row_room;
    double *gaps;             /* between rows, in seconds */
    ql_time last_at;
    double *column;
    struct ql_forecast_step *steps;
    bool any;
};

/* ---- reading -------------------------------------------------------------------- */

static ql_err ahead_refuse(struct ahead *a, uint32_t line, size_t column, const char *what)
{
    (void)ql_buf_printf(a->why, "%s:%u:%zu: %s", a->in->shown_name, line, column, what);
    return QL_E_MALFORMED;
}

static ql_err ahead_csv_refuse(struct ahead *a)
{
    unsigned line = a->csv.line;
    size_t column = 1;
    int used = 0;
    if (sscanf(a->csv.why, "line %u, column %zu: %n", &line, &column, &used) < 2) {
        used = 0;
    }
    return ahead_refuse(a, line, column, a->csv.why + used);
}

static ql_err ahead_field_refuse(struct ahead *a, ql_str field, const char *allowed)
{
    const char *start = a->in->text.at, *at = field.at;
    size_t column = 1;
    if (at >= start && at <= start + a->in->text.bytes) {
        while (at > start && at[-1] != '\n') {
            at--;
            column++;
        }
    }
    char what[160];
    const int shown = field.bytes < 40 ? (int)field.bytes : 40;
    (void)snprintf(what, sizeof(what), "found \"%.*s\", allowed is %s", shown, field.at, allowed);
    return ahead_refuse(a, a->csv.row_line, column, what);
}

static ql_err ahead_header(struct ahead *a)
{
    uint32_t count = 0;
    const ql_err err = ql_csv_row(&a->csv, a->fields, COLUMNS_MAX, &count);
    if (err == QL_E_NOT_FOUND) {
        return ahead_refuse(a, 1, 1, "found an empty file, allowed is a header and rows");
    }
    if (err != QL_OK) {
        return ahead_csv_refuse(a);
    }
    if (count < 2) {
        return ahead_refuse(a, 1, 1,
                            "found a header of one column, allowed is a time and at least one "
                            "series");
    }
    a->series_count = count - 1;
    a->names = calloc(count - 1, sizeof(*a->names));
    if (a->names == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i + 1 < count; i++) {
        a->names[i] = ql_arena_str(&a->scratch, a->fields[i + 1]);
        if (a->names[i].at == NULL) {
            return QL_E_MEMORY;
        }
    }
    return QL_OK;
}

static ql_err ahead_room(struct ahead *a)
{
    if (a->row_count < a->row_room) {
        return QL_OK;
    }
    const size_t room = a->row_room > 0 ? 2 * a->row_room : 1024;
    if (room * a->series_count > CELLS_MAX) {
        return QL_E_TOO_LARGE;
    }
    double *cells = realloc(a->cells, room * a->series_count * sizeof(*cells));
    if (cells == NULL) {
        return QL_E_MEMORY;
    }
    a->cells = cells;
    double *gaps = realloc(a->gaps, room * sizeof(*gaps));
    if (gaps == NULL) {
        return QL_E_MEMORY;
    }
    a->gaps = gaps;
    a->row_room = room;
    return QL_OK;
}

static ql_err ahead_cells(struct ahead *a, uint32_t count)
{
    ql_time at;
    if (count != a->series_count + 1) {
        char what[96];
        (void)snprintf(what, sizeof(what), "found %u fields, allowed are %u as in the header",
                       count, a->series_count + 1);
        return ahead_refuse(a, a->csv.row_line, 1, what);
    }
    if (ql_str_to_time(a->fields[0], &at) != QL_OK) {
        return ahead_field_refuse(a, a->fields[0],
                                  "a time: RFC 3339, YYYY-MM-DD HH:MM:SS or seconds since 1970");
    }
    double *cells = a->cells + a->row_count * a->series_count;
    for (uint32_t i = 0; i < a->series_count; i++) {
        const ql_str cell = a->fields[i + 1];
        cells[i] = NAN;
        if (cell.bytes > 0 && ql_str_to_double(cell, &cells[i]) != QL_OK) {
            return ahead_field_refuse(a, cell, "a number, or nothing for a missing value");
        }
        if (fabs(cells[i]) > 1e100) { /* squares of it would not be finite */
            cells[i] = NAN;
        }
    }
    a->gaps[a->row_count] = a->row_count > 0 ? ql_duration_s(ql_time_since(at, a->last_at)) : 0.0;
    a->last_at = at;
    a->row_count++;
    return QL_OK;
}

static ql_err ahead_rows(struct ahead *a)
{
    for (;;) {
        uint32_t count = 0;
        ql_arena_reset(&a->rows);
        ql_err err = ql_csv_row(&a->csv, a->fields, COLUMNS_MAX, &count);
        if (err != QL_OK) {
            return err == QL_E_NOT_FOUND ? QL_OK : ahead_csv_refuse(a);
        }
        err = ahead_room(a);
        if (err == QL_OK) {
            err = ahead_cells(a, count);
        }
        if (err != QL_OK) {
            return err;
        }
    }
}

/* The usual distance of rows. */
static double ahead_step_s(struct ahead *a)
{
    if (a->row_count < 2) {
        return 0.0;
    }
    const double step = ql_median(a->gaps + 1, (uint32_t)(a->row_count - 1));
    return step > 0.0 ? step : 0.0;
}

/* ---- writing -------------------------------------------------------------------- */

static void write_csv(struct ahead *a, ql_str name, uint32_t step, const struct ql_forecast_step *s)
{
    (void)ql_csv_put(a->out, name);
    if (s == NULL) {
        (void)ql_buf_printf(a->out, ",%u,,,,,\n", step);
        return;
    }
    (void)ql_buf_printf(a->out, ",%u,%.9g,%.9g,%.9g,%.9g,%.9g\n", step, s->mean, s->lower80,
                        s->upper80, s->lower95, s->upper95);
}

static void write_json(struct ahead *a, ql_str name, uint32_t step,
                       const struct ql_forecast_step *s)
{
    (void)ql_buf_text(a->out, a->any ? ",\n{\"series\":\"" : "[\n{\"series\":\"");
    ql_json_escape(a->out, name);
    (void)ql_buf_printf(a->out, "\",\"step\":%u", step);
    if (s != NULL) {
        (void)ql_buf_printf(a->out,
                            ",\"mean\":%.9g,\"lower80\":%.9g,\"upper80\":%.9g,"
                            "\"lower95\":%.9g,\"upper95\":%.9g",
                            s->mean, s->lower80, s->upper80, s->lower95, s->upper95);
    }
    (void)ql_buf_char(a->out, '}');
}

static ql_err ahead_series(struct ahead *a, uint32_t i, double step_s)
{
    for (size_t row = 0; row < a->row_count; row++) {
        a->column[row] = a->cells[row * a->series_count + i];
    }
    const struct ql_forecast_in in = { a->column, (uint32_t)a->row_count, step_s, a->in->horizon };
    ql_arena_reset(&a->rows);
    const ql_err err = ql_forecast(&in, &a->rows, a->steps, NULL);
    if (err != QL_OK && err != QL_E_NOT_FOUND) {
        return err;
    }
    for (uint32_t j = 0; j < a->in->horizon; j++) {
        const struct ql_forecast_step *s = err == QL_OK ? &a->steps[j] : NULL;
        if (a->in->json) {
            write_json(a, a->names[i], j + 1, s);
        } else {
            write_csv(a, a->names[i], j + 1, s);
        }
        a->any = true;
    }
    return ql_buf_check(a->out);
}

static ql_err ahead_all(struct ahead *a)
{
    const double step_s = ahead_step_s(a);
    a->column = calloc(a->row_count + 1, sizeof(*a->column));
    a->steps = calloc(a->in->horizon, sizeof(*a->steps));
    if (a->column == NULL || a->steps == NULL) {
        return QL_E_MEMORY;
    }
    (void)ql_buf_text(a->out, a->in->json ? ""
                                          : "series,step,mean,lower80,upper80,lower95,upper95\n");
    for (uint32_t i = 0; i < a->series_count; i++) {
        const ql_err err = ahead_series(a, i, step_s);
        if (err != QL_OK) {
            return err;
        }
    }
    (void)ql_buf_text(a->out, !a->in->json ? "" : (a->any ? "\n]\n" : "[]\n"));
    return ql_buf_check(a->out);
}

/* ---- the whole ------------------------------------------------------------------ */

ql_err ql_offline_forecast(const struct ql_offline_forecast *in, struct ql_buf *out,
                           struct ql_buf *why)
{
    struct ahead a = { .in = in, .out = out, .why = why };
    ql_arena_init(&a.rows, QL_FORECAST_SCRATCH);
    ql_arena_init(&a.scratch, (size_t)64 << 20);
    ql_csv_init(&a.csv, in->text, &a.rows);
    a.fields = calloc(COLUMNS_MAX, sizeof(*a.fields));
    ql_err err = a.fields == NULL ? QL_E_MEMORY : ahead_header(&a);
    if (err == QL_OK) {
        err = ahead_rows(&a);
    }
    if (err == QL_OK) {
        err = ahead_all(&a);
    }
    ql_arena_fini(&a.rows);
    ql_arena_fini(&a.scratch);
    free(a.fields);
    free(a.names);
    free(a.cells);
    free(a.gaps);
    free(a.column);
    free(a.steps);
    return err;
}
