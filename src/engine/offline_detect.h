/* offline_detect.h - judges a file of metrics as the service would have judged it.
 *
 * Column 1 is the time, every other column one series of the same entity. Rows are judged
 * one after the other with the service's own detector and defaults; a row depends on
 * itself and the rows before it only (and on the rows that the caller vouches for).
 * Files of one series are judged by dt_judge.h; with several, fusion.h judges the rows.
 *
 * Ownership     everything is the caller's.
 * Errors        QL_E_MALFORMED with "FILE:LINE:COLUMN: what was found, what is allowed" in
 *               `why`; QL_E_FULL (output over its maximum), QL_E_MEMORY.
 * Bounds        O(cells); memory for the state of each column, none for rows.
 * Determinism   the same file gives the same bytes.
 */
#ifndef QL_ENGINE_OFFLINE_DETECT_H
#define QL_ENGINE_OFFLINE_DETECT_H

#include "base/buf.h"

struct ql_offline_detect {
    ql_str text;              /* the whole file */
    const char *shown_name;   /* for messages */
    uint64_t train_rows;      /* the first rows that are known to be normal; may be 0 */
    bool json;
    double signals_per_day;
    /* After each row, in bytes of the file; may be NULL. */
    void (*progress)(const char *what, uint64_t done, uint64_t all);
};
QL_MUST_USE ql_err ql_offline_detect(const struct ql_offline_detect *in, struct ql_buf *out,
                                     struct ql_buf *why);

#endif
