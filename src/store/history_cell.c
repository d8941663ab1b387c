#include "store/history_cell.h"

#include <math.h>
#include <stdlib.h>

void ql_history_cells_init(struct ql_history_cells *cells, int64_t width_ms)
{
    QL_ASSERT(width_ms > 0 && width_ms % QL_HISTORY_CELL_SHOWN_MS == 0);
    *cells = (struct ql_history_cells){ .width_ms = width_ms };
}

void ql_history_cells_fini(struct ql_history_cells *cells)
{
    free(cells->at);
    *cells = (struct ql_history_cells){ .width_ms = cells->width_ms };
}

/* A zeroed new last cell, or NULL. */
static struct ql_history_cell *cells_add(struct ql_history_cells *cells, int64_t at_ms)
{
    if (cells->count == cells->capacity) {
        const uint32_t capacity = cells->capacity == 0 ? 64 : cells->capacity * 2;
        struct ql_history_cell *at = realloc(cells->at, capacity * sizeof(*at));
        if (at == NULL) {
            return NULL;
        }
        cells->at = at;
        cells->capacity = capacity;
    }
    cells->at[cells->count] = (struct ql_history_cell){ .at_ms = at_ms };
    return &cells->at[cells->count++];
}

static int64_t cell_begin(int64_t ms, int64_t width_ms)
{
    const int64_t rest = ms % width_ms;
    return ms - (rest < 0 ? rest + width_ms : rest);
}

/* Takes up what `part` holds into the cell that it belongs to: the last one or a new one. */
static ql_err cells_take(struct ql_history_cells *cells, const struct ql_history_cell *part)
{
    const int64_t at_ms = cell_begin(part->at_ms, cells->width_ms);
    struct ql_history_cell *cell = cells->count > 0 ? &cells->at[cells->count - 1] : NULL;
    if (cell == NULL || cell->at_ms != at_ms) {
        cell = cells_add(cells, at_ms);
        if (cell == NULL) {
            return QL_E_MEMORY;
        }
        *cell = *part;
        cell->at_ms = at_ms;
        return QL_OK;
    }
    cell->least = part->least < cell->least ? part->least : cell->least;
    cell->greatest = part->greatest > cell->greatest ? part->greatest : cell->greatest;
    cell->sum += part->sum;
    cell->count += part->count;
    cell->last = part->last;
    return QL_OK;
}

ql_err ql_history_cells_put(struct ql_history_cells *cells, const struct ql_sample *samples,
                            uint32_t count)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        const double v = samples[i].value;
        if (!isnan(v)) {
            err = cells_take(cells, &(struct ql_history_cell){ ql_time_to_ms(samples[i].at), v, v,
                                                               v, 1.0, v });
        }
    }
    return err;
}

ql_err ql_history_cells_fold(struct ql_history_cells *cells, const struct ql_history_cells *narrow)
{
    ql_err err = QL_OK;
    QL_ASSERT(cells->width_ms % narrow->width_ms == 0);
    for (uint32_t i = 0; i < narrow->count && err == QL_OK; i++) {
        err = cells_take(cells, &narrow->at[i]);
    }
    return err;
}

ql_err ql_history_cells_merge(struct ql_history_cells *cells, const struct ql_history_cells *others)
{
    struct ql_history_cells both;
    uint32_t i = 0, j = 0;
    QL_ASSERT(cells->width_ms == others->width_ms);
    ql_history_cells_init(&both, cells->width_ms);
    while (i < cells->count || j < others->count) {
        const struct ql_history_cell *mine = i < cells->count ? &cells->at[i] : NULL;
        const struct ql_history_cell *other = j < others->count ? &others->at[j] : NULL;
        const bool take_mine = other == NULL || (mine != NULL && mine->at_ms <= other->at_ms);
        const bool is_pair = mine != NULL && other != NULL && mine->at_ms == other->at_ms;
        const struct ql_history_cell *kept = take_mine ? mine : other;
        kept = is_pair && other->count > mine->count ? other : kept;
        struct ql_history_cell *cell = cells_add(&both, kept->at_ms);
        if (cell == NULL) {
            ql_history_cells_fini(&both);
            return QL_E_MEMORY;
        }
        *cell = *kept;
        i += take_mine;
        j += !take_mine || is_pair;
    }
    free(cells->at);
    *cells = both;
    return QL_OK;
}

/* ---- columns -------------------------------------------------------------------------- */

