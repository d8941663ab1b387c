/* table.h - columns that line up in a terminal, and the little that colours need.
 *
 * Texts come from the network: control characters are taken out, so that a label cannot
 * move the cursor. Colours are written only to a terminal that did not say NO_COLOR. What
 * is too wide is cut in the columns that allow it; the rest is never wrapped.
 *
 * Units         widths in characters (code points).
 * Ownership     init/fini; cells are copied.
 * Errors        none here: out of memory leaves cells out, and render says QL_E_MEMORY.
 */
#ifndef QL_CLI_TABLE_H
#define QL_CLI_TABLE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

#include <stdio.h>

enum ql_paint { QL_PAINT_NONE, QL_PAINT_DIM, QL_PAINT_BOLD, QL_PAINT_RED, QL_PAINT_GREEN,
                QL_PAINT_YELLOW, QL_PAINT_CYAN };

struct ql_term {
    uint32_t columns; /* 0: no terminal, nothing is cut */
    bool colour;
};
struct ql_term ql_term_of(FILE *stream);
/* `text` without control characters, in the colour of `paint` where there are colours. */
void ql_term_text(const struct ql_term *term, struct ql_buf *out, enum ql_paint paint, ql_str text);
/* Words broken over lines that each start with `indent` blanks; ends with a line feed. */
void ql_term_wrap(const struct ql_term *term, struct ql_buf *out, uint32_t indent, ql_str text);

struct ql_table_column {
    const char *title;
    bool right;         /* numbers */
    uint32_t width_min; /* may be cut down to this; 0: never cut */
    bool spare;         /* left out when there is no room for all; the last one first */
};
#define QL_TABLE_COLUMNS_MAX 12u

struct ql_table_cell { ql_str text; enum ql_paint paint; };
struct ql_table {
    const struct ql_table_column *columns;
    uint32_t column_count, cell_count, cell_capacity;
    struct ql_table_cell *cells; /* row after row */
    struct ql_arena texts;
    bool failed;
};
void ql_table_init(struct ql_table *table, const struct ql_table_column *columns, uint32_t count);
void ql_table_fini(struct ql_table *table);
/* The next cell of the current row; a row is full when it has a cell for each column. */
void ql_table_cell(struct ql_table *table, enum ql_paint paint, const char *format, ...)
    QL_PRINTF(3, 4);
void ql_table_str(struct ql_table *table, enum ql_paint paint, ql_str text);
QL_MUST_USE ql_err ql_table_render(const struct ql_table *table, const struct ql_term *term,
                                   uint32_t indent, struct ql_buf *out);

/* "45s", "12m", "3h", "5d": one figure, for a column. */
#define QL_SPAN_TEXT_BYTES 32
const char *ql_span_short(ql_duration span, char out[QL_SPAN_TEXT_BYTES]);
/* "45 s", "12 min 3 s", "3 h 20 min", "5 d 2 h": for sentences. */
const char *ql_span_long(ql_duration span, char out[QL_SPAN_TEXT_BYTES]);

#endif
