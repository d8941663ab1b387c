/* csv.h - comma-separated rows out of a run of bytes, and rows into a buffer (RFC 4180).
 *
 * The reader walks memory that the caller holds and gives one row at a time as slices
 * of it; only a quoted field with a doubled quote in it is copied. Beyond the RFC it
 * takes LF as well as CRLF line ends, a last line without one, a leading UTF-8 byte
 * order mark, and skips lines that are wholly empty (write "" for an empty only field).
 *
 * Units         lines and columns count from 1; columns are bytes.
 * Ownership     the text is borrowed; copied fields live in the caller's arena until it
 *               is reset (after each row, if rows are not kept).
 * Errors        row: QL_E_NOT_FOUND after the last row; QL_E_MALFORMED, QL_E_FULL (more
 *               than fields_max fields), QL_E_MEMORY with the sentence in `why`. An error
 *               sticks: every later call returns it again.
 * Bounds        O(bytes) in all, no recursion.
 */
#ifndef QL_WIRE_CSV_H
#define QL_WIRE_CSV_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

struct ql_csv {
    const char *at, *end, *line_start;
    struct ql_arena *arena;
    uint32_t line;      /* of the next row */
    uint32_t row_line;  /* where the row last given began */
    ql_err err;
    char why[160];      /* "line 3, column 7: ..." once err is set to a failure */
};

void ql_csv_init(struct ql_csv *csv, ql_str text, struct ql_arena *arena);
/* The next row. A row may have any number of fields: compare with the header yourself. */
QL_MUST_USE ql_err ql_csv_row(struct ql_csv *csv, ql_str *fields, uint32_t fields_max,
                              uint32_t *ret_count);
/* Index of the field that equals `name`, or UINT32_MAX: for headers. */
uint32_t ql_csv_find(const ql_str *fields, uint32_t count, const char *name);

/* Appends one field, quoted only where it must be. The caller puts commas and line ends. */
ql_err ql_csv_put(struct ql_buf *out, ql_str field);
/* Appends a whole row and "\n". A row of one empty field is written as "". */
ql_err ql_csv_put_row(struct ql_buf *out, const ql_str *fields, uint32_t count);

#endif
