/* problem.h - collects what is wrong with a file and shows it the way compilers do.
 *
 * FILE:LINE:COLUMN: text, then the source line and a caret under the place. Problems are
 * shown in the order of the file, at most QL_CONFIG_PROBLEMS_MAX of them.
 *
 * Units         places are byte offsets into the source; lines and columns count from 1,
 *               columns in characters.
 */
#ifndef QL_CONFIG_PROBLEM_H
#define QL_CONFIG_PROBLEM_H

#include "base/base.h"
#include "base/buf.h"
#include "config/config.h"

struct cf_problem { size_t at; char text[320]; };
struct cf_problems {
    struct cf_problem rows[QL_CONFIG_PROBLEMS_MAX];
    uint32_t count, unshown_count;
};

void cf_problem_add(struct cf_problems *problems, size_t at, const char *format, ...)
    QL_PRINTF(3, 4);
ql_err cf_problems_show(struct cf_problems *problems, const char *shown_name, ql_str source,
                        struct ql_buf *out);
/* The byte offset of a line and column (both from 1) as libraries report them. */
size_t cf_place(ql_str source, size_t line, size_t column);

#endif
