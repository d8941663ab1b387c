/* history_cell.h - old samples as cells: the least, greatest, sum, count and last of a time.
 *
 * Samples are put in order into cells of one width; narrow cells fold into wide ones. A read
 * turns cells back into samples every QL_HISTORY_CELL_SHOWN_MS, so that whatever looks back five
 * minutes finds one: a mean (least, greatest) holds for its cell; the last of a counter moves in
 * a straight line from one cell to the next, so that a rate over any window is the mean rate.
 *
 * Units         times in ms; a cell begins at a multiple of its width.
 * Ownership     init/fini; lists grow.
 * Errors        QL_E_MEMORY; show: QL_E_FULL.
 * Bounds        one day of one series: at most 288 cells of five minutes and one more a late row.
 * Determinism   pure functions. NaN, of which the stale marker is one, is in no cell.
 */
#ifndef QL_STORE_HISTORY_CELL_H
#define QL_STORE_HISTORY_CELL_H

#include "model/batch.h"
#include "store/history.h"

#define QL_HISTORY_MINUTES_MS INT64_C(300000)
#define QL_HISTORY_HOURS_MS INT64_C(3600000)
#define QL_HISTORY_CELL_SHOWN_MS INT64_C(150000)

struct ql_history_cell {
    int64_t at_ms;
    double least, greatest, sum, count, last; /* count > 0 */
};
#define QL_HISTORY_CELL_COLUMNS 5u
struct ql_history_cells {
    struct ql_history_cell *at;
    uint32_t count, capacity;
    int64_t width_ms;
};

void ql_history_cells_init(struct ql_history_cells *cells, int64_t width_ms);
void ql_history_cells_fini(struct ql_history_cells *cells);
/* Samples come oldest first. */
QL_MUST_USE ql_err ql_history_cells_put(struct ql_history_cells *cells,
                                        const struct ql_sample *samples, uint32_t count);
/* Folds narrower cells, oldest first, into these. */
QL_MUST_USE ql_err ql_history_cells_fold(struct ql_history_cells *cells,
                                         const struct ql_history_cells *narrow);
/* Both sorted, of one width. Where both have a cell, the one of more samples stays: rows that
 * a replay writes again change nothing. */
QL_MUST_USE ql_err ql_history_cells_merge(struct ql_history_cells *cells,
                                          const struct ql_history_cells *others);

/* One column as samples at the cells' beginnings, and back. */
struct ql_sample ql_history_cell_column(const struct ql_history_cell *cell, uint32_t column);
QL_MUST_USE ql_err ql_history_cells_load(struct ql_history_cells *cells, uint32_t column,
                                         const struct ql_sample *samples, uint32_t count);

/* A read of cells, day after day. The cell that came last stays open: the row that crosses
 * midnight lies in the file of the day before, so the next file may hold the rest of it. */
struct ql_history_show {
    enum ql_history_take take;
    int64_t from_ms, to_ms;
    struct ql_batch *out;
    struct ql_history_cell open; /* from here on the reader's; begin with open_width_ms 0 */
    int64_t open_width_ms;
    int64_t end_ms;              /* of the cell before, and its last */
    double last;
};
QL_MUST_USE ql_err ql_history_show_cells(struct ql_history_show *show,
                                         const struct ql_history_cells *cells);
/* Shows what is open. `next` (may be NULL): from_ms on something finer is known, and what it is
 * worth at at_ms. */
struct ql_history_next { int64_t from_ms, at_ms; double value; };
QL_MUST_USE ql_err ql_history_show_end(struct ql_history_show *show,
                                       const struct ql_history_next *next);

#endif
