/* offline_table.h - a wide file of metrics, row by row: the time, then a column a series.
 *
 * The batch verbs read their input through this, so that all of them say the same of what
 * is wrong with a file and where.
 *
 * Units         times UTC; an empty cell, and what is not finite or beyond 1e150, is NAN.
 * Ownership     init/fini; the text is borrowed and must outlive the table.
 * Errors        QL_E_MALFORMED with "NAME:LINE:COLUMN: what was found, what is allowed" in
 *               why; QL_E_MEMORY; row: QL_E_NOT_FOUND after the last one.
 * Bounds        QL_TABLE_COLUMNS_MAX series; O(bytes).
 */
#ifndef QL_ENGINE_OFFLINE_TABLE_H
#define QL_ENGINE_OFFLINE_TABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/csv.h"

#define QL_TABLE_COLUMNS_MAX 65537u

struct ql_offline_table {
    ql_str text;
    const char *shown_name;      /* of the file, in messages */
    struct ql_buf *why;
    struct ql_csv csv, first_row;
    struct ql_arena arena;
    ql_str *fields;              /* of the row; [0] is its time as written */
    ql_str *names;               /* of the series */
    double *values;              /* of the row */
    uint32_t series_count;
    ql_time at;
};

QL_MUST_USE ql_err ql_offline_table_init(struct ql_offline_table *table, ql_str text,
                                         const char *shown_name, struct ql_buf *why);
void ql_offline_table_fini(struct ql_offline_table *table);
QL_MUST_USE ql_err ql_offline_table_row(struct ql_offline_table *table);
/* Back to before the first row. */
void ql_offline_table_rewind(struct ql_offline_table *table);
/* A text with quotes and escapes, for JSON. */
void ql_offline_put_text(struct ql_buf *out, ql_str s);

#endif
