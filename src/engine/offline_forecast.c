/* offline_forecast - the batch verb's work: columns in, steps past the end out. */
#include "engine/offline_forecast.h"

#include "engine/offline_table.h"
#include "forecast/forecast.h"
#include "math/order.h"

#include <math.h>
#include <stdlib.h>

#define ROWS_FIRST 1024u
#define CELLS_MAX ((size_t)256 << 20)

struct ahead {
    const struct ql_offline_forecast *in;
    struct ql_buf *out;
    struct ql_offline_table table;
    struct ql_arena scratch;
    double *cells;               /* row by row */
    double *gaps;                /* between rows, in seconds; the first is 0 */
    size_t row_count, row_room;
    double *column;
    struct ql_forecast_step *steps;
    bool any;
};

/* ---- reading -------------------------------------------------------------------- */

static ql_err ahead_room(struct ahead *a)
{
    if (a->row_count < a->row_room) {
        return QL_OK;
    }
    const size_t room = a->row_room > 0 ? 2 * a->row_room : ROWS_FIRST;
    if (room > CELLS_MAX / a->table.series_count) {
        return QL_E_TOO_LARGE;
    }
    double *cells = realloc(a->cells, room * a->table.series_count * sizeof(*cells));
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

static ql_err ahead_rows(struct ahead *a)
{
    ql_time last = { 0 };
    for (;;) {
        ql_err err = ql_offline_table_row(&a->table);
        if (err != QL_OK) {
            return err == QL_E_NOT_FOUND ? QL_OK : err;
        }
        err = ahead_room(a);
        if (err != QL_OK) {
            return err;
        }
        const uint32_t count = a->table.series_count;
        double *cells = a->cells + a->row_count * count;
        for (uint32_t i = 0; i < count; i++) { /* squares of more would not be finite */
            cells[i] = fabs(a->table.values[i]) > 1e100 ? NAN : a->table.values[i];
        }
        a->gaps[a->row_count] =
            a->row_count > 0 ? ql_duration_s(ql_time_since(a->table.at, last)) : 0.0;
        last = a->table.at;
        a->row_count++;
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

static void write_csv(struct ahead *a, ql_str name, uint32_t step,
                      const struct ql_forecast_step *s)
{
    (void)ql_csv_put(a->out, name);
    (void)ql_buf_printf(a->out, ",%u,%.10g,%.10g,%.10g,%.10g,%.10g\n", step, s->mean, s->lower80,
                        s->upper80, s->lower95, s->upper95);
}

static void write_json(struct ahead *a, ql_str name, uint32_t step,
                       const struct ql_forecast_step *s)
{
    (void)ql_buf_text(a->out, a->any ? ",\n{\"series\":" : "[\n{\"series\":");
    ql_offline_put_text(a->out, name);
    (void)ql_buf_printf(a->out,
                        ",\"step\":%u,\"mean\":%.10g,\"lower80\":%.10g,\"upper80\":%.10g,"
                        "\"lower95\":%.10g,\"upper95\":%.10g}",
                        step, s->mean, s->lower80, s->upper80, s->lower95, s->upper95);
}

static ql_err ahead_series(struct ahead *a, uint32_t number, double step_s)
{
    for (size_t row = 0; row < a->row_count; row++) {
        a->column[row] = a->cells[row * a->table.series_count + number];
    }
    const struct ql_forecast_in in = { a->column, (uint32_t)a->row_count, step_s, a->in->horizon };
    ql_arena_reset(&a->scratch);
    const ql_err err = ql_forecast(&in, &a->scratch, a->steps, NULL);
    if (err != QL_OK) {
        return err == QL_E_NOT_FOUND ? QL_OK : err; /* a column without any value is left out */
    }
    for (uint32_t j = 0; j < a->in->horizon; j++) {
        if (a->in->json) {
            write_json(a, a->table.names[number], j + 1, &a->steps[j]);
        } else {
            write_csv(a, a->table.names[number], j + 1, &a->steps[j]);
        }
        a->any = true;
    }
    return ql_buf_check(a->out);
}

static ql_err ahead_all(struct ahead *a)
{
    const uint32_t count = a->table.series_count;
    const double step_s = ahead_step_s(a);
    a->column = calloc(a->row_count + 1, sizeof(*a->column));
    a->steps = calloc(a->in->horizon, sizeof(*a->steps));
    if (a->column == NULL || a->steps == NULL) {
        return QL_E_MEMORY;
    }
    (void)ql_buf_text(a->out, a->in->json ? ""
                                          : "series,step,mean,lower80,upper80,lower95,upper95\n");
    for (uint32_t i = 0; i < count; i++) {
        const ql_err err = ahead_series(a, i, step_s);
        if (err != QL_OK) {
            return err;
        }
        if (a->in->progress != NULL) {
            a->in->progress("forecasting", i + 1, count);
        }
    }
    (void)ql_buf_text(a->out, !a->in->json ? "" : (a->any ? "\n]\n" : "[]\n"));
    return ql_buf_check(a->out);
}

/* ---- the whole ------------------------------------------------------------------ */

ql_err ql_offline_forecast(const struct ql_offline_forecast *in, struct ql_buf *out,
                           struct ql_buf *why)
{
    struct ahead a = { .in = in, .out = out };
    if (in->horizon == 0 || in->horizon > QL_FORECAST_STEPS_MAX) {
        return QL_E_RANGE;
    }
    ql_arena_init(&a.scratch, QL_FORECAST_SCRATCH);
    ql_err err = ql_offline_table_init(&a.table, in->text, in->shown_name, why);
    if (err == QL_OK) {
        err = ahead_rows(&a);
    }
    if (err == QL_OK) {
        err = ahead_all(&a);
    }
    ql_offline_table_fini(&a.table);
    ql_arena_fini(&a.scratch);
    free(a.cells);
    free(a.gaps);
    free(a.column);
    free(a.steps);
    return err;
}
