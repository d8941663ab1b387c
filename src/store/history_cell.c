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

/* `part` is later. */
static void cell_join(struct ql_history_cell *cell, const struct ql_history_cell *part)
{
    cell->least = part->least < cell->least ? part->least : cell->least;
    cell->greatest = part->greatest > cell->greatest ? part->greatest : cell->greatest;
    cell->sum += part->sum;
    cell->count += part->count;
    cell->last = part->last;
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
    cell_join(cell, part);
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

static ql_err show_one(const struct ql_history_show *show, int64_t at_ms, double value)
{
    if (at_ms < show->from_ms || at_ms > show->to_ms) {
        return QL_OK;
    }
    struct ql_sample *sample = ql_batch_add_sample(show->out);
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
static ql_err cell_show_held(const struct ql_history_show *show, int64_t end_ms)
{
    const double value = cell_value(&show->open, show->take);
    ql_err err = QL_OK;
    for (int64_t ms = show->open.at_ms + QL_HISTORY_CELL_SHOWN_MS / 2; ms < end_ms && err == QL_OK;
         ms += QL_HISTORY_CELL_SHOWN_MS) {
        err = show_one(show, ms, value);
    }
    return err;
}

/* The points of a line from where the cell before ended to (to_ms, to), as far as end_ms. */
static ql_err cell_show_line(struct ql_history_show *show, int64_t end_ms, int64_t to_ms, double to)
{
    const int64_t from_ms = show->open.at_ms;
    const double slope = (to - show->last) / (double)(to_ms - from_ms);
    ql_err err = QL_OK;
    for (int64_t ms = from_ms + QL_HISTORY_CELL_SHOWN_MS; ms < end_ms && err == QL_OK;
         ms += QL_HISTORY_CELL_SHOWN_MS) {
        err = show_one(show, ms - 1, show->last + slope * (double)(ms - from_ms));
    }
    show->last += slope * (double)(end_ms - from_ms);
    return err;
}

/* A counter. Behind a gap or a reset only the end is known; a cell that is cut short by
 * something finer leads up to that, since when its own last sample came is not known. */
static ql_err cell_show_counter(struct ql_history_show *show, int64_t end_ms,
                                const struct ql_history_next *next)
{
    const struct ql_history_cell *cell = &show->open;
    const bool is_cut = end_ms < cell->at_ms + show->open_width_ms;
    const double to = is_cut ? next->value : cell->last;
    if (show->end_ms != cell->at_ms || !(to >= show->last)) {
        show->last = cell->last;
        return show_one(show, end_ms - 1, cell->last);
    }
    if (is_cut) {
        return cell_show_line(show, end_ms, next->at_ms, to);
    }
    const ql_err err = cell_show_line(show, end_ms, end_ms, to);
    show->last = to;
    return err == QL_OK ? show_one(show, end_ms - 1, to) : err;
}

ql_err ql_history_show_end(struct ql_history_show *show, const struct ql_history_next *next)
{
    const int64_t width_end_ms = show->open.at_ms + show->open_width_ms;
    const int64_t end_ms = next != NULL && next->from_ms < width_end_ms ? next->from_ms
                                                                        : width_end_ms;
    if (show->open_width_ms == 0 || end_ms <= show->open.at_ms) {
        return QL_OK;
    }
    const ql_err err = show->take == QL_HISTORY_LAST ? cell_show_counter(show, end_ms, next)
                                                     : cell_show_held(show, end_ms);
    show->end_ms = end_ms;
    show->open_width_ms = 0;
    return err;
}

ql_err ql_history_show_cells(struct ql_history_show *show, const struct ql_history_cells *cells)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < cells->count && err == QL_OK; i++) {
        const struct ql_history_cell *cell = &cells->at[i];
        if (show->open_width_ms == cells->width_ms && show->open.at_ms == cell->at_ms) {
            cell_join(&show->open, cell);
            continue;
        }
        const struct ql_history_next next = { cell->at_ms, cell->at_ms + cells->width_ms,
                                              cell->last };
        err = ql_history_show_end(show, &next);
        show->open = *cell;
        show->open_width_ms = cells->width_ms;
    }
    return err;
}
