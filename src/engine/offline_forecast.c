/* offline_forecast - reads all columns, fits each, then writes: intervals need every fit. */
#include "engine/offline_forecast.h"

#include "engine/offline_table.h"
#include "forecast/forecast.h"

#include <math.h>
#include <stdlib.h>

#define ROWS_FIRST 1024u
#define ARENA_BYTES_MAX ((size_t)1 << 30)

struct offline {
    const struct ql_offline_forecast *in;
    struct ql_offline_table table;
    double *cells;               /* [row][series] */
    size_t row_count, row_max;
    double step_s;
    struct ql_arena room, kept;  /* of one fit; of all results */
    struct ql_forecast_fit *fits;
    struct ql_forecast_spread *spread;
    struct ql_forecast_step *steps;
};

static ql_err cells_take(struct offline *o)
{
    if (o->row_count == o->row_max) {
        const size_t more = o->row_max == 0 ? ROWS_FIRST : 2 * o->row_max;
        double *cells = realloc(o->cells, more * o->table.series_count * sizeof *cells);
        if (cells == NULL) {
            return QL_E_MEMORY;
        }
        o->cells = cells;
        o->row_max = more;
    }
    memcpy(o->cells + o->row_count * o->table.series_count, o->table.values,
           o->table.series_count * sizeof *o->cells);
    o->row_count++;
    return QL_OK;
}

/* The most common distance of rows is the step; the first hundred say it. */
static void step_take(struct offline *o, ql_time last)
{
    const double gap = ql_duration_s(ql_time_since(o->table.at, last));
    if (gap > 0.0 && (o->step_s <= 0.0 || gap < o->step_s) && o->row_count < 100) {
        o->step_s = gap;
    }
}

static ql_err cells_read(struct offline *o)
{
    ql_time last = { 0 };
    for (;;) {
        const ql_err err = ql_offline_table_row(&o->table);
        if (err != QL_OK) {
            return err == QL_E_NOT_FOUND ? QL_OK : err;
        }
        if (o->row_count > 0) {
            step_take(o, last);
        }
        last = o->table.at;
        if (cells_take(o) != QL_OK) {
            return QL_E_MEMORY;
        }
    }
}

/* Copies a fit out of the arena that the next one uses. */
static ql_err fit_keep(struct offline *o, struct ql_forecast_fit *fit)
{
    const size_t bytes = o->in->horizon * sizeof(double);
    double *mean = ql_arena_take(&o->kept, 2 * bytes);
    if (mean == NULL) {
        return QL_E_MEMORY;
    }
    memcpy(mean, fit->mean, bytes);
    memcpy(mean + o->in->horizon, fit->miss, bytes);
    fit->mean = mean;
    fit->miss = mean + o->in->horizon;
    return QL_OK;
}

static ql_err series_fit(struct offline *o, uint32_t number, double *column)
{
    for (size_t row = 0; row < o->row_count; row++) {
        column[row] = o->cells[row * o->table.series_count + number];
    }
    const struct ql_forecast_input in = { column, (uint32_t)o->row_count, o->step_s,
                                          o->in->horizon };
    ql_arena_reset(&o->room);
    struct ql_forecast_fit *fit = &o->fits[number];
    ql_err err = ql_forecast_fit(&in, &o->room, fit);
    if (err == QL_E_RANGE) {
        fit->mean = NULL; /* a column without any value is left out */
        return QL_OK;
    }
    if (err == QL_OK) {
        err = fit_keep(o, fit);
    }
    if (err == QL_OK) {
        ql_forecast_spread_add(o->spread, fit);
    }
    return err;
}

static ql_err all_fit(struct offline *o)
{
    const uint32_t count = o->table.series_count;
    double *column = malloc((o->row_count + 1) * sizeof *column);
    o->fits = calloc(count, sizeof *o->fits);
    o->steps = malloc(o->in->horizon * sizeof *o->steps);
    ql_err err = column == NULL || o->fits == NULL || o->steps == NULL
                     ? QL_E_MEMORY
                     : ql_forecast_spread_new(o->in->horizon, count, &o->spread);
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        err = series_fit(o, i, column);
        if (o->in->progress != NULL) {
            o->in->progress(i + 1, count);
        }
    }
    if (err == QL_OK) {
        ql_forecast_spread_close(o->spread);
    }
    free(column);
    return err;
}

static void step_write(const struct offline *o, struct ql_buf *out, uint32_t series, uint32_t step,
                       bool first)
{
    const struct ql_forecast_step *s = &o->steps[step];
    if (!o->in->json) {
        (void)ql_csv_put(out, o->table.names[series]);
        (void)ql_buf_printf(out, ",%u,%.10g,%.10g,%.10g,%.10g,%.10g\n", step + 1, s->mean,
                            s->lower80, s->upper80, s->lower95, s->upper95);
        return;
    }
    (void)ql_buf_text(out, first ? "[\n{\"series\":" : ",\n{\"series\":");
    ql_offline_put_text(out, o->table.names[series]);
    (void)ql_buf_printf(out,
                        ",\"step\":%u,\"mean\":%.10g,\"lower80\":%.10g,\"upper80\":%.10g,"
                        "\"lower95\":%.10g,\"upper95\":%.10g}",
                        step + 1, s->mean, s->lower80, s->upper80, s->lower95, s->upper95);
}

static ql_err all_write(struct offline *o, struct ql_buf *out)
{
    bool first = true;
    (void)ql_buf_text(out, o->in->json ? ""
                                       : "series,step,mean,lower80,upper80,lower95,upper95\n");
    for (uint32_t i = 0; i < o->table.series_count; i++) {
        if (o->fits[i].mean == NULL) {
            continue;
        }
        ql_forecast_steps(&o->fits[i], o->spread, o->in->horizon, o->steps);
        for (uint32_t j = 0; j < o->in->horizon; j++) {
            step_write(o, out, i, j, first);
            first = false;
        }
    }
    if (o->in->json) {
        (void)ql_buf_text(out, first ? "[]\n" : "\n]\n");
    }
    return ql_buf_check(out);
}

ql_err ql_offline_forecast(const struct ql_offline_forecast *in, struct ql_buf *out,
                           struct ql_buf *why)
{
    struct offline o = { .in = in };
    if (in->horizon == 0 || in->horizon > QL_FORECAST_HORIZON_MAX) {
        return QL_E_RANGE;
    }
    ql_arena_init(&o.room, ARENA_BYTES_MAX);
    ql_arena_init(&o.kept, (size_t)8 << 30);
    ql_err err = ql_offline_table_init(&o.table, in->text, in->shown_name, why);
    if (err == QL_OK) {
        err = cells_read(&o);
    }
    if (err == QL_OK) {
        err = all_fit(&o);
    }
    if (err == QL_OK) {
        err = all_write(&o, out);
    }
    ql_forecast_spread_free(o.spread);
    ql_offline_table_fini(&o.table);
    ql_arena_fini(&o.room);
    ql_arena_fini(&o.kept);
    free(o.cells);
    free(o.fits);
    free(o.steps);
    return err;
}