static double *cell_at(struct ql_history_cell *cell, uint32_t column)
{
    double *const columns[QL_HISTORY_CELL_COLUMNS] = { &cell->least, &cell->greatest, &cell->sum,
                                                       &cell->count, &cell->last };
    QL_ASSERT(column < QL_HISTORY_CELL_COLUMNS);
    return columns[column];
}

struct ql_sample ql_history_cell_column(const struct ql_history_cell *cell, uint32_t column)
{
    struct ql_history_cell copy = *cell;
    return (struct ql_sample){ ql_time_from_ms(cell->at_ms), *cell_at(&copy, column) };
}

/* The first column makes the cells; the others must stand at the same times. */
ql_err ql_history_cells_load(struct ql_history_cells *cells, uint32_t column,
                             const struct ql_sample *samples, uint32_t count)
{
    if (column > 0 && count != cells->count) {
        return QL_E_IO;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int64_t at_ms = ql_time_to_ms(samples[i].at);
        struct ql_history_cell *cell = column == 0 ? cells_add(cells, at_ms) : &cells->at[i];
        if (cell == NULL) {
            return QL_E_MEMORY;
        }
        if (cell->at_ms != at_ms) {
            return QL_E_IO;
        }
        *cell_at(cell, column) = samples[i].value;
    }
    return QL_OK;
}

/* ---- showing -------------------------------------------------------------------------- */

struct cell_window { int64_t from_ms, to_ms; struct ql_batch *out; };

static ql_err show_one(const struct cell_window *window, int64_t at_ms, double value)
{
    if (at_ms < window->from_ms || at_ms > window->to_ms) {
        return QL_OK;
    }
    struct ql_sample *sample = ql_batch_add_sample(window->out);
    if (sample == NULL) {
        return QL_E_FULL;
    }
    *sample = (struct ql_sample){ ql_time_from_ms(at_ms), value };
    return QL_OK;
}

static double cell_value(const struct ql_history_cell *cell, enum ql_history_take take)
{
    switch (take) {
    case QL_HISTORY_MEAN: return cell->sum / cell->count;
    case QL_HISTORY_LEAST: return cell->least;
    case QL_HISTORY_GREATEST: return cell->greatest;
    case QL_HISTORY_LAST: return cell->last;
    }
    return cell->last;
}

/* In the middle of each stretch, so that all of them lie inside of windows on the grid. */
static ql_err cell_show_held(const struct cell_window *window, const struct ql_history_cell *cell,
                             int64_t width_ms, double value)
{
    ql_err err = QL_OK;
    for (int64_t ms = QL_HISTORY_CELL_SHOWN_MS / 2; ms < width_ms && err == QL_OK;
         ms += QL_HISTORY_CELL_SHOWN_MS) {
        err = show_one(window, cell->at_ms + ms, value);
    }
    return err;
}

/* A counter: from the end of the cell before to the end of this one. Behind a gap or a reset
 * only the end is known. */
static ql_err cell_show_line(const struct cell_window *window, const struct ql_history_cell *cell,
                             int64_t width_ms, const struct ql_history_shown *shown)
{
    ql_err err = QL_OK;
    const int64_t end_ms = cell->at_ms + width_ms;
    const bool is_line = shown->end_ms == cell->at_ms && cell->last >= shown->last;
    for (int64_t ms = QL_HISTORY_CELL_SHOWN_MS; ms < width_ms && is_line && err == QL_OK;
         ms += QL_HISTORY_CELL_SHOWN_MS) {
        const double share = (double)ms / (double)width_ms;
        err = show_one(window, cell->at_ms + ms - 1,
                       shown->last + share * (cell->last - shown->last));
    }
    return err == QL_OK ? show_one(window, end_ms - 1, cell->last) : err;
}

ql_err ql_history_cells_show(const struct ql_history_cells *cells, enum ql_history_take take,
                             int64_t from_ms, int64_t to_ms, struct ql_history_shown *shown,
                             struct ql_batch *out)
{
    const struct cell_window window = { from_ms, to_ms, out };
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < cells->count && err == QL_OK; i++) {
        const struct ql_history_cell *cell = &cells->at[i];
        err = take == QL_HISTORY_LAST
                  ? cell_show_line(&window, cell, cells->width_ms, shown)
                  : cell_show_held(&window, cell, cells->width_ms, cell_value(cell, take));
        *shown = (struct ql_history_shown){ cell->at_ms + cells->width_ms, cell->last };
    }
    return err;
}
